package topology_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/topology"
)

// What the attested client must have asked is in the record, by the session that was
// uploaded, whoever's template it is of.
func TestTarget(t *testing.T) {
	r, err := topology.Prepare(plan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Target(r.Instances(topology.Database)[0].Probe())
	want := topology.Target{Address: "db1-mariadb.shop.svc:3306", ServerName: "db1-mariadb.shop.svc", Session: r.Session(topology.Database).Name, Member: "database", Account: "confidb_verify"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	at := 0
	for i := range r.Members {
		if r.Members[i].Role == topology.Client {
			at = i
		}
	}
	text := r.Members[at].Session.Text
	for name, broken := range map[string]string{
		"no session":  "",
		"no service":  strings.Replace(text, "name: probe", "name: other", 1),
		"no file":     strings.Replace(text, "/run/confidb/target.json", "/run/confidb/other.json", 1),
		"no account":  strings.Replace(text, `"account":"confidb_verify",`, "", 1),
		"no address":  strings.Replace(text, `"address":"`+want.Address, `"address":"`, 1),
		"a reference": strings.Replace(text, want.Address, "$$SCONE::address$$", 1),
		"no JSON":     strings.Replace(text, `'{"address"`, `'{address"`, 1),
	} {
		if broken == text {
			t.Fatalf("%s: the text has it not", name)
		}
		r.Members[at].Session.Text = broken
		if got, err := r.Target(r.Instances(topology.Database)[0].Probe()); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
