package flags

import (
	"encoding/hex"
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

// Wanted is what is to be fetched.
type Wanted struct {
	Origin   collateral.Origin
	Requests []collateral.Request
	// Keep is how long a bundle that is there is left alone; zero: not at all.
	Keep time.Duration
}

// Resolve reads the quotes that say what is wanted, and the bundles that were carried
// here, which must be valid as the options say.
func (f *Fetch) Resolve(o sgx.Options, in io.Reader) (*Wanted, error) {
	if f.keep < 0 {
		return nil, cli.NewUsageError("--max-age: got %s, want none below zero", f.keep)
	}
	if !strings.Contains(f.from, "://") {
		return f.fromFiles(o, in)
	}
	source, err := f.service()
	if err != nil {
		return nil, err
	}
	wanted := &Wanted{Origin: source, Keep: f.keep}
	if f.force {
		wanted.Keep = 0
	}
	wanted.Requests, err = f.requests(in, func() ([]collateral.Request, error) {
		return nil, cli.NewUsageError("no platform given: want --quote FILE, or --fmspc and 12 hexadecimal digits")
	})
	return wanted, err
}

// fromFiles takes over bundles that were carried here. They cost no request, so nothing
// is too young.
func (f *Fetch) fromFiles(o sgx.Options, in io.Reader) (*Wanted, error) {
	for _, flag := range []string{"root-crl-url", "update", "tcb-evaluation-number", "insecure-pccs-tls"} {
		if f.given(flag) {
			return nil, cli.NewUsageError("--%s: got it with files (--from %s), want it with the address of a service only", flag, f.from)
		}
	}
	all, err := ReadBundles(f.from, o)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	requests, err := f.requests(in, collateral.Carried(all).Requests)
	return &Wanted{Origin: collateral.Carried(all), Requests: requests}, err
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

// requests says which bundles are wanted, each once; otherwise says it where neither
// families nor quotes are given.
func (f *Fetch) requests(in io.Reader, otherwise func() ([]collateral.Request, error)) ([]collateral.Request, error) {
	var all []collateral.Request
	var err error
	switch byFMSPC, byQuote := len(f.fmspcs) > 0, len(f.quotes) > 0; {
	case byFMSPC && byQuote:
		return nil, cli.NewUsageError("--fmspc, --quote: got both, want one of them")
	case !byFMSPC && f.ca != "":
		return nil, cli.NewUsageError("--ca: want it with --fmspc only: a quote says which CA its platform has")
	case byFMSPC:
		all, err = f.byFMSPC()
	case byQuote:
		all, err = f.byQuote(in)
	default:
		all, err = otherwise()
	}
	if err != nil {
		return nil, err
	}
	return f.complete(collateral.Unique(all))
}

// complete adds the choice of the evaluation to requests.
func (f *Fetch) complete(all []collateral.Request) ([]collateral.Request, error) {
	if f.given("tcb-evaluation-number") && f.evaluation < 1 {
		return nil, cli.NewUsageError("--tcb-evaluation-number: got %d, want at least 1", f.evaluation)
	}
	for i := range all {
		all[i].Update, all[i].EvaluationDataNumber = f.update, f.evaluation
		if err := all[i].Check(); err != nil {
			return nil, cli.NewUsageError("--ca, --update, --tcb-evaluation-number: %w", err)
		}
	}
	return all, nil
}

func (f *Fetch) byFMSPC() ([]collateral.Request, error) {
	cas := collateral.CAs()
	if f.ca != "" {
		cas = []string{f.ca}
	}
	var all []collateral.Request
	for _, text := range f.fmspcs {
		raw, err := hex.DecodeString(text)
		if err != nil || len(raw) != 6 {
			return nil, cli.NewUsageError("--fmspc: got %.40q, want 12 hexadecimal digits", text)
		}
		for _, ca := range cas {
			all = append(all, collateral.Request{FMSPC: [6]byte(raw), CA: ca})
		}
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
