package flags

import (
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Application are the flags that say which enclaves a client of the user's own may be, what
// it runs, and what it gets.
type Application struct {
	reference
	platforms, command, environment, fromHost, files []string
	directory, namespace, heap, dlopen               string
}

// AddFlags registers the flags.
func (f *Application) AddFlags(set *pflag.FlagSet) {
	f.addFlags(set, "the client")
	set.StringVar(&f.heap, "heap", "", "SCONE_HEAP with which the measurement was taken (default: as the policy says, else not known)")
	set.StringVar(&f.dlopen, "dlopen", "", "SCONE_ALLOW_DLOPEN with which the measurement was taken: 0, 1 or 2")
	set.StringVar(&f.namespace, "client-namespace", "", "Kubernetes namespace in which it runs; --namespace is that of the release")
	set.StringArrayVar(&f.platforms, "platforms", nil, "platform IDs of the machines on which it may run (default: those of the release, also later ones)")
	set.StringArrayVar(&f.command, "command", nil, "the program; repeat it for each argument (default: the client's name)")
	set.StringVar(&f.directory, "pwd", "", "directory in which it starts")
	set.StringArrayVar(&f.environment, "env", nil, "NAME=VALUE of a variable, no secret; of those of its container it sees only what --host-env names; may be repeated")
	set.StringArrayVar(&f.fromHost, "host-env", nil, "NAME=DEFAULT of a variable that it takes from its container, unattested; may be repeated")
	set.StringArrayVar(&f.files, "file", nil, "FORM=PATH or FORM:ACCOUNT=PATH: what CAS writes there, or env=environment for variables; forms are "+topology.FormNames()+"; may be repeated (default: ca, certificate, key and my.cnf in /run/confidb)")
}

// Resolve returns the client of a name. Where nothing is said now, it is as it was; before is
// nil for one that is new.
func (f *Application) Resolve(name string, before *topology.Application) (topology.Application, error) {
	if err := accounts.CheckClient(name); err != nil {
		return topology.Application{}, cli.NewUsageError("the name of the client: %w", err)
	}
	c := topology.Application{Name: name, Command: []string{name}, Files: topology.GivenByDefault()}
	if before != nil {
		c = *before
	}
	enclaves, err := f.values()
	if err != nil {
		return c, err
	}
	if f.given("mrenclave") || f.given("mrsigner") {
		c.MRENCLAVEs, c.Signer = enclaves.MRENCLAVEs, enclaves.Signer
	}
	for _, one := range f.rest(&c) {
		if f.given(one.flag) {
			if err := one.set(); err != nil {
				return c, cli.NewUsageError("--%s: %w", one.flag, err)
			}
		}
	}
	if len(c.MRENCLAVEs) == 0 && c.Signer == nil {
		return c, cli.NewUsageError("want --mrenclave, or --mrsigner: without one anybody could be the client")
	}
	return c, nil
}

// setting is what a flag makes of a client.
type setting struct {
	flag string
	set  func() error
}

// rest is what the flags beside those of the enclaves make of a client.
func (f *Application) rest(c *topology.Application) []setting {
	return []setting{
		{"heap", func() (err error) { c.Settings.Heap = f.heap; _, err = policy.HeapBytes(f.heap); return err }},
		{"dlopen", func() error { c.Settings.Dlopen = f.dlopen; return policy.CheckDlopen(f.dlopen) }},
		{"client-namespace", func() error { c.Namespace = f.namespace; return topology.CheckNamespace(f.namespace) }},
		{"command", func() error { c.Command = f.command; return nil }},
		{"pwd", func() error { c.Directory = f.directory; return nil }},
		{"env", func() (err error) { c.Environment, err = topology.ParseVariables(f.environment); return err }},
		{"host-env", func() (err error) { c.FromHost, err = topology.ParseVariables(f.fromHost); return err }},
		{"file", func() (err error) { c.Files, err = topology.ParseFiles(f.files); return err }},
		{"platforms", func() (err error) { c.Platforms, err = platform.ParseLists(f.platforms); return err }},
	}
}
