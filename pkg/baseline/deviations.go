package baseline

import (
	"fmt"
	"slices"
	"strings"
)

// Plugins says which plugins are neither of the version nor loaded by the session, or are
// switched in another way. Without known, those that are built in are the version's.
func (e *Expectations) Plugins(plugins []Plugin, known *Baseline) []string {
	var all []string
	for _, p := range plugins {
		if problem := e.problemOf(p, known); problem != "" {
			all = append(all, problem)
		}
	}
	for name, option := range e.plugins {
		if !slices.ContainsFunc(plugins, func(p Plugin) bool { return strings.EqualFold(p.Name, name) }) && option != "OFF" {
			all = append(all, "plugin "+name+" is missing")
		}
	}
	slices.Sort(all)
	return all
}

// problemOf says what is wrong with a plugin, or nothing.
func (e *Expectations) problemOf(p Plugin, known *Baseline) string {
	said := fmt.Sprintf("plugin %s %s, %s", p.Name, p.Status, p.LoadOption)
	if p.Library != "" && !slices.Contains(e.libraries, strings.TrimSuffix(p.Library, ".so")) {
		return said + ", from " + p.Library
	}
	if option, set := e.plugins[strings.ToLower(p.Name)]; set {
		switch option {
		case "", "1", "TRUE":
			option = "ON"
		case "0", "FALSE":
			option = "OFF"
		}
		if p.LoadOption != option || (p.Status == "DISABLED") != (option == "OFF") {
			return said + ", want " + option
		}
		return ""
	}
	if p.Library == "" && known != nil && !slices.Contains(known.Plugins, p) {
		return said + ", not so in " + known.Version
	}
	return ""
}

// systemDefiner is the account, which nobody can use, of what MariaDB makes itself.
const systemDefiner = "mariadb.sys@localhost"

// Deviating says which objects in the databases of the server's own are not of the version.
// One that is missing runs nothing. exact means that the texts are compared too. A nil
// Baseline knows only as whom such objects run.
func (b *Baseline) Deviating(objects []Object, exact bool) []string {
	var all []string
	for _, o := range objects {
		if problem := b.problemOf(o, exact); problem != "" {
			all = append(all, problem)
		}
	}
	return all
}

func (b *Baseline) problemOf(o Object, exact bool) string {
	if b == nil {
		switch {
		case o.Kind != Table && o.Definer != systemDefiner:
			return o.String() + " of " + o.Definer
		case o.Kind == Event, o.Kind == Trigger && o.Schema == "mysql":
			return o.String() + ", which no version of MariaDB has"
		}
		return ""
	}
	at := slices.IndexFunc(b.Objects, func(k Object) bool { return k.Kind == o.Kind && k.Schema == o.Schema && k.Name == o.Name })
	switch {
	case at < 0:
		return o.String() + " is not of " + b.Version
	case b.Objects[at].Definer != o.Definer || b.Objects[at].Security != o.Security:
		return fmt.Sprintf("%s runs as %s (%s), want %s (%s)", o, o.Definer, o.Security, b.Objects[at].Definer, b.Objects[at].Security)
	case o.Kind == View && o.Digest == "": // whoever may not read a view does not see what it is
	case exact && b.Objects[at].Digest != o.Digest:
		return o.String() + " is not as in " + b.Version
	}
	return ""
}
