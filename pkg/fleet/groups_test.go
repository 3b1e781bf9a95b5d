package fleet

import (
	"crypto/x509"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

const advisory = "INTEL-SA-00615"

// Each status has its advice. What nobody may tolerate is never offered.
func TestAdviceOfEachStatus(t *testing.T) {
	seen := 0
	for status, c := range map[sgx.TCBStatus]struct {
		means, do string
		words     []string
	}{
		sgx.UpToDate:                          {"", "Nothing.", nil},
		sgx.SWHardeningNeeded:                 {"built with mitigations", "whoever builds the enclave", []string{"software-hardening-needed"}},
		sgx.ConfigurationNeeded:               {"A setting of the BIOS", "Change the setting", []string{"insecure-configuration"}},
		sgx.ConfigurationAndSWHardeningNeeded: {"A setting of the BIOS", "Change the setting", []string{"insecure-configuration", "software-hardening-needed"}},
		sgx.OutOfDate:                         {"", "Update BIOS, microcode", []string{"outdated-tcb"}},
		sgx.OutOfDateConfigurationNeeded:      {"", "Update BIOS and microcode, change the setting", []string{"outdated-tcb", "insecure-configuration"}},
		sgx.Revoked:                           {"must be considered lost", "Replace every secret", nil},
	} {
		seen++
		t.Run(string(status), func(t *testing.T) {
			f := newFactory(t)
			f.Status = status
			g := f.report(attest.Policy{}, f.machine("n")).Groups[0]
			if g.Status != string(status) || g.Meaning == "" {
				t.Errorf("got %+v", g)
			}
			if !strings.Contains(g.Meaning, c.means) {
				t.Errorf("it means %q, want %q", g.Meaning, c.means)
			}
			if !strings.Contains(g.Do, c.do) || strings.Contains(g.Do, "accept-") {
				t.Errorf("the steps are %q, want %q", g.Do, c.do)
			}
			if c.words == nil {
				if g.Tolerate != nil {
					t.Errorf("offered %+v", g.Tolerate)
				}
				return
			}
			want := &Toleration{PolicyToleration{[]sgx.TCBStatus{status}, []string{}}, SessionToleration{c.words, []string{}}}
			if diff := cmp.Diff(want, g.Tolerate); diff != "" {
				t.Error(diff)
			}
		})
	}
	if seen != len(sgx.Statuses()) {
		t.Errorf("%d statuses were looked at, want %d", seen, len(sgx.Statuses()))
	}
}

// A toleration is what is missing in the policy, and only where nothing else fails.
func TestTolerate(t *testing.T) {
	outOfDate := Group{Status: string(sgx.OutOfDate), Advisories: []string{advisory}}
	with := func(change func(*Group)) Group {
		g := outOfDate
		change(&g)
		return g
	}
	all := attest.Policy{AcceptTCB: []sgx.TCBStatus{sgx.OutOfDate}, AcceptAdvisories: []string{advisory, "INTEL-DOC-10001"}}
	statuses := func(s ...sgx.TCBStatus) []sgx.TCBStatus { return append([]sgx.TCBStatus{}, s...) }
	list := func(s ...string) []string { return append([]string{}, s...) }
	for title, c := range map[string]struct {
		group  Group
		policy attest.Policy
		want   *Toleration
	}{
		"everything": {outOfDate, attest.Policy{}, &Toleration{PolicyToleration{statuses(sgx.OutOfDate), list(advisory)}, SessionToleration{list("outdated-tcb"), list(advisory)}}},
		"the advisory": {outOfDate, attest.Policy{AcceptTCB: []sgx.TCBStatus{sgx.OutOfDate}},
			&Toleration{PolicyToleration{statuses(), list(advisory)}, SessionToleration{list(), list(advisory)}}},
		"the status": {outOfDate, attest.Policy{AcceptAdvisories: []string{advisory}},
			&Toleration{PolicyToleration{statuses(sgx.OutOfDate), list()}, SessionToleration{list("outdated-tcb"), list()}}},
		"nothing": {outOfDate, all, nil},
		"the end of servicing": {with(func(g *Group) { g.EndOfServicing = []string{"INTEL-DOC-10001"} }), attest.Policy{AcceptTCB: all.AcceptTCB, AcceptAdvisories: []string{advisory}},
			&Toleration{PolicyToleration{statuses(), list("INTEL-DOC-10001")}, SessionToleration{list(), list()}}},
		"up to date":               {Group{Status: string(sgx.UpToDate)}, attest.Policy{}, nil},
		"an advisory, up to date":  {Group{Status: string(sgx.UpToDate), Advisories: []string{advisory}}, attest.Policy{}, &Toleration{PolicyToleration{statuses(), list(advisory)}, SessionToleration{list(), list(advisory)}}},
		"wildcards":                {Group{Status: string(sgx.UpToDate), Advisories: []string{"*", "INTEL-SA-*", "INTEL-SA-0061?", "x]\ny: [z", ""}}, attest.Policy{}, nil},
		"revoked":                  {Group{Status: string(sgx.Revoked), Advisories: []string{advisory}}, attest.Policy{}, nil},
		"revoked, and lost":        {Group{Status: string(sgx.Revoked), lost: true}, attest.Policy{}, nil},
		"keys that are lost":       {with(func(g *Group) { g.lost = true }), attest.Policy{}, nil},
		"unknown":                  {with(func(g *Group) { g.Status = Unknown }), attest.Policy{}, nil},
		"something else fails":     {with(func(g *Group) { g.Open = check.Report{{ID: "x", Outcome: check.Fail}} }), attest.Policy{}, nil},
		"something else is a warn": {with(func(g *Group) { g.Open = check.Report{{ID: "x", Outcome: check.Warn}} }), all, nil},
	} {
		if diff := cmp.Diff(c.want, c.group.tolerate(c.policy)); diff != "" {
			t.Errorf("%s: %s", title, diff)
		}
	}
}

// The words of sessions exist for exactly what may be tolerated, and are no wildcards.
func TestSCONEWords(t *testing.T) {
	for _, s := range append(sgx.Statuses(), "Other", "") {
		words := sconeWords(s)
		none := !slices.Contains(sgx.Statuses(), s) || s == sgx.UpToDate || s == sgx.Revoked
		if (len(words) == 0) != none {
			t.Errorf("%q: got %q", s, words)
		}
		if strings.Contains(strings.Join(words, ""), "*") {
			t.Errorf("%q: got a wildcard", s)
		}
	}
}

func TestMeaning(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sgx.Statuses() {
		text := Meaning(s)
		if warning := strings.HasSuffix(text, "(a warning)"); warning == (s == sgx.UpToDate || s == sgx.Revoked) {
			t.Errorf("%s: got %q", s, text)
		}
		if seen[text] {
			t.Errorf("%q is said of two statuses", text)
		}
		seen[text] = true
	}
	if got := Meaning("Other"); got != "not known to this version" {
		t.Errorf("got %q", got)
	}
}

func TestGroups(t *testing.T) {
	f := newFactory(t)
	f.Status, f.Advisories, f.QEStatus = sgx.SWHardeningNeeded, []string{advisory, "INTEL-DOC-10001"}, sgx.OutOfDate
	p := f.platform()
	a, b := f.machine("a"), f.machine("b")
	forged := f.quote(f.platform(), 3)
	forged[200] ^= 1
	r := f.report(attest.Policy{}, a, Machine{Node: "none"}, b, Machine{Node: "nothing"}, Machine{Node: "c1", Quote: f.quote(p, 1), Origin: "x"}, Machine{Node: "c2", Quote: f.quote(p, 2), Origin: "x"}, Machine{Node: "forged", Quote: forged, Origin: "x"}, Machine{Node: "unread", Quote: []byte("x"), Origin: "x"})
	var got []string
	for _, g := range r.Groups {
		got = append(got, strings.Join([]string{g.Outcome.String(), g.Status, g.Reason, strings.Join(g.Nodes, " ")}, ", "))
	}
	want := []string{
		"fail, OutOfDate, , a b", "fail, unknown, cloned evidence, c1 c2", "fail, unknown, the evidence is not genuine, forged",
		"skip, unknown, no evidence, none nothing", "skip, unknown, the evidence is no SGX quote, unread",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.Verdict != check.Contraindicated {
		t.Errorf("got %s", r.Verdict)
	}
	g := r.Groups[0]
	if diff := cmp.Diff([]string{advisory}, g.Advisories) + cmp.Diff([]string{"INTEL-DOC-10001"}, g.EndOfServicing); diff != "" {
		t.Error(diff)
	}
	for _, step := range []string{"The quoting enclave is OutOfDate", "Plan to replace the machine", "Read each advisory at"} {
		if !strings.Contains(g.Do, step) {
			t.Errorf("%q is not in %q", step, g.Do)
		}
	}
	if !strings.Contains(g.Meaning, "servicing of the processor has ended") {
		t.Errorf("got %q", g.Meaning)
	}
	if none := r.Groups[3]; !strings.HasPrefix(none.Do, "Get a quote from each node") || strings.Contains(none.Do, "none=FILE") {
		t.Errorf("got %q", none.Do)
	}
	if empty, err := NewReport(nil, attest.Policy{}); err != nil || empty.Verdict != check.None {
		t.Errorf("no nodes: got %+v and %v", empty, err)
	}
}

// Machines of which something else is to be said share no paragraph.
func TestGroupKey(t *testing.T) {
	node := func(change func(*Node)) Node {
		n := Node{Node: "n", Status: "OutOfDate", identity: "1", Claims: &attest.Claims{
			TCB:      &attest.TCBClaims{Status: sgx.OutOfDate, Advisories: []string{advisory}, EvaluationDataNumber: 17},
			Platform: &attest.PlatformClaims{FMSPC: "c0ffee000000"}}}
		change(&n)
		return n
	}
	first := node(func(*Node) {})
	for title, c := range map[string]struct {
		change func(*Node)
		same   bool
	}{
		"another node":       {func(n *Node) { n.Node, n.identity = "m", "2" }, true},
		"a pass":             {func(n *Node) { n.Findings = check.Report{{ID: "x", Outcome: check.Pass}} }, true},
		"its judgement":      {func(n *Node) { n.Findings = check.Report{{ID: "tcb-status", Outcome: check.Fail}} }, true},
		"another status":     {func(n *Node) { n.Status = "UpToDate" }, false},
		"another reason":     {func(n *Node) { n.Reason = cloned }, false},
		"another family":     {func(n *Node) { n.Claims.Platform.FMSPC = "c0ffee000001" }, false},
		"another evaluation": {func(n *Node) { n.Claims.TCB.EvaluationDataNumber = 18 }, false},
		"more advisories":    {func(n *Node) { n.Claims.TCB.Advisories = append(n.Claims.TCB.Advisories, "INTEL-SA-00616") }, false},
		"another QE":         {func(n *Node) { n.Claims.TCB.QEStatus = sgx.OutOfDate }, false},
		"something open":     {func(n *Node) { n.Findings = check.Report{{ID: "x", Outcome: check.Fail}} }, false},
	} {
		other := node(c.change)
		if same := first.groupKey() == other.groupKey(); same != c.same {
			t.Errorf("%s: the same group %v, want %v", title, same, c.same)
		}
	}
	one, two := node(func(n *Node) { n.Reason = cloned }), node(func(n *Node) { n.Reason, n.identity = cloned, "2" })
	if one.groupKey() == two.groupKey() {
		t.Error("clones of two machines share a group")
	}
}

// A machine on the revocation list is lost, whatever its level is.
func TestRevokedCertificate(t *testing.T) {
	f := newFactory(t)
	f.Status = sgx.OutOfDate
	p := f.platform()
	f.revoke(p)
	r := f.report(attest.Policy{}, f.machine("good"), Machine{Node: "revoked", Quote: f.quote(p, 1), Origin: "x"})
	for _, g := range r.Groups {
		revoked := g.Nodes[0] == "revoked"
		if (g.Tolerate == nil) != revoked {
			t.Errorf("%v: offered %+v", g.Nodes, g.Tolerate)
		}
		if strings.Contains(g.Meaning, "must be considered lost") != revoked {
			t.Errorf("%v: it means %q", g.Nodes, g.Meaning)
		}
	}
}

// Whoever has the key of a revoked CA can make machines.
func TestRevokedCA(t *testing.T) {
	f := newFactory(t)
	f.Status = sgx.OutOfDate
	m := f.machine("n")
	c, err := x509.ParseCertificate(f.PCKCA.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	f.Revoked = []*big.Int{c.SerialNumber}
	g := f.report(attest.Policy{}, m).Groups[0]
	if g.Tolerate != nil {
		t.Errorf("offered %+v", g.Tolerate)
	}
	if !strings.Contains(g.Meaning, "must be considered lost") {
		t.Errorf("it means %q", g.Meaning)
	}
}

// That a machine is revoked is said even when nobody knows which node it is.
func TestRevokedClone(t *testing.T) {
	f := newFactory(t)
	f.Status = sgx.Revoked
	p := f.platform()
	g := f.report(attest.Policy{}, Machine{Node: "a", Quote: f.quote(p, 1), Origin: "x"}, Machine{Node: "b", Quote: f.quote(p, 1), Origin: "x"}).Groups[0]
	if g.Reason != cloned || !strings.Contains(g.Meaning, "must be considered lost") || g.Tolerate != nil {
		t.Errorf("got %+v", g)
	}
}

func TestWhyUnknown(t *testing.T) {
	seen := map[string]bool{}
	for _, reason := range []string{noEvidence, cloned, anotherMachine, notGenuine, notSaid} {
		text := whyUnknown(reason)
		if text == "" || seen[text] {
			t.Errorf("%s: got %q", reason, text)
		}
		seen[text] = true
	}
}

func TestStepsLeaveOutWhatIsSaidHere(t *testing.T) {
	do := "Update it.\nkubectl confidb tcb\naccept-tcb: [X]\nName it under accept-tcb of the policy.\nRestart."
	if diff := cmp.Diff([]string{"Update it.", "Restart."}, steps(do)); diff != "" {
		t.Error(diff)
	}
}

func TestHintsAreSaidOnce(t *testing.T) {
	g := Group{Open: check.Report{{Hint: "Do this."}, {Hint: "Do that."}, {Hint: "Do this."}, {}}}
	if diff := cmp.Diff([]string{"Do this.", "Do that."}, g.hints()); diff != "" {
		t.Error(diff)
	}
}

// Hints are sentences as they are: nothing repairs them.
func TestHintsAreSentences(t *testing.T) {
	f := newFactory(t)
	p := f.platform()
	f.revoke(p)
	machines := []Machine{{Node: "none"}, {Node: "forged", Quote: []byte("x"), Origin: "x"}, {Node: "revoked", Quote: f.quote(p, 1), Origin: "x"}, f.machine("disagrees")}
	machines[3].ID = attest.PlatformIDFromQEID([16]byte{1})
	o := f.options()
	o.Time = now.AddDate(0, 3, 0)
	a := NewAppraiser(sgx.CollateralSet{f.collateral()}, o, attest.Policy{})
	nodes, err := a.Nodes(t.Context(), append(machines, f.machine("late"), Machine{Node: "again", Quote: f.quote(p, 2), Origin: "x"}))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, n := range nodes {
		for _, finding := range n.open() {
			seen++
			first := finding.Hint[:1]
			if first != strings.ToUpper(first) || !strings.HasSuffix(finding.Hint, ".") {
				t.Errorf("%s: the hint %q is no sentence", finding.ID, finding.Hint)
			}
		}
	}
	if seen < 6 {
		t.Errorf("looked at %d hints", seen)
	}
}

func TestStatuses(t *testing.T) {
	r := Report{Nodes: []Node{{Status: Unknown}, {Status: "Revoked"}, {Status: "UpToDate"}, {Status: Unknown}}}
	if got, want := r.Statuses(), "1 UpToDate, 1 Revoked, 2 unknown"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&Report{}).Statuses(); got != "" {
		t.Errorf("got %q of no node", got)
	}
}
