package maxscale_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/lab/maxscale"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/settings"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

// statements make what MaxScale and its clients need, with the rights that were measured.
func statements() []string {
	made := []string{"CREATE DATABASE lab", "CREATE TABLE lab.t (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(200))",
		"CREATE USER mxs_service IDENTIFIED BY 'pw-service' REQUIRE SUBJECT '/CN=maxscale'", "GRANT SHOW DATABASES ON *.* TO mxs_service",
		"CREATE USER mxs_monitor IDENTIFIED BY 'pw-monitor' REQUIRE SUBJECT '/CN=maxscale'",
		"GRANT BINLOG ADMIN, BINLOG MONITOR, CONNECTION ADMIN, READ_ONLY ADMIN, REPLICATION MASTER ADMIN, REPLICATION SLAVE ADMIN, REPLICATION SLAVE, SLAVE MONITOR, RELOAD, PROCESS ON *.* TO mxs_monitor",
		"CREATE USER app IDENTIFIED BY 'pw-app' REQUIRE SUBJECT '/CN=maxscale'", "GRANT ALL ON lab.* TO app"}
	for _, table := range []string{"user", "db", "tables_priv", "columns_priv", "proxies_priv", "roles_mapping"} {
		made = append(made, "GRANT SELECT ON mysql."+table+" TO mxs_service")
	}
	return made
}

// program is a MaxScale that runs in this process.
type program struct {
	set     *mariadbtest.Set
	folder  string
	address string
	masked  string // of the listener of the service with the masking filter
	// administration is what paths of the interface begin with.
	administration string
	ended          chan int
	log            *output
}

type output struct {
	sync.Mutex
	bytes.Buffer
}

// Write takes a line.
func (o *output) Write(line []byte) (int, error) {
	o.Lock()
	defer o.Unlock()
	return o.Buffer.Write(line)
}

func (o *output) text() string {
	o.Lock()
	defer o.Unlock()
	return o.String()
}

func hold(t *testing.T) *loopback.Port {
	t.Helper()
	port, err := loopback.Hold()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Release() })
	return port
}

// rest asks the interface for administration, and returns status and body.
func (p *program) rest(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(p.set.CA.Certificate)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), method, p.administration+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("admin", "mariadb")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// shows looks for texts in what the interface shows.
func (p *program) shows(t *testing.T, path string, texts ...string) {
	t.Helper()
	status, body := p.rest(t, "GET", path, "")
	for _, text := range texts {
		if status != 200 || !strings.Contains(body, text) {
			t.Errorf("%s: %d, and not %q:\n%s", path, status, text, body)
		}
	}
	if strings.Contains(body, "pw-") {
		t.Errorf("%s shows a password", path)
	}
}

func file(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// begin starts a MaxScale before a set of servers, with changes of its configuration.
func begin(t *testing.T, set *mariadbtest.Set, changes ...string) *program {
	t.Helper()
	p := &program{set: set, folder: t.TempDir(), log: new(output), ended: make(chan int, 1)}
	port, masked, administration := hold(t), hold(t), hold(t)
	p.address, p.masked, p.administration = port.Address(), masked.Address(), "https://localhost:"+strconv.Itoa(administration.Number)+"/v1/"
	both, err := set.CA.Server("maxscale", "localhost")
	show, wrong := set.CA.Client("maxscale")
	if err := errors.Join(err, wrong); err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string]tls.Certificate{"front": both, "back": show} {
		certificate, key, err := mariadbtest.PEM(pair)
		if err != nil {
			t.Fatal(err)
		}
		file(t, filepath.Join(p.folder, name+".crt"), certificate)
		file(t, filepath.Join(p.folder, name+".key"), key)
	}
	file(t, filepath.Join(p.folder, "ca.crt"), set.CA.PEM())
	file(t, filepath.Join(p.folder, "masking.json"), []byte(`{"rules": [{"replace": {"column": "text"}, "with": {"fill": "*"}}]}`))
	file(t, filepath.Join(p.folder, "maxscale.cnf"), []byte(strings.NewReplacer(changes...).Replace(cnf(set, p.folder, port.Number, masked.Number, administration.Number))))
	arguments := []string{"--nodaemon", "--log=stdout", "--config=" + p.folder + "/maxscale.cnf"}
	for _, name := range []string{"data", "cache", "persist", "pid", "log"} {
		if err := os.Mkdir(filepath.Join(p.folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "--"+name+"dir="+filepath.Join(p.folder, name))
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { p.ended <- p.run(t, ctx, arguments) }()
	t.Cleanup(func() {
		cancel()
		if code := <-p.ended; code != 0 {
			t.Errorf("it ends with %d: %s", code, p.log.text())
		}
	})
	return p
}

// run runs the stand-in, or the real MaxScale where CONFIDB_REAL_MAXSCALE says where that is.
func (p *program) run(t *testing.T, ctx context.Context, arguments []string) int {
	program := os.Getenv("CONFIDB_REAL_MAXSCALE")
	if program == "" {
		return maxscale.Main(ctx, arguments, settings.Host{Environment: func(string) (string, bool) { return "", false }, Now: time.Now, Out: p.log})
	}
	command := exec.CommandContext(ctx, program, arguments...)
	command.Stdout, command.Stderr, command.Cancel = p.log, p.log, func() error { return command.Process.Signal(syscall.SIGTERM) }
	if output, err := exec.Command("chown", "-R", "mysql", p.folder).CombinedOutput(); os.Geteuid() == 0 && err != nil {
		t.Errorf("%v: %s", err, output)
		return -1
	}
	if owner, err := user.Lookup("mysql"); os.Geteuid() == 0 && err == nil { // it does not run as root
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	}
	command.Run() // whose exit code is asked for below
	return command.ProcessState.ExitCode()
}

// cnf is the configuration of a MaxScale before a set of servers.
func cnf(set *mariadbtest.Set, folder string, port, masked, administration int) string {
	tls := func(pair string) string {
		return strings.NewReplacer("DIR", folder, "PAIR", pair).Replace("ssl=true\nssl_ca=DIR/ca.crt\nssl_cert=DIR/PAIR.crt\nssl_key=DIR/PAIR.key\nssl_version=TLSv12,TLSv13\nssl_verify_peer_certificate=true\n")
	}
	text, names := "[maxscale]\nthreads=1\nskip_name_resolve=true\nadmin_port="+strconv.Itoa(administration)+"\nadmin_ssl_cert="+folder+"/front.crt\nadmin_ssl_key="+folder+"/front.key\nload_persisted_configs=false\npersist_runtime_changes=false\n\n", []string{}
	for _, m := range set.Members {
		_, number, _ := net.SplitHostPort(m.Address)
		text += "[" + m.Name + "]\ntype=server\naddress=localhost\nport=" + number + "\n" + tls("back") + "ssl_verify_peer_host=true\n" +
			"replication_custom_options=" + m.ReplicationOptions() + "\n\n"
		names = append(names, m.Name)
	}
	return text + `[Mon]
type=monitor
module=mariadbmon
servers=` + strings.Join(names, ",") + `
user=mxs_monitor
password=pw-monitor
monitor_interval=200ms
failcount=2
backend_connect_timeout=1s
auto_failover=true
auto_rejoin=true
cooperative_monitoring_locks=majority_of_all
enforce_read_only_slaves=true
replication_user=` + mariadbtest.SetReplication + `
replication_password=` + mariadbtest.Password + `
replication_master_ssl=true

[RW]
type=service
router=readwritesplit
cluster=Mon
user=mxs_service
password=pw-service
causal_reads=global

[Mask]
type=filter
module=masking
rules=` + folder + `/masking.json

[RWM]
type=service
router=readwritesplit
cluster=Mon
user=mxs_service
password=pw-service
filters=Mask

[RWM-L]
type=listener
service=RWM
address=127.0.0.1
port=` + strconv.Itoa(masked) + "\n" + tls("front") + `
[RW-L]
type=listener
service=RW
address=127.0.0.1
port=` + strconv.Itoa(port) + "\n" + tls("front") + "ssl_cipher=ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305\n"
}

// try logs in as app.
func (p *program) try(t *testing.T) (*backend.Conn, error) {
	t.Helper()
	return p.tryAt(t, p.address, wire.Plain&^wire.NoSchema)
}

func (p *program) tryAt(t *testing.T, address string, agreed wire.Capabilities) (*backend.Conn, error) {
	t.Helper()
	show, err := p.set.CA.Client("app")
	if err != nil {
		t.Fatal(err)
	}
	secure, h := p.set.Trust(&show), wire.HashPassword("pw-app")
	secure.ServerName = "localhost"
	return backend.Dial(t.Context(), backend.Server{Name: "RW", Address: address, TLS: secure},
		backend.Identity{User: "app", Password: &h, Database: "lab", Charset: 45, Capabilities: agreed, MaxPacket: 1 << 24})
}

// eventually tries something until it succeeds, and returns how long that took.
func (p *program) eventually(t *testing.T, what string, try func() error) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		err := try()
		if err == nil {
			return time.Since(begun)
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s: %v\n%s", what, err, p.log.text())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// once runs a statement in a session of its own.
func (p *program) once(t *testing.T, text string) (string, error) {
	conn, err := p.try(t)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	result, err := conn.Query(t.Context(), text)
	if err != nil || len(result.Rows) == 0 {
		return "", err
	}
	return result.Rows[0][0].Text, nil
}

// TestFailover kills the primary under a MaxScale with real servers: writes go on at another
// one, and the old primary comes back as a replica.
func TestFailover(t *testing.T) {
	set, err := mariadbtest.StartSet(3, statements()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Stop() })
	if err := set.Replicate(); err != nil {
		t.Fatal(err)
	}
	p := begin(t, set)
	write := func() error {
		_, err := p.once(t, "INSERT INTO t(text) VALUES ('x')")
		return err
	}
	p.eventually(t, "the first write", write)
	p.eventually(t, "reads by a replica", func() error { return p.reads(t, "23") })
	if got, err := p.once(t, "SELECT COUNT(*) FROM t"); got == "0" || err != nil {
		t.Errorf("what was written is read as %s rows: %v", got, err)
	}
	p.eventually(t, "the locks", func() error { return p.logs("acquired the exclusive lock on a majority of its servers") })

	session, err := p.try(t)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if _, err := session.Query(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, "a connection of the session", func() error {
		if _, body := p.rest(t, "GET", "servers/db1", ""); !strings.Contains(body, `"connections": 1`) {
			return errors.New("it is not shown")
		}
		return nil
	})
	p.shows(t, "servers/db1", `"state": "Master, Running"`, `"lock_held": true`)
	p.shows(t, "monitors/Mon", `"primary": true`, `"monitor_interval": "200ms"`, `"password": "*****"`, `"state": "Monitoring servers"`)
	p.shows(t, "services/RW", `"user": "app"`, `"router": "readwritesplit"`, `"id": "RW-L"`, `"causal_reads": "global"`)
	p.shows(t, "listeners", `"ssl_version": "TLSv12,TLSv13,TLSv1.2,TLSv1.3"`)
	p.shows(t, "sessions", `"user": "app"`, `"remote": "127.0.0.1"`)
	p.shows(t, "maxscale", `"version": "24.02.4"`, `"skip_name_resolve": true`)
	if status, body := p.rest(t, "POST", "services/RW/reload", ""); status != 204 {
		t.Errorf("accounts are read: %d %s", status, body)
	}
	if status, body := p.rest(t, "POST", "maxscale/tls/reload", ""); status != 204 {
		t.Errorf("certificates are read: %d %s", status, body)
	}
	if status, body := p.rest(t, "PATCH", "monitors/Mon", `{"data": {"attributes": {"parameters": {"failcount": "two"}}}}`); status != 400 {
		t.Errorf("a wrong parameter: %d %s", status, body)
	}

	p.masks(t)

	// A monitor that has not seen where a primary was when it is lost replaces it by none.
	p.eventually(t, "the place of the primary", func() error {
		if _, body := p.rest(t, "GET", "servers/db1", ""); !strings.Contains(body, `"gtid_binlog_pos": "0-`) {
			return errors.New("it is not known")
		}
		return nil
	})
	if err := set.Members[0].Down(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	took := p.eventually(t, "a write after the primary was killed", write)
	t.Logf("%v without writes", took)
	if err := p.logs("Performing automatic failover to replace failed primary 'db1'."); err != nil {
		t.Error(err)
	}
	if err := set.Members[0].Up("--read-only"); err != nil {
		t.Fatal(err)
	}
	p.eventually(t, "the return of the old primary", func() error {
		rows, err := set.Members[0].Admin.Query(t.Context(), "SHOW SLAVE STATUS")
		if err == nil && (len(rows.Values) == 0 || !strings.Contains(fmt.Sprint(rows.Values), "Yes")) {
			err = errors.New("it is no replica")
		}
		return err
	})
	p.eventually(t, "reads by the old primary", func() error { return p.reads(t, "1") })
	if status, body := p.rest(t, "POST", "maxscale/modules/mariadbmon/switchover?Mon&db1", ""); status != 204 {
		t.Errorf("a switchover: %d %s", status, body)
	}
	p.eventually(t, "a write after a switchover", write)
	p.shows(t, "servers/db1", `"state": "Master, Running"`)
	if status, body := p.rest(t, "PATCH", "monitors/Mon", `{"data": {"attributes": {"parameters": {"failcount": 3}}}}`); status != 204 {
		t.Errorf("a parameter is changed: %d %s", status, body)
	}
	p.shows(t, "monitors/Mon", `"failcount": 3`)
	p.eventually(t, "a write with a fresh monitor", write)
	if status, _ := p.rest(t, "PUT", "monitors/Mon/stop", ""); status != 204 {
		t.Errorf("the monitor is stopped: %d", status)
	}
	p.shows(t, "monitors/Mon", `"state": "Stopped"`)
	if text := p.log.text(); strings.Contains(text, "pw-") || strings.Contains(text, mariadbtest.Password) {
		t.Errorf("the log has a password:\n%s", text)
	}
}

// TestShards has schemarouter before servers that know nothing of each other, with a masking
// filter and without.
func TestShards(t *testing.T) {
	set, err := mariadbtest.StartSet(2, statements()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Stop() })
	for at, statements := range [][]string{{"INSERT INTO lab.t(text) VALUES ('x')"}, {"DROP DATABASE lab", "CREATE DATABASE far", "CREATE TABLE far.t (text VARCHAR(9))", "INSERT INTO far.t VALUES ('y')", "GRANT ALL ON far.* TO app"}} {
		for _, s := range statements {
			if err := set.Members[at].Exec(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	p := begin(t, set, "router=readwritesplit\ncluster=Mon", "router=schemarouter\nservers=db1,db2\nauth_all_servers=true\nrefresh_interval=1h", "causal_reads=global\n", "",
		"auto_failover=true", "auto_failover=false", "auto_rejoin=true", "auto_rejoin=false", "enforce_read_only_slaves=true", "enforce_read_only_slaves=false", "majority_of_all", "none")
	var conn *backend.Conn
	p.eventually(t, "a login", func() (err error) {
		conn, err = p.tryAt(t, p.address, wire.Rewriting&^wire.NoSchema)
		return err
	})
	defer conn.Close()
	for statement, want := range map[string]string{"SELECT CONCAT(text, @@server_id) FROM t": "x1", "SELECT CONCAT(text, @@server_id) FROM far.t": "y2"} {
		if result, err := conn.Query(t.Context(), statement); err != nil || result.Rows[0][0].Text != want {
			t.Errorf("%s: got %+v, %v, want %s", statement, result, err, want)
		}
	}
	p.shows(t, "services/RW", `"router": "schemarouter"`, `"shard_map_misses": 1`, `"shard_map_updates": 1`, `"shard_map_hits": 0`, `"shard_map_stale": 0`)
	p.masks(t)
}

// Without the accounts of all servers it depends on one of them who comes in: what then
// happens is not imitated.
func TestShardsWithoutAllAccounts(t *testing.T) {
	folder := t.TempDir()
	file(t, filepath.Join(folder, "maxscale.cnf"), []byte("[maxscale]\nload_persisted_configs=false\n\n[db1]\ntype=server\naddress=127.0.0.1\n\n[S]\ntype=service\nrouter=schemarouter\nservers=db1\nuser=u\npassword=p\n"))
	arguments := []string{"--nodaemon", "--log=stdout", "--config=" + folder + "/maxscale.cnf"}
	for _, name := range []string{"data", "cache", "persist", "pid", "log"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		arguments = append(arguments, "--"+name+"dir="+filepath.Join(folder, name))
	}
	log := new(output)
	if code := maxscale.Main(t.Context(), arguments, settings.Host{Environment: func(string) (string, bool) { return "", false }, Now: time.Now, Out: log}); code != 1 || !strings.Contains(log.text(), "auth_all_servers only") {
		t.Errorf("it ends with %d: %s", code, log.text())
	}
}

// masks looks through the service with the masking filter, and takes the filter away.
func (p *program) masks(t *testing.T) {
	t.Helper()
	const text, blocked = "SELECT text FROM t LIMIT 1", "SELECT CONCAT(text) FROM t LIMIT 1"
	conn, err := p.tryAt(t, p.masked, wire.Rewriting&^wire.NoSchema)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	says := func(sql string) string {
		result, err := conn.Query(t.Context(), sql)
		var refused *wire.Error
		if errors.As(err, &refused) {
			return strconv.Itoa(int(refused.Code))
		}
		if err != nil || len(result.Rows) != 1 {
			t.Fatalf("%s: %v, %v", sql, result, err)
		}
		return result.Rows[0][0].Text
	}
	if got := says(text) + says(blocked); got != "*1141" {
		t.Errorf("through the filter: %q", got)
	}
	if status, body := p.rest(t, "DELETE", "filters/Mask", ""); status != 400 {
		t.Errorf("a filter in use is taken away: %d %s", status, body)
	}
	if status, body := p.rest(t, "PATCH", "services/RWM", `{"data": {"relationships": {"filters": {"data": []}}}}`); status != 204 {
		t.Errorf("the filter is taken away: %d %s", status, body)
	}
	if got := says(text) + says(blocked); got != "xx" {
		t.Errorf("without the filter: %q", got)
	}
}

// reads returns an error unless one of these servers has answered a read.
func (p *program) reads(t *testing.T, numbers string) error {
	got, err := p.once(t, "SELECT @@server_id")
	if err == nil && !strings.Contains(numbers, got) {
		err = fmt.Errorf("server %s answers a read", got)
	}
	return err
}

func (p *program) logs(text string) error {
	if !strings.Contains(p.log.text(), text) {
		return fmt.Errorf("the log does not say %q", text)
	}
	return nil
}
