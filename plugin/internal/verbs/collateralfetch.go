package verbs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/collateral"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// CollateralFetch are the options of fetching collateral.
type CollateralFetch struct {
	CollateralResult
	// Wait waits between tries; collateral.Sleep when nil.
	Wait func(context.Context, time.Duration) error

	fmspcs, quotes                   []string
	ca, from, rootCRLURL, update, to string
	evaluation                       int
	keep                             time.Duration
	force, insecureTLS               bool
	given                            func(flag string) bool
}

// AddFlags registers the flags.
func (o *CollateralFetch) AddFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.fmspcs, "fmspc", nil, "family of processors, 12 hexadecimal digits; may be repeated")
	flags.StringSliceVar(&o.quotes, "quote", nil, "file with a quote, of which family and CA are taken; may be repeated")
	flags.StringVar(&o.ca, "ca", "", "CA of the PCK certificates: "+strings.Join(collateral.CAs(), " or ")+" (default: both)")
	flags.StringVar(&o.from, "from", collateral.IntelPCS, "address of a PCCS, or folder or bundle.json with collateral that was carried here")
	flags.StringVar(&o.rootCRLURL, "root-crl-url", "", "where the root's revocation list is (default: Intel's own, or the PCCS of --from)")
	flags.StringVar(&o.update, "update", "", "which of Intel's evaluations: standard or early (default: what the service takes as standard)")
	flags.IntVar(&o.evaluation, "tcb-evaluation-number", 0, "exactly this evaluation of Intel's")
	flags.DurationVar(&o.keep, "max-age", 7*24*time.Hour, "leave a bundle alone that is current and was issued not longer ago than this")
	flags.BoolVar(&o.force, "force", false, "fetch also what is younger than --max-age")
	flags.BoolVar(&o.insecureTLS, "insecure-pccs-tls", false, "do not ask who the PCCS of --from is: whatever it serves must be signed by Intel and current anyway")
	flags.StringVar(&o.to, "to", "collateral", "folder for the bundles, one for each family and CA")
	o.addFlags(flags)
	o.given = flags.Changed
}

// origin is where collateral comes from.
type origin interface {
	Fetch(context.Context, collateral.Request) (*sgx.Collateral, error)
}

// Run fetches collateral, verifies it, and writes what is not older than what is there.
// A bundle that cannot be had does not keep the others from being written.
func (o *CollateralFetch) Run(ctx context.Context, streams genericiooptions.IOStreams) error {
	s, err := o.options()
	if err != nil {
		return err
	}
	from, err := o.origin(s)
	if err != nil {
		return err
	}
	wanted, err := o.wanted(from, streams.In)
	if err != nil {
		return err
	}
	var all []bundle
	var problems []error
	for _, r := range wanted {
		b, err := o.one(ctx, from, r, s)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		all = append(all, *b)
	}
	if len(all) == 0 {
		return errors.Join(problems...)
	}
	verdict := o.conclude(streams.Out, all, s, listBundles)
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	return verdict
}

// origin is a service, or files that were carried here.
func (o *CollateralFetch) origin(s sgx.Options) (origin, error) {
	if o.keep < 0 {
		return nil, cli.NewUsageError("--max-age: got %s, want none below zero", o.keep)
	}
	if strings.Contains(o.from, "://") {
		return o.service()
	}
	for _, flag := range []string{"root-crl-url", "update", "tcb-evaluation-number", "insecure-pccs-tls"} {
		if o.given(flag) {
			return nil, cli.NewUsageError("--%s: got it with files (--from %s), want it with the address of a service only", flag, o.from)
		}
	}
	all, err := readBundles(o.from, s)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	return carried(all), nil
}

func (o *CollateralFetch) service() (origin, error) {
	intel := strings.HasPrefix(o.from, collateral.IntelPCS)
	source := collateral.Source{BaseURL: o.from, RootCRLURL: o.rootCRLURL, Client: newPCSClient(o.insecureTLS), Wait: o.Wait}
	switch err := source.Check(); {
	case err != nil:
		return nil, cli.NewUsageError("--from, --root-crl-url: %w", err)
	case o.insecureTLS && intel:
		return nil, cli.NewUsageError("--insecure-pccs-tls: want --from with the address of a PCCS: Intel's own service has a proper certificate")
	case !o.insecureTLS && (strings.HasPrefix(o.from, "http:") || strings.HasPrefix(o.rootCRLURL, "http:")):
		return nil, cli.NewUsageError("--from, --root-crl-url: got an address without TLS, want https, or --insecure-pccs-tls")
	}
	return source, nil
}

// newPCSClient makes the requests, through the proxy of the environment if it names
// one. Who serves is not what the collateral's worth rests on: all of it is signed, and
// its dates and numbers are compared. TLS keeps others from seeing which machines there
// are, and from holding back an update; many a PCCS has a certificate that nobody knows.
func newPCSClient(insecure bool) *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: 10 * time.Second,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure},
	}}
}

// carried are bundles that somebody carried here.
type carried []bundle

// Fetch chooses one of them.
func (c carried) Fetch(_ context.Context, r collateral.Request) (*sgx.Collateral, error) {
	for _, b := range c {
		if b.err == nil && b.contents.FMSPC == r.FMSPC && b.contents.CA == r.CA {
			return b.collateral, nil
		}
	}
	return nil, fmt.Errorf("got no collateral for FMSPC %x and the %s CA in %s", r.FMSPC, r.CA, strings.Join(fileNames(c), " "))
}

// wanted says which bundles are wanted, each once.
func (o *CollateralFetch) wanted(from origin, in io.Reader) ([]collateral.Request, error) {
	files, isFiles := from.(carried)
	var all []collateral.Request
	var err error
	switch byFMSPC, byQuote := len(o.fmspcs) > 0, len(o.quotes) > 0; {
	case byFMSPC && byQuote:
		return nil, cli.NewUsageError("--fmspc, --quote: got both, want one of them")
	case !byFMSPC && o.ca != "":
		return nil, cli.NewUsageError("--ca: want it with --fmspc only: a quote says which CA its platform has")
	case byFMSPC:
		all, err = o.byFMSPC()
	case byQuote:
		all, err = o.byQuote(in)
	case isFiles:
		all, err = files.requests()
	default:
		return nil, cli.NewUsageError("no platform given: want --quote FILE, or --fmspc and 12 hexadecimal digits")
	}
	if err != nil {
		return nil, err
	}
	return o.complete(all)
}

// complete adds the choice of the evaluation to requests.
func (o *CollateralFetch) complete(all []collateral.Request) ([]collateral.Request, error) {
	if o.given("tcb-evaluation-number") && o.evaluation < 1 {
		return nil, cli.NewUsageError("--tcb-evaluation-number: got %d, want at least 1", o.evaluation)
	}
	slices.SortFunc(all, func(a, b collateral.Request) int { return strings.Compare(requestName(a), requestName(b)) })
	all = slices.Compact(all)
	for i := range all {
		all[i].Update, all[i].EvaluationDataNumber = o.update, o.evaluation
		if err := all[i].Check(); err != nil {
			return nil, cli.NewUsageError("--ca, --update, --tcb-evaluation-number: %w", err)
		}
	}
	return all, nil
}

func (o *CollateralFetch) byFMSPC() ([]collateral.Request, error) {
	cas := collateral.CAs()
	if o.ca != "" {
		cas = []string{o.ca}
	}
	var all []collateral.Request
	for _, text := range o.fmspcs {
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

func (o *CollateralFetch) byQuote(in io.Reader) ([]collateral.Request, error) {
	var all []collateral.Request
	for _, file := range o.quotes {
		raw, err := readQuote(file, in)
		if err != nil {
			return nil, fmt.Errorf("--quote: %w", err)
		}
		r, err := requestFor(raw)
		if err != nil {
			return nil, fmt.Errorf("--quote: %s: %w", file, err)
		}
		all = append(all, *r)
	}
	return all, nil
}

// requestFor reads which collateral a quote needs. Nothing is verified: it only
// chooses, and what does not fit is found when the quote is appraised.
func requestFor(raw []byte) (*collateral.Request, error) {
	q, err := sgx.ParseQuote(raw)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(q.CertificationData)
	if block == nil || q.CertificationType != sgx.PCKChain && q.CertificationType != sgx.PCKLeaf {
		return nil, fmt.Errorf("the quote does not hold its PCK certificate (certification data of type %d): give --fmspc", q.CertificationType)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("PCK certificate: %w", err)
	}
	p, err := sgx.ParsePCK(leaf)
	if err != nil {
		return nil, err
	}
	ca, ok := map[string]string{"Intel SGX PCK Platform CA": "platform", "Intel SGX PCK Processor CA": "processor"}[p.CA]
	if !ok {
		return nil, fmt.Errorf("the PCK certificate was issued by %.80q, want Intel's platform or processor CA", p.CA)
	}
	return &collateral.Request{FMSPC: p.FMSPC, CA: ca}, nil
}

// requests asks for everything that was carried here, which must all be usable.
func (c carried) requests() ([]collateral.Request, error) {
	var all []collateral.Request
	for _, b := range c {
		if b.err != nil {
			return nil, &CollateralError{b.file, b.err, "throw it away, and fetch it anew"}
		}
		if b.contents.CA == "" {
			return nil, &CollateralError{b.file, b.problems(), "fetch it anew, with the chain of the PCK CA"}
		}
		all = append(all, collateral.Request{FMSPC: b.contents.FMSPC, CA: b.contents.CA})
	}
	return all, nil
}

// requestName is sgx.Contents.Name of what is asked for.
func requestName(r collateral.Request) string {
	c := sgx.Contents{FMSPC: r.FMSPC, CA: r.CA}
	return c.Name()
}

// one fetches one bundle, unless a young one is there, and writes it.
func (o *CollateralFetch) one(ctx context.Context, from origin, r collateral.Request, s sgx.Options) (*bundle, error) {
	file := filepath.Join(o.to, requestName(r)+".json")
	had, err := bundleThere(file, r, s)
	if err != nil {
		return nil, err
	}
	if _, service := from.(collateral.Source); service && had != nil && o.young(had, r, s) {
		had.done = "kept"
		return had, nil
	}
	c, err := from.Fetch(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	text, err := c.Bundle()
	if err != nil {
		return nil, &CollateralError{file, fmt.Errorf("what is served is not used: %w", err), servedHint}
	}
	got := parseBundle(file, text, s) // exactly what will be read
	if err := checkServed(&got, r); err != nil {
		return nil, err
	}
	if err := checkRollback(had, &got); err != nil {
		return nil, err
	}
	if err := replaceFile(file, text); err != nil {
		return nil, fmt.Errorf("writing %s: %w", file, err)
	}
	got.done = "written"
	return &got, nil
}

// bundleThere reads the bundle that is there already, or returns nil. Whatever is wrong
// with it but its age is for the user to look at: it would be replaced by something
// that cannot be compared with it.
func bundleThere(file string, r collateral.Request, s sgx.Options) (*bundle, error) {
	text, err := readBounded(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the bundle that is there: %w", err)
	}
	b := parseBundle(file, text, s)
	if b.err == nil && (b.contents.FMSPC != r.FMSPC || b.contents.CA != r.CA) {
		b.err = fmt.Errorf("got FMSPC %x and CA %q, want %x and %q as its name says", b.contents.FMSPC, b.contents.CA, r.FMSPC, r.CA)
	}
	if b.err != nil {
		return nil, &CollateralError{file, fmt.Errorf("the bundle that is there cannot be used: %w", b.err), "move it away, or write into another folder (--to)"}
	}
	return &b, nil
}

// young reports whether a bundle is what is asked for and not yet worth a request.
func (o *CollateralFetch) young(had *bundle, r collateral.Request, s sgx.Options) bool {
	n := r.EvaluationDataNumber
	if o.force || o.keep == 0 || r.Update == "early" || n != 0 && (had.contents.EvaluationDataNumber != n || had.contents.QEEvaluationDataNumber != n) {
		return false
	}
	s.MaxAge = o.keep
	b := bundle{collateral: had.collateral}
	b.open(s)
	return b.problems() == nil
}

// servedHint is the next step when a service does not serve what it should.
const servedHint = "fetch again later, or from another service (--from); a PCCS may have to refresh its cache"

// checkServed refuses what is forged, not current, or not what was asked for.
func checkServed(got *bundle, r collateral.Request) error {
	if err := got.problems(); err != nil {
		return &CollateralError{got.file, fmt.Errorf("what is served is not used: %w", err), servedHint}
	}
	c, n := &got.contents, r.EvaluationDataNumber
	switch {
	case c.FMSPC != r.FMSPC || c.CA != r.CA:
		return &CollateralError{got.file, fmt.Errorf("what is served is for FMSPC %x and the %s CA, want %x and %s", c.FMSPC, c.CA, r.FMSPC, r.CA), servedHint}
	case n != 0 && (c.EvaluationDataNumber != n || c.QEEvaluationDataNumber != n):
		return &CollateralError{got.file, fmt.Errorf("what is served has the evaluation numbers %d (TCB info) and %d (QE identity), want %d", c.EvaluationDataNumber, c.QEEvaluationDataNumber, n), servedHint}
	}
	return nil
}

// checkRollback refuses to replace a part by an older one, under which a platform
// may look better, or a revoked certificate valid.
func checkRollback(had, got *bundle) error {
	if had == nil {
		return nil
	}
	const hint = "fetch again later, or from another service (--from); to go back on purpose, write into another folder (--to)"
	for _, number := range []struct {
		of       string
		old, new int
	}{
		{"TCB info", had.contents.EvaluationDataNumber, got.contents.EvaluationDataNumber},
		{"QE identity", had.contents.QEEvaluationDataNumber, got.contents.QEEvaluationDataNumber},
	} {
		if number.new < number.old {
			return &CollateralError{got.file, fmt.Errorf("going back is refused: the evaluation number of the %s is %d, want at least %d as in the bundle that is there", number.of, number.new, number.old), hint}
		}
	}
	for _, part := range []string{"tcb-info", "qe-identity", "root-crl", "pck-crl"} {
		before, known := had.contents.Validity(part)
		after, _ := got.contents.Validity(part)
		if known && after.From.Before(before.From) {
			return &CollateralError{got.file, fmt.Errorf("going back is refused: %s was issued on %s, want %s or later as in the bundle that is there", part, day(after.From), day(before.From)), hint}
		}
	}
	return nil
}
