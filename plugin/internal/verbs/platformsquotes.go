package verbs

import (
	"context"
	"time"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
)

// ProvenanceFlags are the flags by which the user proves platform IDs, and says how
// well they must be known.
type ProvenanceFlags struct{ flags.Provenance }

// resolve adds to the options what quotes prove, and what is required.
func (f *ProvenanceFlags) resolve(ctx context.Context, o *PlatformOptions, now func() time.Time) error {
	if f.Quotes.Folder != "" && len(o.IDs) > 0 {
		return cli.NewUsageError("--quotes: want it without a list of platform IDs (from %s), which names no nodes", o.Origin)
	}
	proof, err := f.Resolve(now())
	if err != nil {
		return err
	}
	o.Require = proof.Require
	if proof.Appraiser == nil {
		return nil
	}
	o.Simulated = proof.Appraiser.Simulated()
	o.Quotes, err = proof.Appraiser.Quoted(ctx, proof.Machines)
	return err
}
