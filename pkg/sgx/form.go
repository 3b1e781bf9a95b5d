package sgx

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/forms"
)

// FormError means that an input is in no form that is read, or is something else than
// what is read. Nothing is said of it: whoever gave it gave the wrong file.
type FormError struct {
	refusal *Refusal
	hint    string
}

func (e *FormError) Error() string { return e.refusal.Error() }

// Unwrap returns the *Refusal with its code.
func (e *FormError) Unwrap() error { return e.refusal }

// Hint says what to give instead.
func (e *FormError) Hint() string { return e.hint }

// ExitCode is that of an input that is wrong.
func (e *FormError) ExitCode() int { return 2 }

// unformed makes a FormError.
func unformed(code Code, hint, format string, arguments ...any) error {
	return &FormError{&Refusal{code, fmt.Errorf(format, arguments...)}, hint}
}

// quoteKind is what bytes claim to be by their first fields.
type quoteKind int

const (
	noQuote quoteKind = iota
	ecdsaQuote
	laterQuote
	tdxQuote
	epidQuote
)

// kindOf looks at the fields that tell kinds of quotes apart (sgx_quote_t, sgx_quote3_t,
// sgx_quote4_t, sgx_quote5_t). Four bytes alone are in many files by chance, so either
// Intel's quoting enclave must be named, or the length be that of a quote.
func kindOf(raw []byte) quoteKind {
	if bytes.HasPrefix(raw, oePrefix) && len(raw) > 16 {
		raw = raw[16:]
	}
	if len(raw) < 28 {
		return noQuote
	}
	version, key, tee := binary.LittleEndian.Uint16(raw), binary.LittleEndian.Uint16(raw[2:]), binary.LittleEndian.Uint32(raw[4:])
	likely := [16]byte(raw[12:28]) == intelQE || len(raw) >= signedSize && key <= 3 && (tee == 0 || tee == teeTDX)
	switch {
	case version <= 2 && version > 0 && key <= 1 && isEPID(raw):
		return epidQuote
	case version == 3 && likely:
		return ecdsaQuote
	case (version == 4 || version == 5) && likely && tee == teeTDX:
		return tdxQuote
	case (version == 4 || version == 5) && likely:
		return laterQuote
	}
	return noQuote
}

// isEPID looks at bytes that are the same in every EPID quote: the enclave is
// initialized, and what is reserved after its measurement is zero.
func isEPID(raw []byte) bool {
	const attributes, reserved = headerSize + 48, headerSize + 96
	return len(raw) >= signedSize && raw[attributes]&attributeInit != 0 && bytes.Equal(raw[reserved:reserved+32], make([]byte, 32))
}

// ReadQuote finds the SGX quote in a file: the bytes themselves, or a form in which
// tools print and send them. as says how it was read, and is empty for the bytes
// themselves. The quote can be parsed, and nothing in it is verified. The error is a
// *FormError.
func ReadQuote(text []byte) (raw []byte, as string, err error) {
	if len(text) > maxForm {
		return nil, "", unformed(QuoteUnreadable, quoteHint, "got %d bytes, want at most %d", len(text), maxForm)
	}
	one, all, ok := forms.One(text, func(raw []byte) bool { return kindOf(raw) != noQuote })
	switch {
	case len(all) > 1:
		return nil, "", unformed(QuoteUnreadable, "Put the one that is meant into a file of its own.", "the file holds %d quotes (%s; %s), want one", len(all), all[0].As, all[1].As)
	case !ok:
		return nil, "", unformed(QuoteUnreadable, quoteHint, "%s, want an SGX quote of version 3 as one of: %s", whatIs(text), forms.Known)
	}
	if foreign := foreignQuote(one.Bytes); foreign != "" {
		return nil, one.As, unformed(QuoteUnsupported, quoteHint, "it is %s, want an SGX quote of version 3 (ECDSA, DCAP)", foreign)
	}
	if _, err := ParseQuote(one.Bytes); err != nil {
		refusal, _ := errors.AsType[*Refusal](err)
		return nil, one.As, &FormError{refusal, "Get the quote again: it is cut off or damaged, or of another kind than its first bytes say."}
	}
	return one.Bytes, one.As, nil
}

const (
	// maxForm bounds a file with a quote or a part of collateral, in bytes.
	maxForm   = 4 << 20
	quoteHint = "Give the quote that DCAP made for the enclave (sgx_ql_get_quote, /dev/attestation/quote, oe_get_report), as bytes or in one of the forms named."
)

// foreignQuote names a quote of another kind; it is empty for one that is read.
func foreignQuote(raw []byte) string {
	if bytes.HasPrefix(raw, oePrefix) && len(raw) > 16 {
		raw = raw[16:]
	}
	version := binary.LittleEndian.Uint16(raw)
	switch kindOf(raw) {
	case tdxQuote:
		return fmt.Sprintf("a quote of a TDX virtual machine (version %d), which says nothing of an SGX enclave", version)
	case laterQuote:
		return fmt.Sprintf("an SGX quote of version %d", version)
	case epidQuote:
		return fmt.Sprintf("an EPID quote (version %d), which only Intel's Attestation Service could verify; it was shut down in 2025", version)
	}
	return ""
}

// whatIs says in a few words what a text is that holds no quote.
func whatIs(text []byte) string {
	trimmed := bytes.TrimSpace(text)
	lower := strings.ToLower(string(trimmed[:min(len(trimmed), 64)]))
	block, _ := pem.Decode(text)
	switch {
	case len(trimmed) == 0:
		return "the file is empty"
	case strings.HasPrefix(lower, "eyj") && bytes.Count(trimmed, []byte(".")) == 2:
		return "it is a token (JWT) of a service that looked at a quote, and holds none"
	case strings.HasPrefix(lower, "<!doctype") || strings.HasPrefix(lower, "<html"):
		return "it is a page of a web server"
	case block != nil:
		return fmt.Sprintf("it is PEM with a %.40q", block.Type)
	case len(text) == 432 || len(text) == 384:
		return "it is a report of an enclave without a quote, which only its own machine can verify"
	case json.Valid(text):
		return "it is JSON in which no member is a quote"
	}
	if raw, as := decoded(text); raw != nil {
		return fmt.Sprintf("it is %s of %d bytes that are no quote (they begin with %x)", as, len(raw), raw[:min(8, len(raw))])
	}
	return fmt.Sprintf("it is %d bytes that are no quote (they begin with %x)", len(text), text[:min(8, len(text))])
}

// decoded takes all forms off a text, down to bytes that are no text any more.
func decoded(text []byte) (raw []byte, as string) {
	all := forms.Find(text, func(inner []byte) bool { return len(inner) > 16 && bytes.IndexByte(inner, 0) >= 0 && inner[0] != 0xff })
	if len(all) != 1 || all[0].As == "" {
		return nil, ""
	}
	return all[0].Bytes, all[0].As
}

// A part of collateral is read by one of these; as says how, and is empty for the form
// in which Intel serves it. Something that is not there is nil, and what is damaged
// stays as it is, so that whoever verifies it says so.

// readDocument finds a signed wrapper object, such as {"tcbInfo":…,"signature":…}.
func readDocument(text []byte, name string) (document []byte, as string, err error) {
	is := func(inner []byte) bool {
		if !bytes.HasPrefix(inner, []byte("{")) {
			return false
		}
		members, err := forms.Members(inner)
		return err == nil && members[name] != nil && members["signature"] != nil
	}
	return readPart(text, is, func(text []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) }, "a JSON object with the members "+name+" and signature")
}

// readChain finds certificates, leaf first. They become PEM.
func readChain(text []byte) (chain []byte, as string, err error) {
	is := func(inner []byte) bool {
		if _, err := parseChain(inner); err == nil {
			return true
		}
		all, err := x509.ParseCertificates(inner)
		return err == nil && len(all) > 0 && len(all) <= maxChain
	}
	chain, as, err = readPart(text, is, func(text []byte) bool { return bytes.Contains(text, []byte("-----BEGIN")) || isDER(text) }, "certificates in PEM or DER")
	if all, derr := x509.ParseCertificates(chain); err == nil && derr == nil && len(all) > 0 {
		return pemOf(all), also(as, "DER"), nil
	}
	return chain, as, err
}

func pemOf(all []*x509.Certificate) []byte {
	var text []byte
	for _, c := range all {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

// readCRL finds a revocation list. It becomes DER.
func readCRL(text []byte) (list []byte, as string, err error) {
	is := func(inner []byte) bool {
		_, err := x509.ParseRevocationList(inner)
		return err == nil
	}
	return readPart(text, is, func(text []byte) bool { return bytes.Contains(text, []byte("-----BEGIN")) || isDER(text) }, "a certificate revocation list")
}

// isDER reports whether a text begins as a sequence of DER does.
func isDER(text []byte) bool { return len(text) > 1 && text[0] == 0x30 && text[1] >= 0x80 }

// readPart finds the one part in a text that is what is wanted. damaged says whether a
// text was meant to be it.
func readPart(text []byte, is, damaged func([]byte) bool, want string) ([]byte, string, error) {
	if len(text) == 0 {
		return nil, "", nil
	}
	one, all, ok := forms.One(text, is)
	switch {
	case ok:
		return one.Bytes, one.As, nil
	case len(all) > 1:
		return nil, "", unformed(CollateralUnreadable, collateralHint, "got %d of them (%s; %s), want one", len(all), all[0].As, all[1].As)
	case damaged(text):
		return text, "", nil
	}
	return nil, "", unformed(CollateralUnreadable, collateralHint, "got %d bytes that are not %s, want it as one of: %s", len(text), want, forms.Known)
}

const collateralHint = "Fetch current collateral with {collateral fetch}, or give the answer of the service as it came."

// formFinding says what was read in other forms than Intel's, if anything was.
func (c *Collateral) formFinding() check.Report {
	if len(c.Forms) == 0 {
		return nil
	}
	return check.Report{{
		ID: "collateral-form", Outcome: check.Pass,
		Title: "every part of the collateral is in a form that is read: " + strings.Join(c.Forms, "; "),
	}}
}

// also adds to how something was read.
func also(as, form string) string {
	if as == "" {
		return form
	}
	return as + ", " + form
}
