package lint_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// severalSessions are our templates for several databases, as an installation renders them.
func severalSessions(t *testing.T) []*session.Session {
	t.Helper()
	id, err := attest.ParsePlatformID("INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151")
	if err != nil {
		t.Fatal(err)
	}
	r, err := topology.Prepare(topology.Plan{
		Token: [16]byte([]byte("taken for random")), Name: "shop", Namespace: "default", CASAddress: "cas:8081", Platforms: []attest.PlatformID{id}, BootstrapSQL: systemTables(),
		Architecture: topology.Replicated, Masking: `{"rules": [{"replace": {"column": "a"}, "with": {"fill": "X"}}]}`,
		Enclaves: map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}, topology.EnclaveMaxScale: {{4}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []*session.Session
	for _, m := range r.Members {
		s, err := session.Parse(string(m.Role)+".yml", []byte(m.Session.Text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// TestTemplatesForSeveralDatabases names what is found in them, and why it is no problem.
func TestTemplatesForSeveralDatabases(t *testing.T) {
	all := severalSessions(t)
	got := map[string]int{}
	for _, p := range checkAll(t, all...) {
		if p.Rule().Severity.AtLeast(lint.Warning) {
			t.Logf("%s: %s %s", place(p), p.Code, p.Got)
			got[p.File+" "+p.Code]++
		}
	}
	want := map[string]int{
		// A database is made on a volume without a tag, as each pod has its own under one name.
		// An older state of it is another empty database of this session, or one that is half
		// made, which is thrown away; the database itself is on volumes with tags.
		"database.yml CDB6005": 4, "database.yml CDB6009": 5,
		// What MaxScale writes is new with each pod: there is no older state to go back to.
		"maxscale.yml CDB6009": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("errors and warnings (-want +got):\n%s", diff)
	}
	for _, s := range all {
		for _, f := range lint.Strength(s, all...) {
			if f.Outcome != check.Pass {
				t.Errorf("session %s: %+v", s.Name, f)
			}
		}
	}
}
