package sgx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/check"
)

// Options are everything a verification depends on beside its inputs.
type Options struct {
	// Time is when everything must be valid.
	Time time.Time
	// Roots are the keys that chains must end in. The zero value trusts none.
	Roots Roots
}

// Result is what a genuine quote says. It is only made when every signature
// matches; Findings tell what else keeps it from being proven.
type Result struct {
	// Quote is the verified quote.
	Quote *Quote
	// Platform is what the PCK certificate says about the machine.
	Platform *PCK
	// Status is PlatformStatus and QEStatus merged as Intel does.
	Status, PlatformStatus, QEStatus TCBStatus
	// Advisories are those of both levels, the platform's first.
	Advisories []string
	// TCBDate is the date of the platform's level.
	TCBDate time.Time
	// EvaluationDataNumber counts Intel's re-evaluations; it must not go back.
	EvaluationDataNumber int
	// Simulated is true unless the chain ends in Intel's root.
	Simulated bool
	// Findings are checks of freshness and revocation, in a fixed order.
	Findings check.Report
}

// Verify checks a quote against collateral. An error means that something is
// forged, foreign or unreadable, so that nothing it says counts. Collateral that
// is missing or out of date does not make an error: the Result's Findings say so.
func Verify(raw []byte, c *Collateral, o Options) (*Result, error) {
	q, err := ParseQuote(raw)
	if err != nil {
		return nil, err
	}
	v := verification{quote: q, collateral: c, Options: o, result: &Result{Quote: q, Simulated: !o.Roots.Intel()}}
	for _, step := range []func() error{v.pckChain, v.qeReport, v.quoteSignature, v.tcbChain, v.platformLevel, v.qeLevel} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	v.revocation()
	v.result.Status = mergeStatus(v.result.PlatformStatus, v.result.QEStatus)
	return v.result, nil
}

type verification struct {
	Options
	quote      *Quote
	collateral *Collateral
	result     *Result
	pck, tcb   []*x509.Certificate // leaf first
	tcbKey     *ecdsa.PublicKey
}

// finding records a check that can fail without anything being forged.
func (v *verification) finding(id, title string, outcome check.Outcome, reason, hint string) {
	f := check.Finding{ID: id, Title: title, Outcome: outcome}
	if outcome != check.Pass {
		f.Reason, f.Hint = reason, hint
	}
	v.result.Findings = append(v.result.Findings, f)
}

// Subjects of Intel's certificates (PCK Certificate and CRL Profile §2).
const (
	pckSubject        = "Intel SGX PCK Certificate"
	tcbSigningSubject = "Intel SGX TCB Signing"
	rootSubject       = "Intel SGX Root CA"
	processorCA       = "Intel SGX PCK Processor CA"
	platformCA        = "Intel SGX PCK Platform CA"
)

func (v *verification) pckChain() (err error) {
	text := v.quote.CertificationData
	if len(text) == 0 {
		text = v.collateral.PCKChain
	}
	if v.pck, err = parseChain(text); err != nil {
		return fmt.Errorf("PCK certificate chain: %w: the quote holds none, fetch that of the platform from Intel PCS or a PCCS", err)
	}
	if len(v.pck) != 3 || v.pck[0].Subject.CommonName != pckSubject || !slices.Contains([]string{processorCA, platformCA}, v.pck[1].Subject.CommonName) {
		return errors.New("PCK certificate chain: want a PCK certificate, its CA and the root, in this order")
	}
	if err := v.chain("PCK certificate chain", v.pck); err != nil {
		return err
	}
	v.dates("pck-chain-validity", "the PCK certificate chain is valid at the time of verification", v.pck)
	v.result.Platform, err = ParsePCK(v.pck[0])
	return err
}

// chain checks signatures, roles and the root. Dates and revocation are apart,
// because they only make the result stale.
func (v *verification) chain(what string, chain []*x509.Certificate) error {
	root := chain[len(chain)-1]
	if root.Subject.CommonName != rootSubject || !v.Roots.trusts(root) {
		return fmt.Errorf("%s: it ends in %q, which is not the trusted root", what, root.Subject.CommonName)
	}
	for i, c := range chain {
		issuer := chain[min(i+1, len(chain)-1)]
		if c.IsCA != (i > 0) {
			return fmt.Errorf("%s: certificate %d (%s): got CA %v, want %v", what, i, c.Subject.CommonName, c.IsCA, i > 0)
		}
		if !bytes.Equal(c.RawIssuer, issuer.RawSubject) {
			return fmt.Errorf("%s: certificate %d was issued by %q, the next one is %q", what, i, c.Issuer.CommonName, issuer.Subject.CommonName)
		}
		if err := c.CheckSignatureFrom(issuer); err != nil {
			return fmt.Errorf("%s: certificate %d (%s): %w", what, i, c.Subject.CommonName, err)
		}
	}
	return nil
}

func (v *verification) dates(id, title string, chain []*x509.Certificate) {
	for _, c := range chain {
		if v.Time.Before(c.NotBefore) || v.Time.After(c.NotAfter) {
			v.finding(id, title, check.Fail, fmt.Sprintf("%s is valid from %s to %s, and the time is %s", c.Subject.CommonName, stamp(c.NotBefore), stamp(c.NotAfter), stamp(v.Time)), "fetch current collateral")
			return
		}
	}
	v.finding(id, title, check.Pass, "", "")
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (v *verification) qeReport() error {
	key, ok := v.pck[0].PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return errors.New("PCK certificate: want a P-256 key")
	}
	if !verifyRaw(key, v.quote.qeReport, v.quote.qeSignature) {
		return errors.New("the report of the quoting enclave was not signed by the PCK key of this platform")
	}
	bound := sha256.Sum256(append(slices.Clone(v.quote.attestationKey), v.quote.authentication...))
	var want [64]byte
	copy(want[:], bound[:])
	if subtle.ConstantTimeCompare(v.quote.QEReport.ReportData[:], want[:]) != 1 {
		return errors.New("the quoting enclave did not vouch for the attestation key")
	}
	return nil
}

func (v *verification) quoteSignature() error {
	const uncompressed = 4 // SEC 1 §2.3.3
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{uncompressed}, v.quote.attestationKey...))
	if err != nil {
		return fmt.Errorf("attestation key: %w", err)
	}
	if !verifyRaw(key, v.quote.signed, v.quote.signature) {
		return errors.New("the quote's signature does not match")
	}
	return nil
}

func (v *verification) tcbChain() (err error) {
	if v.tcb, err = parseChain(v.collateral.TCBSigningChain); err != nil {
		return fmt.Errorf("TCB signing chain: %w", err)
	}
	if len(v.tcb) != 2 || v.tcb[0].Subject.CommonName != tcbSigningSubject {
		return errors.New("TCB signing chain: want the TCB signing certificate and the root, in this order")
	}
	if err := v.chain("TCB signing chain", v.tcb); err != nil {
		return err
	}
	v.dates("tcb-signing-chain-validity", "the TCB signing chain is valid at the time of verification", v.tcb)
	key, ok := v.tcb[0].PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return errors.New("TCB signing certificate: want a P-256 key")
	}
	v.tcbKey = key
	return nil
}

func (v *verification) platformLevel() error {
	var info tcbInfo
	if err := openSigned(v.collateral.TCBInfo, "tcbInfo", v.tcbKey, &info); err != nil {
		return fmt.Errorf("TCB info: %w", err)
	}
	p := v.result.Platform
	switch {
	case (info.Version != 3 || info.ID != "SGX") && (info.Version != 2 || info.ID != ""):
		return fmt.Errorf("TCB info: got id %q version %d, want SGX version 3: fetch it from API v4", info.ID, info.Version)
	case !bytes.Equal(info.FMSPC, p.FMSPC[:]) || !bytes.Equal(info.PCEID, p.PCEID[:]):
		return fmt.Errorf("TCB info: it is for FMSPC %x and PCEID %x, the platform has %x and %x", []byte(info.FMSPC), []byte(info.PCEID), p.FMSPC, p.PCEID)
	}
	l, ok := info.match(p)
	if !ok {
		return errors.New("TCB info: no level matches this platform: it is not supported")
	}
	if info.Version == 2 {
		v.finding("tcb-info-version", "the TCB info names its advisories (version 3)", check.Skip, "it is version 2", "fetch it from API v4")
	}
	v.current("tcb-info-validity", "the TCB info is current at the time of verification", info.signed)
	v.result.PlatformStatus, v.result.TCBDate, v.result.EvaluationDataNumber = l.Status, l.Date, info.TCBEvaluationDataNumber
	v.advisories(l)
	return nil
}

func (v *verification) qeLevel() error {
	var identity qeIdentity
	if err := openSigned(v.collateral.QEIdentity, "enclaveIdentity", v.tcbKey, &identity); err != nil {
		return fmt.Errorf("QE identity: %w", err)
	}
	if identity.Version != 2 || identity.ID != "QE" {
		return fmt.Errorf("QE identity: got id %q version %d, want QE version 2", identity.ID, identity.Version)
	}
	if err := identity.describes(&v.quote.QEReport); err != nil {
		return err
	}
	l, ok := identity.match(v.quote.QEReport.ISVSVN)
	if !ok {
		return errors.New("QE identity: no level matches the quoting enclave: it is not supported")
	}
	v.current("qe-identity-validity", "the QE identity is current at the time of verification", identity.signed)
	v.result.QEStatus = l.Status
	v.advisories(l)
	return nil
}

func (v *verification) current(id, title string, s signed) {
	outcome := check.Pass
	if v.Time.Before(s.IssueDate) || v.Time.After(s.NextUpdate) {
		outcome = check.Fail
	}
	v.finding(id, title, outcome, fmt.Sprintf("it was issued on %s, its next update was due on %s, and the time is %s", stamp(s.IssueDate), stamp(s.NextUpdate), stamp(v.Time)), "fetch current collateral")
}

func (v *verification) advisories(l level) {
	for _, a := range l.Advisories {
		if !slices.Contains(v.result.Advisories, a) {
			v.result.Advisories = append(v.result.Advisories, a)
		}
	}
}

// revocation checks both lists. A list that is missing is a Skip: what it would
// say is not known. A list that is forged is a failure.
func (v *verification) revocation() {
	root := v.pck[len(v.pck)-1]
	v.crl("root-crl", "neither the PCK CA nor the TCB signing certificate is revoked", v.collateral.RootCRL, root, v.pck[1], v.tcb[0])
	v.crl("pck-crl", "the PCK certificate is not revoked", v.collateral.PCKCRL, v.pck[1], v.pck[0])
}

func (v *verification) crl(id, title string, raw []byte, issuer *x509.Certificate, subjects ...*x509.Certificate) {
	const hint = "fetch current collateral"
	if len(raw) == 0 {
		v.finding(id, title, check.Skip, "the certificate revocation list is missing", hint)
		return
	}
	if block, _ := pem.Decode(raw); block != nil {
		raw = block.Bytes
	}
	list, err := x509.ParseRevocationList(raw)
	if err == nil && !bytes.Equal(list.RawIssuer, issuer.RawSubject) {
		err = fmt.Errorf("it was issued by %q, want %q", list.Issuer.CommonName, issuer.Subject.CommonName)
	}
	if err == nil {
		err = list.CheckSignatureFrom(issuer)
	}
	if err != nil {
		v.finding(id, title, check.Fail, "certificate revocation list: "+err.Error(), hint)
		return
	}
	for _, entry := range list.RevokedCertificateEntries {
		for _, c := range subjects {
			if entry.SerialNumber.Cmp(c.SerialNumber) == 0 {
				v.finding(id, title, check.Fail, fmt.Sprintf("%s with serial number %x is revoked", c.Subject.CommonName, c.SerialNumber), "do not use this platform, or ask Intel why")
				return
			}
		}
	}
	if v.Time.Before(list.ThisUpdate) || v.Time.After(list.NextUpdate) {
		v.finding(id, title, check.Fail, fmt.Sprintf("the list is valid from %s to %s, and the time is %s", stamp(list.ThisUpdate), stamp(list.NextUpdate), stamp(v.Time)), hint)
		return
	}
	v.finding(id, title, check.Pass, "", "")
}
