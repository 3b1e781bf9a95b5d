package pki

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// NewCommand returns "pki": it writes the identities of a cluster into a folder.
func NewCommand(now func() time.Time) *cobra.Command {
	var cluster Cluster
	var folder string
	command := &cobra.Command{
		Use:   "pki --dir FOLDER --server URL --admin-server URL --name NAME… --node NODE…",
		Short: "Write the certificates and kubeconfigs of a laboratory cluster",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cluster.Now = now()
			files, err := Issue(cluster)
			if err != nil {
				return err
			}
			if err := files.Save(folder); err != nil {
				return fmt.Errorf("saving cluster certificates: %w", err)
			}
			return nil
		},
	}
	flags := command.Flags()
	flags.StringVar(&folder, "dir", "", "the folder to write, made when missing")
	flags.StringVar(&cluster.Server, "server", "", "the API server's https URL for the cluster's own components")
	flags.StringVar(&cluster.AdminServer, "admin-server", "", "the API server's https URL for the administrator")
	flags.StringSliceVar(&cluster.Names, "name", nil, "an IP address or DNS name of the API server; may be repeated")
	flags.StringSliceVar(&cluster.Nodes, "node", nil, "the name of a node; may be repeated")
	if err := command.MarkFlagRequired("dir"); err != nil {
		panic(err) // a flag that is not defined just above
	}
	return command
}
