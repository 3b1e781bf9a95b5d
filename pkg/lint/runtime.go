package lint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

func runtimeRules() []rule {
	return []rule{
		{Rule{
			"CDB6001", "dlopen", Warning, "libraries may be loaded, and enclaves are not singletons",
			"SCONE_ALLOW_DLOPEN is set, in a session without security.singleton_enclaves. In a session the variable itself has no effect, but it tells that the program loads libraries, which with the value 2 are not even authenticated.",
			"The host gives the enclave a library of its own, in a second copy that nobody watches.",
			"Remove the variable, write singleton_enclaves: true, and use 1 and no other value where the program is started.",
		}, findDLOpen},
		{Rule{
			"CDB6002", "host-arguments", Warning, "the host chooses arguments of a command",
			"@@1 and so on are replaced by what the host gives, and a service without command takes everything from it.",
			"The host starts the database with --skip-grant-tables, or with another file of settings.",
			"Write the whole command in the session.",
		}, findHostArguments},
		{Rule{
			"CDB6003", "host-environment", Note, "the host chooses the value of a variable",
			`With \@\@ before its name a variable has the value that the host gives.`,
			"The host gives a value that changes what the program does, such as the path of a library or a file of settings.",
			"Write the value in the session, unless the program treats it as an input of an adversary.",
		}, findHostEnvironment},
		{Rule{
			"CDB6004", "loose-permission", Warning, "an injected file is open to other users",
			"Others may write it, or read a secret in it. MariaDB ignores settings that everybody may write.",
			"Another user of the enclave's file system changes what the program does, or reads its key.",
			"Write permission: 0o400.",
		}, findLoosePermissions},
		{Rule{
			"CDB6007", "authenticated-only", Warning, "a volume is not encrypted",
			"With authenticated-only the host reads everything on the volume. It only cannot change it.",
			"Whoever has the disk reads it.",
			"Write files: encrypted.",
		}, eachVolume(func(v session.Volume) (string, string) {
			if v.Files != "authenticated-only" {
				return "", ""
			}
			return "files", "files: authenticated-only"
		})},
		{Rule{
			"CDB6008", "written-volume-key", Error, "the key or tag of a volume is written in the document",
			"Whoever may read the file, its history or the session can decrypt the volume. A tag that is written does not follow what changes.",
			"Whoever has the disk and the document reads the data, or shows an older state of it.",
			"Leave both out: CAS initialises the volume at its first use.",
		}, eachVolume(func(v session.Volume) (string, string) {
			switch {
			case v.FSPFKey != "" && secretIn(v.FSPFKey) == "":
				return "fspf_key", "fspf_key with its value"
			case v.FSPFTag != "":
				return "fspf_tag", "fspf_tag with its value"
			}
			return "", ""
		})},
		{Rule{
			"CDB6009", "no-rollback-protection", Warning, "an older state of a file system is accepted",
			"With no_rollback_protection CAS does not keep which state was the last.",
			"The host brings back the data of last month, with the rights and passwords of that time.",
			"Remove the policy: rollback protection is the default.",
		}, findRollback},
	}
}

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
			reveals := f.Content == nil || slices.ContainsFunc(usesIn(*f.Content, path), func(u use) bool { return in.reveals(u.Placeholder) })
			if f.Permission&othersWrite != 0 || f.Permission&othersRead != 0 && reveals {
				hits = append(hits, hit{path: path + ".permission", got: fmt.Sprintf("%s with 0o%03o", f.Path, f.Permission)})
			}
		}
	}
	return hits
}

// eachVolume applies find to the volumes; it returns a key and what is there, or nothing.
func eachVolume(find func(session.Volume) (key, got string)) func(*input) []hit {
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
