package cas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/sgx"
)

// options are the flags of "cas".
type options struct {
	store, collateral, rootCA, las string
	listen, enclaveListen, version string
}

// NewCommand returns "cas": it serves users and enclaves until SIGTERM. With
// SCONE_HASH=1 in its environment it prints its MRENCLAVE and ends, as any
// program of SCONE does.
func NewCommand(now func() time.Time) *cobra.Command {
	var o options
	command := &cobra.Command{
		Use:   "cas --store DIR --collateral DIR --root-ca FILE --las ADDRESS",
		Short: "Stand in for a CAS: hold sessions, attest enclaves",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			identity, err := ownIdentity()
			if err != nil {
				return err
			}
			if os.Getenv("SCONE_HASH") == "1" {
				fmt.Fprintln(command.OutOrStdout(), identity.MRENCLAVE)
				return nil
			}
			ctx, stop := signal.NotifyContext(command.Context(), syscall.SIGTERM, os.Interrupt)
			defer stop()
			return o.run(ctx, identity, now, log.New(command.ErrOrStderr(), "", log.LstdFlags|log.LUTC|log.Lmsgprefix))
		},
	}
	flags := command.Flags()
	flags.StringVar(&o.store, "store", "", "the folder of the encrypted state, made when missing")
	flags.StringVar(&o.collateral, "collateral", "", "the folder of the collateral, read again for each enclave")
	flags.StringVar(&o.rootCA, "root-ca", "", "the PEM certificate under which quotes must verify")
	flags.StringVar(&o.las, "las", "", "the address of the node's LAS")
	flags.StringVar(&o.listen, "listen", ":8081", "where users are answered")
	flags.StringVar(&o.enclaveListen, "enclave-listen", ":"+enclave.CASPort, "where enclaves are answered")
	flags.StringVar(&o.version, "version", "6.0.6", "the version that CAS says it has")
	return command
}

func ownIdentity() (enclave.Identity, error) {
	settings, err := enclave.SettingsFrom(os.Getenv)
	if err != nil {
		return enclave.Identity{}, err
	}
	program, err := os.Executable()
	if err != nil {
		return enclave.Identity{}, err
	}
	return enclave.Measure(program, settings)
}

// check says which flag is missing. They are not marked as required, because
// SCONE_HASH=1 needs none.
func (o *options) check() error {
	for flag, value := range map[string]string{"--store": o.store, "--collateral": o.collateral, "--root-ca": o.rootCA, "--las": o.las} {
		if value == "" {
			return fmt.Errorf("%s is missing", flag)
		}
	}
	return nil
}

func (o *options) run(ctx context.Context, identity enclave.Identity, now func() time.Time, lines *log.Logger) error {
	if err := o.check(); err != nil {
		return err
	}
	root, err := os.ReadFile(o.rootCA)
	if err != nil {
		return err
	}
	c, err := Open(ctx, Config{
		Store: o.store, LAS: las.NewClient(o.las), Identity: identity, RootCA: root, Version: o.version, Now: now, Log: lines,
		Collateral: func() (map[string][]byte, error) { return readCollateral(o.collateral) },
	})
	if err != nil {
		return fmt.Errorf("starting CAS: %w", err)
	}
	lines.Printf("CAS enclave hash (MRENCLAVE) %s", identity.MRENCLAVE)
	lines.Printf("CAS key hash %s", c.KeyHash())
	return errors.Join(o.serve(ctx, c), c.Close())
}

// serve runs both servers; when one ends, so does the other.
func (o *options) serve(ctx context.Context, c *CAS) error {
	users, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	enclaves, err := net.Listen("tcp", o.enclaveListen)
	if err != nil {
		return errors.Join(err, users.Close())
	}
	c.Log.Printf("answering users at %s and enclaves at %s", users.Addr(), enclaves.Addr())
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 2)
	go func() { ended <- c.ServeREST(ctx, users) }()
	go func() { ended <- c.ServeEnclaves(ctx, enclaves) }()
	first := <-ended
	stop()
	return errors.Join(first, <-ended)
}

// maxCollateral bounds one file of collateral, in bytes.
const maxCollateral = 4 << 20

// readCollateral reads the files that sgx.CollateralFromFiles knows, as far as
// they are there.
func readCollateral(folder string) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range sgx.CollateralFileNames() {
		content, err := readBounded(filepath.Join(folder, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxCollateral+1))
	if err == nil && len(content) > maxCollateral {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxCollateral)
	}
	return content, err
}
