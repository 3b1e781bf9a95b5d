package inventory

import (
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/platform"
)

// Entry is how a merge changes one node. Was and Is are short texts.
type Entry struct {
	Node string `json:"node"`
	// What is one of the words below.
	What Word   `json:"what"`
	Was  string `json:"was"`
	Is   string `json:"is"`
	// Needs is why somebody has to accept it by name; empty if nobody has to.
	Needs string `json:"needs"`
}

// Word says what happens to a node in the inventory.
type Word string

// The words of a merge.
const (
	Added    Word = "added"
	NewID    Word = "new-id"
	Updated  Word = "updated"
	Returned Word = "returned"
	Retired  Word = "retired"
)

// ConflictError means that nodes changed in a way that nobody accepted.
type ConflictError struct{ Nodes []string }

func (e *ConflictError) Error() string {
	return "nobody accepted the new identity of: " + strings.Join(e.Nodes, ", ")
}

// Verdict is that of a promise that is contradicted.
func (e *ConflictError) Verdict() check.Verdict { return check.Contraindicated }

// Hint says how to accept it.
func (e *ConflictError) Hint() string {
	return "Find out why each machine has another identity; then accept them by name: {platforms inventory FILE --write --accept-change " + strings.Join(e.Nodes, " --accept-change ") + "}."
}

// Merge returns the inventory after nodes were seen on a day, and what is different.
// A node that is not seen is retired and stays in the file. A node with another ID,
// and an ID that another node has or had, must be accepted by the node's name, or the
// error is a *ConflictError; the differences are returned even then. To accept what
// does not need it is an error as well: the next time it might.
func (f *File) Merge(nodes []platform.Node, today Date, accept []string) (*File, []Entry, error) {
	m := merge{today: today, owners: owners(f, nodes), after: map[string]Node{}}
	for _, n := range f.Nodes {
		m.after[n.Name] = n
	}
	seen := map[string]bool{}
	for _, n := range nodes {
		seen[n.Name] = true
		if n.SGX && n.ID != (attest.PlatformID{}) {
			m.see(n, f.Node(n.Name))
		}
	}
	for _, n := range f.Nodes {
		if !seen[n.Name] && n.Retired == "" {
			m.retire(n)
		}
	}
	sort.Slice(m.entries, func(i, j int) bool { return m.entries[i].Node < m.entries[j].Node })
	after := &File{}
	for _, name := range slices.Sorted(maps.Keys(m.after)) {
		after.Nodes = append(after.Nodes, m.after[name])
	}
	return after, m.entries, refuse(m.entries, accept)
}

// refuse compares what must be accepted with what was.
func refuse(entries []Entry, accept []string) error {
	var needed, open []string
	for _, e := range entries {
		if e.Needs == "" {
			continue
		}
		needed = append(needed, e.Node)
		if !slices.Contains(accept, e.Node) {
			open = append(open, e.Node)
		}
	}
	if len(open) > 0 {
		return &ConflictError{open}
	}
	for _, name := range accept {
		if !slices.Contains(needed, name) {
			return fmt.Errorf("accepting the change of node %q: there is none that has to be accepted", name)
		}
	}
	return nil
}

// owners are the nodes, by ID, that have it now or had it in the file.
func owners(f *File, nodes []platform.Node) map[string][]string {
	all := map[string][]string{}
	add := func(id attest.PlatformID, name string) {
		if k := id.String(); !slices.Contains(all[k], name) {
			all[k] = append(all[k], name)
		}
	}
	for _, n := range f.Nodes {
		add(n.ID, n.Name)
	}
	for _, n := range nodes {
		if n.SGX && n.ID != (attest.PlatformID{}) {
			add(n.ID, n.Name)
		}
	}
	return all
}

// merge is one while it is made.
type merge struct {
	today   Date
	owners  map[string][]string
	after   map[string]Node
	entries []Entry
}

func (m *merge) add(name string, what Word, was, is, needs string) {
	m.entries = append(m.entries, Entry{name, what, was, is, needs})
}

// see enters a node with an ID.
func (m *merge) see(n platform.Node, before *Node) {
	now := Node{Name: n.Name, ID: n.ID, Provenance: n.Provenance, Quote: quoteOf(n.Quote), System: clean(n.System), FirstSeen: m.today, LastSeen: m.today}
	switch {
	case before == nil:
		m.add(n.Name, Added, "", n.ID.String(), m.elsewhere(n))
	case before.ID != n.ID:
		needs := "it had another ID"
		if other := m.elsewhere(n); other != "" {
			needs += ", and " + other
		}
		m.add(n.Name, NewID, before.ID.String(), n.ID.String(), needs)
	default:
		now = m.again(now, *before)
	}
	m.after[n.Name] = now
}

// again enters a node that is known with this ID: what was proven stays proven, and
// a clock that went back does not make the file say so.
func (m *merge) again(now, before Node) Node {
	now.ID, now.FirstSeen, now.LastSeen = before.ID, before.FirstSeen, max(before.LastSeen, m.today)
	if rank(before.Provenance) > rank(now.Provenance) {
		now.Provenance, now.Quote = before.Provenance, before.Quote
	}
	if before.Retired != "" {
		m.add(now.Name, Returned, "retired "+string(before.Retired), "", "")
	}
	if was, is := difference(before, now); was != is {
		m.add(now.Name, Updated, was, is, "")
	}
	return now
}

// rank orders provenances.
func rank(p attest.Provenance) int {
	return slices.Index([]attest.Provenance{attest.Claimed, attest.Declared, attest.Quoted}, p)
}

func (m *merge) retire(n Node) {
	n.Retired = max(m.today, n.LastSeen)
	m.add(n.Name, Retired, n.ID.String(), "", "")
	m.after[n.Name] = n
}

// elsewhere says which other nodes have or had the ID of a node.
func (m *merge) elsewhere(n platform.Node) string {
	others := slices.DeleteFunc(slices.Clone(m.owners[n.ID.String()]), func(name string) bool { return name == n.Name })
	if len(others) == 0 {
		return ""
	}
	return "its ID is that of " + strings.Join(others, ", ")
}

// clean makes text of a node's fit for a line of the file.
func clean(s platform.System) platform.System {
	line := func(text string) string {
		text = strings.Map(func(r rune) rune {
			if r == utf8.RuneError || !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, text)
		runes := []rune(text)
		return string(runes[:min(len(runes), maxFree)])
	}
	return platform.System{KernelVersion: line(s.KernelVersion), OSImage: line(s.OSImage), BootID: line(s.BootID)}
}

func quoteOf(q *platform.Quote) *Quote {
	if q == nil {
		return nil
	}
	return &Quote{q.FMSPC, q.Status, q.EvaluationNumber}
}

// difference names what changed of a machine beside its ID, before and after.
func difference(before, now Node) (was, is string) {
	var old, new []string
	for _, v := range []struct{ name, was, is string }{
		{"provenance", string(before.Provenance), string(now.Provenance)},
		{"TCB", tcb(before.Quote), tcb(now.Quote)},
		{"kernel", before.KernelVersion, now.KernelVersion},
		{"OS", before.OSImage, now.OSImage},
		{"boot", before.BootID, now.BootID},
	} {
		if v.was != v.is {
			old, new = append(old, v.name+" "+v.was), append(new, v.name+" "+v.is)
		}
	}
	return strings.Join(old, ", "), strings.Join(new, ", ")
}

func tcb(q *Quote) string {
	if q == nil {
		return ""
	}
	return fmt.Sprintf("%s, evaluation %d, FMSPC %s", q.Status, q.EvaluationNumber, q.FMSPC)
}
