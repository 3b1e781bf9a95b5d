package topology_test

import (
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

func plan(t *testing.T) topology.Plan {
	t.Helper()
	id, err := attest.ParsePlatformID("INTEL_QE_ID:00112233445566778899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	var token [16]byte
	rand.Read(token[:])
	return topology.Plan{
		Token: token, Name: "db1", Namespace: "shop", CASAddress: "cas.scone-system.svc", Platforms: []attest.PlatformID{id},
		Enclaves: map[string][]sgx.Measurement{
			topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}},
		},
		BootstrapSQL: "SET @a=\"x\";\nCREATE TABLE IF NOT EXISTS t (\tHost char(255)) COMMENT='$$ $VARIABLE \\n';\n" + systemTables(),
	}
}

// Our own templates must lint clean, and belong together.
func TestOwnSessions(t *testing.T) {
	r, err := topology.Prepare(plan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed := map[string]*session.Session{}
	for _, m := range r.Members {
		s := m.Session
		if parsed[s.Name], err = session.Parse(s.Name, []byte(s.Text)); err != nil {
			t.Fatal(err)
		}
		if parsed[s.Name].Name != s.Name {
			t.Errorf("session %q calls itself %q", s.Name, parsed[s.Name].Name)
		}
		for _, f := range lint.Strength(parsed[s.Name]) {
			if f.Outcome != check.Pass {
				t.Errorf("session %s: %+v", s.Name, f)
			}
		}
	}
	client, database := parsed[r.Session(topology.Client).Name], parsed[r.Session(topology.Database).Name]
	var bootstrap string
	for _, image := range database.Images {
		for _, f := range image.InjectionFiles {
			if strings.HasSuffix(f.Path, "bootstrap.sql") {
				bootstrap = *f.Content
			}
		}
	}
	if !strings.Contains(bootstrap, "CREATE DATABASE mysql;\nUSE mysql;\n"+plan(t).BootstrapSQL+"\n") || !strings.HasSuffix(bootstrap, ";\nCREATE DATABASE app;\nSHUTDOWN;\n") {
		t.Errorf("the SQL for the system tables arrives as %q", bootstrap)
	}
	exported := map[string]session.Kind{}
	for _, s := range database.Secrets {
		for _, e := range s.Exports {
			if database.Resolve(e.Session) != client.Name {
				t.Errorf("secret %s goes to %q", s.Name, e.Session)
			}
			exported[s.Name] = s.Kind
		}
	}
	for _, s := range client.Secrets {
		if s.Import == nil {
			continue
		}
		if client.Resolve(s.Import.Session) != database.Name || exported[s.Import.Secret] != s.Kind {
			t.Errorf("secret %s (%s) is imported from %s/%s, which exports it as %q", s.Name, s.Kind, s.Import.Session, s.Import.Secret, exported[s.Import.Secret])
		}
		delete(exported, s.Import.Secret)
	}
	if len(exported) != 0 {
		t.Errorf("exported and imported by nobody: %v", exported)
	}
}

func TestNamesAreKeptAndNotGuessable(t *testing.T) {
	first, err := topology.Prepare(plan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	owner := first.Session(topology.Namespace).Name
	if len(owner) != len("db1-")+32 || first.Session(topology.Database).Name != owner+"/db" || first.Session(topology.Client).Name != owner+"/client" {
		t.Errorf("names %q, %q, %q", owner, first.Session(topology.Database).Name, first.Session(topology.Client).Name)
	}
	again, err := topology.Prepare(plan(t), first)
	if err != nil || again.Session(topology.Namespace).Name != owner {
		t.Errorf("the second run: %v, %v", again, err)
	}
	named := plan(t)
	named.Host = "db.example"
	kept, err := topology.Prepare(named, nil)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err = topology.Prepare(plan(t), kept); err != nil || kept.Host != "db.example" {
		t.Errorf("the host of the first run: got %q, %v", kept.Host, err)
	}
	other, err := topology.Prepare(plan(t), nil)
	if err != nil || other.Session(topology.Namespace).Name == owner {
		t.Errorf("another installation has the same name %q (%v)", owner, err)
	}
}

// upload makes every session of a release one that CAS has.
func upload(r *topology.Release) {
	for i := range r.Members {
		r.Members[i].Session.Hash = "hash"
	}
}

func TestPrepareRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*topology.Plan)
		want   string
	}{
		"a name for no Service": {func(p *topology.Plan) { p.Name = "DB_1" }, "release name"},
		"an empty name":         {func(p *topology.Plan) { p.Name = "" }, "release name"},
		"a long name":           {func(p *topology.Plan) { p.Name = strings.Repeat("a", 45) }, "release name"},
		"no platform":           {func(p *topology.Plan) { p.Platforms = nil }, "no platform ID"},
		"no bootstrap SQL":      {func(p *topology.Plan) { p.BootstrapSQL = "\n" }, "no SQL"},
		"no measurement":        {func(p *topology.Plan) { delete(p.Enclaves, topology.EnclaveProbe) }, `"probe"`},
		"two measurements":      {func(p *topology.Plan) { p.Enclaves[topology.EnclaveProbe] = []sgx.Measurement{{1}, {2}} }, "got 2"},
	} {
		p := plan(t)
		c.change(&p)
		if _, err := topology.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

// What was uploaded is not replaced in silence.
func TestPrepareAfterUpload(t *testing.T) {
	for name, change := range map[string]func(*topology.Plan){
		"another CAS":         func(p *topology.Plan) { p.CASAddress = "other" },
		"another session":     func(p *topology.Plan) { p.DatabaseSession = "mine" },
		"another measurement": func(p *topology.Plan) { p.Enclaves[topology.EnclaveServer] = []sgx.Measurement{{9}} },
	} {
		earlier, err := topology.Prepare(plan(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		upload(earlier)
		p := plan(t)
		change(&p)
		_, err = topology.Prepare(p, earlier)
		var hinted interface{ Hint() string }
		if !errors.As(err, &hinted) || hinted.Hint() == "" {
			t.Errorf("%s: got %v, want a refusal with a hint", name, err)
		}
	}
}

// A session that was updated since, with the same meaning, is kept as it is.
func TestPrepareAfterUpdate(t *testing.T) {
	earlier, err := topology.Prepare(plan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	upload(earlier)
	updated := "predecessor: " + strings.Repeat("ab", 32) + "\n" + earlier.Session(topology.Database).Text
	database := earlier.Session(topology.Database)
	database.Text = updated
	earlier.SetSession(topology.Database, database)
	again, err := topology.Prepare(plan(t), earlier)
	if err != nil || again.Session(topology.Database).Text != updated {
		t.Errorf("got %v and\n%s", err, again.Session(topology.Database).Text)
	}
}

// The attested client gets from CAS what the database must be, and no secret with it.
func TestClientGetsThePromise(t *testing.T) {
	r, err := topology.Prepare(plan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	p := promiseOf(t, r)
	if len(p.Unclear) > 0 || p.File != "/run/confidb/my.cnf" || len(p.Settings) < 40 || !slices.Equal(p.Databases, []promise.Database{{Name: "confidb_verify"}, {Name: "app"}, {Name: "confidb"}}) {
		t.Errorf("got %+v, want everything understood", p)
	}
	app := p.Account(promise.Name{User: "confidb_app", Host: "%"})
	if app == nil || len(p.Accounts) != 2 || app.Methods[0].Secret != "SCONE::app_password:hex" || app.Require.Subject != "/CN=confidb-app" || !app.Has("INSERT", "app", "t") || app.Has("INSERT", "mysql", "db") {
		t.Errorf("got %+v", app)
	}
	again, err := topology.Prepare(plan(t), r)
	if err != nil || promiseOf(t, again) == nil {
		t.Errorf("the second run: %v", err)
	}
}

// Where a template of somebody else is not understood, the promise says so.
func TestPromiseOfAnotherTemplate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(string) string
		want   string
	}{
		"an unknown statement": {func(s string) string {
			return strings.Replace(s, "CREATE DATABASE IF NOT EXISTS app;", "CALL more();", 1)
		}, "CALL"},
		"no init file": {func(s string) string {
			return strings.Replace(s, "      - --init-file=/run/confidb/accounts.sql\n", "", 1)
		}, "init file"},
		"another program": {func(s string) string {
			return strings.Replace(s, "image_name: database\n    command:\n      - mariadbd", "image_name: database\n    command:\n      - sh", 1)
		}, "mariadbd"},
		"another name": {func(s string) string { return strings.Replace(s, "  - name: db\n", "  - name: server\n", 1) }, ""},
	} {
		own, err := topology.Template("database")
		if err != nil {
			t.Fatal(err)
		}
		other := c.change(string(own))
		if other == string(own) {
			t.Fatalf("%s: nothing changed", name)
		}
		p := plan(t)
		p.Templates = map[string]string{"database": other}
		r, err := topology.Prepare(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Join(promiseOf(t, r).Unclear, "; ")
		if !strings.Contains(said, c.want) || (said == "") != (c.want == "") {
			t.Errorf("%s: got %q, want %q", name, said, c.want)
		}
	}
}

func promiseOf(t *testing.T, r *topology.Release) *promise.Promise {
	t.Helper()
	client, err := session.Parse("client", []byte(r.Session(topology.Client).Text))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range client.Images[0].InjectionFiles {
		if f.Path == "/run/confidb/promise.json" {
			p, err := promise.Parse([]byte(*f.Content))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
	}
	t.Fatal("the probe gets no promise")
	return nil
}

// systemTables is SQL that makes the tables that a session of ours names.
func systemTables() string {
	sql := ""
	for _, name := range topology.SystemTables() {
		sql += "CREATE TABLE IF NOT EXISTS " + name + " (a int);\n"
	}
	return sql
}

// What MariaDB skips is left out, and nothing else: the digests of its own routines, of
// which an attested client knows what they must be, would differ.
func TestCondensed(t *testing.T) {
	for sql, want := range map[string]string{
		"":                                     "",
		"SELECT 1;":                            "SELECT 1;",
		"-- one\n\n \t\r\n#two\nSELECT 1;\n--": "SELECT 1;\n",
		"CREATE VIEW v AS\n  -- of one\n  SELECT 1 -- here\n  , 2;\n": "CREATE VIEW v AS\n  SELECT 1 -- here\n  , 2;\n",
		"SELECT '\n # text\n - - text\n/* -- */\n';\n":                "SELECT '\n # text\n - - text\n/* -- */\n';\n",
	} {
		if got := topology.Condensed(sql); got != want {
			t.Errorf("%q: got %q, want %q", sql, got, want)
		}
	}
}

// With all that MariaDB's own installer makes, a session is far from the most that CAS takes.
func TestSizeOfSessions(t *testing.T) {
	sql, err := mariadbtest.BootstrapSQL()
	if err != nil {
		t.Fatal(err)
	}
	for _, architecture := range topology.Architectures() {
		p := several(t)
		p.Architecture, p.BootstrapSQL = architecture, sql
		for _, m := range made(t, p).Members {
			if most := document.MaxText * 6 / 10; len(m.Session.Text) > most {
				t.Errorf("%s, session of %s: got %d bytes, want at most %d", architecture, m.Role, len(m.Session.Text), most)
			}
		}
	}
}
