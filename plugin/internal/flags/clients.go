package flags

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Clients are the flags that say how the database is made and reached, and how its
// clients are started, where that cannot be taken from the chart.
type Clients struct {
	image                string
	command, environment []string
	host, bootstrapSQL   string
}

// AddFlags registers the flags.
func (f *Clients) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.bootstrapSQL, "bootstrap-sql", "", "file with the SQL of the database's system tables, from whoever builds the image")
	flags.StringVar(&f.host, "database-host", "", "name under which pods reach the database (default NAME-mariadb.NAMESPACE.svc)")
	flags.StringVar(&f.image, "client-image", "", "image of the attested clients (default: that of the database)")
	flags.StringSliceVar(&f.command, "client-command", nil, "what starts an enclave in that image, before the program's name (default: the chart's value command)")
	flags.StringArrayVar(&f.environment, "client-env", nil, "SCONE_NAME=VALUE for the attested clients; may be repeated (default: as the database has)")
}

// ClientOptions are what the flags say.
type ClientOptions struct {
	deploy.Clients
	// Host is the name under which pods reach the database, or empty.
	Host string
}

// Resolve reads the flags.
func (f *Clients) Resolve() (ClientOptions, error) {
	o := ClientOptions{Clients: deploy.Clients{Image: f.image, Command: f.command, Environment: map[string]string{}}, Host: f.host}
	for i, v := range f.environment {
		name, value, ok := strings.Cut(v, "=")
		if !ok || !strings.HasPrefix(name, "SCONE_") { // the rest may be a secret, so it is not shown
			return o, cli.NewUsageError("--client-env: number %d is not SCONE_NAME=VALUE", i+1)
		}
		o.Environment[name] = value
	}
	return o, nil
}

// BootstrapSQL reads the SQL of the system tables. That of an earlier run is used when
// none is given now.
func (f *Clients) BootstrapSQL(earlier *topology.Release) (string, error) {
	if f.bootstrapSQL == "" && earlier != nil {
		return earlier.BootstrapSQL, nil
	}
	if f.bootstrapSQL == "" {
		return "", &MissingError{What: "SQL for the database's system tables", Flag: "--bootstrap-sql (from whoever builds the image)"}
	}
	text, err := files.Read(f.bootstrapSQL)
	if err != nil {
		return "", fmt.Errorf("--bootstrap-sql: %w", err)
	}
	return string(text), nil
}
