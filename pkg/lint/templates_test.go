package lint_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/render"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// ownRelease is an installation with our templates.
func ownRelease(t testing.TB) *topology.Release {
	t.Helper()
	id, err := attest.ParsePlatformID("INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151")
	if err != nil {
		t.Fatal(err)
	}
	r, err := topology.Prepare(topology.Plan{
		Token: [16]byte([]byte("taken for random")), Name: "shop", Namespace: "default", CASAddress: "cas:8081", Platforms: []attest.PlatformID{id}, BootstrapSQL: systemTables(),
		Enclaves: map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ownSessions are our templates as an installation renders them.
func ownSessions(t testing.TB) []*session.Session {
	t.Helper()
	var all []*session.Session
	for _, m := range ownRelease(t).Members {
		s, err := session.Parse(string(m.Role)+".yml", []byte(m.Session.Text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// TestOwnTemplates wants no error and no warning.
func TestOwnTemplates(t *testing.T) {
	got := map[string]int{}
	for _, p := range checkAll(t, ownSessions(t)...) {
		if p.Suppressed {
			t.Errorf("got a suppression at %s:%d, want none", p.File, p.Line)
		}
		if p.Rule().Severity.AtLeast(lint.Warning) {
			t.Logf("%s: %s", place(p), p.Got)
			got[p.Code]++
		}
	}
	if diff := cmp.Diff(map[string]int{}, got); diff != "" {
		t.Errorf("errors and warnings (-want +got):\n%s", diff)
	}
}

// TestChangedTemplates shows that what our templates do right is looked at.
func TestChangedTemplates(t *testing.T) {
	for code, change := range map[string][2]string{
		"CDB6005": {"update_policy: rollback_protected\n      - name: tmp", "update_policy: no_rollback_protection\n      - name: tmp"},
		"CDB6006": {"path: /var/lib/mysql-tmp", "path: /var/lib/mysql-temp"},
		"CDB6010": {" REQUIRE SUBJECT '/CN=confidb-app'", " # REQUIRE SUBJECT '/CN=confidb-app'"},
		"CDB6011": {"require_secure_transport = ON", "require_secure_transport = OFF"},
		"CDB6012": {"          skip_networking = ON\n", ""},
		"CDB3001": {"$$SCONE::server:privatekey:pem$$", "$$SCONE::ca_key:pem$$"},
		"CDB3013": {"    key_type: P-384\n    migrate: true\n", "    key_type: P-384\n"},
		"CDB3008": {"valid_for: 10 years\n    migrate: true\n    export_public: true\n    export:\n      - session: ", "valid_for: 10 years\n    migrate: true\n    export_public: true\n    export:\n      - session: x"},
	} {
		template, err := topology.Template("database")
		if err != nil {
			t.Fatal(err)
		}
		changed := bytes.Replace(template, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(changed, template) {
			t.Errorf("%s: the template has no %q", code, change[0])
		}
		variables := map[string]string{
			"DBSESSION": "shop-3f9a1c77d2e04b58/db", "DBCLIENT": "shop-3f9a1c77d2e04b58/client", "DATABASE_HOST": "db.shop.svc", "DATABASE_HOST_SHORT": "db",
			"PLATFORMS": "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151", "BOOTSTRAP_SQL": "SELECT 1;", "ACCOUNTS_SQL": "", "MRENCLAVE_MARIADBD": sgx.Measurement{1}.String(), "MRENCLAVE_PROBE": sgx.Measurement{3}.String(),
		}
		for _, name := range topology.SystemTables() {
			variables["TABLE_"+strings.ToUpper(name)] = "(a int)"
		}
		text, err := render.Session("database.yml", changed, func(name string) (string, bool) { v, ok := variables[name]; return v, ok }, "")
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, c := range open(checkText(t, "database.yml", text)) {
			found[c] = true
		}
		if !found[code] {
			t.Errorf("got %v, want %s", found, code)
		}
	}
}

// systemTables is SQL that makes the tables that a session of ours names.
func systemTables() string {
	sql := ""
	for _, name := range topology.SystemTables() {
		sql += "CREATE TABLE IF NOT EXISTS " + name + " (a int);\n"
	}
	return sql
}
