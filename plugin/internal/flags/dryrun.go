package flags

import (
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// AddDryRun registers --dry-run; what says what its values do.
func AddDryRun(flags *pflag.FlagSet, value *string, what string) {
	*value = string(deploy.None)
	flags.Var(&cli.Choice{Flag: "--dry-run", Value: value, Words: []string{string(deploy.None), string(deploy.Client), string(deploy.Server)}}, "dry-run", what)
	flags.Lookup("dry-run").NoOptDefVal = string(deploy.Client)
}
