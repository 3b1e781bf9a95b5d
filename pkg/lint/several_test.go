package lint_test

import (
	"slices"
	"strings"
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
func severalSessions(t *testing.T, architecture topology.Architecture) []*session.Session {
	t.Helper()
	id, err := attest.ParsePlatformID("INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151")
	if err != nil {
		t.Fatal(err)
	}
	r, err := topology.Prepare(topology.Plan{
		Token: [16]byte([]byte("taken for random")), Name: "shop", Namespace: "default", CASAddress: "cas:8081", Platforms: []attest.PlatformID{id}, BootstrapSQL: systemTables(),
		Architecture: architecture, Applications: topology.Applications{Masking: masked(architecture)},
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

// masked are rules, where MaxScale masks.
func masked(architecture topology.Architecture) string {
	if architecture != topology.Replicated {
		return ""
	}
	return `{"rules": [{"replace": {"column": "a"}, "with": {"fill": "X"}}]}`
}

// TestTemplatesForSeveralDatabases names what is found in them, and why it is no problem.
func TestTemplatesForSeveralDatabases(t *testing.T) {
	for _, architecture := range []topology.Architecture{topology.Replicated, topology.Sharded} {
		t.Run(architecture.String(), func(t *testing.T) { foundIn(t, severalSessions(t, architecture)) })
	}
}

func foundIn(t *testing.T, all []*session.Session) {
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

// What a server makes that listens nowhere may be made on a volume without a tag, as long as
// no server that listens has that volume.
func TestVolumesForMakingDatabases(t *testing.T) {
	all := severalSessions(t, topology.Replicated)
	text := string(all[slices.IndexFunc(all, func(s *session.Session) bool { return len(s.Volumes) > 1 })].Source())
	const made, last = "      - name: new\n        path: /var/lib/mysql-new\n        update_policy: no_rollback_protection\n      - name: tmp", "  - name: database-0\n    volumes:\n"
	for name, c := range map[string]struct{ old, new, want string }{
		"as it is":                    {"", "", ""},
		"it listens":                  {"skip_networking = ON\n", "\n", "service init-shop-mariadb-0: datadir"},
		"a server has it as well":     {last, last + "      - name: new\n        path: /somewhere\n        update_policy: rollback_protected\n", "service init-shop-mariadb-0: datadir"},
		"for temporary files as well": {"path: /var/lib/mysql-tmp\n        update_policy: ephemeral\n    provide_secrets: [made", "path: /var/lib/mysql-tmp\n        update_policy: no_rollback_protection\n    provide_secrets: [made", "service init-shop-mariadb-0: tmpdir"},
		"left to CAS":                 {made, strings.Replace(made, "        update_policy: no_rollback_protection\n", "", 1), "service init-shop-mariadb-0: datadir"},
		"no tag for a database":       {"path: /var/lib/mysql\n        update_policy: rollback_protected\n      - name: tmp\n        path: /var/lib/mysql-tmp\n        update_policy: ephemeral\n    provide_secrets:\n", "path: /var/lib/mysql\n        update_policy: no_rollback_protection\n      - name: tmp\n        path: /var/lib/mysql-tmp\n        update_policy: ephemeral\n    provide_secrets:\n", "service db-shop-mariadb-0: datadir"},
	} {
		changed := strings.Replace(text, c.old, c.new, 1)
		if c.old != "" && changed == text {
			t.Fatalf("%s: the session has no %q", name, c.old)
		}
		parsed, err := session.Parse("database.yml", []byte(changed))
		if err != nil {
			t.Fatal(err)
		}
		problems := strings.Join(lint.UnprotectedPaths(parsed), "; ")
		if (c.want == "") != (problems == "") || !strings.Contains(problems, c.want) {
			t.Errorf("%s: got %q, want %q", name, problems, c.want)
		}
	}
}
