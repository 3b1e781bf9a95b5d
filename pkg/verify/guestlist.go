package verify

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// Guest is a client of the user's own, as one verification has seen it.
type Guest struct {
	Client string `json:"client"`
	// Admitted is false for one whose accounts are locked, as nobody may be it.
	Admitted bool `json:"admitted"`
	// Proven means that everything on which this entry rests was accepted: the CAS, the
	// sessions, the statement of the attested client, and what was tried as the accounts.
	Proven bool `json:"proven"`
	// Who says in words which enclaves may be it, and where; MRENCLAVEs, Signer and Platforms
	// say it as values. All are empty for one that is not admitted or is outside of enclaves.
	Who        string   `json:"who"`
	MRENCLAVEs []string `json:"mrenclaves"`
	Signer     string   `json:"signer"`
	Platforms  []string `json:"platforms"`
	// Outside is nil for a client that is an enclave.
	Outside  *Outside       `json:"outside"`
	Accounts []GuestAccount `json:"accounts"`
}

// Outside says of a client that is no enclave why that is, and when it ends.
type Outside struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

// GuestAccount is an account of a client.
type GuestAccount struct {
	topology.GuestAccount
	// Until says how long the certificate that the account demands is valid.
	Until string `json:"until"`
	// Tried is what was tried as the account, with its name and password.
	Tried []Tried `json:"tried"`
}

// Tried is a certificate with which the account must not open. Refused is a pass.
type Tried struct {
	Certificate string        `json:"certificate"`
	Outcome     check.Outcome `json:"outcome"`
	Reason      string        `json:"reason"`
}

// kindsTried are what is tried as an account of a client that is admitted, and of one that
// is not, by the check that says how it ended.
func kindsTried(admitted bool) [][2]string {
	if !admitted {
		return [][2]string{{"acc-05", "certificate of another client"}}
	}
	return [][2]string{{"mtls-07", "certificate of another CA"}, {"mtls-08", "expired certificate"}, {"mtls-09", "certificate of another client"}}
}

// guestList says who may come in, from what was promised and what was found.
func (a *appraisal) guestList(found check.Report) []Guest {
	var all []Guest
	for admitted, guests := range a.promisedGuests() {
		for _, g := range guests {
			all = append(all, a.guest(g, admitted, found))
		}
	}
	return all
}

// promisedGuests are the clients that are admitted, and then those that are not. Where the
// record cannot be read there are none, which the link guests says.
func (a *appraisal) promisedGuests() iter.Seq2[bool, []topology.Guest] {
	return func(yield func(bool, []topology.Guest) bool) {
		admitted, err := a.promised.Applications.Guests()
		if err != nil || !yield(true, admitted) {
			return
		}
		if absent, err := a.promised.Applications.Absent(); err == nil {
			yield(false, absent)
		}
	}
}

func (a *appraisal) guest(promised topology.Guest, admitted bool, found check.Report) Guest {
	g := Guest{Client: promised.Client, Admitted: admitted, Who: promised.Who, Proven: a.provesGuests(found, promised), MRENCLAVEs: []string{}, Platforms: []string{}}
	if c := a.promised.Applications.Find(promised.Client); c != nil {
		for _, m := range c.MRENCLAVEs {
			g.MRENCLAVEs = append(g.MRENCLAVEs, m.String())
		}
		if c.Signer != nil {
			g.Signer = fmt.Sprintf("%s, product %d, version %d or later", c.Signer.MRSIGNER, c.Signer.ISVProdID, c.Signer.MinISVSVN)
		}
		machines := c.Platforms
		if len(machines) == 0 {
			machines = a.promised.Platforms
		}
		for _, id := range machines {
			g.Platforms = append(g.Platforms, id.String())
		}
	}
	database, _, err := a.promised.Parsed(a.promised.Session(topology.Database).Name)
	for _, account := range promised.Accounts {
		seen := GuestAccount{GuestAccount: account, Until: "unknown"}
		if err == nil {
			seen.Until = until(database, account.Identity, admitted)
		}
		if promised.Outside != nil {
			seen.Until = promised.Outside.Until.UTC().Format(time.RFC3339)
		}
		for _, kind := range kindsTried(admitted) {
			tried := Tried{Certificate: kind[1], Reason: "the statement of the attested client does not say, or does not count"}
			if f := a.worstAbout(found, kind[0], accountSubject(account)); f != nil {
				tried.Outcome, tried.Reason = f.Outcome, strings.TrimSpace(f.Got+" "+f.Reason)
			}
			seen.Tried = append(seen.Tried, tried)
		}
		g.Accounts = append(g.Accounts, seen)
	}
	return g
}

// askedOf reports whether the statement must answer a check about an account. The password of
// an account of a client outside of enclaves is known to that alone.
func askedOf(account topology.GuestAccount, id string) bool {
	return id != "mtls-09" || !strings.HasPrefix(account.CommonName, "confidb-outside-")
}

// findingAbout is the finding of a check about a subject, or nil.
func findingAbout(found check.Report, id, subject string) *check.Finding {
	at := slices.IndexFunc(found, func(f check.Finding) bool { return f.ID == id && f.Subject == subject })
	if at < 0 {
		return nil
	}
	return &found[at]
}

// accountSubject is how findings name an account of a client.
func accountSubject(a topology.GuestAccount) string {
	return check.Said(promise.Name{User: a.Name, Host: "%"}.String())
}

// until says how long the certificate of an account is valid. CAS makes it anew with each
// version of the session, and tells its date to nobody but the client.
func until(database *session.Session, identity string, admitted bool) string {
	at := slices.IndexFunc(database.Secrets, func(s session.Secret) bool { return s.Name == identity && s.Kind == session.X509 })
	switch {
	case !admitted:
		return "no certificate: the account is locked, and CAS gives what opened it to nobody"
	case at < 0:
		return "unknown: the session of the database makes no certificate for it"
	case database.Secrets[at].ValidFor == 0:
		return "without end"
	}
	return fmt.Sprintf("%d days after CAS makes the certificate, anew with each version of the database's session", int(database.Secrets[at].ValidFor.Hours())/24)
}

// provesGuests reports whether everything was accepted on which the entry of a client rests.
func (a *appraisal) provesGuests(found check.Report, g topology.Guest) bool {
	var rests check.Report
	subjects := []string{"", g.Client}
	for _, i := range a.promised.Instances(topology.Database) {
		subjects = append(subjects, a.about(i, ""))
		for _, account := range g.Accounts {
			subjects = append(subjects, a.about(i, accountSubject(account)))
		}
	}
	for _, f := range found {
		if restsOn(f.ID) && slices.Contains(subjects, f.Subject) {
			rests = append(rests, f)
		}
	}
	return rests.Verdict().Accepted()
}

// restsOn reports whether who may come in rests on a check: all but those about the data
// and the objects of the database itself. Whom the server trusts is one of its settings.
func restsOn(id string) bool {
	for _, other := range []string{"enc-", "log-", "file-", "obj-", "data-", "disk-", "release-"} {
		if strings.HasPrefix(id, other) {
			return false
		}
	}
	return true
}

// Said is the entry of a client in the list of guests: a title, and labels and texts in turn,
// of which empty texts are left out.
func (g Guest) Said() (title string, labelsAndTexts []string) {
	title = "Guest " + g.Client
	if !g.Admitted {
		title = "Not admitted: " + g.Client
	}
	if !g.Proven {
		title += " (as promised, which is not proven: see above)"
	}
	said := []string{"who", g.Who}
	if g.Outside != nil {
		said = append(said, "outside", "of enclaves: "+check.Said(g.Outside.Reason), "ends", g.Outside.Until.UTC().Format(time.RFC3339))
	}
	for _, a := range g.Accounts {
		said = append(said, "as", fmt.Sprintf("the account %s, with the certificate CN=%s", check.Said(a.Name), a.CommonName),
			"may", check.Said(a.Rights), "limits", strings.Join(a.Limits, ", "), "until", a.Until,
			"refused", a.ended(check.Pass), "LET IN", a.ended(check.Fail), "unproven", a.ended(check.Skip))
	}
	return title, said
}

// ended names the certificates with which trying an account ended so.
func (a GuestAccount) ended(outcome check.Outcome) string {
	var all []string
	for _, t := range a.Tried {
		if t.Outcome == outcome {
			all = append(all, t.Certificate)
		}
	}
	return strings.Join(all, "; ")
}
