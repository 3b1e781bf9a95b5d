package mariadb

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/promise"
)

// granted is who may do what, as it is compared.
type granted ask.Granted

// promised says why the promise cannot be compared with; empty if it can.
func (o *Observation) unpromised() string {
	switch p := o.target.Promise; {
	case p == nil:
		return "the session of the attested client does not say what was promised"
	case len(p.Unclear) > 0:
		return "not understood in the session of the database: " + briefly(p.Unclear)
	}
	return ""
}

// unpromisedHere is a skip for want of a promise.
func unpromisedHere(reason string) conclusion {
	return conclusion{reason: reason, hint: "{explain acc-04} says what the templates of the sessions must hold."}
}

// decideRights compares accounts and rights, in memory and in tables, with the promise.
func decideRights(o *Observation) conclusion {
	if err := o.answers.Granted.Err; err != nil {
		return unproven(err)
	}
	found := granted(o.answers.Granted.Value)
	reason := o.unpromised()
	var deviations []string
	if reason != "" {
		deviations = found.disagreements()
	} else {
		deviations = found.deviations(o.expected())
	}
	if len(deviations) == 0 && reason != "" {
		return unpromisedHere(reason)
	}
	return noneOf(deviations, "exactly the accounts and rights of the session, in memory and in the tables", fmt.Sprintf("%d accounts and roles", len(found.Memory)))
}

// expected are the promised accounts, with what is stored of the passwords that the asker knows.
func (o *Observation) expected() accounts {
	all := slices.Clone(accounts(o.target.Promise.Accounts))
	for i := range all {
		all[i].Methods = slices.Clone(all[i].Methods)
		for j := range all[i].Methods {
			m := &all[i].Methods[j]
			if m.Written != "" {
				m.Stored = promise.Hidden(m.Written)
			}
			if password, known := o.target.Passwords[m.Secret]; known && m.Secret != "" && m.Plugin == promise.NativePlugin {
				m.Stored = promise.NativeHash(password)
			}
		}
	}
	return all
}

// deviations are all differences to what is expected. What is the same in memory and in
// the tables is said once.
func (g *granted) deviations(want accounts) []string {
	inMemory, inTables := differences(want, g.Memory), differences(want, g.Tables)
	var all []string
	for _, d := range inMemory {
		if !slices.Contains(inTables, d) {
			d += " (in memory)"
		}
		all = append(all, d)
	}
	for _, d := range inTables {
		if !slices.Contains(inMemory, d) {
			all = append(all, d+" (in the tables)")
		}
	}
	for _, ghost := range g.Ghosts {
		all = append(all, "account "+ghost+" is not of the session (in memory)")
	}
	if len(all) > 0 {
		return append(all, g.Unreadable...) // whatever else memory and tables disagree on follows from that
	}
	return g.disagreements()
}

// disagreements are what is wrong without knowing any promise.
func (g *granted) disagreements() []string {
	all := slices.Clone(g.Unreadable)
	for _, ghost := range g.Ghosts {
		all = append(all, "account "+ghost+" is in memory and in no table")
	}
	for i := range g.Tables {
		table := &g.Tables[i]
		memory := g.Memory.Find(table.Name)
		if memory == nil {
			if !empty(table) {
				all = append(all, table.Name.String()+" is in the tables and not in memory")
			}
			continue
		}
		for _, d := range table.Differences(memory) {
			all = append(all, "memory and tables disagree: "+d)
		}
	}
	for _, memory := range g.Memory {
		if g.Tables.Find(memory.Name) == nil && !empty(&memory) {
			all = append(all, memory.Name.String()+" is in memory and in no table")
		}
	}
	return all
}

// empty reports whether a is PUBLIC without any right, which is as if there were none.
func empty(a *account) bool {
	return a.Role && a.Name.User == promise.Public && len(a.Rights) == 0
}

// differences are those between two lists of accounts.
func differences(want, got accounts) []string {
	var all []string
	for i := range got {
		if promised := want.Find(got[i].Name); promised != nil {
			all = append(all, promised.Differences(&got[i])...)
		} else if !empty(&got[i]) {
			all = append(all, got[i].Name.String()+" is not of the session")
		}
	}
	for _, a := range want {
		if got.Find(a.Name) == nil && !empty(&a) {
			all = append(all, a.Name.String()+" is missing")
		}
	}
	return all
}

// blind says which of the privileges on everything the asker's account lacks without which
// the server leaves rows out of its answers and says nothing; empty if it has them.
func (o *Observation) blind(privileges ...string) string {
	if err := o.answers.Granted.Err; err != nil {
		return err.Error()
	}
	for _, a := range o.answers.Granted.Value.Memory {
		if a.Name.User != o.target.Account {
			continue
		}
		for _, privilege := range privileges {
			if !slices.ContainsFunc(a.Rights, func(r promise.Right) bool {
				return r.Kind == promise.Global && (r.Privilege == privilege || r.Privilege == promise.All)
			}) {
				return fmt.Sprintf("%s may not see everything: it lacks %s", a.Name, privilege)
			}
		}
		return ""
	}
	return fmt.Sprintf("the rights of %q are not known", o.target.Account)
}

// ofAccounts decides on the accounts in the tables. A list in which the asker's own account
// is not cannot be the whole list.
func (o *Observation) ofAccounts(decide func(accounts) conclusion) conclusion {
	if err := o.answers.Granted.Err; err != nil {
		return unproven(err)
	}
	found := o.answers.Granted.Value
	if !known(found.Tables, o.target.Account) {
		return skipped(fmt.Sprintf("the list of accounts does not hold %q, with which it was asked for", o.target.Account))
	}
	decided := decide(found.Tables)
	if decided.outcome == check.Pass && len(found.Unreadable) > 0 {
		return skipped(briefly(found.Unreadable))
	}
	return decided
}
