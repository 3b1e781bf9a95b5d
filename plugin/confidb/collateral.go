package confidb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func newCollateralCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return cli.Group("collateral", "Fetch, show and carry what Intel signs about platforms",
		newCollateralFetchCommand(streams), newCollateralShowCommand(streams), newCollateralExportCommand(streams))
}

func newCollateralFetchCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &collateralFetch{}
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "fetch (--quote FILE | --fmspc HEX)",
		Short: "Fetch collateral from Intel or a PCCS, verify it, and write bundles",
		Long: `Fetches the TCB info, the QE identity and the revocation lists for a family of
processors (FMSPC) from Intel, or from the cache (PCCS) that --from names. Verifies
everything, and writes DIR/<fmspc>-<ca>.json for each family and CA. What is forged,
not current, or for another family is not written.

A bundle is never replaced by one of an older evaluation of Intel's, or with older
parts: under them a platform may look better than it is. One that is current and
younger than --max-age is left alone.

Without a way to Intel: fetch on a machine that has one, carry the folder, and take
it over with --from DIR, which goes by the same rules. Give a bundle or the folder to
other commands with --collateral. Intel signs for 30 days: refresh at least that
often. Using it longer must be said (collateral-grace in a policy, --collateral-grace)
and makes every verdict a warning.

A quote only says which collateral is wanted; it is not verified here. Needs no
rights in a cluster.`,
		Example: `  # what the platforms of these quotes need
  kubectl confidb collateral fetch --quote node-1.bin,node-2.bin

  # a family by its number, from a PCCS whose certificate nobody knows
  kubectl confidb collateral fetch --fmspc 00606a000000 --ca platform \
    --from https://pccs.example.org:8081 --insecure-pccs-tls

  # on the machine without a way to Intel: take over what was carried
  kubectl confidb collateral fetch --from /media/usb/collateral --to collateral/`,
		Args: cli.AtMost(0),
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return o.run(ctx, time.Now(), streams)
		},
	}
	o.addFlags(c.Flags())
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait at most")
	return c
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
	o.when.Root.AddFlags(f)
	flags.AddResult(f, &o.output, &o.acceptSimulated)
}

// run fetches collateral, verifies it, and writes what is not older than what is there.
func (o *collateralFetch) run(ctx context.Context, now time.Time, streams genericiooptions.IOStreams) error {
	s, err := o.options(now)
	if err != nil {
		return err
	}
	wanted, err := o.what.Resolve(s, streams.In)
	if err != nil {
		return err
	}
	refresh := collateral.Refresh{Origin: wanted.Origin, Folder: bundleFolder(o.to), Options: s, Keep: wanted.Keep}
	all, problems := refresh.All(ctx, wanted.Requests)
	if len(all) == 0 {
		return problems
	}
	return cmp.Or(problems, o.conclude(streams, all, s, false))
}

// bundleFolder is a folder with bundles. Everybody may read them: Intel publishes them.
type bundleFolder string

// Path is where a bundle is.
func (f bundleFolder) Path(name string) string { return filepath.Join(string(f), name+".json") }

// Read returns a bundle, and whether there is one.
func (f bundleFolder) Read(name string) ([]byte, bool, error) {
	text, err := files.Read(f.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	return text, err == nil, err
}

// Replace writes a bundle as a whole.
func (f bundleFolder) Replace(name string, text []byte) error {
	return files.Replace(f.Path(name), text, files.Public)
}

// collateralResult is what the verbs about collateral share: when it must verify,
// under which root, and how the result is printed.
type collateralResult struct {
	output          string
	acceptSimulated bool
	when            flags.Verification
}

func (o *collateralResult) addFlags(f *pflag.FlagSet) {
	o.when.AddFlags(f)
	flags.AddResult(f, &o.output, &o.acceptSimulated)
}

func (o *collateralResult) options(now time.Time) (sgx.Options, error) {
	if err := cli.CheckFormat(o.output); err != nil {
		return sgx.Options{}, err
	}
	return o.when.Resolve(now)
}

// conclude prints all bundles and returns the exit code of the worst.
func (o *collateralResult) conclude(streams genericiooptions.IOStreams, all []collateral.Bundle, s sgx.Options, details bool) error {
	d := printers.NewCollateral(all, s)
	d.Details = details
	if err := printers.Print(streams.Out, o.output, d); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return cli.Conclude(d.Verdict, d.Simulated, o.acceptSimulated)
}

func newCollateralShowCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &collateralResult{}
	c := &cobra.Command{
		Use:   "show DIR|bundle.json",
		Short: "Verify collateral, and say what it is for and how long it is current",
		Long: `Verifies the bundles in a folder, or one of them, and says for which family of
processors each is, which evaluation of Intel's, and how many days are left for each
part. Folders of single files, as of Intel's sample data, are read as well.

Fetches nothing, and needs no rights in a cluster.`,
		Example: `  kubectl confidb collateral show collateral/

  # will it do next week?
  kubectl confidb collateral show bundle.json --at 2026-12-02T12:00:00Z`,
		Args: cli.Exactly(1, "the name of one folder or bundle"),
		RunE: func(_ *cobra.Command, arguments []string) error { return o.show(arguments[0], time.Now(), streams) },
	}
	o.addFlags(c.Flags())
	return c
}

// show verifies the collateral in a folder or a bundle, and says what it is for.
func (o *collateralResult) show(path string, now time.Time, streams genericiooptions.IOStreams) error {
	s, err := o.options(now)
	if err != nil {
		return err
	}
	all, err := flags.ReadBundles(path, s)
	if err != nil {
		return fmt.Errorf("reading the collateral: %w", err)
	}
	return o.conclude(streams, all, s, true)
}

func newCollateralExportCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &collateralExport{}
	c := &cobra.Command{
		Use:   "export DIR|bundle.json --to FILE.json|DIR",
		Short: "Write collateral as one bundle, or as a folder of single files",
		Long: `Writes one family's collateral in the other form: a bundle has the field names of
Intel's sgx_ql_qve_collateral_t and is what commands take with --collateral; a folder
holds tcbInfo.json, qeIdentity.json, tcbSignChain.pem, rootCaCrl.der, pckCaCrl.der and
pckSignChain.pem, for other tools. The PCK certificate of one machine is left out.

Verified before it is written: what is forged or out of date is refused; what cannot
be verified because a part is missing is written, with exit code 4. The target must
not exist. To carry several families, copy the folder that collateral fetch wrote.

Fetches nothing, and needs no rights in a cluster.`,
		Example: `  kubectl confidb collateral export collateral/ --to bundle.json
  kubectl confidb collateral export bundle.json --to files/`,
		Args: cli.Exactly(1, "the name of one folder or bundle"),
		RunE: func(_ *cobra.Command, arguments []string) error { return o.run(arguments[0], time.Now(), streams) },
	}
	c.Flags().StringVar(&o.to, "to", "", "what to write: FILE.json becomes a bundle, any other name a folder of single files")
	o.addFlags(c.Flags())
	return c
}

// collateralExport are the options of writing collateral in another form.
type collateralExport struct {
	collateralResult
	to string
}

// run writes one bundle as a folder of single files, or the other way round.
func (o *collateralExport) run(path string, now time.Time, streams genericiooptions.IOStreams) error {
	s, err := o.options(now)
	if err != nil {
		return err
	}
	if o.to == "" {
		return cli.NewUsageError("no target given: want --to FILE.json or --to DIR")
	}
	all, err := flags.ReadBundles(path, s)
	if err != nil {
		return fmt.Errorf("reading the collateral: %w", err)
	}
	if len(all) != 1 {
		return cli.NewUsageError("%s: got %d bundles, want one of them: %s", path, len(all), strings.Join(collateral.Names(all), " "))
	}
	if err := all[0].Exportable(); err != nil {
		return err
	}
	if err := export(o.to, all[0].Collateral); err != nil {
		return fmt.Errorf("exporting to %s: %w", o.to, err)
	}
	all[0].File, all[0].Done = o.to, collateral.Written
	return o.conclude(streams, all, s, false)
}

// export writes what is not there yet. The certificate of one machine is left out:
// it is personal data, and collateral is for all of its family.
func export(to string, c *sgx.Collateral) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.New("want a name that is free, so that nothing old stays between the new")
	}
	if filepath.Ext(to) == ".json" {
		text, err := c.Bundle()
		if err != nil {
			return err
		}
		return files.Replace(to, text, files.Public)
	}
	shared := *c
	shared.PCKCertificate = nil
	return files.CreateFolder(to, shared.Files(), files.Public)
}
