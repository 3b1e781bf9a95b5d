package flags

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// AddOutput registers the format of a result that is a text by default.
func AddOutput(flags *pflag.FlagSet, output *string) {
	flags.StringVarP(output, "output", "o", "", "output format: "+strings.Join(cli.Formats(), " or ")+" (default: text)")
}

// AddResult registers how a result is printed and what it is worth.
func AddResult(flags *pflag.FlagSet, output *string, acceptSimulated *bool) {
	flags.StringVarP(output, "output", "o", "", "output format: "+strings.Join(cli.Formats(), " or ")+" (default: a table)")
	flags.BoolVar(acceptSimulated, "accept-simulated", false, "exit 0 also when nothing rests on Intel's root")
}

// AddDryRun registers --dry-run; what says what its values do.
func AddDryRun(flags *pflag.FlagSet, value *string, what string) {
	flags.StringVar(value, "dry-run", string(deploy.None), what)
	flags.Lookup("dry-run").NoOptDefVal = string(deploy.Client)
}

// CheckDryRun refuses an unknown value of --dry-run.
func CheckDryRun(value string) error {
	if !slices.Contains([]deploy.DryRun{deploy.None, deploy.Client, deploy.Server}, deploy.DryRun(value)) {
		return cli.NewUsageError("--dry-run: got %q, want none, client or server", value)
	}
	return nil
}
