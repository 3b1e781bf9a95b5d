package las

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/confidb/confidb/internal/sgxmint"
)

// NewCommand returns "las": the local attestation service of one node.
func NewCommand(now func() time.Time) *cobra.Command {
	var state, authority, listen string
	var generation int
	command := &cobra.Command{
		Use:   "las --state FOLDER --authority FILE",
		Short: "Stand in for SCONE's LAS and the node's SGX platform",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if generation != 6 && generation != 7 {
				return fmt.Errorf("--generation: got %d, want 6 or 7", generation)
			}
			ctx, stop := signal.NotifyContext(command.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			minter, err := readAuthority(authority)
			if err != nil {
				return err
			}
			platform, err := OpenPlatform(state, minter, now())
			if err != nil {
				return fmt.Errorf("opening the platform: %w", err)
			}
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			announce(ctx, command.ErrOrStderr(), Generation(generation), platform.QEID, now)
			return NewServer(platform).Serve(ctx, listener)
		},
	}
	flags := command.Flags()
	flags.StringVar(&state, "state", "", "folder of this node that keeps the platform's keys")
	flags.StringVar(&authority, "authority", "", "file with the lab's certificate authority")
	flags.StringVar(&listen, "listen", ":"+Port, "address to listen on")
	flags.IntVar(&generation, "generation", 7, "version of SCONE whose wording is used for the platform ID: 6 or 7")
	return command
}

// announce logs the platform ID, and writes it to the custom resource if there is one.
func announce(ctx context.Context, log io.Writer, generation Generation, qeID [16]byte, now func() time.Time) {
	fmt.Fprintln(log, generation.Wording(qeID, now()))
	node := os.Getenv("NODE_NAME")
	if node == "" || os.Getenv("KUBERNETES_SERVICE_HOST") == "" {
		return
	}
	if err := fillResource(ctx, node, generation, qeID, now()); err != nil && !errors.Is(err, errNoResource) {
		fmt.Fprintf(log, "writing the LAS custom resource: %v\n", err)
	}
}

func readAuthority(path string) (*sgxmint.Authority, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the authority: %w", err)
	}
	var a sgxmint.Authority
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("reading the authority %s: %w", path, err)
	}
	return &a, nil
}
