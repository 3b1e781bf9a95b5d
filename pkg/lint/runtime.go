package lint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/layout"
	"github.com/confidb/confidb/pkg/session"
)

func findDLOpen(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
			plain, host := session.HostVariable(name)
			if !host {
				plain = name
			}
			if plain == "SCONE_ALLOW_DLOPEN" && s.Environment[name] != "0" && !in.Security.SingletonEnclaves {
				hits = append(hits, hit{path: service(i) + ".environment." + name, got: "SCONE_ALLOW_DLOPEN without singleton_enclaves"})
			}
		}
	}
	return hits
}

func findHostArguments(in *input) []hit {
	argument := regexp.MustCompile(`@@[0-9]+`)
	var hits []hit
	for i, s := range in.Services {
		if len(s.Command) == 0 {
			hits = append(hits, hit{path: service(i), got: "service " + s.Name + " without command"})
			continue
		}
		if found := argument.FindString(strings.Join(s.Command, " ")); found != "" {
			hits = append(hits, hit{path: service(i) + ".command", got: "service " + s.Name + ": " + found})
		}
	}
	return hits
}

func findHostEnvironment(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
			if plain, ok := session.HostVariable(name); ok {
				hits = append(hits, hit{path: service(i) + ".environment." + name, got: fmt.Sprintf("service %s: %s from the host", s.Name, plain)})
			}
		}
	}
	return hits
}

// findLoosePermissions lets others read what holds no secret, such as the
// certificate of a CA.
func findLoosePermissions(in *input) []hit {
	const othersWrite, othersRead = 0o002, 0o004
	var hits []hit
	for i, image := range in.Images {
		for j, f := range image.InjectionFiles {
			path := fmt.Sprintf("images[%d].injection_files[%d]", i, j)
			reveals := f.Content == nil || slices.ContainsFunc(layout.UsesIn(*f.Content, path), func(u layout.Use) bool { return in.Reveals(u.Placeholder) })
			if f.Permission&othersWrite != 0 || f.Permission&othersRead != 0 && reveals {
				hits = append(hits, hit{path: path + ".permission", got: fmt.Sprintf("%s with 0o%03o", f.Path, f.Permission)})
			}
		}
	}
	return hits
}

// eachVolume applies find to the volumes; it returns a key and what is there, or nothing.
//
//go:noinline
func eachVolume(find func(session.Volume) (key, got string)) finder {
	return func(in *input) []hit {
		var hits []hit
		for i, v := range in.Volumes {
			if key, got := find(v); key != "" {
				hits = append(hits, hit{path: fmt.Sprintf("volumes[%d].%s", i, key), got: "volume " + v.Name + ": " + got})
			}
		}
		return hits
	}
}

func authenticatedOnly(v session.Volume) (key, got string) {
	if v.Files != "authenticated-only" {
		return "", ""
	}
	return "files", "files: authenticated-only"
}

func writtenKey(v session.Volume) (key, got string) {
	switch {
	case v.FSPFKey != "" && secretIn(v.FSPFKey) == "":
		return "fspf_key", "fspf_key with its value"
	case v.FSPFTag != "":
		return "fspf_tag", "fspf_tag with its value"
	}
	return "", ""
}

// unprotected is the policy that accepts older states.
const unprotected = "no_rollback_protection"

func findRollback(in *input) []hit {
	var hits []hit
	for i, s := range in.Services {
		if s.FSPFUpdatePolicy == unprotected {
			hits = append(hits, hit{path: service(i) + ".fspf_update_policy", got: "service " + s.Name + ": " + unprotected})
		}
	}
	for i, image := range in.Images {
		for j, v := range image.Volumes {
			if v.UpdatePolicy == unprotected {
				hits = append(hits, hit{path: fmt.Sprintf("images[%d].volumes[%d].update_policy", i, j), got: "volume " + v.Name + ": " + unprotected})
			}
		}
	}
	return hits
}
