package verify

import (
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/witness"
)

// judgeMark asks whether the database holds the mark of the user's last verification.
func judgeMark(a *appraisal, l link, _ topology.Session) check.Report {
	seen, demand := a.predicate().Witness, a.seen.Demand
	if a.promised.Architecture == topology.Sharded {
		demand = demand.Of(a.instance.Name)
	}
	j := demand.Judge(seen, a.seen.At)
	if left, at := a.left(); a.promised.Architecture == topology.Replicated && at != "" && at != a.instance.Name {
		j = demand.JudgeCopy(seen, left)
	}
	switch {
	case j.Next == nil: // nothing was learned
	case a.promised.Architecture == topology.Sharded:
		if a.line == nil {
			a.line = &witness.Line{Shards: map[string]witness.Line{}}
		}
		a.line.Shards[a.instance.Name] = *j.Next
	default:
		a.line = j.Next
	}
	return check.Report{{ID: l.ID, Title: l.Title, Outcome: j.Outcome, Got: j.Got, Want: j.Want, Reason: j.Reason, Hint: strings.ReplaceAll(j.Hint, "NAME", a.promised.Name)}}
}

// left is the mark that the only one of several databases has taken in this run, and the name
// of that one; empty if it is not exactly one.
func (a *appraisal) left() (left witness.Mark, at string) {
	for name, said := range a.predicates {
		switch {
		case said.Witness == nil || said.Witness.Written == witness.Mark{}:
		case at != "":
			return witness.Mark{}, ""
		default:
			left, at = said.Witness.Written, name
		}
	}
	return left, at
}

// restores are what the user has accepted: that the database is an older one, or another.
func (a *appraisal) restores() []evidence.Limitation {
	known := a.seen.Demand.Line
	if a.line != nil {
		known = known.Advance(*a.line)
	}
	var all []evidence.Limitation
	for _, r := range known.Restores {
		all = append(all, evidence.Limitation{ID: "accepted-restore", Text: r.String()})
	}
	for _, name := range slices.Sorted(maps.Keys(known.Shards)) {
		for _, r := range known.Shards[name].Restores {
			all = append(all, evidence.Limitation{ID: "accepted-restore", Text: name + ": " + r.String()})
		}
	}
	return all
}
