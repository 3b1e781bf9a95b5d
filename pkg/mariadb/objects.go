package mariadb

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/baseline"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/promise"
)

type (
	plugin = baseline.Plugin
	object = baseline.Object
)

// decidePlugins compares the plugins with those of the version and of the session.
func decidePlugins(o *Observation) conclusion {
	if err := errors.Join(o.answers.Plugins.Err, o.answers.Variables.Err, o.answers.Loadable.Err, o.answers.Session.Err); err != nil {
		return unproven(err)
	}
	if reason := o.unpromised(); reason != "" {
		return unpromisedHere(reason)
	}
	want := baseline.Expect(o.target.Promise.Settings, o.answers.Variables.Value, o.answers.Plugins.Value)
	known, _ := baseline.Of(o.answers.Session.Value.Version)
	deviations := want.Plugins(o.answers.Plugins.Value, known)
	found := o.answers.Loadable.Value
	for _, name := range found.Names {
		deviations = append(deviations, name+" is loaded at the next start")
	}
	if found.Made != "0" {
		deviations = append(deviations, found.Made+" functions of libraries were made since the start; the server does not list those that it has")
	}
	if found.Installed != "0" {
		deviations = append(deviations, found.Installed+" plugins were loaded since the start: what their code did stays, also when they are gone")
	}
	reason := fmt.Sprintf("%d plugins", len(o.answers.Plugins.Value))
	if known == nil {
		reason += "; those that are built into this version are not known"
	}
	return noneOf(deviations, "the plugins of this version and of the session, each as the session sets it", reason)
}

// decideNeighbours asks that nobody is connected, replicates or is replicated from but whom
// the session names: nobody, where the database is alone.
func decideNeighbours(o *Observation) conclusion {
	if err := o.answers.Neighbours.Err; err != nil {
		return unproven(err)
	}
	found := o.answers.Neighbours.Value
	var deviations []string
	if o.several() != nil {
		deviations = o.foreignNeighbours()
	} else {
		for _, s := range found.Sources {
			deviations = append(deviations, "replicates from "+s)
		}
		for _, r := range found.Replicas {
			deviations = append(deviations, "is replicated by "+r)
		}
	}
	for _, s := range found.Servers {
		deviations = append(deviations, fmt.Sprintf("server %q", s))
	}
	reason := cmp.Or(o.unpromised(), o.blind("PROCESS"))
	if reason == "" {
		deviations = append(deviations, o.strangers()...)
	}
	if err := o.answers.Replication.Err; o.several() != nil && err != nil {
		reason = cmp.Or(reason, err.Error())
	}
	if len(deviations) == 0 && reason != "" {
		return skipped(reason)
	}
	want := "no replication, no other server, and connections of the session's accounts only"
	if o.several() != nil {
		want = "replication with the session's other databases, no other server, and connections of the session's accounts only"
	}
	return noneOf(deviations, want, fmt.Sprintf("%d connections", len(found.Users)))
}

// strangers are connections that are of none of the session's accounts: an account that was
// dropped keeps what it may do for as long as it is connected.
func (o *Observation) strangers() []string {
	var own []string
	for _, a := range o.target.Promise.Accounts {
		own = append(own, a.Name.User)
	}
	var all []string
	for _, user := range o.answers.Neighbours.Value.Users {
		if !slices.Contains(own, user) {
			all = append(all, fmt.Sprintf("a connection of %q, which is no account of the session", user))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// decideObjects asks that what runs by itself or with somebody else's rights is of the
// version or of the application.
func decideObjects(o *Observation) conclusion {
	if err := errors.Join(o.answers.Objects.Err, o.answers.Session.Err); err != nil {
		return unproven(err)
	}
	if reason := o.unpromised(); reason != "" {
		return unpromisedHere(reason)
	}
	found := o.answers.Objects.Value
	known, exact := baseline.Of(o.answers.Session.Value.Version)
	deviations := known.Deviating(found.System, exact)
	for _, one := range found.Others {
		if problem := o.definerProblem(one); problem != "" {
			deviations = append(deviations, one.String()+problem)
		}
	}
	deviations = append(deviations, o.databaseProblems(found.Databases)...)
	for _, file := range found.Outside {
		deviations = append(deviations, "data outside the data directory: "+file)
	}
	if reason := o.blind("TRIGGER", "SHOW VIEW"); len(deviations) == 0 && reason != "" {
		return skipped(reason)
	}
	reason := fmt.Sprintf("%d objects", len(found.System)+len(found.Others))
	switch {
	case known == nil:
		reason += "; those of this version are not known, and judged by their definer alone"
	case !exact:
		reason += "; they are those of " + known.Version + ", and their texts are not compared"
	}
	return noneOf(deviations, "objects of this version, and of accounts that may have made them", reason)
}

// definerProblem asks whether the definer of an object may have made it. The asker's own
// account makes nothing.
func (o *Observation) definerProblem(one object) string {
	needs := map[string]string{baseline.View: "CREATE VIEW", baseline.Trigger: "TRIGGER", baseline.Event: "EVENT"}[one.Kind]
	if needs == "" {
		needs = "CREATE ROUTINE"
	}
	at := strings.LastIndexByte(one.Definer, '@')
	if at < 0 {
		return fmt.Sprintf(" runs as %q", one.Definer)
	}
	name := promise.Name{User: one.Definer[:at], Host: one.Definer[at+1:]}
	account := o.target.Promise.Account(name)
	switch {
	case account == nil:
		return " runs as " + name.String() + ", which is no account of the session"
	case name.User == o.target.Account || !account.Has(needs, one.Schema, one.Name):
		return " runs as " + name.String() + ", which cannot have made it"
	}
	return ""
}

// databaseProblems says in which way the databases are not those of the session.
func (o *Observation) databaseProblems(found []promise.Database) []string {
	var all []string
	for _, d := range found {
		if !ask.IsSystem(d.Name) && d.Name != lostAndFound && !o.mayExist(d.Name) {
			all = append(all, fmt.Sprintf("database %q: the session does not make it, and none of its accounts may", d.Name))
		}
	}
	for _, want := range o.target.Promise.Databases {
		at := slices.IndexFunc(found, func(d promise.Database) bool { return d.Name == want.Name })
		switch {
		case at < 0:
			all = append(all, fmt.Sprintf("database %q: the session makes it, and it is not there", want.Name))
		case want.CharacterSet != "" && want.CharacterSet != found[at].CharacterSet:
			all = append(all, fmt.Sprintf("database %q: character set %s, want %s", want.Name, found[at].CharacterSet, want.CharacterSet))
		case want.Collation != "" && want.Collation != found[at].Collation:
			all = append(all, fmt.Sprintf("database %q: collation %s, want %s", want.Name, found[at].Collation, want.Collation))
		}
	}
	return all
}

// lostAndFound is how MariaDB calls a folder that file systems have at their root.
const lostAndFound = "#mysql50#lost+found"

// mayExist reports whether the session makes a database, or gives an account the right to.
func (o *Observation) mayExist(database string) bool {
	return slices.ContainsFunc(o.target.Promise.Databases, func(d promise.Database) bool { return d.Name == database }) ||
		slices.ContainsFunc(o.target.Promise.Accounts, func(a promise.Account) bool { return a.Has("CREATE", database, "") })
}
