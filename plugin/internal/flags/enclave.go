package flags

import (
	"errors"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// Enclave are the flags that say which enclave is expected, and which deviations are
// tolerated by name.
type Enclave struct {
	reference
	acceptTCB, acceptAdvisories []string
	allowDebug                  bool
}

// reference are the flags that say by which measurements, or by which signer, enclaves are
// known.
type reference struct {
	mrenclaves           []string
	mrsigner             string
	isvProdID, minISVSVN uint16
	given                func(flag string) bool
}

// addFlags registers the flags; who is whose enclave it is.
func (r *reference) addFlags(flags *pflag.FlagSet, who string) {
	flags.StringSliceVar(&r.mrenclaves, "mrenclave", nil, "measurement that "+who+" may have, 64 hexadecimal digits; may be repeated")
	flags.StringVar(&r.mrsigner, "mrsigner", "", "signer that "+who+" must have; needs --isvprodid and --min-isvsvn")
	flags.Uint16Var(&r.isvProdID, "isvprodid", 0, "product of the signer")
	flags.Uint16Var(&r.minISVSVN, "min-isvsvn", 0, "least security version of the product")
	r.given = flags.Changed
}

// values are what the flags say.
func (r *reference) values() (v attest.ReferenceValues, err error) {
	if v.MRENCLAVEs, err = each("--mrenclave", r.mrenclaves, sgx.ParseMeasurement); err == nil {
		v.Signer, err = r.signer()
	}
	return v, err
}

// AddFlags registers the flags.
func (e *Enclave) AddFlags(flags *pflag.FlagSet) {
	e.addFlags(flags, "the enclave")
	flags.StringSliceVar(&e.acceptTCB, "accept-tcb", nil, "TCB statuses that are tolerated beside UpToDate, by name")
	flags.StringSliceVar(&e.acceptAdvisories, "accept-advisory", nil, "advisories of Intel that are tolerated, by name")
	flags.BoolVar(&e.allowDebug, "allow-debug-enclave", false, "tolerate an enclave whose memory the host can read")
}

// Resolve returns the policy that the flags are.
func (e *Enclave) Resolve() (p attest.Policy, err error) {
	p.AllowDebugEnclave = e.allowDebug
	if p.ReferenceValues, err = e.values(); err != nil {
		return p, err
	}
	if p.AcceptTCB, err = each("--accept-tcb", e.acceptTCB, parseTolerated); err != nil {
		return p, err
	}
	p.AcceptAdvisories, err = each("--accept-advisory", e.acceptAdvisories, sgx.ParseAdvisory)
	if err != nil {
		return p, cli.NewUsageError("%w; there are no wildcards", err)
	}
	return p, nil
}

// each parses all values of a flag.
func each[T any](flag string, texts []string, parse func(string) (T, error)) ([]T, error) {
	var all []T
	for _, text := range texts {
		one, err := parse(text)
		if err != nil {
			return nil, cli.NewUsageError("%s: %w", flag, err)
		}
		all = append(all, one)
	}
	return all, nil
}

func parseTolerated(text string) (status sgx.TCBStatus, err error) {
	if err := status.UnmarshalText([]byte(text)); err != nil {
		return "", err
	}
	if status == sgx.Revoked {
		return "", errors.New("a revoked platform is never accepted")
	}
	return status, nil
}

func (r *reference) signer() (*attest.SignerReference, error) {
	switch signer := r.given("mrsigner"); {
	case signer && !(r.given("isvprodid") && r.given("min-isvsvn")):
		return nil, cli.NewUsageError("--mrsigner: want --isvprodid and --min-isvsvn as well: a signer makes many products and versions")
	case !signer && (r.given("isvprodid") || r.given("min-isvsvn")):
		return nil, cli.NewUsageError("--isvprodid and --min-isvsvn: want --mrsigner as well")
	case !signer:
		return nil, nil
	}
	m, err := sgx.ParseMeasurement(r.mrsigner)
	if err != nil {
		return nil, cli.NewUsageError("--mrsigner: %w", err)
	}
	return &attest.SignerReference{MRSIGNER: m, ISVProdID: r.isvProdID, MinISVSVN: r.minISVSVN}, nil
}
