package admin

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/cluster"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// noon is when everything happens.
var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// model is one of each kind.
type model struct {
	t          testing.TB
	parameters map[string]Parameters // by name of the object
	filters    []string
	operator   *operator
	done       []string
	fails      error
}

func (m *model) view() *cluster.View {
	yes, position := true, cluster.Position{{Domain: 0, Server: 1, Sequence: 42}}
	up := cluster.Status{Answered: true, Host: "10.0.0.1", Port: 3306, ServerID: 1, Current: position, Binlog: position, Uptime: 100, Version: "10.11.19-MariaDB-log"}
	primary, replica, down := up, up, up
	primary.Name, replica.Name, down.Name = "db1", "db2", "db3"
	replica.Host, replica.ServerID, replica.ReadOnly = "10.0.0.2", 2, true
	replica.Slaves = []cluster.SlaveConnection{{MasterHost: "10.0.0.1", MasterPort: 3306, MasterServerID: 1, IORunning: "Yes", SQLRunning: "Yes", IOPosition: position, UsingGTID: "Current_Pos"}}
	down.Host, down.ServerID = "10.0.0.3", 3
	return &cluster.View{State: "Monitoring servers", Primary: &yes, Master: "db1", Ticks: 7, Servers: []cluster.ServerView{
		{Status: primary, State: "Master, Running", LockHeld: &yes, MasterID: -1, LastEvent: "master_up", Triggered: "Fri, 27 Nov 2026 12:00:00 UTC"},
		{Status: replica, State: "Slave, Running", LockHeld: &yes, MasterID: 1},
		{Status: down, State: "Down", MasterID: 1, Lag: -1, LastEvent: "slave_down", Triggered: "Fri, 27 Nov 2026 12:00:00 UTC"},
	}}
}

func (m *model) Objects(kind string) []Object {
	source := Source{"/etc/maxscale.cnf", "static"}
	switch kind {
	case "servers":
		var all []Object
		for _, name := range []string{"db1", "db2", "db3"} {
			all = append(all, Server(name, Parameters{"address": "10.0.0.1", "port": 3306, "monitorpw": "s3cret-server", "monitoruser": nil}, source, Statistics{}, m.view()))
		}
		return append(all, Server("alone", Parameters{}, source, Statistics{}, nil))
	case "services":
		return []Object{{ID: "RW", Attributes: ServiceAttributes{Router: "readwritesplit", Parameters: m.parameters["RW"], Source: source, State: "Started", Started: "Fri Nov 27 12:00:00 2026",
			Listeners: []ServiceListener{}, Users: []ServiceUser{{User: "app", Host: "%", Plugin: "mysql_native_password", SSL: true}}, RouterDiagnostics: map[string]any{}},
			Relationships: map[string][]string{"filters": m.filters, "listeners": {"RW-L"}, "monitors": {"Mon"}}}}
	case "filters":
		return []Object{{ID: "Mask", Attributes: FilterAttributes{Module: "masking", Parameters: Parameters{"rules": "/etc/masking.json"}, Source: source}}}
	case "monitors":
		return []Object{Monitor("Mon", m.parameters["Mon"], source, true, m.view())}
	case "listeners":
		return []Object{{ID: "RW-L", Attributes: ListenerAttributes{Parameters: Parameters{"port": 4006, "ssl_version": "TLSv12,TLSv13,TLSv1.2,TLSv1.3"}, Source: source, State: "Running"}, Relationships: map[string][]string{"services": {"RW"}}}}
	}
	return nil
}

func (m *model) MaxScale() MaxScaleAttributes {
	return MaxScaleAttributes{ActivatedAt: "Fri, 27 Nov 2026 12:00:00 UTC", StartedAt: "Fri, 27 Nov 2026 12:00:00 UTC", Commit: "lab", Parameters: m.parameters[""], ProcessDataDir: "/var/lib/maxscale/data1",
		System: map[string]any{"machine": map[string]any{}, "maxscale": map[string]any{}, "os": map[string]any{}}, Uptime: 60, Version: "24.02.4"}
}

func (m *model) Operator(name string) Operator {
	if name != "Mon" {
		return nil
	}
	return m.operator
}

func (m *model) MonitorOf(server string) string {
	if server == "alone" {
		return ""
	}
	return "Mon"
}

func (m *model) note(text string) error {
	m.done = append(m.done, text)
	return m.fails
}

func (m *model) Change(kind, name string, p map[string]any) error {
	if kind == "" {
		name = ""
	}
	maps.Copy(m.parameters[name], p)
	return m.note("change " + kind + " " + name)
}

func (m *model) Filters(service string, filters []string) error {
	m.filters = filters
	return m.note("filters of " + service)
}

func (m *model) Saved(kind, name string) []byte {
	password, _ := m.parameters[name]["password"].(string)
	return []byte("[" + name + "]\npassword=" + password + "\n")
}

func (m *model) Run(monitor string, on bool) error { return m.note("run " + monitor) }
func (m *model) DeleteFilter(name string) error    { return m.note("delete " + name) }
func (m *model) Reload(what, service string) error { return m.note("reload " + what + " " + service) }

// operator is a monitor that notes what it is told.
type operator struct {
	cluster.Monitor
	done  []string
	fails error
	block chan struct{}
	begun chan struct{}
}

func (o *operator) note(text string) error {
	o.done = append(o.done, text)
	if o.block != nil {
		close(o.begun)
		<-o.block
	}
	return o.fails
}

func (o *operator) Switchover(_ context.Context, to, from string, force bool) error {
	if force {
		return o.note("force " + to + " " + from)
	}
	return o.note("switchover " + to + " " + from)
}
func (o *operator) Failover(context.Context) error                { return o.note("failover") }
func (o *operator) Rejoin(_ context.Context, server string) error { return o.note("rejoin " + server) }
func (o *operator) ReleaseLocks(context.Context) error            { return o.note("release") }
func (o *operator) Set(server string, bit cluster.Bits, on bool) error {
	if on {
		return o.note("set " + server + " " + bit.Text(0))
	}
	return o.note("clear " + server + " " + bit.Text(0))
}

// site is an interface with the users admin (admin) and looker (basic), whose passwords are
// their names, each with "-pw".
type site struct {
	*API
	t     testing.TB
	model *model
	data  string
	log   []string
}

func newSite(t testing.TB, key *ecdsa.PrivateKey) *site {
	t.Helper()
	s := &site{t: t, data: t.TempDir()}
	s.model = &model{t: t, operator: &operator{}, filters: []string{"Mask"}, parameters: map[string]Parameters{"RW": {"user": "mxs", "password": "s3cret-service"},
		"Mon": {"failcount": 3, "password": "s3cret-monitor", "replication_password": "s3cret-replication"}, "": {"log_info": false}, "Mask": {}}}
	s.write("passwd", `[{"name":"root","account":"admin","password":"`+hashed("root-pw")+`"},{"name":"looker","account":"basic","password":"`+hashed("looker-pw")+`"}]`)
	users, err := LoadUsers(s.data, clock)
	if err != nil {
		t.Fatal(err)
	}
	s.API = New(Options{Model: s.model, Users: users, Context: t.Context(), PersistDirectory: t.TempDir(), Key: key, Now: clock, Log: func(text string) { s.log = append(s.log, text) }})
	return s
}

func clock() time.Time { return noon }

func (s *site) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.data, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// ask makes a request, as root unless a change says otherwise.
func (s *site) ask(method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.SetBasicAuth("root", "root-pw")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func (s *site) want(w *httptest.ResponseRecorder, status int, texts ...string) {
	s.t.Helper()
	if w.Code != status {
		s.t.Errorf("answered %d %s, want %d", w.Code, w.Body, status)
	}
	for _, text := range texts {
		if !strings.Contains(w.Body.String(), text) {
			s.t.Errorf("answered %s, want %s", w.Body, text)
		}
	}
}

func as(name, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, password) }
}

func anonymous(r *http.Request) { r.Header.Del("Authorization") }

func overTLS(r *http.Request) { r.TLS = &tls.ConnectionState{} }

func TestShapes(t *testing.T) {
	s := newSite(t, nil)
	for _, path := range []string{"servers", "servers/db2", "services/RW", "filters/Mask", "monitors/Mon", "listeners", "maxscale", "users/inet"} {
		w := s.ask("GET", "/v1/"+path, "")
		s.want(w, http.StatusOK)
		if strings.Contains(w.Body.String(), "s3cret") {
			t.Errorf("%s shows a password", path)
		}
		file := filepath.Join("testdata", strings.ReplaceAll(path, "/", "-")+".json")
		if *update {
			if err := os.WriteFile(file, w.Body.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		golden, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(golden, w.Body.Bytes()) {
			t.Errorf("%s is\n%s\nwant\n%s", path, w.Body, golden)
		}
	}
}

// The members are those that were measured.
func TestMembers(t *testing.T) {
	s := newSite(t, nil)
	for path, want := range map[string]string{
		"servers/db1":  "gtid_binlog_pos gtid_current_pos last_event lock_held master_group master_id name node_id parameters read_only replication_lag server_id slave_connections source state statistics triggered_at uptime version_string",
		"services/RW":  "connections listeners parameters router router_diagnostics source started state statistics total_connections users users_last_update",
		"filters/Mask": "module parameters source", "monitors/Mon": "module monitor_diagnostics parameters source state ticks", "listeners/RW-L": "parameters source state",
		"maxscale": "activated_at commit config_sync parameters process_datadir started_at system uptime version",
	} {
		var document struct {
			Data struct{ Attributes map[string]any }
		}
		if err := json.Unmarshal(s.ask("GET", "/v1/"+path, "").Body.Bytes(), &document); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(document.Data.Attributes)), " "); got != want {
			t.Errorf("%s has %s, want %s", path, got, want)
		}
	}
	s.model.filters = nil
	if w := s.ask("GET", "/v1/services/RW", ""); strings.Contains(w.Body.String(), `"filters"`) {
		t.Error("a service without filters has a relationship with them")
	}
}

func TestWhoMayAsk(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, key)
	w := s.ask("GET", "/v1/nothing", "", anonymous)
	s.want(w, http.StatusUnauthorized)
	if got := w.Body.String(); got != `{"errors": [ { "detail": "Access denied" } ] }` || w.Header().Get("WWW-Authenticate") != `Basic realm="maxscale"` {
		t.Errorf("answered %s with %v", got, w.Header())
	}
	s.want(s.ask("GET", "/v1/servers", "", as("root", "wrong")), http.StatusUnauthorized)
	s.want(s.ask("GET", "/v1/servers", "", as("nobody", "root-pw")), http.StatusUnauthorized)
	s.want(s.ask("GET", "/v1/servers", "", as("admin", "mariadb")), http.StatusUnauthorized)
	s.want(s.ask("GET", "/v1/servers", "", as("looker", "looker-pw")), http.StatusOK)
	for _, method := range []string{"PATCH", "POST", "PUT", "DELETE"} {
		s.want(s.ask(method, "/v1/monitors/Mon", "{}", as("looker", "looker-pw")), http.StatusUnauthorized)
	}
	s.want(s.ask("GET", "/v1/nothing", ""), http.StatusNotFound, "errors")
	if len(s.log) != 1 || !strings.HasPrefix(s.log[0], Unmeasured) {
		t.Errorf("the log is %q", s.log)
	}
	s.want(s.ask("GET", "/elsewhere", ""), http.StatusNotFound)
}

func TestTokens(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, key)
	s.want(s.ask("GET", "/v1/auth", ""), http.StatusUnauthorized, "Connection is not encrypted")
	w := s.ask("GET", "/v1/auth", "", overTLS)
	s.want(w, http.StatusOK)
	var document struct{ Meta struct{ Token string } }
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	token := document.Meta.Token
	s.want(s.ask("GET", "/v1/servers", "", overTLS, bearer(token)), http.StatusOK)
	s.want(s.ask("GET", "/v1/servers", "", bearer(token)), http.StatusUnauthorized)
	twin := newSite(t, key) // another instance with the same key
	twin.want(twin.ask("GET", "/v1/servers", "", overTLS, bearer(token)), http.StatusOK)
	stranger := newSite(t, other)
	stranger.want(stranger.ask("GET", "/v1/servers", "", overTLS, bearer(token)), http.StatusUnauthorized)
	late := newSite(t, key)
	late.tokens.now = func() time.Time { return noon.Add(lifetime) }
	late.want(late.ask("GET", "/v1/servers", "", overTLS, bearer(token)), http.StatusUnauthorized)
	parts := strings.Split(token, ".")
	for _, broken := range []string{"", "a.b", "..", token + "x", token + ".", parts[0] + "." + encode([]byte(`{"iss":"maxscale","sub":"root","exp":9999999999}`)) + "." + parts[2],
		encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + "." + parts[2]} {
		s.want(s.ask("GET", "/v1/servers", "", overTLS, bearer(broken)), http.StatusUnauthorized)
	}
	if found, err := s.Users.remove("root"); !found || err != nil {
		t.Fatal(found, err)
	}
	s.want(s.ask("GET", "/v1/servers", "", overTLS, bearer(token)), http.StatusUnauthorized)
}

func TestFileOfUsers(t *testing.T) {
	good := `[{"name":"u","account":"admin","password":"` + hashed("p") + `"}]`
	for name, c := range map[string]struct {
		prepare func(t *testing.T, path string)
		admin   bool // admin:mariadb may
		own     bool // u:p may
		after   string
	}{
		"missing":     {func(*testing.T, string) {}, true, false, `[{"name":"admin","account":"admin","password":"` + hashed("mariadb") + `"}]`},
		"made before": {func(t *testing.T, path string) { file(t, path, good) }, false, true, good},
		"another salt": {func(t *testing.T, path string) {
			file(t, path, strings.Replace(good, hashed("p"), crypt("p", "other", rounds, false), 1))
		}, false, false, ""},
		"empty":      {func(t *testing.T, path string) { file(t, path, "") }, false, false, "[]"},
		"empty list": {func(t *testing.T, path string) { file(t, path, "[]") }, false, false, "[]"},
		"garbage":    {func(t *testing.T, path string) { file(t, path, "admin:mariadb") }, false, false, "[]"},
		"unreadable": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, true, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			path := filepath.Join(directory, "passwd")
			c.prepare(t, path)
			u, err := LoadUsers(directory, clock)
			if err != nil {
				t.Fatal(err)
			}
			if u.check("admin", "mariadb") != "" != c.admin || u.check("u", "p") != "" != c.own {
				t.Errorf("admin is %q, u is %q", u.check("admin", "mariadb"), u.check("u", "p"))
			}
			if c.after == "" {
				return
			}
			text, err := os.ReadFile(path)
			if err != nil || string(text) != c.after {
				t.Errorf("the file is %s, %v; want %s", text, err, c.after)
			}
			if backup, err := os.ReadFile(path + ".backup"); name == "garbage" && (err != nil || string(backup) != "admin:mariadb") {
				t.Errorf("the backup is %q, %v", backup, err)
			}
		})
	}
}

func file(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUsersAreChanged(t *testing.T) {
	s := newSite(t, nil)
	s.want(s.ask("POST", "/v1/users/inet", `{"data":{"id":"new","type":"inet","attributes":{"password":"new-pw","account":"admin"}}}`), http.StatusNoContent)
	s.want(s.ask("POST", "/v1/users/inet", `{"data":{"id":"new","type":"inet","attributes":{"password":"x","account":"admin"}}}`), http.StatusBadRequest, "already exists")
	for _, broken := range []string{``, `{}`, `{"data":{"id":"x","attributes":{"password":"x","account":"king"}}}`, `{"data":{"id":"","attributes":{"password":"x","account":"basic"}}}`, `{"data":{}} x`} {
		s.want(s.ask("POST", "/v1/users/inet", broken), http.StatusBadRequest)
	}
	s.want(s.ask("GET", "/v1/servers", "", as("new", "new-pw")), http.StatusOK)
	info, err := os.Stat(filepath.Join(s.data, "passwd"))
	if err != nil || info.Size() == 0 {
		t.Fatal(info, err)
	}
	again, err := LoadUsers(s.data, clock)
	if err != nil || again.check("new", "new-pw") != adminAccount {
		t.Errorf("after a new start the user is %q, %v", again.check("new", "new-pw"), err)
	}
	// The last administrator too.
	for _, name := range []string{"looker", "new"} {
		s.want(s.ask("DELETE", "/v1/users/inet/"+name, ""), http.StatusNoContent)
	}
	s.want(s.ask("DELETE", "/v1/users/inet/new", ""), http.StatusNotFound)
	s.want(s.ask("DELETE", "/v1/users/inet/root", ""), http.StatusNoContent)
	s.want(s.ask("GET", "/v1/servers", ""), http.StatusUnauthorized)
}

func TestPatch(t *testing.T) {
	s := newSite(t, nil)
	s.want(s.ask("PATCH", "/v1/services/RW", `{"data":{"relationships":{"filters":{"data":[]}}}}`), http.StatusNoContent)
	if len(s.model.filters) != 0 {
		t.Errorf("the filters are %q", s.model.filters)
	}
	// What it has become is written down, with its password, for everybody.
	path := filepath.Join(s.PersistDirectory, "RW.cnf")
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "s3cret-service") {
		t.Errorf("written down: %s, %v", text, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if w := s.ask("GET", "/v1/services/RW", ""); !strings.Contains(w.Body.String(), `"type": "static"`) || !strings.Contains(w.Body.String(), "/etc/maxscale.cnf") {
		t.Error("the source of a changed service is another one")
	}
	s.want(s.ask("PATCH", "/v1/maxscale", `{"data":{"attributes":{"parameters":{"log_info":true}}}}`), http.StatusNoContent)
	s.want(s.ask("PATCH", "/v1/monitors/Mon", `{"data":{"attributes":{"parameters":{"failcount":9}}}}`), http.StatusNoContent)
	if want := []string{"filters of RW", "change  ", "change monitors Mon"}; !slices.Equal(s.model.done, want) {
		t.Errorf("done %q, want %q", s.model.done, want)
	}
	if s.model.parameters["Mon"]["failcount"] != 9.0 || s.model.parameters[""]["log_info"] != true {
		t.Errorf("parameters are %v", s.model.parameters)
	}
	s.want(s.ask("PATCH", "/v1/services/nothing", `{"data":{}}`), http.StatusNotFound)
	for _, broken := range []string{``, `[]`, `{"data":`, `{}`, strings.Repeat(" ", mostBody+1)} {
		s.want(s.ask("PATCH", "/v1/services/RW", broken), http.StatusBadRequest, "errors")
	}
	s.model.fails = errors.New("it is refused")
	s.want(s.ask("PATCH", "/v1/monitors/Mon", `{"data":{"attributes":{"parameters":{"failcount":9}}}}`), http.StatusBadRequest, "it is refused")
	s.model.fails = nil
	s.PersistDirectory = ""
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.want(s.ask("PATCH", "/v1/services/RW", `{"data":{"relationships":{"filters":{"data":[{"id":"Mask","type":"filters"}]}}}}`), http.StatusNoContent)
	if _, err := os.Stat(path); err == nil {
		t.Error("it is written down where it must not be")
	}
}

func TestStatesByHand(t *testing.T) {
	s := newSite(t, nil)
	s.want(s.ask("PUT", "/v1/servers/db1/set?state=maintenance", ""), http.StatusNoContent)
	s.want(s.ask("PUT", "/v1/servers/db1/set?state=drain", ""), http.StatusNoContent)
	s.want(s.ask("PUT", "/v1/servers/db1/clear?state=drain", ""), http.StatusNoContent)
	s.want(s.ask("PUT", "/v1/servers/db1/set?state=master", ""), http.StatusBadRequest, "is monitored so only maintenance and drain status can be altered manually")
	s.want(s.ask("PUT", "/v1/servers/db9/set?state=drain", ""), http.StatusNotFound)
	s.want(s.ask("PUT", "/v1/servers/alone/set?state=drain", ""), http.StatusBadRequest)
	if want := []string{"set db1 Maintenance, Down", "set db1 Drained, Down", "clear db1 Drained, Down"}; !slices.Equal(s.model.operator.done, want) {
		t.Errorf("done %q, want %q", s.model.operator.done, want)
	}
	for path, want := range map[string]string{"monitors/Mon/stop": "run Mon"} {
		s.want(s.ask("PUT", "/v1/"+path, ""), http.StatusNoContent)
		if !slices.Contains(s.model.done, want) {
			t.Errorf("done %q, want %s", s.model.done, want)
		}
	}
}

func TestReload(t *testing.T) {
	s := newSite(t, nil)
	for _, path := range []string{"maxscale/tls/reload", "maxscale/logs/flush", "services/RW/reload"} {
		s.want(s.ask("POST", "/v1/"+path, ""), http.StatusNoContent)
	}
	s.want(s.ask("POST", "/v1/services/nothing/reload", ""), http.StatusNotFound)
	if want := []string{"reload tls ", "reload logs ", "reload accounts RW"}; !slices.Equal(s.model.done, want) {
		t.Errorf("done %q, want %q", s.model.done, want)
	}
	s.model.fails = errors.New("Filter 'Mask' is in use.")
	s.want(s.ask("DELETE", "/v1/filters/Mask", ""), http.StatusBadRequest, "in use")
}

func TestCommands(t *testing.T) {
	s := newSite(t, nil)
	const module = "/v1/maxscale/modules/mariadbmon/"
	for _, query := range []string{"switchover?Mon&db2", "switchover?Mon&db2&db1", "switchover?Mon", "switchover-force?Mon&db2", "failover?Mon", "rejoin?Mon&db3", "release-locks?Mon"} {
		w := s.ask("POST", module+query, "")
		s.want(w, http.StatusNoContent)
		if w.Body.Len() != 0 {
			t.Errorf("%s answers %s", query, w.Body)
		}
	}
	if want := []string{"switchover db2 ", "switchover db2 db1", "switchover  ", "force db2 ", "failover", "rejoin db3", "release"}; !slices.Equal(s.model.operator.done, want) {
		t.Errorf("done %q, want %q", s.model.operator.done, want)
	}
	s.want(s.ask("POST", module+"switchover", ""), http.StatusBadRequest)
	s.want(s.ask("POST", module+"switchover?Other", ""), http.StatusBadRequest)
	s.want(s.ask("POST", module+"reset-replication?Mon", ""), http.StatusNotFound)
	s.model.operator.fails = errors.New("'db1' does not have any slaves to promote.\nCould not autoselect promotion target for failover.")
	var document struct {
		Meta struct{ Errors []struct{ Detail string } }
	}
	w := s.ask("POST", module+"failover?Mon", "")
	s.want(w, http.StatusBadRequest)
	if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil || len(document.Meta.Errors) != 2 || document.Meta.Errors[0].Detail != "'db1' does not have any slaves to promote." {
		t.Errorf("%s, %v", w.Body, err)
	}
}

// A command that is not waited for answers at once, and says how it ended. One that is waited
// for keeps every other request from being answered.
func TestCommandsBlock(t *testing.T) {
	s := newSite(t, nil)
	const module = "/v1/maxscale/modules/mariadbmon/"
	o := s.model.operator
	o.block, o.begun = make(chan struct{}), make(chan struct{})
	s.want(s.ask("POST", module+"async-switchover?Mon&db2", ""), http.StatusNoContent)
	<-o.begun
	s.want(s.ask("GET", module+"fetch-cmd-result?Mon", ""), http.StatusOK, "No manual command results are available, switchover is still running.")
	close(o.block)
	for strings.Contains(s.ask("GET", module+"fetch-cmd-result?Mon", "").Body.String(), "still running") {
	}
	s.want(s.ask("GET", module+"fetch-cmd-result?Mon", ""), http.StatusOK, `"meta": "switchover completed successfully."`)

	o.block, o.begun = make(chan struct{}), make(chan struct{})
	command, other := make(chan int), make(chan int)
	go func() { command <- s.ask("POST", module+"switchover?Mon&db2", "").Code }()
	<-o.begun
	if s.turn.TryLock() {
		t.Fatal("other requests are answered during a switchover")
	}
	go func() { other <- s.ask("GET", "/v1/servers", "").Code }()
	close(o.block)
	if code := <-command; code != http.StatusNoContent {
		t.Errorf("the command answers %d", code)
	}
	if code := <-other; code != http.StatusOK {
		t.Errorf("the other request answers %d", code)
	}
}

// Anything may be sent: it is answered, and never by an error of the program.
func FuzzRequests(f *testing.F) {
	f.Add("PATCH", "/v1/services/RW", `{"data":{"relationships":{"filters":{"data":[]}}}}`)
	f.Add("POST", "/v1/users/inet", `{"data":{"id":"x","attributes":{"password":"p","account":"basic"}}}`)
	f.Add("GET", "/v1//", ``)
	f.Add("POST", "/v1/maxscale/modules/mariadbmon/switchover?Mon&%zz", ``)
	s := newSite(f, nil)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequest(method, "http://localhost/"+strings.TrimPrefix(path, "/"), strings.NewReader(body))
		if err != nil {
			return
		}
		r.SetBasicAuth("root", "root-pw")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if text, err := io.ReadAll(w.Body); err != nil || w.Code >= 500 || w.Code != http.StatusNoContent && !json.Valid(text) {
			t.Errorf("%s %s: %d %s", method, path, w.Code, text)
		}
	})
}
