package flags

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/fleet"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Quotes are the flags that say where quotes of nodes are and what they are compared
// with.
type Quotes struct {
	// Folder holds the quotes; empty without any.
	Folder string
	// Collateral and Policy are files; empty without any.
	Collateral, Policy string
	Root               Root
	Time               Time
}

// AddFlags registers the flags.
func (q *Quotes) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&q.Folder, "quotes", "", "folder with one quote for each node: NODE.bin, NODE.quote or NODE.dat")
	flags.StringVar(&q.Collateral, "collateral", "", "folder or bundle.json with Intel's TCB info, QE identity, certificate chains and CRLs; a folder may hold bundles of several processor families")
	flags.StringVar(&q.Policy, "policy", "", "file with accepted TCB deviations (kind "+policy.Kind+"; default: nothing beside UpToDate is accepted)")
	q.Root.AddFlags(flags)
	q.Time.AddFlags(flags)
}

// Resolve reads what quotes are compared with.
func (q *Quotes) Resolve(now time.Time) (*fleet.Appraiser, error) {
	accepted, err := q.readPolicy()
	if err != nil {
		return nil, err
	}
	at, err := q.Time.Resolve(now)
	if err != nil {
		return nil, err
	}
	roots, err := q.Root.Resolve()
	if err != nil {
		return nil, err
	}
	set, err := q.readCollateral()
	if err != nil {
		return nil, err
	}
	return fleet.NewAppraiser(set, accepted.Freshness.Options(at, roots), accepted.CAS), nil
}

func (q *Quotes) readPolicy() (*policy.Policy, error) {
	if q.Policy == "" {
		return &policy.Policy{}, nil
	}
	text, err := files.Read(q.Policy)
	if err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	return policy.Parse(q.Policy, text)
}

func (q *Quotes) readCollateral() (sgx.CollateralSet, error) {
	if q.Collateral == "" {
		return nil, nil
	}
	texts, err := ReadCollateral(q.Collateral)
	if err != nil {
		return nil, fmt.Errorf("--collateral: %w", err)
	}
	set, err := sgx.CollateralFromFiles(texts)
	if err != nil {
		return nil, fmt.Errorf("--collateral: %s: %w", q.Collateral, err)
	}
	return set, nil
}

// Evidence names the files with the quotes of nodes.
type Evidence map[string]string

// maxEvidence bounds the number of files with quotes.
const maxEvidence = 50_000

// Evidence returns the files in the folder and those of arguments NODE=FILE.
func (q *Quotes) Evidence(arguments ...string) (Evidence, error) {
	e := Evidence{}
	for _, argument := range arguments {
		node, file, _ := strings.Cut(argument, "=")
		if node == "" || file == "" {
			return nil, cli.NewUsageError("got %q, want NODE=FILE", argument)
		}
		if err := e.add(node, file); err != nil {
			return nil, err
		}
	}
	if q.Folder == "" {
		return e, nil
	}
	names, err := files.List(q.Folder, maxEvidence, isQuote)
	if err != nil {
		return nil, fmt.Errorf("--quotes: %w", err)
	}
	if len(names) == 0 {
		return nil, cli.NewUsageError("--quotes: got no quote in %s, want files NODE with one of %s", q.Folder, strings.Join(quoteExtensions(), " "))
	}
	for _, name := range names {
		if err := e.add(strings.TrimSuffix(name, filepath.Ext(name)), filepath.Join(q.Folder, name)); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// quoteExtensions are how names of files with quotes end.
func quoteExtensions() []string { return []string{".bin", ".quote", ".dat"} }

func isQuote(name string) bool { return slices.Contains(quoteExtensions(), filepath.Ext(name)) }

func (e Evidence) add(node, file string) error {
	if problems := validation.IsDNS1123Subdomain(node); len(problems) > 0 {
		return cli.NewUsageError("%s: got %q, want the name of a node", file, node)
	}
	if other, ok := e[node]; ok {
		return cli.NewUsageError("node %q has two files with evidence, %s and %s; want one", node, other, file)
	}
	e[node] = file
	return nil
}

// Nodes are the names of the nodes, sorted.
func (e Evidence) Nodes() []string { return slices.Sorted(maps.Keys(e)) }

// Machines reads the quotes of all nodes.
func (e Evidence) Machines() ([]fleet.Machine, error) {
	var all []fleet.Machine
	for _, node := range e.Nodes() {
		m, err := e.Machine(node, attest.PlatformID{})
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Machine reads the quote of a node, if there is one, of which the cluster claims an ID.
func (e Evidence) Machine(node string, claimed attest.PlatformID) (fleet.Machine, error) {
	m := fleet.Machine{Node: node, Origin: e[node], ID: claimed}
	if m.Origin == "" {
		return m, nil
	}
	var err error
	if m.Quote, err = files.Read(m.Origin); err != nil {
		return m, fmt.Errorf("evidence of node %q: %w", node, err)
	}
	return m, nil
}
