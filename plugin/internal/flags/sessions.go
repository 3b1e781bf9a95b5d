package flags

import (
	"fmt"
	"maps"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/topology"
)

// Sessions are the flags with names and templates of the user's choice for the
// sessions of a release.
type Sessions struct {
	database, client                 string
	databaseTemplate, clientTemplate string
	lookupEnv                        func(string) (string, bool)
}

// NewSessions returns flags without values. lookupEnv reads the environment.
func NewSessions(lookupEnv func(string) (string, bool)) *Sessions {
	return &Sessions{lookupEnv: lookupEnv}
}

// AddFlags registers the flags.
func (f *Sessions) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.database, "database-session", "", "name for the database session (default $DBSESSION, else one that nobody can guess)")
	flags.StringVar(&f.client, "client-session", "", "name for the client session (default $DBCLIENT, else one that nobody can guess)")
	flags.StringVar(&f.databaseTemplate, "database-template", "", "file that replaces our template of the database session (kubectl confidb session template database prints ours)")
	flags.StringVar(&f.clientTemplate, "client-template", "", "file that replaces our template of the client session")
}

// SessionOptions are what the flags and the environment say.
type SessionOptions struct {
	// Database and Client are names, or empty.
	Database, Client string
	// Templates are texts by the name of the template that they replace.
	Templates map[string]string
	// Origins says where the names come from.
	Origins map[string]string
}

// Resolve reads the flags, the environment and the templates. Those of an earlier run
// are used where none are given now.
func (f *Sessions) Resolve(earlier *topology.Release) (SessionOptions, error) {
	o := SessionOptions{Templates: map[string]string{}, Origins: map[string]string{}}
	if earlier != nil {
		maps.Copy(o.Templates, earlier.Templates)
	}
	for name, file := range map[string]string{"database": f.databaseTemplate, "client": f.clientTemplate} {
		if file == "" {
			continue
		}
		text, err := files.Read(file)
		if err != nil {
			return o, fmt.Errorf("--%s-template: %w", name, err)
		}
		o.Templates[name] = string(text)
	}
	o.Database, o.Origins["database-session"] = f.DatabaseName()
	o.Client, o.Origins["client-session"] = First(f.lookupEnv, "client-session", f.client, "DBCLIENT", "")
	for name, origin := range o.Origins {
		if origin == ByDefault {
			o.Origins[name] = "chosen at random, and recorded"
		}
	}
	return o, nil
}

// DatabaseName is the name of the database session, or empty, and where it comes from.
func (f *Sessions) DatabaseName() (name, origin string) {
	return First(f.lookupEnv, "database-session", f.database, "DBSESSION", "")
}
