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
	if a.several() && seen != nil && seen.Written == (witness.Mark{}) {
		j = a.seen.Demand.JudgeCopy(seen, a.seen.At)
	}
	if j.Next != nil {
		a.line = j.Next
	}
	return check.Report{{ID: l.ID, Title: l.Title, Outcome: j.Outcome, Got: j.Got, Want: j.Want, Reason: j.Reason, Hint: strings.ReplaceAll(j.Hint, "NAME", a.promised.Name)}}
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
