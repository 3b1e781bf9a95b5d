package seed_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mariadb/seed"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/topology"
)

// seeding runs a database as the service seeding of its session does, until the test ends or
// it is told to end, and returns where it listens.
func seeding(t *testing.T, s *mariadbtest.Server, ordinal int) (address string, ended chan error) {
	t.Helper()
	at := servers.Release.AllInstances(topology.Database)[ordinal]
	pair, err := servers.CA.Server(at.Pod, at.Host, at.Pod)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := mariadbtest.PEM(pair)
	if err != nil {
		t.Fatal(err)
	}
	of := "$$SCONE::server_1"
	files, command, err := servers.Files(topology.Database, at.ServiceOf("seeding"), map[string]string{of + ":crt$$": string(certificate), of + ":privatekey:pem$$": string(key)})
	if err != nil {
		t.Fatal(err)
	}
	folder := s.Path("new")
	if err := os.MkdirAll(folder+"/tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.Address)
	moved := strings.NewReplacer("/var/lib/mysql-tmp", folder+"/tmp", "/var/lib/mysql/seed", filepath.Dir(s.Path("ibdata1")), "/run/mysqld", folder, "/run/confidb", folder, "port = 3306", "port = "+port)
	for path, content := range files {
		path = moved.Replace(path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(moved.Replace(content)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Own(folder); err != nil {
		t.Fatal(err)
	}
	run := s.Program(command[0], strings.Fields(moved.Replace(strings.Join(command[1:], " ")))...)
	var log bytes.Buffer
	run.Stdout, run.Stderr = &log, &log
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	done := make(chan struct{})
	go func() {
		ended <- run.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		_ = run.Process.Kill() // it may have ended
		<-done
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return "127.0.0.1:" + port, ended
}

// The service of the session that is filled lets in only who fills it, listens only on the
// machine itself, encrypts what it is given, and ends by itself when it is whole.
func TestServiceSeeding(t *testing.T) {
	s := servers.Servers[1]
	run(t, 0, "SET GLOBAL read_only = 0")
	if err := s.Shut(); err != nil {
		t.Fatal(err)
	}
	address, ended := seeding(t, s, 1)
	roots := x509.NewCertPool()
	roots.AddCert(servers.CA.Certificate)
	login := func(account, password, commonName string) mysql.Login {
		pair, err := servers.CA.Client(commonName)
		if err != nil {
			t.Fatal(err)
		}
		return mysql.Login{Address: address, Account: account, Password: servers.Password(password),
			TLS: &tls.Config{RootCAs: roots, ServerName: servers.Release.AllInstances(topology.Database)[1].Host, Certificates: []tls.Certificate{pair}}}
	}
	var to *mysql.Conn
	for begun := time.Now(); to == nil; time.Sleep(20 * time.Millisecond) {
		var attempt mysql.Attempt
		if to, attempt = mysql.Connect(t.Context(), login("confidb_seed", "seed_password", "confidb-seed")); to == nil && time.Since(begun) > 20*time.Second {
			t.Fatal(attempt.Err)
		}
	}
	defer to.Close()
	for _, other := range []mysql.Login{login("confidb_seed", "seed_password", "confidb-app"), login("confidb_seed", "app_password", "confidb-seed"),
		login("confidb_app", "app_password", "confidb-app"), login("confidb_app", "app_password", "confidb-maxscale"), login("confidb_verify", "verify_password", "confidb-verify"), login("root", "none", "confidb-seed")} {
		if attempt := mysql.Try(t.Context(), other); !attempt.Denied() {
			t.Errorf("%s: got %v, want that it is denied", other.Account, attempt.Err)
		}
	}
	if listens, err := to.Query(t.Context(), "SELECT @@bind_address, @@log_bin, @@datadir, @@innodb_encrypt_tables"); err != nil || listens.Values[0][0].Text != "127.0.0.1" || listens.Values[0][1].Text != "0" || listens.Values[0][3].Text != "FORCE" {
		t.Errorf("got %v, %v", listens, err)
	}
	run(t, 0, "CREATE DATABASE service", "CREATE TABLE service.t (a TEXT)", "INSERT INTO service.t VALUES ('kept')",
		"CREATE DATABASE IF NOT EXISTS app", "CREATE TABLE app.shown (a INT)", "CREATE DEFINER='confidb_app'@'%' VIEW app.zz AS SELECT a FROM app.shown", "CREATE DEFINER='confidb_app'@'%' VIEW app.aa AS SELECT a FROM app.zz") // whose maker is no account of the new server
	t.Cleanup(func() { servers.Servers[0].Exec("DROP DATABASE service") })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	from := connect(t, 0, "confidb_seed")
	if _, err := seed.Copy(ctx, from, to, func(said string) { t.Log(said) }); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Fatal("it does not end")
	}
	again(t)
	equal(t, "service")
}
