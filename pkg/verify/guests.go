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
	if wrong := slices.Concat(misled(a.promised, parsed), published(parsed), handedOn(a.promised)); len(wrong) > 0 {
		finding = check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Fail, Got: strings.Join(wrong, "; "), Want: "each only to the session of its client", Reason: "somebody else gets what opens the database", Hint: "Find out who changed the session of the database."}
	}
	report := check.Report{finding}
	for _, g := range guests {
		if g.Outside != nil {
			continue // see guests-outside
		}
		if outcome, problem := otherwise(a.promised, g.Client); outcome != check.Pass {
			report = append(report, check.Finding{ID: l.ID, Subject: g.Client, Outcome: outcome, Title: "the client " + g.Client + " is who was promised", Reason: problem, Hint: "{client update} makes its session again, and {platforms apply} ends a change of machines."})
			continue
		}
		report = append(report, check.Finding{ID: l.ID, Subject: g.Client, Outcome: check.Pass, Title: fmt.Sprintf("the client %s may come in: %s, as %s", g.Client, g.Who, asWhom(g))})
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

// misled are the exports of keys, certificates and passwords that go to a client that they
// are not of, and all of the key that signs certificates. Ours gets passwords, to compare
// them, and besides all that is of no client.
func misled(r *topology.Release, database *session.Session) []string {
	ours, of := r.Session(topology.Client).Name, ownersOf(r)
	var signing, all []string
	for _, secret := range database.Secrets {
		if secret.Kind == session.X509CA {
			signing = append(signing, secret.PrivateKey)
		}
	}
	for _, secret := range database.Secrets {
		owner, password := of[secret.Name], strings.HasSuffix(secret.Name, "_password")
		for _, export := range secret.Exports {
			to := database.Resolve(export.Session)
			here := !export.Remote() && export.Namespace == ""
			var expected bool
			switch {
			case slices.Contains(signing, secret.Name):
			case owner != nil:
				expected = here && (to == owner.session && to != "" || password && to == ours)
			case secret.Kind == session.PrivateKey || secret.Kind == session.X509 || password:
				expected = !here || !isApplication(r, to) // what goes out of the release is named elsewhere
			default:
				expected = true
			}
			if !expected {
				all = append(all, fmt.Sprintf("%s%s to %s", secret.Name, owner.said(), check.Said(cmp.Or(export.Namespace, export.CASURL, to))))
			}
		}
	}
	return all
}

// owner is the client that an account belongs to, and its session; empty if it is not
// admitted.
type owner struct{ client, session string }

func (o *owner) said() string {
	if o == nil {
		return ""
	}
	return " of the client " + o.client
}

// ownersOf are the clients of all accounts, by the name of what they log in with.
func ownersOf(r *topology.Release) map[string]*owner {
	of := map[string]*owner{}
	note := func(guests []topology.Guest, admitted bool) {
		for _, g := range guests {
			o := &owner{client: g.Client}
			if admitted {
				o.session = r.Session(topology.ApplicationRole(g.Client)).Name
			}
			for _, account := range g.Accounts {
				of[account.Identity], of[account.Identity+"_key"], of[account.Identity+"_password"] = o, o, o
			}
		}
	}
	if admitted, err := r.Applications.Guests(); err == nil {
		note(admitted, true)
	}
	if absent, err := r.Applications.Absent(); err == nil {
		note(absent, false)
	}
	return of
}

// isApplication reports whether a session is that of a client of the user's own, also of one
// that is gone.
func isApplication(r *topology.Release, name string) bool {
	return slices.ContainsFunc(r.Members, func(m topology.Member) bool { return m.Role.Application() != "" && m.Session.Name == name })
}

// published are secrets that CAS tells everybody. Of certificates and private keys that is
// the public part.
func published(database *session.Session) []string {
	var all []string
	for _, secret := range database.Secrets {
		if secret.ExportPublic && !slices.Contains([]session.Kind{session.X509CA, session.X509, session.PrivateKey}, secret.Kind) {
			all = append(all, secret.Name+" to everybody")
		}
	}
	return all
}

// handedOn are secrets that a session of the release has from another one and gives to a
// third, or to everybody.
func handedOn(r *topology.Release) []string {
	var all []string
	for _, m := range r.Members {
		if m.Role != topology.Client && m.Role.Application() == "" {
			continue
		}
		parsed, _, err := r.Parsed(m.Session.Name)
		if err != nil {
			continue // its own link says so
		}
		for _, secret := range parsed.Secrets {
			if secret.Import != nil && (len(secret.Exports) > 0 || secret.ExportPublic) && secret.Kind != session.X509CA {
				all = append(all, fmt.Sprintf("%s from the session %s to others", secret.Name, m.Session.Name))
			}
		}
	}
	return all
}
