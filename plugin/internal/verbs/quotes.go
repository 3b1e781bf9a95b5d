package verbs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// quoteFlags say where quotes of nodes are and what they are compared with.
type quoteFlags struct{ quotes, collateral, policy, rootCA, at string }

func (f *quoteFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.quotes, "quotes", "", "folder with one quote for each node: NODE.bin, NODE.quote or NODE.dat")
	flags.StringVar(&f.collateral, "collateral", "", "folder or bundle.json with Intel's TCB info, QE identity, certificate chains and CRLs; a folder may hold bundles of several processor families")
	flags.StringVar(&f.policy, "policy", "", "file with accepted TCB deviations (kind "+policy.Kind+"; default: nothing beside UpToDate is accepted)")
	flags.StringVar(&f.rootCA, "sgx-root-ca", "", "PEM root certificate to use instead of Intel's; the result is then simulated")
	flags.StringVar(&f.at, "at", "", "time of the verification, RFC 3339 (default now)")
}

// maxEvidence bounds the number of files with quotes.
const maxEvidence = 50_000

func addEvidence(files map[string]string, node, file string) error {
	if problems := validation.IsDNS1123Subdomain(node); len(problems) > 0 {
		return cli.NewUsageError("%s: got %q, want the name of a node", file, node)
	}
	if other, ok := files[node]; ok {
		return cli.NewUsageError("node %q has two files with evidence, %s and %s; want one", node, other, file)
	}
	files[node] = file
	return nil
}

// quoteExtensions are how names of files with quotes end.
func quoteExtensions() []string { return []string{".bin", ".quote", ".dat"} }

func readQuotesFolder(files map[string]string, folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("--quotes: %w", err)
	}
	found := 0
	for _, e := range entries {
		extension := filepath.Ext(e.Name())
		if !slices.Contains(quoteExtensions(), extension) {
			continue
		}
		if found++; found > maxEvidence {
			return cli.NewUsageError("--quotes: got more than %d files in %s", maxEvidence, folder)
		}
		if err := addEvidence(files, strings.TrimSuffix(e.Name(), extension), filepath.Join(folder, e.Name())); err != nil {
			return err
		}
	}
	if found == 0 {
		return cli.NewUsageError("--quotes: got no quote in %s, want files NODE with one of %s", folder, strings.Join(quoteExtensions(), " "))
	}
	return nil
}

// appraiser reads what everything is compared with.
func (f *quoteFlags) appraiser(now func() time.Time) (*tcbAppraiser, error) {
	a := &tcbAppraiser{families: map[family]*opened{}, opened: map[*sgx.Collateral]*opened{}}
	var freshness attest.Freshness
	if f.policy != "" {
		text, err := readBounded(f.policy)
		if err != nil {
			return nil, fmt.Errorf("--policy: %w", err)
		}
		p, err := policy.Parse(f.policy, text)
		if err != nil {
			return nil, err
		}
		a.policy, freshness = p.CAS, p.Freshness
	}
	var err error
	one := AttestQuote{Now: now, rootCA: f.rootCA, at: f.at, grace: freshness.Grace, maxAge: freshness.MaxAge, minEvaluation: freshness.MinEvaluationNumber}
	if a.options, err = one.options(); err != nil {
		return nil, err
	}
	if f.collateral == "" {
		return a, nil
	}
	files, err := readCollateralFiles(f.collateral)
	if err == nil {
		a.set, err = sgx.CollateralFromFiles(files)
	}
	if err != nil {
		return nil, fmt.Errorf("--collateral: %s: %w", f.collateral, err)
	}
	return a, nil
}
