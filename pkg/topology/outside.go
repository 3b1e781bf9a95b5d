package topology

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/outside"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
)

// OutsideGuest says of a client outside of enclaves why it is let in, and until when.
type OutsideGuest struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"`
}

// FindOutside returns the client outside of enclaves of a name, or nil.
func (a Applications) FindOutside(name string) *outside.Client {
	for i := range a.Outside {
		if a.Outside[i].Name == name {
			return &a.Outside[i]
		}
	}
	return nil
}

// WithOutside is the same with a client outside of enclaves, in the place of the one of its
// name.
func (a Applications) WithOutside(client outside.Client) Applications {
	a = a.Without(client.Name)
	a.Outside = append(a.Outside, client)
	slices.SortFunc(a.Outside, func(x, y outside.Client) int { return strings.Compare(x.Name, y.Name) })
	return a
}

// At is the same without the clients outside of enclaves that have ended.
func (a Applications) At(now time.Time) Applications {
	if slices.ContainsFunc(a.Outside, func(c outside.Client) bool { return c.Ended(now) }) {
		a.Outside = slices.DeleteFunc(slices.Clone(a.Outside), func(c outside.Client) bool { return c.Ended(now) })
	}
	return a
}

// OutsideAccount is the account of a client that shall be let in outside of enclaves. It has
// one: a certificate names one account.
func (a Applications) OutsideAccount(name string) (accounts.Account, error) {
	all, err := a.document()
	if err != nil {
		return accounts.Account{}, err
	}
	switch mine := all.Of(name); len(mine) {
	case 0:
		return accounts.Account{}, &NoAccountError{Client: name, Clients: all.Clients()}
	case 1:
		return mine[0], nil
	default:
		return accounts.Account{}, &ManyAccountsError{name, len(mine)}
	}
}

// ManyAccountsError means that a client outside of enclaves has more than one account.
type ManyAccountsError struct {
	Client string
	Count  int
}

func (e *ManyAccountsError) Error() string {
	return fmt.Sprintf("client %s: %d accounts belong to it, want one: outside of enclaves a certificate is for one account", e.Client, e.Count)
}

// Hint says how to go on.
func (e *ManyAccountsError) Hint() string {
	return "Give each of the accounts a client of its own in your accounts document."
}

// admits reports whether there is a client, in an enclave or outside.
func (a Applications) admits(name string) bool { return a.there(name) || a.FindOutside(name) != nil }

// letOut makes accounts of clients outside of enclaves demand what those have.
func (a Applications) letOut(all *accounts.Document) {
	for i := range all.Accounts {
		if c := a.FindOutside(all.Accounts[i].Client); c != nil {
			all.Accounts[i].Outside = &accounts.Outside{Hash: c.Hash}
		}
	}
}

func guestAccount(a accounts.Account) GuestAccount {
	return GuestAccount{a.Name, a.Identity(), a.CommonName(), accounts.Said(a.Rights), a.Limits}
}

func (a Applications) outsideGuests(all *accounts.Document) []Guest {
	var guests []Guest
	for _, c := range a.Outside {
		g := Guest{Client: c.Name, Who: outsideWho(c), Outside: &OutsideGuest{c.Reason, c.Ends()}}
		for _, account := range all.Of(c.Name) {
			g.Accounts = append(g.Accounts, guestAccount(account))
		}
		guests = append(guests, g)
	}
	return guests
}

// outsideWho says who the client may be.
func outsideWho(c outside.Client) string {
	return fmt.Sprintf("OUTSIDE OF ENCLAVES: whoever has its key and password, until %s (%s)", c.Ends().UTC().Format(time.RFC3339), c.Reason)
}

func (a Applications) outsideChanges(to Applications) []string {
	var all []string
	for _, c := range a.Outside {
		if to.FindOutside(c.Name) == nil {
			all = append(all, fmt.Sprintf("client %s, outside of enclaves, is no longer admitted: its account is locked, its connections end, and its certificate opens nothing", c.Name))
		}
	}
	for _, c := range to.Outside {
		switch old := a.FindOutside(c.Name); {
		case old == nil:
			all = append(all, fmt.Sprintf("client %s is admitted: %s", c.Name, outsideWho(c)))
		case *old != c:
			all = append(all, fmt.Sprintf("client %s has another certificate: %s", c.Name, outsideWho(c)))
		}
	}
	return all
}

// checkOutside refuses clients outside of enclaves whose certificates are not exactly for
// their one account.
func (a Applications) checkOutside(all *accounts.Document) error {
	for _, c := range a.Outside {
		account, err := a.OutsideAccount(c.Name)
		if err != nil {
			return err
		}
		if a.there(c.Name) {
			return fmt.Errorf("client %s: it is both in enclaves and outside", c.Name)
		}
		if err := c.Check(account.OutsideName()); err != nil {
			return fmt.Errorf("client %s, outside of enclaves: its certificate: %w", c.Name, err)
		}
	}
	return nil
}

// What the session of the database says of those whose certificates clients may show: its
// CA, and no more.
const (
	caPlaceholder = "$$SCONE::ca:crt$$"
	trustedFile   = " content: "
	trustedCA     = trustedFile + `"` + caPlaceholder + `"` + "\n"
)

// trusting is the session of the database, which trusts the certificates of clients outside
// of enclaves beside its CA.
func (a Applications) trusting(text string) (string, error) {
	if len(a.Outside) == 0 {
		return text, nil
	}
	if strings.Count(text, trustedCA) != 1 {
		return "", &MarkError{Name: string(Database), Mark: trustedCA}
	}
	content := caPlaceholder + "\n"
	for _, c := range a.Outside {
		content += c.PEM()
	}
	return strings.Replace(text, trustedCA, trustedFile+flow(content)+"\n", 1), nil
}

// TrustedClients are the certificates that the database of a session trusts for its clients
// beside the session's CA, in PEM, one after another. It is an error where the session does
// not say that clearly.
func TrustedClients(database *session.Session) (string, error) {
	service := databaseService(database, ServiceDatabase)
	if service == nil {
		return "", fmt.Errorf("the session has no service that runs mariadbd with an init file")
	}
	files := filesOf(database, service.ImageName)
	said := promise.Read(service.Command, files)
	if len(said.Unclear) > 0 {
		return "", fmt.Errorf("the session does not say how the database is set up: %s", said.Unclear[0])
	}
	var trusted []string
	for _, s := range said.Settings {
		switch name := strings.ToLower(strings.ReplaceAll(s.Name, "-", "_")); {
		case name == "ssl_ca":
			trusted = append(trusted, s.Value)
		case strings.Contains(name, "ssl_ca"): // ssl_capath, also where it is loose_ or cut short
			return "", fmt.Errorf("the setting %s makes the database trust more than is known: %s", s.Name, s.Value)
		}
	}
	if len(trusted) != 1 {
		return "", fmt.Errorf("the session names %d files with the CAs that the database trusts, want 1", len(trusted))
	}
	content, given := files[trusted[0]]
	rest, begins := strings.CutPrefix(content, caPlaceholder)
	if !given || !begins || strings.Contains(rest, "$$SCONE") {
		return "", fmt.Errorf("the file %s of the session does not hold the CA of the session first, and then certificates", trusted[0])
	}
	return strings.TrimPrefix(rest, "\n"), nil
}

// OutsideTrusted are the certificates that the database shall trust beside its CA.
func (a Applications) OutsideTrusted() string {
	var all string
	for _, c := range a.Outside {
		all += c.PEM()
	}
	return all
}

// OutsideSettings are the option file (FormOptions) of a client outside of enclaves, whose
// certificate and key are in a folder. host is the name in the certificate of the database.
func OutsideSettings(host, account, database, password, folder string) (string, error) {
	paths := map[Form]string{FormCA: folder + "/" + outside.FileCA, FormCertificate: folder + "/" + outside.FileCertificate, FormKey: folder + "/" + outside.FileKey}
	return FormOptions.settings(connection{host: host, user: account, password: password, database: database, paths: paths})
}

// OutsideError means that a client runs in no enclave, so that there is nothing to say of
// one.
type OutsideError struct{ Client string }

func (e *OutsideError) Error() string {
	return "client " + e.Client + " runs outside of enclaves: it has no pods and no session"
}

// Hint says where it is shown.
func (*OutsideError) Hint() string {
	return "{client list} shows it. To change it: {client remove}, then {client add --outside-enclave}."
}
