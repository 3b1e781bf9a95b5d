package mariadbtest_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/masking"
)

const someRules = `{"rules": [
  {"replace": {"database": "app", "table": "person", "column": "ssn"}, "with": {"value": "XXX-XX-XXXX", "fill": "X"}},
  {"replace": {"database": "app", "table": "person", "column": "born"}, "with": {"fill": "X"}},
  {"replace": {"column": "nowhere"}, "with": {"fill": "X"}}]}`

// masked are databases behind a MaxScale that masks, in a cluster that is there once.
type masked struct {
	*mariadbtest.Several
	rules *masking.Rules
}

// seenBy is what is found of masking at a MaxScale, whose files are changed before it starts.
func (m *masked) seenBy(t *testing.T, change func(p *proxy)) map[string]check.Finding {
	t.Helper()
	p := newProxy(t, m.Several)
	change(p)
	stop := p.run()
	defer func() {
		stop()
		if code := <-p.ended; code != 0 {
			t.Errorf("MaxScale ends with %d: %s", code, &p.log)
		}
	}()
	p.awaitLogin(t, m.Several, "confidb_front", m.Password("front_password")).Close()
	own, err := m.Client("confidb-verify")
	must(t, err)
	front := mariadb.Front{
		Target: mariadb.Target{CA: m.CA.Certificate, Account: "confidb_front", Password: m.Password("front_password"), Certificate: own,
			Now: time.Now, Random: rand.Reader, Patience: 5 * time.Second, Wait: func(context.Context, time.Duration) error { return context.Canceled }},
		MaxScales: []mariadb.Place{{Name: "maxscale-0", Address: p.address, ServerName: m.Release.Host}},
		Databases: map[uint64]string{1: "mariadb-0", 2: "mariadb-1", 3: "mariadb-2"},
		Masking:   &mariadb.Masking{Rules: m.rules, Masked: m.Password("masked_password"), Granted: m.Password("granted_password")},
	}
	found := map[string]check.Finding{}
	for _, f := range mariadb.ObserveFront(t.Context(), front, mariadb.Impostors{}).Report() {
		if strings.HasPrefix(f.ID, "msk-") {
			found[f.ID] = f
		}
	}
	return found
}

// replace changes a text in a file of MaxScale's.
func replace(t *testing.T, name, from, to string) func(p *proxy) {
	return func(p *proxy) {
		file := filepath.Join(p.folder, name)
		content, err := os.ReadFile(file)
		must(t, err)
		if !strings.Contains(string(content), from) {
			t.Fatalf("%s has no %q", name, from)
		}
		must(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(content), from, to)), 0o600))
	}
}

// What MaxScale masks, refuses and leaks is seen through it, in text and binary rows, and
// each switch of the filter that is off, and rules that are not there, by the right check.
// Who may read a view without what is masked gets at it in none of the ways, and who has
// rights on the other columns does.
func TestMasking(t *testing.T) {
	c, err := mariadbtest.StartMasked(3, someRules)
	must(t, err)
	t.Cleanup(func() { must(t, c.Stop()) })
	rules, err := masking.Parse("rules", []byte(someRules))
	must(t, err)
	m := &masked{c, rules}
	for _, statement := range []string{"SET GLOBAL rpl_semi_sync_master_enabled = 1", "SET GLOBAL read_only = 0"} {
		must(t, c.Servers[0].Exec(statement))
	}
	good := m.seenBy(t, func(*proxy) {})
	for _, id := range []string{"msk-01", "msk-02", "msk-04", "msk-05"} {
		if f := good[id]; f.Outcome != check.Pass {
			t.Errorf("%s: got %s, got %q, want %q, %s", id, f.Outcome, f.Got, f.Want, f.Reason)
		}
		t.Log(id, good[id].Reason)
	}
	for _, p := range masking.Probes(masking.CanaryTable) {
		if listed := strings.Contains(good["msk-02"].Reason, p.Name); listed != (p.Promise == masking.Leaks) && p.Promise == masking.Leaks {
			t.Errorf("the way %q is listed: %v", p.Name, listed)
		}
	}
	for _, column := range []string{"app.person.ssn", "app.person.born", "nowhere"} {
		if !strings.Contains(good["msk-05"].Reason, column) {
			t.Errorf("that there is no column %s is not said: %s", column, good["msk-05"].Reason)
		}
	}
	for name, b := range map[string]struct {
		file, from, to string
		fails          []string
	}{
		"no filter":     {"maxscale.cnf", "filters=Mask", "", []string{"msk-01", "msk-02"}},
		"no rules":      {"masking.json", masking.CanaryColumn, "other", []string{"msk-01", "msk-02"}},
		"for the wrong": {"masking.json", masking.CanaryAccount, "confidb_front", []string{"msk-01", "msk-02"}},
		"functions":     {"maxscale.cnf", "prevent_function_usage=true", "prevent_function_usage=false", []string{"msk-02"}},
		"unparsed":      {"maxscale.cnf", "require_fully_parsed=true", "require_fully_parsed=false", []string{"msk-02"}},
		"strings":       {"maxscale.cnf", "treat_string_arg_as_field=true", "treat_string_arg_as_field=false", []string{"msk-02"}},
		"variables":     {"maxscale.cnf", "check_user_variables=true", "check_user_variables=false", []string{"msk-02"}},
		"unions":        {"maxscale.cnf", "check_unions=true", "check_unions=false", []string{"msk-02"}},
		"subqueries":    {"maxscale.cnf", "check_subqueries=true", "check_subqueries=false", []string{"msk-02"}},
	} {
		t.Run(name, func(t *testing.T) {
			found := m.seenBy(t, replace(t, b.file, b.from, b.to))
			for id, f := range found {
				want := check.Pass
				for _, failed := range b.fails {
					if id == failed {
						want = check.Fail
					}
				}
				if f.Outcome != want {
					t.Errorf("%s: got %s, got %q, %s; want %s", id, f.Outcome, f.Got, f.Reason, want)
				}
			}
		})
	}
	for _, server := range c.Servers { // accounts are no part of the history, and no replica is there to wait for
		for _, statement := range []string{"GRANT SELECT (confidb_name) ON confidb_verify.canary TO confidb_granted", "CREATE TABLE app.person (id INT, ssn CHAR(11), born DATE)"} {
			must(t, server.Exec("SET STATEMENT sql_log_bin = 0 FOR "+statement))
		}
	}
	worse := m.seenBy(t, func(*proxy) {})
	for id, got := range map[string]string{"msk-04": "a guess with JOIN ... USING", "msk-05": "app.person.born (date)"} {
		if f := worse[id]; f.Outcome != check.Fail || !strings.Contains(f.Got, got) {
			t.Errorf("%s: got %s, %q", id, f.Outcome, f.Got)
		}
	}
	if f := worse["msk-05"]; strings.Contains(fmt.Sprint(f), "ssn") {
		t.Errorf("a column that is masked is named: %v", f)
	}
}
