package verify

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// judgeHistory asks whether a database keeps what it knows of the one that it follows, which
// is the password of that account in clear, and what it gets from there, on volumes of the
// session: both are below datadir, or where options of the server say.
func judgeHistory(a *appraisal, l link, _ topology.Session) check.Report {
	promised := a.promised.Session(topology.Database)
	parsed, err := session.Parse(promised.Name, []byte(promised.Text))
	if err != nil {
		return check.Report{skipped(l.ID, l.Title, err.Error(), "Restore the record of this release.")}
	}
	parsed.Services = slices.DeleteFunc(parsed.Services, func(s session.Service) bool {
		return s.Name != a.instance.Service && s.Name != a.instance.ServiceOf(topology.ServiceCold)
	})
	finding, _ := a.onVolumes(l, parsed)
	return check.Report{finding}
}

// place is the last commit of a domain that a database has: a number that grows, and the
// database in which that commit was made. In one history no number is there twice.
type place struct{ server, commit uint64 }

// places reads gtid_binlog_pos or gtid_slave_pos, by domain.
func places(text string) (map[string]place, error) {
	all := map[string]place{}
	for one := range strings.SplitSeq(text, ",") {
		if text == "" {
			break
		}
		parts := strings.Split(one, "-")
		if len(parts) != 3 {
			return nil, fmt.Errorf("the place %.80q: want numbers of domain, server and commit", one)
		}
		server, err := strconv.ParseUint(parts[1], 10, 32)
		commit, wrong := strconv.ParseUint(parts[2], 10, 64)
		if _, twice := all[parts[0]]; err != nil || wrong != nil || twice {
			return nil, fmt.Errorf("the place %.80q: want numbers, and each domain once", one)
		}
		all[parts[0]] = place{server, commit}
	}
	return all, nil
}

// judgePlaces compares how far each database is with the primary, of whose statement the one
// about the others is known to be later: they were asked for the mark that it took. What the
// primary had then, a replica must have, and nothing of its own; and no two databases may
// have different commits at one place.
func judgePlaces(a *appraisal, l link, _ topology.Session) check.Report {
	f := check.Finding{ID: l.ID, Title: l.Title}
	own := a.predicate()
	left, primary := a.left()
	switch {
	case own.Replication == nil:
		f.Reason, f.Hint = "it does not say how far it is", "See rep-01."
	case primary == "":
		f.Reason, f.Hint = "it is not known which database is the primary", "See rep-05."
	case a.predicates[primary].Replication == nil:
		f.Reason, f.Hint = primary+", which is the primary, does not say how far it is", "See rep-01 of "+primary+"."
	case primary == a.instance.Name:
		f.Outcome, f.Got = check.Pass, own.Replication.End.Written
		f.Reason = "it is the primary, with which the others are compared"
	case own.Witness == nil || own.Witness.Asked != left.Digest:
		f.Reason, f.Hint = "it was not asked after "+primary+", which is the primary", "{verify} again."
	default:
		a.follows(&f, primary, own.Replication, a.predicates[primary].Replication)
	}
	if conflict := a.conflict(own.Replication, primary); conflict != "" {
		f.Outcome, f.Got, f.Reason = check.Fail, own.Replication.End.Written, conflict
	}
	if f.Outcome == check.Fail {
		f.Hint = "Compare its data with that of the primary before anybody changes the primary; then seed it anew: {explain rep-04} says how."
	}
	return check.Report{f}
}

// follows judges a replica by what the primary had before it was asked.
func (a *appraisal) follows(f *check.Finding, primary string, replica, of *evidence.Replication) {
	const again = "{verify} again; if it stays so, see rep-01 and rep-02."
	had, err := places(of.End.Written)
	applied, wrong := places(replica.End.Applied)
	written, worse := places(replica.End.Written)
	f.Got, f.Want = replica.End.Applied, "at least "+of.End.Written+", from there"
	switch changed := replica.Changed + of.Changed; {
	case err != nil || wrong != nil || worse != nil || len(had) == 0:
		f.Reason, f.Hint = "how far it and "+primary+" are could not be read", again
		return
	case changed != "" || replica.End.Role != promise.Replica || of.End.Role != promise.Primary:
		f.Reason, f.Hint = "what it or "+primary+" is changed meanwhile, or is not settled", again
		return
	case replica.End.SourceID != of.End.ServerID:
		f.Reason, f.Hint = fmt.Sprintf("it follows %q, and %s is written to", replica.End.SourceHost, primary), again
		return
	}
	for _, domain := range slices.Sorted(maps.Keys(written)) {
		if _, known := had[domain]; !known {
			f.Outcome, f.Got, f.Reason = check.Fail, replica.End.Written, "it has commits of a domain of which the primary has none: "+domain
			return
		}
	}
	for _, domain := range slices.Sorted(maps.Keys(had)) {
		switch last := had[domain].commit; {
		case applied[domain].commit < last:
			f.Reason, f.Hint = fmt.Sprintf("it is behind: it lacked %d commits that the primary had before it was asked", last-applied[domain].commit), again
			return
		case written[domain].commit > applied[domain].commit && written[domain].server == uint64(replica.End.ServerID):
			f.Outcome, f.Got, f.Reason = check.Fail, replica.End.Written, "it has commits of its own, which the primary lacks"
			return
		}
	}
	f.Outcome, f.Reason = check.Pass, "it has all that "+primary+" had before it was asked, and nothing else"
}

// conflict says at which place of a history a database has another commit than another one,
// at whatever moment each was asked; empty if at none. Of the primary and another one, the
// other one is named.
func (a *appraisal) conflict(own *evidence.Replication, primary string) string {
	if own == nil || a.instance.Name == primary {
		return ""
	}
	for _, i := range a.promised.Instances(topology.Database) {
		other := a.predicates[i.Name]
		if other == nil || other.Replication == nil || i.Name == a.instance.Name {
			continue
		}
		for _, mine := range moments(own) {
			for _, its := range moments(other.Replication) {
				for domain, one := range mine {
					if same, both := its[domain]; both && same.commit == one.commit && same.server != one.server {
						return fmt.Sprintf("its commit %s-%d-%d is not that of %s, which is %s-%d-%d: their histories differ", domain, one.server, one.commit, i.Name, domain, same.server, same.commit)
					}
				}
			}
		}
	}
	return ""
}

// moments are how far a database was, each time that it said so in a form that can be read.
func moments(of *evidence.Replication) []map[string]place {
	var all []map[string]place
	for _, text := range []string{of.Begin.Written, of.Begin.Applied, of.End.Written, of.End.Applied} {
		if one, err := places(text); err == nil {
			all = append(all, one)
		}
	}
	return all
}
