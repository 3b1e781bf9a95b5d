package topology_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// everything is a client that gets each form.
func everything() topology.Application {
	app := tokenizer()
	for _, form := range topology.Forms() {
		app.Files["/run/confidb/of "+string(form)] = topology.Given{Form: form}
	}
	app.Files[topology.InEnvironment] = topology.Given{Form: topology.FormEnvironment}
	return app
}

// TestGiven: each form is a file, whose secrets are those of the account, and lint has nothing
// against the session.
func TestGiven(t *testing.T) {
	p := plan(t)
	p.Applications = applications(everything())
	r, err := topology.Prepare(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := parse(t, r, topology.ApplicationRole("tokenizer"))
	known := map[string]bool{}
	for _, s := range own.Secrets {
		known[s.Name] = true
	}
	for _, form := range topology.Forms() {
		text := fileOf(own, "/run/confidb/of "+string(form))
		found, err := session.Placeholders(text)
		if err != nil || len(found) == 0 {
			t.Errorf("%s: got %v, %v", form, text, err)
		}
		for _, p := range found {
			if !known[p.Secret] {
				t.Errorf("%s: there is no secret %s", form, p.Secret)
			}
		}
	}
	if got, want := fileOf(own, "/run/confidb/of pkcs12"), "$$SCONE::account_tokenizer:pkcs12-with-private-key$$"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if node := fileOf(own, "/run/confidb/of nodejs"); !strings.Contains(node, `"key":"$$SCONE::account_tokenizer_key:pem|escape(json)$$"`) {
		t.Errorf("got %s", node)
	}
	environment := own.Services[0].Environment
	if environment["LANG"] != "C.UTF-8" || environment["MYSQL_USER"] != "tokenizer" || environment["MYSQL_PASSWORD"] != "$$SCONE::account_tokenizer_password:hex$$" ||
		!strings.Contains(environment["DATABASE_URL"], "$$SCONE::account_tokenizer_password:hex$$@"+r.Host+":3306/shop?") {
		t.Errorf("got %v", environment)
	}
	problems, err := lint.Check([]*session.Session{parse(t, r, topology.Namespace), parse(t, r, topology.Client), own, parse(t, r, topology.Database)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if p.Rule().Severity.AtLeast(lint.Warning) {
			t.Errorf("%s: %s: %s", p.File, p.Code, p.Got)
		}
	}
}

// TestGivenWrong: what cannot be given as it is wanted is one error, and no session.
func TestGivenWrong(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*topology.Application)
		want   string
	}{
		"no key store":             {func(a *topology.Application) { delete(a.Files, "/run/confidb/of pkcs12") }, "/run/confidb/of jdbc (jdbc) refers to a file of the form pkcs12"},
		"another form than env":    {func(a *topology.Application) { a.Files[topology.InEnvironment] = topology.Given{Form: topology.FormCA} }, "the form ca is a file: want its path, and not environment"},
		"a variable of the user's": {func(a *topology.Application) { a.Environment = map[string]string{"MYSQL_USER": "root"} }, "the variable MYSQL_USER is that of the form env, and another"},
		"a variable of the host's": {func(a *topology.Application) { a.FromHost = map[string]string{"DATABASE_URL": ""} }, "the variable DATABASE_URL is that of the form env, and another"},
		"a path with a quote":      {func(a *topology.Application) { move(a, "/run/confidb/ca.crt", "/a'b") }, "cannot be written in the form env"},
		"another account": {func(a *topology.Application) {
			a.Files[topology.InEnvironment] = topology.Given{Form: topology.FormEnvironment, Account: "root"}
		}, `environment: the account "root" does not belong to it`},
	} {
		app := everything()
		c.change(&app)
		p := plan(t)
		p.Applications = applications(app)
		if r, err := topology.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v and a release %v, want %s", name, err, r != nil, c.want)
		}
	}
}

// move gives a client a file at another path; it gets the CA from nowhere else.
func move(a *topology.Application, from, to string) {
	a.Files[to] = a.Files[from]
	maps.DeleteFunc(a.Files, func(at string, g topology.Given) bool { return at != to && g.Form == a.Files[to].Form })
}

// TestOtherFilesAreAnotherSession: who gets another form gets a new version of the session, and
// the others keep theirs.
func TestOtherFilesAreAnotherSession(t *testing.T) {
	for _, form := range topology.Forms() {
		before, p := installed(t, applications(everything()))
		app := everything()
		for at := range app.Files {
			if at == "/run/confidb/of "+string(form) {
				app.Files["/other/"+string(form)] = app.Files[at]
			}
		}
		p.Applications = applications(app)
		r, err := topology.Prepare(p, before)
		if err != nil {
			t.Fatal(err)
		}
		var changed []string
		for _, m := range r.Members {
			if m.Session.Next != "" {
				changed = append(changed, string(m.Role))
			}
		}
		if want := []string{string(topology.ApplicationRole("tokenizer"))}; !slices.Equal(changed, want) {
			t.Errorf("%s: got %v, want %v", form, changed, want)
		}
	}
}

func TestCheckPath(t *testing.T) {
	for at, good := range map[string]bool{"/run/a": true, "/a b%41": true, "/ü'\"": true, topology.InEnvironment: true,
		"": false, "/": false, "a": false, "/a/": false, "/a/../b": false, "/a$b": false, "/a@b": false, `/a\b`: false, "/a\u202eb": false, "ENVIRONMENT": false, "./environment": false} {
		if err := topology.CheckPath(at); (err == nil) != good {
			t.Errorf("%q: got %v", at, err)
		}
	}
}
