// Package command is the command line of confidb-lab: what stands in for SGX
// and SCONE on a machine that has neither, and what the laboratory's scripts
// need. It only puts commands together; each lives in the package of its work.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/confidb/confidb/pkg/lab/cas"
	"github.com/confidb/confidb/pkg/lab/image"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/lab/launch"
	"github.com/confidb/confidb/pkg/lab/pki"
	"github.com/confidb/confidb/pkg/lab/relay"
	"github.com/spf13/cobra"
)

// Main runs the command that args name and returns the process's exit code: 0,
// or 1 after it has written the error to errOut.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(context.Background())
	if refused, ok := errors.AsType[*launch.RefusedError](err); ok {
		fmt.Fprintln(errOut, refused) // as SCONE's runtime writes it
		return 1
	}
	if refused, ok := errors.AsType[*launch.VolumeError](err); ok {
		fmt.Fprintln(errOut, refused)
		return 1
	}
	if ended, ok := errors.AsType[*launch.EndedError](err); ok {
		return ended.Code // the program has said why
	}
	if err != nil {
		fmt.Fprintf(errOut, "error: %v\n", err)
		return 1
	}
	return 0
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "confidb-lab",
		Short:         "Stand-ins for SGX and SCONE around a real Kubernetes and a real MariaDB",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		// What the laboratory's scripts call.
		image.NewCommand(),
		pki.NewCommand(time.Now),
		relay.NewCommand(),
		newPauseCommand(),
		// What stands in for SGX and SCONE.
		las.NewAuthorityCommand(time.Now),
		las.NewCommand(time.Now),
		cas.NewCommand(time.Now),
		launch.NewCommand(),
		launch.NewMountCommand(),
	)
	return root
}
