package command

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// newPauseCommand returns "pause": the first process of a pod, which holds the
// pod's namespaces, takes in orphans and ends on SIGTERM or SIGINT.
func newPauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pause",
		Short: "Hold a pod's namespaces until told to stop",
		Args:  cobra.NoArgs,
		Run: func(command *cobra.Command, _ []string) {
			signals := make(chan os.Signal, 8)
			signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
			defer signal.Stop(signals)
			for {
				select {
				case <-command.Context().Done():
					return
				case got := <-signals:
					if got != syscall.SIGCHLD {
						return
					}
					reapOrphans()
				}
			}
		},
	}
}

// reapOrphans collects every child that has ended. As the first process of a
// pod, this one inherits them.
func reapOrphans() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
	}
}
