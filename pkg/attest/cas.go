package attest

import (
	"bytes"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/sgx"
)

// CASEvidence is an attestation report of a CAS, parsed and not appraised.
type CASEvidence struct {
	// Quote is the DCAP quote.
	Quote []byte
	// Nonce is the one that the report says it answers.
	Nonce [16]byte
	// Chain is the certificate chain that the report vouches for, in its order.
	Chain []*x509.Certificate

	// Unknown are the members of additional_data whose meaning is not known.
	Unknown []string

	bound []byte // the bytes whose SHA-512 the enclave put into REPORTDATA
}

// maxCASReport bounds a report, in bytes.
const maxCASReport = 1 << 20

// The versions of additional_data. What SHA-512 covers is public for the first; the
// third and fourth are taken to be bound in the same way, which the quote confirms or
// refutes.
const (
	casDataV1      = "CasAttestationDataV1"
	casDataLater   = "CasAttestationDataV3 or CasAttestationDataV4"
	casDataPattern = `^CasAttestationDataV[34]$`
)

// ParseCASEvidence reads a report whose additional_data is bound by SHA-512 over its
// compact JSON as received: of version 1 strictly, of versions 3 and 4 whatever else
// they hold, which is kept as Unknown. Any other version is an error, since what binds it is not known.
func ParseCASEvidence(raw []byte) (*CASEvidence, error) {
	if len(raw) > maxCASReport {
		return nil, fmt.Errorf("CAS report: got %d bytes, want at most %d", len(raw), maxCASReport)
	}
	var report struct {
		Proof      json.RawMessage `json:"proof_data"`
		Additional json.RawMessage `json:"additional_data"`
	}
	if err := json.Unmarshal(raw, &report); err != nil {
		return nil, fmt.Errorf("CAS report: %w", err)
	}
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(report.Additional, &kind); err != nil {
		return nil, fmt.Errorf("CAS report: additional_data: %w", err)
	}
	parse := parseStrictReport
	switch {
	case kind.Type == casDataV1:
	case regexp.MustCompile(casDataPattern).MatchString(kind.Type):
		parse = parseTolerantReport
	default:
		return nil, fmt.Errorf("CAS report: additional_data.type: got %.40q, want %s, %s: how others are bound to the quote is not known", kind.Type, casDataV1, casDataLater)
	}
	e, err := parse(report.Proof, report.Additional)
	if err != nil {
		return nil, fmt.Errorf("CAS report: %w", err)
	}
	return e, nil
}

// casData is what every version of additional_data must say.
type casData struct{ Type, Nonce, Chain string }

// parseStrictReport reads version 1, which has nothing else in it.
func parseStrictReport(proof, additional json.RawMessage) (*CASEvidence, error) {
	var p struct {
		Type  string `json:"type"`
		Quote string `json:"quote"`
	}
	if err := json.Unmarshal(proof, &p); err != nil {
		return nil, fmt.Errorf("proof_data: %w", err)
	}
	if p.Type != "DCAPQuote" {
		return nil, fmt.Errorf("proof_data.type: got %.40q, want DCAPQuote", p.Type)
	}
	quote, err := base64.StdEncoding.DecodeString(p.Quote)
	if err != nil {
		return nil, fmt.Errorf("proof_data.quote: %w", err)
	}
	data, unknown, err := readCASData(additional)
	if err == nil && len(unknown) > 0 {
		err = fmt.Errorf("unknown field %.40q", unknown[0])
	}
	if err != nil {
		return nil, fmt.Errorf("additional_data: %w", err)
	}
	return newCASEvidence(quote, data, additional)
}

// parseTolerantReport reads a version of which only the binding is relied upon.
func parseTolerantReport(proof, additional json.RawMessage) (*CASEvidence, error) {
	var p map[string]any
	if err := json.Unmarshal(proof, &p); err != nil {
		return nil, fmt.Errorf("proof_data: %w", err)
	}
	if kind, _ := p["type"].(string); !strings.HasPrefix(kind, "DCAP") {
		return nil, fmt.Errorf("proof_data.type: got %.40q, want one that begins with DCAP", kind)
	}
	quote, err := onlyQuote(p)
	if err != nil {
		return nil, fmt.Errorf("proof_data: %w", err)
	}
	data, unknown, err := readCASData(additional)
	if err != nil {
		return nil, fmt.Errorf("additional_data: %w", err)
	}
	e, err := newCASEvidence(quote, data, additional)
	if err != nil {
		return nil, err
	}
	e.Unknown = slices.DeleteFunc(unknown, func(name string) bool { return name == "cas_version" || name == "version" }) // they give nobody anything
	return e, nil
}

// readCASData reads the members by their exact names, each once, and names the others.
func readCASData(additional json.RawMessage) (data casData, unknown []string, err error) {
	decoder := json.NewDecoder(bytes.NewReader(additional))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return data, nil, errors.New("got no object")
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return data, nil, err
		}
		name, _ := token.(string)
		if seen[name] {
			return data, nil, fmt.Errorf("got %.40q twice", name)
		}
		seen[name] = true
		into, known := map[string]any{"type": &data.Type, "nonce": &data.Nonce, "cert_chain": &data.Chain}[name]
		if !known {
			into, unknown = new(json.RawMessage), append(unknown, name)
		}
		if err := decoder.Decode(into); err != nil {
			return data, nil, err
		}
	}
	return data, unknown, nil
}

// onlyQuote finds the member that is a quote. With two of them it would not be known
// which one is meant.
func onlyQuote(members map[string]any) ([]byte, error) {
	var quotes [][]byte
	for _, value := range members {
		text, _ := value.(string)
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		if _, err := sgx.ParseQuote(decoded); err == nil {
			quotes = append(quotes, decoded)
		}
	}
	if len(quotes) != 1 {
		return nil, fmt.Errorf("got %d members that are a quote in Base64, want one", len(quotes))
	}
	return quotes[0], nil
}

// ParseNonce reads the nonce of an attestation: 32 hexadecimal digits.
func ParseNonce(text string) (nonce [16]byte, err error) {
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) != len(nonce) {
		return nonce, fmt.Errorf("got %.40q, want 32 hexadecimal digits", text)
	}
	return [16]byte(decoded), nil
}

func newCASEvidence(quote []byte, data casData, additional json.RawMessage) (*CASEvidence, error) {
	nonce, err := ParseNonce(data.Nonce)
	if err != nil {
		return nil, fmt.Errorf("additional_data.nonce: %w", err)
	}
	e := &CASEvidence{Quote: quote, Nonce: nonce}
	var compact bytes.Buffer
	if err := json.Compact(&compact, additional); err != nil {
		return nil, fmt.Errorf("additional_data: %w", err)
	}
	e.bound = compact.Bytes()
	if e.Chain, err = ParseCertificates([]byte(data.Chain)); err != nil {
		return nil, fmt.Errorf("additional_data.cert_chain: %w", err)
	}
	return e, nil
}

// checkBinding reports whether the enclave put this report into REPORTDATA.
func (e *CASEvidence) checkBinding(reportData [64]byte) error {
	bound := sha512.Sum512(e.bound)
	if subtle.ConstantTimeCompare(bound[:], reportData[:]) != 1 {
		return fmt.Errorf("REPORTDATA: got %x, want %x, the SHA-512 of additional_data", reportData, bound)
	}
	return nil
}

// maxCASChain bounds the number of certificates in a chain.
const maxCASChain = 8

// ParseCertificates reads the PEM certificates of a CAS, at least one and at most
// eight, and no other PEM block between them.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(chain) == maxCASChain {
			return nil, fmt.Errorf("got a PEM block %.40q after %d certificates, want at most %d certificates", block.Type, len(chain), maxCASChain)
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
	return chain, nil
}
