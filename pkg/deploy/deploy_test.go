package deploy_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
)

func plan(t *testing.T) deploy.Plan {
	t.Helper()
	id, err := attest.ParsePlatformID("INTEL_QE_ID:00112233445566778899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	return deploy.Plan{
		Name: "db1", Namespace: "shop", CASAddress: "cas.scone-system.svc", Platforms: []attest.PlatformID{id},
		Enclaves: map[string][]sgx.Measurement{
			deploy.EnclaveServer: {{1}}, deploy.EnclaveClient: {{2}}, deploy.EnclaveProbe: {{3}},
		},
		BootstrapSQL: "SET @a=\"x\";\nCREATE TABLE IF NOT EXISTS db (\tHost char(255)) COMMENT='$$ $VARIABLE \\n';\n",
	}
}

// Our own templates must lint clean, and belong together.
func TestOwnSessions(t *testing.T) {
	r, err := deploy.Prepare(plan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	parsed := map[string]*session.Session{}
	for _, s := range []record.Session{r.Owner, r.Client, r.Database} {
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
	client, database := parsed[r.Client.Name], parsed[r.Database.Name]
	var bootstrap string
	for _, f := range database.Images[0].InjectionFiles {
		if strings.HasSuffix(f.Path, "bootstrap.sql") {
			bootstrap = *f.Content
		}
	}
	if bootstrap != "CREATE DATABASE mysql;\nUSE mysql;\n"+plan(t).BootstrapSQL+"\nSHUTDOWN;\n" {
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
	first, err := deploy.Prepare(plan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	owner := first.Owner.Name
	if len(owner) != len("db1-")+32 || first.Database.Name != owner+"/db" || first.Client.Name != owner+"/client" {
		t.Errorf("names %q, %q, %q", owner, first.Database.Name, first.Client.Name)
	}
	again, err := deploy.Prepare(plan(t), first)
	if err != nil || again.Owner.Name != owner {
		t.Errorf("the second run: %v, %v", again, err)
	}
	named := plan(t)
	named.Host = "db.example"
	kept, err := deploy.Prepare(named, nil)
	if err != nil {
		t.Fatal(err)
	}
	if kept, err = deploy.Prepare(plan(t), kept); err != nil || kept.Host != "db.example" {
		t.Errorf("the host of the first run: got %q, %v", kept.Host, err)
	}
	other, err := deploy.Prepare(plan(t), nil)
	if err != nil || other.Owner.Name == owner {
		t.Errorf("another installation has the same name %q (%v)", owner, err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*deploy.Plan)
		want   string
	}{
		"a name for no Service": {func(p *deploy.Plan) { p.Name = "DB_1" }, "release name"},
		"an empty name":         {func(p *deploy.Plan) { p.Name = "" }, "release name"},
		"a long name":           {func(p *deploy.Plan) { p.Name = strings.Repeat("a", 45) }, "release name"},
		"no platform":           {func(p *deploy.Plan) { p.Platforms = nil }, "no platform ID"},
		"no bootstrap SQL":      {func(p *deploy.Plan) { p.BootstrapSQL = "\n" }, "no SQL"},
		"no measurement":        {func(p *deploy.Plan) { delete(p.Enclaves, deploy.EnclaveProbe) }, `"probe"`},
		"two measurements":      {func(p *deploy.Plan) { p.Enclaves[deploy.EnclaveProbe] = []sgx.Measurement{{1}, {2}} }, "got 2"},
	} {
		p := plan(t)
		c.change(&p)
		if _, err := deploy.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

// What was uploaded is not replaced in silence.
func TestPrepareAfterUpload(t *testing.T) {
	for name, change := range map[string]func(*deploy.Plan){
		"another CAS":         func(p *deploy.Plan) { p.CASAddress = "other" },
		"another session":     func(p *deploy.Plan) { p.DatabaseSession = "mine" },
		"another measurement": func(p *deploy.Plan) { p.Enclaves[deploy.EnclaveServer] = []sgx.Measurement{{9}} },
	} {
		earlier, err := deploy.Prepare(plan(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		earlier.Owner.Hash, earlier.Client.Hash, earlier.Database.Hash = "a", "b", "c"
		p := plan(t)
		change(&p)
		_, err = deploy.Prepare(p, earlier)
		var hinted interface{ Hint() string }
		if !errors.As(err, &hinted) || hinted.Hint() == "" {
			t.Errorf("%s: got %v, want a refusal with a hint", name, err)
		}
	}
}

// A session that was updated since, with the same meaning, is kept as it is.
func TestPrepareAfterUpdate(t *testing.T) {
	earlier, err := deploy.Prepare(plan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	earlier.Owner.Hash, earlier.Client.Hash, earlier.Database.Hash = "a", "b", "c"
	updated := "predecessor: " + strings.Repeat("ab", 32) + "\n" + earlier.Database.Text
	earlier.Database.Text = updated
	again, err := deploy.Prepare(plan(t), earlier)
	if err != nil || again.Database.Text != updated {
		t.Errorf("got %v and\n%s", err, again.Database.Text)
	}
}

// fakeCAS keeps sessions by name. It only stands for the order of calls; what a
// CAS does with sessions is the lab's business.
type fakeCAS struct {
	sessions map[string]cas.StoredSession
	created  int
	lost     bool // the answer to a creation is lost
}

func (f *fakeCAS) Session(_ context.Context, name string) (*cas.StoredSession, error) {
	s, ok := f.sessions[name]
	if !ok {
		return nil, &cas.StatusError{Code: 404}
	}
	return &s, nil
}

func (f *fakeCAS) CreateSession(_ context.Context, document []byte) (string, error) {
	s, err := session.Parse("upload", document)
	if err != nil {
		return "", err
	}
	f.created++
	hash := strings.Repeat("a", 64)
	f.sessions[s.Name] = cas.StoredSession{Hash: hash, Text: "creator: me\n" + string(document)}
	if f.lost {
		return "", errors.New("connection lost")
	}
	return hash, nil
}

func TestEnsureSession(t *testing.T) {
	r, err := deploy.Prepare(plan(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &fakeCAS{sessions: map[string]cas.StoredSession{}, lost: true}
	if _, err := deploy.EnsureSession(t.Context(), c, &r.Database); err == nil {
		t.Fatal("the lost answer was not noticed")
	}
	c.lost = false
	// the next run finds the session and takes its hash
	created, err := deploy.EnsureSession(t.Context(), c, &r.Database)
	if err != nil || created || c.created != 1 || r.Database.Hash == "" {
		t.Fatalf("created %v, %d uploads, hash %q, %v", created, c.created, r.Database.Hash, err)
	}
	t.Run("changed in CAS", func(t *testing.T) {
		s := c.sessions[r.Database.Name]
		defer func() { c.sessions[r.Database.Name] = s }()
		c.sessions[r.Database.Name] = cas.StoredSession{Hash: strings.Repeat("b", 64), Text: s.Text}
		if _, err := deploy.EnsureSession(t.Context(), c, &r.Database); err == nil || !strings.Contains(err.Error(), "was changed in CAS") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("somebody else's", func(t *testing.T) {
		mine := r.Client
		c.sessions[mine.Name] = cas.StoredSession{Hash: strings.Repeat("b", 64), Text: strings.Replace(mine.Text, "CREATOR", "ANY", 1)}
		if _, err := deploy.EnsureSession(t.Context(), c, &mine); err == nil || !strings.Contains(err.Error(), "is not the one that was prepared") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("lost by CAS", func(t *testing.T) {
		delete(c.sessions, r.Database.Name)
		if _, err := deploy.EnsureSession(t.Context(), c, &r.Database); err == nil || !strings.Contains(err.Error(), "lost its store") {
			t.Errorf("got %v", err)
		}
	})
}
