// Package sgxmint stands in for Intel and for SGX hardware: it makes certificate
// chains, collateral and quotes under a root of its own. What it makes verifies
// only where that root is trusted on purpose, and is always simulated.
package sgxmint

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/sgx"
)

// Authority stands in for Intel.
type Authority struct {
	Root, PCKCA, TCBSigner Issuer
	// Status, Advisories and QEStatus are what the collateral says of the platforms.
	Status, QEStatus sgx.TCBStatus
	Advisories       []string
	// FMSPC is the processor family of the platforms that it certifies, and which its
	// collateral is for.
	FMSPC [6]byte
	// EvaluationNumber is Intel's count of TCB recoveries, at least 1.
	EvaluationNumber int
	// Revoked are serial numbers on both revocation lists.
	Revoked []*big.Int
}

// Issuer is a certificate and its key, in DER.
type Issuer struct{ Certificate, Key []byte }

// validity is how long collateral is current.
const validity = 30 * 24 * time.Hour

// NewAuthority makes the keys and certificates. Its platforms are up to date.
func NewAuthority(now time.Time) (*Authority, error) {
	a := &Authority{Status: sgx.UpToDate, QEStatus: sgx.UpToDate, FMSPC: [6]byte{0xc0, 0xff, 0xee}, EvaluationNumber: 1}
	for _, step := range []struct {
		into   *Issuer
		name   string
		parent *Issuer
		ca     bool
	}{
		{&a.Root, "Intel SGX Root CA", nil, true},
		{&a.PCKCA, "Intel SGX PCK Platform CA", &a.Root, true},
		{&a.TCBSigner, "Intel SGX TCB Signing", &a.Root, false},
	} {
		var err error
		if *step.into, err = NewIssuer(step.name, step.parent, step.ca, now); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// NewIssuer makes a key and its certificate under any common name. It signs itself
// without a parent.
func NewIssuer(name string, parent *Issuer, ca bool, now time.Time) (Issuer, error) {
	template := newTemplate(name, now)
	template.IsCA = ca
	if ca {
		template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	}
	i, err := issue(template, parent)
	if err != nil {
		return Issuer{}, fmt.Errorf("making %s: %w", name, err)
	}
	return i, nil
}

// OtherEdition is the certificate once more: name and key are the same, and the end
// of its validity is another. Intel's root has two editions.
func (i *Issuer) OtherEdition() (Issuer, error) {
	c, key, err := i.open()
	if err != nil {
		return Issuer{}, err
	}
	edition := &x509.Certificate{
		SerialNumber: c.SerialNumber, Subject: c.Subject, SubjectKeyId: c.SubjectKeyId, KeyUsage: c.KeyUsage,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter.AddDate(1, 0, 0), BasicConstraintsValid: true, IsCA: c.IsCA,
	}
	der, err := x509.CreateCertificate(rand.Reader, edition, edition, key.Public(), key)
	if err != nil {
		return Issuer{}, fmt.Errorf("making another edition of %s: %w", c.Subject.CommonName, err)
	}
	return Issuer{der, i.Key}, nil
}

func newTemplate(name string, now time.Time) *x509.Certificate {
	serial := make([]byte, 19)
	rand.Read(serial) // never fails
	serial[0] |= 0x40
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial), BasicConstraintsValid: true,
		Subject:   pkix.Name{CommonName: name, Organization: []string{"confidb lab, not Intel"}, Country: []string{"US"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(7, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment,
	}
}

func issue(template *x509.Certificate, parent *Issuer) (Issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Issuer{}, err
	}
	issuer, signer := template, key
	if parent != nil {
		if issuer, signer, err = parent.open(); err != nil {
			return Issuer{}, err
		}
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return Issuer{}, err
	}
	id := sha1.Sum(spki)
	template.SubjectKeyId = id[:]
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return Issuer{}, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	return Issuer{der, raw}, err
}

func (i *Issuer) open() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	c, err := x509.ParseCertificate(i.Certificate)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(i.Key)
	if err != nil {
		return nil, nil, err
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("issuer's key: got %T, want ECDSA", key)
	}
	return c, private, nil
}

// PEM is the certificate in PEM.
func (i *Issuer) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate})
}

// RootPEM is the root certificate, to be trusted on purpose.
func (a *Authority) RootPEM() []byte { return a.Root.PEM() }

// CollateralFiles signs collateral that is current from now, by the file names
// that sgx.CollateralFromFiles takes.
func (a *Authority) CollateralFiles(now time.Time) (map[string][]byte, error) {
	tcb, err := a.sign("tcbInfo", a.tcbInfo(now))
	if err != nil {
		return nil, err
	}
	qe, err := a.sign("enclaveIdentity", a.qeIdentity(now))
	if err != nil {
		return nil, err
	}
	rootCRL, err := a.crl(&a.Root, now)
	if err != nil {
		return nil, err
	}
	pckCRL, err := a.crl(&a.PCKCA, now)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"tcbInfo.json": tcb, "qeIdentity.json": qe, "tcbSignChain.pem": slices.Concat(a.TCBSigner.PEM(), a.Root.PEM()),
		"rootCaCrl.der": rootCRL, "pckCaCrl.der": pckCRL, "trustedRootCaCert.pem": a.Root.PEM(),
	}, nil
}

// Levels of the minted TCB info: a platform has security versions 7 everywhere.
const (
	platformSVN = 7
	qeISVSVN    = 8
	qeISVProdID = 1
)

func (a *Authority) tcbInfo(now time.Time) map[string]any {
	components := make([]map[string]int, 16)
	for i := range components {
		components[i] = map[string]int{"svn": platformSVN}
	}
	return map[string]any{
		"id": "SGX", "version": 3, "issueDate": stamp(now), "nextUpdate": stamp(now.Add(validity)), "fmspc": hex.EncodeToString(a.FMSPC[:]),
		"pceId": "0000", "tcbType": 0, "tcbEvaluationDataNumber": a.EvaluationNumber,
		"tcbLevels": []any{map[string]any{
			"tcb":     map[string]any{"sgxtcbcomponents": components, "pcesvn": platformSVN},
			"tcbDate": stamp(now), "tcbStatus": a.Status, "advisoryIDs": append([]string{}, a.Advisories...),
		}},
	}
}

func (a *Authority) qeIdentity(now time.Time) map[string]any {
	return map[string]any{
		"id": "QE", "version": 2, "issueDate": stamp(now), "nextUpdate": stamp(now.Add(validity)), "tcbEvaluationDataNumber": a.EvaluationNumber,
		"miscselect": "00000000", "miscselectMask": "ffffffff",
		"attributes": "11000000000000000000000000000000", "attributesMask": "fbffffffffffffff0000000000000000",
		"mrsigner": qeSigner().String(), "isvprodid": qeISVProdID,
		"tcbLevels": []any{map[string]any{"tcb": map[string]any{"isvsvn": qeISVSVN}, "tcbDate": stamp(now), "tcbStatus": a.QEStatus}},
	}
}

func qeSigner() sgx.Measurement {
	return sha256.Sum256([]byte("confidb lab: signer of the quoting enclave"))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (a *Authority) sign(member string, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return a.Sign(member, text)
}

// Sign signs the exact bytes of a document, and wraps them as PCS does: member is
// tcbInfo or enclaveIdentity.
func (a *Authority) Sign(member string, text []byte) ([]byte, error) {
	_, key, err := a.TCBSigner.open()
	if err != nil {
		return nil, err
	}
	signature, err := signRaw(key, text)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, `{%q:%s,"signature":"%x"}`, member, text, signature), nil
}

// signRaw signs SHA-256(message) and returns r ‖ s.
func signRaw(key *ecdsa.PrivateKey, message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return nil, err
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
}

func (a *Authority) crl(issuer *Issuer, now time.Time) ([]byte, error) {
	certificate, key, err := issuer.open()
	if err != nil {
		return nil, err
	}
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(validity)}
	for _, serial := range a.Revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: now.Add(-time.Hour)})
	}
	return x509.CreateRevocationList(rand.Reader, list, certificate, key)
}

// Platform stands in for one machine with SGX.
type Platform struct {
	// Chain is the PCK certificate chain in PEM.
	Chain []byte
	// PCK and AttestationKey are private keys of the platform, PKCS#8 DER.
	PCK, AttestationKey []byte
	// QEID identifies the platform in every quote.
	QEID [16]byte
	// Secret is what the machine's sealing keys are derived from.
	Secret [32]byte
}

// NewPlatform makes a machine that the authority certifies.
func NewPlatform(a *Authority, now time.Time) (*Platform, error) {
	p := &Platform{}
	rand.Read(p.QEID[:])
	rand.Read(p.Secret[:])
	extension, err := a.sgxExtension(p.QEID)
	if err != nil {
		return nil, err
	}
	template := newTemplate("Intel SGX PCK Certificate", now)
	template.ExtraExtensions = []pkix.Extension{extension}
	template.CRLDistributionPoints = []string{"https://crl.invalid/pck.crl"}
	pck, err := issue(template, &a.PCKCA)
	if err != nil {
		return nil, fmt.Errorf("making a PCK certificate: %w", err)
	}
	p.Chain, p.PCK = slices.Concat(pck.PEM(), a.PCKCA.PEM(), a.Root.PEM()), pck.Key
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	p.AttestationKey, err = x509.MarshalPKCS8PrivateKey(key)
	return p, err
}

func (a *Authority) sgxExtension(ppid [16]byte) (pkix.Extension, error) {
	base := asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}
	type attribute struct {
		ID    asn1.ObjectIdentifier
		Value any
	}
	below := func(id asn1.ObjectIdentifier, n int) asn1.ObjectIdentifier { return append(slices.Clone(id), n) }
	var tcb []attribute
	for n := 1; n <= 17; n++ {
		tcb = append(tcb, attribute{below(below(base, 2), n), platformSVN})
	}
	tcb = append(tcb, attribute{below(below(base, 2), 18), make([]byte, 16)})
	der, err := asn1.Marshal([]attribute{
		{below(base, 1), ppid[:]}, {below(base, 2), tcb}, {below(base, 3), []byte{0, 0}},
		{below(base, 4), a.FMSPC[:]}, {below(base, 5), asn1.Enumerated(1)}, {below(base, 6), ppid[:]},
	})
	return pkix.Extension{Id: base, Value: der}, err
}

// Quote makes a quote (version 3, certification data type 5) of a report body.
func (p *Platform) Quote(report sgx.ReportBody) ([]byte, error) {
	pck, err := privateKey(p.PCK)
	if err != nil {
		return nil, err
	}
	attestation, err := privateKey(p.AttestationKey)
	if err != nil {
		return nil, err
	}
	body, err := report.MarshalBinary()
	if err != nil {
		return nil, err
	}
	signed := append(p.header(), body...)
	signature, err := signRaw(attestation, signed)
	if err != nil {
		return nil, err
	}
	public, err := attestation.PublicKey.Bytes() // 0x04 ‖ X ‖ Y
	if err != nil {
		return nil, err
	}
	return p.assemble(signed, signature, public[1:], pck)
}

func privateKey(der []byte) (*ecdsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("platform key: got %T, want ECDSA", key)
	}
	return private, nil
}

func (p *Platform) header() []byte {
	h := make([]byte, 48)
	h[0], h[2], h[8], h[10] = 3, 2, qeISVSVN, platformSVN
	copy(h[12:], []byte{0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07})
	copy(h[28:], p.QEID[:])
	return h
}

func (p *Platform) assemble(signed, signature, attestationKey []byte, pck *ecdsa.PrivateKey) ([]byte, error) {
	authentication := []byte("confidb lab")
	qe := sgx.ReportBody{MRSIGNER: qeSigner(), ISVProdID: qeISVProdID, ISVSVN: qeISVSVN, Attributes: [16]byte{0x11}}
	bound := sha256.Sum256(slices.Concat(attestationKey, authentication))
	copy(qe.ReportData[:], bound[:])
	qeReport, err := qe.MarshalBinary()
	if err != nil {
		return nil, err
	}
	qeSignature, err := signRaw(pck, qeReport)
	if err != nil {
		return nil, err
	}
	data := slices.Concat(signature, attestationKey, qeReport, qeSignature,
		little(2, len(authentication)), authentication, little(2, 5), little(4, len(p.Chain)), p.Chain)
	return slices.Concat(signed, little(4, len(data)), data), nil
}

// little writes n in size bytes, least significant first.
func little(size, n int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	return b
}
