package fleet

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/confidb/confidb/pkg/attest"
)

// Evidence names the files with the quotes of nodes.
type Evidence map[string]string

// QuoteExtensions are how names of files with quotes end.
func QuoteExtensions() []string { return []string{".bin", ".quote", ".dat"} }

// IsQuote reports whether a file is named as those with quotes are.
func IsQuote(name string) bool { return slices.Contains(QuoteExtensions(), filepath.Ext(name)) }

// NewEvidence reads entries NODE=FILE.
func NewEvidence(entries ...string) (Evidence, error) {
	e := Evidence{}
	for _, entry := range entries {
		node, file, _ := strings.Cut(entry, "=")
		if node == "" || file == "" {
			return nil, fmt.Errorf("got %q, want NODE=FILE", entry)
		}
		if err := e.add(node, file); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// AddFolder adds files of a folder, each of which is named after its node.
func (e Evidence) AddFolder(folder string, names []string) error {
	for _, name := range names {
		if err := e.add(strings.TrimSuffix(name, filepath.Ext(name)), filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}

func (e Evidence) add(node, file string) error {
	if problems := validation.IsDNS1123Subdomain(node); len(problems) > 0 {
		return fmt.Errorf("%s: got %q, want the name of a node", file, node)
	}
	if other, ok := e[node]; ok {
		return fmt.Errorf("node %q has two files with evidence, %s and %s; want one", node, other, file)
	}
	e[node] = file
	return nil
}

// Nodes are the names of the nodes, sorted.
func (e Evidence) Nodes() []string { return slices.Sorted(maps.Keys(e)) }

// Machines are all nodes with their quotes. read returns the content of a file.
func (e Evidence) Machines(read func(file string) ([]byte, error)) ([]Machine, error) {
	var all []Machine
	for _, node := range e.Nodes() {
		m, err := e.Machine(node, attest.PlatformID{}, read)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Machine is a node with its quote, if there is one, of which the cluster claims an ID.
func (e Evidence) Machine(node string, claimed attest.PlatformID, read func(file string) ([]byte, error)) (Machine, error) {
	m := Machine{Node: node, Origin: e[node], ID: claimed}
	if m.Origin == "" {
		return m, nil
	}
	var err error
	if m.Quote, err = read(m.Origin); err != nil {
		return m, fmt.Errorf("evidence of node %q: %w", node, err)
	}
	return m, nil
}
