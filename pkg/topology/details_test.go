package topology_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

func prepared(t *testing.T, own topology.Applications, earlier *topology.Release) *topology.Release {
	t.Helper()
	p := plan(t)
	p.Applications = own
	r, err := topology.Prepare(p, earlier)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// created is a release whose sessions CAS has.
func created(t *testing.T, own topology.Applications) *topology.Release {
	t.Helper()
	r := prepared(t, own, nil)
	for i := range r.Members {
		r.Members[i].Session.Hash = strings.Repeat("a", 64)
	}
	return r
}

func TestDetails(t *testing.T) {
	client := tokenizer()
	client.Environment, client.Namespace = map[string]string{"PIN": "hunter2"}, "shop-app"
	r := created(t, applications(client))
	d, err := r.Details("tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	if own := r.Session(topology.ApplicationRole("tokenizer")).Name; d.State != topology.Admitted || d.ConfigID != own+"/tokenizer" || d.Namespace != "shop-app" || d.CAS != r.CASAddress ||
		!slices.Equal(d.Environment, []string{"PIN"}) || len(d.Files) != 4 || d.Files[0].Path != "/run/confidb/ca.crt" || len(d.Accounts) == 0 || d.Own || len(d.Platforms) != len(r.Platforms) {
		t.Errorf("got %+v", d)
	}
	var unknown *topology.UnknownClientError
	if _, err := r.Details("other"); !errors.As(err, &unknown) || !strings.Contains(err.Error(), "tokenizer") || !strings.Contains(unknown.Hint(), "{client add}") {
		t.Errorf("got %v, want an error that names those that there are", err)
	}

	changed := client
	changed.MRENCLAVEs = []sgx.Measurement{{8}}
	for state, wanted := range map[topology.State]topology.Applications{topology.Altered: applications(changed), topology.Leaving: applications(), topology.Admitted: applications(client)} {
		r.Changing = &wanted
		if d, err := r.Details("tokenizer"); err != nil || d.State != state {
			t.Errorf("got %q and %v, want %q", d.State, err, state)
		}
	}
	r.Applications, r.Changing = applications(), &topology.Applications{Accounts: applications().Accounts, Clients: []topology.Application{client}}
	if d, err := r.Details("tokenizer"); err != nil || d.State != topology.Coming {
		t.Errorf("got %q and %v, want one that is coming", d.State, err)
	}
}

// TestSettingsOfAMeasurement: what was said of the client counts, and else what the policy
// says of one of its measurements, under whatever name.
func TestSettingsOfAMeasurement(t *testing.T) {
	for name, c := range map[string]struct {
		said, policy policy.Settings
		measured     sgx.Measurement
		want         policy.Settings
	}{
		"said":             {policy.Settings{Heap: "1G"}, policy.Settings{Heap: "2G", Dlopen: "1"}, sgx.Measurement{9}, policy.Settings{Heap: "1G"}},
		"of the policy":    {policy.Settings{}, policy.Settings{Heap: "2G", Dlopen: "1"}, sgx.Measurement{9}, policy.Settings{Heap: "2G", Dlopen: "1"}},
		"of another":       {policy.Settings{}, policy.Settings{Heap: "2G"}, sgx.Measurement{7}, policy.Settings{}},
		"of nobody at all": {},
	} {
		client := tokenizer()
		client.Settings = c.said
		r := prepared(t, applications(client), nil)
		r.Enclaves, r.Settings = map[string][]sgx.Measurement{"any": {c.measured}}, map[string]policy.Settings{"any": c.policy}
		if d, err := r.Details("tokenizer"); err != nil || d.Settings != c.want {
			t.Errorf("%s: got %+v and %v, want %+v", name, d.Settings, err, c.want)
		}
	}
}

// TestWhatNoSessionSays changes at once, without a start of the database; whatever a session
// says does not.
func TestWhatNoSessionSays(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*topology.Application)
		atOnce bool
	}{
		"nothing":   {func(*topology.Application) {}, true},
		"namespace": {func(c *topology.Application) { c.Namespace = "elsewhere" }, true},
		"settings":  {func(c *topology.Application) { c.Settings.Heap = "1G" }, true},
		"command":   {func(c *topology.Application) { c.Command = []string{"x"} }, false},
		"both":      {func(c *topology.Application) { c.Command, c.Namespace = []string{"x"}, "elsewhere" }, false},
		"enclave":   {func(c *topology.Application) { c.MRENCLAVEs = []sgx.Measurement{{7}} }, false},
		"name":      {func(c *topology.Application) { c.Name = "other" }, false},
	} {
		client := tokenizer()
		before := created(t, topology.Applications{Accounts: twoClients}.With(client))
		c.change(&client)
		wanted := topology.Applications{Accounts: twoClients}.With(client)
		after := prepared(t, wanted, before)
		replaced := slices.ContainsFunc(after.Members, func(m topology.Member) bool { return m.Session.Next != "" })
		if got := after.Changing == nil; got != c.atOnce || replaced == c.atOnce {
			t.Errorf("%s: at once %v, sessions replaced %v; want at once %v", name, got, replaced, c.atOnce)
		}
		if got := after.Wanted().Clients; len(got) != 1 || !got[0].Equal(client) {
			t.Errorf("%s: got %+v, want %+v", name, got, client)
		}
	}
}

const twoClients = `kind: confidb.accounts/v1
databases: [{name: shop}]
accounts:
  - {name: one, client: tokenizer, privileges: [{database: shop, grant: [SELECT]}]}
  - {name: two, client: other, privileges: [{database: shop, grant: [SELECT]}]}
`

func TestParseVariables(t *testing.T) {
	got, err := topology.ParseVariables([]string{"A=1", "B=x=y", "C="})
	if err != nil || len(got) != 3 || got["B"] != "x=y" || got["C"] != "" {
		t.Errorf("got %v and %v", got, err)
	}
	for _, wrong := range []string{"hunter2", "=hunter2", "A B=hunter2", "$A=hunter2", "@A=hunter2", `A\=hunter2`, "A\x1b=hunter2", "A=$$hunter2", "B=hunter2"} {
		if got, err := topology.ParseVariables([]string{"B=1", wrong}); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "number 2 ") {
			t.Errorf("%q: got %v and %v, want an error without its value", wrong, got, err)
		}
	}
}

func TestParseFiles(t *testing.T) {
	got, err := topology.ParseFiles([]string{"ca=/run/ca", "key:a b=/run/k=1"})
	if err != nil || len(got) != 2 || got["/run/k=1"] != (topology.Given{Form: topology.FormKey, Account: "a b"}) {
		t.Errorf("got %v and %v", got, err)
	}
	for _, wrong := range []string{"ca", "x=/run/y", "=/run/y", "ca=run/y", "ca=/", "ca=/run/../y", "ca=/run/$y", "ca=/run/x"} {
		if got, err := topology.ParseFiles([]string{"ca=/run/x", wrong}); err == nil {
			t.Errorf("%q: got %v, want an error", wrong, got)
		}
	}
	if err := topology.CheckNamespace("shop-app"); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"", "Shop", "a.b", "a/b", strings.Repeat("a", 64)} {
		if topology.CheckNamespace(wrong) == nil {
			t.Errorf("%q is a namespace", wrong)
		}
	}
}
