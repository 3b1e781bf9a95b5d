//go:build e2e

package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/relay"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/test/ledger"
)

// writerAccounts are those of the client that writes into the ledger.
const writerAccounts = `kind: confidb.accounts/v1
databases:
  - {name: ledger}
accounts:
  - name: writer
    client: writer
    privileges:
      - {database: ledger, grant: [SELECT, INSERT, CREATE]}
`

// writers is how many connections write at once, and pace is the time from one transaction
// of each to the next: the machine has other work as well.
const (
	writers = 4
	pace    = 20 * time.Millisecond
)

// writer is an application on the machines of the cluster that writes into a replicated
// release, by the Service that users have, and notes what it was told.
type writer struct {
	release string
	ledger  ledger.Ledger
	login   mysql.Login
	// off are the machines that are without power.
	off   [4]atomic.Bool
	turns atomic.Int64
	// stop lets the connections end what they are doing, and rest.
	stop func()
}

// startWriter admits the client to a release, takes its identity, and lets it write until the
// test ends. It rests only while it is judged.
func startWriter(t *testing.T, release string) *writer {
	t.Helper()
	measured := strings.TrimSpace(enclavePod(t, release+"-measured", "n1", "SCONE_HASH=1"))
	accounts := filepath.Join(t.TempDir(), "accounts.yaml")
	write(t, accounts, writerAccounts)
	add := []string{"--accounts", accounts, "--mrenclave", measured, "--command", "cat"}
	for form, extension := range map[string]string{"certificate": "crt", "key": "key", "password": "password"} {
		add = append(add, "--file", fmt.Sprintf("%s:writer=/run/confidb/writer.%s", form, extension))
	}
	for _, extension := range []string{"crt", "key", "password"} {
		add = append(add, "--command", "/run/confidb/writer."+extension)
	}
	if r := client(t, "add", release, "writer", add...); r.code != 0 {
		t.Fatal(r)
	}
	own := steal(t, enclavePod(t, release+"-writer", "n1", "SCONE_CONFIG_ID="+clientSession(t, release, "writer")+"/writer"), "writer")["writer"]
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(databaseCA(t, release)) {
		t.Fatal("no CA")
	}
	w := &writer{release: release}
	w.login = mysql.Login{Address: w.outside(t), Account: "writer", Password: own.password, Timeout: 3 * time.Second,
		TLS: &tls.Config{RootCAs: roots, ServerName: release + ".default.svc", Certificates: []tls.Certificate{own.identity}, MinVersion: tls.VersionTLS13}}
	waitFor(t, "the ledger", time.Minute, func() bool {
		_, err := w.ask(t.Context(), "CREATE TABLE IF NOT EXISTS ledger.writes (id BIGINT, server INT)") // no key: it could be there twice
		return err == nil
	})
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start lets all connections write, until stop is called.
func (w *writer) start() {
	ctx, cancel := context.WithCancel(context.Background())
	var working sync.WaitGroup
	for range writers {
		working.Go(func() { w.write(ctx) })
	}
	w.stop = sync.OnceFunc(func() { cancel(); working.Wait() })
}

// outside is an address on this machine from where one gets to the release's Service, as
// programs on the machines of the cluster do: on one after the other, but for those without
// power.
func (w *writer) outside(t *testing.T) string {
	t.Helper()
	service := strings.TrimSpace(run(t, "kubectl", "get", "service", w.release, "-o", "jsonpath={.spec.clusterIP}"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	dial := func(ctx context.Context) (net.Conn, error) {
		for {
			if node := w.turns.Add(1)%3 + 1; !w.off[node].Load() {
				return relay.DialIn(namespaceOf(int(node)), net.JoinHostPort(service, "3306"))(ctx)
			}
		}
	}
	go func() { ended <- relay.Serve(ctx, listener, dial, func(error) {}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// namespaceOf is the file of a node's network, by the name that test/cluster/lib.sh gives it.
func namespaceOf(node int) string {
	root, err := filepath.EvalSymlinks("../..")
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if err != nil {
		return ""
	}
	return fmt.Sprintf("/run/netns/confidb-%.6s-n%d", fmt.Sprintf("%x", sha256.Sum256([]byte(root))), node)
}

// embedded skips a test that does to the machines of the cluster what only the embedded lab
// lets be done.
func embedded(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(namespaceOf(1)); err != nil {
		t.Skipf("the cluster is not the embedded lab: %v", err)
	}
}

// ask runs a statement over a connection of its own.
func (w *writer) ask(ctx context.Context, statement string) (*mysql.Rows, error) {
	conn, attempt := mysql.Connect(ctx, w.login)
	if conn == nil {
		return nil, attempt.Err
	}
	defer conn.Close()
	return conn.Query(ctx, statement)
}

// write writes until ctx is done. A connection on which something went wrong is not used again.
func (w *writer) write(ctx context.Context) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var conn *mysql.Conn
	for ctx.Err() == nil {
		<-tick.C
		if conn == nil {
			conn, _ = mysql.Connect(ctx, w.login)
			continue
		}
		one, err := w.transaction(conn) // to its end: its outcome is wanted
		w.ledger.Note(one)
		if err != nil {
			conn.Close()
			conn = nil
		}
	}
	if conn != nil {
		conn.Close()
	}
}

// transaction writes one row, and says what is known of it.
func (w *writer) transaction(conn *mysql.Conn) (one ledger.Transaction, err error) {
	ctx := context.Background()
	one = ledger.Transaction{ID: w.ledger.Next(), Began: time.Now()}
	defer func() { one.Ended = time.Now() }()
	if _, err = conn.Query(ctx, "BEGIN"); err != nil {
		return one, err
	}
	rows, err := conn.Query(ctx, "SELECT @@server_id, @@global.gtid_binlog_pos")
	if err != nil {
		return one, err
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 2 {
		return one, errors.New("not one row of two columns")
	}
	if one.Server, err = strconv.Atoi(rows.Values[0][0].Text); err != nil {
		return one, err
	}
	if one.Seen, err = ledger.ParseGTID(rows.Values[0][1].Text); err != nil {
		return one, err
	}
	if _, err = conn.Query(ctx, fmt.Sprintf("INSERT INTO ledger.writes VALUES (%d, @@server_id)", one.ID)); err != nil {
		return one, err
	}
	one.Outcome = ledger.Unknown
	if _, err = conn.Query(ctx, "COMMIT"); err == nil {
		one.Outcome = ledger.Acknowledged
	}
	return one, err
}

// enough is how many acknowledgements show that the release is written to again: some of each
// connection.
const enough = 10 * writers

// goesOn waits until enough is acknowledged of what began after a moment, and wants no longer
// pause than a limit.
func (w *writer) goesOn(t *testing.T, since time.Time, limit time.Duration) {
	t.Helper()
	waitFor(t, "acknowledged commits", limit+30*time.Second, func() bool {
		n, _ := w.ledger.Acknowledged(since, time.Now())
		return n >= enough
	})
	_, pause := w.ledger.Acknowledged(since, time.Now())
	t.Logf("the longest time without an acknowledged commit: %s", pause.Round(100*time.Millisecond))
	if pause > limit {
		t.Errorf("no commit was acknowledged for %s, want at most %s", pause, limit)
	}
}

// primary is the number of the pod of the database that acknowledged the last commit.
func (w *writer) primary(t *testing.T) int {
	t.Helper()
	all := w.ledger.All()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Outcome == ledger.Acknowledged {
			return all[i].Server - 1
		}
	}
	t.Fatal("nothing was acknowledged")
	return 0
}

// judge compares the ledger with what the primary has, and with what a replica has. The
// writers rest meanwhile.
func (w *writer) judge(t *testing.T) {
	t.Helper()
	w.stop()
	defer w.start()
	all, counts := w.ledger.All(), map[ledger.Outcome]int{}
	for _, one := range all {
		counts[one.Outcome]++
	}
	t.Logf("commits: %d acknowledged, %d unknown, and %d that never came to a commit", counts[ledger.Acknowledged], counts[ledger.Unknown], counts[ledger.Void])
	for where, first := range map[string]string{"the primary": "BEGIN", "a replica": "SET @x = 1"} {
		var rows []ledger.Row
		waitFor(t, "the rows of the ledger at "+where, time.Minute, func() (read bool) {
			rows, read = w.rows(t, first)
			return read
		})
		for _, wrong := range ledger.Judge(all, rows) {
			t.Errorf("at %s: %s", where, wrong)
		}
	}
}

// rows are all rows of the ledger, read after another statement, and whether they could be read.
func (w *writer) rows(t *testing.T, first string) (rows []ledger.Row, read bool) {
	t.Helper()
	conn, _ := mysql.Connect(t.Context(), w.login)
	if conn == nil {
		return nil, false
	}
	defer conn.Close()
	if _, err := conn.Query(t.Context(), first); err != nil {
		return nil, false
	}
	found, err := conn.Query(t.Context(), "SELECT id, server FROM ledger.writes")
	if err != nil {
		return nil, false
	}
	for _, v := range found.Values {
		id, wrong := strconv.ParseInt(v[0].Text, 10, 64)
		server, alsoWrong := strconv.Atoi(v[1].Text)
		if err := errors.Join(wrong, alsoWrong); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, ledger.Row{ID: id, Server: server})
	}
	return rows, true
}
