package verbs

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// AttestQuote are the options of appraising a quote in a file.
type AttestQuote struct {
	// Output is one of printers.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	// Now is the clock.
	Now func() time.Time

	collateral, rootCA, at      string
	mrenclaves                  []string
	mrsigner                    string
	isvProdID, minISVSVN        uint16
	acceptTCB, acceptAdvisories []string
	allowDebug                  bool
	grace, maxAge               time.Duration
	minEvaluation               int
	given                       func(flag string) bool
}

// AddFlags registers the flags.
func (o *AttestQuote) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.collateral, "collateral", "", "folder or bundle.json with Intel's TCB info, QE identity, certificate chains and CRLs")
	flags.StringVar(&o.at, "at", "", "time of the verification, RFC 3339 (default now)")
	flags.StringVar(&o.rootCA, "sgx-root-ca", "", "PEM root certificate to use instead of Intel's; the result is then simulated")
	flags.StringSliceVar(&o.mrenclaves, "mrenclave", nil, "measurement that the enclave may have, 64 hexadecimal digits; may be repeated")
	flags.StringVar(&o.mrsigner, "mrsigner", "", "signer that the enclave must have; needs --isvprodid and --min-isvsvn")
	flags.Uint16Var(&o.isvProdID, "isvprodid", 0, "product of the signer")
	flags.Uint16Var(&o.minISVSVN, "min-isvsvn", 0, "least security version of the product")
	flags.StringSliceVar(&o.acceptTCB, "accept-tcb", nil, "TCB statuses that are tolerated beside UpToDate, by name")
	flags.StringSliceVar(&o.acceptAdvisories, "accept-advisory", nil, "advisories of Intel that are tolerated, by name")
	flags.BoolVar(&o.allowDebug, "allow-debug-enclave", false, "tolerate an enclave whose memory the host can read")
	flags.DurationVar(&o.grace, "collateral-grace", 0, "how long collateral is used after its next update was due; the verdict is then a warning")
	flags.DurationVar(&o.maxAge, "max-collateral-age", 0, "refuse a TCB info or QE identity that was issued longer ago (default: their own dates count)")
	flags.IntVar(&o.minEvaluation, "min-tcb-evaluation-number", 0, "refuse collateral of an older evaluation of Intel's")
	o.given = flags.Changed
}

// Run appraises the quote in a file, or on standard input when the name is -.
func (o *AttestQuote) Run(_ context.Context, path string, streams genericiooptions.IOStreams) error {
	options, err := o.options()
	if err != nil {
		return err
	}
	policy, err := o.policy()
	if err != nil {
		return err
	}
	quote, err := readQuote(path, streams.In)
	if err != nil {
		return err
	}
	var files map[string][]byte
	if o.collateral != "" {
		if files, err = readCollateralFiles(o.collateral); err != nil {
			return fmt.Errorf("--collateral: %w", err)
		}
	}
	a := attest.AppraiseQuote(quote, files, options, policy)
	verdict := a.Findings.Verdict()
	if err := printers.Print(streams.Out, o.Output, printers.Result{
		Head: printers.Head{Kind: "confidb.appraisal/v1", Simulated: a.Simulated}, Subject: "quote " + path, Verdict: verdict, Findings: a.Findings, Claims: a.Claims,
	}); err != nil {
		return err
	}
	return cli.Conclude(verdict, a.Simulated, o.AcceptSimulated)
}

func (o *AttestQuote) options() (sgx.Options, error) {
	s := sgx.Options{Time: o.Now(), Grace: o.grace, MaxAge: o.maxAge, MinEvaluationDataNumber: o.minEvaluation}
	if o.grace < 0 || o.maxAge < 0 || o.minEvaluation < 0 {
		return s, cli.NewUsageError("--collateral-grace, --max-collateral-age and --min-tcb-evaluation-number: want none below zero")
	}
	var err error
	if o.at != "" {
		if s.Time, err = time.Parse(time.RFC3339, o.at); err != nil {
			return s, cli.NewUsageError("--at: got %q, want RFC 3339, such as 2026-11-25T12:00:00Z", o.at)
		}
	}
	if s.Roots = sgx.IntelRoot(); o.rootCA != "" {
		text, err := readBounded(o.rootCA)
		if err != nil {
			return s, fmt.Errorf("--sgx-root-ca: %w", err)
		}
		if s.Roots, err = sgx.RootFromPEM(text); err != nil {
			return s, fmt.Errorf("--sgx-root-ca: %s: %w", o.rootCA, err)
		}
	}
	return s, nil
}

func (o *AttestQuote) policy() (attest.Policy, error) {
	p := attest.Policy{AllowDebugEnclave: o.allowDebug, AcceptAdvisories: o.acceptAdvisories}
	for _, text := range o.mrenclaves {
		m, err := sgx.ParseMeasurement(text)
		if err != nil {
			return p, cli.NewUsageError("--mrenclave: %w", err)
		}
		p.ReferenceValues.MRENCLAVEs = append(p.ReferenceValues.MRENCLAVEs, m)
	}
	switch signer := o.given("mrsigner"); {
	case signer && !(o.given("isvprodid") && o.given("min-isvsvn")):
		return p, cli.NewUsageError("--mrsigner: want --isvprodid and --min-isvsvn as well: a signer makes many products and versions")
	case !signer && (o.given("isvprodid") || o.given("min-isvsvn")):
		return p, cli.NewUsageError("--isvprodid and --min-isvsvn: want --mrsigner as well")
	case signer:
		m, err := sgx.ParseMeasurement(o.mrsigner)
		if err != nil {
			return p, cli.NewUsageError("--mrsigner: %w", err)
		}
		p.ReferenceValues.Signer = &attest.SignerReference{MRSIGNER: m, ISVProdID: o.isvProdID, MinISVSVN: o.minISVSVN}
	}
	for _, text := range o.acceptTCB {
		var status sgx.TCBStatus
		if err := status.UnmarshalText([]byte(text)); err != nil {
			return p, cli.NewUsageError("--accept-tcb: %w", err)
		}
		if status == sgx.Revoked {
			return p, cli.NewUsageError("--accept-tcb: a revoked platform is never accepted")
		}
		p.AcceptTCB = append(p.AcceptTCB, status)
	}
	advisoryName := regexp.MustCompile(`^INTEL-(SA|DOC)-[0-9]{5}$`)
	for _, text := range o.acceptAdvisories {
		if !advisoryName.MatchString(text) {
			return p, cli.NewUsageError("--accept-advisory: got %.40q, want a name such as INTEL-SA-00615; there are no wildcards", text)
		}
	}
	return p, nil
}

func readQuote(path string, in io.Reader) ([]byte, error) {
	if path != "-" {
		return readBounded(path)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = fmt.Errorf("standard input: longer than %d bytes", maxInput)
	}
	return text, err
}
