package oracle

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/realquotes"
	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/sgx"
)

// realInputs are every real case, where they are; those of debug enclaves are there twice.
func realInputs(t testing.TB) map[string]input {
	t.Helper()
	inputs := map[string]input{}
	for id, c := range realquotes.IfThere(t) {
		files := c.Files(t)
		in := input{quote: files["quote.bin"], at: c.Time, collateral: collateral(files)}
		if id == realquotes.OwnRoot {
			in.root = files["trustedRootCaCert.pem"]
		}
		inputs["real/"+id] = in
		if c.Expected.Debug {
			in.debug = true
			inputs["real/"+id+"/debug-mode"] = in
		}
	}
	return inputs
}

// bestInputs are the best minted case and, where real quotes are, bestCase.
func bestInputs(t testing.TB) map[string]input {
	t.Helper()
	best := map[string]input{"minted": variant{before: func(m *minter) { m.authority.Status = sgx.SWHardeningNeeded }}.make(t)}
	if in, ok := realInputs(t)[bestCase]; ok {
		best["real"] = in
	}
	return best
}

func collateral(files map[string][]byte) sgx.Collateral {
	return sgx.Collateral{
		TCBInfo: files["tcbInfo.json"], QEIdentity: files["qeIdentity.json"], TCBSigningChain: files["tcbSignChain.pem"],
		RootCRL: files["rootCaCrl.der"], PCKCRL: files["pckCaCrl.der"],
		PCKCertificate: files["pckCert.pem"], PCKIssuerChain: files["pckSignChain.pem"],
	}
}

// mintedAt is when everything minted is made, and judged unless a case says otherwise.
func mintedAt() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

const day = 24 * time.Hour

// minter makes one case. Steps before mint change the authority, steps after it
// change the input.
type minter struct {
	t         testing.TB
	authority *sgxmint.Authority
	platform  *sgxmint.Platform
	report    sgx.ReportBody
	input
}

func newMinter(t testing.TB) *minter {
	t.Helper()
	a, err := sgxmint.NewAuthority(mintedAt())
	must(t, err)
	m := &minter{t: t, authority: a, report: sgx.ReportBody{MRENCLAVE: sgx.Measurement{1}, MRSIGNER: sgx.Measurement{2}, Attributes: [16]byte{5}, ReportData: [64]byte{3}}}
	m.newPlatform()
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *minter) newPlatform() {
	p, err := sgxmint.NewPlatform(m.authority, mintedAt())
	must(m.t, err)
	m.platform = p
}

func (m *minter) mint() {
	m.at, m.root, m.collateral = mintedAt(), m.authority.RootPEM(), m.collateralOf(mintedAt())
	quote, err := m.platform.Quote(m.report)
	must(m.t, err)
	m.quote = quote
}

func (m *minter) collateralOf(at time.Time) sgx.Collateral {
	files, err := m.authority.CollateralFiles(at)
	must(m.t, err)
	return collateral(files)
}

// object is a JSON object of Intel's documents.
type object = map[string]any

// editTCBInfo and editQEIdentity change a document and sign it again.
func (m *minter) editTCBInfo(change func(object)) {
	m.collateral.TCBInfo = m.edit(m.collateral.TCBInfo, "tcbInfo", change)
}

func (m *minter) editQEIdentity(change func(object)) {
	m.collateral.QEIdentity = m.edit(m.collateral.QEIdentity, "enclaveIdentity", change)
}

func (m *minter) edit(wrapper []byte, member string, change func(object)) []byte {
	var document object
	must(m.t, json.Unmarshal(wrapper, &document))
	body := document[member].(object)
	change(body)
	text, err := json.Marshal(body)
	must(m.t, err)
	digest := sha256.Sum256(text)
	r, s, err := ecdsa.Sign(rand.Reader, m.key(m.authority.TCBSigner), digest[:])
	must(m.t, err)
	return fmt.Appendf(nil, `{%q:%s,"signature":"%064x%064x"}`, member, text, r, s)
}

func (m *minter) key(i sgxmint.Issuer) *ecdsa.PrivateKey {
	key, err := x509.ParsePKCS8PrivateKey(i.Key)
	must(m.t, err)
	return key.(*ecdsa.PrivateKey)
}

func (m *minter) certificate(der []byte) *x509.Certificate {
	c, err := x509.ParseCertificate(der)
	must(m.t, err)
	return c
}

// newCA makes a CA under the root that is not one of Intel's.
func (m *minter) newCA(name string) sgxmint.Issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(m.t, err)
	root := m.certificate(m.authority.Root.Certificate)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1 << 60), Subject: pkix.Name{CommonName: name}, SubjectKeyId: []byte(name),
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, BasicConstraintsValid: true, IsCA: true, KeyUsage: root.KeyUsage,
	}, root, key.Public(), m.key(m.authority.Root))
	must(m.t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(m.t, err)
	return sgxmint.Issuer{Certificate: der, Key: private}
}

// otherEdition is the root certificate once more: the same name and key with
// another end, as Intel's has two editions.
func (m *minter) otherEdition() []byte {
	root := m.certificate(m.authority.Root.Certificate)
	edition := &x509.Certificate{
		SerialNumber: root.SerialNumber, Subject: root.Subject, SubjectKeyId: root.SubjectKeyId, KeyUsage: root.KeyUsage,
		NotBefore: root.NotBefore, NotAfter: root.NotAfter.AddDate(1, 0, 0), BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, edition, edition, root.PublicKey, m.key(m.authority.Root))
	must(m.t, err)
	return pemOf(der)
}

// derOf is the DER of one PEM certificate.
func derOf(text []byte) []byte {
	block, _ := pem.Decode(text)
	return block.Bytes
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// certificates splits a PEM text.
func certificates(text []byte) [][]byte {
	var parts [][]byte
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return parts
		}
		parts, text = append(parts, pem.EncodeToMemory(block)), rest
	}
}

// Offsets into a quote (Intel SGX ECDSA Quote Library Reference, appendix A).
const (
	signatureLengthAt = 432
	signatureAt       = signatureLengthAt + 4
	authenticationAt  = signatureAt + 64 + 64 + 384 + 64
)

// certificationAt is where the certification data begins: type, length, data.
func certificationAt(quote []byte) int {
	return authenticationAt + 2 + int(binary.LittleEndian.Uint16(quote[authenticationAt:]))
}

// certify replaces the certification data of the quote, which nothing signs.
// inside follows it within the signature data.
func (m *minter) certify(kind uint16, data, inside []byte) {
	quote := bytes.Clone(m.quote[:certificationAt(m.quote)])
	quote = binary.LittleEndian.AppendUint16(quote, kind)
	quote = binary.LittleEndian.AppendUint32(quote, uint32(len(data)))
	quote = slices.Concat(quote, data, inside)
	binary.LittleEndian.PutUint32(quote[signatureLengthAt:], uint32(len(quote)-signatureAt))
	m.quote = quote
}

// withPCK gives the PCK certificate and its issuers with the collateral.
func (m *minter) withPCK() {
	parts := certificates(m.platform.Chain)
	m.collateral.PCKCertificate, m.collateral.PCKIssuerChain = parts[0], slices.Concat(parts[1:]...)
}

// firstLevel is the only level of a minted document.
func firstLevel(document object) object { return document["tcbLevels"].([]any)[0].(object) }

// copyOf copies a level, so that the copy can be changed.
func copyOf(t testing.TB, o object) object {
	text, err := json.Marshal(o)
	must(t, err)
	var c object
	must(t, json.Unmarshal(text, &c))
	return c
}

// unreachable makes a level of UpToDate that asks for more than the platform has
// in change, and lets the level that it has be OutOfDate.
func unreachable(t testing.TB, document object, change func(tcb object)) {
	has := firstLevel(document)
	above := copyOf(t, has)
	change(above["tcb"].(object))
	has["tcbStatus"] = sgx.OutOfDate
	document["tcbLevels"] = []any{above, has}
}
