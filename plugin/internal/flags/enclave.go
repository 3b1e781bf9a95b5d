package flags

import (
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
func (e *Enclave) Resolve() (attest.Policy, error) {
	p := attest.Policy{AllowDebugEnclave: e.allowDebug}
	for _, text := range e.mrenclaves {
		m, err := sgx.ParseMeasurement(text)
		if err != nil {
			return p, cli.NewUsageError("--mrenclave: %w", err)
		}
		p.ReferenceValues.MRENCLAVEs = append(p.ReferenceValues.MRENCLAVEs, m)
	}
	var err error
	if p.ReferenceValues.Signer, err = e.signer(); err != nil {
		return p, err
	}
	return p, e.tolerances(&p)
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

func (e *Enclave) tolerances(p *attest.Policy) error {
	for _, text := range e.acceptTCB {
		var status sgx.TCBStatus
		if err := status.UnmarshalText([]byte(text)); err != nil {
			return cli.NewUsageError("--accept-tcb: %w", err)
		}
		if status == sgx.Revoked {
			return cli.NewUsageError("--accept-tcb: a revoked platform is never accepted")
		}
		p.AcceptTCB = append(p.AcceptTCB, status)
	}
	for _, text := range e.acceptAdvisories {
		name, err := sgx.ParseAdvisory(text)
		if err != nil {
			return cli.NewUsageError("--accept-advisory: %w; there are no wildcards", err)
		}
		p.AcceptAdvisories = append(p.AcceptAdvisories, name)
	}
	return nil
}
