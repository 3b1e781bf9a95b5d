package flags

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/fleet"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/pcs"
	"github.com/confidb/confidb/pkg/platform"
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
	// When has no freshness, which the policy says.
	When Verification
}

// AddFlags registers the flags.
func (q *Quotes) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&q.Folder, "quotes", "", "folder with one quote for each node: NODE.bin, NODE.quote or NODE.dat")
	flags.StringVar(&q.Collateral, "collateral", "", "folder or bundle.json with Intel's TCB info, QE identity, certificate chains and CRLs; a folder may hold bundles of several processor families")
	flags.StringVar(&q.Policy, "policy", "", "file with accepted TCB deviations (kind "+policy.Kind+"; default: nothing beside UpToDate is accepted)")
	q.When.AddRoot(flags)
	q.When.AddTime(flags)
}

// Resolve reads what quotes are compared with.
func (q *Quotes) Resolve(now time.Time) (*fleet.Appraiser, error) {
	accepted, err := readPolicy(q.Policy)
	if err != nil {
		return nil, err
	}
	o, err := q.When.Resolve(now)
	if err != nil {
		return nil, err
	}
	_, set, err := readCollateral(q.Collateral)
	if err != nil {
		return nil, err
	}
	return fleet.NewAppraiser(set, accepted.Freshness.Options(o.Time, o.Roots), accepted.CAS), nil
}

// readPolicy reads a policy. That without a name accepts nothing.
func readPolicy(file string) (*policy.Policy, error) {
	if file == "" {
		return &policy.Policy{}, nil
	}
	text, err := files.Read(file)
	if err != nil {
		return nil, fmt.Errorf("--policy: %w", err)
	}
	return policy.Parse(file, text)
}

// readCollateral reads a folder or one bundle, and refuses what is no collateral. There
// is none without a name.
func readCollateral(path string) (map[string][]byte, sgx.CollateralSet, error) {
	if path == "" {
		return nil, nil, nil
	}
	texts, err := pcs.ReadFiles(path)
	if err != nil {
		return nil, nil, fmt.Errorf("--collateral: %w", err)
	}
	set, err := sgx.CollateralFromFiles(texts)
	if err != nil {
		return nil, nil, fmt.Errorf("--collateral: %s: %w", path, err)
	}
	return texts, set, nil
}

// maxEvidence bounds the number of files with quotes.
const maxEvidence = 50_000

// Evidence returns the files in the folder and those of arguments NODE=FILE.
func (q *Quotes) Evidence(arguments ...string) (fleet.Evidence, error) {
	e, err := fleet.NewEvidence(arguments...)
	if err != nil {
		return nil, cli.NewUsageError("%w", err)
	}
	if q.Folder == "" {
		return e, nil
	}
	names, err := files.List(q.Folder, maxEvidence, fleet.IsQuote)
	if err != nil {
		return nil, fmt.Errorf("--quotes: %w", err)
	}
	if len(names) == 0 {
		return nil, cli.NewUsageError("--quotes: got no quote in %s, want files NODE with one of %s", q.Folder, strings.Join(fleet.QuoteExtensions(), " "))
	}
	if err := e.AddFolder(q.Folder, names); err != nil {
		return nil, cli.NewUsageError("%w", err)
	}
	return e, nil
}

// Provenance are the flags by which the user proves platform IDs, and says how well
// they must be known.
type Provenance struct {
	Quotes Quotes
	// Require is quoted, declared or empty.
	Require string
}

// AddFlags registers the flags.
func (f *Provenance) AddFlags(flags *pflag.FlagSet) {
	f.Quotes.AddFlags(flags)
	flags.Lookup("policy").Usage = "file that says how fresh collateral must be (default: its own dates count)"
	flags.StringVar(&f.Require, "require-provenance", "", "refuse platform IDs that are known less well: quoted or declared (default: none is refused)")
}

// Resolve adds to the options what quotes prove now, and what is required.
func (f *Provenance) Resolve(ctx context.Context, o *machines.Options, now time.Time) (err error) {
	q := &f.Quotes
	if q.Folder != "" && len(o.IDs) > 0 {
		return cli.NewUsageError("--quotes: want it without a list of platform IDs (from %s), which names no nodes", o.Origin)
	}
	if o.Require, err = platform.ParseProvenance(f.Require); err != nil {
		return cli.NewUsageError("--require-provenance: %w", err)
	}
	if q.Folder == "" {
		return q.unused()
	}
	if q.Collateral == "" {
		return cli.NewUsageError("--quotes: want --collateral as well: a quote that is not verified proves nothing")
	}
	evidence, err := q.Evidence()
	if err != nil {
		return err
	}
	appraiser, err := q.Resolve(now)
	if err != nil {
		return err
	}
	quoted, err := evidence.Machines(files.Read)
	if err != nil {
		return err
	}
	o.Simulated = appraiser.Simulated()
	o.Quotes, err = appraiser.Quoted(ctx, quoted)
	return err
}

// unused refuses flags that would do nothing without quotes.
func (q *Quotes) unused() error {
	for _, flag := range []struct{ name, value string }{{"collateral", q.Collateral}, {"policy", q.Policy}, {"sgx-root-ca", q.When.RootCA}, {"at", q.When.at}} {
		if flag.value != "" {
			return cli.NewUsageError("--%s: want --quotes as well: it says what quotes are compared with", flag.name)
		}
	}
	return nil
}
