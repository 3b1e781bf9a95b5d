package topology_test

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	labmasking "github.com/confidb/confidb/pkg/lab/maxscale/masking"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
	"github.com/confidb/confidb/pkg/layout"
	"github.com/confidb/confidb/pkg/masking"
	"github.com/confidb/confidb/pkg/outside"
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
	client := map[string]string{
		"front":   "ca:crt expired:crt expired_key:pem front_password:hex granted_password:hex masked_password:hex statement_key:pem stranger:crt stranger_key:pem verify:crt verify_key:pem wrongrole:crt wrongrole_key:pem",
		"operate": "ca:crt operate:crt operate_key:pem", "sql": "app:crt app_key:pem app_password:hex ca:crt"}
	for _, i := range []string{"0", "1", "2", "3"} {
		database["volume-"+i] = ""
		database["gate-"+i] = "ca:crt peer:crt peer_key:pem peer_password:hex server_" + i + ":crt server_" + i + ":privatekey:pem"
		database["seeding-"+i] = "at_rest_key:hex ca:crt made_secret:hex seed_password:hex server_" + i + ":crt server_" + i + ":privatekey:pem"
		database["seed-"+i] = "ca:crt seed:crt seed_key:pem seed_password:hex"
		database["leave-"+i] = "ca:crt peer:crt peer_key:pem"
		database["database-"+i] = "account_web_password:hex app_password:hex at_rest_key:hex ca:crt front_password:hex granted_password:hex keeper_password:hex made_secret:hex masked_password:hex monitor_password:hex peer_password:hex repl:crt repl_key:pem repl_password:hex seed_password:hex server_" + i + ":crt server_" + i + ":privatekey:pem service_password:hex start_secret:hex verify_password:hex"
		client["probe-"+i] = "account_later_password:hex account_web_password:hex app_password:hex ca:crt expired:crt expired_key:pem front_password:hex granted_password:hex keeper_password:hex masked_password:hex monitor_password:hex peer_password:hex repl_password:hex seed_password:hex service_password:hex start_secret:hex statement_key:pem stranger:crt stranger_key:pem verify:crt verify_key:pem verify_password:hex wrongrole:crt wrongrole_key:pem"
	}
	for role, want := range map[topology.Role]map[string]string{
		topology.Database: database, topology.Client: client, topology.Namespace: {},
		topology.MaxScale: {
			"prepare":  "admin:crt rest_password:hex",
			"maxscale": "admin_ca:crt admin_key:pem backend:crt backend_key:pem ca:crt front:crt front_key:pem monitor_password:hex repl_password:hex service_password:hex",
			"keeper":   "admin_ca:crt backend:crt backend_key:pem ca:crt front:crt front_key:pem keeper_password:hex rest_password:hex",
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
	if diff := cmp.Diff([]string{"backend", "backend_key", "ca", "front", "front_key", "keeper_password", "monitor_password", "repl_password", "service_password"}, proxy); diff != "" {
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

// What cannot be behind MaxScale is refused by its name, and is as good as ever where there
// is one database.
func TestWhatCannotBeBehindMaxScale(t *testing.T) {
	accounts := func(client string) string {
		return "kind: confidb.accounts/v1\naccounts:\n  - {name: web, client: " + client + ", privileges: [{database: app, grant: [SELECT]}]}\n"
	}
	var proxy *topology.ProxyError
	for _, name := range topology.ReservedClients() {
		p := several(t)
		p.Applications = topology.Applications{Accounts: accounts(name)}
		if _, err := topology.Prepare(p, nil); !errors.As(err, &proxy) || proxy.Client != name || proxy.Hint() == "" {
			t.Errorf("the client %s: got %v", name, err)
		}
		p.Architecture = topology.Single
		if _, err := topology.Prepare(p, nil); err != nil {
			t.Errorf("the client %s of a single database: got %v", name, err)
		}
	}
	p := several(t)
	p.Applications = topology.Applications{Accounts: accounts("report"), Outside: []outside.Client{{Name: "report"}}}
	if _, err := topology.Prepare(p, nil); !errors.As(err, &proxy) || proxy.Client != "report" || !strings.Contains(proxy.Error(), "outside of enclaves") {
		t.Errorf("a client outside of enclaves: got %v", err)
	}
	p.Applications = topology.Applications{Accounts: "kind: confidb.accounts/v1\ndatabases: [{name: Confidb_Cluster}]\n"}
	if _, err := topology.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), "Confidb_Cluster") {
		t.Errorf("a reserved database: got %v", err)
	}
	p = several(t)
	delete(p.Enclaves, topology.EnclaveMaxScale)
	if _, err := topology.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), "maxscale") {
		t.Errorf("no measurement of MaxScale: got %v", err)
	}
	p = several(t)
	p.Name = strings.Repeat("a", 44)
	if _, err := topology.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), "release name") {
		t.Errorf("a long name: got %v", err)
	}
}

// Every account of an application demands what MaxScale shows; the certificate of the
// application is its own.
func TestApplicationsComeThroughMaxScale(t *testing.T) {
	r := made(t, several(t))
	database, client := r.Session(topology.Database).Text, r.Session(topology.ApplicationRole("web")).Text
	if got := strings.Count(database, "CREATE OR REPLACE USER `web`@'%' IDENTIFIED BY '$$SCONE::account_web_password:hex$$' REQUIRE SUBJECT '/CN=confidb-maxscale' AND ISSUER '/CN=confidb-ca'"); got != topology.Slots {
		t.Errorf("%d databases have the account, want %d", got, topology.Slots)
	}
	if strings.Contains(database, "'/CN=confidb-account-web'") || !strings.Contains(database, "common_name: confidb-account-web\n") || !strings.Contains(client, "host = db1.shop.svc") {
		t.Error("the account demands its own certificate, it has none, or the client goes past MaxScale")
	}
}

// The certificate of each database has its own names and no other's; that of the whole has
// the names of the whole, and of no database.
func TestNamesInCertificates(t *testing.T) {
	r := made(t, several(t))
	got := map[string][]string{}
	for _, s := range parsedBy(t, r)[topology.Database].Secrets {
		if s.Kind == session.X509 && s.Endpoint == "server" {
			got[s.Name] = append([]string{s.CommonName}, s.SAN...)
		}
	}
	want := map[string][]string{"wrongrole": {"confidb-verify", "dns:wrong-role.invalid"}, "front": {"db1", "dns:db1.shop.svc", "dns:db1.shop", "dns:db1"}}
	for _, i := range r.AllInstances(topology.Database) {
		want["server_"+strconv.Itoa(i.Ordinal)] = []string{i.Pod, "dns:" + i.Host, "dns:" + i.Pod}
	}
	for _, i := range r.AllInstances(topology.MaxScale) {
		want["front"] = append(want["front"], "dns:"+i.Host)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What MaxScale is told, read as our own reader of its configuration has it: it knows
// exactly the databases that there are, and the others are in the other sessions already.
func TestMaxScaleKnowsTheDatabases(t *testing.T) {
	texts := map[topology.Role]string{}
	for _, c := range []struct{ databases, next, want int }{{0, 0, 3}, {4, 0, 4}, {3, 4, 4}, {4, 3, 3}} {
		p := several(t)
		p.Token = [16]byte{1}
		p.Databases = c.databases
		r := made(t, p)
		r.DatabasesNext = c.next
		if c.next != 0 {
			p.Databases = c.next
		}
		r, err := topology.Prepare(p, r)
		if err != nil {
			t.Fatal(err)
		}
		var servers, parts []string
		s := parsedBy(t, r)[topology.MaxScale]
		for _, service := range s.Services {
			for _, section := range layout.New(s, nil).MaxScale(service) {
				switch section.Option("type") {
				case "server":
					servers = append(servers, section.Name+" "+section.Option("address"))
				case "monitor":
					parts = strings.Split(section.Option("servers"), ",")
					if options := section.Option("replication_custom_options"); !strings.Contains(options, "MASTER_SSL_VERIFY_SERVER_CERT=1") || !section.On("replication_master_ssl") {
						t.Errorf("replicas are told %q", options)
					}
				case "listener":
					if why := layout.OpenRoute(layout.NewShield(service), section); why != "" {
						t.Error(why)
					}
				}
			}
		}
		if len(servers) != c.want || len(parts) != c.want || servers[0] != "mariadb-0 db1-mariadb-0.db1-mariadb.shop.svc" || parts[c.want-1] != "mariadb-"+strconv.Itoa(c.want-1) {
			t.Errorf("%+v: got %q and %q", c, servers, parts)
		}
		for _, m := range r.Members {
			if before, known := texts[m.Role]; known && before != m.Session.Text && m.Role != topology.MaxScale {
				t.Errorf("%+v: the session of %s is another one", c, m.Role)
			}
			texts[m.Role] = m.Session.Text
		}
	}
}

const rules = "{\"rules\": [{\"replace\": {\"column\": \"a\"}, \"with\": {\"fill\": \"X\"}}]}\n"

// Rules by which answers are masked are there if they are given, as they are given.
func TestMasking(t *testing.T) {
	for _, rules := range []string{"", rules} {
		p := several(t)
		p.Applications.Masking = rules
		r := made(t, p)
		text, s := r.Session(topology.MaxScale).Text, parsedBy(t, r)[topology.MaxScale]
		if strings.Contains(text, "module=masking") != (rules != "") || strings.Contains(text, "filters=Mask") != (rules != "") {
			t.Errorf("%q: the filter is not there, or there", rules)
		}
		got := ""
		for _, image := range s.Images {
			for _, f := range image.InjectionFiles {
				if f.Path == "/run/confidb/masking.json" {
					got += *f.Content
				}
			}
		}
		if (got != "") != (rules != "") || r.Applications.Masking != rules {
			t.Errorf("got the rules %q for %q, recorded %q", got, rules, r.Applications.Masking)
		}
		if rules == "" {
			continue
		}
		if read, unmeasured, err := labmasking.Parse([]byte(got)); err != nil || len(unmeasured) > 0 || read == nil || !strings.HasPrefix(got, `{"rules":[{"replace":{"column":"a"}`) || !strings.Contains(got, masking.CanaryColumn) {
			t.Errorf("got the rules %q: %v, %s", got, err, unmeasured)
		}
	}
}

// The lab's MaxScale, which refuses what the real one refuses, reads what ours is given, and
// every value of it is in effect as it is written.
func TestTheLabsMaxScaleReadsIt(t *testing.T) {
	for _, text := range []string{"", rules} {
		p := several(t)
		p.Applications.Masking = text
		s := parsedBy(t, made(t, p))[topology.MaxScale]
		for _, image := range s.Images {
			for _, f := range image.InjectionFiles {
				if f.Path != "/run/confidb/maxscale.cnf" {
					continue
				}
				config, problems := settings.Parse([]settings.File{{Name: f.Path, Data: []byte(*f.Content)}}, func(string) (string, bool) { return "", false })
				if len(problems) > 0 {
					t.Fatalf("it refuses: %s", strings.Join(problems, "\n"))
				}
				service, _ := config.Find("RW")
				if got := config.Servers(service); len(got) != 3 || len(service.List("filters")) != min(1, len(text)) || service.Text("causal_reads") != "global" || service.Bool("transaction_replay") || service.Bool("enable_root_user") {
					t.Errorf("got the service %+v of %q", service, got)
				}
				if config.Global.Bool("load_persisted_configs") || config.Global.Bool("admin_gui") || config.Global.Text("admin_host") != "127.0.0.1" {
					t.Errorf("got %+v", config.Global)
				}
				for _, listener := range config.Of("listener") {
					if !listener.Bool("ssl") || !listener.Bool("ssl_verify_peer_certificate") || len(listener.Versions("ssl_version")) != 2 {
						t.Errorf("got the listener %+v", listener)
					}
				}
				for _, server := range config.Of("server") {
					if !server.Bool("ssl") || !server.Bool("ssl_verify_peer_certificate") || !server.Bool("ssl_verify_peer_host") {
						t.Errorf("got the server %+v", server)
					}
				}
			}
		}
	}
}

// Rules that MaxScale would take and not obey, that nobody meets or that are about the
// session's own names, and any where no MaxScale masks, are refused.
func TestMaskingIsRead(t *testing.T) {
	for from, to := range map[string]string{"fill": "fil", `"with"`: `"applies_to": ["nobody"], "with"`, `"a"`: `"confidb_x"`} {
		p := several(t)
		p.Applications.Masking = strings.Replace(rules, from, to, 1)
		if _, err := topology.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), "masking rules") {
			t.Errorf("%s: got %v", p.Applications.Masking, err)
		}
	}
	sharded := several(t)
	sharded.Architecture = topology.Sharded
	for _, p := range []topology.Plan{plan(t), sharded} {
		p.Applications.Masking = rules
		if _, err := topology.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), "architecture is "+p.Architecture.String()) {
			t.Errorf("rules where nothing masks: got %v", err)
		}
	}
}

// Rules of a release that is there may be given, changed and taken away: the sessions of
// MaxScale and of the attested client are replaced, and no other. Killed on the way, a run that wants a third thing goes on.
func TestMaskingChanges(t *testing.T) {
	other := strings.Replace(rules, `"a"`, `"b"`, 1)
	for _, c := range [][]string{{"", rules}, {rules, other}, {rules, ""}, {"", rules, other}, {rules, other, ""}, {rules, "", rules}} {
		p := several(t)
		p.Applications.Masking = c[0]
		r := uploaded(made(t, p))
		for _, next := range c[1:] {
			p.Applications.Masking = next
			changed, err := topology.Prepare(p, r)
			if err != nil {
				t.Fatalf("%q: %v", c, err)
			}
			r = changed
		}
		last := c[len(c)-1]
		for _, m := range r.Members {
			mark := map[topology.Role]string{topology.MaxScale: "filters=Mask", topology.Client: "masking.json"}[m.Role]
			if want := mark != "" && last != c[0]; (m.Session.Next != "") != want || want && strings.Contains(m.Session.Next, mark) != (last != "") {
				t.Errorf("%q: session of %s: is to be replaced by %.60q", c, m.Role, m.Session.Next)
			}
		}
		if r.Changing == nil || r.Changing.Masking != last || r.Applications.Masking != c[0] || last != c[0] && len(r.Applications.Changes(*r.Changing)) != 1 {
			t.Errorf("%q: got %+v, changing to %+v", c, r.Applications, r.Changing)
		}
		if again := r.Wanted().Masking; again != last {
			t.Errorf("%q: a later run would want %q", c, again)
		}
	}
}

// An account that shall get at no masked column has no right on its table, be it on other
// columns or on the database by a pattern; a view is another table.
func TestMaskedAccounts(t *testing.T) {
	const person = `{"rules": [{"replace": {"database": "shop_1", "table": "person", "column": "ssn"}, "with": {"fill": "X"}}]}`
	for privileges, why := range map[string]string{
		"{table: person_open, grant: [SELECT]}":             "",
		"{table: person, grant: [SELECT]}":                  "it has SELECT",
		"{table: Person, grant: [INSERT]}":                  "it has INSERT",
		"{table: person, columns: [name], grant: [SELECT]}": "it has SELECT",
		"{grant: [SELECT]}":                                 "it has SELECT",
	} {
		p := several(t)
		p.Applications.Masking, p.Applications.MaskedAccounts = person, []string{"web"}
		p.Applications.Accounts = "kind: confidb.accounts/v1\ndatabases: [{name: shop_1}]\naccounts:\n  - {name: web, client: web, privileges: [" + strings.Replace(privileges, "{", "{database: shop_1, ", 1) + "]}\n"
		r, err := topology.Prepare(p, nil)
		if (err == nil) != (why == "") || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%s: got %v, want %q", privileges, err, why)
		}
		if err == nil && !slices.Equal(r.Applications.MaskedAccounts, []string{"web"}) {
			t.Errorf("recorded are %q", r.Applications.MaskedAccounts)
		}
		if why != "" {
			continue
		}
		for _, change := range []func(){func() { p.Applications.MaskedAccounts = []string{"nobody"} }, func() { p.Applications.MaskedAccounts, p.Applications.Masking = []string{"web"}, rules },
			func() { p.Applications.Masking = "" }} {
			change()
			if _, err := topology.Prepare(p, nil); err == nil || !strings.Contains(err.Error(), "shall get at no masked column") {
				t.Errorf("%q, %q: got %v", p.Applications.MaskedAccounts, p.Applications.Masking, err)
			}
		}
	}
}

// uploaded is a record whose sessions CAS has.
func uploaded(r *topology.Release) *topology.Release {
	for i := range r.Members {
		r.Members[i].Session.Hash = strings.Repeat("a", 64)
	}
	return r
}

// Of several services that run a database, it is the one that clients reach which says whose
// certificates are trusted.
func TestWhomSeveralTrust(t *testing.T) {
	database := parsedBy(t, made(t, several(t)))[topology.Database]
	if trusted, err := topology.TrustedClients(database); err != nil || trusted != "" {
		t.Errorf("got %q, %v, want nobody", trusted, err)
	}
}
