package confidb

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/plugin/internal/verbs"
)

func newCollateralCommand(streams genericiooptions.IOStreams) *cobra.Command {
	return newGroup("collateral", "Fetch, show and carry what Intel signs about platforms",
		newCollateralFetchCommand(streams), newCollateralShowCommand(streams), newCollateralExportCommand(streams))
}

func newCollateralFetchCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &verbs.CollateralFetch{CollateralResult: verbs.CollateralResult{Now: time.Now}}
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
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := verbs.CheckFormat(o.Output); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			return o.Run(ctx, streams)
		},
	}
	o.AddFlags(c.Flags())
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait at most")
	return c
}

func newCollateralShowCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &verbs.CollateralShow{CollateralResult: verbs.CollateralResult{Now: time.Now}}
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
		Args: exactlyOne("folder or bundle"),
		RunE: func(_ *cobra.Command, arguments []string) error {
			if err := verbs.CheckFormat(o.Output); err != nil {
				return err
			}
			return o.Run(arguments[0], streams)
		},
	}
	o.AddFlags(c.Flags())
	return c
}

func newCollateralExportCommand(streams genericiooptions.IOStreams) *cobra.Command {
	o := &verbs.CollateralExport{CollateralResult: verbs.CollateralResult{Now: time.Now}}
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
		Args: exactlyOne("folder or bundle"),
		RunE: func(_ *cobra.Command, arguments []string) error {
			if err := verbs.CheckFormat(o.Output); err != nil {
				return err
			}
			return o.Run(arguments[0], streams)
		},
	}
	o.AddFlags(c.Flags())
	return c
}
