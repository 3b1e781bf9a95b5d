package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// judgeApplication is judgeStrength for the session of a client of the user's own. One of a
// client that was sent away gives nothing, so it demands nothing.
func judgeApplication(a *appraisal, l link, promised topology.Session) check.Report {
	parsed, _, err := a.promised.Parsed(promised.Name)
	if err == nil && len(parsed.Services)+len(parsed.Secrets) == 0 {
		return nil
	}
	return judgeStrength(a, l, promised)
}

// judgeGuests reads from the session of the database, as it was created, to which sessions
// it exports what opens the database, and says who may come in.
func judgeGuests(a *appraisal, l link, _ topology.Session) check.Report {
	database := a.promised.Session(topology.Database)
	parsed, _, err := a.promised.Parsed(database.Name)
	if err != nil {
		return check.Report{skipped(l.ID, l.Title, err.Error(), "Restore the record of this release.")}
	}
	finding := check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Pass}
	if others := strangers(a.promised, parsed); len(others) > 0 {
		finding.Outcome, finding.Got, finding.Want = check.Warn, strings.Join(others, "; "), "exports to the sessions of this release only"
		finding.Reason = "the session of the database, a template of your own, exports to sessions of which this release knows nothing"
		finding.Hint = "Let a client be one of the release ({client add}), or take the export out of your template."
	}
	guests, err := a.promised.Applications.Guests()
	if err != nil {
		return check.Report{skipped(l.ID, l.Title, err.Error(), "Restore the record of this release.")}
	}
	if wrong := misled(a.promised, guests, parsed); len(wrong) > 0 {
		finding = check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Fail, Got: strings.Join(wrong, "; "), Want: "each only to the session of its client", Reason: "another client gets what it could log in with", Hint: "Find out who changed the session of the database."}
	}
	report := check.Report{finding}
	for _, g := range guests {
		report = append(report, check.Finding{ID: l.ID, Outcome: check.Pass, Title: fmt.Sprintf("the client %s may come in: %s, as %s", g.Client, g.Who, asWhom(g))})
	}
	if a.promised.Changing != nil {
		report = append(report, skipped(l.ID, "what was begun to change for your own clients is done", "a change of clients or accounts has not come to its end, so that the database may still have the accounts of before", "Run the command that began it again: {install}, or {client add}."))
	}
	return report
}

func asWhom(g topology.Guest) string {
	var all []string
	for _, account := range g.Accounts {
		all = append(all, fmt.Sprintf("the account %q (%s)", account.Name, account.Rights))
	}
	return strings.Join(all, " and ")
}

// strangers are the exports of a session that go to no session of the release.
func strangers(r *topology.Release, database *session.Session) []string {
	var all []string
	for _, secret := range database.Secrets {
		for _, export := range secret.Exports {
			to := database.Resolve(export.Session)
			if export.Remote() || export.Namespace != "" || !slices.ContainsFunc(r.Members, func(m topology.Member) bool { return m.Session.Name == to }) {
				all = append(all, fmt.Sprintf("%s to %s", secret.Name, check.Said(cmp.Or(export.Namespace, to))))
			}
		}
	}
	return all
}

// misled are the exports of what an account of a client logs in with that go to another
// client. Ours gets passwords, to compare them.
func misled(r *topology.Release, guests []topology.Guest, database *session.Session) []string {
	var all []string
	for _, g := range guests {
		own := r.Session(topology.ApplicationRole(g.Client)).Name
		for _, account := range g.Accounts {
			for _, secret := range database.Secrets {
				rest, of := strings.CutPrefix(secret.Name, account.Identity)
				if !of || rest != "" && rest != "_key" && rest != "_password" {
					continue
				}
				for _, export := range secret.Exports {
					if to := database.Resolve(export.Session); to != own && !(rest == "_password" && to == r.Session(topology.Client).Name) {
						all = append(all, fmt.Sprintf("%s of the client %s to %s", secret.Name, g.Client, check.Said(to)))
					}
				}
			}
		}
	}
	return all
}
