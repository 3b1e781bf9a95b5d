package verbs

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// Values of --dry-run.
const (
	DryRunNone   = string(deploy.None)
	DryRunClient = string(deploy.Client)
	DryRunServer = string(deploy.Server)
)

// AddResultFlags registers how a result is printed and what it is worth.
func AddResultFlags(flags *pflag.FlagSet, output *string, acceptSimulated *bool) {
	flags.StringVarP(output, "output", "o", "", "output format: "+strings.Join(printers.Formats(), " or ")+" (default: a table)")
	flags.BoolVar(acceptSimulated, "accept-simulated", false, "exit 0 also when nothing rests on Intel's root")
}

// CheckFormat refuses an output format that there is not.
func CheckFormat(output string) error {
	if output != "" && !slices.Contains(printers.Formats(), output) {
		return cli.NewUsageError("-o: got %q, want %s", output, strings.Join(printers.Formats(), " or "))
	}
	return nil
}

// AddDryRunFlag registers --dry-run; what says what its values do.
func AddDryRunFlag(flags *pflag.FlagSet, value *string, what string) {
	flags.StringVar(value, "dry-run", DryRunNone, what)
	flags.Lookup("dry-run").NoOptDefVal = DryRunClient
}

// CheckDryRun refuses a value of --dry-run that there is not.
func CheckDryRun(value string) error {
	if !slices.Contains([]string{DryRunNone, DryRunClient, DryRunServer}, value) {
		return cli.NewUsageError("--dry-run: got %q, want none, client or server", value)
	}
	return nil
}
