package verbs

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// NewClient returns the commands about the clients of the user's own.
func NewClient(env *cli.Env) *cobra.Command {
	return env.Group("client", newClientChange(env, "client add", (*clientChange).add), newClientList(env), newClientShow(env), newClientManifest(env), newClientCheck(env),
		newClientChange(env, "client update", (*clientChange).update), newClientChange(env, "client remove", (*clientChange).remove))
}

// clientChange is an installation again, with other clients.
type clientChange struct {
	*Install
	client flags.Application
	verb   string
	change func(*clientChange, topology.Applications) (topology.Applications, error)
	name   string
	// outside says how it comes in without an enclave, and let is who then does.
	outside flags.Outside
	let     *deploy.Outside
	// undeleted is why the files of a client that is sent away stay.
	undeleted error
}

func newClientChange(env *cli.Env, name string, change func(*clientChange, topology.Applications) (topology.Applications, error)) *cobra.Command {
	o := &clientChange{Install: newInstall(env), verb: name, change: change}
	return env.Command(cli.Verb{Name: name, Args: ofOneClient(0), Patience: 10 * time.Minute, Run: o.run, Flags: func(set *pflag.FlagSet) {
		if name == "client add" {
			o.outside.AddFlags(set)
		}
		if name != "client remove" {
			o.client.AddFlags(set)
			set.StringVar(&o.What.Accounts, "accounts", "", "accounts document of all clients of the release, which replaces the current one (default: the current one)")
		}
		o.trust.AddFlags(set)
		flags.AddDryRun(set, &o.dryRun, "none, client (print what would be created) or server (also ask the CAS and the API server; create nothing)")
		o.result.AddFlags(set)
	}})
}

func (o *clientChange) run(ctx context.Context, arguments []string) error {
	o.name = arguments[1]
	known, err := OpenRelease(o.env, arguments[0])
	if err != nil {
		return err
	}
	progress := o.env.Progress()
	defer progress.Done()
	name, site, err := o.site(arguments[:1], progress)
	if err != nil {
		return err
	}
	if site.Platforms, err = o.finder(); err != nil {
		return err
	}
	change, err := o.withOutside(known, deploy.Install{Name: name, DryRun: deploy.DryRun(o.dryRun), MustExist: true, Inputs: o.inputs})
	if err != nil {
		return err
	}
	done, err := site.Install(ctx, change)
	if err != nil {
		return err
	}
	if o.undeleted != nil {
		printers.Warn(o.env.ErrOut, "the files of the client were not deleted: "+o.undeleted.Error())
	}
	return o.show(done)
}

func (o *clientChange) inputs(earlier *topology.Release) (*deploy.Inputs, error) {
	in, err := o.Install.inputs(earlier)
	if err != nil {
		return nil, err
	}
	if o.let != nil {
		in.Plan.Applications, err = o.let.Admit(in.Plan.Applications, in.Plan.Trust.MaxOutside)
		return in, err
	}
	in.Plan.Applications, err = o.change(o, in.Plan.Applications)
	return in, err
}

// add admits a client. One that is there already, and would be another, is not changed.
func (o *clientChange) add(a topology.Applications) (topology.Applications, error) {
	c, err := o.client.Resolve(o.name, nil)
	if err != nil {
		return a, err
	}
	if a.FindOutside(o.name) != nil {
		return a, &deploy.AdmittedError{Client: o.name, As: "outside of enclaves"}
	}
	if before := a.Find(o.name); before != nil && !before.Equal(c) {
		return a, &ClientError{o.name, "is there already, and is another", "To change it: {client update}. It is " + before.Who() + "."}
	}
	return a.With(c), nil
}

func (o *clientChange) update(a topology.Applications) (topology.Applications, error) {
	before := a.Find(o.name)
	switch {
	case a.FindOutside(o.name) != nil:
		return a, &topology.OutsideError{Client: o.name}
	case before == nil:
		return a, &ClientError{o.name, "is none of this release", "{client list} shows those that there are."}
	}
	c, err := o.client.Resolve(o.name, before)
	return a.With(c), err
}

// remove sends a client away. One that is not there is gone already.
func (o *clientChange) remove(a topology.Applications) (topology.Applications, error) {
	return a.Without(o.name), nil
}

// ClientError is about a client that is not as the command wants it.
type ClientError struct{ Client, problem, hint string }

func (e *ClientError) Error() string { return "client " + e.Client + " " + e.problem }

// Hint says how to go on.
func (e *ClientError) Hint() string { return e.hint }

// clientLook are the options of looking at what was promised of clients. Nobody is asked.
type clientLook struct {
	env    *cli.Env
	output string
}

// newClientList prints who may come in.
func newClientList(env *cli.Env) *cobra.Command {
	o := &clientLook{env: env}
	return o.verb("client list", cli.Exactly(1, "the name of one release"), func(known *OpenedRelease, _ []string) error {
		guests, err := known.Promised.Wanted().Guests()
		if err != nil {
			return err
		}
		return printers.Print(env.Out, o.output, printers.NewClients(known.Promised, guests))
	})
}

// newClientShow prints all of one client.
func newClientShow(env *cli.Env) *cobra.Command {
	o := &clientLook{env: env}
	return o.verb("client show", ofOneClient(0), func(known *OpenedRelease, arguments []string) error {
		d, err := known.Promised.Details(arguments[1])
		if err != nil {
			return err
		}
		return printers.Print(env.Out, o.output, printers.NewClient(known.Promised, d))
	})
}

// newClientManifest prints what the pods of a client need.
func newClientManifest(env *cli.Env) *cobra.Command {
	o, at, shape := &clientLook{env: env}, manifest.Place{}, string(manifest.Patch)
	c := o.verb("client manifest", ofOneClient(0), func(known *OpenedRelease, arguments []string) error {
		if err := at.Check(); err != nil {
			return cli.NewUsageError("%w", err)
		}
		needs, err := manifest.NeedsOf(known.Promised, arguments[1], at, manifest.Shape(shape))
		if err != nil {
			return err
		}
		printers.Warn(env.ErrOut, needs.Warnings...)
		if o.output == "" {
			fmt.Fprint(env.Out, needs.Comment)
		}
		return printers.Encode(env.Out, cmp.Or(o.output, "yaml"), needs.Object)
	})
	c.Flags().Lookup("output").Usage = "output format: json or yaml (default: yaml with comments)"
	c.Flags().StringVar(&at.Deployment, "deployment", "", "name of the Deployment (default: the client's)")
	c.Flags().StringVar(&at.Container, "container", "", "name of the container that is to run as the client (default: the client's)")
	c.Flags().Var(&cli.Choice{Flag: "--type", Value: &shape, Words: manifest.Shapes()}, "type", "patch (strategic merge), kustomize (a component) or helm (values)")
	return c
}

// newClientCheck judges a file of the user's by what was promised of a client.
func newClientCheck(env *cli.Env) *cobra.Command {
	o := &clientLook{env: env}
	return o.verb("client check", ofOneClient(1), func(known *OpenedRelease, arguments []string) error {
		guest, err := manifest.GuestOf(known.Promised, arguments[1])
		if err != nil {
			return err
		}
		text, name, err := files.ReadInput(arguments[2], env.In)
		if err != nil {
			return err
		}
		judged, err := guest.Judge(name, text)
		if err != nil {
			return err
		}
		for _, other := range judged.Others {
			printers.Warn(env.ErrOut, other+" is not looked at: it does not run as the client")
		}
		result := printers.Result{Head: printers.Head{Kind: "confidb.client-check/v1"}, Subject: name + " for the client " + guest.Client, Findings: env.Program.Findings(judged.Report)}
		result.Verdict = result.Findings.Verdict()
		if err := printers.Print(env.Out, o.output, result); err != nil {
			return err
		}
		return cli.Conclude(result.Verdict, false, true)
	})
}

// ofOneClient wants a release and one of its clients, and as many files.
func ofOneClient(files int) cobra.PositionalArgs {
	return cli.Exactly(2+files, "the names of one release and of one client"+strings.Repeat(", and one file or -", files))
}

func (o *clientLook) verb(name string, arguments cobra.PositionalArgs, run func(*OpenedRelease, []string) error) *cobra.Command {
	return o.env.Command(cli.Verb{Name: name, Args: arguments, Run: func(_ context.Context, arguments []string) error {
		known, err := OpenRelease(o.env, arguments[0])
		if err != nil {
			return err
		}
		return run(known, arguments)
	}, Flags: func(set *pflag.FlagSet) { cli.AddOutput(set, &o.output) }})
}
