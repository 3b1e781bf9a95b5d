package sgx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"slices"
	"sync"
	"time"

	"github.com/confidb/confidb/pkg/check"
)

// Options are everything a verification depends on beside its inputs.
type Options struct {
	// Time is when everything must be valid.
	Time time.Time
	// Roots are the keys that chains must end in. The zero value trusts none.
	Roots Roots
	// Grace is how long after the time of their next update the TCB info, the QE
	// identity and CRLs are still used. Each such use is a Warn.
	Grace time.Duration
	// MaxAge is how long ago the TCB info and the QE identity may have been issued;
	// zero means that their own dates are enough.
	MaxAge time.Duration
	// MinEvaluationDataNumber is the least TCB evaluation data number that both
	// documents must have; zero means any.
	MinEvaluationDataNumber int
}

// Result is what a genuine quote says. It is only made when every signature
// matches; Findings tell what else keeps it from being proven.
type Result struct {
	// Quote is the verified quote.
	Quote *Quote
	// Platform is what the PCK certificate says about the machine.
	Platform *PCK
	// Status is PlatformStatus and QEStatus merged as Intel does. A status is empty
	// when the document that would say it is missing or for another platform.
	Status, PlatformStatus, QEStatus TCBStatus
	// Advisories are those of both levels, the platform's first.
	Advisories []string
	// TCBDate is the date of the platform's level; zero when that is not known.
	TCBDate time.Time
	// EvaluationDataNumber and QEEvaluationDataNumber count Intel's re-evaluations, in
	// the TCB info and in the QE identity. They must not go back.
	EvaluationDataNumber, QEEvaluationDataNumber int
	// Simulated is true unless the chain ends in Intel's root.
	Simulated bool
	// Validities say when each part of the collateral is current.
	Validities []Validity
	// Findings are checks of freshness and revocation, in a fixed order.
	Findings check.Report
}

// Validity is when one part of the collateral is current.
type Validity struct {
	// Part is one of the words that begin the IDs of findings: pck-chain,
	// tcb-signing-chain, tcb-info, qe-identity, root-crl, pck-crl.
	Part  string    `json:"part"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// Verify checks one quote against collateral; see Verifier.
func Verify(raw []byte, c *Collateral, o Options) (*Result, error) {
	v := newVerifier(c, o)
	go v.documents()    // does not depend on the quote
	defer v.documents() // waits: the caller may reuse its buffers as soon as this returns
	return v.Verify(raw)
}

// Verifier verifies many quotes against the same collateral at the same time, and
// does for each only what is new: two signatures, and a third for each PCK
// certificate that it did not see before. It may be used by several goroutines.
type Verifier struct {
	Options
	collected Collateral
	// documents verifies the documents at its first call.
	documents func() (*documents, error)

	mu        sync.Mutex
	spared    bool                          // the certificates that no quote needs were looked at
	issuers   map[[sha256.Size]byte]*issuer // by their PEM, and by their DER
	platforms map[[sha256.Size]byte]*platform
}

// issuer is a verified PCK CA with the root, and what the CRLs say under it.
type issuer struct {
	chain []*x509.Certificate
	// rootRevoked and pckRevoked are the serial numbers of the lists, as far as they
	// are there and of the right CA.
	rootRevoked, pckRevoked revocations

	findings   check.Report
	validities []Validity
}

// platform is everything that does not depend on the enclave of a quote.
type platform struct {
	leaf   *x509.Certificate
	issuer *issuer
	pck    *PCK
	key    *ecdsa.PublicKey
	judged sync.Once
	result Result // when judged
}

// NewVerifier verifies the collateral as far as that is possible without a quote.
// An error is a *Refusal: something is forged or unreadable.
func NewVerifier(c *Collateral, o Options) (*Verifier, error) {
	v := newVerifier(c, o)
	_, err := v.documents()
	return v, err
}

func newVerifier(c *Collateral, o Options) *Verifier {
	return &Verifier{
		Options: o, collected: *c, issuers: map[[sha256.Size]byte]*issuer{}, platforms: map[[sha256.Size]byte]*platform{},
		documents: sync.OnceValues(func() (*documents, error) { return openDocuments(c, o) }),
	}
}

// Verify checks a quote. An error is a *Refusal and means that something is
// forged, foreign or unreadable, so that nothing it says counts. Collateral that is
// missing, out of date or for another platform does not make an error: the
// Result's Findings say so.
func (v *Verifier) Verify(raw []byte) (*Result, error) {
	q, err := ParseQuote(raw)
	if err != nil {
		return nil, err
	}
	p, err := v.platform(q)
	if err != nil {
		return nil, err
	}
	if err := q.checkQEReport(p.key); err != nil {
		return nil, err
	}
	if err := q.checkSignature(); err != nil {
		return nil, err
	}
	d, err := v.documents()
	if err != nil {
		return nil, err
	}
	p.judged.Do(func() { v.judgePlatform(p, d) })
	result := p.result
	result.Quote, result.Findings = q, slices.Clone(p.result.Findings)
	if err := d.judgeQE(&result); err != nil {
		return nil, err
	}
	if q.TrailingBytes > 0 {
		result.Findings = append(result.Findings, check.Finding{
			ID: "quote-trailing-bytes", Title: "nothing is read from what follows the quote", Outcome: check.Pass,
			Reason: plural(q.TrailingBytes, "byte") + " after the quote ignored",
		})
	}
	return &result, nil
}

// platform returns what is known of the platform of a quote, from memory when its
// certificates were seen before.
func (v *Verifier) platform(q *Quote) (*platform, error) {
	text, err := v.pckText(q)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(text)
	v.mu.Lock()
	defer v.mu.Unlock()
	if p, ok := v.platforms[key]; ok {
		return p, nil
	}
	p, err := v.newPlatform(text)
	if err != nil {
		return nil, err
	}
	v.platforms[key] = p
	return p, nil
}

// pckText is the PCK certificate and its chain in PEM, from the quote as far as it
// holds them, else from the collateral.
func (v *Verifier) pckText(q *Quote) ([]byte, error) {
	leaf, issuers := v.collected.PCKCertificate, v.collected.PCKIssuerChain
	switch q.CertificationType {
	case PCKChain:
		return q.CertificationData, nil
	case PCKLeaf:
		leaf = q.CertificationData
	}
	if len(leaf) == 0 || len(issuers) == 0 {
		return nil, refuse(QuoteWithoutPCK, "certification data of type %d does not hold the PCK certificate chain: fetch it from Intel PCS (pckcert) or a PCCS, and give it as pckCert.pem and pckSignChain.pem", q.CertificationType)
	}
	return slices.Concat(leaf, []byte("\n"), issuers), nil
}

func (v *Verifier) newPlatform(text []byte) (*platform, error) {
	der, rest, err := nextCertificate(text)
	if err != nil || der == nil {
		return nil, refuse(PCKChainInvalid, "got no PEM certificate (%v)", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, refuse(PCKChainInvalid, "PCK certificate: %w", err)
	}
	ca, err := v.issuer(rest)
	if err != nil {
		return nil, err
	}
	if err := v.checkSpare(text, ca); err != nil {
		return nil, err
	}
	if leaf.Subject.CommonName != pckSubject {
		return nil, refuse(PCKChainInvalid, "got the subject %q, want %q", leaf.Subject.CommonName, pckSubject)
	}
	if err := checkIssued(leaf, ca.chain[0], false); err != nil {
		return nil, refuse(PCKChainInvalid, "PCK certificate: %w", err)
	}
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, refuse(PCKChainInvalid, "PCK certificate: want a P-256 key")
	}
	pck, err := ParsePCK(leaf)
	if err != nil {
		return nil, err
	}
	return &platform{leaf: leaf, issuer: ca, pck: pck, key: key}, nil
}

// checkSpare looks once at the certificates of the collateral that a quote does not
// need because it has its own: what is given is genuine, whether it is needed or not.
// used is the PEM text of those that are needed.
func (v *Verifier) checkSpare(used []byte, ca *issuer) (err error) {
	if v.spared {
		return nil
	}
	spare := func(text []byte) bool {
		return len(text) > 0 && !bytes.Contains(used, bytes.TrimRight(text, " \t\r\n"))
	}
	if issuers := v.collected.PCKIssuerChain; spare(issuers) {
		if ca, err = v.issuer(issuers); err != nil {
			return err
		}
	}
	if leaf := v.collected.PCKCertificate; spare(leaf) {
		chain, err := parseChain(leaf)
		if err == nil {
			err = checkIssued(chain[0], ca.chain[0], false)
		}
		if err != nil {
			return refuse(PCKChainInvalid, "PCK certificate of the collateral: %w", err)
		}
	}
	v.spared = true
	return nil
}

// judgePlatform asks everything of the platform that its certificate can answer.
func (v *Verifier) judgePlatform(p *platform, d *documents) {
	ca, r := p.issuer, &p.result
	r.Platform, r.Simulated = p.pck, !v.Roots.Intel()
	chain := append([]*x509.Certificate{p.leaf}, ca.chain...)
	validity, finding := v.chainValidity("pck-chain", "the PCK certificate chain is valid at the time of verification", chain, PCKChainExpired, PCKChainNotYetValid)
	r.Validities = slices.Concat([]Validity{validity}, d.validities, ca.validities)
	r.Findings = slices.Concat(check.Report{finding}, d.findings, d.judgePlatform(r), ca.revocation(d.signer, p.leaf))
}

// issuer verifies a PCK CA with its root once, and reads the CRLs under them.
func (v *Verifier) issuer(text []byte) (*issuer, error) {
	key := sha256.Sum256(text)
	if known, ok := v.issuers[key]; ok {
		return known, nil
	}
	chain, err := parseChain(text)
	if err != nil {
		return nil, refuse(PCKChainInvalid, "issuers of the PCK certificate: %w", err)
	}
	byDER := sha256.Sum256(rawChain(chain))
	if known, ok := v.issuers[byDER]; ok {
		v.issuers[key] = known
		return known, nil
	}
	if len(chain) != 2 || !slices.Contains([]string{processorCA, platformCA}, chain[0].Subject.CommonName) {
		return nil, refuse(PCKChainInvalid, "want a PCK certificate, its CA and the root, in this order; after the first there are %d, and the next is %q", len(chain), chain[0].Subject.CommonName)
	}
	if err := v.Roots.checkChain(chain, true, PCKChainInvalid); err != nil {
		return nil, err
	}
	i := &issuer{chain: chain}
	if err := v.readCRLs(i); err != nil {
		return nil, err
	}
	v.issuers[key], v.issuers[byDER] = i, i
	return i, nil
}

func rawChain(chain []*x509.Certificate) []byte {
	var all []byte
	for _, c := range chain {
		all = append(all, c.Raw...)
	}
	return all
}

func (q *Quote) checkQEReport(key *ecdsa.PublicKey) error {
	if !verifyRaw(key, q.qeReport, q.qeSignature) {
		return refuse(QEReportInvalid, "the report of the quoting enclave was not signed by the PCK key of this platform")
	}
	hash := sha256.New()
	hash.Write(q.attestationKey)
	hash.Write(q.authentication)
	var want [64]byte
	hash.Sum(want[:0])
	if subtle.ConstantTimeCompare(q.QEReport.ReportData[:], want[:]) != 1 {
		return refuse(AttestationKeyUnbound, "the quoting enclave did not vouch for the attestation key")
	}
	return nil
}

func (q *Quote) checkSignature() error {
	var point [1 + keySize]byte
	point[0] = 4 // uncompressed, SEC 1 §2.3.3
	copy(point[1:], q.attestationKey)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point[:])
	if err != nil {
		return refuse(QuoteSignatureInvalid, "attestation key: %w", err)
	}
	if !verifyRaw(key, q.signed, q.signature) {
		return refuse(QuoteSignatureInvalid, "the quote's signature does not match")
	}
	return nil
}

// revocations are the serial numbers on one list.
type revocations []x509.RevocationListEntry

func (r revocations) has(c *x509.Certificate) bool {
	return c != nil && slices.ContainsFunc(r, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(c.SerialNumber) == 0 })
}

// revocation says what both lists say of the PCK CA, the TCB signer and a PCK
// certificate; the latter two may be nil.
func (i *issuer) revocation(signer, leaf *x509.Certificate) check.Report {
	report := slices.Clone(i.findings) // of the root's list, and of the PCK CA's
	if i.rootRevoked.has(i.chain[0]) {
		report[0] = revoked(report[0], PCKCARevoked, i.chain[0])
	}
	if i.rootRevoked.has(signer) {
		report[0] = revoked(report[0], TCBSignerRevoked, signer)
	}
	if i.pckRevoked.has(leaf) {
		report[1] = revoked(report[1], PCKRevoked, leaf)
	}
	return report
}

// readCRLs reads both lists under a PCK CA and its root. A list that is missing, or
// of another CA, is a finding: what it would say is not known. One that is forged
// is an error.
func (v *Verifier) readCRLs(i *issuer) (err error) {
	ca, root := i.chain[0], i.chain[1]
	i.rootRevoked, err = v.readCRL(i, crlKind{"root-crl", "neither the PCK CA nor the TCB signing certificate is revoked", NoRootCRL, RootCRLInvalid, RootCRLForeign, RootCRLExpired, RootCRLNotYetValid}, v.collected.RootCRL, root)
	if err != nil {
		return err
	}
	i.pckRevoked, err = v.readCRL(i, crlKind{"pck-crl", "the PCK certificate is not revoked", NoPCKCRL, PCKCRLInvalid, PCKCRLForeign, PCKCRLExpired, PCKCRLNotYetValid}, v.collected.PCKCRL, ca)
	return err
}

// crlKind is how one of the two lists is spoken of.
type crlKind struct {
	id, title                              string
	missing, invalid, foreign, late, early Code
}

func (v *Verifier) readCRL(i *issuer, kind crlKind, raw []byte, by *x509.Certificate) (revocations, error) {
	if len(raw) == 0 {
		i.findings = append(i.findings, missing(kind.id, kind.title, kind.missing, "the certificate revocation list is missing"))
		return nil, nil
	}
	der := derOf(raw)
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, refuse(kind.invalid, "%w", err)
	}
	if other := list.Issuer.CommonName; other != by.Subject.CommonName && slices.Contains([]string{rootSubject, processorCA, platformCA}, other) {
		i.findings = append(i.findings, failed(kind.id, kind.title, kind.foreign, "the list was issued by "+other+", want "+by.Subject.CommonName))
		return nil, nil
	}
	switch {
	case !bytes.Equal(list.RawIssuer, by.RawSubject):
		return nil, refuse(kind.invalid, "the list was issued by %q, want %q", list.Issuer.CommonName, by.Subject.CommonName)
	case len(list.Raw) != len(der):
		return nil, refuse(kind.invalid, "got %d bytes after the list", len(der)-len(list.Raw))
	}
	if err := list.CheckSignatureFrom(by); err != nil {
		return nil, refuse(kind.invalid, "%w", err)
	}
	validity := Validity{kind.id, list.ThisUpdate, list.NextUpdate}
	i.validities = append(i.validities, validity)
	i.findings = append(i.findings, v.current(validity, kind.id, kind.title, kind.late, kind.early))
	return list.RevokedCertificateEntries, nil
}
