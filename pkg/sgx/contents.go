package sgx

import (
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/check"
)

// Contents are what collateral says without a quote.
type Contents struct {
	// FMSPC and PCEID are the family of processors that the TCB info is for; zero
	// without a TCB info.
	FMSPC [6]byte
	PCEID [2]byte
	// CA is the PCK CA that the PCK CRL is of, processor or platform; empty when its
	// chain is missing.
	CA string
	// EvaluationDataNumber and QEEvaluationDataNumber count Intel's re-evaluations, in
	// the TCB info and in the QE identity.
	EvaluationDataNumber, QEEvaluationDataNumber int
	// Levels is the number of TCB levels.
	Levels int
	// Simulated is true unless the chains end in Intel's root.
	Simulated bool
	// Validities say when each part is current.
	Validities []Validity
	// Findings say what is missing, out of date or revoked, in a fixed order.
	Findings check.Report
}

// Contents reads everything that the collateral says without a quote. An error is
// a *Refusal: something is forged or unreadable. What is missing is a finding.
func (v *Verifier) Contents() (Contents, error) {
	d, err := v.documents()
	if err != nil {
		return Contents{}, err
	}
	c := Contents{Simulated: !v.Roots.Intel(), Validities: slices.Clone(d.validities), Findings: slices.Clone(d.findings)}
	if err := c.readTCBInfo(d); err != nil {
		return Contents{}, err
	}
	c.readQEIdentity(d)
	if err := c.readIssuer(v, d); err != nil {
		return Contents{}, err
	}
	return c, nil
}

func (c *Contents) readTCBInfo(d *documents) error {
	const id, title = "tcb-info", "the TCB info is there and about SGX"
	info := d.tcbInfo
	if info == nil {
		c.Findings = append(c.Findings, missing(id, title, NoTCBInfo, "the TCB info is missing, or cannot be verified without the TCB signing chain"))
		return nil
	}
	if len(info.FMSPC) != len(c.FMSPC) || len(info.PCEID) != len(c.PCEID) {
		return refuse(TCBInfoInvalid, "got FMSPC %x and PCEID %x, want %d and %d bytes", []byte(info.FMSPC), []byte(info.PCEID), len(c.FMSPC), len(c.PCEID))
	}
	c.FMSPC, c.PCEID = [6]byte(info.FMSPC), [2]byte(info.PCEID)
	c.EvaluationDataNumber, c.Levels = info.TCBEvaluationDataNumber, len(info.Levels)
	f := check.Finding{ID: id, Title: title, Outcome: check.Pass}
	if info.Version == 3 && info.ID != "SGX" || info.Version == 2 && info.ID != "" {
		f = failed(id, title, TCBInfoMismatch, fmt.Sprintf("it is about %.20q, want SGX", info.ID))
	}
	c.Findings = append(c.Findings, f)
	return nil
}

func (c *Contents) readQEIdentity(d *documents) {
	const id, title = "qe-identity", "the QE identity is there and that of an SGX quoting enclave"
	f := check.Finding{ID: id, Title: title, Outcome: check.Pass}
	switch identity := d.qeIdentity; {
	case identity == nil:
		f = missing(id, title, NoQEIdentity, "the QE identity is missing, or cannot be verified without the TCB signing chain")
	case identity.Version != 2 || identity.ID != "QE":
		f = failed(id, title, QEIdentityForeign, fmt.Sprintf("got id %.20q version %d, want QE version 2", identity.ID, identity.Version))
	default:
		c.QEEvaluationDataNumber = identity.TCBEvaluationDataNumber
	}
	c.Findings = append(c.Findings, f)
}

// readIssuer verifies the PCK CA and both revocation lists. Without its chain
// nobody says whose the lists are until there is a quote.
func (c *Contents) readIssuer(v *Verifier, d *documents) error {
	const title = "the certificate revocation lists are those of Intel's CAs"
	if len(v.collected.PCKIssuerChain) == 0 {
		f := missing("pck-crl", title, NoPCKCRL, "the chain of the PCK CA is missing (pckSignChain.pem, pck_crl_issuer_chain), and without it the lists cannot be verified")
		c.Findings = append(c.Findings, f)
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	i, err := v.issuer(v.collected.PCKIssuerChain)
	if err != nil {
		return err
	}
	c.CA = map[string]string{processorCA: "processor", platformCA: "platform"}[i.chain[0].Subject.CommonName]
	validity, f := v.chainValidity("pck-chain", "the PCK CA and the root are valid at the time of verification", i.chain, PCKChainExpired, PCKChainNotYetValid)
	c.Validities = append(append(c.Validities, validity), i.validities...)
	c.Findings = append(append(c.Findings, f), i.revocation(d.signer, nil)...)
	return nil
}

// Validity returns that of one part, and whether it is known.
func (c *Contents) Validity(part string) (Validity, bool) {
	i := slices.IndexFunc(c.Validities, func(v Validity) bool { return v.Part == part })
	if i < 0 {
		return Validity{}, false
	}
	return c.Validities[i], true
}

// Name is the family of processors and the CA, as file names of bundles begin.
func (c *Contents) Name() string { return hex.EncodeToString(c.FMSPC[:]) + "-" + c.CA }

// Files are the parts that are there, by the names of CollateralFileNames.
func (c *Collateral) Files() map[string][]byte {
	files := map[string][]byte{}
	for _, f := range c.files() {
		if len(*f.part) > 0 {
			files[f.name] = *f.part
		}
	}
	return files
}
