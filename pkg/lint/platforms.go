package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/session"
)

func platformRules() []rule {
	return []rule{
		{Rule{
			"CDB2001", "no-platforms", Error, "a service may run on any machine",
			"Without platforms the enclave may run on every SGX machine of the world, also on one whose owner attacks the hardware.",
			"Somebody starts the image on a machine of his own, where he can attack the hardware, or fork the database.",
			"Write platforms with the IDs that kubectl confidb platforms prints.",
		}, findUnplaced},
		{Rule{
			codeNoPlatforms, "empty-platforms", Fatal, "the list of platforms is empty",
			"An empty list is what a script writes that found no ID. It would admit every machine, or none.",
			"An ID that could not be read opens the session to all machines.",
			"Write at least one ID; kubectl confidb platforms prints those of the cluster.",
		}, nil},
		{Rule{
			codeMixed, "mixed-platforms", Fatal, "platform IDs of two generations are mixed",
			"Up to SCONE 6 an ID is the key of SCONE's quoting enclave, from SCONE 7 that of Intel's. A CAS knows one kind only, so the machines of the other kind are shut out.",
			"none known: the service does not start on these machines",
			"Write IDs of the kind that the CAS knows.",
		}, nil},
		{Rule{
			codeBareID, "bare-platform-id", Fatal, "an ID of Intel's quoting enclave has no prefix",
			"32 digits alone are no platform ID. SCONE's tools print the ID so, but the session needs INTEL_QE_ID: before it.",
			"none known: the service does not start",
			"Write INTEL_QE_ID: before the 32 digits.",
		}, nil},
		{Rule{
			"CDB2005", "platforms-alone", Error, "the platform is the only thing that is demanded",
			"Everything that runs on the machine, and in any enclave, gets the secrets.",
			"Whoever may start a program on the node starts one of his own.",
			"Add attestation with mrenclave.",
		}, eachPlaced(func(in *input, s session.Service) string {
			if len(s.Attestation) > 0 {
				return ""
			}
			return "platforms without attestation"
		})},
		{Rule{
			"CDB2006", "platforms-ignored-by-mode", Error, "platforms have no effect in this attestation mode",
			"CAS looks at platforms in mode hardware only.",
			"The enclave, or what pretends to be it, runs on any machine although the session seems to forbid it.",
			"Remove security.attestation.mode, or write hardware.",
		}, eachPlaced(func(in *input, s session.Service) string {
			if in.Security.Mode == "" || in.Security.Mode == "hardware" {
				return ""
			}
			return "platforms with mode " + in.Security.Mode
		})},
		{Rule{
			"CDB2007", "platforms-ignored-by-local", Error, "platforms have no effect with must_be_sgx_local",
			"Local attestation shows that the enclave is on the machine of the CAS, and no platform ID.",
			"The enclave runs wherever the CAS runs, although the session seems to forbid it.",
			"Remove must_be_sgx_local, or the platforms.",
		}, eachPlaced(func(in *input, s session.Service) string {
			if !in.Security.MustBeSGXLocal {
				return ""
			}
			return "platforms with must_be_sgx_local"
		})},
		{Rule{
			"CDB2008", "platforms-differ", Warning, "services of one session have different platforms",
			"They share the secrets of the session, so it is as open as the most open of them. Most often a machine was added in one place only.",
			"A machine that was taken off one list still gets the secrets through the other.",
			"Write the same platforms for all services, or use two sessions.",
		}, findDifferentPlatforms},
		{Rule{
			"CDB2009", "platform-twice", Warning, "a platform is listed twice",
			"The ID of one machine stands where that of another should be, or was copied twice.",
			"none known: a machine that should be there is missing",
			"Remove one, or write the ID of the machine that was meant.",
		}, findRepeatedPlatforms},
	}
}

func findUnplaced(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		if !placed(s) {
			hits = append(hits, hit{path: service(i), got: "service " + s.Name + " without platforms"})
		}
	}
	return hits
}

func placed(s session.Service) bool { return len(s.Platforms)+len(s.PlatformSecrets) > 0 }

// eachPlaced applies got to the services with platforms; empty means no problem.
func eachPlaced(got func(*input, session.Service) string) func(*input) []hit {
	return func(in *input) []hit {
		var hits []hit
		for i, s := range in.Services {
			if !placed(s) {
				continue
			}
			if text := got(in, s); text != "" {
				hits = append(hits, hit{path: service(i) + ".platforms", got: "service " + s.Name + ": " + text})
			}
		}
		return hits
	}
}

// platformKey is the same for the same set of platforms, in whatever order.
func platformKey(s session.Service) string {
	var all []string
	for _, id := range s.Platforms {
		all = append(all, strings.ToLower(id.String()))
	}
	for _, secret := range s.PlatformSecrets {
		all = append(all, "$$"+secret)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

func findDifferentPlatforms(in *input) []hit {
	var hits []hit
	first := -1
	for i, s := range in.Services {
		switch {
		case !placed(s):
		case first < 0:
			first = i
		case platformKey(s) != platformKey(in.Services[first]):
			hits = append(hits, hit{path: service(i) + ".platforms", got: fmt.Sprintf("service %s has other platforms than service %s", s.Name, in.Services[first].Name)})
		}
	}
	return hits
}

func findRepeatedPlatforms(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		for j, id := range s.Platforms {
			if slices.ContainsFunc(s.Platforms[:j], func(o attest.PlatformID) bool { return o.Equal(id) }) {
				hits = append(hits, hit{path: service(i) + ".platforms", got: fmt.Sprintf("service %s: %s twice", s.Name, id)})
			}
		}
	}
	return hits
}
