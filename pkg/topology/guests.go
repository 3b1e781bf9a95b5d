package topology

import (
	"slices"

	"github.com/confidb/confidb/pkg/accounts"
)

// Absent are the accounts of clients that are not admitted, no longer or not yet: each is
// locked. Who says nothing, as nobody may be such a client.
func (a Applications) Absent() ([]Guest, error) {
	all, err := a.document()
	if err != nil {
		return nil, err
	}
	admitted, err := a.Guests()
	if err != nil {
		return nil, err
	}
	var absent []Guest
	for _, name := range all.Clients() {
		if slices.ContainsFunc(admitted, func(g Guest) bool { return g.Client == name }) {
			continue
		}
		g := Guest{Client: name}
		for _, account := range all.Of(name) {
			g.Accounts = append(g.Accounts, GuestAccount{account.Name, account.Identity(), account.CommonName(), accounts.Said(account.Rights), account.Limits})
		}
		absent = append(absent, g)
	}
	return absent, nil
}
