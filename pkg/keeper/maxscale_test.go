package keeper

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	lab "github.com/confidb/confidb/pkg/lab/maxscale"
	launch "github.com/confidb/confidb/pkg/lab/maxscale/settings"
	"github.com/confidb/confidb/pkg/maxscale"
)

// monitorAccount is that of MaxScale's monitor.
const monitorAccount = `CREATE OR REPLACE USER 'confidb_monitor'@'%' IDENTIFIED BY '` + password + `' REQUIRE SUBJECT '/CN=confidb-maxscale' AND ISSUER '/CN=confidb-ca';
GRANT SLAVE MONITOR, REPLICATION SLAVE ADMIN, READ_ONLY ADMIN, BINLOG ADMIN, RELOAD, REPLICATION MASTER ADMIN, CONNECTION ADMIN, PROCESS ON *.* TO 'confidb_monitor'@'%';
`

// startMaxScale starts the lab's MaxScale over a cluster, as prepare made its folder, until
// the test ends; and returns a client of its administration.
func (c *cluster) startMaxScale(t *testing.T) *maxscale.Client {
	t.Helper()
	p := pki{c.servers[0].CA, c.roots()}
	folder, administration := t.TempDir(), hold(t)
	admin, err := p.authority.Server("confidb-admin", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	files := p.injectedFiles(t, map[string]tls.Certificate{"admin": admin, "backend": p.client(t, "confidb-maxscale")}, map[string]string{"rest.password": "from CAS",
		"promotion.sql": "SET GLOBAL rpl_semi_sync_master_enabled=1;\n", "demotion.sql": "SET GLOBAL rpl_semi_sync_master_enabled=0;\n"})
	for name, file := range files {
		if err := os.WriteFile(filepath.Join(folder, name), file.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := (&program{files: injected{files: files}, arguments: []string{folder}}).prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "maxscale.cnf"), []byte(c.maxscaleCnf(folder, administration.Number)), 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := []string{"--nodaemon", "--log=stdout", "--config=" + folder + "/maxscale.cnf"}
	for _, name := range []string{"data", "cache", "persist", "pid", "log"} {
		arguments = append(arguments, "--"+name+"dir="+filepath.Join(folder, name))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var log bytes.Buffer
	ended := make(chan int)
	go func() {
		ended <- lab.Main(ctx, arguments, launch.Host{Environment: func(string) (string, bool) { return "", false }, Now: time.Now, Out: &log})
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 || t.Failed() {
			t.Errorf("MaxScale ends with %d: %s", code, log.String())
		}
	})
	return maxscale.New(administration.Address(), adminName, p.roots, adminAccount, "from CAS", monitorName, wait)
}

// maxscaleCnf is what the monitor of a MaxScale is told.
func (c *cluster) maxscaleCnf(folder string, administration int) string {
	secure := strings.ReplaceAll("ssl=true\nssl_ca=DIR/ca.crt\nssl_cert=DIR/backend.crt\nssl_key=DIR/backend.key\nssl_verify_peer_certificate=true\n", "DIR", folder)
	text := fmt.Sprintf("[maxscale]\nthreads=1\nadmin_host=127.0.0.1\nadmin_port=%d\nadmin_ssl_cert=%s/made.crt\nadmin_ssl_key=%s/admin.key\nload_persisted_configs=false\npersist_runtime_changes=false\n\n", administration, folder, folder)
	for i, s := range c.servers {
		_, port, _ := net.SplitHostPort(s.Address)
		d := s.KeyDirectory
		text += fmt.Sprintf("[mariadb-%d]\ntype=server\naddress=127.0.0.1\nport=%s\n%sreplication_custom_options=MASTER_SSL_CA='%sca.crt',MASTER_SSL_CERT='%srepl.crt',MASTER_SSL_KEY='%srepl.key',MASTER_CONNECT_RETRY=1\n\n", i, port, secure, d, d, d)
	}
	return text + strings.ReplaceAll(`[Mon]
type=monitor
module=mariadbmon
servers=mariadb-0,mariadb-1,mariadb-2
user=confidb_monitor
password=`+password+`
monitor_interval=200ms
failcount=3
backend_connect_timeout=1s
backend_read_timeout=3s
auto_failover=true
auto_rejoin=true
handle_events=false
enforce_read_only_slaves=true
cooperative_monitoring_locks=majority_of_all
replication_user=confidb_repl
replication_password=`+password+`
replication_master_ssl=true
promotion_sql_file=DIR/promotion.sql
demotion_sql_file=DIR/demotion.sql
`, "DIR", folder)
}

// testBesideMaxScale: a cold start, which MaxScale ends for ever without a primary, ends with
// one that all follow; a switchover is MaxScale's, and so is a failover.
func testBesideMaxScale(t *testing.T, c *cluster) {
	acknowledged := c.cut(t, 0, 6000)
	c.start(t, []int{0, 1, 2})
	k, _ := c.keeper(t)
	k.MaxScale, k.Now = administered{c.startMaxScale(t)}, time.Now
	k.Say = func(string) {}
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	working.Go(func() {
		for wait(ctx, 200*time.Millisecond) == nil {
			k.Round(ctx)
		}
	})
	defer working.Wait()
	defer cancel()
	whole := func(primary int) func() bool {
		return func() bool {
			return c.value(t, primary, "SELECT @@read_only", "") == "0" && c.status(t, primary, "Rpl_semi_sync_master_clients") == "2"
		}
	}
	c.await(t, "a primary that all follow", whole(0))
	if missing := c.missing(t, 0, acknowledged); len(missing) > 0 {
		t.Errorf("the primary lacks %v", missing)
	}
	c.await(t, "a switchover, when MaxScale has seen that they follow", func() bool {
		got := k.change(t.Context(), request{To: "mariadb-1"})
		return got.Result == done && got.Primary == "mariadb-1"
	})
	c.await(t, "the new primary, which all follow", whole(1))
	acknowledged = append(acknowledged, c.ledger(t, 1, 6100, 5)...)
	c.awaitEqual(t, "SELECT @@gtid_binlog_pos")
	c.servers[1].Down(syscall.SIGKILL)
	promoted := -1
	c.await(t, "a failover", func() bool {
		for _, i := range []int{0, 2} {
			if c.value(t, i, "SELECT @@read_only", "") == "0" {
				promoted = i
			}
		}
		return promoted >= 0
	})
	c.start(t, []int{1}, slave)
	c.await(t, "the old primary follows", whole(promoted))
	acknowledged = append(acknowledged, c.ledger(t, promoted, 6200, 5)...)
	c.awaitEqual(t, "SELECT COUNT(*) FROM app.ledger")
	for i := range c.servers {
		if missing := c.missing(t, i, acknowledged); len(missing) > 0 {
			t.Errorf("server %d lacks %v", i, missing)
		}
		if want := strconv.FormatBool(i == promoted); c.value(t, i, "SELECT IF(@@rpl_semi_sync_master_enabled, 'true', 'false')", "") != want {
			t.Errorf("server %d: semi-sync is not %s", i, want)
		}
	}
}
