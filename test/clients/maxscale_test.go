package clients

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	words "github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

// roles are the servers of a set: the first is the primary.
type roles struct{}

func (roles) Primary() string    { return "db1" }
func (roles) Replicas() []string { return []string{"db2"} }

// TestOnMariaDBBehindMaxScale: Go's driver, with its pool, works through the stand-in for
// MaxScale as it does directly.
func TestOnMariaDBBehindMaxScale(t *testing.T) {
	set, err := mariadbtest.StartSet(2, "CREATE DATABASE lab", "CREATE TABLE lab.t (id INT PRIMARY KEY AUTO_INCREMENT, text VARCHAR(200), at DATETIME(6), b LONGBLOB)",
		"CREATE USER service IDENTIFIED BY 'pw-service' REQUIRE SUBJECT '/CN=maxscale'", "GRANT ALL ON *.* TO service", "CREATE USER app IDENTIFIED BY 'pw-app' REQUIRE SUBJECT '/CN=maxscale'", "GRANT ALL ON lab.* TO app")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Stop() })
	if err := set.Replicate(); err != nil {
		t.Fatal(err)
	}
	use(t, open(t, set, behind(t, set)))
}

// behind starts a service before a set, and returns its address.
func behind(t *testing.T, set *mariadbtest.Set) string {
	t.Helper()
	show, err := set.CA.Client("maxscale")
	serve, wrong := set.CA.Server("maxscale", "maxscale.test")
	if err := errors.Join(err, wrong); err != nil {
		t.Fatal(err)
	}
	var servers []backend.Server
	for _, m := range set.Members {
		servers = append(servers, backend.Server{Name: m.Name, Address: m.Address, TLS: set.Trust(&show)})
	}
	h := wire.HashPassword("pw-service")
	log := func(line string) { t.Log(line) }
	store := accounts.NewStore(accounts.Options{Servers: func() []backend.Server { return servers }, Service: backend.Identity{User: "service", Password: &h}, Now: time.Now, Log: log, Unmeasured: func(id, what string) { log(id + what) }})
	if !store.Load(t.Context()) {
		t.Fatal("no accounts")
	}
	s := route.NewService(route.Options{Service: "RW", Servers: servers, View: roles{}, Accounts: store, Blocker: &accounts.Blocker{Now: time.Now}, Words: words.NewWords(), CausalReads: route.CausalGlobal,
		Random: rand.Reader, Now: time.Now, Log: func(string, string) {}})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(set.CA.Certificate)
	config := &tls.Config{Certificates: []tls.Certificate{serve}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener, func() *tls.Config { return config }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// open opens the driver's pool.
func open(t *testing.T, set *mariadbtest.Set, address string) *sql.DB {
	t.Helper()
	show, err := set.CA.Client("app")
	if err != nil {
		t.Fatal(err)
	}
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr, config.DBName, config.ParseTime, config.MultiStatements = "app", "pw-app", "tcp", address, "lab", true, true
	config.TLS = set.Trust(&show)
	config.TLS.ServerName = "maxscale.test"
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	t.Cleanup(func() { pool.Close() })
	return pool
}

// use does with a pool what applications do.
func use(t *testing.T, pool *sql.DB) {
	t.Helper()
	at, blob := time.Date(2026, 11, 28, 1, 2, 3, 4000, time.UTC), []byte(strings.Repeat("\x00\xff", 50_000))
	var working sync.WaitGroup
	for i := range 6 {
		working.Go(func() {
			result, err := pool.Exec("INSERT INTO t(text, at, b) VALUES (?, ?, ?)", fmt.Sprint("row ", i), at, blob)
			if err != nil {
				t.Error(err)
				return
			}
			id, err := result.LastInsertId()
			if err != nil {
				t.Error(err)
			}
			var text string
			var when time.Time
			var data []byte
			if err := pool.QueryRow("SELECT text, at, b FROM t WHERE id = ?", id).Scan(&text, &when, &data); err != nil || text != fmt.Sprint("row ", i) || !when.Equal(at) || len(data) != len(blob) {
				t.Errorf("%q at %v with %d bytes: %v", text, when, len(data), err)
			}
		})
	}
	working.Wait()
	transaction(t, pool)
	var server int
	if err := pool.QueryRow("SELECT @@server_id").Scan(&server); err != nil || server != 2 {
		t.Errorf("server %d answers a read: %v", server, err)
	}
	rows, err := pool.Query("SELECT 1; SELECT 2, 3")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() || rows.Next() || !rows.NextResultSet() || !rows.Next() {
		t.Errorf("two sets of rows are not two: %v", rows.Err())
	}
}

// transaction rolls one back, and commits another.
func transaction(t *testing.T, pool *sql.DB) {
	t.Helper()
	for _, keep := range []bool{false, true} {
		tx, err := pool.Begin()
		if err != nil {
			t.Fatal(err)
		}
		var server int
		if _, err := tx.Exec("UPDATE t SET text = 'changed' WHERE text = ?", "row 1"); err != nil {
			t.Error(err)
		}
		if err := tx.QueryRow("SELECT @@server_id").Scan(&server); err != nil || server != 1 {
			t.Errorf("server %d answers in a transaction: %v", server, err)
		}
		if end := map[bool]func() error{false: tx.Rollback, true: tx.Commit}[keep]; end() != nil {
			t.Error("the transaction does not end")
		}
		var n int
		if err := pool.QueryRow("SELECT COUNT(*) FROM t WHERE text = 'changed'").Scan(&n); err != nil || n != map[bool]int{false: 0, true: 1}[keep] {
			t.Errorf("kept %v: %d rows are changed: %v", keep, n, err)
		}
	}
}
