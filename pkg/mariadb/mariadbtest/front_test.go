package mariadbtest_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/topology"
)

// listen serves connections one by one until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

// pass carries bytes between two ends, until one of them ends.
func pass(a, b net.Conn) {
	defer a.Close()
	defer b.Close()
	go func() { _, _ = io.Copy(a, b); a.Close(); b.Close() }()
	_, _ = io.Copy(b, a)
}

// relay leads to an address and holds no key.
func relay(t *testing.T, to string) string {
	return listen(t, func(conn net.Conn) {
		if on, err := net.Dial("tcp", to); err == nil {
			pass(conn, on)
			return
		}
		conn.Close()
	})
}

// ender greets as the server does, and ends TLS with a certificate of its own.
func ender(t *testing.T, to string, shown tls.Certificate) string {
	return listen(t, func(conn net.Conn) {
		defer conn.Close()
		on, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer on.Close()
		packet := make([]byte, 4096)
		n, _ := on.Read(packet) // the greeting
		if _, err := conn.Write(packet[:n]); err != nil {
			return
		}
		if _, err := io.ReadFull(conn, make([]byte, 36)); err != nil { // it asks for TLS
			return
		}
		_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{shown}}).HandshakeContext(t.Context())
	})
}

// ends are the checks of a report by how they ended, each with its subject.
func ends(report check.Report) map[string]string {
	found := map[string]string{}
	for _, f := range report {
		found[f.ID+" "+f.Subject] = f.Outcome.String()
	}
	return found
}

// What stands before databases is proven by coming in there: MaxScale by its own name and
// whatever leads to it; what ends TLS elsewhere fails, and what cannot be reached, or only
// relays to another place, proves nothing.
func TestFront(t *testing.T) {
	c, err := mariadbtest.StartSharded(1, topology.Applications{})
	must(t, err)
	t.Cleanup(func() { must(t, c.Stop()) })
	p := newProxy(t, c)
	stop := p.run()
	p.awaitLogin(t, c, "confidb_front", c.Password("front_password")).Close()
	own, err := c.Client("confidb-verify")
	must(t, err)
	other, err := mariadbtest.NewAuthority("confidb-ca")
	must(t, err)
	foreign, err := other.Client("confidb-verify")
	must(t, err)
	expired, err := c.CA.ClientUntil("confidb-verify", time.Now().Add(-time.Hour))
	must(t, err)
	wrong, err := c.CA.Server("confidb-verify", "wrong-role.invalid")
	must(t, err)
	impostors := mariadb.Impostors{Foreign: &foreign, Expired: &expired, WrongRole: &wrong}
	hijacker, err := other.Server("db", c.Release.Host)
	must(t, err)
	twin, err := c.CA.Server("db", c.Release.Host) // of the CA, with a key that is not MaxScale's
	must(t, err)
	place := func(name, address string) mariadb.Place {
		return mariadb.Place{Name: name, Address: address, ServerName: c.Release.Host}
	}
	front := mariadb.Front{
		Target: mariadb.Target{CA: c.CA.Certificate, Account: "confidb_front", Password: c.Password("front_password"), Certificate: own,
			Now: time.Now, Random: rand.Reader, Patience: 5 * time.Second, Wait: func(context.Context, time.Duration) error { return context.Canceled }},
		MaxScales: []mariadb.Place{place("maxscale-0", p.address), place("maxscale-1", "127.0.0.1:1")},
		Ways: []mariadb.Place{place("service", p.address), place("relay", relay(t, p.address)), place("ender", ender(t, p.address, hijacker)),
			place("twin", ender(t, p.address, twin)), place("nobody", "127.0.0.1:1")},
		Databases: map[uint64]string{1: "mariadb-0"},
	}
	seen := mariadb.ObserveFront(t.Context(), front, impostors)
	want := map[string]string{"hap-01 service": "pass", "hap-01 relay": "pass", "hap-01 ender": "fail", "hap-01 twin": "skip", "hap-01 nobody": "skip"}
	for _, id := range []string{"tls-01", "tls-02", "tls-03", "mtls-01", "mtls-02", "tls-05"} {
		want[id+" maxscale-0"], want[id+" maxscale-1"] = "pass", "skip"
	}
	if diff := cmp.Diff(want, ends(seen.Report())); diff != "" {
		t.Errorf("(-want +got):\n%s\n%+v", diff, seen.Report())
	}
	if seen.TLS() == nil {
		t.Error("there is no connection as users make them")
	}

	later := front
	later.Now = func() time.Time { return time.Now().Add(20 * 365 * 24 * time.Hour) } // MaxScale's own certificate has expired
	if got := ends(mariadb.ObserveFront(t.Context(), later, impostors).Report()); got["tls-01 maxscale-0"] != "fail" || got["hap-01 relay"] != "skip" || got["hap-01 ender"] != "fail" {
		t.Errorf("MaxScale's certificate has expired: %v", got)
	}
	front.Databases = map[uint64]string{2: "mariadb-1"}
	if got := ends(mariadb.ObserveFront(t.Context(), front, impostors).Report()); got["tls-05 maxscale-0"] != "fail" || got["hap-01 service"] == "pass" {
		t.Errorf("behind MaxScale another database answers: %v", got)
	}
	stop()
	<-p.ended

	// the listener, in a file of the same form, demands no certificate
	p = newProxy(t, c)
	file := filepath.Join(p.folder, "maxscale.cnf")
	text, err := os.ReadFile(file)
	must(t, err)
	head, listener, found := strings.Cut(string(text), "-L]\n")
	weak := strings.Replace(listener, "ssl_verify_peer_certificate=true", "ssl_verify_peer_certificate=false", 1)
	if !found || weak == listener {
		t.Fatal("the configuration has another form")
	}
	must(t, os.WriteFile(file, []byte(head+"-L]\n"+weak), 0o600))
	stop = p.run()
	defer func() { stop(); <-p.ended }()
	p.awaitLogin(t, c, "confidb_front", c.Password("front_password")).Close()
	front.MaxScales, front.Ways = []mariadb.Place{place("maxscale-0", p.address)}, nil
	got := ends(mariadb.ObserveFront(t.Context(), front, impostors).Report())
	for _, id := range []string{"mtls-01", "mtls-02"} {
		if got[id+" maxscale-0"] != "fail" {
			t.Errorf("anybody may come in: %s: got %v, want a failure", id, got)
		}
	}
}
