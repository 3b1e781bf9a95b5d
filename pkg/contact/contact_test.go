package contact_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/castest"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/contact"
)

const (
	address = "cas.scone-system.svc"
	session = "/v1/sessions/shop-db"
	held    = `{"hash":"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff","session":"name: shop-db"}`
	canary  = "CANARY-7f3a"
)

// store keeps everything in memory, and notes what was done to it.
type store struct {
	memory   attest.Memory
	pins     map[string]attest.Pin
	identity tls.Certificate
	did      []string
	broken   string // what does not work
}

func (s *store) do(what string) error {
	s.did = append(s.did, what)
	if s.broken == what {
		return fmt.Errorf("the disk does not %s", what)
	}
	return nil
}

func (s *store) Memory() (attest.Memory, error) { return s.memory, s.do("remember") }

func (s *store) Learn(learn func(attest.Memory) attest.Memory) error {
	if err := s.do("learn"); err != nil {
		return err
	}
	s.memory = learn(s.memory)
	return nil
}

func (s *store) Pin(address string) (*attest.Pin, error) {
	if err := s.do("read"); err != nil {
		return nil, err
	}
	if p, ok := s.pins[address]; ok {
		return &p, nil
	}
	return nil, fmt.Errorf("reading the pin: %w", fs.ErrNotExist)
}

func (s *store) SavePin(p *attest.Pin) error {
	if err := s.do("pin"); err != nil {
		return err
	}
	s.pins[p.Address] = *p
	return nil
}

func (s *store) Identity(time.Time) (tls.Certificate, error) { return s.identity, s.do("identify") }

// scene is a user at a desk, and a CAS.
type scene struct {
	*castest.CAS
	store *store
	now   time.Time
	trust attest.Trust
	key   string // the user's private key, as it must never be shown
}

func newScene(t *testing.T) *scene {
	t.Helper()
	now := time.Now()
	s := &scene{CAS: castest.New(t, now), now: now, store: &store{pins: map[string]attest.Pin{}}}
	s.trust, s.Answers[session] = s.CAS.Trust, held
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s.store.identity, s.key = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, new(big.Int).SetBytes(raw).String() // as JSON would have it
	return s
}

func (s *scene) desk() contact.Desk {
	return contact.Desk{Store: s.store, Now: func() time.Time { return s.now }, Dial: s.Dial}
}

// wantUntouched fails if anything but evidence was asked for, or anything was kept.
func (s *scene) wantUntouched(t *testing.T) {
	t.Helper()
	if asked := s.Asked(); len(asked) > 0 {
		t.Errorf("it was asked for %q", asked)
	}
	if len(s.store.pins) > 0 {
		t.Error("its evidence was kept")
	}
	if slices.Contains(s.store.did, "learn") {
		t.Error("it was learnt from")
	}
	if n := s.Open(); n != 0 {
		t.Errorf("%d ways to it are still open", n)
	}
}

// ways are the back-ends, each with what it needs to accept the CAS of a scene.
func ways(t *testing.T, s *scene) map[attest.Backend]contact.Evidence {
	t.Helper()
	saved := [16]byte{1, 2, 3}
	report, err := s.Report(saved)
	if err != nil {
		t.Fatal(err)
	}
	return map[attest.Backend]contact.Evidence{
		"":                     {},
		attest.BackendReport:   {Backend: attest.BackendReport},
		attest.BackendFile:     {Backend: attest.BackendFile, Report: report, Nonce: saved},
		attest.BackendResource: {Backend: attest.BackendResource, Resource: func(_ context.Context, _ string, nonce [16]byte) ([]byte, error) { return s.Report(nonce) }},
		attest.BackendRATLS:    {Backend: attest.BackendRATLS},
		attest.BackendCLI:      {Backend: attest.BackendCLI, Program: program(t, s.Chain, "exit 0")},
		attest.BackendPinned:   {Backend: attest.BackendPinned, Report: s.Chain},
	}
}

// program stands in for SCONE's: attesting ends as attested says, and shows a chain.
func program(t *testing.T, chain []byte, attested string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "scone")
	script := fmt.Sprintf("#!/bin/sh\ntest -n \"$SCONE_CLI_CONFIG\" || exit 9\nif [ \"$2\" = attest ]; then\n%s\nfi\ncat <<'END'\n%sEND\n", attested, chain)
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEachBackendAccepts(t *testing.T) {
	for _, backend := range append(attest.Backends(), "") {
		t.Run(string("by "+backend), func(t *testing.T) {
			s := newScene(t)
			a, err := s.desk().AttestBy(t.Context(), address, s.trust, ways(t, s)[backend])
			if err != nil {
				t.Fatal(err)
			}
			want := map[attest.Backend]check.Verdict{attest.BackendRATLS: check.Warning, attest.BackendCLI: check.Warning, attest.BackendPinned: check.None}[backend]
			if want == "" {
				want = check.Affirming
			}
			if got := a.Findings.Verdict(); got != want {
				t.Errorf("got %s, want %s: %+v", got, want, a.Findings)
			}
			if f, _ := a.Findings.Find("cas-tls-peer"); f.Outcome != check.Pass {
				t.Errorf("the TLS peer: got %+v", f)
			}
			if _, judged := a.Findings.Find("clock"); !judged {
				t.Error("it was not compared with earlier runs")
			}
			if learnt := slices.Contains(s.store.did, "learn"); learnt != want.Accepted() {
				t.Errorf("learnt from it: %v", learnt)
			}
			if a.Pin.Address != address || !a.Pin.FetchedAt.Equal(s.now) {
				t.Errorf("the pin is of %s at %s", a.Pin.Address, a.Pin.FetchedAt)
			}
			if n := s.Open(); n != 0 {
				t.Errorf("%d ways to it are still open", n)
			}
		})
	}
}

// TestEachBackendRefuses has another CAS answer than the one that the policy and the
// evidence are of.
func TestEachBackendRefuses(t *testing.T) {
	for _, backend := range append(attest.Backends(), "") {
		t.Run(string("by "+backend), func(t *testing.T) {
			s, other := newScene(t), newScene(t)
			evidence := ways(t, s)[backend]
			desk := s.desk()
			desk.Dial = other.Dial
			a, err := desk.AttestBy(t.Context(), address, s.trust, evidence)
			if err != nil {
				t.Fatal(err)
			}
			if v := a.Findings.Verdict(); v != check.Contraindicated {
				t.Errorf("got %s: %+v", v, a.Findings)
			}
			var refused *contact.CASError
			if err := desk.Keep(a); !errors.As(err, &refused) {
				t.Errorf("its evidence can be kept: %v", err)
			}
			s.wantUntouched(t)
			other.wantUntouched(t)
		})
	}
}

func TestASavedReportAlone(t *testing.T) {
	s := newScene(t)
	evidence := ways(t, s)[attest.BackendFile]
	evidence.Alone = true
	a, err := s.desk().AttestBy(t.Context(), address, s.trust, evidence)
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := a.Findings.Find("cas-tls-peer"); f.Outcome != check.Warn || f.Reason == "" {
		t.Errorf("no CAS was asked: got %+v", f)
	}
	if s.Dials() != 0 {
		t.Error("the CAS was asked")
	}
	evidence.Nonce[0]++
	if a, err = s.desk().AttestBy(t.Context(), address, s.trust, evidence); err != nil {
		t.Fatal(err)
	}
	if f, _ := a.Findings.Find("cas-nonce"); f.Outcome != check.Fail {
		t.Errorf("another nonce: got %+v", f)
	}
}

// broken are ways in which a CAS is not accepted, or cannot be asked at all.
func broken() map[string]func(*testing.T, *scene) {
	return map[string]func(*testing.T, *scene){
		"another enclave": func(_ *testing.T, s *scene) { s.trust.CAS.ReferenceValues.MRENCLAVEs = nil },
		"an edited report": func(_ *testing.T, s *scene) {
			s.Rewrite = func(r []byte) []byte { return bytes.Replace(r, []byte("V1"), []byte("V9"), 1) }
		},
		"a page":                func(_ *testing.T, s *scene) { s.Rewrite = func([]byte) []byte { return []byte("<html>" + canary) } },
		"expired collateral":    func(_ *testing.T, s *scene) { s.now = s.now.AddDate(0, 2, 0) },
		"a clock that was back": func(_ *testing.T, s *scene) { s.store.memory.Latest = s.now.Add(time.Hour) },
		"newer collateral known": func(t *testing.T, s *scene) {
			t.Helper()
			a, err := s.desk().Attest(t.Context(), address, s.trust)
			if err != nil {
				t.Fatal(err)
			}
			learnt := attest.Memory{}.Learn(a.Result, s.trust.RootCA, s.now)
			for key := range learnt.Evaluations {
				learnt.Evaluations[key]++
			}
			s.store.memory, s.store.did = learnt, nil
		},
	}
}

func TestConnectRefuses(t *testing.T) {
	for name, breakIt := range broken() {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			breakIt(t, s)
			c, err := s.desk().Connect(t.Context(), address, s.trust)
			var refused *contact.CASError
			if c != nil || !errors.As(err, &refused) {
				t.Fatalf("got %v, %v, want a CASError", c, err)
			}
			want := check.Contraindicated
			if name == "a clock that was back" { // by which nothing can be judged
				want = check.None
			}
			if v := refused.Verdict(); v != want {
				t.Errorf("got the verdict %s, want %s", v, want)
			}
			if refused.Hint() == "" {
				t.Errorf("no hint: %+v", refused.Findings)
			}
			s.wantUntouched(t)
		})
	}
}

func TestConnect(t *testing.T) {
	s := newScene(t)
	c, err := s.desk().Connect(t.Context(), address, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"remember", "learn", "identify", "pin"}, s.store.did); diff != "" {
		t.Errorf("what was done (-want +got):\n%s", diff)
	}
	if _, err := c.Session(t.Context(), "shop-db"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(c.Appraisal.Pin, s.store.pins[address]); diff != "" {
		t.Errorf("-appraised +kept:\n%s", diff)
	}
	if n := s.Open(); n != 1 {
		t.Errorf("%d ways are open, want that of the connection", n)
	}
	c.Close()
	if n := s.Open(); n != 0 {
		t.Errorf("%d ways are open after closing", n)
	}
}

// A nonce that repeats would let old evidence pass.
func TestEachMeetingHasItsOwnNonce(t *testing.T) {
	s := newScene(t)
	first, err := s.desk().Attest(t.Context(), address, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.desk().Attest(t.Context(), address, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	if first.Pin.Nonce == second.Pin.Nonce {
		t.Errorf("both have %x", first.Pin.Nonce)
	}
	desk := s.desk()
	desk.Rand = strings.NewReader("0123456789abcdef")
	chosen, err := desk.Attest(t.Context(), address, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	if string(chosen.Pin.Nonce[:]) != "0123456789abcdef" {
		t.Errorf("got the nonce %x, want that of Rand", chosen.Pin.Nonce)
	}
}

func TestReconnect(t *testing.T) {
	s := newScene(t)
	var unknown *contact.UnknownCASError
	if _, err := s.desk().Reconnect(t.Context(), address); !errors.As(err, &unknown) || !strings.Contains(unknown.Hint(), address) {
		t.Fatalf("got %v, want an UnknownCASError", err)
	}
	c, err := s.desk().Connect(t.Context(), address, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if c, err = s.desk().Reconnect(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Session(t.Context(), "shop-db"); err != nil {
		t.Error(err)
	}
}

func TestReconnectRefuses(t *testing.T) {
	for name, change := range map[string]func(*scene, *attest.Pin){
		"an edited report":          func(_ *scene, p *attest.Pin) { p.Report = bytes.Replace(p.Report, []byte("V1"), []byte("V9"), 1) },
		"another nonce":             func(_ *scene, p *attest.Pin) { p.Nonce[0]++ },
		"another policy":            func(_ *scene, p *attest.Pin) { p.Trust.CAS.ReferenceValues.MRENCLAVEs = nil },
		"collateral that is over":   func(s *scene, _ *attest.Pin) { s.now = s.now.AddDate(0, 2, 0) },
		"a clock that was set back": func(s *scene, _ *attest.Pin) { s.store.memory.Latest = s.now.Add(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			a, err := s.desk().Attest(t.Context(), address, s.trust)
			if err != nil {
				t.Fatal(err)
			}
			dials := s.Dials()
			s.store.did = nil
			pin := a.Pin
			change(s, &pin)
			s.store.pins[address] = pin
			c, err := s.desk().Reconnect(t.Context(), address)
			var refused *contact.CASError
			if c != nil || !errors.As(err, &refused) {
				t.Fatalf("got %v, %v, want a CASError", c, err)
			}
			if s.Dials() != dials {
				t.Error("the CAS was reached all the same")
			}
			if slices.Contains(s.store.did, "learn") {
				t.Error("it was learnt from")
			}
		})
	}
}

// TestReconnectToAnotherCAS: the evidence is still good, and somebody else is there.
func TestReconnectToAnotherCAS(t *testing.T) {
	s, other := newScene(t), newScene(t)
	c, err := s.desk().Connect(t.Context(), address, s.trust)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	desk := s.desk()
	desk.Dial = other.Dial
	if c, err = desk.Reconnect(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Session(t.Context(), "shop-db"); err == nil {
		t.Error("another CAS answered")
	}
	if asked := other.Asked(); len(asked) > 0 {
		t.Errorf("another CAS was asked for %q", asked)
	}
}

func TestMemoryIsJudgedBeforeItLearns(t *testing.T) {
	s := newScene(t)
	if _, err := s.desk().Attest(t.Context(), address, s.trust); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"remember", "learn"}, s.store.did); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !s.store.memory.Latest.Equal(s.now) || len(s.store.memory.Evaluations) == 0 {
		t.Errorf("learnt %+v", s.store.memory)
	}
}

// everything calls each method with what would be accepted.
func everything(t *testing.T, s *scene) map[string]func(context.Context) error {
	all := map[string]func(context.Context) error{
		"Attest":    func(ctx context.Context) error { _, err := s.desk().Attest(ctx, address, s.trust); return err },
		"Connect":   func(ctx context.Context) error { _, err := s.desk().Connect(ctx, address, s.trust); return err },
		"Reconnect": func(ctx context.Context) error { _, err := s.desk().Reconnect(ctx, address); return err },
	}
	for backend, evidence := range ways(t, s) {
		all["AttestBy "+string(backend)] = func(ctx context.Context) error {
			_, err := s.desk().AttestBy(ctx, address, s.trust, evidence)
			return err
		}
	}
	return all
}

func TestAnExpiredContext(t *testing.T) {
	s := newScene(t)
	for name, call := range everything(t, s) {
		if name == "Reconnect" {
			continue // relies on what was kept and asks nobody yet
		}
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v", name, err)
		}
		cancel()
	}
	s.wantUntouched(t)
}

// TestADiskThatDoesNotWork: what cannot be compared or kept is an error, and shows no secret.
func TestADiskThatDoesNotWork(t *testing.T) {
	t.Setenv("CONFIDB_CANARY", canary)
	for _, what := range []string{"remember", "learn", "pin", "identify", "read"} {
		s := newScene(t)
		if what != "read" {
			a, err := s.desk().Attest(t.Context(), address, s.trust)
			if err != nil {
				t.Fatal(err)
			}
			s.store.pins[address] = a.Pin
		}
		failed := 0
		s.store.broken = what
		for name, call := range everything(t, s) {
			err := call(t.Context())
			if err == nil {
				continue
			}
			failed++
			for _, secret := range []string{canary, s.key} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%s shows a secret: %v", name, err)
				}
			}
		}
		if failed == 0 {
			t.Errorf("when the disk does not %s everything works", what)
		}
	}
}

// TestWhatCannotBeAsked are errors, and not findings.
func TestWhatCannotBeAsked(t *testing.T) {
	unreachable := errors.New("no route")
	for name, c := range map[string]struct {
		change   func(*scene, *contact.Desk)
		evidence func(*testing.T, *scene) contact.Evidence
		want     string
	}{
		"an unknown back-end":          {evidence: func(*testing.T, *scene) contact.Evidence { return contact.Evidence{Backend: "magic"} }, want: `got "magic"`},
		"nobody to ask for a resource": {evidence: func(*testing.T, *scene) contact.Evidence { return contact.Evidence{Backend: attest.BackendResource} }, want: "no cluster"},
		"a resource that does not answer": {evidence: func(*testing.T, *scene) contact.Evidence {
			return contact.Evidence{Backend: attest.BackendResource, Resource: func(context.Context, string, [16]byte) ([]byte, error) { return nil, unreachable }}
		}, want: "no route"},
		"no way to the CAS": {change: func(_ *scene, d *contact.Desk) {
			d.Dial = func(context.Context, string) (cas.Dialer, func(), error) { return nil, nil, unreachable }
		}, want: "no route"},
		"no randomness":     {change: func(_ *scene, d *contact.Desk) { d.Rand = iotest.ErrReader(io.ErrClosedPipe) }, want: "making a nonce"},
		"little randomness": {change: func(_ *scene, d *contact.Desk) { d.Rand = strings.NewReader("15 bytes only..") }, want: "making a nonce"},
		"certificates that are none": {evidence: func(*testing.T, *scene) contact.Evidence {
			return contact.Evidence{Backend: attest.BackendPinned, Report: []byte("none")}
		}, want: "no PEM certificate"},
		"a root that is none": {change: func(s *scene, _ *contact.Desk) { s.trust.RootCA = []byte("none") }, want: "appraising the evidence of CAS"},
		"a program that refuses": {evidence: func(t *testing.T, s *scene) contact.Evidence {
			return contact.Evidence{Backend: attest.BackendCLI, Program: program(t, s.Chain, "echo not this one >&2; exit 1")}
		}, want: "it says: not this one"},
		"a program that shows nothing": {evidence: func(t *testing.T, _ *scene) contact.Evidence {
			return contact.Evidence{Backend: attest.BackendCLI, Program: program(t, nil, "exit 0")}
		}, want: "no PEM certificate"},
		"no program": {evidence: func(t *testing.T, _ *scene) contact.Evidence {
			return contact.Evidence{Backend: attest.BackendCLI, Program: filepath.Join(t.TempDir(), "none")}
		}, want: "running"},
		"no reference value for a program": {
			change:   func(s *scene, _ *contact.Desk) { s.trust.CAS.ReferenceValues = attest.ReferenceValues{} },
			evidence: func(t *testing.T, s *scene) contact.Evidence { return ways(t, s)[attest.BackendCLI] },
			want:     "no measurement or signer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("CONFIDB_CANARY", canary)
			s := newScene(t)
			desk, evidence := s.desk(), contact.Evidence{}
			if c.change != nil {
				c.change(s, &desk)
			}
			if c.evidence != nil {
				evidence = c.evidence(t, s)
			}
			a, err := desk.AttestBy(t.Context(), address, s.trust, evidence)
			if a != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %+v, %v, want an error with %q", a, err, c.want)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("it shows a secret: %v", err)
			}
			s.wantUntouched(t)
		})
	}
}

func TestCASErrorSaysWhatIsInTheWay(t *testing.T) {
	pass := check.Finding{ID: "a", Outcome: check.Pass}
	skip := check.Finding{ID: "b", Outcome: check.Skip, Reason: "nobody said", Hint: "Ask."}
	fail := check.Finding{ID: "c", Outcome: check.Fail, Got: "1", Want: "2", Reason: "they differ", Hint: "Look."}
	for name, c := range map[string]struct {
		findings   check.Report
		text, hint string
		verdict    check.Verdict
	}{
		"a failure": {check.Report{pass, skip, fail}, "CAS x is not proven: c: got 1, want 2: they differ", "Look.", check.Contraindicated},
		"a skip":    {check.Report{pass, skip}, "CAS x is not proven: b: nobody said", "Ask.", check.None},
		"nothing":   {nil, "CAS x is not proven: nothing was asked", "", check.None},
	} {
		e := &contact.CASError{Address: "x", Findings: c.findings}
		if e.Error() != c.text {
			t.Errorf("%s: got %q, want %q", name, e.Error(), c.text)
		}
		if e.Hint() != c.hint {
			t.Errorf("%s: got the hint %q, want %q", name, e.Hint(), c.hint)
		}
		if e.Verdict() != c.verdict {
			t.Errorf("%s: got %s, want %s", name, e.Verdict(), c.verdict)
		}
	}
}
