package flags

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/envelope"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/masking"
	"github.com/confidb/confidb/pkg/release"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Installation are the flags that say what Helm installs, with which values, under which
// sessions, and how clients of the database are started where that cannot be taken from
// the chart. The names of those about the chart are Helm's.
type Installation struct {
	// LookupEnv reads the environment.
	LookupEnv func(string) (string, bool)
	// Chart is as Helm takes it; empty is our own.
	Chart string
	// CreateNamespace creates the namespace if it is missing.
	CreateNamespace bool
	// Architecture is the word of one; empty is that of the first run, or single.
	Architecture string
	// Accounts is the file of the accounts document; empty is that of the last run.
	Accounts string
	// masking is the file of the rules of masking, or none; empty are those of the last run.
	masking string
	// maskedAccounts shall get at no masked column; empty are those of the last run.
	maskedAccounts []string

	version, repo                            string
	values, set, setString, setFile, setJSON []string
	keys                                     deploy.Keys
	allowed                                  []string

	database, client                 string
	databaseTemplate, clientTemplate string

	bootstrapSQL, host   string
	image                string
	command, environment []string
	auditors             []string

	sessions []string
}

// AddFlags registers the flags.
func (f *Installation) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.Architecture, "architecture", "", "single, replicated or sharded: one database, or several behind MaxScale (default: as at the first run, which is single)")
	flags.StringVar(&f.version, "version", "", "version of the chart")
	flags.StringVar(&f.repo, "repo", "", "URL of the chart's repository")
	flags.StringSliceVarP(&f.values, "values", "f", nil, "file or URL with values for the chart; may be repeated")
	flags.StringArrayVar(&f.set, "set", nil, "values as KEY=VALUE; may be repeated")
	flags.StringArrayVar(&f.setString, "set-string", nil, "values as KEY=VALUE that stay texts")
	flags.StringArrayVar(&f.setFile, "set-file", nil, "values as KEY=FILE")
	flags.StringArrayVar(&f.setJSON, "set-json", nil, "values as KEY=JSON")
	flags.BoolVar(&f.CreateNamespace, "create-namespace", false, "create the namespace if it is missing")
	flags.StringSliceVar(&f.allowed, "allow-kind", nil, "kind of objects that the chart may have although it is not known what they run, as KIND.GROUP; may be repeated")
	flags.StringArrayVar(&f.keys.ConfigIDs, "config-id-key", nil, "key of the chart's values, or of your own, for the session, as KEY or KEY=ROLE[/SERVICE] with the role of a session, database if none is said; items of lists are KEY[0]; may be repeated (default "+deploy.ConfigIDKey+", perhaps in a subchart)")
	flags.StringVar(&f.keys.CAS, "cas-key", "", "key of the chart's values for the CAS (default "+deploy.CASKey+", in each subchart that has it)")
	flags.StringVar(&f.keys.LAS, "las-key", "", "key of the chart's values for the LAS, used with --las (default "+deploy.LASKey+", in each subchart that has it)")
	flags.StringVar(&f.keys.Service, "config-id-service", "", "service to append to the session for a chart that wants session/service (not for our own chart)")
	flags.StringVar(&f.keys.LASAddress, "las", "", "address of the LAS for the pods (default: what the chart does, for our own chart the node's own)")

	flags.StringVar(&f.database, "database-session", "", "name for the database session (default $DBSESSION, else one that nobody can guess)")
	flags.StringVar(&f.client, "client-session", "", "name for the client session (default $DBCLIENT, else one that nobody can guess)")
	flags.StringVar(&f.databaseTemplate, "database-template", "", "file that replaces our template of the database session (kubectl confidb session template database prints ours)")
	flags.StringVar(&f.clientTemplate, "client-template", "", "file that replaces our template of the client session")

	flags.StringArrayVar(&f.auditors, "auditor", nil, "who may read the sessions to verify them: a file with a certificate (kubectl confidb promise signer), or the fingerprint of its key; may be repeated (default: as at the first run)")

	flags.StringVar(&f.Accounts, "accounts", "", "file with the databases and accounts of your own applications (kubectl confidb accounts example prints one; default: as at the last run)")
	flags.StringVar(&f.masking, "masking", "", "file with the rules by which MaxScale masks answers, in its own format, or "+noMasking+" to mask no more; it is obfuscation, not access control (default: as at the last run)")
	flags.StringArrayVar(&f.maskedAccounts, "masked-account", nil, "account of the accounts document that must have no right on a table with masked columns, only on views without them; may be repeated, "+noMasking+" for no account (default: as at the last run)")
	flags.StringVar(&f.bootstrapSQL, "bootstrap-sql", "", "file with the SQL of the database's system tables, from whoever builds the image")
	flags.StringVar(&f.host, "database-host", "", "name under which pods reach the database (default NAME-mariadb.NAMESPACE.svc)")
	flags.StringVar(&f.image, "client-image", "", "image of the attested clients (default: that of the database)")
	flags.StringSliceVar(&f.command, "client-command", nil, "what starts an enclave in that image, before the program's name (default: the chart's value command)")
	flags.StringArrayVar(&f.environment, "client-env", nil, "SCONE_NAME=VALUE for the attested clients; may be repeated (default: as the database has)")
}

// AddSessionsFlag registers the flag for sessions of further roles. Charts are checked
// against them; an installation has none, as it could not prove what it did not make.
func (f *Installation) AddSessionsFlag(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.sessions, "session", nil, "ROLE=FILE: a session that there is beside those of the database and its clients, such as replica=replica.yml, for --config-id-key KEY=ROLE; may be repeated")
}

// Resolve reads the flags, the environment and the files. trusted is a plan of which all is
// set that is about trust. What an earlier run recorded is used where nothing is said now.
func (f *Installation) Resolve(trusted *topology.Plan, earlier *topology.Release) (*deploy.Inputs, error) {
	in := &deploy.Inputs{Plan: *trusted}
	for _, add := range []func(*deploy.Inputs, *topology.Release) error{f.addChart, f.addSQL, f.addClients, f.addSessions, f.addAccounts, f.addMasking} {
		if err := add(in, earlier); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// Names are as much of the inputs as manifests show, but for the CAS.
func (f *Installation) Names(earlier *topology.Release) (*deploy.Inputs, error) {
	in := &deploy.Inputs{}
	if err := f.addChart(in, earlier); err != nil {
		return nil, err
	}
	in.Plan.DatabaseSession, _ = First(f.LookupEnv, "database-session", f.database, "DBSESSION", "")
	in.Plan.ClientSession, _ = First(f.LookupEnv, "client-session", f.client, "DBCLIENT", "")
	if err := f.addRoles(in); err != nil {
		return nil, err
	}
	return in, f.addClients(in, earlier)
}

// addRoles adds the sessions of further roles.
func (f *Installation) addRoles(in *deploy.Inputs) error {
	for _, text := range f.sessions {
		word, file, _ := strings.Cut(text, "=")
		role := topology.Role(word)
		switch {
		case !regexp.MustCompile(`^[a-z][-a-z0-9_]*$`).MatchString(word) || file == "" || role == topology.Namespace:
			return cli.NewUsageError("--session: got %.100q, want ROLE=FILE, such as replica=replica.yml", text)
		case slices.ContainsFunc(in.Plan.Sessions, func(m topology.Member) bool { return m.Role == role }):
			return cli.NewUsageError("--session: got the role %s twice", role)
		}
		document, err := files.Read(file)
		if err != nil {
			return fmt.Errorf("--session %s: %w", role, err)
		}
		s, err := envelope.Only(envelope.Open(file, document, nil))
		if err != nil {
			return fmt.Errorf("--session %s: %w", role, err)
		}
		for own, name := range map[topology.Role]*string{topology.Database: &in.Plan.DatabaseSession, topology.Client: &in.Plan.ClientSession} {
			if role == own && *name != "" && *name != s.Name {
				return cli.NewUsageError("--session: got the %s session %q, want %q, as --%s-session says", role, s.Name, *name, role)
			}
			if role == own {
				*name = s.Name
			}
		}
		in.Plan.Sessions = append(in.Plan.Sessions, topology.Member{Role: role, Session: topology.Session{Name: s.Name, Text: string(s.Source())}})
	}
	return nil
}

// addChart adds the chart, the user's values, and which of them the session goes to.
func (f *Installation) addChart(in *deploy.Inputs, earlier *topology.Release) (err error) {
	if in.Plan.Architecture, err = topology.ParseArchitecture(f.Architecture); err != nil {
		return cli.NewUsageError("--architecture: %w", err)
	}
	in.Keys, in.Plan.Chart = f.keys, topology.Chart{Name: f.Chart, Version: f.version, Repo: f.repo}
	in.Plan.AllowedKinds = f.allowed
	if in.Plan.Values, err = release.MergeValues(f.values, f.set, f.setString, f.setFile, f.setJSON); err != nil || earlier == nil {
		return err
	}
	if len(f.allowed) == 0 {
		in.Plan.AllowedKinds = earlier.AllowedKinds
	}
	if f.Architecture == "" {
		in.Plan.Architecture = earlier.Architecture
	}
	if in.Plan.Chart == (topology.Chart{}) {
		in.Plan.Chart = earlier.Chart
	}
	if len(f.values)+len(f.set)+len(f.setString)+len(f.setFile)+len(f.setJSON) == 0 {
		in.Plan.Values = earlier.Values
	}
	return nil
}

// addSQL adds the SQL of the system tables.
func (f *Installation) addSQL(in *deploy.Inputs, earlier *topology.Release) error {
	switch {
	case f.bootstrapSQL != "":
		text, err := files.Read(f.bootstrapSQL)
		if err != nil {
			return fmt.Errorf("--bootstrap-sql: %w", err)
		}
		in.Plan.BootstrapSQL = string(text)
	case earlier != nil:
		in.Plan.BootstrapSQL = earlier.BootstrapSQL
	default:
		return &MissingError{What: "SQL for the database's system tables", Flag: "--bootstrap-sql (from whoever builds the image)"}
	}
	return nil
}

// addAccounts adds the accounts document. The applications are those of the last run.
func (f *Installation) addAccounts(in *deploy.Inputs, earlier *topology.Release) error {
	if earlier != nil {
		in.Plan.Applications = earlier.Wanted()
	}
	if f.Accounts == "" {
		return nil
	}
	text, err := files.Read(f.Accounts)
	if err != nil {
		return fmt.Errorf("--accounts: %w", err)
	}
	if _, err := accounts.Parse(f.Accounts, text); err != nil {
		return err
	}
	in.Plan.Applications.Accounts = string(text)
	return nil
}

// noMasking is given in place of a file to end masking.
const noMasking = "none"

// addMasking adds the rules of masking, which come with the applications.
func (f *Installation) addMasking(in *deploy.Inputs, _ *topology.Release) error {
	a := &in.Plan.Applications
	if len(f.maskedAccounts) > 0 {
		a.MaskedAccounts = slices.DeleteFunc(slices.Sorted(slices.Values(f.maskedAccounts)), func(name string) bool { return name == noMasking })
	}
	switch {
	case f.masking == "":
		return nil
	case f.masking == noMasking:
		a.Masking, a.MaskedAccounts = "", nil
		return nil
	case in.Plan.Architecture != topology.Replicated:
		return cli.NewUsageError("--masking: MaxScale masks, before replicated databases: got the architecture %s, want --architecture replicated", in.Plan.Architecture)
	}
	text, err := files.Read(f.masking)
	if err != nil {
		return fmt.Errorf("--masking: %w", err)
	}
	if _, err := masking.Parse(f.masking, text); err != nil {
		return err
	}
	a.Masking = string(text)
	return nil
}

// addClients adds how clients are started and reach the database.
func (f *Installation) addClients(in *deploy.Inputs, _ *topology.Release) error {
	in.Plan.Host, in.Clients = f.host, deploy.Clients{Image: f.image, Command: f.command, Environment: map[string]string{}}
	for i, v := range f.environment {
		name, value, ok := strings.Cut(v, "=")
		if !ok || !strings.HasPrefix(name, "SCONE_") { // the rest may be a secret, so it is not shown
			return cli.NewUsageError("--client-env: number %d is not SCONE_NAME=VALUE", i+1)
		}
		in.Clients.Environment[name] = value
	}
	return nil
}

// addSessions adds the names of sessions, where those come from, and the templates.
func (f *Installation) addSessions(in *deploy.Inputs, earlier *topology.Release) error {
	p := &in.Plan
	p.Templates = map[string]string{}
	if earlier != nil {
		maps.Copy(p.Templates, earlier.Templates)
		p.Auditors = earlier.Auditors
	}
	if len(f.auditors) > 0 {
		p.Auditors = nil
	}
	for _, text := range f.auditors {
		if content, err := files.Read(text); err == nil {
			text = string(content)
		}
		auditor, err := topology.ParseAuditor(text)
		if err != nil {
			return fmt.Errorf("--auditor: %w", err)
		}
		p.Auditors = append(p.Auditors, auditor)
	}
	for name, file := range map[string]string{"database": f.databaseTemplate, "client": f.clientTemplate} {
		if file == "" {
			continue
		}
		text, err := files.Read(file)
		if err != nil {
			return fmt.Errorf("--%s-template: %w", name, err)
		}
		p.Templates[name] = string(text)
	}

	p.DatabaseSession, p.Origins["database-session"] = First(f.LookupEnv, "database-session", f.database, "DBSESSION", "")
	p.ClientSession, p.Origins["client-session"] = First(f.LookupEnv, "client-session", f.client, "DBCLIENT", "")
	for _, name := range []string{"database-session", "client-session"} {
		if p.Origins[name] == ByDefault {
			p.Origins[name] = "chosen at random, and recorded"
		}
	}
	return nil
}
