package keeper

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// three are a primary and its replicas.
func three() View {
	v := View{Members: 3, Monitor: Monitor{Primary: true, Idle: true}}
	for i, name := range []string{"mariadb-0", "mariadb-1", "mariadb-2"} {
		v.Servers = append(v.Servers, Server{Ordinal: i, Name: name, ReadOnly: i > 0, SemiSync: i == 0, Head: GTID{1, uint64(5000 + i)},
			Replica: i > 0, Receiving: i > 0, Connected: i > 0, Applying: i > 0, Idle: i > 0, Acknowledges: i > 0})
	}
	return v
}

func TestTarget(t *testing.T) {
	for name, c := range map[string]struct {
		change func(v *View)
		asked  request
		to     string
		why    string
	}{
		"any":                         {nil, request{}, "mariadb-2", ""},
		"this one":                    {nil, request{To: "mariadb-1"}, "mariadb-1", ""},
		"the primary":                 {nil, request{To: "mariadb-0"}, "mariadb-0", ""},
		"the primary leaves":          {nil, request{From: "mariadb-0"}, "mariadb-2", ""},
		"a replica leaves":            {nil, request{From: "mariadb-1"}, "mariadb-0", ""},
		"to and from the same":        {nil, request{To: "mariadb-0", From: "mariadb-0"}, "", "same member"},
		"nobody has this name":        {nil, request{To: "mariadb-7"}, "", "no member"},
		"two are written to":          {func(v *View) { v.Servers[1].ReadOnly = false }, request{}, "", "more than one"},
		"none is written to":          {func(v *View) { v.Servers[0].ReadOnly = true }, request{}, "", "no member is written to"},
		"it is down":                  {func(v *View) { v.Servers[1] = Server{Name: "mariadb-1", Err: errors.New("down")} }, request{To: "mariadb-1"}, "", "does not answer: down"},
		"it is down, and any is well": {func(v *View) { v.Servers[2] = Server{Name: "mariadb-2", Err: errors.New("down")} }, request{}, "mariadb-1", ""},
		"it does not replicate":       {func(v *View) { v.Servers[1].Connected = false }, request{To: "mariadb-1"}, "", "does not replicate"},
		"it does not apply":           {func(v *View) { v.Servers[1].Applying = false }, request{To: "mariadb-1"}, "", "does not replicate"},
		"it does not acknowledge":     {func(v *View) { v.Servers[1].Acknowledges = false }, request{To: "mariadb-1"}, "", "does not acknowledge"},
		"it would wait":               {func(v *View) { v.Servers[1].SemiSync = true }, request{To: "mariadb-1"}, "", "does not acknowledge"},
		"it lags":                     {func(v *View) { v.Servers[1].Head.Number = 5000 - maxLag - 1 }, request{To: "mariadb-1"}, "", "at 0-1-3999"},
		"nobody is well":              {func(v *View) { v.Servers[1].Applying, v.Servers[2].Replica = false, false }, request{From: "mariadb-0"}, "", "no member can"},
	} {
		v := three()
		if c.change != nil {
			c.change(&v)
		}
		_, to, why := target(v, c.asked)
		if to != c.to || c.why == "" != (why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s: got %q (%s), want %q (%s)", name, to, why, c.to, c.why)
		}
	}
}

// scripted answers requests as it is told to.
func scripted(t *testing.T, p pki, name string, said answer) keeperAt {
	t.Helper()
	listener, err := net.Listen("tcp", hold(t).Address())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		serve(ctx, listener, listening(p.server(t, name), p.roots, peerName, operateName), answerTime, func(_ context.Context, conn net.Conn) error {
			var asked request
			if err := receive(conn, &asked); err != nil || asked.Kind != requestKind && (asked.Kind != outcastKind || asked.From == "") {
				return errors.New("no request")
			}
			return send(conn, said)
		})
		close(ended)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return keeperAt{listener.Addr().String(), asking(p.client(t, operateName), p.roots, name)}
}

// TestWhoActs is found among the keepers.
func TestWhoActs(t *testing.T) {
	p := newPKI(t)
	gone := keeperAt{hold(t).Address(), asking(p.client(t, operateName), p.roots, "k0")}
	other := scripted(t, p, "k1", answer{Kind: answerKind, Result: notMe})
	stranger := scripted(t, p, "k2", answer{Kind: "confidb.gate/v1", Result: done, Primary: "mariadb-9"})
	misnamed := scripted(t, p, "k3", answer{Kind: answerKind, Result: done, Primary: "mariadb-9"})
	misnamed.secure = asking(p.client(t, operateName), p.roots, "k4")
	notLetIn := scripted(t, p, "k5", answer{Kind: answerKind, Result: done, Primary: "mariadb-9"})
	notLetIn.secure = asking(p.client(t, "confidb-app"), p.roots, "k5")
	for outcome, keeper := range map[outcome]keeperAt{
		done: scripted(t, p, "k6", answer{Kind: answerKind, Result: done, Primary: "mariadb-1"}), refused: scripted(t, p, "k7", answer{Kind: answerKind, Result: refused}),
		failed: scripted(t, p, "k8", answer{Kind: answerKind, Result: failed}),
	} {
		r := requester{[]keeperAt{gone, other, stranger, misnamed, notLetIn, keeper}, brief}
		if said, err := r.ask(t.Context(), request{}); err != nil || said.Result != outcome || said.Primary == "mariadb-9" {
			t.Errorf("got %+v %v, want %s", said, err, outcome)
		}
	}
	rounds := 0
	r := requester{[]keeperAt{gone, other, stranger, misnamed, notLetIn}, func(context.Context, time.Duration) error {
		if rounds++; rounds < 3 {
			return nil
		}
		return context.DeadlineExceeded
	}}
	if said, err := r.ask(t.Context(), request{}); err == nil || rounds != 3 {
		t.Errorf("nobody acts: got %+v after %d rounds, want an error", said, rounds)
	}
}

// TestLeaveAndOperate: only what is done is a success.
func TestLeaveAndOperate(t *testing.T) {
	p := newPKI(t)
	run := func(name string, self, to string, said outcome) (string, error) {
		files := p.injectedFiles(t, map[string]tls.Certificate{"peer": p.client(t, peerName), "operate": p.client(t, operateName)},
			map[string]string{"cluster.json": strings.Replace(clusterText, "mariadb-1", self, 1)})
		var stdout strings.Builder
		program := &program{files: injected{files: files}, getenv: func(string) string { return to }, wait: brief, stdout: &stdout, stderr: new(strings.Builder)}
		program.reach = func(cluster Cluster, own tls.Certificate) []keeperAt {
			return []keeperAt{scripted(t, p, "k", answer{Kind: answerKind, Result: said, Primary: "mariadb-2", Why: "so it is"})}
		}
		err := programs()[name](program, t.Context())
		return stdout.String(), err
	}
	for _, c := range []struct {
		name, self, to string
		said           outcome
		well           bool
	}{
		{"leave", "mariadb-1", "", done, true}, {"leave", "mariadb-1", "", failed, false}, {"leave", "mariadb-1", "", refused, false}, {"leave", "mariadb-9", "", done, false},
		{"operate", "", "", done, true}, {"operate", "", "mariadb-2", done, true}, {"operate", "", "db-mariadb-2", done, true},
		{"operate", "", "mariadb-9", done, false}, {"operate", "", "mariadb-2", refused, false},
	} {
		out, err := run(c.name, c.self, c.to, c.said)
		if (err == nil) != c.well || c.well && out != "mariadb-2\n" {
			t.Errorf("%+v: got %q %v", c, out, err)
		}
	}
}

// TestPrepare: MaxScale finds who may administer it, or does not start.
func TestPrepare(t *testing.T) {
	p := newPKI(t)
	folder := t.TempDir()
	prepare := func(texts map[string]string, arguments ...string) error {
		program := &program{files: injected{files: p.injectedFiles(t, nil, texts)}, arguments: arguments, stderr: new(strings.Builder)}
		return program.prepare(t.Context())
	}
	whole := map[string]string{"rest.password": "mariadb", "admin.crt": "a certificate"}
	for range 2 { // it may be run again
		if err := prepare(whole, folder); err != nil {
			t.Fatal(err)
		}
	}
	users, err := os.ReadFile(filepath.Join(folder, "data", "passwd"))
	const hash = "$6$MXS$RjtL0yWoXRIzkDGR6iwIAUHrQTWvqMizWYaGZKetqP2VDmWLgpgaT5YueeBoMKkoTMisvIy3sGEUMFa16UYDc."
	if err != nil || string(users) != `[{"name":"confidb","account":"admin","password":"`+hash+"\"}]\n" {
		t.Errorf("got %s %v", users, err)
	}
	if made, err := os.ReadFile(filepath.Join(folder, "made.crt")); err != nil || string(made) != "a certificate" {
		t.Errorf("got %s %v", made, err)
	}
	for _, name := range []string{"data", "cache", "persist", "pid", "log"} {
		if at, err := os.Stat(filepath.Join(folder, name)); err != nil || !at.IsDir() {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.RemoveAll(filepath.Join(folder, "data")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "data"), nil, 0o600); err != nil { // it cannot be written to
		t.Fatal(err)
	}
	if err := prepare(whole, folder); err == nil {
		t.Error("a folder that is a file: got no error")
	}
	if _, err := os.Stat(filepath.Join(folder, "made.crt")); err == nil {
		t.Error("the certificate of an earlier time is there, and who may administer is not written")
	}
	for name, err := range map[string]error{"no folder": prepare(whole), "no password": prepare(map[string]string{"admin.crt": "x"}, t.TempDir()), "no certificate": prepare(map[string]string{"rest.password": "x"}, t.TempDir())} {
		if err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
