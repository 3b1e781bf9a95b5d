// Package inventory keeps what is known of a cluster's machines in a file that
// people review, merges what is seen now into it, and compares the machines with
// what sessions admit. It does no I/O and reads no clock.
package inventory

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/sgx"
)

// Kind names the document.
const Kind = "confidb.inventory/v1"

// File is an inventory. The zero File knows no machine.
type File struct {
	// Nodes are sorted by name, each of which is there once.
	Nodes []Node
}

// Node is what is known of one node and its machine.
type Node struct {
	Name string
	// ID is never the zero PlatformID.
	ID attest.PlatformID
	// Provenance is the strongest by which this ID was ever known.
	Provenance attest.Provenance
	// Quote is what was quoted; nil unless Provenance is quoted.
	Quote *Quote
	platform.System
	// FirstSeen and LastSeen are when the cluster had this node with this ID.
	FirstSeen, LastSeen Date
	// Retired is since when the cluster no longer has the node; empty if it does.
	Retired Date
}

// Quote is what Intel's collateral says of a machine.
type Quote struct {
	// FMSPC is 12 lower-case hexadecimal digits.
	FMSPC            string
	Status           sgx.TCBStatus
	EvaluationNumber int
}

// Date is a day as RFC 3339 writes it (full-date), in UTC. The zero value is none.
type Date string

// DateOf returns the day of a time.
func DateOf(t time.Time) Date { return Date(t.UTC().Format(time.DateOnly)) }

// ParseDate reads a day.
func ParseDate(text string) (Date, error) {
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return "", fmt.Errorf("got %.40q, want a day such as 2026-11-25", text)
	}
	return Date(text), nil
}

// Node returns the node of a name, or nil.
func (f *File) Node(name string) *Node {
	at, ok := slices.BinarySearchFunc(f.Nodes, name, func(n Node, name string) int { return cmp.Compare(n.Name, name) })
	if !ok {
		return nil
	}
	return &f.Nodes[at]
}

// Claims returns the nodes that are not retired as what the user says of them. name
// is the file's.
func (f *File) Claims(name string) []platform.Claim {
	var claims []platform.Claim
	for _, n := range f.Nodes {
		if n.Retired == "" {
			claims = append(claims, platform.Claim{Node: n.Name, ID: n.ID, Source: platform.SourceFile, Origin: name})
		}
	}
	return claims
}

// ReadClaims reads what the user says of nodes: an inventory, or what platform.ParseFile
// reads. name is the file's.
func ReadClaims(name string, text []byte) ([]platform.Claim, error) {
	if !IsFile(text) {
		return platform.ParseFile(name, text)
	}
	f, err := Parse(name, text)
	if err != nil {
		return nil, err
	}
	return f.Claims(name), nil
}

// head explains the file to whoever reviews it.
const head = `# The machines of this cluster, and how their platform IDs are known.
# kubectl confidb platforms inventory THIS-FILE --write brings it up to date.
kind: ` + Kind + `
`

// Render returns the document. It is the same for equal inventories, and what Parse
// reads. Text is always quoted, because a node may be called true or 1e3.
func (f *File) Render() []byte {
	var b bytes.Buffer
	b.WriteString(head)
	if len(f.Nodes) == 0 {
		b.WriteString("nodes: []\n")
		return b.Bytes()
	}
	b.WriteString("nodes:\n")
	for _, n := range f.Nodes {
		n.render(&b)
	}
	return b.Bytes()
}

func (n Node) render(b *bytes.Buffer) {
	fmt.Fprintf(b, "- node: %s\n  platformID: %s\n  generation: %s\n  provenance: %s\n", quote(n.Name), quote(n.ID.String()), n.ID.Generation(), n.Provenance)
	if n.Quote != nil {
		fmt.Fprintf(b, "  fmspc: %s\n  tcbStatus: %s\n  tcbEvaluation: %d\n", quote(n.Quote.FMSPC), n.Quote.Status, n.Quote.EvaluationNumber)
	}
	for _, line := range []struct{ key, value string }{
		{"kernelVersion", n.KernelVersion}, {"osImage", n.OSImage}, {"bootID", n.BootID},
		{"firstSeen", string(n.FirstSeen)}, {"lastSeen", string(n.LastSeen)}, {"retired", string(n.Retired)},
	} {
		if line.value != "" {
			fmt.Fprintf(b, "  %s: %s\n", line.key, quote(line.value))
		}
	}
}

// quote writes text as a string of JSON, which is one of YAML as well.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return `""` // text always is JSON
	}
	return string(quoted)
}
