package confidb

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/pcs"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newCollateralFetchCommand(env *cli.Env) *cobra.Command {
	o := collateralFetch{collateralResult: collateralResult{env: env}}
	return env.Command(cli.Verb{Name: "collateral fetch", Args: cli.AtMost(0), Flags: o.addFlags, Patience: 5 * time.Minute, Run: o.run})
}

// collateralFetch are the options of fetching collateral.
type collateralFetch struct {
	collateralResult
	what flags.Fetch
	to   string
}

func (o *collateralFetch) addFlags(f *pflag.FlagSet) {
	o.what.AddFlags(f)
	f.StringVar(&o.to, "to", "collateral", "folder for the bundles, one for each family and CA")
	o.when.AddRoot(f)
	o.result.AddFlags(f)
}

// run fetches collateral, verifies it, and writes what is not older than what is there.
func (o *collateralFetch) run(ctx context.Context, _ []string) error {
	s, err := o.options()
	if err != nil {
		return err
	}
	refresh, wanted, err := o.what.Resolve(s, o.env.In)
	if err != nil {
		return err
	}
	refresh.Folder = files.Folder{Path: o.to, Ending: ".json"}
	all, problems := refresh.All(ctx, wanted)
	if len(all) == 0 {
		return problems
	}
	return cmp.Or(problems, o.conclude(all, s, false))
}

// collateralResult is what the verbs about collateral share: when it must verify,
// under which root, and how the result is printed.
type collateralResult struct {
	env    *cli.Env
	result cli.Result
	when   flags.Verification
}

func (o *collateralResult) addFlags(f *pflag.FlagSet) {
	o.when.AddFlags(f)
	o.result.AddFlags(f)
}

func (o *collateralResult) options() (sgx.Options, error) { return o.when.Resolve(o.env.Now()) }

// conclude prints all bundles and returns the exit code of the worst.
func (o *collateralResult) conclude(all []collateral.Bundle, s sgx.Options, details bool) error {
	d := printers.NewCollateral(all, s)
	d.Details = details
	return printers.Conclude(o.env.Out, o.result, d, d.Verdict)
}

func newCollateralShowCommand(env *cli.Env) *cobra.Command {
	o := collateralResult{env: env}
	return env.Command(cli.Verb{Name: "collateral show", Args: cli.Exactly(1, "the name of one folder or bundle"), Flags: o.addFlags, AtOnce: true, Run: o.show})
}

// show verifies the collateral in a folder or a bundle, and says what it is for.
func (o *collateralResult) show(_ context.Context, arguments []string) error {
	s, err := o.options()
	if err != nil {
		return err
	}
	all, err := pcs.ReadBundles(arguments[0], s)
	if err != nil {
		return fmt.Errorf("reading the collateral: %w", err)
	}
	return o.conclude(all, s, true)
}

func newCollateralExportCommand(env *cli.Env) *cobra.Command {
	o := collateralExport{collateralResult: collateralResult{env: env}}
	return env.Command(cli.Verb{Name: "collateral export", Args: cli.Exactly(1, "the name of one folder or bundle"), Flags: o.addFlags, Run: o.run})
}

// collateralExport are the options of writing collateral in another form.
type collateralExport struct {
	collateralResult
	to string
}

func (o *collateralExport) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.to, "to", "", "what to write: FILE.json becomes a bundle, any other name a folder of single files")
	o.collateralResult.addFlags(f)
}

// run writes one bundle as a folder of single files, or the other way round.
func (o *collateralExport) run(_ context.Context, arguments []string) error {
	s, err := o.options()
	if err != nil {
		return err
	}
	if o.to == "" {
		return cli.NewUsageError("no target given: want --to FILE.json or --to DIR")
	}
	all, err := pcs.ReadBundles(arguments[0], s)
	if err != nil {
		return fmt.Errorf("reading the collateral: %w", err)
	}
	if len(all) != 1 {
		return cli.NewUsageError("%s: got %d bundles, want one of them: %s", arguments[0], len(all), strings.Join(collateral.Names(all), " "))
	}
	if err := all[0].Exportable(); err != nil {
		return err
	}
	if err := pcs.Export(o.to, all[0].Collateral); err != nil {
		return fmt.Errorf("exporting to %s: %w", o.to, err)
	}
	all[0].File, all[0].Done = o.to, collateral.Written
	return o.conclude(all, s, false)
}
