package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Glossary explains in each plugin's help the words that the help uses.
const Glossary = `Glossary:
  attest       prove to somebody which program runs on which hardware
  session      the policy in CAS that says which enclave gets which secrets
  MRENCLAVE    the measurement of an enclave: what runs
  TCB          everything whose security the proof rests on: CPU, microcode, firmware
  platform ID  identifies one machine with SGX`

// Home is the folder of the user's records: $CONFIDB_HOME, or .confidb in the
// home directory. lookupEnv reads the environment.
func Home(lookupEnv func(string) (string, bool)) (string, error) {
	if dir, ok := lookupEnv("CONFIDB_HOME"); ok && dir != "" {
		return dir, nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder of your records: %w; set CONFIDB_HOME", err)
	}
	return filepath.Join(dir, ".confidb"), nil
}

// Version is that of this program, or unknown.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

// Version returns the command that prints the version.
func (e *Env) Version(arguments cobra.PositionalArgs) *cobra.Command {
	return e.Command(Verb{Name: "version", Args: arguments, Run: func(context.Context, []string) error {
		_, err := fmt.Fprintln(e.Out, Version())
		return err
	}})
}
