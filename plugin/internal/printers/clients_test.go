package printers_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// TestClientsFit: whatever a client is, its texts fit a terminal, but for a word that does
// not; nothing in them moves the cursor.
func TestClientsFit(t *testing.T) {
	const document = `kind: confidb.accounts/v1
databases: [{name: "a shop with a name of many words that goes on and on until"}, {name: b}]
accounts:
  - name: "an account \u00e4 of many words that goes on and on and on"
    client: tokenizer
    limits: {max-user-connections: 20, max-queries-per-hour: 1000, max-updates-per-hour: 1000, max-connections-per-hour: 1000}
    privileges:
      - {database: "a shop with a name of many words that goes on and on until", grant: [SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, REFERENCES, CREATE VIEW, SHOW VIEW]}
      - {database: b, grant: [SELECT]}
`
	d, err := accounts.Parse("a", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	id, err := attest.ParsePlatformID("INTEL_QE_ID:" + strings.Repeat("1", 32))
	if err != nil {
		t.Fatal(err)
	}
	client := topology.Application{
		Name: "tokenizer", MRENCLAVEs: []sgx.Measurement{{1}, {2}, {3}}, Signer: &attest.SignerReference{MRSIGNER: sgx.Measurement{4}, ISVProdID: 65535, MinISVSVN: 65535},
		Platforms: []attest.PlatformID{id, id, id}, Namespace: strings.Repeat("n", 60), Command: strings.Fields(strings.Repeat("word ", 60) + "\x1b[2J"), Directory: "/" + strings.Repeat("d", 50),
		Environment: map[string]string{"PIN": "hunter2"}, Files: map[string]topology.Given{"/run/confidb/" + strings.Repeat("f", 30): {Form: topology.FormKey, Account: "an account of many words that goes on and on"}},
	}
	r := &topology.Release{Name: "db1", Namespace: "shop", Applications: topology.Applications{Accounts: document}.With(client), Changing: &topology.Applications{}}
	guests, err := r.Applications.Guests()
	if err != nil {
		t.Fatal(err)
	}
	details, err := r.Details("tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	for name, made := range map[string]printers.Document{"list": printers.NewClients(r, guests), "show": printers.NewClient(r, details), "accounts": printers.NewAccounts("accounts.yaml", d)} {
		var out bytes.Buffer
		if err := printers.Print(&out, "", made); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimRight(line, "\n")
			if words := strings.Fields(line); utf8.RuneCountInString(line) > 80 && len(words) > 1 {
				t.Errorf("%s: got %d columns: %s", name, utf8.RuneCountInString(line), line)
			}
			if strings.ContainsAny(line, "\x1b\r") || strings.Contains(line, "hunter2") {
				t.Errorf("%s: got %q", name, line)
			}
		}
		for _, format := range []string{"json", "yaml"} {
			out.Reset()
			if err := printers.Print(&out, format, made); err != nil || strings.Contains(out.String(), "hunter2") || !strings.Contains(out.String(), "confidb.") {
				t.Errorf("%s, %s: got %v and %s", name, format, err, out.String())
			}
		}
	}
}
