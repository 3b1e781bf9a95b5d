package settings

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files")

func none(string) (string, bool) { return "", false }

func sample(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(text string) (*Config, []string) {
	return Parse([]File{{"maxscale.cnf", []byte(text)}}, none)
}

// TestEffective: every value that is in effect, and where it is from.
func TestEffective(t *testing.T) {
	for _, name := range []string{"replicated", "sharded"} {
		c, problems := parse(sample(t, name+".cnf"))
		if problems != nil {
			t.Fatalf("%s: %s", name, strings.Join(problems, "\n"))
		}
		golden := "testdata/" + name + ".golden"
		if *update {
			if err := os.WriteFile(golden, []byte(c.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(sample(t, name+".golden"), c.String()); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		if strings.Contains(c.String(), "pw") {
			t.Errorf("%s: a password is shown", name)
		}
	}
}

func TestValues(t *testing.T) {
	c, problems := parse(sample(t, "replicated.cnf"))
	if problems != nil {
		t.Fatal(problems)
	}
	monitor, _ := c.Find("Mon")
	service, _ := c.Find("RW")
	listener, _ := c.Find("RW-L")
	for _, v := range []struct{ got, want any }{
		{monitor.Text("password"), "mon pw"},
		{monitor.Text("replication_password"), "$REPL"}, // taken as it stands
		{monitor.Text("replication_custom_options"), "MASTER_SSL_CA='/ca',MASTER_SSL_VERIFY_SERVER_CERT=1,MASTER_CONNECT_RETRY=2"},
		{monitor.Duration("monitor_interval"), time.Second},
		{monitor.Duration("backend_read_timeout"), 3 * time.Second},
		{monitor.Bool("auto_rejoin"), true},
		{monitor.Int("failcount"), 3},
		{service.Bool("delayed_retry"), true}, // by transaction_replay
		{service.Values["delayed_retry"].Implied, true},
		{service.Size("transaction_replay_max_size"), int64(1 << 20)},
		{c.Global.Size("query_classifier_cache_size"), int64(64 << 20)},
		{strings.Join(c.Servers(service), " "), "db1 db2 db3"},
		{strings.Join(service.List("filters"), " "), "Mask"},
		{len(listener.Versions("ssl_version")), 2},
		{len(c.Of("server")), 3},
	} {
		if v.got != v.want {
			t.Errorf("got %v, want %v", v.got, v.want)
		}
	}
}

// TestRefused changes one thing of a configuration that is accepted.
func TestRefused(t *testing.T) {
	good := sample(t, "replicated.cnf")
	for _, c := range []struct{ old, new, want string }{
		{"causal_reads=", "casual_reads=", "readwritesplit: The parameter 'casual_reads' is unrecognized.\nService 'RW' creation failed."},
		{"threads=1", "nosuchparam=1", "Unknown global parameter 'nosuchparam'."},
		{"threads=1", "type=maxscale", "Unknown global parameter 'type'."},
		{"address=db-2.db", "address=db-2.db\nprt=1", "server: The parameter 'prt' is unrecognized.\nServer 'db3' creation failed."},
		{"failcount=", "failcnt=", "mariadbmon: The parameter 'failcnt' is unrecognized.\nMonitor 'Mon' creation failed."},
		{"large_payload=", "large=", "masking: The parameter 'large' is unrecognized.\nFilter 'Mask' creation failed."},
		{"port=4006", "prot=4006", "listener: The parameter 'prot' is unrecognized.\nlistener: Mandatory parameter 'port' is not defined.\nListener 'RW-L' creation failed."},
		{"servers=db1, db2, db3", "servers=db1, db2, dbX", "Could not find object 'dbX' that 'Mon' depends on."},
		{"cluster=Mon", "cluster=Man", "Could not find object 'Man' that 'RW' depends on."},
		{"cluster=Mon", "cluster=Mask", "Could not find object 'Mask' that 'RW' depends on."},
		{"filters=Mask", "filters=Mask|Mosk", "Could not find object 'Mosk' that 'RW' depends on."},
		{"service=RW", "service=RX", "Could not find object 'RX' that 'RW-L' depends on."},
		{"monitor_interval=1000ms", "monitor_interval=1000", "Invalid duration: 1000"},
		{"monitor_interval=1000ms", "monitor_interval=1d", "Invalid duration: 1d"},
		{"monitor_interval=1000ms", "backend_read_timeout=1500ms", "Invalid duration, granularity of seconds: 1500ms"},
		{"monitor_interval=1000ms", "backend_read_timeout=3", "Invalid duration: 3"},
		{"monitor_interval=1000ms", "monitor_interval=-1s", "Invalid duration: -1s"},
		{"failcount=3", "failcount=three", "Invalid integer: three"},
		{"failcount=3", "failcount=", "Invalid integer: \n"},
		{"auto_failover=true", "auto_failover=safe", "Invalid boolean: safe"},
		{"port=4006", "port=99999", "Invalid port: 99999"},
		{"port=4006", "port=0", "Invalid port: 0"},
		{"query_classifier_cache_size=64Mi", "query_classifier_cache_size=64MB", "Invalid size: 64MB"},
		{"causal_reads=local", "causal_reads=locale", "Invalid enumeration value: locale"},
		{"causal_reads=local", "causal_reads=universal", "lab stand-in: 'universal' is not imitated"},
		{"causal_reads=local", "master_failure_mode=fail_instantly", "lab stand-in: 'fail_instantly' is not imitated"},
		{"causal_reads=local", "optimistic_trx=true", "lab stand-in: 'optimistic_trx' is not imitated"},
		{"causal_reads=local", "user_accounts_file=/x", "lab stand-in: 'user_accounts_file' is not imitated"},
		{"large_payload=abort", "large_payload=cut", "Invalid enumeration value: cut"},
		{"cooperative_monitoring_locks=majority_of_all", "cooperative_monitoring_locks=majority", "Invalid enumeration value: majority"},
		{"ssl_version=TLSv1.2,TLSv1.3\nssl_verify_peer_certificate=true\n", "ssl_version=TLSv1.4\n", "Invalid enumeration value: TLSv1.4"},
		{"address=db-2.db", "address=db-2.db\nproxy_protocol=true", "lab stand-in: 'proxy_protocol' is not imitated"},
		{"address=db-2.db", "address=db-2.db\npersistpoolmax=10", "lab stand-in: 'persistpoolmax' is not imitated"},
		{"address=db-2.db", "address=db-2.db\nproxy_protocol=true", "lab stand-in: 'proxy_protocol' is not imitated"},
		{"address=db-2.db", "", "server: Mandatory parameter 'address' is not defined."},
		{"address=db-2.db", "address=db-1.db", "(db3); 'db2' has the same address and port."},
		{"threads=1", "config_sync_cluster=Mon", "lab stand-in: 'config_sync_cluster' is not imitated"},
		{"threads=1", "admin_auth=false", "lab stand-in: 'admin_auth' is not imitated"},
		{"threads=1", "datadir=/data", "lab stand-in: 'datadir' is not imitated"},
		{"failcount=3", "enforce_simple_topology=true", "lab stand-in: 'enforce_simple_topology' is not imitated"},
		{"failcount=3", "script=/x", "lab stand-in: 'script' is not imitated"},
		{"router=readwritesplit", "router=readconnroute", "lab stand-in: 'readconnroute' is not imitated"},
		{"router=readwritesplit", "router=readwrite", "Unable to find library for module: readwrite."},
		{"router=readwritesplit\n", "", "No module given for 'RW'."},
		{"module=masking", "module=regexfilter", "lab stand-in: 'regexfilter' is not imitated"},
		{"module=mariadbmon", "module=galeramon", "lab stand-in: 'galeramon' is not imitated"},
		{"type=filter\n", "", "Section 'Mask' has no type."},
		{"type=filter", "type=router", "Unknown section type 'router' for 'Mask'."},
		{"[db3]", "[db2]", "Duplicate section found: db2"},
		{"[db3]", "[db3", "Syntax error: want [name]"},
		{"[db3]", "[db 3]", "Syntax error: want [name]"},
		{"[maxscale]", "", "Syntax error: a parameter before the first section"},
		{"[maxscale]", "[maxscale]\n continued", "Syntax error: nothing to continue"},
		{"threads=1", "threads", "maxscale.cnf:3: Syntax error: want key=value"},
		{"threads=1", "threads=1 # one", "maxscale.cnf:3: lab stand-in: unmeasured ?1: a comment after a value"},
		{"threads=1", "threads=1\nthreads=2", "lab stand-in: unmeasured ?1: 'threads' stands twice in 'maxscale'"},
		{"threads=1", "substitute_variables=true", "Could not substitute environment variable 'REPL' at line 56. The variable is not set."},
		{"cluster=Mon", "cluster=Mon\nservers=db1", "(RW); 'cluster' and 'servers' are mutually exclusive."},
		{"cluster=Mon\n", "", "(RW); Service has neither 'cluster' nor 'servers'."},
		{"user=service\n", "", "readwritesplit: Mandatory parameter 'user' is not defined."},
		{"password=svc-pw\n", "", "readwritesplit: Mandatory parameter 'password' is not defined."},
		{"rules=/etc/maxscale/masking.json\n", "", "masking: Mandatory parameter 'rules' is not defined."},
		{"admin_ssl_key=/etc/maxscale/server.key\n", "", "(maxscale); 'admin_ssl_cert' and 'admin_ssl_key' must be defined together."},
		{"[Mask]", "[Mon2]\ntype=monitor\nmodule=mariadbmon\nservers=db1\nuser=a\npassword=b\n[Mask]", "Server 'db1' is already monitored by 'Mon'."},
		{"[Mask]", "[Two]\ntype=listener\nservice=RW\naddress=0.0.0.0\nport=4006\n[Mask]", "(RW-L); 'Two' has the same address and port."},
	} {
		changed := strings.Replace(good, c.old, c.new, 1)
		if changed == good {
			t.Fatalf("%s stands not in the configuration", c.old)
		}
		config, problems := parse(changed)
		if got := strings.Join(problems, "\n") + "\n"; !strings.Contains(got, c.want) || config != nil {
			t.Errorf("%q instead of %q:\ngot  %s\nwant %s", c.new, c.old, got, c.want)
		}
		for _, problem := range problems {
			if strings.Contains(problem, "svc-pw") || strings.Contains(problem, "mon pw") {
				t.Errorf("%q: a password is shown: %s", c.new, problem)
			}
		}
	}
}

// TestEveryRow: each parameter of each table is known, is refused with nonsense unless it
// is a text, and one that is absent with anything but its default.
func TestEveryRow(t *testing.T) {
	kinds := []string{"bool", "int", "port", "size", "duration", "seconds", "enum", "tls", "text", "path", "password", "servers", "monitor", "service", "filters"}
	for _, table := range []string{ofMaxScale, ofServer, ofListener, ofTLS, ofService, ofReadWriteSplit, ofSchemaRouter, ofMonitor, ofMasking} {
		lines := strings.Split(strings.TrimSpace(table), "\n")
		all := rows(table)
		if len(all) != len(lines) || !slices.IsSorted(lines[:1]) {
			t.Errorf("%d lines make %d parameters: one is written wrong or twice:\n%s", len(lines), len(all), table)
		}
		for name, p := range all {
			kind, _, _ := strings.Cut(p.kind, ":")
			if !slices.Contains(kinds, kind) || !slices.Contains([]string{"acts", "idle", "absent", "must"}, p.class) {
				t.Errorf("%s: kind %s, class %s", name, p.kind, p.class)
			}
			if p.standard != "" && p.check(p.standard) != "" {
				t.Errorf("%s: its default: %s", name, p.check(p.standard))
			}
			if typed := slices.Index(kinds, kind) < 8; typed && p.check("nonsense") == "" {
				t.Errorf("%s takes nonsense", name)
			}
			s := Section{Name: "x", Values: map[string]Value{}}
			if p.class == "absent" && len(s.take(p, p.standard+"1")) == 0 {
				t.Errorf("%s is absent and takes another value than its default", name)
			}
		}
	}
}

func TestSubstitute(t *testing.T) {
	text := strings.Replace(sample(t, "replicated.cnf"), "threads=1", "substitute_variables=yes", 1)
	c, problems := Parse([]File{{"a", []byte(text)}}, func(name string) (string, bool) { return "of " + name, true })
	if problems != nil {
		t.Fatal(problems)
	}
	if monitor, _ := c.Find("Mon"); monitor.Text("replication_password") != "of REPL" {
		t.Errorf("got %s", monitor.Text("replication_password"))
	}
}

func TestFiles(t *testing.T) {
	c, problems := parse(sample(t, "replicated.cnf"))
	if problems != nil {
		t.Fatal(problems)
	}
	got := c.Files(func(name string) error {
		switch {
		case strings.HasSuffix(name, ".json"):
			return &os.PathError{Err: syscall.EACCES}
		case strings.HasSuffix(name, "server.key"):
			return &os.PathError{Err: syscall.ENOENT}
		}
		return nil
	})
	const invalid = "Invalid path (does not exist, required permissions are not granted, or cannot be created): "
	want := []string{"(Mask); Bad path parameter '/etc/maxscale/masking.json' (absolute path '/etc/maxscale/masking.json'): 13, Permission denied", "(Mask); rules: " + invalid + "/etc/maxscale/masking.json"}
	if i := slices.Index(got, want[0]); i < 0 || got[i+1] != want[1] {
		t.Errorf("got %s, want %s", strings.Join(got, "\n"), want)
	}
	if i := slices.Index(got, "(RW-L); Bad path parameter '/etc/maxscale/server.key' (absolute path '/etc/maxscale/server.key'): 2, No such file or directory"); i < 0 {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
	if len(got) != 10 { // the REST API's, two servers', the listener's key, and the rules
		t.Errorf("got %d lines, want 10", len(got))
	}
}

// TestCommand: exit codes, and the last line that is said.
func TestCommand(t *testing.T) {
	top := t.TempDir()
	place := func(name string) string { return filepath.Join(top, name) }
	for _, name := range []string{"data", "cache", "persist"} {
		if err := os.Mkdir(place(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"good": sample(t, "sharded.cnf"), "bad": "[x]\ny=1\n", "file": "", "masking.json": `{"rules":[]}`} {
		if err := os.WriteFile(place(name), []byte(strings.ReplaceAll(text, "/etc/maxscale/", top+"/")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	whole := func(change ...string) []string {
		args := []string{"--nodaemon", "--log=stdout", "--config=" + place("good"), "--datadir=" + place("data"), "--cachedir=" + place("cache"), "--persistdir=" + place("persist"), "--piddir=" + place("pid"), "--logdir=" + place("log")}
		return append(args, change...)
	}
	for _, c := range []struct {
		name string
		args []string
		root bool
		code int
		said string
	}{
		{"well", whole(), false, 7, ""},
		{"check", whole("--config-check"), false, 0, ""},
		{"bad", whole("-f", place("bad")), false, 1, "Failed to process the MaxScale configuration file " + place("bad")},
		{"bad, checked", whole("-c", "-f", place("bad")), false, 1, "Failed to process the MaxScale configuration file " + place("bad")},
		{"no file", whole("-f", place("nothing")), false, 1, "Failed to process the MaxScale configuration file " + place("nothing")},
		{"unknown option", []string{"--nosuch"}, false, 0, ""},
		{"unknown option behind others", whole("--nosuch=1"), false, 0, ""},
		{"an argument", whole("x"), false, 0, ""},
		{"root", whole(), true, 1, "MaxScale cannot be run as root."},
		{"version", []string{"--version"}, true, 0, ""},
		{"help", []string{"-?"}, false, 0, ""},
		{"runtimedir", whole("--runtimedir=/x"), false, 1, "Can't access '/x/lib/maxscale/plugin'."},
		{"no data", whole("--datadir=" + place("none")), false, 4, "Can't access '" + place("none") + "': 2, No such file or directory"},
		{"no cache", whole("--cachedir=" + place("none")), false, 1, "Can't access '" + place("none") + "': 2, No such file or directory"},
		{"a file as persistdir", whole("--persistdir=" + place("file")), false, 1, ""},
		{"no log", whole("--logdir=" + place("file/x")), false, 6, ""},
		{"no pid", whole("--piddir=" + place("file/x")), false, 6, ""},
		{"background", whole()[1:], false, 1, "lab stand-in: running in the background is not imitated"},
		{"log to a file", whole("--log=file"), false, 1, "lab stand-in: --log=file is not imitated"},
		{"an option that is absent", whole("--export-config=x"), false, 1, "lab stand-in: --export-config is not imitated"},
	} {
		var out bytes.Buffer
		host := Host{Environment: none, Root: c.root, Now: func() time.Time { return time.Unix(0, 0).UTC() }, Out: &out}
		code := Command(c.args, host, func(l Launch) int {
			if l.Config == nil || l.Data != place("data") {
				t.Errorf("%s: got %+v", c.name, l)
			}
			return 7
		})
		if code != c.code || c.said != "" && !strings.HasSuffix(out.String(), "1970-01-01 00:00:00   error  : "+c.said+"\n") {
			t.Errorf("%s: got code %d, %s, want %d, %s", c.name, code, out.String(), c.code, c.said)
		}
	}
	var inner int
	host := Host{Environment: none, Now: time.Now, Out: new(bytes.Buffer)}
	Command(whole(), host, func(Launch) int {
		inner = Command(whole(), host, func(Launch) int { return 0 })
		return 0
	})
	if inner != 4 {
		t.Errorf("a second instance ends with %d, want 4", inner)
	}
}

// TestFolderBesideTheFile: what is in <config>.d is read too.
func TestFolderBesideTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.cnf")
	if err := errors.Join(os.WriteFile(file, []byte("[maxscale]\n"), 0o644), os.Mkdir(file+".d", 0o755), os.WriteFile(file+".d/a.cnf", []byte("[db1]\ntype=server\naddress=a\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	c, problems := load(file, none)
	if len(problems) > 0 || len(c.Of("server")) != 1 {
		t.Errorf("got %v, %s", c, problems)
	}
}

// FuzzParse: a configuration that is accepted, printed and read again is the same.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"replicated.cnf", "sharded.cnf"} {
		f.Add(sample(f, name))
	}
	f.Add("[a]\ntype=server\naddress=\"'x'\"\n y\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, problems := parse(text)
		if (c == nil) == (len(problems) == 0) {
			t.Fatalf("got %v and %q", c, problems)
		}
		if c == nil {
			return
		}
		again, problems := parse(c.print(false))
		if len(problems) > 0 {
			t.Fatalf("%s\nprinted: %s", problems, c.print(false))
		}
		if a, b := c.print(false), again.print(false); a != b {
			t.Errorf("got %s, want %s", b, a)
		}
	})
}
