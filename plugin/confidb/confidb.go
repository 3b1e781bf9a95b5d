// Package confidb is the command tree of kubectl confidb.
package confidb

import (
	_ "embed"
	"os"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // every kubeconfig works

	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/plugin/confidb/platforms"
	"github.com/confidb/confidb/plugin/confidb/session"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// page is the help of all commands.
//
//go:embed help.md
var page string

// Main runs a command line and returns the exit code.
func Main(arguments []string, streams genericiooptions.IOStreams) int {
	help, err := readHelp()
	if err != nil {
		return cli.Report(cli.Kubectl, err, streams.ErrOut)
	}
	flags := genericclioptions.NewConfigFlags(true)
	env := &cli.Env{Program: cli.Kubectl, Help: help, Getter: flags, IOStreams: streams, LookupEnv: os.LookupEnv, Now: time.Now, Helm: helmPlaces}
	root := newRootCommand(env)
	flags.AddFlags(root.PersistentFlags())
	return env.Main(root, arguments)
}

func readHelp() (cli.Help, error) {
	return cli.ReadHelp(page, map[string]string{
		"glossary": cli.Glossary, "rights": platforms.RightsTable(false), "rights and watch": platforms.RightsTable(true),
	})
}

// helmPlaces is where Helm keeps its files. Helm's environment variables are for Helm's
// own plugin.
func helmPlaces() (release.Settings, error) {
	configuration, _ := os.UserConfigDir() // without home directory there is no repository
	cache, _ := os.UserCacheDir()
	return release.Places(configuration, cache), nil
}

func newRootCommand(env *cli.Env) *cobra.Command {
	return env.Root(
		platforms.NewCommand(env),
		env.Group("attest", newAttestCASCommand(env), newAttestQuoteCommand(env)),
		session.NewCommand(env),
		newInstallCommand(env),
		newAccountsCommand(env),
		verbs.NewClient(env),
		verbs.NewVerify(env),
		newSQLCommand(env),
		newSwitchoverCommand(env),
		newEnvCommand(env),
		newPromiseCommand(env),
		newTCBCommand(env),
		env.Group("collateral", newCollateralFetchCommand(env), newCollateralShowCommand(env), newCollateralExportCommand(env)),
		env.Group("policy", newPolicyCheckCommand(env), newPolicyExampleCommand(env)),
		newExplainCommand(env),
		env.Version(cli.AtMost(0)),
	)
}

func newInstallCommand(env *cli.Env) *cobra.Command {
	c, o := verbs.NewInstall(env, "install", cli.Exactly(1, "the name of one release"))
	c.Flags().StringVar(&o.What.Chart, "chart", "", "another chart: a folder, a .tgz file, oci://… or REPOSITORY/CHART (default: the one that is built in)")
	return c
}
