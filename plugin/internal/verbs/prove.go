package verbs

import (
	"context"
	"time"

	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
)

// Prove adds to the options what quotes prove now, and what is required.
func Prove(ctx context.Context, f *flags.Provenance, o *flags.PlatformOptions, now time.Time) error {
	if f.Quotes.Folder != "" && len(o.IDs) > 0 {
		return cli.NewUsageError("--quotes: want it without a list of platform IDs (from %s), which names no nodes", o.Origin)
	}
	proof, err := f.Resolve(now)
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
