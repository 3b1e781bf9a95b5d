package verify

import (
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/witness"
)

// judgeMark asks whether the database holds the mark of the user's last verification.
func judgeMark(a *appraisal, l link, _ topology.Session) check.Report {
	seen := a.predicate().Witness
	j := a.seen.Demand.Judge(seen, a.seen.At)
	if left, at := a.left(); a.several() && at != "" && at != a.instance.Name {
		j = a.seen.Demand.JudgeCopy(seen, left)
	}
	if j.Next != nil {
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
		known = *a.line
	}
	var all []evidence.Limitation
	for _, r := range known.Restores {
		all = append(all, evidence.Limitation{ID: "accepted-restore", Text: r.String()})
	}
	return all
}
