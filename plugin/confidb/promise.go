package confidb

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
	"github.com/confidb/confidb/plugin/internal/verbs"
)

// newPromiseCommand hands on what was promised of a release.
func newPromiseCommand(env *cli.Env) *cobra.Command {
	o := promise{env: env}
	return env.Group("promise",
		env.Command(cli.Verb{Name: "promise export", Args: cli.Exactly(1, "the name of one release"), Run: o.export, Flags: func(set *pflag.FlagSet) {
			set.StringVar(&o.to, "to", "", "file to write (default: standard output)")
		}}),
		env.Command(cli.Verb{Name: "promise import", Args: cli.Exactly(1, "the name of one file"), Run: o.take, Flags: func(set *pflag.FlagSet) {
			set.StringVar(&o.signer, "signer", "", "fingerprint of the key that must have signed it, 64 hexadecimal digits")
		}}),
		env.Command(cli.Verb{Name: "promise signer", Args: cli.AtMost(0), Run: o.identify}),
	)
}

// promise are the options of handing on what was promised.
type promise struct {
	env        *cli.Env
	to, signer string
}

// export writes the signed promise.
func (o *promise) export(_ context.Context, arguments []string) error {
	known, err := verbs.OpenRelease(o.env, arguments[0])
	if err != nil {
		return err
	}
	text, err := known.Store.ExportPromise(known.Promised, o.env.Now())
	if err != nil {
		return err
	}
	if o.to == "" {
		_, err = o.env.Out.Write(text)
		return err
	}
	return files.Replace(o.to, text, files.Private)
}

// take keeps a promise of somebody else, and says whose it is.
func (o *promise) take(_ context.Context, arguments []string) error {
	text, err := files.Read(arguments[0])
	if err != nil {
		return err
	}
	p, err := verbs.Open(o.env)
	if err != nil {
		return err
	}
	id, err := p.Cluster.ID()
	if err != nil {
		return err
	}
	taken, err := p.Store.ImportPromise(id, text, o.signer)
	if err != nil {
		return err
	}
	if !taken.Known {
		printers.Warn(o.env.ErrOut, "nobody named the key that signed this, so it is believed because it is the first: compare its fingerprint with that of whoever exported it")
	}
	_, err = fmt.Fprintf(o.env.Out, "release %s/%s, promised by the key %s\n", taken.Release.Namespace, taken.Release.Name, taken.Signer)
	return err
}

// identify prints who this user is.
func (o *promise) identify(context.Context, []string) error {
	home, err := o.env.Home()
	if err != nil {
		return err
	}
	store := record.Store{Dir: home}
	certificate, err := store.Certificate(o.env.Now())
	if err != nil {
		return err
	}
	fingerprint, err := store.Fingerprint(o.env.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.env.Out, "# fingerprint %s\n%s", fingerprint, certificate)
	return err
}
