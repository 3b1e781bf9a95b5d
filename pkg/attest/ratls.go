package attest

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	_ "crypto/sha512" // for the hashes of pubkey-hash
	"crypto/subtle"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/sgx"
)

// Schemes in which a certificate carries a quote.
const (
	// SchemeTaggedEvidence is interoperable RA-TLS: tagged CBOR with claims
	// (CCC-Attestation, interoperable-ra-tls; TCG DICE conceptual message wrapper).
	SchemeTaggedEvidence = "dice-tagged-evidence"
	// SchemeOpenEnclaveReport is the report of Open Enclave, of EGo and of MarbleRun.
	SchemeOpenEnclaveReport = "open-enclave-report"
	// SchemeOldOpenEnclaveReport is the same report under Open Enclave's first OID.
	SchemeOldOpenEnclaveReport = "open-enclave-old-report"
	// SchemeGramineLegacy is the quote alone, under the OID that Gramine encoded twice.
	SchemeGramineLegacy = "gramine-legacy"
	// SchemeOpenEnclaveEvidence is a quote and custom claims, under either OID.
	SchemeOpenEnclaveEvidence = "open-enclave-evidence"
)

// Object identifiers of the extensions.
const (
	oidTaggedEvidence = "2.23.133.5.4.9"
	oidOEReport       = "1.3.6.1.4.1.311.105.1"
	oidOldOEReport    = "1.2.840.113556.10.1.1"
	// Gramine put the whole DER of 1.2.840.113741.1337.6, tag 06 and length 09
	// included, where its content belongs. Read as content, 06 is 0.6.
	oidGramineLegacy = "0.6.9.42.840.113741.1337.6"
	oidOEEvidence    = "1.3.6.1.4.1.311.105.2"
	oidOldOEEvidence = "1.2.840.113556.10.1.2"
	// Intel's SGX SDK puts a quote where PCK certificates describe a platform.
	oidPCKOrQuote = "1.2.840.113741.1.13.1"
)

// epidOIDs are those of RA-TLS before DCAP.
func epidOIDs() []string {
	return []string{"1.2.840.113741.1337.2", "1.2.840.113741.1337.3", "1.2.840.113741.1337.4", "1.2.840.113741.1337.5", "1.2.840.113741.1337.6"}
}

// ErrNoRATLS means that a certificate says nothing of an enclave.
var ErrNoRATLS = errors.New("the certificate has no RA-TLS extension")

// RATLSEvidence is what a certificate says of the enclave that holds its key,
// parsed and not appraised. The zero value binds no key.
type RATLSEvidence struct {
	// Scheme is one of the Scheme constants: that of the preferred extension.
	Scheme string
	// Quote is the DCAP quote, without the header that Open Enclave puts before it.
	Quote []byte
	// Nonce is what the enclave says it answers; nil when the scheme has none.
	Nonce []byte

	bindings []binding // of every extension
}

// binding is how one extension ties a key to REPORTDATA.
type binding struct {
	oid string
	// hashed returns what may have been hashed into REPORTDATA if the key is spki.
	hashed func(spki []byte) ([][]byte, error)
	// own is the REPORTDATA of a quote that is not the one to appraise; else nil.
	own *[64]byte
}

// ratlsScheme is one way to carry a quote.
type ratlsScheme struct {
	oid, name string
	parse     func(value []byte) (parsedRATLS, error)
}

// parsedRATLS is what one extension says.
type parsedRATLS struct {
	quote, nonce []byte
	hashed       func(spki []byte) ([][]byte, error)
}

// ratlsSchemes are the schemes that can be appraised, the preferred one first.
func ratlsSchemes() []ratlsScheme {
	return []ratlsScheme{
		{oidTaggedEvidence, SchemeTaggedEvidence, parseTaggedEvidence},
		{oidOEReport, SchemeOpenEnclaveReport, parseOEReport(hashedKey)},
		{oidOldOEReport, SchemeOldOpenEnclaveReport, parseOEReport(hashedPEM)},
		{oidGramineLegacy, SchemeGramineLegacy, parseBareQuote},
		{oidOEEvidence, SchemeOpenEnclaveEvidence, parseOEEvidence},
		{oidOldOEEvidence, SchemeOpenEnclaveEvidence, parseOEEvidence},
	}
}

// ParseRATLS reads the evidence in a certificate. Nothing else of the certificate
// counts: not its signature, its dates or its key. The preferred extension gives
// Scheme, Quote and Nonce. Every other one must be readable and hold the same quote;
// only Gramine's two extensions may each have their own, of the same enclave on the
// same machine. The error is ErrNoRATLS when there is none.
func ParseRATLS(c *x509.Certificate) (*RATLSEvidence, error) {
	found, err := ratlsExtensions(c)
	if err != nil {
		return nil, err
	}
	e := &RATLSEvidence{}
	for _, scheme := range ratlsSchemes() {
		value, ok := found[scheme.oid]
		if !ok {
			continue
		}
		if err := e.add(scheme, value); err != nil {
			return nil, fmt.Errorf("reading RA-TLS extension %s (%s): %w", scheme.oid, scheme.name, err)
		}
	}
	if len(e.bindings) == 0 {
		return nil, ErrNoRATLS
	}
	if value, ok := found[oidPCKOrQuote]; ok && !bytes.Equal(value, e.Quote) { // a copy, with no binding of its own
		return nil, fmt.Errorf("reading RA-TLS extension %s: its quote is not the one in %s", oidPCKOrQuote, oidTaggedEvidence)
	}
	return e, nil
}

// maxRATLSExtension bounds one extension, in bytes. Real ones have about 5000.
const maxRATLSExtension = 1 << 18

// ratlsExtensions returns copies of the extensions that concern us, by OID.
func ratlsExtensions(c *x509.Certificate) (map[string][]byte, error) {
	known := []string{oidPCKOrQuote}
	for _, scheme := range ratlsSchemes() {
		known = append(known, scheme.oid)
	}
	found := map[string][]byte{}
	for _, extension := range c.Extensions {
		oid := extension.Id.String()
		_, twice := found[oid]
		switch {
		case slices.Contains(epidOIDs(), oid):
			return nil, fmt.Errorf("reading RA-TLS extension %s: EPID attestation has ended and is not supported, want a DCAP quote", oid)
		case !slices.Contains(known, oid):
			continue
		case twice:
			return nil, fmt.Errorf("reading RA-TLS extension %s: the certificate has it more than once", oid)
		case len(extension.Value) > maxRATLSExtension:
			return nil, fmt.Errorf("reading RA-TLS extension %s: got %d bytes, want at most %d", oid, len(extension.Value), maxRATLSExtension)
		}
		found[oid] = bytes.Clone(extension.Value) // what is appraised must not change with the certificate
	}
	if _, ok := found[oidPCKOrQuote]; ok && found[oidTaggedEvidence] == nil {
		return nil, fmt.Errorf("reading RA-TLS extension %s without %s: this is a PCK certificate, or a quote that does not say what binds it", oidPCKOrQuote, oidTaggedEvidence)
	}
	return found, nil
}

func (e *RATLSEvidence) add(scheme ratlsScheme, value []byte) error {
	parsed, err := scheme.parse(value)
	if err != nil {
		return err
	}
	if len(e.bindings) == 0 {
		e.Scheme, e.Quote, e.Nonce = scheme.name, parsed.quote, parsed.nonce
	}
	b := binding{oid: scheme.oid, hashed: parsed.hashed}
	if !bytes.Equal(parsed.quote, e.Quote) {
		twins := e.Scheme == SchemeTaggedEvidence && scheme.name == SchemeGramineLegacy
		if b.own = reportDataOfTwin(parsed.quote, e.Quote); b.own == nil || !twins {
			return fmt.Errorf("its quote is of another enclave or machine than the one in %s: only one of them would be appraised", e.bindings[0].oid)
		}
	}
	e.bindings = append(e.bindings, b)
	return nil
}

// reportDataOfTwin returns the REPORTDATA of a quote that says the same as another
// one in everything else, and nil for any other quote.
func reportDataOfTwin(quote, appraised []byte) *[64]byte {
	q, err := sgx.ParseQuote(quote)
	if err != nil {
		return nil
	}
	a, err := sgx.ParseQuote(appraised)
	if err != nil {
		return nil
	}
	own := q.Report.ReportData
	q.Report.ReportData = a.Report.ReportData
	if q.Report != a.Report || q.QEID != a.QEID {
		return nil
	}
	return &own
}

// CheckBinding reports whether report data binds the quote to a public key.
// reportData is from the verified quote. spki is the DER SubjectPublicKeyInfo of
// the peer in this TLS session: whoever copies a certificate does not have its key.
// It says nothing of which enclave that is, or how old the quote is.
func (e *RATLSEvidence) CheckBinding(reportData [64]byte, spki []byte) error {
	if len(e.bindings) == 0 || len(spki) == 0 {
		return fmt.Errorf("checking the binding of a key: got %d bindings and a key of %d bytes, want at least one of each", len(e.bindings), len(spki))
	}
	for _, b := range e.bindings {
		if err := b.check(reportData, spki); err != nil {
			return fmt.Errorf("checking the binding in RA-TLS extension %s: %w", b.oid, err)
		}
	}
	return nil
}

// check wants SHA-256 in the first half of REPORTDATA and zero in the second: no
// scheme leaves a place there in which something else could be said.
func (b binding) check(reportData [64]byte, spki []byte) error {
	hashed, err := b.hashed(spki)
	if err != nil {
		return err
	}
	if b.own != nil {
		reportData = *b.own
	}
	var bound int
	var want [64]byte
	for _, message := range hashed {
		hash := sha256.Sum256(message)
		copy(want[:], hash[:])
		bound |= subtle.ConstantTimeCompare(want[:], reportData[:])
	}
	if bound != 1 {
		return fmt.Errorf("REPORTDATA: got %x, want %x: the enclave does not vouch for this key", reportData, want)
	}
	return nil
}

// hashedKey is what EGo hashes, and what Open Enclave hashes.
func hashedKey(spki []byte) ([][]byte, error) {
	return [][]byte{terminatedPEM(spki), spki}, nil
}

func hashedPEM(spki []byte) ([][]byte, error) { return [][]byte{terminatedPEM(spki)}, nil }

func hashedDER(spki []byte) ([][]byte, error) { return [][]byte{spki}, nil }

// terminatedPEM is a key as Open Enclave has it: a C string with its NUL.
func terminatedPEM(spki []byte) []byte {
	return append(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), 0)
}

func parseBareQuote(value []byte) (parsedRATLS, error) {
	return parsedRATLS{quote: value, hashed: hashedDER}, checkQuote(value)
}

// checkQuote reads a quote that must fill raw.
func checkQuote(raw []byte) error {
	rest, err := afterQuote(raw)
	if err == nil && len(rest) != 0 {
		return fmt.Errorf("got %d bytes after the quote, want none", len(rest))
	}
	return err
}

// afterQuote reads a quote at the front of raw and returns what follows it.
func afterQuote(raw []byte) ([]byte, error) {
	// Open Enclave's header begins with 1; ParseQuote would pass over it anywhere.
	if len(raw) < 2 || binary.LittleEndian.Uint16(raw) == 1 {
		return nil, fmt.Errorf("got %d bytes that do not begin with a quote", len(raw))
	}
	q, err := sgx.ParseQuote(raw)
	if err != nil {
		return nil, err
	}
	return raw[len(raw)-q.TrailingBytes:], nil
}

// parseOEReport reads oe_report_header_t (u32 version, u32 type, u64 size) and the
// quote that follows it.
func parseOEReport(hashed func(spki []byte) ([][]byte, error)) func([]byte) (parsedRATLS, error) {
	const size, version, remote = 16, 1, 2
	return func(value []byte) (parsedRATLS, error) {
		if len(value) < size {
			return parsedRATLS{}, fmt.Errorf("oe_report: got %d bytes, want a header of %d", len(value), size)
		}
		v, kind, n := binary.LittleEndian.Uint32(value), binary.LittleEndian.Uint32(value[4:]), binary.LittleEndian.Uint64(value[8:])
		if v != version || kind != remote || n != uint64(len(value)-size) {
			return parsedRATLS{}, fmt.Errorf("oe_report: got version %d, type %d and %d bytes, want version %d, type %d (remote) and the %d bytes that follow", v, kind, n, version, remote, len(value)-size)
		}
		return parsedRATLS{quote: value[size:], hashed: hashed}, checkQuote(value[size:])
	}
}

// oeFormatECDSA identifies evidence that is a DCAP quote and custom claims.
const oeFormatECDSA = "a3a21e871b4d4014b70aa125d2fbcd8c"

// parseOEEvidence reads oe_attestation_header_t (u32 version, 16-byte format, 4
// bytes that the compiler leaves and nobody sets, u64 size), and after it a quote
// and custom claims up to the end. In a certificate the claims are the key.
func parseOEEvidence(value []byte) (parsedRATLS, error) {
	const size, version = 32, 3
	if len(value) < size {
		return parsedRATLS{}, fmt.Errorf("OE evidence: got %d bytes, want a header of %d", len(value), size)
	}
	v, format, n := binary.LittleEndian.Uint32(value), hex.EncodeToString(value[4:20]), binary.LittleEndian.Uint64(value[24:])
	if v != version || format != oeFormatECDSA || n != uint64(len(value)-size) {
		return parsedRATLS{}, fmt.Errorf("OE evidence: got version %d, format %s and %d bytes, want version %d, format %s (SGX, ECDSA) and the %d bytes that follow", v, format, n, version, oeFormatECDSA, len(value)-size)
	}
	evidence := value[size:]
	claims, err := afterQuote(evidence)
	if err != nil {
		return parsedRATLS{}, err
	}
	end := len(evidence) - len(claims)
	return parsedRATLS{quote: evidence[:end:end], hashed: keyIn(claims)}, nil
}

// keyIn accepts custom claims that are the key, as Open Enclave writes keys.
func keyIn(claims []byte) func(spki []byte) ([][]byte, error) {
	return func(spki []byte) ([][]byte, error) {
		if subtle.ConstantTimeCompare(claims, terminatedPEM(spki)) != 1 {
			return nil, errors.New("custom claims: they are not the key of this session")
		}
		return [][]byte{claims}, nil
	}
}

// Tags of Intel TEE evidence (IANA, CBOR tags).
const (
	tagQuote        = 60000
	tagReport       = 60001
	tagLegacyReport = 60002
)

// parseTaggedEvidence reads 60000([quote, claims]), both byte strings.
func parseTaggedEvidence(value []byte) (parsedRATLS, error) {
	item, err := parseCBOR(value)
	switch {
	case err != nil:
		return parsedRATLS{}, err
	case item.kind == cborTag && (item.n == tagReport || item.n == tagLegacyReport):
		return parsedRATLS{}, fmt.Errorf("CBOR tag: got %d (TEE report, which only the same machine can verify), want %d (quote)", item.n, tagQuote)
	case item.kind != cborTag || item.n != tagQuote:
		return parsedRATLS{}, fmt.Errorf("CBOR: got major type %d with %d, want tag %d", item.kind, item.n, tagQuote)
	}
	pair := item.items[0]
	if pair.kind != cborArray || len(pair.items) != 2 || pair.items[0].kind != cborBytes || pair.items[1].kind != cborBytes {
		return parsedRATLS{}, fmt.Errorf("CBOR tag %d: want an array of two byte strings, the quote and the claims", tagQuote)
	}
	claims, err := parseKeyClaims(pair.items[1].text)
	if err != nil {
		return parsedRATLS{}, fmt.Errorf("claims: %w", err)
	}
	quote := pair.items[0].text
	return parsedRATLS{quote, claims.nonce, claims.hashed}, checkQuote(quote)
}

// keyClaims are the claims of interoperable RA-TLS. It defines no others, and says
// to ignore those that somebody adds.
type keyClaims struct {
	raw       []byte // what the enclave hashed
	algorithm crypto.Hash
	keyHash   []byte
	nonce     []byte
}

func parseKeyClaims(raw []byte) (*keyClaims, error) {
	item, err := parseCBOR(raw)
	if err != nil {
		return nil, err
	}
	c := &keyClaims{raw: raw}
	entry, ok := item.value("pubkey-hash")
	if !ok || entry.kind != cborBytes {
		return nil, errors.New("want a map with the byte string pubkey-hash")
	}
	if err := c.parseHashEntry(entry.text); err != nil {
		return nil, fmt.Errorf("pubkey-hash: %w", err)
	}
	nonce, ok := item.value("nonce")
	if ok && nonce.kind != cborBytes {
		return nil, fmt.Errorf("nonce: got CBOR major type %d, want a byte string", nonce.kind)
	}
	c.nonce = nonce.text
	return c, nil
}

// parseHashEntry reads [algorithm, hash] (hash-entry of CoSWID, RFC 9393).
func (c *keyClaims) parseHashEntry(raw []byte) error {
	pair, err := parseCBOR(raw)
	if err != nil {
		return err
	}
	if pair.kind != cborArray || len(pair.items) != 2 || pair.items[0].kind != cborUnsigned || pair.items[1].kind != cborBytes {
		return errors.New("want an array of an algorithm and a byte string")
	}
	if c.algorithm, err = hashAlgorithm(pair.items[0].n); err != nil {
		return err
	}
	if c.keyHash = pair.items[1].text; len(c.keyHash) != c.algorithm.Size() {
		return fmt.Errorf("got %d bytes, want the %d of %s", len(c.keyHash), c.algorithm.Size(), c.algorithm)
	}
	return nil
}

// hashAlgorithm knows the numbers (IANA, Named Information Hash Algorithm Registry)
// that the scheme names. The registry's others are truncated or not in use.
func hashAlgorithm(n uint64) (crypto.Hash, error) {
	switch n {
	case 1:
		return crypto.SHA256, nil
	case 7:
		return crypto.SHA384, nil
	case 8:
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("hash algorithm: got %d, want 1 (sha-256), 7 (sha-384) or 8 (sha-512)", n)
}

func (c *keyClaims) hashed(spki []byte) ([][]byte, error) {
	hash := c.algorithm.New()
	hash.Write(spki)
	want := hash.Sum(nil)
	if subtle.ConstantTimeCompare(c.keyHash, want) != 1 {
		return nil, fmt.Errorf("pubkey-hash: got %x, want %x: the claims are about another key", c.keyHash, want)
	}
	return [][]byte{c.raw}, nil
}
