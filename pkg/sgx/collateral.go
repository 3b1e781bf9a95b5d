package sgx

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// Collateral is what Intel signs about platforms. A part that is not there makes
// a verification incomplete, never wrong.
type Collateral struct {
	// TCBInfo and QEIdentity are the signed wrapper objects of PCS API v4, as received.
	TCBInfo, QEIdentity []byte
	// TCBSigningChain is PEM: the TCB signing certificate, then the root.
	TCBSigningChain []byte
	// RootCRL and PCKCRL are DER or PEM.
	RootCRL, PCKCRL []byte
	// PCKChain is PEM: the PCK certificate, its CA and the root. It is needed only
	// for a quote that does not hold them.
	PCKChain []byte
}

// CollateralFromFiles takes files by name: tcbInfo.json, qeIdentity.json,
// tcbSignChain.pem, rootCaCrl.der, pckCaCrl.der, pckCert.pem and pckSignChain.pem,
// or one bundle.json with the
// field names of Intel's sgx_ql_qve_collateral_t. Other names are ignored.
func CollateralFromFiles(files map[string][]byte) (*Collateral, error) {
	if bundle, ok := files["bundle.json"]; ok {
		return collateralFromBundle(bundle)
	}
	c := &Collateral{
		TCBInfo: files["tcbInfo.json"], QEIdentity: files["qeIdentity.json"], TCBSigningChain: files["tcbSignChain.pem"],
		RootCRL: files["rootCaCrl.der"], PCKCRL: files["pckCaCrl.der"],
		PCKChain: slices.Concat(files["pckCert.pem"], []byte("\n"), files["pckSignChain.pem"]),
	}
	for name, part := range map[string][]byte{"tcbInfo.json": c.TCBInfo, "qeIdentity.json": c.QEIdentity, "tcbSignChain.pem": c.TCBSigningChain} {
		if len(part) == 0 {
			return nil, fmt.Errorf("collateral: %s is missing", name)
		}
	}
	return c, nil
}

func collateralFromBundle(text []byte) (*Collateral, error) {
	if len(text) > 4*maxDocument {
		return nil, fmt.Errorf("bundle.json: got %d bytes, want at most %d", len(text), 4*maxDocument)
	}
	var b struct {
		TCBInfoChain string `json:"tcb_info_issuer_chain"`
		TCBInfo      string `json:"tcb_info"`
		TCBSignature string `json:"tcb_info_signature"`
		QEIdentity   string `json:"qe_identity"`
		QESignature  string `json:"qe_identity_signature"`
		RootCRL      string `json:"root_ca_crl"`
		PCKCRL       string `json:"pck_crl"`
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, fmt.Errorf("bundle.json: %w", err)
	}
	if b.TCBInfo == "" || b.QEIdentity == "" || b.TCBInfoChain == "" {
		return nil, errors.New("bundle.json: want tcb_info, qe_identity and tcb_info_issuer_chain")
	}
	c := &Collateral{
		TCBInfo:         fmt.Appendf(nil, `{"tcbInfo":%s,"signature":%q}`, b.TCBInfo, b.TCBSignature),
		QEIdentity:      fmt.Appendf(nil, `{"enclaveIdentity":%s,"signature":%q}`, b.QEIdentity, b.QESignature),
		TCBSigningChain: []byte(b.TCBInfoChain),
	}
	var err error
	if c.RootCRL, err = hexOrText(b.RootCRL); err != nil {
		return nil, fmt.Errorf("bundle.json: root_ca_crl: %w", err)
	}
	if c.PCKCRL, err = hexOrText(b.PCKCRL); err != nil {
		return nil, fmt.Errorf("bundle.json: pck_crl: %w", err)
	}
	return c, nil
}

// hexOrText reads a CRL, which a PCCS gives as hexadecimal digits and PCS as PEM.
func hexOrText(text string) ([]byte, error) {
	if text == "" || bytes.HasPrefix([]byte(text), []byte("-----BEGIN")) {
		return []byte(text), nil
	}
	return hex.DecodeString(text)
}

// Roots are the public keys that a chain may end in. The zero value trusts none.
type Roots struct {
	spki  [32]byte // SHA-256 of the SubjectPublicKeyInfo
	intel bool
}

// IntelRoot is Intel's SGX Root CA, by its public key: there are two editions of
// the certificate with one key.
func IntelRoot() Roots {
	key, err := hex.DecodeString("a0af031289f5d5d4132f9186068a7fc13628633ba235777472e29b6b6c67a49e")
	if err != nil {
		panic(err)
	}
	return Roots{spki: [32]byte(key), intel: true}
}

// RootFromPEM trusts the public key of one self-signed certificate. Unless that
// is Intel's, whatever is verified under it is simulated.
func RootFromPEM(text []byte) (Roots, error) {
	chain, err := parseChain(text)
	if err != nil {
		return Roots{}, fmt.Errorf("root certificate: %w", err)
	}
	if len(chain) != 1 || chain[0].CheckSignatureFrom(chain[0]) != nil {
		return Roots{}, fmt.Errorf("root certificate: got %d certificates, want one that is self-signed", len(chain))
	}
	spki := sha256.Sum256(chain[0].RawSubjectPublicKeyInfo)
	return Roots{spki: spki, intel: spki == IntelRoot().spki}, nil
}

// Intel reports whether these are Intel's roots.
func (r Roots) Intel() bool { return r.intel }

func (r Roots) trusts(c *x509.Certificate) bool {
	return r != Roots{} && sha256.Sum256(c.RawSubjectPublicKeyInfo) == r.spki
}

// maxChain bounds the number of certificates in one chain.
const maxChain = 8

func parseChain(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(chain) == maxChain {
			return nil, fmt.Errorf("got a PEM block %q after %d certificates, want at most %d certificates", block.Type, len(chain), maxChain)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("got no PEM certificate")
	}
	if len(bytes.TrimSpace(text)) != 0 {
		return nil, fmt.Errorf("got %d bytes after the last certificate", len(text))
	}
	return chain, nil
}
