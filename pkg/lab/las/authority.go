package las

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/confidb/confidb/internal/sgxmint"
)

// AuthorityFile is where "authority" keeps the keys that stand in for Intel's.
const AuthorityFile = "authority.json"

// NewAuthorityCommand returns "authority": it makes what stands in for Intel.
func NewAuthorityCommand(now func() time.Time) *cobra.Command {
	var keys, collateral string
	command := &cobra.Command{
		Use:   "authority --keys FOLDER --collateral FOLDER",
		Short: "Make the lab's own certificate authority for SGX platforms, and its collateral",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			authority, err := sgxmint.NewAuthority(now())
			if err != nil {
				return err
			}
			files, err := authority.CollateralFiles(now())
			if err != nil {
				return err
			}
			text, err := json.Marshal(authority)
			if err != nil {
				return err
			}
			if err := writeAll(collateral, files); err != nil {
				return fmt.Errorf("writing the collateral: %w", err)
			}
			return writeAll(keys, map[string][]byte{AuthorityFile: text})
		},
	}
	command.Flags().StringVar(&keys, "keys", "", "folder for the private keys")
	command.Flags().StringVar(&collateral, "collateral", "", "folder for the collateral and the root certificate")
	for _, name := range []string{"keys", "collateral"} {
		if err := command.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not defined just above
		}
	}
	return command
}

func writeAll(folder string, files map[string][]byte) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
