package platform

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
)

// InconsistentError means that the sources contradict each other or say too
// little, so that no list of platform IDs can be made of them.
type InconsistentError struct {
	// Problems are one statement each, and name the nodes.
	Problems []Problem
	// Seen is what the sources say, to show it. It is not fit for use.
	Seen *Inventory

	refused []*ForbiddenError
}

func (e *InconsistentError) Error() string {
	if len(e.Problems) == 1 {
		return "platform IDs: " + e.Problems[0].Text
	}
	var texts []string
	for _, p := range e.Problems {
		texts = append(texts, p.Text)
	}
	return fmt.Sprintf("platform IDs: %d problems:\n  %s", len(e.Problems), strings.Join(texts, "\n  "))
}

// Refused reports whether a source could not be read, which may be the cause.
func (e *InconsistentError) Refused() bool { return len(e.refused) > 0 }

// Tolerate returns what the sources say, with the problems in it, if all of them are of
// these kinds. What is found without problems needs no kind, and any other error stays.
// It takes what Appraise returns.
func Tolerate(found *Inventory, err error, kinds ...ProblemKind) (*Inventory, error) {
	e, ok := errors.AsType[*InconsistentError](err)
	if !ok || e.Seen == nil || slices.ContainsFunc(e.Problems, func(p Problem) bool { return !slices.Contains(kinds, p.Kind) }) {
		return found, err
	}
	seen := *e.Seen
	seen.Problems = e.Problems
	return &seen, nil
}

// ProblemKinds are all kinds of problems.
func ProblemKinds() []ProblemKind {
	return []ProblemKind{Contradiction, Stranger, Namespaces, Shared, Mixed, Missing, Empty, Refused}
}

// Unwrap returns the refusals that may be the cause.
func (e *InconsistentError) Unwrap() []error {
	var causes []error
	for _, r := range e.refused {
		causes = append(causes, r)
	}
	return causes
}

// Hint says what to do: give the missing rights, or the IDs.
func (e *InconsistentError) Hint() string {
	if len(e.refused) > 0 {
		return e.refused[0].Hint()
	}
	return "{platforms -o wide} shows every node and its LAS pod; IDs that you know yourself can be given by node, {platforms --platforms-file FILE}, or as a list, {platforms --platform ID}."
}

// ProblemKind says what is wrong. The zero value is none.
type ProblemKind string

// The kinds of problems.
const (
	// Contradiction means that sources give a node different IDs.
	Contradiction ProblemKind = "contradiction"
	// Stranger means that the user gave an ID to a node that does not count.
	Stranger ProblemKind = "stranger"
	// Namespaces means that LAS pods of several namespaces give IDs.
	Namespaces ProblemKind = "namespaces"
	// Shared means that nodes have one ID.
	Shared ProblemKind = "shared"
	// Mixed means that there are IDs of two generations.
	Mixed ProblemKind = "mixed"
	// Missing means that usable nodes have no ID.
	Missing ProblemKind = "missing"
	// Empty means that there is no ID at all.
	Empty ProblemKind = "empty"
	// Refused means that the cluster did not let a source be read.
	Refused ProblemKind = "refused"
)

// Problem is one reason why there is no usable inventory.
type Problem struct {
	Kind ProblemKind
	// Nodes are those concerned, if it is about single nodes.
	Nodes []string
	// Text says it in one sentence.
	Text string
}

// Appraise decides what the sources mean. It returns an inventory only if no two
// of them contradict each other and every usable machine with SGX has its ID.
func (o *Observation) Appraise() (*Inventory, error) {
	i := &Inventory{}
	p := problems{disputed: map[string]bool{}}
	claims := map[string][]Claim{}
	all, unquotable := withQuotes(o.Claims, o.Quotes)
	for _, c := range all {
		claims[c.Node] = append(claims[c.Node], c)
	}
	pods := o.podsByNode()
	for _, facts := range o.Nodes {
		node := appraiseNode(facts, pods[facts.Name], o.PodsListed)
		if node.SGX {
			node.settle(claims[facts.Name], &p)
			node.Quote = quoted(o.Quotes, node)
		}
		i.Nodes = append(i.Nodes, node)
	}
	sort.Slice(i.Nodes, func(a, b int) bool { return i.Nodes[a].Name < i.Nodes[b].Name })
	p.strangers(i, claims)
	p.namespaces(o.Claims)
	p.shared(i)
	p.mixed(i)
	p.missing(i, pods)
	p.empty(i)
	i.warn(o.Unreadable, p.disputed)
	i.warnUnquotable(unquotable)
	return p.conclude(i, o.Refused)
}

// warn adds what is no error: values that are no IDs, and machines that will be
// turned away when they come back, because nobody knows their ID now.
func (i *Inventory) warn(unreadable []string, disputed map[string]bool) {
	i.Warnings = append(i.Warnings, unreadable...)
	var unknown []string
	for _, n := range i.Nodes {
		if n.SGX && !n.Usable && n.ID == (attest.PlatformID{}) && !disputed[n.Name] {
			unknown = append(unknown, fmt.Sprintf("%s (%s)", n.Name, n.Reason))
		}
	}
	if len(unknown) > 0 {
		i.Warnings = append(i.Warnings, "no platform ID is known, so sessions will not admit: "+enumerate(unknown))
	}
}

func (o *Observation) podsByNode() map[string][]PodFacts {
	pods := map[string][]PodFacts{}
	for _, p := range o.Pods {
		pods[p.Node] = append(pods[p.Node], p)
	}
	return pods
}

// appraiseNode decides whether a node can be used now.
func appraiseNode(facts NodeFacts, pods []PodFacts, podsListed bool) Node {
	node := Node{Name: facts.Name, SGX: facts.SGX, Resources: facts.Resources, System: facts.System}
	for _, p := range pods {
		node.LASPods = append(node.LASPods, p.String())
	}
	if !facts.SGX {
		node.Reason = "no SGX"
		return node
	}
	var reasons []string
	for _, r := range []struct {
		applies bool
		text    string
	}{
		{!facts.Ready, "not Ready"},
		{facts.Cordoned, "cordoned"},
		{!facts.Allocatable, "no allocatable SGX resource"},
		{podsListed, lasTrouble(pods)},
	} {
		if r.applies && r.text != "" {
			reasons = append(reasons, r.text)
		}
	}
	node.Usable, node.Reason = len(reasons) == 0, strings.Join(reasons, ", ")
	return node
}

// lasTrouble says why no LAS pod runs on a node, or nothing if one does.
func lasTrouble(pods []PodFacts) string {
	if len(pods) == 0 {
		return "no LAS pod"
	}
	for _, p := range pods {
		if p.Trouble == "" {
			return ""
		}
	}
	return "LAS pod not running (" + pods[0].Trouble + ")"
}

// settle gives a node the ID on which its claims agree.
func (n *Node) settle(claims []Claim, p *problems) {
	if len(claims) == 0 {
		return
	}
	order := []Source{SourceQuote, SourceFile, SourceResource, SourceLog}
	sort.SliceStable(claims, func(i, j int) bool {
		return slices.Index(order, claims[i].Source) < slices.Index(order, claims[j].Source)
	})
	for _, c := range claims {
		if c.ID != claims[0].ID {
			p.contradiction(n.Name, claims)
			return
		}
		if !slices.Contains(n.Sources, c.Source) {
			n.Sources = append(n.Sources, c.Source)
		}
	}
	n.ID, n.Provenance = claims[0].ID, attest.Claimed
	switch claims[0].Source {
	case SourceQuote:
		n.Provenance = attest.Quoted
	case SourceFile:
		n.Provenance = attest.Declared
	}
}

// problems gathers why there is no usable inventory. The zero value has none.
type problems struct {
	found []Problem
	// disputed are the nodes that have no ID because their sources disagree.
	disputed map[string]bool
}

func (p *problems) add(kind ProblemKind, nodes []string, format string, arguments ...any) {
	p.found = append(p.found, Problem{kind, nodes, fmt.Sprintf(format, arguments...)})
}

// conclude returns the inventory, or all that keeps it from being one.
func (p *problems) conclude(i *Inventory, refused []*ForbiddenError) (*Inventory, error) {
	if len(p.found) > 0 {
		for _, r := range refused {
			p.add(Refused, nil, "a source was refused: %v", r)
		}
		return nil, &InconsistentError{Problems: p.found, Seen: i, refused: refused}
	}
	for _, r := range refused {
		i.Warnings = append(i.Warnings, fmt.Sprintf("left out a source that was refused: %v", r))
	}
	return i, nil
}

func (p *problems) contradiction(node string, claims []Claim) {
	what := "sources disagree about"
	if claims[0].Source == claims[len(claims)-1].Source {
		what = "two different platform IDs on"
	}
	var said []string
	for _, c := range claims {
		said = append(said, fmt.Sprintf("%s says %s", c.Origin, c.ID))
	}
	p.add(Contradiction, []string{node}, "%s node %q: %s", what, node, strings.Join(said, ", "))
	p.disputed[node] = true
}

// strangers handles IDs of nodes that do not count: an error if the user gave
// them, otherwise a warning, because a removed node stays in some status a while.
func (p *problems) strangers(i *Inventory, claims map[string][]Claim) {
	sgx := map[string]bool{}
	for _, n := range i.Nodes {
		sgx[n.Name] = n.SGX
	}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		has, exists := sgx[name]
		reason := "which has no SGX (neither a label nor a resource)"
		if !exists {
			reason = "which the cluster does not have"
		}
		if c := claims[name][0]; !has && (c.Source == SourceFile || c.Source == SourceQuote) {
			p.add(Stranger, []string{name}, "%s: a platform ID for node %q, %s", c.Origin, name, reason)
		} else if !has {
			i.Warnings = append(i.Warnings, fmt.Sprintf("left out platform ID %s that %s gives node %q, %s", c.ID, c.Origin, name, reason))
		}
	}
}

// namespaces refuses LAS pods of several namespaces: whoever may start a pod
// anywhere could else add a machine of his own by writing to a log.
func (p *problems) namespaces(claims []Claim) {
	names := map[string]bool{}
	for _, c := range claims {
		if c.Source == SourceLog {
			names[c.Namespace] = true
		}
	}
	if len(names) > 1 {
		p.add(Namespaces, nil, "LAS pods of several namespaces give platform IDs: %s: name the one in which yours run", enumerate(slices.Sorted(maps.Keys(names))))
	}
}

// shared refuses one ID on two nodes: one of them lies, or is a copy.
func (p *problems) shared(i *Inventory) {
	owners := map[string][]Node{}
	for _, n := range i.Nodes {
		if n.ID != (attest.PlatformID{}) {
			owners[n.ID.String()] = append(owners[n.ID.String()], n)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(owners)) {
		if nodes := owners[id]; len(nodes) > 1 {
			p.add(Shared, names(nodes), "one platform ID on %d nodes: %s: %s", len(nodes), enumerate(names(nodes)), nodes[0].ID)
		}
	}
}

func names(nodes []Node) []string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.Name)
	}
	return names
}

// mixed refuses IDs of two generations: a CAS knows only one of them.
func (p *problems) mixed(i *Inventory) {
	members := map[attest.Generation][]string{}
	for _, n := range i.Nodes {
		if n.ID != (attest.PlatformID{}) {
			members[n.ID.Generation()] = append(members[n.ID.Generation()], n.Name)
		}
	}
	p.mixedMembers("on nodes", members)
}

func (p *problems) mixedList(ids []attest.PlatformID) {
	members := map[attest.Generation][]string{}
	for _, id := range ids {
		members[id.Generation()] = append(members[id.Generation()], id.String())
	}
	p.mixedMembers("of", members)
}

func (p *problems) mixedMembers(where string, members map[attest.Generation][]string) {
	if len(members) < 2 {
		return
	}
	var parts []string
	for _, g := range slices.Sorted(maps.Keys(members)) {
		parts = append(parts, fmt.Sprintf("%s %s %s", g, where, enumerate(members[g])))
	}
	p.add(Mixed, nil, "mixed generations, of which a CAS knows one: %s", strings.Join(parts, "; "))
}

// missing refuses usable nodes without ID: an enclave that lands there would be
// turned away by CAS.
func (p *problems) missing(i *Inventory, pods map[string][]PodFacts) {
	byCause := map[string][]string{}
	for _, n := range i.Nodes {
		if n.Usable && n.ID == (attest.PlatformID{}) && !p.disputed[n.Name] {
			cause := missingCause(pods[n.Name])
			byCause[cause] = append(byCause[cause], n.Name)
		}
	}
	for _, cause := range slices.Sorted(maps.Keys(byCause)) {
		p.add(Missing, byCause[cause], "SGX node without platform ID: %s: %s", enumerate(byCause[cause]), cause)
	}
}

func missingCause(pods []PodFacts) string {
	for _, pod := range pods {
		if pod.LogError != "" {
			return pod.LogError
		}
	}
	if len(pods) > 0 {
		return "the log of its LAS pod names none"
	}
	return "no source names one"
}

// empty refuses a list without IDs, which must never come to mean any platform.
func (p *problems) empty(i *Inventory) {
	if len(i.IDs()) > 0 || len(p.found) > 0 {
		return
	}
	sgx := len(i.Nodes) - i.WithoutSGX()
	if sgx == 0 {
		p.add(Empty, nil, "empty: none of the cluster's %d nodes has SGX (neither a label nor a resource)", len(i.Nodes))
		return
	}
	var states []string
	for _, n := range i.Nodes {
		if n.SGX {
			states = append(states, fmt.Sprintf("%s (%s)", n.Name, n.Reason))
		}
	}
	p.add(Empty, nil, "empty: no SGX node has a platform ID: %s", enumerate(states))
}

// maxNames is how many nodes a message names.
const maxNames = 10

func enumerate(names []string) string {
	if len(names) <= maxNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
}
