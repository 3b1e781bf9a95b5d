package topology_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

func tokenizer() topology.Application {
	return topology.Application{Name: "tokenizer", MRENCLAVEs: []sgx.Measurement{{9}}, Command: []string{"/app/tokenizer", "--listen", ":8080"}, Environment: map[string]string{"LANG": "C.UTF-8"}, Files: topology.GivenByDefault()}
}

func applications(clients ...topology.Application) topology.Applications {
	a := topology.Applications{Accounts: accounts.Example()}
	for _, c := range clients {
		a = a.With(c)
	}
	return a
}

func parse(t *testing.T, r *topology.Release, role topology.Role) *session.Session {
	t.Helper()
	s, err := session.Parse(string(role), []byte(r.Session(role).Text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestApplications(t *testing.T) {
	plan := plan(t)
	plan.Applications = applications(tokenizer())
	r, err := topology.Prepare(plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := parse(t, r, topology.ApplicationRole("tokenizer"))
	database, client := parse(t, r, topology.Database), parse(t, r, topology.Client)
	if want := r.Session(topology.Namespace).Name + "/tokenizer"; own.Name != want {
		t.Errorf("got the session %q, want %q", own.Name, want)
	}
	// who gets what: the client its own, ours the passwords
	for _, s := range database.Secrets {
		if !strings.HasPrefix(s.Name, "account_") {
			continue
		}
		var to []string
		for _, e := range s.Exports {
			to = append(to, e.Session)
		}
		want := own.Name
		if strings.HasSuffix(s.Name, "_password") {
			want = client.Name + " " + want
		}
		if got := strings.Join(to, " "); got != want {
			t.Errorf("%s goes to %s, want %s", s.Name, got, want)
		}
	}
	options := fileOf(own, "/run/confidb/my.cnf")
	for _, want := range []string{"host = " + r.Host, `user = "tokenizer"`, "password = $$SCONE::account_tokenizer_password:hex$$", `ssl-key = "/run/confidb/client.key"`, "ssl-verify-server-cert", `database = "shop"`} {
		if !strings.Contains(options, want) {
			t.Errorf("want %s in\n%s", want, options)
		}
	}
	sessions := []*session.Session{parse(t, r, topology.Namespace), client, own, database}
	problems, err := lint.Check(sessions, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Rule().Severity.AtLeast(lint.Warning) {
			t.Errorf("%s: %s: %s", p.File, p.Code, p.Got)
		}
	}
	if p := promiseOf(t, r); len(p.Unclear) > 0 || p.Account(promise.Name{User: "tokenizer", Host: "%"}) == nil {
		t.Errorf("got %+v", p)
	}
}

func fileOf(s *session.Session, at string) string {
	for _, i := range s.Images {
		for _, f := range i.InjectionFiles {
			if f.Path == at {
				return *f.Content
			}
		}
	}
	return ""
}

// installed is a release whose sessions CAS has.
func installed(t *testing.T, a topology.Applications) (*topology.Release, topology.Plan) {
	t.Helper()
	p := plan(t)
	p.Applications = a
	r, err := topology.Prepare(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Members {
		r.Members[i].Session.Hash = fmt.Sprintf("%064d", i)
	}
	return r, p
}

// TestChangeOfApplications: each session that differs is to be replaced, whatever a run
// that was killed has done of it, and nothing else changes it.
func TestChangeOfApplications(t *testing.T) {
	before, p := installed(t, applications())
	p.Applications = applications(tokenizer())
	changed := func(earlier *topology.Release) []string {
		t.Helper()
		r, err := topology.Prepare(p, earlier)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range r.Members {
			if m.Session.Next != "" {
				names = append(names, string(m.Role))
			}
		}
		return names
	}
	if got := strings.Join(changed(before), ","); got != "client,database" {
		t.Errorf("got %s, want client and database", got)
	}
	r, err := topology.Prepare(p, before)
	if err != nil || r.Changing == nil || len(r.Applications.Clients) != 0 || before.Changing != nil {
		t.Fatalf("got %v, changing %+v", err, r.Changing)
	}
	// killed after the first: what is recorded is a mixture
	at := 0
	for i := range r.Members {
		if r.Members[i].Session.Next != "" && at == 0 {
			r.Members[i].Session.Text, r.Members[i].Session.Next, at = r.Members[i].Session.Next, "", i
		}
	}
	if got := strings.Join(changed(r), ","); got != "database" {
		t.Errorf("after a kill: got %s, want database", got)
	}
	p.Applications = applications() // and back
	if got := strings.Join(changed(r), ","); got != "client" && got != "client,client tokenizer" {
		t.Errorf("back: got %s", got)
	}
	// another reason
	p.Enclaves = map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{4}}}
	var refused *topology.SessionChangedError
	if _, err := topology.Prepare(p, before); !errors.As(err, &refused) {
		t.Errorf("another probe: got %v", err)
	}
}

// TestRetiredClient: the session of a client that is gone gives nothing.
func TestRetiredClient(t *testing.T) {
	before, p := installed(t, applications(tokenizer()))
	p.Applications = applications()
	r, err := topology.Prepare(p, before)
	if err != nil {
		t.Fatal(err)
	}
	own := r.Session(topology.ApplicationRole("tokenizer"))
	s, err := session.Parse("retired", []byte(own.Next))
	if err != nil || len(s.Services)+len(s.Secrets) != 0 || s.Name != own.Name {
		t.Errorf("got %v and\n%s", err, own.Next)
	}
	if database := r.Session(topology.Database).Next; strings.Contains(database, own.Name) || !strings.Contains(database, "ACCOUNT LOCK") {
		t.Errorf("it is exported to, or its account is not locked:\n%s", database)
	}
}

func TestApplicationsThatDoNotFit(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*topology.Application)
		want   string
	}{
		"no account":       {func(a *topology.Application) { a.Name = "web" }, "client web: no account belongs to it; there are accounts of tokenizer"},
		"another account":  {func(a *topology.Application) { a.Files["/x"] = topology.Given{Form: topology.FormKey, Account: "root"} }, `the account "root" does not belong to it`},
		"no key for a DSN": {func(a *topology.Application) { delete(a.Files, "/run/confidb/client.key") }, "(my.cnf) refers to a file of the form key"},
		"an unknown form":  {func(a *topology.Application) { a.Files["/x"] = topology.Given{Form: "xml"} }, `got the form "xml"`},
	} {
		app := tokenizer()
		c.change(&app)
		p := plan(t)
		p.Applications = applications(app)
		if _, err := topology.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}
