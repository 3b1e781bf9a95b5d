package relay

import (
	"fmt"
	"net"
	"net/netip"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// NewCommand returns "relay": it prints the address it listens on, then carries
// connections until SIGTERM or SIGINT.
func NewCommand() *cobra.Command {
	var listen, to, namespace string
	command := &cobra.Command{
		Use:   "relay --to IP:PORT [--netns FILE] [--listen IP:PORT]",
		Short: "Carry TCP connections from loopback into a network namespace",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			if _, err := netip.ParseAddrPort(to); err != nil {
				return fmt.Errorf("--to %q: want IP:PORT: %w", to, err)
			}
			at, err := netip.ParseAddrPort(listen)
			if err != nil || !at.Addr().IsLoopback() {
				return fmt.Errorf("--listen %q: want a loopback IP:PORT", listen)
			}
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("listening on %s: %w", listen, err)
			}
			fmt.Fprintln(command.OutOrStdout(), listener.Addr())
			return Serve(ctx, listener, DialIn(namespace, to), func(err error) {
				fmt.Fprintf(command.ErrOrStderr(), "relay to %s: %v\n", to, err)
			})
		},
	}
	flags := command.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:0", "the loopback address to listen on; port 0 takes a free one")
	flags.StringVar(&to, "to", "", "the address to connect to")
	flags.StringVar(&namespace, "netns", "", "the network namespace's file; empty is the caller's own")
	if err := command.MarkFlagRequired("to"); err != nil {
		panic(err) // a flag that is not defined just above
	}
	return command
}
