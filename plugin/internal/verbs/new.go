package verbs

import (
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/charts"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
)

// NewVerify returns options without values. lookupEnv reads the environment.
func NewVerify(lookupEnv func(string) (string, bool), now func() time.Time) *Verify {
	return &Verify{Program: cli.Kubectl, Platforms: flags.NewPlatforms(lookupEnv), Now: now}
}

// NewInstall returns options without values. lookupEnv reads the environment.
func NewInstall(lookupEnv func(string) (string, bool), now func() time.Time) *Install {
	return &Install{
		Trust: flags.NewTrust(lookupEnv), Platforms: flags.NewPlatforms(lookupEnv), Chart: &flags.Chart{}, Clients: &flags.Clients{},
		Sessions: flags.NewSessions(lookupEnv), DryRun: DryRunNone, Verify: *NewVerify(lookupEnv, now), Now: now,
	}
}

// SetHome says where the user's records are.
func (o *Install) SetHome(home string) { o.Home, o.Verify.Home = home, home }

// SetHelm says where Helm's files are. The own chart is added.
func (o *Install) SetHelm(settings release.Settings) {
	settings.Own = charts.MariaDB()
	o.Helm, o.Verify.Helm = settings, settings
}

// HelmPlaces is where Helm keeps its files. Helm's environment variables are for
// Helm's own plugin.
func HelmPlaces() release.Settings {
	configuration, _ := os.UserConfigDir() // without home directory there is no repository
	cache, _ := os.UserCacheDir()
	return release.Places(configuration, cache)
}

// AddFlags registers the flags that both plugins have; those of Helm are apart.
func (o *Install) AddFlags(flags *pflag.FlagSet) {
	o.Trust.AddFlags(flags)
	o.Platforms.AddFlags(flags)
	o.Platforms.AddQuotesFlag(flags)
	o.Verify.Platforms = o.Platforms
	o.Sessions.AddFlags(flags)
	o.Clients.AddFlags(flags)
}
