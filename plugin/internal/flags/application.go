package flags

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Application are the flags that say which enclaves a client of the user's own may be, what
// it runs, and what it gets.
type Application struct {
	mrenclaves, platforms, command, environment, fromHost, given []string
	mrsigner, directory                                          string
	isvProdID, minISVSVN                                         uint16
	is                                                           func(flag string) bool
}

// AddFlags registers the flags.
func (f *Application) AddFlags(set *pflag.FlagSet) {
	set.StringSliceVar(&f.mrenclaves, "mrenclave", nil, "measurement that the client may have, 64 hexadecimal digits; may be repeated")
	set.StringVar(&f.mrsigner, "mrsigner", "", "who must have signed the client; needs --isvprodid and --min-isvsvn")
	set.Uint16Var(&f.isvProdID, "isvprodid", 0, "product of the signer")
	set.Uint16Var(&f.minISVSVN, "min-isvsvn", 0, "least security version of the product")
	set.StringArrayVar(&f.platforms, "platforms", nil, "platform IDs of the machines on which it may run (default: those of the release, also later ones)")
	set.StringArrayVar(&f.command, "command", nil, "the program, then an argument each time that it is repeated (default: the client's name)")
	set.StringVar(&f.directory, "pwd", "", "directory in which it starts")
	set.StringArrayVar(&f.environment, "env", nil, "NAME=VALUE that it sees, and nothing else; no secrets; may be repeated")
	set.StringArrayVar(&f.fromHost, "host-env", nil, "NAME=DEFAULT: a variable that it takes from the host; may be repeated")
	set.StringArrayVar(&f.given, "file", nil, "FORM=PATH or FORM:ACCOUNT=PATH: what CAS puts there; forms are "+forms()+"; may be repeated (default: ca, certificate, key and my.cnf in /run/confidb)")
	f.is = set.Changed
}

func forms() string {
	var all []string
	for _, form := range topology.Forms() {
		all = append(all, string(form))
	}
	return strings.Join(all, ", ")
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
	for _, set := range []func(*topology.Application) error{f.enclaves, f.machines, f.variables, f.files} {
		if err := set(&c); err != nil {
			return c, err
		}
	}
	if f.is("command") {
		c.Command = f.command
	}
	if f.is("pwd") {
		c.Directory = f.directory
	}
	if len(c.MRENCLAVEs) == 0 && c.Signer == nil {
		return c, cli.NewUsageError("want --mrenclave, or --mrsigner: without one anybody could be the client")
	}
	return c, nil
}

func (f *Application) enclaves(c *topology.Application) (err error) {
	if f.is("mrenclave") || f.is("mrsigner") {
		c.MRENCLAVEs, c.Signer = nil, nil
	}
	if c.MRENCLAVEs == nil {
		if c.MRENCLAVEs, err = each("--mrenclave", f.mrenclaves, sgx.ParseMeasurement); err != nil {
			return err
		}
	}
	if !f.is("mrsigner") {
		return nil
	}
	if !f.is("isvprodid") || !f.is("min-isvsvn") {
		return cli.NewUsageError("--mrsigner needs --isvprodid and --min-isvsvn: whatever else the signer has signed could be the client")
	}
	m, err := sgx.ParseMeasurement(f.mrsigner)
	if err != nil {
		return cli.NewUsageError("--mrsigner: %w", err)
	}
	c.Signer = &attest.SignerReference{MRSIGNER: m, ISVProdID: f.isvProdID, MinISVSVN: f.minISVSVN}
	return nil
}

func (f *Application) machines(c *topology.Application) error {
	if !f.is("platforms") {
		return nil
	}
	c.Platforms = nil
	for _, text := range f.platforms {
		ids, err := platform.ParseList(text)
		if err != nil {
			return cli.NewUsageError("--platforms: %w", err)
		}
		c.Platforms = append(c.Platforms, ids...)
	}
	return nil
}

func (f *Application) variables(c *topology.Application) error {
	for flag, one := range map[string]struct {
		texts []string
		into  *map[string]string
	}{"env": {f.environment, &c.Environment}, "host-env": {f.fromHost, &c.FromHost}} {
		if !f.is(flag) {
			continue
		}
		*one.into = map[string]string{}
		for i, text := range one.texts {
			name, value, ok := strings.Cut(text, "=")
			if !ok || name == "" || strings.ContainsAny(name, " $@\\") || strings.Contains(value, "$$") { // the rest may be a secret, so it is not shown
				return cli.NewUsageError("--%s: number %d is not NAME=VALUE", flag, i+1)
			}
			(*one.into)[name] = value
		}
	}
	return nil
}

func (f *Application) files(c *topology.Application) error {
	if !f.is("file") {
		return nil
	}
	c.Files = map[string]topology.Given{}
	for _, text := range f.given {
		left, at, _ := strings.Cut(text, "=")
		form, account, _ := strings.Cut(left, ":")
		if !slices.Contains(topology.Forms(), topology.Form(form)) {
			return cli.NewUsageError("--file: got the form %.40q, want one of %s", form, forms())
		}
		if err := topology.CheckPath(at); err != nil {
			return cli.NewUsageError("--file %s: %w", form, err)
		}
		if _, twice := c.Files[at]; twice {
			return cli.NewUsageError("--file: got %s twice", at)
		}
		c.Files[at] = topology.Given{Form: topology.Form(form), Account: account}
	}
	return nil
}
