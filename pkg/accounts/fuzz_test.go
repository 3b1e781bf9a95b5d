package accounts_test

import (
	"testing"

	"github.com/confidb/confidb/pkg/accounts"
)

// FuzzParse: what is accepted is SQL that says exactly what the document says, whatever names
// are in it.
func FuzzParse(f *testing.F) {
	f.Add(accounts.Example())
	for _, name := range names() {
		f.Add("kind: confidb.accounts/v1\ndatabases: [{name: " + "'" + name + "'}]\naccounts: [{name: '" + name + "', client: web, privileges: [{database: '" + name + "', table: '" + name + "', columns: ['" + name + "'], grant: [SELECT]}]}]\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := accounts.Parse("a", []byte(text))
		if err != nil {
			return
		}
		sameAsTold(t, d, func(client string) bool { return len(client)%2 == 0 })
	})
}
