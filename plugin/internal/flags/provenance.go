package flags

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/fleet"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/plugin/internal/cli"
)

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

// Proof is what proves platform IDs, and what must be proven.
type Proof struct {
	Require attest.Provenance
	// Appraiser verifies the quotes of Machines; nil without quotes.
	Appraiser *fleet.Appraiser
	Machines  []fleet.Machine
}

// Resolve reads the quotes and what they are compared with.
func (f *Provenance) Resolve(now time.Time) (*Proof, error) {
	require, err := platform.ParseProvenance(f.Require)
	if err != nil {
		return nil, cli.NewUsageError("--require-provenance: %w", err)
	}
	p := &Proof{Require: require}
	if f.Quotes.Folder == "" {
		return p, f.unused()
	}
	if f.Quotes.Collateral == "" {
		return nil, cli.NewUsageError("--quotes: want --collateral as well: a quote that is not verified proves nothing")
	}
	evidence, err := f.Quotes.Evidence()
	if err != nil {
		return nil, err
	}
	if p.Appraiser, err = f.Quotes.Resolve(now); err != nil {
		return nil, err
	}
	p.Machines, err = evidence.Machines()
	return p, err
}

// unused refuses flags that would do nothing.
func (f *Provenance) unused() error {
	q := f.Quotes
	for _, flag := range []struct{ name, value string }{{"collateral", q.Collateral}, {"policy", q.Policy}, {"sgx-root-ca", q.Root.File}, {"at", q.Time.at}} {
		if flag.value != "" {
			return cli.NewUsageError("--%s: want --quotes as well: it says what quotes are compared with", flag.name)
		}
	}
	return nil
}
