package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

const password = "0123456789abcdef"

// given writes what CAS would give the program.
func given(t *testing.T, ca *mariadbtest.Authority, pair tls.Certificate, dsn string) credentials {
	t.Helper()
	certificate, key, err := mariadbtest.PEM(pair)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, content, 0o400); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return credentials{write("ca.crt", ca.PEM()), write("client.crt", certificate), write("client.key", key), write("go.dsn", []byte(dsn))}
}

// authority makes a CA and a client's certificate.
func authority(t *testing.T) (*mariadbtest.Authority, tls.Certificate) {
	t.Helper()
	ca, err := mariadbtest.NewAuthority("confidb-ca")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Client("tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	return ca, pair
}

func TestOpenRefuses(t *testing.T) {
	ca, pair := authority(t)
	_, foreign := authority(t)
	const good = "tokenizer:" + password + "@tcp(localhost:3306)/shop?tls=confidb"
	for name, dsn := range map[string]string{
		"no TLS":                 "tokenizer:" + password + "@tcp(localhost:3306)/shop",
		"TLS without a check":    "tokenizer:" + password + "@tcp(localhost:3306)/shop?tls=skip-verify",
		"TLS of the system's":    "tokenizer:" + password + "@tcp(localhost:3306)/shop?tls=true",
		"TLS if there is any":    "tokenizer:" + password + "@tcp(localhost:3306)/shop?tls=preferred",
		"a fallback":             good + "&allowFallbackToPlaintext=true",
		"a TLS name of nobody's": "tokenizer:" + password + "@tcp(localhost:3306)/shop?tls=other",
		"no slash":               "tokenizer:" + password + "@tcp(localhost:3306)",
		"nothing":                "",
		"far too long":           good + strings.Repeat(" ", maxFile),
	} {
		if db, err := open(given(t, ca, pair, dsn)); err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: got %v, %v, want an error without the password", name, db, err)
		}
	}
	c := given(t, ca, pair, good)
	swapped := given(t, ca, foreign, good)
	for name, c := range map[string]credentials{
		"no CA":             {"/nowhere", c.certificate, c.key, c.dsn},
		"a CA that is none": {c.dsn, c.certificate, c.key, c.dsn},
		"no certificate":    {c.ca, "/nowhere", c.key, c.dsn},
		"no key":            {c.ca, c.certificate, "/nowhere", c.dsn},
		"another's key":     {c.ca, c.certificate, swapped.key, c.dsn},
		"no source":         {c.ca, c.certificate, c.key, "/nowhere"},
	} {
		if _, err := open(c); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	db, err := open(c)
	if err != nil {
		t.Fatalf("the right credentials: %v", err)
	}
	db.Close()
}

func TestRunRefuses(t *testing.T) {
	for _, arguments := range [][]string{{"-unknown"}, {"argument"}, {"-dsn-file", "/nowhere", "-ca", "/nowhere"}} {
		var log bytes.Buffer
		if err := run(t.Context(), arguments, &log); err == nil {
			t.Errorf("%q: got no error", arguments)
		}
	}
}

// TestOnMariaDB uses a real server as the database's session sets it up.
func TestOnMariaDB(t *testing.T) {
	server, err := mariadbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(server.Address)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := server.CA.Client("tokenizer")
	if err != nil {
		t.Fatal(err)
	}
	other, err := server.CA.Client("other")
	if err != nil {
		t.Fatal(err)
	}
	exec(t, server, "CREATE DATABASE shop")
	for user, rights := range map[string]string{"tokenizer": "SELECT, INSERT, CREATE", "user": "SELECT, INSERT", "nobody": "DELETE"} {
		exec(t, server, "CREATE USER "+user+" IDENTIFIED BY '"+password+"' REQUIRE SUBJECT '/CN=tokenizer'")
		exec(t, server, "GRANT "+rights+" ON shop.* TO "+user)
	}
	dsn := func(user, host string) string {
		return user + ":" + password + "@tcp(" + host + ":" + port + ")/shop?tls=confidb&charset=utf8mb4&parseTime=true\n"
	}
	makes := func(c credentials) (*table, error) {
		db, err := open(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		cards := &table{db}
		return cards, cards.make(t.Context())
	}

	if _, err := makes(given(t, server.CA, pair, dsn("user", "localhost"))); err == nil {
		t.Error("without a table and the right to make it: got no error")
	}
	cards, err := makes(given(t, server.CA, pair, dsn("tokenizer", "localhost")))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	h := newHandler(cards, &log)
	comeBack(t, h)
	if status, _ := ask(t, h, "GET", "/tokens/"+strings.Repeat("A", 26), ""); status != 404 {
		t.Errorf("an unknown token: got %d, want 404", status)
	}
	if again, err := makes(given(t, server.CA, pair, dsn("user", "localhost"))); err != nil {
		t.Errorf("with the table of somebody else: %v", err)
	} else {
		comeBack(t, newHandler(again, &log))
	}
	if log.Len() > 0 {
		t.Errorf("got the log %q, want none", log.String())
	}

	foreign, _ := authority(t)
	for name, c := range map[string]credentials{
		"without a right":             given(t, server.CA, pair, dsn("nobody", "localhost")),
		"with another subject":        given(t, server.CA, other, dsn("tokenizer", "localhost")),
		"a server of another CA":      given(t, foreign, pair, dsn("tokenizer", "localhost")),
		"a server of another name":    given(t, server.CA, pair, dsn("tokenizer", "127.0.0.1")),
		"an account that nobody made": given(t, server.CA, pair, dsn("somebody", "localhost")),
	} {
		if _, err := makes(c); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}

	exec(t, server, "DROP USER tokenizer")
	for _, pooled := range connections(t, server, "tokenizer") {
		exec(t, server, "KILL "+pooled)
	}
	if status, _ := ask(t, h, "POST", "/tokens", document(t, "4111111111111111")); status != 503 || !strings.Contains(log.String(), "error 1045") {
		t.Errorf("after the account was removed: got %d and the log %q, want 503 and error 1045", status, log.String())
	}
}

func exec(t *testing.T, server *mariadbtest.Server, statement string) {
	t.Helper()
	if err := server.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// connections are the IDs of a user's connections.
func connections(t *testing.T, server *mariadbtest.Server, user string) []string {
	t.Helper()
	result, err := server.Admin.Query(context.Background(), "SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '"+user+"'")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, row := range result.Values {
		all = append(all, row[0].Text)
	}
	return all
}
