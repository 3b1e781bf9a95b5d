package mariadb_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
	"github.com/confidb/confidb/pkg/mysql"
)

// ending is what a relay does with a connection after a unit of the server.
type ending int

const (
	goOn ending = iota
	hangUp
	reset
	silence
)

// meddling is what a relay without any key does to one connection. A unit is the
// greeting, then each TLS record of the server (or packet, in clear). nil changes nothing.
type meddling struct {
	fromServer func(unit int, data []byte) ([]byte, ending)
	request    func([]byte) []byte // the client's first packet, which is in clear
	fromClient func(record int, data []byte) []byte
	ended      func()
}

// relay listens and carries connections to address; meddle is asked for each, counted
// from 0. It holds no key.
func relay(t *testing.T, address string, meddle func(connection int) meddling) string {
	t.Helper()
	return relayTo(t, func(int) string { return address }, meddle)
}

// relayTo is a relay that chooses where each connection goes.
func relayTo(t *testing.T, address func(connection int) string, meddle func(connection int) meddling) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var carrying sync.WaitGroup
	t.Cleanup(func() { listener.Close(); carrying.Wait() })
	carrying.Go(func() {
		for connection := 0; ; connection++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			m, to := meddle(connection), address(connection)
			carrying.Go(func() { carry(client.(*net.TCPConn), to, m) })
		}
	})
	return listener.Addr().String()
}

func carry(client *net.TCPConn, address string, m meddling) {
	if m.ended != nil {
		defer m.ended()
	}
	defer client.Close()
	behind, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer behind.Close()
	for _, conn := range []net.Conn{client, behind} {
		conn.SetDeadline(time.Now().Add(10 * time.Second))
	}
	secured := make(chan bool, 1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		defer behind.Close()
		first, err := readPacket(client)
		request := len(first) == 4+32 // for TLS: a header without a login
		secured <- request
		if err != nil {
			return
		}
		if m.request != nil {
			first = m.request(first)
		}
		behind.Write(first)
		for record := 0; request && m.fromClient != nil; record++ {
			data, err := readRecord(client)
			if err != nil {
				return
			}
			behind.Write(m.fromClient(record, data))
		}
		io.Copy(behind, client)
	}()
	read := readPacket
	for unit := 0; ; unit++ {
		if unit == 1 && <-secured {
			read = readRecord
		}
		data, err := read(behind)
		end := goOn
		if m.fromServer != nil && err == nil {
			data, end = m.fromServer(unit, data)
		}
		client.Write(data)
		switch {
		case end == reset:
			client.SetLinger(0)
			return
		case end == silence:
			<-gone
			return
		case end == hangUp, err != nil:
			return
		}
	}
}

func readPacket(from io.Reader) ([]byte, error) {
	return readUnit(from, 4, func(h []byte) int { return int(h[0]) | int(h[1])<<8 | int(h[2])<<16 })
}

func readRecord(from io.Reader) ([]byte, error) {
	return readUnit(from, 5, func(h []byte) int { return int(binary.BigEndian.Uint16(h[3:])) })
}

// readUnit reads what begins with a header that says how long it is.
func readUnit(from io.Reader, header int, length func([]byte) int) ([]byte, error) {
	unit := make([]byte, header)
	if n, err := io.ReadFull(from, unit); err != nil {
		return unit[:n], err
	}
	unit = append(unit, make([]byte, length(unit))...)
	n, err := io.ReadFull(from, unit[header:])
	return unit[:header+n], err
}

// What a relay can say in clear.
func alertInClear(code byte) []byte { return []byte{21, 3, 3, 0, 2, 2, code} }

func packetInClear(sequence byte, payload string) []byte {
	return append([]byte{byte(len(payload)), 0, 0, sequence}, payload...)
}

const (
	deniedPacket   = "\xff\x15\x04#28000Access denied for user 'confidb_verify'@'%' (using password: YES)"
	acceptedPacket = "\x00\x00\x00\x02\x00\x00\x00"
)

// instead says something in place of a unit, and ends so.
func instead(at int, said []byte, end ending) meddling {
	return meddling{fromServer: func(unit int, data []byte) ([]byte, ending) {
		if unit == at {
			return said, end
		}
		return data, goOn
	}}
}

func flipped(data []byte, bit int) []byte {
	changed := slices.Clone(data)
	changed[bit/8%len(changed)] ^= 1 << (bit % 8)
	return changed
}

// swapped holds a unit back until the next one has gone.
func swapped(at int) meddling {
	var held []byte
	return meddling{fromServer: func(unit int, data []byte) ([]byte, ending) {
		switch unit {
		case at:
			held = data
			return nil, goOn
		case at + 1:
			return append(data, held...), goOn
		}
		return data, goOn
	}}
}

// meddlings are the kinds; each is made anew for a connection, from a source of chance.
func meddlings() map[string]func(*rand.Rand) meddling {
	garbage := func(r *rand.Rand) []byte {
		noise := make([]byte, 1+r.IntN(300))
		for i := range noise {
			noise[i] = byte(r.Uint32())
		}
		return noise
	}
	telling := []byte{40, 42, 43, 45, 46, 48, 51, 70, 71, 116} // with which servers refuse
	code := func(r *rand.Rand) byte {
		if r.IntN(3) > 0 {
			return telling[r.IntN(len(telling))]
		}
		return byte(r.Uint32())
	}
	end := func(r *rand.Rand) ending { return []ending{goOn, hangUp, reset, silence}[r.IntN(4)] }
	var replayed atomic.Pointer[[]byte]
	kinds := map[string]func(*rand.Rand) meddling{
		"alert in clear":         func(r *rand.Rand) meddling { return instead(r.IntN(7), alertInClear(code(r)), end(r)) },
		"reset":                  func(r *rand.Rand) meddling { return instead(r.IntN(7), nil, reset) },
		"end":                    func(r *rand.Rand) meddling { return instead(r.IntN(7), nil, hangUp) },
		"silence":                func(r *rand.Rand) meddling { return instead(r.IntN(7), nil, silence) },
		"garbage":                func(r *rand.Rand) meddling { return instead(r.IntN(7), garbage(r), end(r)) },
		"denied at once":         func(r *rand.Rand) meddling { return instead(0, packetInClear(0, deniedPacket), end(r)) },
		"denied for ClientHello": func(r *rand.Rand) meddling { return instead(1, packetInClear(2, deniedPacket), end(r)) },
		"denied later": func(r *rand.Rand) meddling {
			return instead(1+r.IntN(6), packetInClear(byte(r.IntN(6)), deniedPacket), end(r))
		},
		"welcome in clear": func(r *rand.Rand) meddling { return instead(1, packetInClear(2, acceptedPacket), end(r)) },
		"cut": func(r *rand.Rand) meddling {
			at := r.IntN(7)
			return meddling{fromServer: func(unit int, data []byte) ([]byte, ending) {
				if unit == at {
					return data[:r.IntN(len(data))], hangUp
				}
				return data, goOn
			}}
		},
		"one bit": func(r *rand.Rand) meddling {
			at, bit := r.IntN(7), r.IntN(8*1024)
			return meddling{fromServer: func(unit int, data []byte) ([]byte, ending) {
				if unit == at {
					return flipped(data, bit), goOn
				}
				return data, goOn
			}}
		},
		"one bit of the greeting": func(r *rand.Rand) meddling {
			bit := 32 + r.IntN(8*90)
			return meddling{fromServer: func(unit int, data []byte) ([]byte, ending) {
				if unit == 0 {
					return flipped(data, bit), goOn
				}
				return data, goOn
			}}
		},
		"another challenge": func(*rand.Rand) meddling {
			return meddling{fromServer: func(unit int, data []byte) ([]byte, ending) {
				if unit == 0 {
					version := bytes.IndexByte(data[5:], 0)
					data = flipped(data, 8*(5+version+1+4)) // after the number of the connection
				}
				return data, goOn
			}}
		},
		"one bit of the request": func(r *rand.Rand) meddling {
			bit := 32 + r.IntN(8*32)
			return meddling{request: func(first []byte) []byte { return flipped(first, bit) }}
		},
		"greeting of another connection": func(*rand.Rand) meddling {
			return meddling{fromServer: func(unit int, data []byte) ([]byte, ending) {
				if unit == 0 && !replayed.CompareAndSwap(nil, &data) {
					return *replayed.Load(), goOn
				}
				return data, goOn
			}}
		},
		"one bit of the client": func(r *rand.Rand) meddling {
			at, bit := r.IntN(5), r.IntN(8*1024)
			return meddling{fromClient: func(record int, data []byte) []byte {
				if record == at {
					return flipped(data, bit)
				}
				return data
			}}
		},
		"a record of the client dropped": func(r *rand.Rand) meddling {
			at := r.IntN(5)
			return meddling{fromClient: func(record int, data []byte) []byte {
				if record == at {
					return nil
				}
				return data
			}}
		},
		"records swapped": func(r *rand.Rand) meddling { return swapped(r.IntN(6)) },
		"delayed": func(r *rand.Rand) meddling {
			late := time.Duration(r.IntN(5)) * time.Millisecond
			return meddling{fromServer: func(_ int, data []byte) ([]byte, ending) { time.Sleep(late); return data, goOn }}
		},
	}
	for _, alert := range telling { // N1, with each of them
		kinds[fmt.Sprintf("alert %d for ClientHello", alert)] = func(*rand.Rand) meddling { return instead(1, alertInClear(alert), hangUp) }
	}
	return kinds
}

// behaviour is a relay: pick names the kind of meddling with a connection, or none. The
// first connection is the one over which the server is asked.
type behaviour struct {
	name string
	pick func(connection int) string
}

// behaviours are every kind by itself, and mixes.
func behaviours(kinds []string, chance *rand.Rand, mixes int) []behaviour {
	var all []behaviour
	for _, kind := range kinds {
		some := func(which string, meddled func(int) bool) {
			all = append(all, behaviour{kind + ", " + which, func(connection int) string {
				if meddled(connection) {
					return kind
				}
				return ""
			}})
		}
		some("all but the first", func(connection int) bool { return connection > 0 })
		some("every second", func(connection int) bool { return connection%2 == 1 })
		if _, known := strings.CutPrefix(kind, "alert "); !known {
			some("the first", func(connection int) bool { return connection == 0 })
		}
	}
	for mix := range mixes {
		share, order := chance.Float64(), rand.New(rand.NewPCG(chance.Uint64(), 1))
		all = append(all, behaviour{fmt.Sprintf("mix %d", mix), func(connection int) string {
			if connection == 0 && order.IntN(4) > 0 || order.Float64() > share {
				return ""
			}
			return kinds[order.IntN(len(kinds))]
		}})
	}
	return all
}

// testRelays observes target directly, and through relays. One without a key makes
// findings unproven, and nothing else.
func testRelays(t *testing.T, target mariadb.Target, tried mariadb.Impostors, mixes int) {
	t.Helper()
	testKinds(t, target, tried, slices.Sorted(maps.Keys(meddlings())), mixes)
}

func testKinds(t *testing.T, target mariadb.Target, tried mariadb.Impostors, names []string, mixes int) {
	t.Helper()
	direct := mariadb.Observe(t.Context(), target, tried).Report()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("CONFIDB_SEED"); given != "" {
		seed = must[uint64](t)(strconv.ParseUint(given, 10, 64))
	}
	t.Logf("CONFIDB_SEED=%d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	kinds := meddlings()
	var seen [3]atomic.Int32 // skips, passes and failures through relays
	var running sync.WaitGroup
	slots := make(chan struct{}, 6)
	for _, b := range behaviours(names, chance, mixes) {
		chances := rand.New(rand.NewPCG(chance.Uint64(), 2))
		through := target
		through.Patience = 400 * time.Millisecond
		through.Address = relay(t, target.Address, func(connection int) meddling {
			if kind := b.pick(connection); kind != "" {
				return kinds[kind](rand.New(rand.NewPCG(chances.Uint64(), 3)))
			}
			return meddling{}
		})
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			compare(t, b.name, direct, mariadb.Observe(t.Context(), through, tried).Report(), &seen)
		})
	}
	running.Wait()
	t.Logf("%d findings skipped, %d passed, %d failed", seen[0].Load(), seen[1].Load(), seen[2].Load())
	for outcome := range seen {
		if seen[outcome].Load() == 0 && slices.ContainsFunc(direct, func(f check.Finding) bool { return index(f.Outcome) == outcome }) {
			t.Errorf("no finding ended as outcome %d through any relay: they test nothing", outcome)
		}
	}
}

// index is the place of an outcome among those that are counted.
func index(outcome check.Outcome) int {
	return slices.Index([]check.Outcome{check.Skip, check.Pass, check.Fail}, outcome)
}

// compare demands that a finding through a relay is the direct one, or a skip.
func compare(t *testing.T, name string, direct, relayed check.Report, seen *[3]atomic.Int32) {
	for i, finding := range relayed {
		if seen[index(finding.Outcome)].Add(1); finding.ID != direct[i].ID {
			t.Errorf("%s: finding %d is %s, directly %s", name, i, finding.ID, direct[i].ID)
		}
		if finding.Outcome != check.Skip && finding.Outcome != direct[i].Outcome {
			t.Errorf("%s: %s: %v through the relay (got %q, want %q, reason %q), %v directly", name, finding.ID,
				finding.Outcome, finding.Got, finding.Want, finding.Reason, direct[i].Outcome)
		}
	}
}

// TestNoBitInClearIsARefusal changes each bit of the request for TLS, and one in each
// byte of the greeting, of logins that are right: the server lets them in, or it breaks
// off, but it is never the server that denies them.
func TestNoBitInClearIsARefusal(t *testing.T) {
	t.Parallel()
	target := goodTarget()
	roots := x509.NewCertPool()
	roots.AddCert(target.CA)
	try := func(m meddling) mysql.Attempt {
		return mysql.Try(t.Context(), mysql.Login{Address: relay(t, target.Address, func(int) meddling { return m }), Account: target.Account, Password: target.Password,
			TLS: &tls.Config{RootCAs: roots, ServerName: target.ServerName, Certificates: []tls.Certificate{target.Certificate}}, Timeout: 500 * time.Millisecond})
	}
	in := 0
	check := func(name string, attempt mysql.Attempt) {
		if attempt.Denied() {
			t.Errorf("%s: %v", name, attempt.Err)
		}
		if attempt.Stage == mysql.LoggedIn {
			in++
		}
	}
	for bit := range 8 * 32 {
		check(fmt.Sprintf("bit %d of the request", bit), try(meddling{request: func(first []byte) []byte { return flipped(first, 32+bit) }}))
	}
	for octet := range 90 {
		check(fmt.Sprintf("octet %d of the greeting", octet), try(meddling{fromServer: func(unit int, data []byte) ([]byte, ending) {
			if unit == 0 {
				data = flipped(data, 32+8*octet+octet%8)
			}
			return data, goOn
		}}))
	}
	t.Logf("%d logins of 346 got in all the same", in)
	if in < 100 {
		t.Error("hardly any login gets in: the test tests nothing")
	}
}

// TestARelayBeforeACleanServer is before TestChanges, which leaves a trace in origins.
func TestARelayBeforeACleanServer(t *testing.T) {
	testRelays(t, goodTarget(), impostors(t), 12)
}

// TestARelayBeforeAWeakServer has the checks fail that a weakness of the server can fail.
func TestARelayBeforeAWeakServer(t *testing.T) {
	t.Parallel()
	foreign := must[*mariadbtest.Authority](t)(mariadbtest.NewAuthority("confidb-ca"))
	weak := weakServer(t, weakConfiguration, foreign)
	for _, statement := range append(weakAccounts(), "SET GLOBAL local_infile=ON", "CREATE TABLE app.bare (a int) ENGINE=MyISAM", "CREATE TABLE app.clear (a int)") {
		if err := weak.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	target := targetOf(weak)
	target.KeyDirectory = "/elsewhere/"
	tried := impostorsOf(t, weak, time.Now().Add(-time.Hour))
	accepted := must[tls.Certificate](t)(foreign.Client("confidb-verify"))
	tried.Foreign = &accepted
	report := mariadb.Observe(t.Context(), target, tried).Report()
	failing := []string{"tls-03", "mtls-01", "mtls-02", "mtls-03", "mtls-04", "mtls-06", "net-01", "enc-01", "enc-02", "enc-03", "enc-04", "enc-05", "enc-06",
		"log-01", "acc-01", "acc-02", "acc-03", "acc-04", "file-01", "obj-02", "obj-03", "set-01"}
	for _, finding := range report {
		switch {
		case slices.Contains(failing, finding.ID) && finding.Outcome != check.Fail:
			t.Errorf("%s: %v on the weak server (got %q, reason %q)", finding.ID, finding.Outcome, finding.Got, finding.Reason)
		case finding.Outcome != check.Fail:
			t.Logf("%s: %v on the weak server", finding.ID, finding.Outcome)
		}
	}
	testRelays(t, target, tried, 12)
}

// TestARelayBeforeOneWeakness tries servers that are weak in one thing of TLS only.
func TestARelayBeforeOneWeakness(t *testing.T) {
	t.Parallel()
	foreign := must[*mariadbtest.Authority](t)(mariadbtest.NewAuthority("confidb-ca"))
	for name, c := range map[string]struct {
		id, mention   string
		trusted       *mariadbtest.Authority
		configuration string
	}{
		"a foreign CA": {"mtls-01", "a certificate of a foreign CA", foreign, ""},
		"CBC":          {"tls-03", "weak ciphers", nil, "ssl_cipher = TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			weak := weakServer(t, c.configuration, c.trusted)
			target, tried := targetOf(weak), impostorsOf(t, weak, time.Now().Add(-time.Hour))
			accepted := must[tls.Certificate](t)(foreign.Client("confidb-verify"))
			tried.Foreign = &accepted
			report := mariadb.Observe(t.Context(), target, tried).Report()
			wantOutcome(t, report, c.id, check.Fail, c.mention)
			testKinds(t, target, tried, []string{"alert 40 for ClientHello", "alert 42 for ClientHello", "alert 70 for ClientHello", "reset"}, 0)
		})
	}
}

// noPassThroughARelay observes the server through N1: an alert in clear for every
// connection but the first.
func noPassThroughARelay(t *testing.T, id string) {
	t.Helper()
	target := goodTarget()
	target.Address = relay(t, target.Address, func(connection int) meddling {
		if connection == 0 {
			return meddling{}
		}
		return instead(1, alertInClear(42), hangUp)
	})
	if finding, _ := observe(t, target).Find(id); finding.Outcome == check.Pass {
		t.Errorf("%s passes through a relay: %s", id, finding.Reason)
	}
}

const weakConfiguration = `tls_version = TLSv1.0,TLSv1.1,TLSv1.2,TLSv1.3
ssl_cipher = TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0
require_secure_transport = OFF
innodb_encrypt_tables = OFF
innodb_encrypt_log = OFF
innodb_encryption_threads = 0
aria_encrypt_tables = OFF
encrypt_tmp_files = OFF
encrypt_binlog = OFF
log_output = FILE
unix_socket = ON
`

func weakAccounts() []string {
	return []string{
		"ALTER USER 'confidb_verify'@'%' REQUIRE NONE", "CREATE USER 'weak'@'%'", "GRANT ALL ON *.* TO 'weak'@'%' WITH GRANT OPTION",
		"CREATE USER 'host'@'%' IDENTIFIED VIA unix_socket", "CREATE DATABASE stash",
		"CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (HOST '192.0.2.1')",
	}
}

// weakServer is one with further lines in its configuration, and with clients of another
// CA that TLS lets in, or nil.
func weakServer(t *testing.T, configuration string, trusted *mariadbtest.Authority) *mariadbtest.Server {
	t.Helper()
	weak := must[*mariadbtest.Server](t)(mariadbtest.Start())
	t.Cleanup(func() { weak.Stop() })
	if trusted != nil {
		file := must[*os.File](t)(os.CreateTemp("", "trusted*.crt"))
		t.Cleanup(func() { os.Remove(file.Name()) })
		_, err := file.Write(append(weak.CA.PEM(), trusted.PEM()...))
		if err = errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
			t.Fatal(err)
		}
		configuration += "ssl_ca = " + file.Name() + "\n"
	}
	if err := weak.Restart(configuration); err != nil {
		t.Fatal(err)
	}
	return weak
}

// TestARelayBeforeAnotherServer asks for a server of another CA, and for one behind
// something that ends TLS with a certificate of the right one.
func TestARelayBeforeAnotherServer(t *testing.T) {
	t.Parallel()
	target := goodTarget()
	target.CA = must[*mariadbtest.Authority](t)(mariadbtest.NewAuthority("confidb-ca")).Certificate
	report := observe(t, target)
	wantOutcome(t, report, "tls-01", check.Fail, "")
	wantOutcome(t, report, "tls-02", check.Fail, "")
	few := []string{"alert 40 for ClientHello", "alert in clear", "one bit of the greeting", "garbage"}
	testKinds(t, target, impostors(t), few, 5)

	target = goodTarget()
	target.Address = terminator(t, false)
	wantOutcome(t, observe(t, target), "tls-05", check.Fail, "certificate until")
	testKinds(t, target, impostors(t), append(few, "greeting of another connection", "alert 42 for ClientHello", "alert 70 for ClientHello"), 5)
}

// terminator ends TLS before the server, with a certificate of its CA that expires at
// another time, and logs in there with the asker's. One that is strict refuses the
// certificates that are to be refused.
func terminator(t *testing.T, strict bool) string {
	t.Helper()
	own := must[tls.Certificate](t)(server.CA.ServerUntil("db-mariadb", time.Now().Add(50*time.Minute), mariadbtest.ServerName))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: x509.NewCertPool()}
	config.ClientCAs.AddCert(server.CA.Certificate)
	if strict {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	var carrying sync.WaitGroup
	t.Cleanup(func() { listener.Close(); carrying.Wait() })
	carrying.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			carrying.Go(func() { terminate(client, config) })
		}
	})
	return listener.Addr().String()
}

func terminate(client net.Conn, config *tls.Config) {
	defer client.Close()
	behind, err := net.Dial("tcp", server.Address)
	if err != nil {
		return
	}
	defer behind.Close()
	client.SetDeadline(time.Now().Add(10 * time.Second))
	behind.SetDeadline(time.Now().Add(10 * time.Second))
	greeting, err := readPacket(behind)
	if err != nil {
		return
	}
	client.Write(greeting)
	request, err := readPacket(client)
	if err != nil {
		return
	}
	behind.Write(request)
	inner := tls.Client(behind, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{server.Verify}})
	outer := tls.Server(client, config)
	go func() { defer behind.Close(); io.Copy(inner, outer) }()
	io.Copy(outer, inner)
}
