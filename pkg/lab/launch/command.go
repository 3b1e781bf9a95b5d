package launch

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/confidb/confidb/pkg/lab/enclave"
)

// NewCommand returns "run": it becomes a program that was attested.
func NewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run PROGRAM [ARGUMENT…]",
		Short: "Stand in for SCONE's runtime: attest a program and become it",
		Long: `Reads SCONE_CONFIG_ID, SCONE_CAS_ADDR, SCONE_LAS_ADDR, SCONE_HEAP,
SCONE_ALLOW_DLOPEN and SCONE_MODE. SCONE_HASH=1 prints the MRENCLAVE and ends.`,
		Args:               cobra.MinimumNArgs(1),
		DisableFlagParsing: true,
		RunE: func(command *cobra.Command, arguments []string) error {
			settings, err := enclave.SettingsFrom(os.Getenv)
			if err != nil {
				return err
			}
			path, err := Resolve(arguments[0], exec.LookPath)
			if err != nil {
				return err
			}
			identity, err := enclave.Measure(path, settings)
			if err != nil {
				return err
			}
			if os.Getenv("SCONE_HASH") == "1" {
				_, err := fmt.Fprintln(command.OutOrStdout(), identity.MRENCLAVE)
				return err
			}
			host := Host{Getenv: os.Getenv, Arguments: arguments}
			process, err := Prepare(command.Context(), host, identity, path)
			if err != nil {
				return err
			}
			if configID := os.Getenv("SCONE_CONFIG_ID"); configID != "" {
				fmt.Fprintf(command.ErrOrStderr(), "lab runtime: MRENCLAVE %s attested as %s\n", identity.MRENCLAVE, configID)
			}
			if len(process.Volumes) == 0 {
				return become(process)
			}
			return host.keep(command.Context(), process, identity, streams{command.InOrStdin(), command.OutOrStdout(), command.ErrOrStderr()})
		},
	}
}

// become replaces this process. It returns only if that fails.
func become(p *Process) error {
	if p.Directory != "" {
		if err := os.Chdir(p.Directory); err != nil {
			return err
		}
	}
	return fmt.Errorf("starting %s: %w", p.Path, syscall.Exec(p.Path, p.Arguments, p.Environment))
}
