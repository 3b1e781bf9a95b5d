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
	mrenclaves                  []string
	mrsigner                    string
	isvProdID, minISVSVN        uint16
	acceptTCB, acceptAdvisories []string
	allowDebug                  bool
	given                       func(flag string) bool
}

// AddFlags registers the flags.
func (e *Enclave) AddFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&e.mrenclaves, "mrenclave", nil, "measurement that the enclave may have, 64 hexadecimal digits; may be repeated")
	flags.StringVar(&e.mrsigner, "mrsigner", "", "signer that the enclave must have; needs --isvprodid and --min-isvsvn")
	flags.Uint16Var(&e.isvProdID, "isvprodid", 0, "product of the signer")
	flags.Uint16Var(&e.minISVSVN, "min-isvsvn", 0, "least security version of the product")
	flags.StringSliceVar(&e.acceptTCB, "accept-tcb", nil, "TCB statuses that are tolerated beside UpToDate, by name")
	flags.StringSliceVar(&e.acceptAdvisories, "accept-advisory", nil, "advisories of Intel that are tolerated, by name")
	flags.BoolVar(&e.allowDebug, "allow-debug-enclave", false, "tolerate an enclave whose memory the host can read")
	e.given = flags.Changed
}

// Resolve returns the policy that the flags are.
func (e *Enclave) Resolve() (p attest.Policy, err error) {
	p.AllowDebugEnclave = e.allowDebug
	if p.ReferenceValues.MRENCLAVEs, err = each("--mrenclave", e.mrenclaves, sgx.ParseMeasurement); err != nil {
		return p, err
	}
	if p.ReferenceValues.Signer, err = e.signer(); err != nil {
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

func (e *Enclave) signer() (*attest.SignerReference, error) {
	switch signer := e.given("mrsigner"); {
	case signer && !(e.given("isvprodid") && e.given("min-isvsvn")):
		return nil, cli.NewUsageError("--mrsigner: want --isvprodid and --min-isvsvn as well: a signer makes many products and versions")
	case !signer && (e.given("isvprodid") || e.given("min-isvsvn")):
		return nil, cli.NewUsageError("--isvprodid and --min-isvsvn: want --mrsigner as well")
	case !signer:
		return nil, nil
	}
	m, err := sgx.ParseMeasurement(e.mrsigner)
	if err != nil {
		return nil, cli.NewUsageError("--mrsigner: %w", err)
	}
	return &attest.SignerReference{MRSIGNER: m, ISVProdID: e.isvProdID, MinISVSVN: e.minISVSVN}, nil
}
