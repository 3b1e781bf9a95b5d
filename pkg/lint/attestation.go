package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

// publicSigner is MRSIGNER of the key that SCONE publishes for debugging.
const publicSigner = "11c4e150b76c2b145f7fadb6c30455e1046b9e6fbb75b49c6e13341ad8acc5bd"

func findMode(mode string) finder {
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
		if len(s.Attestation) == 0 && !in.Has(service(i)+".attestation") && !in.Has(service(i)+".mrenclaves") {
			hits = append(hits, hit{path: service(i), got: "service " + s.Name + " without attestation"})
		}
	}
	return hits
}

func measured(v session.Variant) bool {
	return v.Fragment != "" || len(v.MRENCLAVEs)+len(v.MRENCLAVEFragments) > 0
}

// eachVariant applies got to the variants of all services; empty means no problem.
//
//go:noinline
func eachVariant(got func(session.Variant) string) finder {
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

func signerOnly(v session.Variant) string {
	if v.Signer == nil || measured(v) {
		return ""
	}
	return "a signer without mrenclave"
}

func anySecurityVersion(v session.Variant) string {
	if v.Signer == nil || measured(v) || v.Signer.Fragment != "" || v.Signer.MinISVSVN > 0 {
		return ""
	}
	return "a signer without isvsvn_min"
}

func signedPublicly(v session.Variant) string {
	if v.Signer == nil || v.Signer.MRSIGNER.String() != publicSigner {
		return ""
	}
	return "mrsigner " + publicSigner[:16] + "…"
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

//go:noinline
func findTolerated(words ...string) finder {
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
	return in.importedFragments(ofMeasurement)
}

func findImportedPolicy(in *input) []hit {
	return in.importedFragments(func(path string) bool { return !ofMeasurement(path) })
}

// ofMeasurement reports whether a path is in what a service demands of its enclaves.
func ofMeasurement(path string) bool {
	service, key := session.PolicyPlace(path)
	return service != "" && (key == session.KeyAttestation || key == session.KeyMRENCLAVEs)
}

// findUnknownPolicy finds the references of the policy whose values are in none of the
// documents.
func findUnknownPolicy(in *input) []hit {
	var hits []hit
	for _, r := range in.applied.references {
		if r.Problem != "" {
			hits = append(hits, hit{path: r.Path, got: r.String()})
		}
	}
	return hits
}

// importedFragments are the parts of the policy, at the paths that want chooses, that come
// from other sessions, in versions that these may change; also those within a fragment.
func (in *input) importedFragments(want func(path string) bool) []hit {
	var hits []hit
	for _, r := range in.applied.references {
		secret := in.Secret(r.Secret)
		if want(r.Path) && secret != nil && secret.Import != nil && secret.Import.SessionHash == "" {
			hits = append(hits, hit{path: r.Path, got: fmt.Sprintf("$$SCONE::%s$$ from session %s", r.Secret, secret.Import.Session)})
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
