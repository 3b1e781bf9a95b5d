package flags

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/pkg/pcs"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Fetch are the flags that say which collateral is wanted, and from where.
type Fetch struct {
	fmspcs, quotes             []string
	ca, from, rootCRLs, update string
	evaluation                 int
	keep                       time.Duration
	force, insecure            bool
	given                      func(flag string) bool
}

// AddFlags registers the flags.
func (f *Fetch) AddFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.fmspcs, "fmspc", nil, "family of processors, 12 hexadecimal digits; may be repeated")
	flags.StringSliceVar(&f.quotes, "quote", nil, "file with a quote, of which family and CA are taken; may be repeated")
	flags.StringVar(&f.ca, "ca", "", "CA of the PCK certificates: "+strings.Join(collateral.CAs(), " or ")+" (default: both)")
	flags.StringVar(&f.from, "from", pcs.Intel, "address of a PCCS, or folder or bundle.json with collateral that was carried here")
	flags.StringVar(&f.rootCRLs, "root-crl-url", "", "where the root's revocation list is (default: Intel's own, or the PCCS of --from)")
	flags.StringVar(&f.update, "update", "", "which of Intel's evaluations: standard or early (default: what the service takes as standard)")
	flags.IntVar(&f.evaluation, "tcb-evaluation-number", 0, "exactly this evaluation of Intel's")
	flags.DurationVar(&f.keep, "max-age", 7*24*time.Hour, "leave a bundle alone that is current and was issued not longer ago than this")
	flags.BoolVar(&f.force, "force", false, "fetch also what is younger than --max-age")
	flags.BoolVar(&f.insecure, "insecure-pccs-tls", false, "do not ask who the PCCS of --from is: whatever it serves must be signed by Intel and current anyway")
	f.given = flags.Changed
}

// Resolve returns what refreshes bundles, but for their folder, and which ones are wanted.
// It reads the quotes that say so, and the bundles that were carried here, which must be
// valid as the options say.
func (f *Fetch) Resolve(o sgx.Options, in io.Reader) (r collateral.Refresh, wanted []collateral.Request, err error) {
	r.Options = o
	switch {
	case f.keep < 0:
		err = cli.NewUsageError("--max-age: got %s, want none below zero", f.keep)
	case strings.Contains(f.from, "://"):
		if !f.force {
			r.Keep = f.keep
		}
		r.Origin, err = f.service()
	default: // what was carried here costs no request, so nothing is too young
		r.Origin, err = f.carried(o)
	}
	if err != nil {
		return r, nil, err
	}
	wanted, err = f.requests(in, r.Origin)
	return r, wanted, err
}

func (f *Fetch) carried(o sgx.Options) (collateral.Carried, error) {
	for _, flag := range []string{"root-crl-url", "update", "tcb-evaluation-number", "insecure-pccs-tls"} {
		if f.given(flag) {
			return nil, cli.NewUsageError("--%s: got it with files (--from %s), want it with the address of a service only", flag, f.from)
		}
	}
	all, err := pcs.ReadBundles(f.from, o)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	return all, nil
}

func (f *Fetch) service() (*pcs.Source, error) {
	source := &pcs.Source{BaseURL: f.from, RootCRLURL: f.rootCRLs, Client: pcs.NewClient(f.insecure)}
	switch err := source.Check(); {
	case err != nil:
		return nil, cli.NewUsageError("--from, --root-crl-url: %w", err)
	case f.insecure && strings.HasPrefix(f.from, pcs.Intel):
		return nil, cli.NewUsageError("--insecure-pccs-tls: want --from with the address of a PCCS: Intel's own service has a proper certificate")
	case !f.insecure && (strings.HasPrefix(f.from, "http:") || strings.HasPrefix(f.rootCRLs, "http:")):
		return nil, cli.NewUsageError("--from, --root-crl-url: got an address without TLS, want https, or --insecure-pccs-tls")
	}
	return source, nil
}

// requests says which bundles are wanted, each once: all that were carried here, if
// neither families nor quotes are given.
func (f *Fetch) requests(in io.Reader, origin collateral.Origin) (all []collateral.Request, err error) {
	here, carried := origin.(collateral.Carried)
	switch byFMSPC, byQuote := len(f.fmspcs) > 0, len(f.quotes) > 0; {
	case byFMSPC && byQuote:
		return nil, cli.NewUsageError("--fmspc, --quote: got both, want one of them")
	case !byFMSPC && f.ca != "":
		return nil, cli.NewUsageError("--ca: want it with --fmspc only: a quote says which CA its platform has")
	case f.given("tcb-evaluation-number") && f.evaluation < 1:
		return nil, cli.NewUsageError("--tcb-evaluation-number: got %d, want at least 1", f.evaluation)
	case byFMSPC:
		if all, err = collateral.ForFamilies(f.fmspcs, f.ca); err != nil {
			return nil, cli.NewUsageError("--fmspc: %w", err)
		}
	case byQuote:
		all, err = f.byQuote(in)
	case carried:
		all, err = here.Requests()
	default:
		return nil, cli.NewUsageError("no platform given: want --quote FILE, or --fmspc and 12 hexadecimal digits")
	}
	if err != nil {
		return nil, err
	}
	if all, err = collateral.Choose(all, f.update, f.evaluation); err != nil {
		return nil, cli.NewUsageError("--ca, --update, --tcb-evaluation-number: %w", err)
	}
	return all, nil
}

func (f *Fetch) byQuote(in io.Reader) ([]collateral.Request, error) {
	var all []collateral.Request
	for _, file := range f.quotes {
		raw, name, err := files.ReadInput(file, in)
		if err != nil {
			return nil, fmt.Errorf("--quote: %w", err)
		}
		r, err := collateral.RequestFor(raw)
		if err != nil {
			return nil, fmt.Errorf("--quote: %s: %w", name, err)
		}
		all = append(all, r)
	}
	return all, nil
}
