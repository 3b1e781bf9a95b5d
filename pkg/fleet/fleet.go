// Package fleet judges many machines by their quotes: the status of each, which of
// them show evidence of one machine, what Intel's judgement means, what is to be done,
// and what a policy would have to tolerate. It does no I/O: quotes and collateral are
// given as bytes, and the time is one of the options.
package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

// Unknown is the status of a node of which Intel's judgement is not known.
const Unknown = "unknown"

// Reasons why a status is unknown.
const (
	noEvidence     = "no evidence"
	notGenuine     = "the evidence is not genuine"
	notRead        = "the evidence is no SGX quote"
	cloned         = "cloned evidence"
	anotherMachine = "evidence of another machine"
	notSaid        = "the collateral does not say it"
)

// Machine is a node whose machine is judged.
type Machine struct {
	// Node is the node's name.
	Node string
	// Quote is its evidence, in a form that sgx.ReadQuote takes; empty without any.
	Quote []byte
	// Origin says where the quote is from, for messages.
	Origin string
	// ID is what the cluster claims to be the machine's platform ID, or zero.
	ID attest.PlatformID
}

// Node is what is known of one node. It is a member of documents of the kind
// confidb.tcb/v1.
type Node struct {
	Node string `json:"node"`
	// Status is one of Intel's words, or Unknown.
	Status string `json:"status"`
	// Reason says why the status is unknown; empty otherwise.
	Reason string `json:"reason"`
	// Outcome is the worst of the findings.
	Outcome check.Outcome `json:"outcome"`
	// Claims have no enclave, which is not judged here. Identities of the machine's
	// owner are hashed in them.
	Claims   *attest.Claims `json:"claims"`
	Findings check.Report   `json:"findings"`

	// identity is the same for quotes of one machine; empty when it is not known.
	identity string
}

// Appraiser judges the quotes of many machines. Collateral is verified once.
type Appraiser struct {
	set     sgx.CollateralSet
	options sgx.Options
	policy  attest.Policy

	mu       sync.Mutex
	families map[family]*opened
	opened   map[*sgx.Collateral]*opened
}

// NewAppraiser compares quotes with collateral, which must be valid as the options
// say, and platforms with what the policy accepts.
func NewAppraiser(set sgx.CollateralSet, o sgx.Options, p attest.Policy) *Appraiser {
	if len(set) == 0 {
		set = sgx.CollateralSet{{}}
	}
	return &Appraiser{set: set, options: o, policy: p, families: map[family]*opened{}, opened: map[*sgx.Collateral]*opened{}}
}

// Simulated reports whether something else than Intel's root is trusted.
func (a *Appraiser) Simulated() bool { return !a.options.Roots.Intel() }

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
	pck, err := quote.PCK()
	if err != nil {
		return family{}
	}
	return family{pck.FMSPC, pck.PCEID, pck.CA}
}

func (a *Appraiser) verify(raw []byte) (*sgx.Result, error) {
	o := a.collateralFor(raw)
	if o.err != nil {
		return nil, o.err
	}
	return o.verifier.Verify(raw)
}

// collateralFor remembers what CollateralSet.For chose for a family. A quote that does
// not say its family, because it is broken, is of none: it must not decide what others
// are judged by.
func (a *Appraiser) collateralFor(raw []byte) *opened {
	key := familyOf(raw)
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, ok := a.families[key]; ok {
		return known
	}
	chosen := a.set.For(raw)
	o, ok := a.opened[chosen]
	if !ok {
		o = &opened{}
		o.verifier, o.err = sgx.NewVerifier(chosen, a.options)
		a.opened[chosen] = o
	}
	a.families[key] = o
	return o
}

// Nodes appraises all machines, and then compares them. The only errors are that the
// context is done, and names that come twice: what is wrong with a quote is a finding.
func (a *Appraiser) Nodes(ctx context.Context, machines []Machine) ([]Node, error) {
	if err := checkNames(machines); err != nil {
		return nil, err
	}
	nodes := make([]Node, len(machines))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(machines)) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(machines) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				nodes[i] = a.node(machines[i])
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("verifying %d quotes: %w", len(machines), err)
	}
	findClones(nodes)
	for i := range nodes {
		nodes[i].Outcome = worst(nodes[i].Findings)
	}
	return nodes, nil
}

func checkNames(machines []Machine) error {
	seen := map[string]bool{}
	for _, m := range machines {
		if m.Node == "" {
			return errors.New("got a machine without the name of its node")
		}
		if seen[m.Node] {
			return fmt.Errorf("got two machines for the node %q, want one", m.Node)
		}
		seen[m.Node] = true
	}
	return nil
}

// node judges one machine.
func (a *Appraiser) node(m Machine) Node {
	n := Node{Node: m.Node, Status: Unknown}
	genuine := check.Finding{ID: "quote", Title: "the quote is genuine: an SGX platform under the trusted root made it"}
	if len(m.Quote) == 0 && m.Origin == "" {
		n.Reason, genuine.Reason = noEvidence, "unknown: no evidence"
		genuine.Hint = "Get a quote from this node, and give it as " + m.Node + "=FILE or in the folder of quotes."
		n.Findings = check.Report{genuine}
		return n
	}
	raw, as, err := sgx.ReadQuote(m.Quote)
	if err != nil {
		n.Reason, genuine.Reason, genuine.Hint = notRead, err.Error(), hintOf(err)
		n.Findings = check.Report{genuine}
		return n
	}
	if as != "" {
		genuine.Title += "; it was read as " + as
	}
	result, err := a.verify(raw)
	if err != nil {
		n.Reason, genuine.Outcome, genuine.Reason = notGenuine, check.Fail, err.Error()
		genuine.Hint = "Do not believe this quote; {explain} says what the code means."
		n.Findings = check.Report{genuine}
		return n
	}
	genuine.Outcome = check.Pass
	n.Findings = append(check.Report{genuine}, platformFindings(result, a.policy)...)
	n.claim(result)
	n.compareID(result, m.ID)
	return n
}

func hintOf(err error) string {
	form, ok := errors.AsType[*sgx.FormError](err)
	if !ok {
		return "Get a new quote from this node."
	}
	return form.Hint()
}

// platformFindings leaves out what is asked of the enclave.
func platformFindings(r *sgx.Result, p attest.Policy) check.Report {
	return slices.DeleteFunc(attest.Appraise(r, p), func(f check.Finding) bool { return strings.HasPrefix(f.ID, "enclave-") })
}

func (n *Node) claim(r *sgx.Result) {
	n.Claims = attest.ClaimsOf(r)
	n.Claims.Enclave = nil
	p := n.Claims.Platform
	n.identity = "ppid " + p.PPID
	if p.PlatformInstanceID != "" {
		n.identity = "instance " + p.PlatformInstanceID
	}
	p.PPID, p.PlatformInstanceID = hashed(r.Platform.PPID[:]), hashed(r.Platform.PlatformInstanceID)
	if n.Status = string(r.Status); r.Status == "" {
		n.unknown(notSaid)
	}
}

// unknown takes back what Intel's judgement seemed to be.
func (n *Node) unknown(reason string) { n.Status, n.Reason = Unknown, reason }

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
func (n *Node) compareID(r *sgx.Result, claimed attest.PlatformID) {
	if claimed.Generation() != attest.IntelQEID {
		return
	}
	quoted := attest.PlatformIDFromQEID(r.Quote.QEID)
	f := check.Finding{ID: "platforms-disagree", Title: "the quote is of the machine that the cluster has under this name", Got: quoted.String(), Want: claimed.String(), Outcome: check.Pass}
	if quoted != claimed {
		f.Outcome, f.Reason = check.Fail, "the cluster claims another platform ID for this node"
		f.Hint = "Get a new quote from this node; if they still differ, one of both is made up."
		n.unknown(anotherMachine)
	}
	n.Findings = append(n.Findings, f)
}

// findClones finds nodes that show evidence of one machine. Nobody knows whose it is,
// so it counts for none of them.
func findClones(nodes []Node) {
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
			f.Outcome, f.Reason = check.Fail, "cloned evidence: one machine is shown by "+Some(same)
			f.Hint = "Get a quote from each node itself; of virtual machines on one host the evidence cannot tell which is which."
			n.unknown(cloned)
		}
		n.Findings = append(n.Findings, f)
	}
}

// worst is the outcome that weighs most; without findings nothing is shown.
func worst(r check.Report) check.Outcome {
	for _, o := range []check.Outcome{check.Fail, check.Skip, check.Warn, check.Pass} {
		if len(r.With(o)) > 0 {
			return o
		}
	}
	return check.Skip
}

// maxShown is how many nodes are named in a text, and maxName how much of each.
const (
	maxShown = 5
	maxName  = 60
)

// Some names at most five nodes, and says how many more there are.
func Some(nodes []string) string {
	text := make([]string, 0, maxShown)
	for _, name := range nodes[:min(maxShown, len(nodes))] {
		if len(name) > maxName {
			name = name[:maxName] + "…"
		}
		text = append(text, name)
	}
	if more := len(nodes) - maxShown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(text, ", "), more)
	}
	return strings.Join(text, ", ")
}
