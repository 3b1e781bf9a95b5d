package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

func findUnplaced(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		if !placed(s) && !in.Has(service(i)+".platforms") {
			hits = append(hits, hit{path: service(i), got: "service " + s.Name + " without platforms"})
		}
	}
	return hits
}

func placed(s session.Service) bool { return len(s.Platforms)+len(s.PlatformSecrets) > 0 }

// eachPlaced applies got to the services with platforms; empty means no problem.
//
//go:noinline
func eachPlaced(got func(*input, session.Service) string) finder {
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

func placedAlone(_ *input, s session.Service) string {
	if len(s.Attestation) > 0 {
		return ""
	}
	return "platforms without attestation"
}

func ignoredByMode(in *input, _ session.Service) string {
	if in.Security.Mode == "" || in.Security.Mode == "hardware" {
		return ""
	}
	return "platforms with mode " + in.Security.Mode
}

func ignoredByLocal(in *input, _ session.Service) string {
	if !in.Security.MustBeSGXLocal {
		return ""
	}
	return "platforms with must_be_sgx_local"
}

// platformKey is the same for the same set of platforms, in whatever order.
func platformKey(s session.Service) string {
	var all []string
	for _, id := range s.Platforms {
		all = append(all, id.String())
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
			if slices.Contains(s.Platforms[:j], id) {
				hits = append(hits, hit{path: service(i) + ".platforms", got: fmt.Sprintf("service %s: %s twice", s.Name, id)})
			}
		}
	}
	return hits
}
