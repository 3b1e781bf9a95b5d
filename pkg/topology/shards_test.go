package topology_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// sharded is the plan of several databases that know nothing of each other.
func sharded(t *testing.T) topology.Plan {
	t.Helper()
	p := several(t)
	p.Architecture, p.Databases = topology.Sharded, 2
	p.Applications.Accounts = `kind: confidb.accounts/v1
databases: [{name: shop_eu, shard: 0}, {name: shop_us, shard: 1}]
accounts:
  - {name: web, client: web, privileges: [{database: app, grant: [SELECT]}, {database: shop_eu, grant: [SELECT]}, {database: shop_us, grant: [SELECT, INSERT]}]}
`
	return p
}

// promised is what the session of the databases promises of one.
func promised(t *testing.T, r *topology.Release, i topology.Instance) *promise.Promise {
	t.Helper()
	s := parsedBy(t, r)[topology.Database]
	for _, service := range s.Services {
		if service.Name != i.Service {
			continue
		}
		files := map[string]string{}
		for _, image := range s.Images {
			for _, f := range image.InjectionFiles {
				if image.Name == service.ImageName {
					files[f.Path] = *f.Content
				}
			}
		}
		return promise.Read(service.Command, files)
	}
	t.Fatalf("there is no service %s", i.Service)
	return nil
}

// Each shard has databases of its own and the accounts of all, with rights only on what it
// has: so no account sees one name on two shards, whatever else is there.
func TestNoAccountSeesANameTwice(t *testing.T) {
	r := made(t, sharded(t))
	seen := map[string][]string{} // shards, by account and database
	for _, i := range r.AllInstances(topology.Database) {
		p := promised(t, r, i)
		if len(p.Unclear) > 0 {
			t.Errorf("%s: unclear: %q", i.Name, p.Unclear)
		}
		var has []string
		for _, d := range p.Databases {
			has = append(has, d.Name)
		}
		for _, a := range p.Accounts {
			if a.Name.User == "confidb_verify" || a.Name.User == "confidb_service" || a.Name.User == "mariadb.sys" {
				continue // none of them comes through MaxScale
			}
			for _, right := range a.Rights {
				if right.Database != "" {
					key := a.Name.User + " " + strings.ReplaceAll(right.Database, "\\", "")
					if at := seen[key]; !slices.Contains(at, i.Name) {
						seen[key] = append(at, i.Name)
					}
				}
			}
		}
		if !slices.ContainsFunc(p.Accounts, func(a promise.Account) bool { return a.Name.User == "web" }) {
			t.Errorf("%s: it does not have the account of the application", i.Name)
		}
		want := append(slices.Compact([]string{"confidb_verify", "app", r.FirstDatabase(i), "confidb"}), map[int][]string{0: {"shop_eu"}, 1: {"shop_us"}}[i.Ordinal]...)
		if diff := cmp.Diff(want, has); diff != "" {
			t.Errorf("%s (-want +got):\n%s", i.Name, diff)
		}
	}
	want := map[string][]string{"web app": {"mariadb-0"}, "web shop_eu": {"mariadb-0"}, "web shop_us": {"mariadb-1"},
		"confidb_app app": {"mariadb-0"}, "confidb_app app1": {"mariadb-1"}, "confidb_app app2": {"mariadb-2"}, "confidb_app app3": {"mariadb-3"}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("rights (-want +got):\n%s", diff)
	}
}

// A shard has nothing of what databases that follow each other have, and MaxScale changes
// nothing at it.
func TestShardsHaveNoReplication(t *testing.T) {
	r := made(t, sharded(t))
	sessions := parsedBy(t, r)
	for role, s := range sessions {
		var names []string
		for _, service := range s.Services {
			names = append(names, service.Name)
		}
		for _, secret := range s.Secrets {
			names = append(names, secret.Name)
		}
		for _, name := range names {
			for _, other := range []string{"gate", "cold", "leave", "keeper", "operate", "repl", "seed", "peer"} {
				if strings.HasPrefix(name, other) {
					t.Errorf("%s has %s", role, name)
				}
			}
		}
	}
	if got := secretsOf(t, sessions[topology.Database])["database-1"]; strings.Contains(got, "server_0") || !strings.Contains(got, "server_1:privatekey:pem") {
		t.Errorf("a shard gets %s", got)
	}
	for _, image := range sessions[topology.MaxScale].Images {
		for _, f := range image.InjectionFiles {
			if f.Path != "/run/confidb/maxscale.cnf" {
				continue
			}
			config, problems := settings.Parse([]settings.File{{Name: f.Path, Data: []byte(*f.Content)}}, func(string) (string, bool) { return "", false })
			if len(problems) > 0 {
				t.Fatalf("it refuses: %s", strings.Join(problems, "\n"))
			}
			service, _ := config.Find("RW")
			monitor, _ := config.Find("Mon")
			if service.Module != "schemarouter" || !service.Bool("auth_all_servers") || service.Bool("enable_root_user") || len(config.Servers(service)) != 2 {
				t.Errorf("got the service %+v", service)
			}
			if monitor.Bool("auto_failover") || monitor.Bool("auto_rejoin") || monitor.Bool("enforce_read_only_slaves") || monitor.Text("cooperative_monitoring_locks") != "none" {
				t.Errorf("got the monitor %+v", monitor)
			}
		}
	}
	for _, i := range r.AllInstances(topology.Database) {
		for _, a := range promised(t, r, i).Accounts {
			if a.Name.User == "confidb_monitor" && len(a.Rights) != 1 {
				t.Errorf("%s: the monitor has the rights %v", i.Name, a.Rights)
			}
		}
	}
}

// All images of a sharded release list what they get as well.
func TestImagesOfShardsListTheirSecrets(t *testing.T) {
	for role, s := range parsedBy(t, made(t, sharded(t))) {
		if role != topology.Database && role != topology.MaxScale {
			continue
		}
		for image, used := range secretsOf(t, s) {
			at := slices.IndexFunc(s.Images, func(i session.Image) bool { return i.Name == image })
			names := map[string]bool{}
			for _, one := range strings.Fields(used) {
				name, _, _ := strings.Cut(one, ":")
				names[name] = true
			}
			for _, one := range s.Images[at].ProvideSecrets {
				if !names[one] {
					t.Errorf("%s, %s: %s is provided and not used", role, image, one)
				}
				delete(names, one)
			}
			if len(names) > 0 {
				t.Errorf("%s, %s: %v are used and not provided", role, image, names)
			}
		}
	}
}

func TestShardsThatCannotBe(t *testing.T) {
	document := func(databases string) string { return "kind: confidb.accounts/v1\ndatabases: [" + databases + "]\n" }
	for databases, want := range map[string]string{
		"{name: a, shard: 2}":                         "there are 2",
		"{name: a}, {name: A, shard: 1}":              "capital letters",
		"{name: app1, shard: 1}":                      "every release has",
		"{name: App2}":                                "every release has",
		"{name: a, shard: -1}":                        "number from 0",
		"{name: a, shard: 1000}":                      "number from 0",
		"{name: a, shard: one}":                       "number from 0",
		"{name: a, shard: 1}, {name: a, shard: 0}":    "too like",
		"{name: a, shard: 0}, {name: A_, shard: 1}":   "",
		"{name: a, shard: 1}, {name: app4, shard: 0}": "",
	} {
		p := sharded(t)
		p.Applications = topology.Applications{Accounts: document(databases)}
		_, err := topology.Prepare(p, nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", databases, err, want)
		}
	}
	var wrong *topology.ShardError
	for _, architecture := range []topology.Architecture{topology.Single, topology.Replicated} {
		p := several(t)
		p.Architecture, p.Applications = architecture, topology.Applications{Accounts: document("{name: a, shard: 1}")}
		if _, err := topology.Prepare(p, nil); !errors.As(err, &wrong) || wrong.Shard != 1 || wrong.Hint() == "" {
			t.Errorf("%s: got %v, want that it has no shards", architecture, err)
		}
	}
}

// What is in a database would stay behind if it had another shard from now on.
func TestADatabaseStaysOnItsShard(t *testing.T) {
	p := sharded(t)
	r := made(t, p)
	p.Applications.Accounts = strings.Replace(p.Applications.Accounts, "shop_us, shard: 1", "shop_us, shard: 0", 1)
	var moved *accounts.MovedError
	if _, err := topology.Prepare(p, r); !errors.As(err, &moved) || fmt.Sprint(*moved) != "{shop_us 1 0}" || moved.Error() == "" || moved.Hint() == "" {
		t.Errorf("got %v", err)
	}
}
