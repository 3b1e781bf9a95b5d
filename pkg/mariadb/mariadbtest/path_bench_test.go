package mariadbtest_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

// measured is what sysbench says of a run.
type measured struct {
	perSecond float64
	p95       float64 // milliseconds
}

// target is what sysbench is led to. Its driver finds certificates in the folder in which it
// runs, under names of its own.
type target struct {
	folder string
	secure bool
}

// newTarget writes the files: a password is in none of the arguments. Without a certificate
// the connection is in clear.
func newTarget(b *testing.B, address, user, password string, ca []byte, own *tls.Certificate) target {
	b.Helper()
	host, port, err := net.SplitHostPort(address)
	must(b, err)
	t := target{folder: b.TempDir(), secure: own != nil}
	files := map[string]string{"config": fmt.Sprintf("mysql-host=%s\nmysql-port=%s\nmysql-user=%s\nmysql-password=%s\nmysql-db=app\n", host, port, user, password)}
	if own != nil {
		certificate, key, err := mariadbtest.PEM(*own)
		must(b, err)
		files["cacert.pem"], files["client-cert.pem"], files["client-key.pem"] = string(ca), string(certificate), string(key)
	}
	for name, text := range files {
		must(b, os.WriteFile(filepath.Join(t.folder, name), []byte(text), 0o600))
	}
	return t
}

const benchmarkSeconds = 8

// sysbench runs it: prepare, run or cleanup of a script of its own.
func (t target) sysbench(b *testing.B, script, what string, more ...string) string {
	b.Helper()
	secure := map[bool]string{true: "on", false: "off"}[t.secure]
	command := exec.CommandContext(b.Context(), "sysbench", append([]string{script, "--config-file=config", "--mysql-ssl=" + secure, "--tables=2", "--table-size=10000", "--threads=8",
		fmt.Sprintf("--time=%d", benchmarkSeconds), "--percentile=95", what}, more...)...)
	command.Dir = t.folder
	output, err := command.CombinedOutput()
	if err != nil {
		b.Fatalf("sysbench (apt-get install sysbench) %s %s: %v: %s", script, what, err, output)
	}
	return string(output)
}

func (t target) measure(b *testing.B, script string, more ...string) measured {
	b.Helper()
	output := t.sysbench(b, script, "run", more...)
	number := func(form string) float64 {
		found := regexp.MustCompile(form).FindStringSubmatch(output)
		if found == nil {
			b.Fatalf("sysbench does not say %s: %s", form, output)
		}
		value, err := strconv.ParseFloat(found[1], 64)
		must(b, err)
		return value
	}
	return measured{number(`transactions: +\d+ +\(([0-9.]+) per sec`), number(`95th percentile: +([0-9.]+)`)}
}

// BenchmarkPath measures with sysbench, in one run on one machine: the whole path, which is
// HAProxy, the lab's MaxScale and a primary with three replicas; one MariaDB as our session
// has it, alone; and the same MariaDB without encryption and TLS. All have their files in
// memory and wait for them alike; nothing is an enclave.
func BenchmarkPath(b *testing.B) {
	for range b.N {
		direct, plain := benchmarkAlone(b)
		whole, reads := benchmarkWhole(b)
		for _, one := range []struct {
			name string
			measured
		}{{"HAProxy, MaxScale, 4 MariaDBs", whole}, {"one MariaDB", direct}, {"one MariaDB, no encryption or TLS", plain}} {
			b.Logf("%-34s %7.0f transactions/s, p95 %6.1f ms", one.name, one.perSecond, one.p95)
		}
		b.ReportMetric(0, "ns/op")
		for _, one := range []struct {
			name     string
			of, than measured
		}{{"whole/direct", whole, direct}, {"whole/plain", whole, plain}, {"direct/plain", direct, plain}} {
			b.ReportMetric(one.of.perSecond/one.than.perSecond, one.name+"-throughput")
			b.ReportMetric(one.of.p95/one.than.p95, one.name+"-p95")
		}
		for n, one := range reads {
			b.Logf("reads from %d replicas              %7.0f reads/s, p95 %6.1f ms", n+1, one.perSecond, one.p95)
			b.ReportMetric(one.perSecond/reads[0].perSecond, fmt.Sprintf("reads-%d/1-throughput", n+1))
		}
	}
}

// benchmarkAlone measures one database, as it is and then without encryption and TLS.
func benchmarkAlone(b *testing.B) (direct, plain measured) {
	const script = "oltp_read_write"
	// as those of several databases wait for their files
	waits := []string{"sync_binlog = 1\ninnodb_flush_log_at_trx_commit = 1\n"}
	s, err := mariadbtest.Start()
	must(b, err)
	defer s.Stop()
	must(b, s.Restart(waits...))
	app, err := s.CA.Client("confidb-app")
	must(b, err)
	t := newTarget(b, s.Address, "confidb_app", mariadbtest.Password, s.CA.PEM(), &app)
	t.sysbench(b, script, "prepare")
	direct = t.measure(b, script)
	t.sysbench(b, script, "cleanup")

	must(b, s.Restart(append(waits, "require_secure_transport = OFF\ninnodb_encrypt_tables = OFF\ninnodb_encrypt_log = OFF\ninnodb_encrypt_temporary_tables = OFF\nencrypt_binlog = OFF\nencrypt_tmp_files = OFF\nencrypt_tmp_disk_tables = OFF\naria_encrypt_tables = OFF\n")...))
	for _, statement := range []string{"CREATE USER plain@'%' IDENTIFIED BY '" + mariadbtest.Password + "'", "GRANT ALL ON app.* TO plain@'%'"} {
		must(b, s.Exec(statement))
	}
	t = newTarget(b, s.Address, "plain", mariadbtest.Password, nil, nil)
	t.sysbench(b, script, "prepare")
	if rows, err := s.Admin.Query(b.Context(), "SELECT SUM(ENCRYPTION_SCHEME > 0 AND CURRENT_KEY_VERSION > 0 AND MIN_KEY_VERSION > 0), @@innodb_encrypt_log, @@encrypt_binlog FROM information_schema.INNODB_TABLESPACES_ENCRYPTION WHERE NAME LIKE 'app/%'"); err != nil || strings.TrimLeft(rows.Values[0][0].Text, "0") != "" || rows.Values[0][1].Text != "0" || rows.Values[0][2].Text != "0" {
		b.Fatalf("something is encrypted: %+v %v", rows, err)
	}
	return direct, t.measure(b, script)
}

// benchmarkWhole measures through HAProxy and MaxScale, and then reads from one, two and
// three replicas.
func benchmarkWhole(b *testing.B) (whole measured, reads []measured) {
	c, err := mariadbtest.StartReplicated(4)
	must(b, err)
	defer c.Stop()
	for _, statement := range []string{"FLUSH USER_RESOURCES", "SET GLOBAL rpl_semi_sync_master_enabled = 1", "SET GLOBAL read_only = 0"} { // what the keeper does
		must(b, c.Servers[0].Exec(statement))
	}
	app, err := c.Client("confidb-app")
	must(b, err)
	through := func(replicas int, use func(target)) {
		p := newProxy(b, c)
		p.leadTo(b, replicas)
		stop := p.run()
		defer func() { stop(); <-p.ended }()
		p.awaitLogin(b, c, "confidb_app", c.Password("app_password")).Close()
		for at := 1; at <= replicas; at++ {
			awaitServer(b, c, at, "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'SLAVE_RUNNING'", "ON")
		}
		front := startHAProxy(b, p.address)
		use(newTarget(b, front, "confidb_app", c.Password("app_password"), c.CA.PEM(), &app))
	}
	through(3, func(t target) {
		t.sysbench(b, "oltp_read_write", "prepare")
		whole = t.measure(b, "oltp_read_write")
		reads = append(reads, t.measure(b, "oltp_point_select"))
	})
	for _, replicas := range []int{2, 1} {
		through(replicas, func(t target) { reads = append(reads, t.measure(b, "oltp_point_select")) })
	}
	slices.Reverse(reads)
	return whole, reads
}

// leadTo takes all databases out of the configuration but the primary and some replicas.
func (p *proxy) leadTo(b *testing.B, replicas int) {
	b.Helper()
	name := filepath.Join(p.folder, "maxscale.cnf")
	text, err := os.ReadFile(name)
	must(b, err)
	config, servers := string(text), []string{"mariadb-0"}
	for at := 1; at < 4; at++ {
		if one := fmt.Sprintf("mariadb-%d", at); at <= replicas {
			servers = append(servers, one)
		} else {
			config = regexp.MustCompile(`(?s)\[`+one+`\].*?\n\n`).ReplaceAllString(config, "")
		}
	}
	config = regexp.MustCompile(`servers=.*`).ReplaceAllString(config, "servers="+strings.Join(servers, ","))
	must(b, os.WriteFile(name, []byte(config), 0o600))
}

// startHAProxy passes connections on to an address, as our chart's does.
func startHAProxy(b *testing.B, to string) (address string) {
	b.Helper()
	front := hold(b)
	file := filepath.Join(b.TempDir(), "haproxy.cfg")
	must(b, os.WriteFile(file, fmt.Appendf(nil, "defaults\n  mode tcp\n  timeout connect 3s\n  timeout client 1h\n  timeout server 1h\nlisten mysql\n  bind %s\n  option tcp-check\n  tcp-check connect\n  tcp-check expect rbinary ^......000A\n  server maxscale %s check inter 1s\n", front.Address(), to), 0o600))
	command := exec.Command("haproxy", "-db", "-f", file)
	must(b, command.Start())
	b.Cleanup(func() { command.Process.Kill(); command.Wait() })
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", front.Address())
		if err == nil {
			conn.Close()
			return front.Address()
		}
		if time.Since(begun) > 10*time.Second {
			b.Fatal(err)
		}
	}
}
