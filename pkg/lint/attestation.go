package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

func attestationRules() []rule {
	return []rule{
		{Rule{
			"CDB1001", "mode-none", Fatal, "attestation is off",
			"With mode none CAS gives the secrets of the session to whatever asks for them by name.",
			"Anybody who can reach CAS gets the keys of the database.",
			"Remove security.attestation.mode, or write hardware.",
		}, findMode("none")},
		{Rule{
			"CDB1002", "mode-maa", Error, "attestation is left to Microsoft's service",
			"With mode maa CAS believes tokens of Microsoft Azure Attestation instead of verifying quotes. Platforms are not looked at, and what counts as up to date is Microsoft's decision.",
			"Whoever runs or compels that service vouches for an enclave that does not exist.",
			"Remove security.attestation.mode, or write hardware.",
		}, findMode("maa")},
		{Rule{
			"CDB1003", "no-attestation", Fatal, "a service has no attestation",
			"Nothing says which enclave the service is. CAS refuses the session unless attestation is off, and then gives the secrets to anybody.",
			"Any program gets the secrets of the service.",
			"Write attestation with mrenclave: the measurement of the program.",
		}, findUnattested},
		{Rule{
			"CDB1004", "attestation-or", Error, "the parts of one attestation are a list, so one of them is enough",
			"In a list each item is a variant of its own, and one must match. A dash too many before signer or mrenclave turns 'both' into 'either'.",
			"Every enclave of that signer gets the secrets, old versions and other products included.",
			"Write one mapping with mrenclave and signer, without dashes.",
		}, findStrayDash},
		{Rule{
			"CDB1005", "signer-only", Warning, "the signer is demanded, but no measurement",
			"Every program that the signer ever signed under this product number is accepted, whatever it does.",
			"Whoever gets the signer to sign something, or finds an old version with a hole, gets the secrets.",
			"Add mrenclave to the variant.",
		}, eachVariant(func(v session.Variant) string {
			if v.Signer == nil || measured(v) {
				return ""
			}
			return "a signer without mrenclave"
		})},
		{Rule{
			"CDB1006", "no-isvsvn-floor", Error, "the signer is accepted at any security version",
			"Without isvsvn or isvsvn_min, and without mrenclave, versions with known holes are accepted.",
			"Somebody starts an old version with a published hole and takes the secrets out of it.",
			"Write isvsvn_min: the lowest version that has no known hole.",
		}, eachVariant(func(v session.Variant) string {
			if v.Signer == nil || measured(v) || v.Signer.Fragment != "" || v.Signer.MinISVSVN > 0 {
				return ""
			}
			return "a signer without isvsvn_min"
		})},
		{Rule{
			"CDB1007", "mrenclaves", Note, "the key mrenclaves is deprecated",
			"It means the same as attestation.mrenclave, and admits no further factor.",
			"none known",
			"Move the measurements to attestation.mrenclave.",
		}, findDeprecatedMeasurements},
		{Rule{
			"CDB1008", "debug-mode", Fatal, "enclaves in debug mode are accepted",
			"The memory of an enclave in debug mode can be read and changed from outside.",
			"Whoever is root on the node reads the keys with a debugger.",
			"Remove debug-mode from tolerate.",
		}, findTolerated("debug-mode")},
		{Rule{
			"CDB1009", "outdated-tcb", Error, "platforms with missing security updates are accepted",
			"Intel published updates of microcode or of the quoting enclave, and the machine does not have them. Keys of such a machine may be known to others.",
			"A published attack on SGX is run on the machine, or a quote is forged with keys that were taken out of one.",
			"Update the machine and remove outdated-tcb. For a time tolerate the advisories by name instead.",
		}, findTolerated("outdated-tcb")},
		{Rule{
			"CDB1010", "insecure-configuration", Error, "platforms with an insecure configuration are accepted",
			"A setting of the machine's firmware, which Intel advises against, is on.",
			"What that setting opens, such as undervolting or a debug interface, is used against the enclave.",
			"Correct the setting and remove insecure-configuration.",
		}, findTolerated("insecure-configuration")},
		{Rule{
			"CDB1011", "tolerations", Warning, "a weak state of platforms is accepted",
			"Each word of tolerate accepts something that CAS would refuse: side channels between hyperthreads, hardening that software has to do itself, leaks of the APIC or of the graphics unit, or the word of another for the state of the platform.",
			"Somebody on the same machine uses that side channel.",
			"Remove the word, or give it a suppression with the reason and a date.",
		}, findTolerated("hyperthreading", "insecure-igpu", "software-hardening-needed", "aepic-leak", "local-attestation-trust-cas-tcb", "maa-managed-tcb")},
		{Rule{
			"CDB1012", "any-advisory", Error, "every security advisory is ignored, future ones too",
			"The wildcard accepts every hole that Intel will ever publish. SCONE means it for debugging only.",
			"A hole that is published next year is used, and CAS still gives out the secrets.",
			"Name the advisories that you have looked at.",
		}, findWildcard},
		{Rule{
			"CDB1013", "advisories", Note, "security advisories are ignored by name",
			"Platforms to which these advisories apply get the secrets.",
			"What the advisories describe is done on such a platform.",
			"Read each advisory, and remove it when the machines are updated.",
		}, findAdvisories},
		{Rule{
			"CDB1014", "public-signer", Fatal, "the signer is SCONE's public debug key",
			"Everybody has the private key of this signer.",
			"Anybody signs a program of his own and gets the secrets.",
			"Sign with a key of your own, or demand the measurement only.",
		}, eachVariant(func(v session.Variant) string {
			if v.Signer == nil || v.Signer.MRSIGNER.String() != publicSigner {
				return ""
			}
			return "mrsigner " + publicSigner[:16] + "…"
		})},
		{Rule{
			"CDB1015", "zero-measurement", Error, "a measurement or signer is all zeros",
			"No enclave has such a measurement. It is the value of a variable that nobody set, or of a program that runs in simulation.",
			"none known with hardware attestation: the service cannot start. The mistake hides what should be there.",
			"Write the measurement that SCONE_HASH=1 prints.",
		}, eachVariant(zeroMeasurement)},
		{Rule{
			"CDB1016", "imported-measurement", Warning, "a measurement or signer comes from another session",
			"Who may change that other session decides which programs get the secrets of this one.",
			"The owner of the other session names a program of his own.",
			"Write the measurement here, or import with session_hash.",
		}, findImportedMeasurement},
		{Rule{
			"CDB1017", "imported-policy", Warning, "platforms, security or access rules come from another session",
			"Who may change that other session decides where this one runs, what is tolerated, or who changes it.",
			"The owner of the other session gives himself the right to change this one.",
			"Write the rules here, or import with session_hash.",
		}, findImportedPolicy},
	}
}

// publicSigner is MRSIGNER of the key that SCONE publishes for debugging.
const publicSigner = "11c4e150b76c2b145f7fadb6c30455e1046b9e6fbb75b49c6e13341ad8acc5bd"

func findMode(mode string) func(*input) []hit {
	return func(in *input) []hit {
		if in.Security.Mode != mode {
			return nil
		}
		return []hit{{path: "security.attestation.mode", got: "mode " + mode}}
	}
}

func service(i int) string { return fmt.Sprintf("services[%d]", i) }

func findUnattested(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		if len(s.Attestation) == 0 {
			hits = append(hits, hit{path: service(i), got: "service " + s.Name + " without attestation"})
		}
	}
	return hits
}

func measured(v session.Variant) bool {
	return v.Fragment != "" || len(v.MRENCLAVEs)+len(v.MRENCLAVEFragments) > 0
}

// eachVariant applies got to the variants of all services; empty means no problem.
func eachVariant(got func(session.Variant) string) func(*input) []hit {
	return func(in *input) []hit {
		var hits []hit
		for i, s := range in.Services {
			for j, v := range s.Attestation {
				if text := got(v); text != "" {
					hits = append(hits, hit{path: variantPath(in, i, j), got: "service " + s.Name + ": " + text})
				}
			}
		}
		return hits
	}
}

// variantPath is where a variant is: a list has several, a mapping is one.
func variantPath(in *input, i, j int) string {
	switch {
	case in.Has(service(i) + ".mrenclaves"):
		return service(i) + ".mrenclaves"
	case in.Services[i].AttestationIsList:
		return fmt.Sprintf("%s.attestation[%d]", service(i), j)
	}
	return service(i) + ".attestation"
}

// findStrayDash finds lists in which each variant has one factor only, and both
// factors are there.
func findStrayDash(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		measurements, signers, whole := 0, 0, 0
		for _, v := range s.Attestation {
			switch {
			case v.Fragment != "" || measured(v) && v.Signer != nil:
				whole++
			case v.Signer != nil:
				signers++
			default:
				measurements++
			}
		}
		if s.AttestationIsList && whole == 0 && measurements > 0 && signers > 0 {
			hits = append(hits, hit{path: service(i) + ".attestation", got: fmt.Sprintf("service %s: a list of %d variants, some with mrenclave only, some with signer only", s.Name, len(s.Attestation))})
		}
	}
	return hits
}

func findDeprecatedMeasurements(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		if path := service(i) + ".mrenclaves"; in.Has(path) {
			hits = append(hits, hit{path: path, got: "service " + s.Name + ": mrenclaves"})
		}
	}
	return hits
}

func findTolerated(words ...string) func(*input) []hit {
	return func(in *input) []hit {
		var hits []hit
		for i, word := range in.Security.Tolerate {
			if slices.Contains(words, word) {
				hits = append(hits, hit{path: fmt.Sprintf("security.attestation.tolerate[%d]", i), got: "tolerate " + word})
			}
		}
		return hits
	}
}

const ignored = "security.attestation.ignore_advisories"

func findWildcard(in *input) []hit {
	if !slices.Contains(in.Security.IgnoreAdvisories, "*") {
		return nil
	}
	return []hit{{path: ignored, got: `ignore_advisories: "*"`}}
}

func findAdvisories(in *input) []hit {
	named := slices.DeleteFunc(slices.Clone(in.Security.IgnoreAdvisories), func(a string) bool { return a == "*" })
	if len(named) == 0 {
		return nil
	}
	return []hit{{path: ignored, got: strings.Join(named, ", ")}}
}

func zeroMeasurement(v session.Variant) string {
	switch {
	case slices.Contains(v.MRENCLAVEs, sgx.Measurement{}):
		return "mrenclave is all zeros"
	case v.Signer != nil && v.Signer.Fragment == "" && v.Signer.MRSIGNER == sgx.Measurement{}:
		return "mrsigner is all zeros"
	}
	return ""
}

func findImportedMeasurement(in *input) []hit {
	return in.importedFragments(func(path string) bool {
		return strings.HasSuffix(path, ".attestation") && strings.HasPrefix(path, "services[")
	})
}

func findImportedPolicy(in *input) []hit {
	return in.importedFragments(func(path string) bool {
		return !strings.HasPrefix(path, "services[") || !strings.HasSuffix(path, ".attestation")
	})
}

// importedFragments are the parts of the policy, at the paths that want chooses,
// that come from other sessions, in versions that these may change.
func (in *input) importedFragments(want func(path string) bool) []hit {
	var hits []hit
	for _, text := range in.Fragments() {
		path, placeholder, _ := strings.Cut(text, ": ")
		secret := in.secret(secretIn(placeholder))
		if want(path) && secret != nil && secret.Import != nil && secret.Import.SessionHash == "" {
			hits = append(hits, hit{path: path, got: fmt.Sprintf("%s from session %s", placeholder, secret.Import.Session)})
		}
	}
	return hits
}

// secretIn is the secret that a placeholder names, or empty.
func secretIn(text string) string {
	found, err := session.Placeholders(text)
	if err != nil || len(found) == 0 {
		return ""
	}
	return found[0].Secret
}

// secret finds a secret by name; nil if there is none.
func (in *input) secret(name string) *session.Secret {
	for i := range in.Secrets {
		if in.Secrets[i].Name == name {
			return &in.Secrets[i]
		}
	}
	return nil
}
