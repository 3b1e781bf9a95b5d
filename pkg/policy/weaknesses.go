package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

// Weakness is something that a policy may say and that makes a proof worth less.
type Weakness struct {
	// ID is stable; the text is not.
	ID string `json:"id"`
	// Where is "file:line:column".
	Where string `json:"where"`
	Text  string `json:"text"`
	Hint  string `json:"hint"`
}

// Weaknesses says where a policy is weaker than it should be, CAS first.
func (p *Policy) Weaknesses() []Weakness {
	return slices.Concat(p.weakCAS(), p.weakTolerances(), p.weakDeviations(), p.weakEnclaves(), p.weakSettings(), p.sharedMeasurements(), p.weakGrace())
}

func (p *Policy) weakCAS() []Weakness {
	v := p.CAS.ReferenceValues
	var found []Weakness
	if len(v.MRENCLAVEs) == 0 && v.Signer == nil {
		found = append(found, Weakness{"cas-unnamed", p.where("cas"), "the policy does not say which enclave the CAS must be, so whoever gives a measurement on the command line or in $CAS_MRENCLAVE decides", "give mrenclave under cas"})
	}
	if v.Signer == nil {
		return found
	}
	place := p.where("cas.signer", "cas")
	if len(v.MRENCLAVEs) == 0 {
		found = append(found, Weakness{"cas-signer-only", place, fmt.Sprintf("the CAS is known by its signer only: every enclave of the signer's product %d is accepted", v.Signer.ISVProdID), "give mrenclave under cas"})
	}
	if v.Signer.MinISVSVN == 0 {
		found = append(found, Weakness{"signer-without-floor", p.where("cas.signer.min-isvsvn", "cas.signer", "cas"), "the signer's enclaves are accepted in every security version, also in one with known weaknesses", "set min-isvsvn to the least version that has no known weakness"})
	}
	return found
}

func (p *Policy) weakTolerances() []Weakness {
	var found []Weakness
	if p.CAS.AllowDebugEnclave {
		found = append(found, Weakness{"debug-enclave-allowed", p.where("allow-debug-enclave"), "DEBUG ENCLAVES ARE ACCEPTED: whoever runs the machine can read all secrets in their memory", "remove allow-debug-enclave"})
	}
	for i, v := range p.Deviations {
		if v == attest.UnprotectedVolume {
			found = append(found, Weakness{"unprotected-volume-accepted", p.where(fmt.Sprintf("accept-deviations[%d]", i), "accept-deviations"), "DATABASES ON UNPROTECTED VOLUMES ARE ACCEPTED: whoever writes the volume runs SQL with every right and reads everything", "put the data directory and tmpdir on volumes of the session with files: encrypted, then remove it"})
		}
	}
	for i, s := range p.CAS.AcceptTCB {
		if s == sgx.OutOfDate || s == sgx.OutOfDateConfigurationNeeded {
			found = append(found, Weakness{"out-of-date-accepted", p.where(fmt.Sprintf("accept-tcb[%d]", i), "accept-tcb"), fmt.Sprintf("%s is accepted: platforms with published weaknesses that an update would close", s), "update BIOS and microcode, then remove it"})
		}
	}
	for i, a := range p.CAS.AcceptAdvisories {
		if a == "INTEL-DOC-10000" || a == "INTEL-DOC-10001" {
			found = append(found, Weakness{"end-of-servicing-accepted", p.where(fmt.Sprintf("accept-advisories[%d]", i), "accept-advisories"), a + " is accepted: Intel's servicing of the platform ends, so weaknesses of it stay open", "move to machines that Intel services, then remove it"})
		}
	}
	return found
}

func (p *Policy) weakEnclaves() []Weakness {
	if len(p.Enclaves) == 0 {
		return []Weakness{{"no-enclaves", p.where("enclaves"), "no measurement of an enclave is given, so nothing can be installed with this policy", "give mrenclave of each enclave under enclaves"}}
	}
	var found []Weakness
	for _, name := range slices.Sorted(maps.Keys(p.Enclaves)) {
		path := enclavePath(name)
		if len(p.Enclaves[name]) == 0 {
			found = append(found, Weakness{"enclave-without-measurement", p.where(path), "no measurement of " + name + " is given, so no session can admit it", "give its mrenclave, or remove it"})
		}
		if place, ok := p.places[path+".signer"]; ok {
			found = append(found, Weakness{"enclave-signer-unused", place, "the signer of " + name + " is not used: our sessions name measurements only", "remove signer"})
		}
	}
	return found
}

// weakSettings finds enclaves that load libraries of nobody's.
func (p *Policy) weakSettings() []Weakness {
	var found []Weakness
	for _, name := range slices.Sorted(maps.Keys(p.Enclaves)) {
		path, s := enclavePath(name), p.Settings[name]
		if s.Dlopen == "2" {
			found = append(found, Weakness{"dlopen-debug", p.where(path+".dlopen", path), name + " may load libraries that nobody has authenticated (SCONE_ALLOW_DLOPEN=2)", "use an image that needs dlopen 1 or 0"})
		}
	}
	return found
}

// cas is the name of the CAS among those of enclaves.
const cas = "cas"

// sharedMeasurements finds enclaves that cannot be told apart. It is most often a
// slip: who copies a line and forgets to change it admits one program as another.
func (p *Policy) sharedMeasurements() []Weakness {
	type use struct{ name, path string }
	first := map[sgx.Measurement]use{}
	var found []Weakness
	look := func(name, path string, measurements []sgx.Measurement) {
		for i, m := range measurements {
			here := use{name, path}
			there, known := first[m]
			if !known {
				first[m] = here
			}
			if known && there != here {
				found = append(found, Weakness{"measurement-shared", p.where(fmt.Sprintf("%s.mrenclave[%d]", path, i), path), fmt.Sprintf("%s of %s is the one of %s, too: they cannot be told apart", short(m), name, there.name), "give each enclave its own measurement, unless they are one image by intent"})
			}
		}
	}
	look("the CAS", cas, p.CAS.ReferenceValues.MRENCLAVEs)
	for _, name := range slices.Sorted(maps.Keys(p.Enclaves)) {
		look(name, enclavePath(name), p.Enclaves[name])
	}
	return found
}

// short is enough of a measurement to find it in a file.
func short(m sgx.Measurement) string { return m.String()[:12] + "…" }

// longGrace is the time between two updates of Intel's collateral.
const longGrace = 30 * 24 * time.Hour

func (p *Policy) weakGrace() []Weakness {
	if p.Freshness.Grace <= longGrace {
		return nil
	}
	return []Weakness{{"long-grace", p.where("collateral-grace"), "collateral is used " + Hours(p.Freshness.Grace) + " after its next update was due: revocations since then are not seen", "fetch collateral more often, and set at most " + Hours(longGrace)}}
}

// Hours writes a duration as a policy does: 168h, not 168h0m0s.
func Hours(d time.Duration) string {
	text := d.String()
	if rest, ok := strings.CutSuffix(text, "m0s"); ok {
		text = rest + "m"
	}
	if rest, ok := strings.CutSuffix(text, "h0m"); ok {
		text = rest + "h"
	}
	return text
}
