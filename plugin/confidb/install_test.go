package confidb_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// shop is a cluster that also lists secrets, of which there are none.
type shop struct {
	*machinestest.Cluster
	changes int
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet:
		s.changes++
		w.WriteHeader(http.StatusForbidden)
	case strings.HasSuffix(r.URL.Path, "/secrets"):
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"kind":"SecretList","apiVersion":"v1","metadata":{},"items":[]}`))
	default:
		s.Cluster.ServeHTTP(w, r)
	}
}

// customer is somebody who wants to install a database in a shop.
type customer struct {
	shop                          *shop
	server, folder                string
	policy, sql, collateral, root string
}

const policyOfTheShop = `kind: confidb.policy/v1
cas: {mrenclave: ["0700000000000000000000000000000000000000000000000000000000000000"]}
enclaves:
  mariadbd: {mrenclave: ["0100000000000000000000000000000000000000000000000000000000000000"]}
  mariadb: {mrenclave: ["0200000000000000000000000000000000000000000000000000000000000000"]}
  probe: {mrenclave: ["0300000000000000000000000000000000000000000000000000000000000000"]}
`

func newCustomer(t *testing.T) *customer {
	t.Helper()
	c := &customer{shop: &shop{Cluster: twoMachines()}, folder: t.TempDir()}
	server := httptest.NewServer(c.shop)
	t.Cleanup(server.Close)
	c.server = server.URL
	isolate(t, c.folder)
	kubeconfig(t, c.server)
	authority, err := sgxmint.NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	files, err := authority.CollateralFiles(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.collateral = filepath.Join(c.folder, "collateral")
	for name, text := range files {
		c.write(t, filepath.Join("collateral", name), string(text))
	}
	c.root = c.write(t, "root.pem", string(authority.RootPEM()))
	c.policy, c.sql = c.write(t, "policy.yaml", policyOfTheShop), c.write(t, "bootstrap.sql", "CREATE TABLE t (a INT);\n")
	return c
}

func (c *customer) write(t *testing.T, name, text string) string {
	t.Helper()
	return (&user{folder: c.folder}).write(t, name, text)
}

// arguments install db1, without what is left out and with more.
func (c *customer) arguments(leftOut string, more ...string) []string {
	arguments := []string{"install", "db1"}
	for flag, value := range map[string]string{
		"--policy": c.policy, "--collateral": c.collateral, "--sgx-root-ca": c.root, "--bootstrap-sql": c.sql, "--set": "image=registry.test/db:1",
	} {
		if flag != leftOut {
			arguments = append(arguments, flag, value)
		}
	}
	return append(arguments, more...)
}

func (c *customer) records(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.folder, "home", "releases", "*", "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestInstallDryRun(t *testing.T) {
	c := newCustomer(t)
	code, out, errOut := main("", c.arguments("", "--dry-run=client", "-n", "shop")...)
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, out, errOut)
	}
	for _, want := range []string{"---\n# session db1-", "/client\n", "/db\n", "platforms: [" + id1, "# chart ", "kind: StatefulSet", "cas.scone-system.svc", "db1-mariadb.shop.svc", "CREATE TABLE t"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "affirming") || c.shop.changes != 0 || len(c.records(t)) != 0 {
		t.Errorf("%d changes, records %v", c.shop.changes, c.records(t))
	}
}

func TestInstallTakesTheEnvironment(t *testing.T) {
	c := newCustomer(t)
	t.Setenv("DBSESSION", "my-database")
	t.Setenv("DBCLIENT", "my-client")
	t.Setenv("SCONE_CAS_ADDR", "cas.example.org")
	t.Setenv("PLATFORMS", "["+id2+"]")
	check := func(t *testing.T, out string, wanted, unwanted []string) {
		t.Helper()
		for _, want := range wanted {
			if !strings.Contains(out, want) {
				t.Errorf("%q is not in\n%s", want, out)
			}
		}
		for _, not := range unwanted {
			if strings.Contains(out, not) {
				t.Errorf("%q is in\n%s", not, out)
			}
		}
	}
	code, out, errOut := main("", c.arguments("", "--dry-run")...)
	if code != 0 {
		t.Fatalf("exit %d\n%s", code, errOut)
	}
	check(t, out, []string{"# session my-database\n", "# session my-client\n", "cas.example.org", "platforms: [" + id2 + "]"}, []string{"# session db1-", "cas.scone-system", id1})
	check(t, errOut, []string{"(from $PLATFORMS)"}, nil)
	t.Run("flags win", func(t *testing.T) {
		code, out, errOut := main("", c.arguments("", "--dry-run", "--cas", "cas.other.test", "--database-session", "flag-db", "--client-session", "flag-client", "--platform", id1)...)
		if code != 0 {
			t.Fatalf("exit %d\n%s", code, errOut)
		}
		check(t, out, []string{"# session flag-db\n", "# session flag-client\n", "cas.other.test", "platforms: [" + id1 + "]"}, []string{"my-database", "my-client", "cas.example.org", id2})
	})
}

// What is wrong is said before anything is created or written down.
func TestInstallRefuses(t *testing.T) {
	c := newCustomer(t)
	variable := func(name, value string) func(*testing.T) {
		return func(t *testing.T) { t.Setenv(name, value) }
	}
	for name, x := range map[string]struct {
		prepare   func(*testing.T)
		arguments []string
		code      int
		want      string
	}{
		"no name":               {nil, []string{"install"}, 2, "error: got 0 arguments, want the name of one release"},
		"two names":             {nil, []string{"install", "a", "b"}, 2, "error: got 2 arguments"},
		"a name that is none":   {nil, []string{"install", "DB_1"}, 2, `error: release name: got "DB_1"`},
		"an unknown dry run":    {nil, c.arguments("", "--dry-run=perhaps"), 2, `error: --dry-run: got "perhaps", want none, client or server`},
		"an unknown format":     {nil, c.arguments("", "-o", "xml"), 2, `error: -o: got "xml", want json or yaml`},
		"no collateral":         {nil, c.arguments("--collateral"), 1, "error: no collateral given\nhint: give it with --collateral\n"},
		"no SQL":                {nil, c.arguments("--bootstrap-sql", "--dry-run"), 1, "error: no SQL for the database's system tables given\nhint: give it with --bootstrap-sql"},
		"no such SQL":           {nil, c.arguments("--bootstrap-sql", "--dry-run", "--bootstrap-sql", "/does/not/exist"), 1, "error: --bootstrap-sql: "},
		"SQL that is empty":     {nil, c.arguments("--bootstrap-sql", "--dry-run", "--bootstrap-sql", "/dev/null"), 1, "error: no SQL for the system tables"},
		"no policy":             {nil, c.arguments("--policy", "--dry-run"), 1, `measurements of the enclave "`},
		"a policy of a typo":    {nil, c.arguments("--policy", "--policy", c.write(t, "typo.yaml", "kind: confidb.policy/v1\ncass: {}\n")), 1, "typo.yaml"},
		"claimed IDs":           {nil, c.arguments("--policy", "--policy", c.write(t, "declared.yaml", policyOfTheShop+"require-provenance: quoted\n"), "--dry-run=client"), 1, "platform IDs: want quoted ones"},
		"a policy of any kind":  {nil, c.arguments("--policy", "--policy", c.write(t, "kind.yaml", "kind: x\n")), 1, `kind: got "x", want "confidb.policy/v1"`},
		"a measurement":         {variable("CAS_MRENCLAVE", "77"), c.arguments(""), 1, `error: $CAS_MRENCLAVE: measurement: got "77"`},
		"platforms":             {variable("PLATFORMS", "x"), c.arguments("", "--dry-run"), 1, "error: $PLATFORMS: "},
		"no session name":       {variable("DBSESSION", "a b"), c.arguments("", "--dry-run"), 1, "error: "},
		"no image":              {nil, c.arguments("--set", "--dry-run"), 1, "image"},
		"no such chart":         {nil, c.arguments("", "--dry-run", "--chart", "/does/not/exist"), 1, "error: "},
		"no such template":      {nil, c.arguments("", "--dry-run", "--database-template", "/does/not/exist"), 1, "error: --database-template: "},
		"a template of a typo":  {nil, c.arguments("", "--dry-run", "--client-template", c.write(t, "t.yml", "version: \"0.3\"\nname: $DBCLINT\n")), 1, "error: client template:2:7: name: Value for variable $DBCLINT is missing"},
		"a client variable":     {nil, c.arguments("", "--dry-run", "--client-env", "PASSWORD=x"), 2, "error: --client-env: "},
		"no namespace":          {nil, c.arguments("", "-n", "shop"), 1, "error: namespace \"shop\" does not exist\nhint: use --create-namespace"},
		"no kubeconfig":         {variable("KUBECONFIG", "/does/not/exist"), c.arguments("", "--dry-run"), 1, "error: "},
		"no CAS":                {variable("SCONE_CAS_ADDR", "127.0.0.1:1"), c.arguments("", "--create-namespace"), 1, "connection refused"},
		"a machine that is new": {nil, c.arguments("", "--dry-run", "--platforms-file", c.write(t, "nodes.yaml", "node-9: "+id1+"\n")), 1, `node "node-9", which the cluster does not have`},
	} {
		t.Run(name, func(t *testing.T) {
			if x.prepare != nil {
				x.prepare(t)
			}
			code, out, errOut := main("", x.arguments...)
			if code != x.code || out != "" || !strings.Contains(errOut, x.want) {
				t.Errorf("exit %d, want %d and %q in:\n%s%s", code, x.code, x.want, out, errOut)
			}
		})
	}
	if found := c.records(t); len(found) != 0 {
		t.Errorf("records %v", found)
	}
}

// The verbs that need a record say so, and which one.
func TestUnknownRelease(t *testing.T) {
	c := newCustomer(t)
	for _, arguments := range [][]string{{"verify", "db9", "-n", "shop"}, {"sql", "db9", "-n", "shop"}, {"env", "db9", "-n", "shop"}} {
		code, out, errOut := main("", arguments...)
		if code != 1 || out != "" || !strings.Contains(errOut, "error: nothing is recorded of a release shop/db9: it is not known what was promised\nhint: Check the name and -n") {
			t.Errorf("%q: exit %d\n%s%s", arguments, code, out, errOut)
		}
	}
	if c.shop.changes != 0 {
		t.Error("something was created")
	}
}

func TestVerbsRefuseArguments(t *testing.T) {
	isolate(t, t.TempDir())
	for want, arguments := range map[string][]string{
		"error: got 0 arguments, want the name of one release":                        {"verify"},
		"error: got 2 arguments, want the name of one release":                        {"verify", "a", "b"},
		`error: -o: got "table", want json or yaml`:                                   {"verify", "a", "-o", "table"},
		"error: unknown flag: --dry-run":                                              {"verify", "a", "--dry-run"},
		"error: got 0 arguments, want the name of one release (kubectl confidb env":   {"env"},
		`error: got [], want the name of one release`:                                 {"sql"},
		`error: got ["a" "b"], want the name of one release`:                          {"sql", "a", "b"},
		`error: got ["-e" "select 1"], want the name of one release`:                  {"sql", "--", "-e", "select 1"},
		`error: arguments after --: got ["--skip-ssl"], want -e STATEMENT`:            {"sql", "a", "--", "--skip-ssl"},
		`error: arguments after --: got ["-e" "x" "--skip-ssl"], want -e STATEMENT`:   {"sql", "a", "--", "-e", "x", "--skip-ssl"},
		`error: arguments after --: got ["--ssl=0" "--execute=x"], want -e STATEMENT`: {"sql", "a", "--", "--ssl=0", "--execute=x"},
	} {
		code, out, errOut := main("", arguments...)
		if code != 2 || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("%q: exit %d, want 2 and %q in:\n%s%s", arguments, code, want, out, errOut)
		}
	}
}

// promised is a record as install leaves it.
func (c *customer) promised(t *testing.T, change func(*topology.Release)) {
	t.Helper()
	r := &topology.Release{
		Name: "db1", Namespace: "shop", CASAddress: "cas.scone-system.svc", Members: []topology.Member{{Role: topology.Client, Session: topology.Session{Name: "db1/client"}}, {Role: topology.Database, Session: topology.Session{Name: "o'hara/db"}}},
		Platforms: []attest.PlatformID{platformID(t, id1), platformID(t, id2)}, Trust: attest.Trust{CAS: attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{{7}}}}},
	}
	if change != nil {
		change(r)
	}
	if err := (record.Store{Dir: filepath.Join(c.folder, "home")}).SaveRelease(c.server, r); err != nil {
		t.Fatal(err)
	}
}

func TestEnv(t *testing.T) {
	c := newCustomer(t)
	c.promised(t, nil)
	t.Setenv("DBSESSION", "what is set now does not count")
	want := "export SCONE_CAS_ADDR='cas.scone-system.svc'\nexport CAS_MRENCLAVE='" + sgx.Measurement{7}.String() + "'\n" +
		"export DBSESSION='o'\\''hara/db'\nexport DBCLIENT='db1/client'\nexport PLATFORMS='" + id1 + "," + id2 + "'\n"
	if code, out, errOut := main("", "env", "db1", "-n", "shop"); code != 0 || out != want || errOut != "" {
		t.Errorf("exit %d, got\n%s%s\nwant\n%s", code, out, errOut, want)
	}
	if n := len(c.shop.Requests()); n != 0 {
		t.Errorf("the cluster was asked %d times", n)
	}
	t.Run("another namespace", func(t *testing.T) {
		if code, _, errOut := main("", "env", "db1"); code != 1 || !strings.Contains(errOut, "release default/db1") {
			t.Errorf("exit %d\n%s", code, errOut)
		}
	})
	t.Run("a policy with a signer", func(t *testing.T) {
		c.promised(t, func(r *topology.Release) { r.Trust.CAS.ReferenceValues = attest.ReferenceValues{} })
		if code, out, _ := main("", "env", "db1", "-n", "shop"); code != 0 || strings.Contains(out, "CAS_MRENCLAVE") {
			t.Errorf("exit %d\n%s", code, out)
		}
	})
}

// A verification in which nobody answers proves nothing, and says so.
func TestVerifyWithoutAnswers(t *testing.T) {
	c := newCustomer(t)
	c.promised(t, func(r *topology.Release) { r.CASAddress = "127.0.0.1:1" })
	code, out, _ := main("", "verify", "db1", "-n", "shop", "-o", "json", "--accept-simulated")
	var document struct {
		Kind, Verdict string
		Simulated     *bool
		Findings      []struct{ ID, Outcome string }
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if code != 3 && code != 4 || document.Kind != "confidb.verification/v1" || document.Simulated == nil || document.Verdict == "affirming" || len(document.Findings) < 5 {
		t.Errorf("exit %d\n%s", code, out)
	}
	for _, f := range document.Findings {
		if f.Outcome == "pass" && strings.HasPrefix(f.ID, "cas-") {
			t.Errorf("%s passes, and nobody was asked", f.ID)
		}
	}
}

// A record that others may have written is not believed.
func TestRecordOfOthers(t *testing.T) {
	c := newCustomer(t)
	c.promised(t, nil)
	found := c.records(t)
	if len(found) != 1 {
		t.Fatalf("records %v", found)
	}
	if err := os.Chmod(found[0], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"env", "verify", "sql"} {
		if code, out, errOut := main("", verb, "db1", "-n", "shop"); code != 1 || out != "" || !strings.Contains(errOut, "got mode 0644, want 0600") {
			t.Errorf("%s: exit %d\n%s%s", verb, code, out, errOut)
		}
	}
}

func platformID(t *testing.T, text string) attest.PlatformID {
	t.Helper()
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
