package verbs

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// tcbAppraiser judges the quotes of many machines. Collateral is verified once.
type tcbAppraiser struct {
	set     sgx.CollateralSet
	options sgx.Options
	policy  attest.Policy

	mu       sync.Mutex
	families map[family]*opened
	opened   map[*sgx.Collateral]*opened
}

// opened is verified collateral, or why it is not.
type opened struct {
	verifier *sgx.Verifier
	err      error
}

// family is what chooses collateral, as a quote claims it.
type family struct {
	fmspc [6]byte
	pceid [2]byte
	ca    string
}

func familyOf(raw []byte) family {
	quote, err := sgx.ParseQuote(raw)
	if err != nil {
		return family{}
	}
	block, _ := pem.Decode(quote.CertificationData)
	if block == nil {
		return family{}
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return family{}
	}
	pck, err := sgx.ParsePCK(certificate)
	if err != nil {
		return family{}
	}
	return family{pck.FMSPC, pck.PCEID, pck.CA}
}

func (a *tcbAppraiser) verify(raw []byte) (*sgx.Result, error) {
	o := a.collateralFor(raw)
	if o.err != nil {
		return nil, o.err
	}
	return o.verifier.Verify(raw)
}

// collateralFor remembers what CollateralSet.For chose, but not its fallback: a quote
// that is broken must not decide what others of its family are judged by.
func (a *tcbAppraiser) collateralFor(raw []byte) *opened {
	key := familyOf(raw)
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.families[key]; ok {
		return known
	}
	if len(a.set) == 0 {
		a.set = sgx.CollateralSet{{}}
	}
	chosen := a.set.For(raw)
	o, ok := a.opened[chosen]
	if !ok {
		o = &opened{}
		o.verifier, o.err = sgx.NewVerifier(chosen, a.options)
		a.opened[chosen] = o
	}
	if chosen != a.set[0] {
		a.families[key] = o
	}
	return o
}

// fleet appraises all machines, and then compares them.
func (a *tcbAppraiser) fleet(ctx context.Context, machines []machine) ([]tcbNode, error) {
	nodes, failures := make([]tcbNode, len(machines)), make([]error, len(machines))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(machines)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(machines) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				nodes[i], failures[i] = a.machine(machines[i])
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("verifying %d quotes: %w", len(machines), err)
	}
	for i, err := range failures {
		if err != nil {
			return nil, fmt.Errorf("evidence of node %q: %w", machines[i].name, err)
		}
	}
	findClones(nodes)
	for i := range nodes {
		nodes[i].Outcome = worst(nodes[i].Findings)
	}
	return nodes, nil
}

// unknown is the status of a node of which Intel's judgement is not known.
const unknown = "unknown"

// tcbNode is what is known of one node.
type tcbNode struct {
	Node string `json:"node"`
	// Status is one of Intel's words, or unknown.
	Status string `json:"status"`
	// Reason says why the status is unknown; empty otherwise.
	Reason  string        `json:"reason"`
	Outcome check.Outcome `json:"outcome"`
	// Claims have no enclave, which is not judged here. Identities of the machine's
	// owner are hashed in them.
	Claims   *attest.Claims `json:"claims"`
	Findings check.Report   `json:"findings"`

	// identity is the same for quotes of one machine; empty when it is not known.
	identity string
}

// machine judges one machine. An error means that its file cannot be read.
func (a *tcbAppraiser) machine(m machine) (tcbNode, error) {
	n := tcbNode{Node: m.name, Status: unknown}
	genuine := check.Finding{ID: "quote", Title: "the quote is genuine: an SGX platform under the trusted root made it"}
	if m.file == "" {
		n.Reason, genuine.Reason = "no evidence", "unknown: no evidence"
		genuine.Hint = "get a quote from this node, and give it as " + m.name + "=FILE or in --quotes"
		n.Findings = check.Report{genuine}
		return n, nil
	}
	raw, err := readBounded(m.file)
	if err != nil {
		return n, err
	}
	result, err := a.verify(raw)
	if err != nil {
		n.Reason, genuine.Outcome, genuine.Reason = "the evidence is not genuine", check.Fail, err.Error()
		genuine.Hint = "do not believe this quote; kubectl confidb explain says what the code means"
		n.Findings = check.Report{genuine}
		return n, nil
	}
	genuine.Outcome = check.Pass
	n.Findings = append(check.Report{genuine}, platformFindings(result, a.policy)...)
	n.claim(result)
	n.compareID(result, m.id)
	return n, nil
}

// platformFindings leaves out what is asked of the enclave.
func platformFindings(r *sgx.Result, p attest.Policy) check.Report {
	return slices.DeleteFunc(attest.Appraise(r, p), func(f check.Finding) bool { return strings.HasPrefix(f.ID, "enclave-") })
}

func (n *tcbNode) claim(r *sgx.Result) {
	n.Claims = attest.ClaimsOf(r)
	n.Claims.Enclave = nil
	p := n.Claims.Platform
	n.identity = "ppid " + p.PPID
	if p.PlatformInstanceID != "" {
		n.identity = "instance " + p.PlatformInstanceID
	}
	p.PPID, p.PlatformInstanceID = hashed(r.Platform.PPID[:]), hashed(r.Platform.PlatformInstanceID)
	if n.Status = string(r.Status); r.Status == "" {
		n.Status, n.Reason = unknown, "the collateral does not say it"
	}
}

// hashed hides what is personal data of the machine's owner. It is random, so that
// nobody finds it by trying.
func hashed(id []byte) string {
	if len(id) == 0 {
		return ""
	}
	sum := sha256.Sum256(id)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// compareID compares the quote with what the cluster claims. An ID of SCONE 6 is
// not in quotes of Intel's.
func (n *tcbNode) compareID(r *sgx.Result, claimed attest.PlatformID) {
	if claimed.Generation() != attest.IntelQEID {
		return
	}
	quoted := attest.PlatformIDFromQEID(r.Quote.QEID)
	f := check.Finding{ID: "platforms-disagree", Title: "the quote is of the machine that the cluster has under this name", Got: quoted.String(), Want: claimed.String(), Outcome: check.Pass}
	if quoted != claimed {
		f.Outcome, f.Reason = check.Fail, "the cluster claims another platform ID for this node"
		f.Hint = "get a new quote from this node; if they still differ, one of both is made up"
		n.Status, n.Reason = unknown, "evidence of another machine"
	}
	n.Findings = append(n.Findings, f)
}

// findClones finds nodes that show evidence of one machine. Nobody knows whose it is,
// so it counts for none of them.
func findClones(nodes []tcbNode) {
	names := map[string][]string{}
	for _, n := range nodes {
		names[n.identity] = append(names[n.identity], n.Node)
	}
	for i := range nodes {
		n := &nodes[i]
		if n.identity == "" {
			continue
		}
		f := check.Finding{ID: "platforms-shared", Title: "no other node shows evidence of the same machine", Outcome: check.Pass}
		if same := names[n.identity]; len(same) > 1 {
			f.Outcome, f.Reason = check.Fail, "cloned evidence: one machine is shown by "+upToFive(same)
			f.Hint = "get a quote from each node itself; of virtual machines on one host the evidence cannot tell which is which"
			n.Status, n.Reason = unknown, "cloned evidence"
		}
		n.Findings = append(n.Findings, f)
	}
}

func worst(r check.Report) check.Outcome {
	for _, o := range []check.Outcome{check.Fail, check.Skip, check.Warn} {
		if len(r.With(o)) > 0 {
			return o
		}
	}
	return check.Pass
}
