package verbs

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/charts"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
)

// NewVerify returns options without values. lookupEnv reads the environment.
func NewVerify(lookupEnv func(string) (string, bool), now func() time.Time) *Verify {
	return &Verify{Program: cli.Kubectl, Platforms: NewPlatformFlags(lookupEnv), Now: now}
}

// NewInstall returns options without values. lookupEnv reads the environment.
func NewInstall(lookupEnv func(string) (string, bool), now func() time.Time) *Install {
	return &Install{
		Trust: flags.NewTrust(lookupEnv), Platforms: NewPlatformFlags(lookupEnv), Chart: &ChartFlags{}, Clients: &ClientFlags{},
		Sessions: &SessionNames{LookupEnv: lookupEnv}, DryRun: DryRunNone, Verify: *NewVerify(lookupEnv, now), Now: now,
	}
}

// SetHome says where the user's records are.
func (o *Install) SetHome(home string) { o.Home, o.Verify.Home = home, home }

// SetHelm says where Helm's files are. The own chart is added.
func (o *Install) SetHelm(settings release.Settings) {
	settings.Own = charts.MariaDB()
	o.Helm, o.Verify.Helm = settings, settings
}

// AddFlags registers the flags that both plugins have; those of Helm are apart.
func (o *Install) AddFlags(flags *pflag.FlagSet) {
	o.Trust.AddFlags(flags)
	o.Platforms.AddFlags(flags)
	o.Platforms.AddQuotesFlag(flags)
	o.Verify.Platforms = o.Platforms
	flags.StringVar(&o.Sessions.Database, "database-session", "", "name for the database session (default $DBSESSION, else one that nobody can guess)")
	flags.StringVar(&o.Sessions.Client, "client-session", "", "name for the client session (default $DBCLIENT, else one that nobody can guess)")
	flags.StringVar(&o.Sessions.DatabaseTemplate, "database-template", "", "file that replaces our template of the database session (kubectl confidb session template database prints ours)")
	flags.StringVar(&o.Sessions.ClientTemplate, "client-template", "", "file that replaces our template of the client session")
	flags.StringVar(&o.Clients.BootstrapSQL, "bootstrap-sql", "", "file with the SQL of the database's system tables, from whoever builds the image")
	flags.StringVar(&o.Clients.Host, "database-host", "", "name under which pods reach the database (default NAME-mariadb.NAMESPACE.svc)")
	flags.StringVar(&o.Clients.Image, "client-image", "", "image of the attested clients (default: that of the database)")
	flags.StringSliceVar(&o.Clients.Command, "client-command", nil, "what starts an enclave in that image, before the program's name (default: the chart's value command)")
	flags.StringArrayVar(&o.Clients.Environment, "client-env", nil, "SCONE_NAME=VALUE for the attested clients; may be repeated (default: as the database has)")
}
