package fleet

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// factory makes machines, their quotes and collateral.
type factory struct {
	*sgxmint.Authority
	t *testing.T
}

func newFactory(t *testing.T) factory {
	t.Helper()
	a, err := sgxmint.NewAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	return factory{a, t}
}

func (f factory) platform() *sgxmint.Platform {
	f.t.Helper()
	p, err := sgxmint.NewPlatform(f.Authority, now)
	if err != nil {
		f.t.Fatal(err)
	}
	return p
}

// quote is one of an enclave that differs in its measurement.
func (f factory) quote(p *sgxmint.Platform, enclave byte) []byte {
	f.t.Helper()
	text, err := p.Quote(sgx.ReportBody{MRENCLAVE: sgx.Measurement{enclave}, Attributes: [16]byte{5}})
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

func (f factory) machine(node string) Machine {
	return Machine{Node: node, Quote: f.quote(f.platform(), 1), Origin: node + ".bin"}
}

func (f factory) collateral() *sgx.Collateral {
	f.t.Helper()
	files, err := f.CollateralFiles(now)
	if err != nil {
		f.t.Fatal(err)
	}
	set, err := sgx.CollateralFromFiles(files)
	if err != nil {
		f.t.Fatal(err)
	}
	return set[0]
}

func (f factory) options() sgx.Options {
	f.t.Helper()
	roots, err := sgx.RootFromPEM(f.RootPEM())
	if err != nil {
		f.t.Fatal(err)
	}
	return sgx.Options{Time: now, Roots: roots}
}

func (f factory) appraiser(p attest.Policy) *Appraiser {
	return NewAppraiser(sgx.CollateralSet{f.collateral()}, f.options(), p)
}

func (f factory) nodes(p attest.Policy, machines ...Machine) []Node {
	f.t.Helper()
	nodes, err := f.appraiser(p).Nodes(f.t.Context(), machines)
	if err != nil {
		f.t.Fatal(err)
	}
	return nodes
}

func (f factory) report(p attest.Policy, machines ...Machine) *Report {
	f.t.Helper()
	r, err := f.appraiser(p).Report(f.t.Context(), machines)
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// state is what is said of a node in three words.
func state(n Node) string { return fmt.Sprintf("%s, %s, %s", n.Status, n.Reason, n.Outcome) }

func TestStatusOfOneMachine(t *testing.T) {
	accepted := attest.Policy{AcceptTCB: []sgx.TCBStatus{sgx.OutOfDate}, AcceptAdvisories: []string{"INTEL-SA-00615"}}
	for title, c := range map[string]struct {
		status     sgx.TCBStatus
		advisories []string
		policy     attest.Policy
		want       string
	}{
		"up to date":        {sgx.UpToDate, nil, attest.Policy{}, "UpToDate, , pass"},
		"out of date":       {sgx.OutOfDate, nil, attest.Policy{}, "OutOfDate, , fail"},
		"accepted":          {sgx.OutOfDate, []string{"INTEL-SA-00615"}, accepted, "OutOfDate, , warn"},
		"another advisory":  {sgx.OutOfDate, []string{"INTEL-SA-00614"}, accepted, "OutOfDate, , fail"},
		"revoked":           {sgx.Revoked, nil, attest.Policy{AcceptTCB: []sgx.TCBStatus{sgx.Revoked}}, "Revoked, , fail"},
		"only an advisory":  {sgx.UpToDate, []string{"INTEL-SA-00615"}, attest.Policy{}, "UpToDate, , fail"},
		"a debug enclave":   {sgx.UpToDate, nil, attest.Policy{AllowDebugEnclave: true}, "UpToDate, , pass"},
		"another deviation": {sgx.SWHardeningNeeded, nil, accepted, "SWHardeningNeeded, , fail"},
	} {
		t.Run(title, func(t *testing.T) {
			f := newFactory(t)
			f.Status, f.Advisories = c.status, c.advisories
			n := f.nodes(c.policy, f.machine("n"))[0]
			if got := state(n); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if n.Claims == nil || n.Claims.Enclave != nil {
				t.Errorf("got the claims %+v", n.Claims)
			}
			for _, finding := range n.Findings {
				if strings.HasPrefix(finding.ID, "enclave-") {
					t.Errorf("the enclave was judged: %+v", finding)
				}
			}
		})
	}
}

// tdxQuote begins as quotes of TDX do: version 4, ECDSA, type 0x81.
func tdxQuote() []byte { return append([]byte{4, 0, 2, 0, 0x81}, make([]byte, 1000)...) }

// Whatever is no genuine quote is unknown, and never a pass. It is forged only if it can
// be read.
func TestWhatIsNotGenuine(t *testing.T) {
	f, stranger := newFactory(t), newFactory(t)
	good := f.machine("n")
	changed := func(at int) Machine {
		m := Machine{Node: "n", Quote: slices.Clone(good.Quote), Origin: "n.bin"}
		m.Quote[at] ^= 1
		return m
	}
	for title, c := range map[string]struct {
		machine    Machine
		want, code string
	}{
		"no evidence":    {Machine{Node: "n"}, "unknown, no evidence, skip", "unknown"},
		"an empty file":  {Machine{Node: "n", Origin: "n.bin"}, "unknown, the evidence is no SGX quote, skip", "quote-unreadable"},
		"text":           {Machine{Node: "n", Quote: []byte("hello"), Origin: "n.bin"}, "unknown, the evidence is no SGX quote, skip", "quote-unreadable"},
		"a changed body": {changed(200), "unknown, the evidence is not genuine, fail", "quote-signature-invalid"},
		"another root":   {stranger.machine("n"), "unknown, the evidence is not genuine, fail", "root-untrusted"},
		"a TDX quote":    {Machine{Node: "n", Quote: tdxQuote(), Origin: "n.bin"}, "unknown, the evidence is no SGX quote, skip", "quote-unsupported"},
		"half a quote":   {Machine{Node: "n", Quote: good.Quote[:600], Origin: "n.bin"}, "unknown, the evidence is no SGX quote, skip", "quote-unreadable"},
	} {
		t.Run(title, func(t *testing.T) {
			n := f.nodes(attest.Policy{}, c.machine)[0]
			if got := state(n); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if n.Claims != nil {
				t.Errorf("it claims %+v", n.Claims)
			}
			if len(n.Findings) != 1 || n.Findings[0].ID != "quote" {
				t.Fatalf("got %+v", n.Findings)
			}
			if got := string(codeOf(n.Findings[0])); got != c.code {
				t.Errorf("got the code %s, want %s", got, c.code)
			}
			if n.Findings[0].Hint == "" {
				t.Error("no hint")
			}
		})
	}
}

func TestWithoutCollateral(t *testing.T) {
	f := newFactory(t)
	a := NewAppraiser(nil, f.options(), attest.Policy{})
	nodes, err := a.Nodes(t.Context(), []Machine{f.machine("n")})
	if err != nil {
		t.Fatal(err)
	}
	if got := state(nodes[0]); got != "unknown, the collateral does not say it, skip" {
		t.Errorf("got %s", got)
	}
	if !a.Simulated() {
		t.Error("another root than Intel's is not simulated")
	}
	if (NewAppraiser(nil, sgx.Options{Roots: sgx.IntelRoot()}, attest.Policy{})).Simulated() {
		t.Error("Intel's root is simulated")
	}
}

func TestForgedCollateral(t *testing.T) {
	f := newFactory(t)
	c := f.collateral()
	c.TCBInfo = []byte(`{"tcbInfo":{},"signature":"00"}`)
	nodes, err := NewAppraiser(sgx.CollateralSet{c}, f.options(), attest.Policy{}).Nodes(t.Context(), []Machine{f.machine("n"), f.machine("m")})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if got := state(n); got != "unknown, the evidence is not genuine, fail" {
			t.Errorf("%s: got %s", n.Node, got)
		}
	}
}

// Personal data of the machine's owner is in no node, and different for each machine.
func TestIdentitiesAreHashed(t *testing.T) {
	f := newFactory(t)
	p := f.platform()
	nodes := f.nodes(attest.Policy{}, Machine{Node: "a", Quote: f.quote(p, 1), Origin: "a"}, f.machine("b"))
	ids := nodes[0].Claims.Platform
	if strings.Contains(fmt.Sprintf("%+v", *ids), "PPID:"+hex.EncodeToString(p.QEID[:])) {
		t.Errorf("got %+v", ids)
	}
	for _, id := range []string{ids.PPID, ids.PlatformInstanceID} {
		if id != "" && (!strings.HasPrefix(id, "sha256:") || len(id) != 71) {
			t.Errorf("got %q, want a hash", id)
		}
	}
	if ids.PPID == nodes[1].Claims.Platform.PPID {
		t.Error("two machines have one hash")
	}
	if got := hashed(nil); got != "" {
		t.Errorf("the hash of nothing is %q", got)
	}
}

func TestClones(t *testing.T) {
	f := newFactory(t)
	p, q := f.platform(), f.platform()
	at := func(node string, p *sgxmint.Platform, enclave byte) Machine {
		return Machine{Node: node, Quote: f.quote(p, enclave), Origin: node}
	}
	for title, c := range map[string]struct {
		machines []Machine
		cloned   []string
	}{
		"nobody":         {[]Machine{at("a", p, 1), at("b", q, 1)}, nil},
		"alone":          {[]Machine{at("a", p, 1)}, nil},
		"two":            {[]Machine{at("a", p, 1), at("b", q, 1), at("c", p, 1)}, []string{"a", "c"}},
		"other quotes":   {[]Machine{at("a", p, 1), at("b", p, 2)}, []string{"a", "b"}},
		"two times two":  {[]Machine{at("a", p, 1), at("b", q, 1), at("c", p, 2), at("d", q, 2)}, []string{"a", "b", "c", "d"}},
		"no evidence":    {[]Machine{{Node: "a"}, {Node: "b"}, at("c", p, 1)}, nil},
		"nothing forged": {[]Machine{{Node: "a", Quote: []byte("x"), Origin: "x"}, {Node: "b", Quote: []byte("x"), Origin: "x"}}, nil},
	} {
		t.Run(title, func(t *testing.T) {
			var got []string
			for _, n := range f.nodes(attest.Policy{}, c.machines...) {
				if n.Reason != cloned {
					continue
				}
				got = append(got, n.Node)
				if n.Status != Unknown || n.Outcome != check.Fail {
					t.Errorf("%s is %s", n.Node, state(n))
				}
				finding, ok := n.Findings.Find("platforms-shared")
				if !ok || finding.Outcome != check.Fail || finding.Hint == "" {
					t.Errorf("got %+v", finding)
				}
			}
			if diff := cmp.Diff(c.cloned, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCompareID(t *testing.T) {
	f := newFactory(t)
	p, other := f.platform(), f.platform()
	id := func(text string) attest.PlatformID {
		id, err := attest.ParsePlatformID(text)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for title, c := range map[string]struct {
		claimed attest.PlatformID
		want    string
		outcome check.Outcome
	}{
		"nothing":         {attest.PlatformID{}, "UpToDate, , pass", check.Skip},
		"of SCONE 6":      {id(strings.Repeat("ab", 32)), "UpToDate, , pass", check.Skip},
		"the same":        {attest.PlatformIDFromQEID(p.QEID), "UpToDate, , pass", check.Pass},
		"in capitals":     {id("INTEL_QE_ID:" + strings.ToUpper(hex.EncodeToString(p.QEID[:]))), "UpToDate, , pass", check.Pass},
		"another machine": {attest.PlatformIDFromQEID(other.QEID), "unknown, evidence of another machine, fail", check.Fail},
	} {
		t.Run(title, func(t *testing.T) {
			n := f.nodes(attest.Policy{}, Machine{Node: "n", Quote: f.quote(p, 1), Origin: "x", ID: c.claimed})[0]
			if got := state(n); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			finding, asked := n.Findings.Find("platforms-disagree")
			if asked != (c.outcome != check.Skip) || finding.Outcome != c.outcome {
				t.Errorf("got %v and %+v", asked, finding)
			}
		})
	}
}

// A broken quote must not decide by which collateral others of its family are judged.
func TestCollateralOfFamilies(t *testing.T) {
	f := newFactory(t)
	other := factory{&sgxmint.Authority{}, t}
	*other.Authority = *f.Authority
	other.FMSPC, other.Status = [6]byte{0, 0xa0, 0x67}, sgx.OutOfDate
	a := NewAppraiser(sgx.CollateralSet{f.collateral(), other.collateral()}, f.options(), attest.Policy{})
	good := other.machine("c")
	broken := Machine{Node: "b", Quote: slices.Clone(good.Quote), Origin: "b"}
	broken.Quote[strings.LastIndex(string(broken.Quote), "-----BEGIN")+40] ^= 1 // the root no longer parses
	nodes, err := a.Nodes(t.Context(), []Machine{f.machine("a"), broken, good, other.machine("d"), other.machine("e")})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range nodes {
		got = append(got, n.Status)
	}
	if diff := cmp.Diff([]string{"UpToDate", Unknown, "OutOfDate", "OutOfDate", "OutOfDate"}, got); diff != "" {
		t.Error(diff)
	}
	if len(a.opened) != 2 {
		t.Errorf("collateral was verified %d times, want twice", len(a.opened))
	}
}

func TestNodesRefuses(t *testing.T) {
	f := newFactory(t)
	a := f.appraiser(attest.Policy{})
	for title, machines := range map[string][]Machine{"a node twice": {{Node: "a"}, {Node: "b"}, {Node: "a"}}, "no name": {{}}} {
		if nodes, err := a.Nodes(t.Context(), machines); err == nil {
			t.Errorf("%s: got %+v", title, nodes)
		}
		if report, err := a.Report(t.Context(), machines); err == nil {
			t.Errorf("%s: got %+v", title, report)
		}
		if quotes, err := a.Quoted(t.Context(), machines); err == nil {
			t.Errorf("%s: got %+v", title, quotes)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if nodes, err := a.Nodes(ctx, []Machine{f.machine("a")}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %+v and %v, want the end of the context", nodes, err)
	}
}

func TestWorst(t *testing.T) {
	of := func(outcomes ...check.Outcome) check.Report {
		var r check.Report
		for _, o := range outcomes {
			r = append(r, check.Finding{Outcome: o})
		}
		return r
	}
	for _, c := range []struct {
		report check.Report
		want   check.Outcome
	}{
		{of(check.Skip, check.Fail, check.Warn), check.Fail}, {of(check.Pass, check.Warn, check.Skip), check.Skip},
		{of(check.Warn, check.Pass), check.Warn}, {of(check.Pass), check.Pass}, {nil, check.Skip},
	} {
		if got := worst(c.report); got != c.want {
			t.Errorf("%v: got %s, want %s", c.report, got, c.want)
		}
	}
}

func TestSome(t *testing.T) {
	for want, names := range map[string][]string{
		"":                            nil,
		"a":                           {"a"},
		"a, b, c, d, e":               {"a", "b", "c", "d", "e"},
		"a, b, c, d, e and 2 more":    {"a", "b", "c", "d", "e", "f", "g"},
		strings.Repeat("x", 60) + "…": {strings.Repeat("x", 253)},
	} {
		if got := Some(names); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// revoke puts the PCK certificate of a machine on the list.
func (f factory) revoke(p *sgxmint.Platform) {
	f.t.Helper()
	block, _ := pem.Decode(p.Chain)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Revoked = append(f.Revoked, new(big.Int).Set(c.SerialNumber))
}
