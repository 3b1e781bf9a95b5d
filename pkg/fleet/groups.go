package fleet

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// Group are nodes with the same status, advisories, FMSPC and evaluation, of which the
// same is to be said. It is a member of documents of the kind confidb.tcb/v1.
type Group struct {
	Status  string        `json:"status"`
	Reason  string        `json:"reason"`
	Outcome check.Outcome `json:"outcome"`
	// Advisories are those of Intel without EndOfServicing.
	Advisories           []string `json:"advisories"`
	EndOfServicing       []string `json:"endOfServicing"`
	FMSPC                string   `json:"fmspc"`
	EvaluationDataNumber int      `json:"evaluationDataNumber"`
	Nodes                []string `json:"nodes"`
	Meaning              string   `json:"meaning"`
	// Do are the next steps, one a line.
	Do string `json:"do"`
	// Tolerate is null when there is nothing that a policy could accept.
	Tolerate *Toleration `json:"tolerate"`
	// Open are the findings of the first node that did not pass, without those of status
	// and advisories. They are in documents with their nodes.
	Open check.Report `json:"-"`

	lost bool // Intel has withdrawn its trust: the keys may be known
	qe   sgx.TCBStatus
}

// Report is what is said of a fleet. It is a part of documents of the kind confidb.tcb/v1.
type Report struct {
	Verdict check.Verdict `json:"verdict"`
	Nodes   []Node        `json:"nodes"`
	// Groups are nodes of which the same is to be said, the worst first.
	Groups []Group `json:"groups"`
}

// Statuses counts the nodes by status, the best first, in words: 1 UpToDate, 2 unknown.
func (r *Report) Statuses() string {
	count := map[string]int{}
	for _, n := range r.Nodes {
		count[n.Status]++
	}
	var parts []string
	for _, s := range append(sgx.Statuses(), Unknown) {
		if n := count[string(s)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}

// NewReport says of appraised nodes what their states mean, what is to be done, and
// what the policy does not accept yet. The only error is that this program's own pages
// cannot be read.
func NewReport(nodes []Node, p attest.Policy) (*Report, error) {
	pages, err := readPages()
	if err != nil {
		return nil, err
	}
	r := &Report{Nodes: nodes, Groups: []Group{}}
	var all check.Report
	at := map[string]int{}
	for i := range nodes {
		n := &nodes[i]
		all = append(all, n.Findings...)
		key := n.groupKey()
		if _, ok := at[key]; !ok {
			at[key] = len(r.Groups)
			r.Groups = append(r.Groups, newGroup(n, pages, p))
		}
		r.Groups[at[key]].Nodes = append(r.Groups[at[key]].Nodes, n.Node)
	}
	r.Verdict = all.Verdict()
	sort.SliceStable(r.Groups, func(i, j int) bool { return r.Groups[i].rank() < r.Groups[j].rank() })
	return r, nil
}

// Report appraises machines, and says what is to be said of them under the appraiser's
// policy.
func (a *Appraiser) Report(ctx context.Context, machines []Machine) (*Report, error) {
	nodes, err := a.Nodes(ctx, machines)
	if err != nil {
		return nil, err
	}
	return NewReport(nodes, a.policy)
}

// rank is low for what is worst.
func (g *Group) rank() int {
	outcome := slices.Index([]check.Outcome{check.Fail, check.Skip, check.Warn, check.Pass}, g.Outcome)
	return 100*outcome - slices.Index(sgx.Statuses(), sgx.TCBStatus(g.Status)) // unknown after the rest
}

// groupKey is the same for nodes of which the same is to be said.
func (n *Node) groupKey() string {
	parts := []string{n.Status, n.Reason}
	if n.Reason == cloned {
		parts = append(parts, n.identity)
	}
	if n.Claims != nil {
		t := n.Claims.TCB
		parts = append(parts, n.Claims.Platform.FMSPC, fmt.Sprint(t.EvaluationDataNumber), string(t.PlatformStatus), string(t.QEStatus), strings.Join(t.Advisories, " "))
	}
	for _, f := range n.open() {
		parts = append(parts, f.ID, f.Outcome.String(), string(codeOf(f)))
	}
	return strings.Join(parts, "\x00")
}

// open are the findings that did not pass, without those of status and advisories.
func (n *Node) open() check.Report {
	var open check.Report
	for _, f := range n.Findings {
		if f.Outcome != check.Pass && !isJudgement(f) {
			open = append(open, f)
		}
	}
	return open
}

// isJudgement reports whether a finding is what Intel says of the machine: neither
// forged nor missing.
func isJudgement(f check.Finding) bool { return f.ID == "tcb-status" || f.ID == "tcb-advisories" }

// codeOf is the code that a finding's reason begins with.
func codeOf(f check.Finding) sgx.Code {
	code, _, _ := strings.Cut(f.Reason, ":")
	return sgx.Code(code)
}

func newGroup(n *Node, pages pages, p attest.Policy) Group {
	g := Group{Status: n.Status, Reason: n.Reason, Outcome: n.Outcome, Advisories: []string{}, EndOfServicing: []string{}, Open: n.open()}
	for _, f := range g.Open {
		g.lost = g.lost || codeOf(f) == sgx.PCKRevoked || codeOf(f) == sgx.PCKCARevoked
	}
	if n.Claims != nil {
		g.FMSPC, g.EvaluationDataNumber, g.qe = n.Claims.Platform.FMSPC, n.Claims.TCB.EvaluationDataNumber, n.Claims.TCB.QEStatus
		g.lost = g.lost || n.Claims.TCB.Status == sgx.Revoked // also when nobody knows whose it is
		g.advise(n.Claims.TCB.Advisories)
	}
	g.explain(pages)
	g.Tolerate = g.tolerate(p)
	return g
}

// advise tells advisories from documents that announce the end of servicing.
func (g *Group) advise(advisories []string) {
	for _, a := range advisories {
		if strings.HasPrefix(a, "INTEL-DOC-") {
			g.EndOfServicing = append(g.EndOfServicing, a)
		} else {
			g.Advisories = append(g.Advisories, a)
		}
	}
}
