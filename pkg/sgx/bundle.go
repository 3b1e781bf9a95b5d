package sgx

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/forms"
)

// bundle is Intel's sgx_ql_qve_collateral_t with the names of its fields, as it is
// written here; the numbers of its version are left out.
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

// ParseBundle reads a bundle: a JSON object with the fields of Intel's
// sgx_ql_qve_collateral_t, or one that has such an object in it. Names may be written in
// any of the usual ways (tcb_info, tcbInfo, TcbInfo). TCB info and QE identity are texts
// or objects, with the signature beside them or in a member of their own; certificates and
// lists are in any form that forms.Find knows.
func ParseBundle(text []byte) (*Collateral, error) {
	if len(text) > 4*maxDocument {
		return nil, unformed(CollateralUnreadable, collateralHint, "got %d bytes, want at most %d", len(text), 4*maxDocument)
	}
	f, as, err := findFields(text)
	if err != nil {
		return nil, err
	}
	if f.number("tee_type") == teeTDX {
		return nil, unformed(CollateralUnreadable, collateralHint, "it is collateral of TDX (tee_type 0x81), want that of SGX")
	}
	c := &Collateral{}
	c.readAs("the bundle", as)
	for _, step := range []func(fields) error{c.readChains, c.readLists, c.readDocuments} {
		if err := step(f); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// fields are those of a bundle by their names in Intel's form.
type fields map[string]json.RawMessage

// findFields finds the object of the bundle.
func findFields(text []byte) (fields, string, error) {
	one, all, ok := forms.One(text, func(inner []byte) bool { f, err := fieldsOf(inner); return err == nil && len(f) > 1 })
	if len(all) > 1 {
		return nil, "", unformed(CollateralUnreadable, "Put each into a file of its own.", "got %d bundles (%s; %s), want one", len(all), all[0].As, all[1].As)
	}
	if !ok {
		one.Bytes = text
	}
	f, err := fieldsOf(one.Bytes)
	switch {
	case !utf8.Valid(one.Bytes):
		return nil, "", unformed(CollateralUnreadable, collateralHint, "it is not UTF-8")
	case err != nil:
		return nil, "", unformed(CollateralUnreadable, collateralHint, "%w", err)
	case len(f) == 0:
		return nil, "", unformed(CollateralUnreadable, collateralHint, "got a document without any field of sgx_ql_qve_collateral, such as tcb_info")
	}
	return f, one.As, nil
}

// fieldsOf reads an object. Fields that are not of a bundle are the business of whoever
// wrote them; but one whose name is one byte away from a known one would be missed in
// silence, and one that is there twice is read in two ways.
func fieldsOf(text []byte) (fields, error) {
	members, err := forms.Members(text)
	if err != nil {
		return nil, err
	}
	f := fields{}
	for got, value := range members {
		for _, known := range bundleFields() {
			same := plainName(got) == plainName(known)
			switch {
			case same && f[known] != nil:
				return nil, fmt.Errorf("the field %s is there twice", known)
			case same:
				f[known] = value
			case oneByteApart(got, known) || oneByteApart(plainName(got), plainName(known)):
				return nil, fmt.Errorf("got the field %.60q, want %q", got, known)
			}
		}
	}
	return f, nil
}

// plainName is a name without what differs between languages.
func plainName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

func bundleFields() []string {
	return []string{
		"pck_crl_issuer_chain", "root_ca_crl", "pck_crl", "tcb_info_issuer_chain", "tcb_info", "tcb_info_signature",
		"qe_identity_issuer_chain", "qe_identity", "qe_identity_signature", "pck_certificate_chain", "tee_type",
	}
}

// number is a field that is a number; 0 without one.
func (f fields) number(name string) (n int) {
	json.Unmarshal(f[name], &n)
	return n
}

// text is a field as the text or the bytes that it stands for: a string, an array of
// bytes, or an object as it is written. It is nil without one.
func (f fields) text(name string) []byte {
	raw := f[name]
	var text string
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil
	case raw[0] == '{' || raw[0] == '[':
		return raw
	case json.Unmarshal(raw, &text) != nil:
		return raw
	}
	return []byte(text)
}

func (c *Collateral) readChains(f fields) (err error) {
	var signer, other, leaf []byte
	for _, part := range []struct {
		name string
		into *[]byte
	}{{"tcb_info_issuer_chain", &signer}, {"qe_identity_issuer_chain", &other}, {"pck_crl_issuer_chain", &c.PCKIssuerChain}, {"pck_certificate_chain", &leaf}} {
		var as string
		if *part.into, as, err = readChain(f.text(part.name)); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		c.readAs(part.name, as)
	}
	if len(signer) > 0 && len(other) > 0 && !bytes.Equal(signer, other) && !sameCertificates(string(signer), string(other)) {
		return refuse(CollateralUnreadable, "tcb_info_issuer_chain and qe_identity_issuer_chain differ: fetch both anew, on the same day")
	}
	if c.TCBSigningChain = signer; len(signer) == 0 {
		c.TCBSigningChain = other
	}
	c.PCKCertificate = firstCertificate(string(leaf))
	return nil
}

func (c *Collateral) readLists(f fields) (err error) {
	for _, part := range []struct {
		name string
		into *[]byte
	}{{"root_ca_crl", &c.RootCRL}, {"pck_crl", &c.PCKCRL}} {
		var as string
		if *part.into, as, err = readCRL(f.text(part.name)); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		if as != "hexadecimal text" { // that is the form of a bundle
			c.readAs(part.name, as)
		}
	}
	return nil
}

func (c *Collateral) readDocuments(f fields) (err error) {
	if c.TCBInfo, err = f.document("tcb_info", "tcbInfo"); err != nil {
		return err
	}
	c.QEIdentity, err = f.document("qe_identity", "enclaveIdentity")
	return err
}

// document makes the signed wrapper object of a field: it is that already, as Intel's
// structure has it, or the signature is a field of its own.
func (f fields) document(name, member string) ([]byte, error) {
	text := bytes.TrimSpace(bytes.TrimRight(f.text(name), "\x00"))
	if len(text) == 0 {
		return nil, nil
	}
	beside := f.text(name + "_signature")
	if inner, _, err := readDocument(text, member); err == nil && inner != nil && isWrapper(inner, member) {
		return inner, agree(inner, beside, name)
	}
	if members, err := forms.Members(text); err == nil && len(members) == 1 && members[member] != nil {
		text = members[member]
	}
	if len(beside) == 0 {
		return nil, unformed(CollateralUnreadable, collateralHint, "%s: it has no signature, neither in it nor as %s_signature", name, name)
	}
	signature, err := readSignature(beside)
	if err != nil {
		return nil, fmt.Errorf("%s_signature: %w", name, err)
	}
	return wrap(member, string(text), signature), nil
}

func isWrapper(text []byte, member string) bool {
	_, _, err := splitSigned(text, member)
	return err == nil
}

// agree refuses two signatures of which nobody knows the one that is meant.
func agree(wrapper, beside []byte, name string) error {
	if len(beside) == 0 {
		return nil
	}
	members, err := forms.Members(wrapper)
	if err != nil {
		return unformed(CollateralUnreadable, collateralHint, "%s: %w", name, err)
	}
	inside, err := readSignature(fields(members).text("signature"))
	outside, other := readSignature(beside)
	if err != nil || other != nil || inside != outside {
		return unformed(CollateralUnreadable, collateralHint, "%s has a signature in it and another one beside it", name)
	}
	return nil
}

// readSignature finds 64 bytes and returns them as hexadecimal digits. What is as long
// but no digits is left for whoever verifies it.
func readSignature(text []byte) (string, error) {
	one, _, ok := forms.One(text, func(inner []byte) bool { return len(inner) == 64 })
	if ok {
		return hex.EncodeToString(one.Bytes), nil
	}
	if _, err := hex.DecodeString(string(text)); err == nil {
		return string(text), nil
	}
	return "", unformed(CollateralUnreadable, collateralHint, "got %d bytes, want a signature of 64 bytes", len(text))
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
