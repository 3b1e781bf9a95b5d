package keeper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/confidb/confidb/internal/loopback"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/topology"
)

// pki are the identities of a cluster on loopback.
type pki struct {
	authority *mariadbtest.Authority
	roots     *x509.CertPool
}

func newPKI(t *testing.T) pki {
	t.Helper()
	authority, err := mariadbtest.NewAuthority("confidb-ca")
	if err != nil {
		t.Fatal(err)
	}
	p := pki{authority, x509.NewCertPool()}
	p.roots.AddCert(authority.Certificate)
	return p
}

func (p pki) client(t *testing.T, name string) tls.Certificate {
	t.Helper()
	pair, err := p.authority.Client(name)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func (p pki) server(t *testing.T, name string) tls.Certificate {
	t.Helper()
	pair, err := p.authority.Server(name, name)
	if err != nil {
		t.Fatal(err)
	}
	return pair
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

// brief passes at once, and lets others run.
func brief(ctx context.Context, _ time.Duration) error {
	time.Sleep(time.Millisecond)
	return ctx.Err()
}

// clock is one that is a second further each time it is looked at.
func clock() func() time.Time {
	var seconds atomic.Int64
	return func() time.Time { return time.Unix(seconds.Add(1), 0) }
}

func host(i int) string { return fmt.Sprintf("db-mariadb-%d.svc", i) }

// gates are those of n members; no server runs.
func gates(t *testing.T, p pki, databases []bool) []*gate {
	t.Helper()
	var all []*gate
	addresses := make([]string, len(databases))
	for i, database := range databases {
		port := hold(t)
		listener, err := net.Listen("tcp", port.Address())
		if err != nil {
			t.Fatal(err)
		}
		addresses[i] = port.Address()
		all = append(all, &gate{own: Own{Ordinal: i, Database: database}, listener: listener, wait: brief, now: clock(),
			secure: listening(p.server(t, host(i)), p.roots, peerName), say: func(string) {}})
	}
	for i, g := range all {
		for k := range all {
			if k != i {
				n := neighbour{ordinal: k, gate: addresses[k], secure: asking(p.client(t, peerName), p.roots, host(k))}
				n.login = login(Host{Host: host(k)}, peerAccount, "x", p.client(t, peerName), p.roots)
				n.login.Address = hold(t).Address()
				g.neighbours = append(g.neighbours, n)
			}
		}
	}
	return all
}

// words lets gates run, and returns what each says.
func words(ctx context.Context, all []*gate) []string {
	said := make([]string, len(all))
	var running sync.WaitGroup
	for i, g := range all {
		running.Go(func() {
			word, err := g.run(ctx)
			if said[i] = word.String(); err != nil {
				said[i] = "error"
			}
		})
	}
	running.Wait()
	return said
}

// TestGatesAgree: all that wait say the same, whoever counts first.
func TestGatesAgree(t *testing.T) {
	p := newPKI(t)
	for _, n := range []int{3, 4} {
		databases := make([]bool, n)
		for i := range databases {
			databases[i] = true
		}
		for i, word := range words(t.Context(), gates(t, p, databases)) {
			if word != "cold" {
				t.Errorf("member %d of %d: got %s, want cold", i, n, word)
			}
		}
	}
}

// TestAPartition: a member that hears nobody waits, and those that hear each other go on
// without it when they have waited.
func TestAPartition(t *testing.T) {
	all := gates(t, newPKI(t), []bool{true, true, true})
	for i := range all[2].neighbours {
		all[2].neighbours[i].gate = hold(t).Address()
	}
	for _, g := range all[:2] {
		for i, n := range g.neighbours {
			if n.ordinal == 2 {
				g.neighbours[i].gate = hold(t).Address()
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	alone := make(chan []string)
	go func() { alone <- words(ctx, all[2:]) }()
	if got := words(t.Context(), all[:2]); got[0] != "cold" || got[1] != "cold" {
		t.Errorf("two of three: got %v, want cold", got)
	}
	cancel()
	if got := <-alone; got[0] != "error" {
		t.Errorf("one of three: got %v, want that it waits", got)
	}
}

// TestFounding: with no database anywhere all make one, and who is not seen is waited for.
func TestFounding(t *testing.T) {
	p := newPKI(t)
	if got := words(t.Context(), gates(t, p, []bool{false, false, false})); got[0] != "found" || got[1] != "found" || got[2] != "found" {
		t.Errorf("got %v, want that all found", got)
	}
	all := gates(t, p, []bool{false, false, false})
	all[2].listener.Close()
	ctx, cancel := context.WithCancel(t.Context())
	rounds := 0
	all[0].wait = func(ctx context.Context, _ time.Duration) error {
		if rounds++; rounds == 2*patienceElection {
			cancel()
		}
		return ctx.Err()
	}
	if got := words(ctx, all[:2]); got[0] != "error" || got[1] != "error" {
		t.Errorf("without the third: got %v, want that they wait", got)
	}
}

// TestWhoIsNoPeer: neither who asks nor who answers is believed without the right name and
// the right certificate.
func TestWhoIsNoPeer(t *testing.T) {
	p, foreign := newPKI(t), newPKI(t)
	good := func() (*gate, *tls.Config) {
		all := gates(t, p, []bool{true, true, true})
		for _, g := range all[1:] {
			g.listener.Close()
		}
		return all[0], asking(p.client(t, peerName), p.roots, host(0))
	}
	for name, c := range map[string]struct {
		change func(g *gate, ask *tls.Config)
		seen   Sight
	}{
		"the peer":                              {func(*gate, *tls.Config) {}, Full},
		"another client of the CA":              {func(_ *gate, ask *tls.Config) { ask.Certificates[0] = p.client(t, "confidb-app") }, Silent},
		"no certificate":                        {func(_ *gate, ask *tls.Config) { ask.Certificates = nil }, Silent},
		"a server's certificate":                {func(_ *gate, ask *tls.Config) { ask.Certificates[0] = p.server(t, peerName) }, Silent},
		"a client of another CA":                {func(_ *gate, ask *tls.Config) { ask.Certificates[0] = foreign.client(t, peerName) }, Silent},
		"another protocol":                      {func(_ *gate, ask *tls.Config) { ask.NextProtos = []string{"h2"} }, Silent},
		"no protocol":                           {func(_ *gate, ask *tls.Config) { ask.NextProtos = nil }, Silent},
		"a gate of another name":                {func(g *gate, _ *tls.Config) { g.secure.Certificates[0] = p.server(t, host(1)) }, Silent},
		"a gate with the certificate of a peer": {func(g *gate, _ *tls.Config) { g.secure.Certificates[0] = p.client(t, host(0)) }, Silent},
		"a gate of another CA":                  {func(g *gate, _ *tls.Config) { g.secure.Certificates[0] = foreign.server(t, host(0)) }, Silent},
		"another ordinal":                       {func(g *gate, _ *tls.Config) { g.own.Ordinal = 2 }, Silent},
	} {
		t.Run(name, func(t *testing.T) {
			g, ask := good()
			c.change(g, ask)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { serve(ctx, g.listener, g.secure, answerTime, g.answer); close(ended) }()
			n := neighbour{ordinal: 0, gate: g.listener.Addr().String(), secure: ask, login: login(Host{Host: host(0)}, peerAccount, "x", p.client(t, peerName), p.roots)}
			n.login.Address = hold(t).Address()
			if seen, _ := n.sight(ctx); seen != c.seen {
				t.Errorf("got %v, want %v", seen, c.seen)
			}
			cancel()
			<-ended
		})
	}
}

// TestMessagesAreBounded: what is too long, not a message or never ends is an error.
func TestMessagesAreBounded(t *testing.T) {
	p := newPKI(t)
	for name, text := range map[string]string{
		"too long": `{"kind":"` + strings.Repeat("x", 2*maxMessage) + "\"}\n", "no end": `{"kind":"confidb.gate/v1"}`, "no JSON": "hello\n",
		"an unknown member": `{"kind":"confidb.gate/v1","more":1}` + "\n", "two": "{}{}\n", "nothing": "",
	} {
		listener, err := net.Listen("tcp", hold(t).Address())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			serve(ctx, listener, listening(p.server(t, host(0)), p.roots, peerName), answerTime, func(_ context.Context, conn net.Conn) error {
				_, err := conn.Write([]byte(text))
				return err
			})
			close(ended)
		}()
		var said notice
		if err := exchange(ctx, listener.Addr().String(), asking(p.client(t, peerName), p.roots, host(0)), nil, &said, answerTime); err == nil {
			t.Errorf("%s: got %+v, want an error", name, said)
		}
		cancel()
		<-ended
	}
	silent, err := net.Listen("tcp", hold(t).Address()) // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var said notice
	if err := exchange(t.Context(), silent.Addr().String(), asking(p.client(t, peerName), p.roots, host(0)), nil, &said, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent peer: got %v, want that time is over", err)
	}
}

// injectedFiles are what CAS gives a program.
func (p pki) injectedFiles(t *testing.T, pairs map[string]tls.Certificate, texts map[string]string) fstest.MapFS {
	t.Helper()
	files := fstest.MapFS{"ca.crt": {Data: p.authority.PEM()}}
	for name, pair := range pairs {
		certificate, key, err := mariadbtest.PEM(pair)
		if err != nil {
			t.Fatal(err)
		}
		files[name+".crt"], files[name+".key"] = &fstest.MapFile{Data: certificate}, &fstest.MapFile{Data: key}
	}
	for name, text := range texts {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

const clusterText = `{"self":"mariadb-1","databases":[{"name":"mariadb-0","pod":"db-mariadb-0","host":"db-mariadb-0.svc","serverID":1},{"name":"mariadb-1","pod":"db-mariadb-1","host":"db-mariadb-1.svc","serverID":2},{"name":"mariadb-2","pod":"db-mariadb-2","host":"db-mariadb-2.svc","serverID":3},{"name":"mariadb-3","pod":"db-mariadb-3","host":"db-mariadb-3.svc","serverID":4}],"maxScales":[{"name":"maxscale-0","pod":"db-maxscale-0","host":"db-maxscale-0.svc"}]}`

// TestAGateFromItsFiles: what is missing, too much or not as it must be is an error.
func TestAGateFromItsFiles(t *testing.T) {
	p := newPKI(t)
	good := func() (*program, fstest.MapFS) {
		files := p.injectedFiles(t, map[string]tls.Certificate{"server": p.server(t, host(1)), "peer": p.client(t, peerName)},
			map[string]string{"cluster.json": clusterText, "peer.password": "x"})
		return &program{files: injected{files: files}, getenv: func(string) string { return "3" }, data: t.TempDir(), wait: brief, now: clock(), stderr: new(strings.Builder),
			listen: func(string) (net.Listener, error) { return net.Listen("tcp", hold(t).Address()) }}, files
	}
	for name, change := range map[string]func(p *program, files fstest.MapFS){
		"no cluster": func(_ *program, files fstest.MapFS) { delete(files, "cluster.json") },
		"another member": func(_ *program, files fstest.MapFS) {
			files["cluster.json"].Data = []byte(strings.Replace(clusterText, `"self":"mariadb-1"`, `"self":"x"`, 1))
		},
		"another number": func(_ *program, files fstest.MapFS) {
			files["cluster.json"].Data = []byte(strings.Replace(clusterText, `"serverID":2`, `"serverID":3`, 1))
		},
		"no host": func(_ *program, files fstest.MapFS) {
			files["cluster.json"].Data = []byte(strings.Replace(clusterText, `"db-mariadb-2.svc"`, `""`, 1))
		},
		"more":         func(_ *program, files fstest.MapFS) { files["cluster.json"].Data = []byte(clusterText + clusterText) },
		"unknown":      func(_ *program, files fstest.MapFS) { files["cluster.json"].Data = []byte(`{"x":1,` + clusterText[1:]) },
		"no key":       func(_ *program, files fstest.MapFS) { delete(files, "server.key") },
		"another key":  func(_ *program, files fstest.MapFS) { files["server.key"] = files["peer.key"] },
		"no CA":        func(_ *program, files fstest.MapFS) { files["ca.crt"].Data = []byte("x") },
		"no password":  func(_ *program, files fstest.MapFS) { files["peer.password"].Data = nil },
		"no number":    func(p *program, _ fstest.MapFS) { p.getenv = func(string) string { return "" } },
		"two members":  func(p *program, _ fstest.MapFS) { p.getenv = func(string) string { return "2" } },
		"five members": func(p *program, _ fstest.MapFS) { p.getenv = func(string) string { return "5" } },
		"an argument":  func(p *program, _ fstest.MapFS) { p.arguments = []string{"x"} },
	} {
		program, files := good()
		change(program, files)
		if g, err := program.gateHere(); err == nil {
			g.listener.Close()
			t.Errorf("%s: got a gate, want an error", name)
		}
	}
	for _, there := range []bool{true, false} {
		program, _ := good()
		if !there {
			if err := os.Remove(program.data); err != nil {
				t.Fatal(err)
			}
		}
		g, err := program.gateHere()
		if err != nil {
			t.Fatal(err)
		}
		g.listener.Close()
		if g.own != (Own{Ordinal: 1, Database: there}) || len(g.neighbours) != 2 || g.neighbours[1].gate != "db-mariadb-2.svc:3307" || g.neighbours[1].login.TLS.ServerName != "db-mariadb-2.svc" {
			t.Errorf("got %+v and %+v", g.own, g.neighbours)
		}
	}
}

// TestClusterIsTheTopologys: what sessions are given is what is read here.
func TestClusterIsTheTopologys(t *testing.T) {
	given := topology.Cluster{Self: "mariadb-1", MaxScales: []topology.ClusterMember{{Name: "maxscale-0", Pod: "db-maxscale-0", Host: "db-maxscale-0.svc"}}}
	for i := range 4 {
		given.Databases = append(given.Databases, topology.ClusterMember{Name: fmt.Sprintf("mariadb-%d", i), Pod: fmt.Sprintf("db-mariadb-%d", i), Host: host(i), ServerID: i + 1})
	}
	text, err := json.Marshal(given)
	if err != nil {
		t.Fatal(err)
	}
	read := injected{files: fstest.MapFS{"cluster.json": {Data: text}}}
	c := read.cluster()
	if again, err := json.Marshal(c); err != nil || read.err != nil || c.Databases[3] != (Host{"mariadb-3", "db-mariadb-3", host(3), 4}) || len(c.MaxScales) != 1 {
		t.Errorf("got %s %v %v", again, err, read.err)
	}
	if at, err := c.self(); err != nil || at != 1 {
		t.Errorf("got %d %v, want 1", at, err)
	}
}
