package sgx

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
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
	// PCKCertificate is PEM, and needed only for a quote that does not hold it.
	PCKCertificate []byte
	// PCKIssuerChain is PEM: the CA of the PCK certificate, then the root.
	PCKIssuerChain []byte
}

// file is one part of the collateral and the name of its file.
type file struct {
	name string
	part *[]byte
}

func (c *Collateral) files() []file {
	return []file{
		{"tcbInfo.json", &c.TCBInfo}, {"qeIdentity.json", &c.QEIdentity}, {"tcbSignChain.pem", &c.TCBSigningChain}, {"rootCaCrl.der", &c.RootCRL},
		{"pckCaCrl.der", &c.PCKCRL}, {"pckCert.pem", &c.PCKCertificate}, {"pckSignChain.pem", &c.PCKIssuerChain},
	}
}

// CollateralFileNames are the names of the files that CollateralFromFiles takes
// beside bundles.
func CollateralFileNames() []string {
	var names []string
	for _, f := range new(Collateral).files() {
		names = append(names, f.name)
	}
	return names
}

// CollateralFromFiles reads the form of Intel's sample data, by the names of
// CollateralFileNames, and bundles: every other file whose name ends in .json,
// with the field names of Intel's sgx_ql_qve_collateral_t. It returns one
// Collateral for each; that of the sample form comes first. Other files are ignored.
func CollateralFromFiles(files map[string][]byte) (CollateralSet, error) {
	var set CollateralSet
	sample := &Collateral{}
	found := false
	for _, f := range sample.files() {
		*f.part = files[f.name]
		found = found || len(*f.part) > 0
	}
	if found {
		set = append(set, sample)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) != ".json" || slices.Contains(CollateralFileNames(), name) {
			continue
		}
		c, err := ParseBundle(files[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		set = append(set, c)
	}
	if len(set) == 0 {
		return nil, refuse(CollateralUnreadable, "got none of the files %s, and no bundle", strings.Join(CollateralFileNames(), " "))
	}
	return set, nil
}

// CollateralSet is the collateral of several processor families.
type CollateralSet []*Collateral

// For returns the collateral whose TCB info says that it is for the platform of
// the quote, or else the first one. It only chooses: nothing is verified.
func (s CollateralSet) For(raw []byte) *Collateral {
	if len(s) == 0 {
		return &Collateral{}
	}
	if len(s) > 1 {
		if platform := claimedPlatform(raw); platform != nil {
			for _, c := range s {
				if c.claims(platform) {
					return c
				}
			}
		}
	}
	return s[0]
}

// claimedPlatform is what the PCK certificate in a quote says, unverified, or nil.
func claimedPlatform(raw []byte) *PCK {
	q, err := ParseQuote(raw)
	if err != nil {
		return nil
	}
	p, err := q.PCK()
	if err != nil {
		return nil
	}
	return p
}

// claims reports whether the TCB info says that it is for the platform, and the
// PCK CA is that of its certificate, where it is known.
func (c *Collateral) claims(p *PCK) bool {
	body, _, err := splitSigned(c.TCBInfo, "tcbInfo")
	if err != nil {
		return false
	}
	var info tcbInfo
	if json.Unmarshal(body, &info) != nil || !info.isFor(p) {
		return false
	}
	issuers, err := parseChain(c.PCKIssuerChain)
	return err != nil || issuers[0].Subject.CommonName == p.CA
}

// bundle is Intel's sgx_ql_qve_collateral_t with the names of its fields; the
// numbers of its version are left out.
type bundle struct {
	PCKCRLIssuerChain     string `json:"pck_crl_issuer_chain"`
	RootCACRL             string `json:"root_ca_crl"`
	PCKCRL                string `json:"pck_crl"`
	TCBInfoIssuerChain    string `json:"tcb_info_issuer_chain"`
	TCBInfo               string `json:"tcb_info"`
	TCBInfoSignature      string `json:"tcb_info_signature"`
	QEIdentityIssuerChain string `json:"qe_identity_issuer_chain"`
	QEIdentity            string `json:"qe_identity"`
	QEIdentitySignature   string `json:"qe_identity_signature"`
	// PCKCertificateChain is an addition of dcap-qvl's: leaf first.
	PCKCertificateChain string `json:"pck_certificate_chain,omitempty"`
}

// ParseBundle reads a bundle. TCB info and QE identity are texts in it, of which
// every byte is signed; CRLs are hexadecimal DER, or PEM.
func ParseBundle(text []byte) (*Collateral, error) {
	if len(text) > 4*maxDocument {
		return nil, refuse(CollateralUnreadable, "got %d bytes, want at most %d", len(text), 4*maxDocument)
	}
	var b bundle
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, refuse(CollateralUnreadable, "%w", err)
	}
	if !utf8.Valid(text) {
		return nil, refuse(CollateralUnreadable, "it is not UTF-8")
	}
	if err := checkFieldNames(text); err != nil {
		return nil, refuse(CollateralUnreadable, "%w", err)
	}
	if b == (bundle{}) {
		return nil, refuse(CollateralUnreadable, "got a document without any field of sgx_ql_qve_collateral, such as tcb_info")
	}
	if b.QEIdentityIssuerChain != "" && b.TCBInfoIssuerChain != "" && b.QEIdentityIssuerChain != b.TCBInfoIssuerChain &&
		!sameCertificates(b.QEIdentityIssuerChain, b.TCBInfoIssuerChain) {
		return nil, refuse(CollateralUnreadable, "tcb_info_issuer_chain and qe_identity_issuer_chain differ: fetch both anew, on the same day")
	}
	c := &Collateral{
		TCBSigningChain: []byte(b.TCBInfoIssuerChain), PCKIssuerChain: []byte(b.PCKCRLIssuerChain), PCKCertificate: firstCertificate(b.PCKCertificateChain),
	}
	if b.TCBInfoIssuerChain == "" {
		c.TCBSigningChain = []byte(b.QEIdentityIssuerChain)
	}
	c.TCBInfo, c.QEIdentity = wrap("tcbInfo", b.TCBInfo, b.TCBInfoSignature), wrap("enclaveIdentity", b.QEIdentity, b.QEIdentitySignature)
	var err error
	if c.RootCRL, err = hexOrText(b.RootCACRL); err != nil {
		return nil, refuse(CollateralUnreadable, "root_ca_crl: %w", err)
	}
	if c.PCKCRL, err = hexOrText(b.PCKCRL); err != nil {
		return nil, refuse(CollateralUnreadable, "pck_crl: %w", err)
	}
	return c, nil
}

// checkFieldNames refuses a field whose name is one byte away from a known one: it
// would be missed in silence. Other fields are the business of whoever wrote them.
func checkFieldNames(text []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	for got := range fields {
		for _, known := range bundleFields() {
			if oneByteApart(got, known) {
				return fmt.Errorf("got the field %q, want %q", got, known)
			}
		}
	}
	return nil
}

func bundleFields() []string {
	return []string{
		"pck_crl_issuer_chain", "root_ca_crl", "pck_crl", "tcb_info_issuer_chain", "tcb_info", "tcb_info_signature",
		"qe_identity_issuer_chain", "qe_identity", "qe_identity_signature", "pck_certificate_chain",
	}
}

func oneByteApart(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	apart := 0
	for i := range len(a) {
		if a[i] != b[i] {
			apart++
		}
	}
	return apart == 1
}

// Bundle writes what ParseBundle reads, but for the PCK certificate: a bundle is
// for every platform of its family.
func (c *Collateral) Bundle() ([]byte, error) {
	b := bundle{
		PCKCRLIssuerChain: string(c.PCKIssuerChain), TCBInfoIssuerChain: string(c.TCBSigningChain), QEIdentityIssuerChain: string(c.TCBSigningChain),
		RootCACRL: hex.EncodeToString(derOf(c.RootCRL)), PCKCRL: hex.EncodeToString(derOf(c.PCKCRL)),
	}
	for _, part := range []struct {
		wrapper         []byte
		member          string
		body, signature *string
	}{{c.TCBInfo, "tcbInfo", &b.TCBInfo, &b.TCBInfoSignature}, {c.QEIdentity, "enclaveIdentity", &b.QEIdentity, &b.QEIdentitySignature}} {
		if len(part.wrapper) == 0 {
			continue
		}
		body, signature, err := splitSigned(part.wrapper, part.member)
		if err != nil {
			return nil, refuse(CollateralUnreadable, "%s: %w", part.member, err)
		}
		*part.body, *part.signature = string(body), hex.EncodeToString(signature)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(b)
	return out.Bytes(), err
}

func wrap(member, body, signature string) []byte {
	if body == "" {
		return nil
	}
	return fmt.Appendf(nil, `{%q:%s,"signature":%q}`, member, body, signature)
}

// hexOrText reads a CRL, which a PCCS gives as hexadecimal digits and PCS as PEM.
func hexOrText(text string) ([]byte, error) {
	if text == "" || strings.HasPrefix(text, "-----BEGIN") {
		return []byte(text), nil
	}
	return hex.DecodeString(strings.TrimSpace(text))
}
