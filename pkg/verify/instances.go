package verify

import (
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/witness"
)

// several reports whether the release has more than one database, so that findings say
// which one they are about.
func (a *appraisal) several() bool { return a.promised.Architecture != topology.Single }

// about is the subject of a finding about a database, or about something there.
func (a *appraisal) about(i topology.Instance, what string) string {
	switch {
	case !a.several():
		return what
	case what == "":
		return i.Name
	}
	return i.Name + "/" + what
}

// followEach judges a link for each database: which there are, the record says.
func (a *appraisal) followEach(l link) check.Report {
	var all check.Report
	for _, i := range a.promised.Instances(topology.Database) {
		a.instance = i
		findings := a.judge(l, topology.Session{})
		if !findings.Verdict().Accepted() {
			a.unmet[l.ID+"/"+i.Name] = l.Unmet
		}
		for _, f := range findings {
			if f.Subject = a.about(i, f.Subject); a.several() {
				f.Title = i.Name + ": " + f.Title
			}
			all = append(all, f)
		}
	}
	a.instance = topology.Instance{}
	return all
}

// unmetBy is why what needs a link proves nothing, if the link is not accepted: of the
// database that is judged, where the link is about each.
func (a *appraisal) unmetBy(need string) (reason string, unmet bool) {
	if reason, unmet = a.unmet[need]; !unmet {
		reason, unmet = a.unmet[need+"/"+a.instance.Name]
	}
	return reason, unmet
}

// predicate is the statement that counts about the database that is judged.
func (a *appraisal) predicate() *evidence.Predicate { return a.predicates[a.instance.Name] }

// statement is what was fetched of the statement about the database that is judged.
func (a *appraisal) statement() evidence.Fetched[[]byte] {
	if !a.several() {
		return a.seen.Statement
	}
	if s, ok := a.seen.Statements[a.instance.Name]; ok {
		return s
	}
	if problem := a.seen.Statement.Why(); problem != "" { // why nobody was asked
		return a.seen.Statement
	}
	return evidence.Missing[[]byte]("nobody has asked " + a.instance.Name)
}

// worstAbout is the worst finding of a check about something at all databases; nil if one of
// them has none.
func (a *appraisal) worstAbout(found check.Report, id, what string) *check.Finding {
	var all check.Report
	for _, i := range a.promised.Instances(topology.Database) {
		f := findingAbout(found, id, a.about(i, what))
		if f == nil {
			return nil
		}
		all = append(all, *f)
	}
	if worst, ok := all.Obstacle(); ok {
		return &worst
	}
	return &all[0]
}

// beforeThem is what is not claimed of what stands before several databases.
func (a *appraisal) beforeThem() []evidence.Limitation {
	if !a.several() {
		return nil
	}
	all := []evidence.Limitation{
		{ID: "maxscale-not-asked", Text: "Nobody asked MaxScale's interface for administration what it does now: that it does what its session says rests on the session, on its pods, and on the key that CAS gives to that enclave alone. Whoever has the password of that interface, which only enclaves have, can change what it does until it starts anew."},
		{ID: "maxscale-any-certificate", Text: "Databases see MaxScale's certificate and not the client's: through MaxScale, an account is its password and any certificate of the session's CA."},
	}
	if a.promised.Applications.Masking != "" {
		all = append(all, evidence.Limitation{ID: "masking-is-obfuscation", Text: "Masking is obfuscation against accidents, not access control: msk-02 lists ways by which whoever may read a table gets what is masked in it." + a.kept()})
	}
	if a.promised.Architecture == topology.Sharded {
		return append(all, evidence.Limitation{ID: "shards-apart", Text: "Each database is on one shard, of which there is no copy: while that shard does not run, nobody reaches it. What one transaction writes on two shards is not written as a whole: a failure in between can leave one part."})
	}
	return append(all, evidence.Limitation{ID: "all-machines-stopped", Text: "Whoever stops all machines at once and starts the databases in the wrong order can make the newest acknowledged commits unreachable. The next verification notices if one lay between (data-01)."})
}

// kept says which accounts get at nothing that is masked.
func (a *appraisal) kept() string {
	if names := a.promised.Applications.MaskedAccounts; len(names) > 0 {
		return " Accounts that have no right on those tables, by the rights that are compared (acc-02): " + strings.Join(names, ", ") + "."
	}
	return " What keeps an account from a column is a view without it: {install --masked-account ACCOUNT}."
}

// judgePrimary asks that a mark was left in exactly one database: the others refuse what is
// written to them, as their settings say (set-01).
func judgePrimary(a *appraisal, l link, _ topology.Session) check.Report {
	f := check.Finding{ID: l.ID, Title: l.Title, Want: "one"}
	var written, unasked []string
	for _, i := range a.promised.Instances(topology.Database) {
		switch p := a.predicates[i.Name]; {
		case p == nil || p.Witness == nil || !p.Witness.Read:
			unasked = append(unasked, i.Name)
		case p.Witness.Written != witness.Mark{}:
			written = append(written, i.Name)
		}
	}
	f.Got = strings.Join(written, " and ")
	switch {
	case len(written) > 1:
		f.Outcome, f.Reason = check.Fail, "each of them has taken a mark: what is written to one is not in the other"
		f.Hint = "Stop all but the one that has everything; which that is, the positions in their histories say (gtid_binlog_pos)."
	case len(unasked) > 0:
		f.Reason, f.Hint = "not known of "+strings.Join(unasked, " and "), "See "+probeStatement+" and data-01 of them."
	case len(written) == 0:
		f.Got, f.Reason = "none", "no database has taken a mark: while no other one is made the primary, or none can be, all are read only"
		f.Hint = "{verify} again in some seconds; then look at what MaxScale and its keeper log."
	default:
		f.Outcome, f.Reason = check.Pass, fmt.Sprintf("%d others took none", len(a.promised.Instances(topology.Database))-1)
	}
	return check.Report{f}
}
