package topology_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// several is a plan of a primary and its replicas, with applications.
func several(t *testing.T) topology.Plan {
	t.Helper()
	p := plan(t)
	p.Architecture, p.Enclaves[topology.EnclaveMaxScale] = topology.Replicated, []sgx.Measurement{{4}}
	p.Applications = topology.Applications{
		Accounts: "kind: confidb.accounts/v1\naccounts:\n  - {name: web, client: web, privileges: [{database: app, grant: [SELECT]}]}\n  - {name: later, client: later, privileges: [{database: app, grant: [SELECT]}]}\n",
		Clients:  []topology.Application{{Name: "web", MRENCLAVEs: []sgx.Measurement{{9}}, Command: []string{"web"}, Files: topology.GivenByDefault()}},
	}
	return p
}

// parsedBy are the sessions of a release, by role, as CAS applies them.
func parsedBy(t *testing.T, r *topology.Release) map[topology.Role]*session.Session {
	t.Helper()
	all, parsed := map[topology.Role]*session.Session{}, []*session.Session{}
	for _, m := range r.Members {
		s, err := session.Parse(m.Session.Name, []byte(m.Session.Text))
		if err != nil {
			t.Fatalf("%s: %v", m.Role, err)
		}
		all[m.Role], parsed = s, append(parsed, s)
	}
	for role, s := range all {
		effective, _, err := s.Effective(parsed)
		if err != nil {
			t.Fatal(err)
		}
		all[role] = effective
	}
	return all
}

func made(t *testing.T, p topology.Plan) *topology.Release {
	t.Helper()
	r, err := topology.Prepare(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// secretsOf are the placeholders that each image of a session gets, by image.
func secretsOf(t *testing.T, s *session.Session) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, image := range s.Images {
		all := map[string]bool{}
		for _, f := range image.InjectionFiles {
			placeholders, err := session.Placeholders(*f.Content)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range placeholders {
				all[strings.TrimSuffix(strings.TrimPrefix(p.Text, "$$SCONE::"), "$$")] = true
			}
		}
		got[image.Name] = strings.Join(slices.Sorted(maps.Keys(all)), " ")
	}
	return got
}

// Each program gets exactly the secrets that it needs, in the form that it needs, and no
// other: whoever adds one says here to whom it goes.
func TestWhoGetsWhichSecret(t *testing.T) {
	r := made(t, several(t))
	sessions := parsedBy(t, r)
	database := map[string]string{"init": "at_rest_key:hex made_secret:hex"}
	client := map[string]string{"operate": "ca:crt operate:crt operate_key:pem", "sql": "app:crt app_key:pem app_password:hex ca:crt"}
	for _, i := range []string{"0", "1", "2", "3"} {
		database["volume-"+i] = ""
		database["gate-"+i] = "ca:crt peer:crt peer_key:pem server_" + i + ":crt server_" + i + ":privatekey:pem"
		database["leave-"+i] = "ca:crt peer:crt peer_key:pem"
		database["database-"+i] = "account_web_password:hex app_password:hex at_rest_key:hex ca:crt keeper_password:hex made_secret:hex monitor_password:hex repl:crt repl_key:pem repl_password:hex seed_password:hex server_" + i + ":crt server_" + i + ":privatekey:pem service_password:hex start_secret:hex verify_password:hex"
		client["probe-"+i] = "account_later_password:hex account_web_password:hex app_password:hex ca:crt expired:crt expired_key:pem start_secret:hex statement_key:pem stranger:crt stranger_key:pem verify:crt verify_key:pem verify_password:hex wrongrole:crt wrongrole_key:pem"
	}
	for role, want := range map[topology.Role]map[string]string{
		topology.Database: database, topology.Client: client, topology.Namespace: {},
		topology.MaxScale: {
			"prepare":  "admin:crt rest_password:hex",
			"maxscale": "admin_ca:crt admin_key:pem backend:crt backend_key:pem ca:crt front:crt front_key:pem monitor_password:hex repl_password:hex service_password:hex",
			"keeper":   "admin_ca:crt backend:crt backend_key:pem ca:crt front:crt front_key:pem keeper_password:hex peer:crt peer_key:pem rest_password:hex",
		},
		topology.ApplicationRole("web"): {"web": "account_web:crt account_web_key:pem account_web_password:hex ca:crt"},
	} {
		if diff := cmp.Diff(want, secretsOf(t, sessions[role])); diff != "" {
			t.Errorf("%s (-want +got):\n%s", role, diff)
		}
	}
	if len(sessions) != 5 {
		t.Errorf("got %d sessions", len(sessions))
	}
}

// What a session exports is what another imports, and goes to nobody else. The keys of the
// CAs and at rest, and what applications log in with, are nowhere but where they belong.
func TestWhoIsGivenWhat(t *testing.T) {
	r := made(t, several(t))
	sessions := parsedBy(t, r)
	type way struct{ secret, to string }
	exported, imported := map[way]session.Kind{}, map[way]session.Kind{}
	for _, s := range sessions {
		for _, one := range s.Secrets {
			for _, e := range one.Exports {
				exported[way{one.Name, s.Resolve(e.Session)}] = one.Kind
			}
			if one.Import != nil {
				imported[way{one.Import.Secret, s.Name}] = one.Kind
				if from := s.Resolve(one.Import.Session); from != sessions[topology.Database].Name {
					t.Errorf("%s is imported from %s", one.Name, from)
				}
			}
		}
	}
	if diff := cmp.Diff(exported, imported); diff != "" {
		t.Errorf("(-exported +imported):\n%s", diff)
	}
	var proxy []string
	for w := range exported {
		if w.to == sessions[topology.MaxScale].Name {
			proxy = append(proxy, w.secret)
		}
	}
	slices.Sort(proxy)
	if diff := cmp.Diff([]string{"backend", "backend_key", "ca", "front", "front_key", "keeper_password", "monitor_password", "peer", "peer_key", "repl_password", "service_password"}, proxy); diff != "" {
		t.Errorf("MaxScale gets (-want +got):\n%s", diff)
	}
}

// No image can get a secret by another path than the files that are in the session: each
// lists those, and no more.
func TestImagesListTheirSecrets(t *testing.T) {
	sessions := parsedBy(t, made(t, several(t)))
	for _, role := range []topology.Role{topology.Database, topology.MaxScale} {
		for _, image := range sessions[role].Images {
			uses := map[string]bool{}
			for _, f := range image.InjectionFiles {
				if f.Content == nil {
					t.Errorf("%s, %s: %s comes from the image", role, image.Name, f.Path)
					continue
				}
				placeholders, err := session.Placeholders(*f.Content)
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range placeholders {
					uses[p.Secret] = true
				}
			}
			if image.ProvideSecrets == nil {
				t.Errorf("%s, %s: all secrets are provided", role, image.Name)
			}
			listed := slices.Sorted(slices.Values(image.ProvideSecrets))
			for _, extra := range slices.DeleteFunc(slices.Clone(listed), func(s string) bool { return uses[s] }) {
				t.Errorf("%s, %s: %s is provided and not used", role, image.Name, extra)
			}
			for s := range uses {
				if !slices.Contains(listed, s) {
					t.Errorf("%s, %s: %s is used and not provided", role, image.Name, s)
				}
			}
		}
	}
}
