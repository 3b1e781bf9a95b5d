package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
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
		if outcome, problem := otherwise(a.promised, g.Client); outcome != check.Pass {
			report = append(report, check.Finding{ID: l.ID, Outcome: outcome, Title: "the client " + g.Client + " is who was promised", Reason: problem, Hint: "{client update} makes its session again, and {platforms apply} ends a change of machines."})
			continue
		}
		report = append(report, check.Finding{ID: l.ID, Outcome: check.Pass, Title: fmt.Sprintf("the client %s may come in: %s, as %s", g.Client, g.Who, asWhom(g))})
	}
	if a.promised.Changing != nil {
		report = append(report, skipped(l.ID, "what was begun to change for your own clients is done", "a change of clients or accounts has not come to its end, so that the database may still have the accounts of before", "Run the command that began it again: {install}, or {client add}."))
	}
	return report
}

// otherwise says in which way the session of a client, as it was created, admits others than
// the list of guests names. A change of the release's machines may be under way: those are
// unproven.
func otherwise(r *topology.Release, client string) (check.Outcome, string) {
	promised := r.Applications.Find(client)
	parsed, _, err := r.Parsed(r.Session(topology.ApplicationRole(client)).Name)
	switch {
	case err != nil:
		return check.Skip, "its session: " + err.Error()
	case len(parsed.Services) != 1 || len(parsed.Services[0].Attestation) != 1 || parsed.Services[0].Name != client:
		return check.Fail, "its session does not have one service, of its name, with one set of enclaves"
	}
	service, machines, outcome := parsed.Services[0], promised.Platforms, check.Fail
	if len(machines) == 0 {
		machines, outcome = r.Platforms, check.Skip
	}
	sorted := func(all []attest.PlatformID) []attest.PlatformID {
		return slices.SortedFunc(slices.Values(all), attest.PlatformID.Compare)
	}
	switch enclaves := service.Attestation[0]; {
	case !slices.Equal(enclaves.MRENCLAVEs, promised.MRENCLAVEs) || len(enclaves.MRENCLAVEFragments) > 0 || enclaves.Fragment != "" || !sameSigner(enclaves.Signer, promised.Signer):
		return check.Fail, "its session admits other enclaves"
	case !slices.Equal(sorted(service.Platforms), sorted(machines)) || len(service.PlatformSecrets) > 0:
		return outcome, "its session admits other machines"
	}
	return check.Pass, ""
}

func sameSigner(got *session.Signer, want *attest.SignerReference) bool {
	if got == nil || want == nil {
		return got == nil && want == nil
	}
	return got.Fragment == "" && got.MRSIGNER == want.MRSIGNER && got.ISVProdID == want.ISVProdID && got.MinISVSVN == want.MinISVSVN
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
					to := database.Resolve(export.Session)
					expected := to == own || rest == "_password" && to == r.Session(topology.Client).Name
					if !expected || export.Remote() || export.Namespace != "" {
						all = append(all, fmt.Sprintf("%s of the client %s to %s", secret.Name, g.Client, check.Said(cmp.Or(export.Namespace, export.CASURL, to))))
					}
				}
			}
		}
	}
	return all
}
