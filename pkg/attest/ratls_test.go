package attest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/confidb/confidb/internal/realquotes"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

// The OIDs of the extensions, as certificates in the field have them.
var (
	oidDICE        = asn1.ObjectIdentifier{2, 23, 133, 5, 4, 9}
	oidReport      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 1}
	oidOldReport   = asn1.ObjectIdentifier{1, 2, 840, 113556, 10, 1, 1}
	oidGramine     = asn1.ObjectIdentifier{0, 6, 9, 42, 840, 113741, 1337, 6}
	oidEvidence    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 105, 2}
	oidOldEvidence = asn1.ObjectIdentifier{1, 2, 840, 113556, 10, 1, 2}
	oidPCK         = asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}
	oidEPID        = asn1.ObjectIdentifier{1, 2, 840, 113741, 1337, 2}
)

// enclave makes quotes and certificates like an enclave with RA-TLS.
type enclave struct {
	*fixture
	t testing.TB
}

func newEnclave(t testing.TB) enclave {
	t.Helper()
	return enclave{newFixture(t), t}
}

// quote has SHA-256(bound) in REPORTDATA.
func (e enclave) quote(bound []byte) []byte {
	e.t.Helper()
	body, hash := e.body, sha256.Sum256(bound)
	copy(body.ReportData[:], hash[:])
	return e.quoteOf(body)
}

func (e enclave) quoteOf(body sgx.ReportBody) []byte {
	e.t.Helper()
	quote, err := e.platform.Quote(body)
	if err != nil {
		e.t.Fatal(err)
	}
	return quote
}

func newKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	p256, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsa2048, err3 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"P-256": p256, "P-384": p384, "RSA": rsa2048}
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func spkiOf(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return spki
}

// certificate is self-signed and goes through DER, as from a TLS peer.
func certificate(t testing.TB, key crypto.Signer, extensions ...pkix.Extension) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: at, NotAfter: at, ExtraExtensions: extensions}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bare has what a certificate needs to be parsed, also where Go would refuse to
// make or to read it.
func bare(extensions ...pkix.Extension) *x509.Certificate {
	return &x509.Certificate{Extensions: extensions}
}

func extension(id asn1.ObjectIdentifier, value []byte) pkix.Extension {
	return pkix.Extension{Id: id, Value: value}
}

func keyPEM(spki []byte) []byte {
	return append(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), 0)
}

// oeReport puts Open Enclave's header before a quote.
func oeReport(quote []byte) []byte {
	header := []byte{1, 0, 0, 0, 2, 0, 0, 0}
	return append(binary.LittleEndian.AppendUint64(header, uint64(len(quote))), quote...)
}

const ecdsaFormat = "a3a21e871b4d4014b70aa125d2fbcd8c"

// oeEvidence is a quote and custom claims with Open Enclave's header.
func oeEvidence(format string, quote, claims []byte) []byte {
	id, err := hex.DecodeString(format)
	if err != nil {
		panic(err)
	}
	header := slices.Concat([]byte{3, 0, 0, 0}, id, []byte{0xde, 0xad, 0xbe, 0xef}) // what malloc left
	return slices.Concat(binary.LittleEndian.AppendUint64(header, uint64(len(quote)+len(claims))), quote, claims)
}

// cbor is an item whose argument has two bytes, which is not always its shortest form.
func cbor(major byte, argument int, content ...[]byte) []byte {
	head := []byte{major<<5 | 25, byte(argument >> 8), byte(argument)}
	return append(head, slices.Concat(content...)...)
}

func cborBytes(b []byte) []byte { return cbor(2, len(b), b) }

func cborText(s string) []byte { return cbor(3, len(s), []byte(s)) }

func cborMap(keysAndValues ...[]byte) []byte {
	return cbor(5, len(keysAndValues)/2, keysAndValues...)
}

func tagged(tag int, quote, claims []byte) []byte {
	return cbor(6, tag, cbor(4, 2, cborBytes(quote), cborBytes(claims)))
}

// keyHash is the claim pubkey-hash and its name.
func keyHash(algorithm int, hash []byte) []byte {
	return append(cborText("pubkey-hash"), cborBytes(cbor(4, 2, cbor(0, algorithm), cborBytes(hash)))...)
}

func sum256(b []byte) []byte { s := sha256.Sum256(b); return s[:] }

func claims256(spki []byte) []byte { return cbor(5, 1, keyHash(1, sum256(spki))) }

// wayToCarry is one form of a certificate that is in order.
type wayToCarry struct {
	scheme     string
	nonce      []byte
	extensions func(e enclave, spki []byte) []pkix.Extension
}

// waysToCarry are all of them. In each the last extension holds the quote.
func waysToCarry() map[string]wayToCarry {
	one := func(id asn1.ObjectIdentifier, value func(e enclave, spki []byte) []byte) func(enclave, []byte) []pkix.Extension {
		return func(e enclave, spki []byte) []pkix.Extension {
			return []pkix.Extension{extension(id, value(e, spki))}
		}
	}
	claimed := func(claims func(spki []byte) []byte) func(enclave, []byte) []pkix.Extension {
		return one(oidDICE, func(e enclave, spki []byte) []byte {
			c := claims(spki)
			return tagged(60000, e.quote(c), c)
		})
	}
	evidence := func(e enclave, spki []byte) []byte {
		return oeEvidence(ecdsaFormat, e.quote(keyPEM(spki)), keyPEM(spki))
	}
	return map[string]wayToCarry{
		"interoperable": {attest.SchemeTaggedEvidence, nil, claimed(claims256)},
		"interoperable, sha-384": {attest.SchemeTaggedEvidence, nil, claimed(func(spki []byte) []byte {
			hash := sha512.Sum384(spki)
			return cbor(5, 1, keyHash(7, hash[:]))
		})},
		"interoperable, sha-512": {attest.SchemeTaggedEvidence, nil, claimed(func(spki []byte) []byte {
			hash := sha512.Sum512(spki)
			return cbor(5, 1, keyHash(8, hash[:]))
		})},
		"interoperable with a nonce": {attest.SchemeTaggedEvidence, []byte("fresh"), claimed(func(spki []byte) []byte {
			return cbor(5, 2, keyHash(1, sum256(spki)), cborText("nonce"), cborBytes([]byte("fresh")))
		})},
		"interoperable with an empty nonce": {attest.SchemeTaggedEvidence, []byte{}, claimed(func(spki []byte) []byte {
			return cbor(5, 2, cborText("nonce"), cborBytes(nil), keyHash(1, sum256(spki)))
		})},
		"interoperable with claims of somebody's own": {attest.SchemeTaggedEvidence, nil, claimed(func(spki []byte) []byte {
			return cbor(5, 3, keyHash(1, sum256(spki)), cborText("key_0"), cborBytes([]byte("value_0")), cbor(1, 6), cbor(4, 1, cbor(6, 1, cbor(0, 7))))
		})},
		"EGo": {attest.SchemeOpenEnclaveReport, nil, one(oidReport, func(e enclave, spki []byte) []byte { return oeReport(e.quote(spki)) })},
		"Open Enclave": {attest.SchemeOpenEnclaveReport, nil, one(oidReport, func(e enclave, spki []byte) []byte {
			return oeReport(e.quote(keyPEM(spki)))
		})},
		"old Open Enclave": {attest.SchemeOldOpenEnclaveReport, nil, one(oidOldReport, func(e enclave, spki []byte) []byte {
			return oeReport(e.quote(keyPEM(spki)))
		})},
		"Gramine":                   {attest.SchemeGramineLegacy, nil, one(oidGramine, enclave.quoteOfKey)},
		"Open Enclave evidence":     {attest.SchemeOpenEnclaveEvidence, nil, one(oidEvidence, evidence)},
		"old Open Enclave evidence": {attest.SchemeOpenEnclaveEvidence, nil, one(oidOldEvidence, evidence)},
		"Gramine, with a quote for each": {attest.SchemeTaggedEvidence, nil, func(e enclave, spki []byte) []pkix.Extension {
			return []pkix.Extension{extension(oidGramine, e.quote(spki)), extension(oidDICE, tagged(60000, e.quote(claims256(spki)), claims256(spki)))}
		}},
		"Intel SGX SDK": {attest.SchemeTaggedEvidence, nil, func(e enclave, spki []byte) []pkix.Extension {
			quote := e.quote(claims256(spki))
			return []pkix.Extension{extension(oidPCK, quote), extension(oidDICE, tagged(60000, quote, claims256(spki)))}
		}},
		"EGo and Gramine with one quote": {attest.SchemeOpenEnclaveReport, nil, func(e enclave, spki []byte) []pkix.Extension {
			quote := e.quote(spki)
			return []pkix.Extension{extension(oidGramine, quote), extension(oidReport, oeReport(quote))}
		}},
		"Open Enclave, everything with one quote": {attest.SchemeOpenEnclaveReport, nil, func(e enclave, spki []byte) []pkix.Extension {
			quote := e.quote(keyPEM(spki))
			value := oeEvidence(ecdsaFormat, quote, keyPEM(spki))
			return []pkix.Extension{extension(oidOldEvidence, value), extension(oidEvidence, value), extension(oidOldReport, oeReport(quote)), extension(oidReport, oeReport(quote))}
		}},
	}
}

func (e enclave) quoteOfKey(spki []byte) []byte { return e.quote(spki) }

func reportData(t testing.TB, quote []byte) [64]byte {
	t.Helper()
	q, err := sgx.ParseQuote(quote)
	if err != nil {
		t.Fatal(err)
	}
	return q.Report.ReportData
}

func TestParseRATLS(t *testing.T) {
	keys, stranger, e := newKeys(t), spkiOf(t, newKey(t)), newEnclave(t)
	for name, way := range waysToCarry() {
		for kind, key := range keys {
			t.Run(name+" "+kind, func(t *testing.T) {
				spki := spkiOf(t, key)
				c := certificate(t, key, way.extensions(e, spki)...)
				got, err := attest.ParseRATLS(c)
				if err != nil {
					t.Fatal(err)
				}
				want := &attest.RATLSEvidence{Scheme: way.scheme, Quote: got.Quote, Nonce: way.nonce}
				if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(attest.RATLSEvidence{})); diff != "" {
					t.Error(diff)
				}
				if !bytes.HasPrefix(got.Quote, []byte{3, 0, 2, 0}) || !bytes.HasSuffix(got.Quote, e.platform.Chain) {
					t.Errorf("got a quote of %d bytes that is not all of the enclave's and nothing else", len(got.Quote))
				}
				if err := got.CheckBinding(reportData(t, got.Quote), spki); err != nil {
					t.Error(err)
				}
				// A copied certificate: who relays it ends the TLS session with a key of their own.
				if err := got.CheckBinding(reportData(t, got.Quote), stranger); err == nil {
					t.Error("bound to a key that the enclave does not have")
				}
				if err := got.CheckBinding(reportData(t, got.Quote), nil); err == nil {
					t.Error("bound to no key")
				}
			})
		}
	}
}

// A quote of another enclave over the same key is in order here: which enclave may
// hold the key is for the policy to say.
func TestRATLSIsNotAnAppraisal(t *testing.T) {
	e, key := newEnclave(t), newKey(t)
	e.body.MRENCLAVE = sgx.Measurement{0xba, 0xd}
	got, err := attest.ParseRATLS(certificate(t, key, extension(oidGramine, e.quote(spkiOf(t, key)))))
	if err != nil {
		t.Fatal(err)
	}
	q, err := sgx.ParseQuote(got.Quote)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.CheckBinding(q.Report.ReportData, spkiOf(t, key)); err != nil {
		t.Error(err)
	}
	policy := attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{{7}}}}
	if f, _ := attest.Appraise(&sgx.Result{Quote: q}, policy).Find("enclave-identity"); f.Reason != "another enclave" {
		t.Errorf("the policy says %+v", f)
	}
}

func TestErrNoRATLS(t *testing.T) {
	endorsements := asn1.ObjectIdentifier{2, 23, 133, 5, 4, 2}
	for _, c := range []*x509.Certificate{bare(), certificate(t, newKey(t)), bare(extension(endorsements, []byte{0x80}))} {
		if _, err := attest.ParseRATLS(c); !errors.Is(err, attest.ErrNoRATLS) {
			t.Errorf("got %v", err)
		}
	}
}

// Gramine's OID in a certificate has the tag and the length of an OID in its content.
func TestGramineOID(t *testing.T) {
	e, key := newEnclave(t), newKey(t)
	c := certificate(t, key, extension(oidGramine, e.quote(spkiOf(t, key))))
	if !bytes.Contains(c.Raw, []byte{0x06, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x8a, 0x39, 0x06, 0x04}) {
		t.Error("the test's certificates are not Gramine's")
	}
	if _, err := attest.ParseRATLS(c); err != nil {
		t.Error(err)
	}
}

func TestParseRATLSRefuses(t *testing.T) {
	e, spki := newEnclave(t), spkiOf(t, newKey(t))
	quote, claims := e.quote(claims256(spki)), claims256(spki)
	dice := func(value []byte) []pkix.Extension { return []pkix.Extension{extension(oidDICE, value)} }
	claimed := func(claims []byte) []pkix.Extension { return dice(tagged(60000, quote, claims)) }
	hash := sum256(spki)
	nested := func(depth int) []byte {
		return cbor(5, 2, keyHash(1, hash), cborText("x"), slices.Concat(bytes.Repeat([]byte{0x81}, depth), []byte{0}))
	}
	v4 := slices.Clone(quote)
	v4[0] = 4
	other := enclave{&fixture{e.authority, e.platform, e.body, e.nonce}, t}
	other.body.MRENCLAVE[0]++
	for name, c := range map[string]struct {
		extensions []pkix.Extension
		reason     string
	}{
		"two of one OID":                 {[]pkix.Extension{extension(oidGramine, quote), extension(oidGramine, quote)}, "more than once"},
		"two of the SDK's OID":           {append(claimed(claims), extension(oidPCK, quote), extension(oidPCK, quote)), "more than once"},
		"EPID":                           {[]pkix.Extension{extension(oidEPID, quote)}, "EPID"},
		"EPID beside a quote":            {append(claimed(claims), extension(asn1.ObjectIdentifier{1, 2, 840, 113741, 1337, 6}, quote)), "EPID"},
		"a PCK certificate":              {[]pkix.Extension{extension(oidPCK, []byte{0x30, 0})}, "PCK certificate"},
		"the SDK's quote alone":          {[]pkix.Extension{extension(oidPCK, quote)}, "PCK certificate"},
		"the SDK's quote beside another": {[]pkix.Extension{extension(oidPCK, quote), extension(oidGramine, quote)}, "PCK certificate"},
		"the SDK's quote is another":     {append(claimed(claims), extension(oidPCK, e.quote(claims))), "1.2.840.113741.1.13.1: its quote is not the one"},
		// What Gramine 1.8 writes: REPORTDATA cannot be both SHA-256(key) and SHA-256(claims).
		"quotes of two enclaves":            {append(claimed(claims), extension(oidGramine, other.quote(spki))), "another enclave or machine"},
		"quotes of two machines":            {append(claimed(claims), extension(oidGramine, newEnclave(t).quote(spki))), "another enclave or machine"},
		"a good extension and a broken one": {append(claimed(claims), extension(oidOldReport, nil)), "1.2.840.113556.10.1.1"},
		"an extension too long":             {dice(make([]byte, 1<<18+1)), "at most"},

		"empty":                    {dice(nil), "2.23.133.5.4.9"},
		"a bare quote":             {dice(quote), "2.23.133.5.4.9"},
		"another tag":              {dice(tagged(60003, quote, claims)), "want tag 60000"},
		"no tag":                   {dice(cbor(4, 2, cborBytes(quote), cborBytes(claims))), "want tag 60000"},
		"a tag in a tag":           {dice(cbor(6, 60000, tagged(60000, quote, claims))), "want an array"},
		"a TEE report":             {dice(tagged(60001, quote, claims)), "TEE report"},
		"a legacy report":          {dice(tagged(60002, quote, claims)), "TEE report"},
		"three in the array":       {dice(cbor(6, 60000, cbor(4, 3, cborBytes(quote), cborBytes(claims), cborBytes(nil)))), "want an array"},
		"a quote as text":          {dice(cbor(6, 60000, cbor(4, 2, cborText("quote"), cborBytes(claims)))), "want an array"},
		"claims that are no bytes": {dice(cbor(6, 60000, cbor(4, 2, cborBytes(quote), claims))), "want an array"},
		"OE header in the array":   {dice(tagged(60000, oeReport(quote), claims)), "begin with a quote"},
		"bytes after the quote":    {dice(tagged(60000, append(slices.Clone(quote), 0), claims)), "after the quote"},
		"a quote of version 4":     {dice(tagged(60000, v4, claims)), "version 4"},
		"no quote":                 {dice(tagged(60000, nil, claims)), "begin with a quote"},

		"claims that are no map":     {claimed(cbor(4, 1, cborText("pubkey-hash"))), "want a map"},
		"no pubkey-hash":             {claimed(cborMap(cborText("nonce"), cborBytes(nil))), "pubkey-hash"},
		"pubkey-hash as bytes":       {claimed(cborMap(cborBytes([]byte("pubkey-hash")), cborBytes(cbor(4, 2, cbor(0, 1), cborBytes(hash))))), "pubkey-hash"},
		"pubkey-hash is an array":    {claimed(cborMap(cborText("pubkey-hash"), cbor(4, 2, cbor(0, 1), cborBytes(hash)))), "pubkey-hash"},
		"a hash entry of one":        {claimed(cborMap(cborText("pubkey-hash"), cborBytes(cbor(4, 1, cbor(0, 1))))), "want an array of an algorithm"},
		"a hash entry and a byte":    {claimed(cborMap(cborText("pubkey-hash"), cborBytes(append(cbor(4, 2, cbor(0, 1), cborBytes(hash)), 0)))), "after the item"},
		"a negative algorithm":       {claimed(cborMap(cborText("pubkey-hash"), cborBytes(cbor(4, 2, cbor(1, 1), cborBytes(hash))))), "want an array of an algorithm"},
		"sha-256-128":                {claimed(cborMap(cborText("pubkey-hash"), cborBytes(cbor(4, 2, cbor(0, 2), cborBytes(hash[:16]))))), "hash algorithm: got 2"},
		"sha-256-32":                 {claimed(cborMap(cborText("pubkey-hash"), cborBytes(cbor(4, 2, cbor(0, 6), cborBytes(hash[:4]))))), "hash algorithm: got 6"},
		"sha3-256":                   {claimed(cborMap(cborText("pubkey-hash"), cborBytes(cbor(4, 2, cbor(0, 10), cborBytes(hash))))), "hash algorithm: got 10"},
		"a truncated hash":           {claimed(cbor(5, 1, keyHash(1, hash[:31]))), "got 31 bytes"},
		"no hash":                    {claimed(cbor(5, 1, keyHash(1, nil))), "got 0 bytes"},
		"a hash of another length":   {claimed(cbor(5, 1, keyHash(7, hash))), "got 32 bytes"},
		"a nonce as text":            {claimed(cbor(5, 2, keyHash(1, hash), cborText("nonce"), cborText("fresh"))), "nonce"},
		"two pubkey-hashes":          {claimed(cbor(5, 2, keyHash(1, hash), keyHash(1, make([]byte, 32)))), "same key twice"},
		"two keys, one shorter":      {claimed(cbor(5, 3, keyHash(1, hash), []byte{1, 0}, cbor(0, 1), []byte{0})), "same key twice"},
		"a key that is an array":     {claimed(cbor(5, 2, keyHash(1, hash), []byte{0x80, 0})), "whose key"},
		"claims and a byte":          {claimed(append(slices.Clone(claims), 0)), "after the item"},
		"an indefinite map":          {claimed(slices.Concat([]byte{0xbf}, keyHash(1, hash), []byte{0xff})), "definite length"},
		"an indefinite string":       {claimed(cbor(5, 2, keyHash(1, hash), cborText("x"), []byte{0x5f, 0x41, 0, 0xff})), "definite length"},
		"reserved information":       {claimed(cbor(5, 2, keyHash(1, hash), cborText("x"), []byte{0x1c})), "definite length"},
		"a boolean":                  {claimed(cbor(5, 2, keyHash(1, hash), cborText("x"), []byte{0xf5})), "simple value"},
		"a floating-point number":    {claimed(cbor(5, 2, keyHash(1, hash), cborText("x"), []byte{0xf9, 0, 0})), "simple value"},
		"text that is not UTF-8":     {claimed(cbor(5, 2, keyHash(1, hash), cborText("\xff"), []byte{0})), "UTF-8"},
		"nested too deep":            {claimed(nested(7)), "depth"},
		"too many items":             {claimed(cbor(5, 2, keyHash(1, hash), cborText("x"), cbor(4, 1025, make([]byte, 1025)))), "items"},
		"a map of 2^63 pairs":        {claimed([]byte{0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0}), "pairs"},
		"an array of 2^64-1":         {claimed([]byte{0x9b, 255, 255, 255, 255, 255, 255, 255, 255}), "got 0 bytes more"},
		"a byte string of 2^64-1":    {claimed([]byte{0x5b, 255, 255, 255, 255, 255, 255, 255, 255}), "got 0 bytes more"},
		"a map without a last value": {claimed(cbor(5, 2, keyHash(1, hash), cborText("x"))), "got 0 bytes more"},

		"OE report without a header":  {[]pkix.Extension{extension(oidReport, quote)}, "1.3.6.1.4.1.311.105.1"},
		"OE report with two headers":  {[]pkix.Extension{extension(oidReport, oeReport(oeReport(quote)))}, "begin with a quote"},
		"OE report of local type":     {[]pkix.Extension{extension(oidOldReport, slices.Concat([]byte{1, 0, 0, 0, 1}, oeReport(quote)[5:]))}, "type 1"},
		"OE report with a rest":       {[]pkix.Extension{extension(oidReport, oeReport(append(slices.Clone(quote), 1)))}, "after the quote"},
		"OE report as Gramine's":      {[]pkix.Extension{extension(oidGramine, oeReport(quote))}, "begin with a quote"},
		"OE evidence of EPID":         {[]pkix.Extension{extension(oidEvidence, oeEvidence("f228aa3fde4d49d3884cb2aa87a50da6", quote, nil))}, "format f228"},
		"OE evidence without a quote": {[]pkix.Extension{extension(oidEvidence, oeEvidence(ecdsaFormat, nil, keyPEM(spki)))}, "1.3.6.1.4.1.311.105.2"},
		"OE evidence with a report":   {[]pkix.Extension{extension(oidOldEvidence, oeEvidence(ecdsaFormat, oeReport(quote), nil))}, "begin with a quote"},
		"OE evidence, old header":     {[]pkix.Extension{extension(oidEvidence, slices.Concat([]byte{2}, oeEvidence(ecdsaFormat, quote, nil)[1:]))}, "version 2"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := attest.ParseRATLS(bare(c.extensions...))
			if err == nil || got != nil || errors.Is(err, attest.ErrNoRATLS) || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got %v, %v, want an error with %q", got, err, c.reason)
			}
		})
	}
	for _, c := range [][]pkix.Extension{claimed(claims), claimed(nested(6))} { // what the cases above are made from is good
		if _, err := attest.ParseRATLS(bare(c...)); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckBindingRefuses(t *testing.T) {
	e, spki := newEnclave(t), spkiOf(t, newKey(t))
	stranger := spkiOf(t, newKey(t))
	tail := e.body
	copy(tail.ReportData[:], sum256(spki))
	tail.ReportData[63] = 1
	tailOfClaims := tail
	copy(tailOfClaims.ReportData[:], sum256(claims256(spki)))
	noncesOf := func(nonce string) []byte {
		return cbor(5, 2, keyHash(1, sum256(spki)), cborText("nonce"), cborBytes([]byte(nonce)))
	}
	for name, extensions := range map[string][]pkix.Extension{
		"a tail in Gramine's":                {extension(oidGramine, e.quoteOf(tail))},
		"a tail in EGo's":                    {extension(oidReport, oeReport(e.quoteOf(tail)))},
		"a tail with claims":                 {extension(oidDICE, tagged(60000, e.quoteOf(tailOfClaims), claims256(spki)))},
		"claims for another key":             {extension(oidDICE, tagged(60000, e.quote(claims256(stranger)), claims256(spki)))},
		"claims about another key":           {extension(oidDICE, tagged(60000, e.quote(claims256(stranger)), claims256(stranger)))},
		"another nonce":                      {extension(oidDICE, tagged(60000, e.quote(noncesOf("old")), noncesOf("new")))},
		"the key, not the claims":            {extension(oidDICE, tagged(60000, e.quote(spki), claims256(spki)))},
		"DER where PEM is hashed":            {extension(oidOldReport, oeReport(e.quote(spki)))},
		"PEM where DER is hashed":            {extension(oidGramine, e.quote(keyPEM(spki)))},
		"PEM without its NUL":                {extension(oidReport, oeReport(e.quote(bytes.TrimSuffix(keyPEM(spki), []byte{0}))))},
		"nothing in REPORTDATA":              {extension(oidGramine, e.quoteOf(e.body))},
		"no custom claims":                   {extension(oidEvidence, oeEvidence(ecdsaFormat, e.quote(nil), nil))},
		"custom claims and more":             {extension(oidEvidence, oeEvidence(ecdsaFormat, e.quote(append(keyPEM(spki), 0)), append(keyPEM(spki), 0)))},
		"custom claims, another key":         {extension(oidEvidence, oeEvidence(ecdsaFormat, e.quote(keyPEM(stranger)), keyPEM(stranger)))},
		"custom claims not in it":            {extension(oidEvidence, oeEvidence(ecdsaFormat, e.quote(keyPEM(stranger)), keyPEM(spki)))},
		"the second quote is of another key": {extension(oidDICE, tagged(60000, e.quote(claims256(spki)), claims256(spki))), extension(oidGramine, e.quote(stranger))},
		"the second does not bind":           secondLies(e.quote(spki), oidReport, oidOldReport),
		"the first does not bind":            firstLies(e.quote(spki), claims256(spki)),
		"the same quote, two schemes":        secondLies(e.quote(keyPEM(spki)), oidReport, oidGramine),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := attest.ParseRATLS(bare(extensions...))
			if err != nil {
				t.Fatal(err)
			}
			err = got.CheckBinding(reportData(t, got.Quote), spki)
			if err == nil || !strings.Contains(err.Error(), "extension ") {
				t.Errorf("got %v, want an error that names the extension", err)
			}
		})
	}
	if new(attest.RATLSEvidence).CheckBinding([64]byte{}, spki) == nil {
		t.Error("the zero value binds a key")
	}
}

// secondLies carries a quote in two extensions, of which the second wants it bound otherwise.
func secondLies(quote []byte, report, second asn1.ObjectIdentifier) []pkix.Extension {
	value := quote
	if second.Equal(oidOldReport) {
		value = oeReport(quote)
	}
	return []pkix.Extension{extension(report, oeReport(quote)), extension(second, value)}
}

func firstLies(quote, claims []byte) []pkix.Extension {
	return []pkix.Extension{extension(oidDICE, tagged(60000, quote, claims)), extension(oidGramine, quote)}
}

// eachExtension calls visit with every extension of every good certificate.
func eachExtension(t *testing.T, visit func(t *testing.T, spki []byte, extensions []pkix.Extension, i int)) {
	t.Helper()
	e, spki := newEnclave(t), spkiOf(t, newKey(t))
	for name, way := range waysToCarry() {
		extensions := way.extensions(e, spki)
		for i := range extensions {
			t.Run(name+" "+extensions[i].Id.String(), func(t *testing.T) { visit(t, spki, extensions, i) })
		}
	}
}

// with replaces one value.
func with(extensions []pkix.Extension, i int, value []byte) *x509.Certificate {
	changed := slices.Clone(extensions)
	changed[i].Value = value
	return bare(changed...)
}

func TestParseRATLSRefusesOtherLengths(t *testing.T) {
	eachExtension(t, func(t *testing.T, spki []byte, extensions []pkix.Extension, i int) {
		value := extensions[i].Value
		for n := range value {
			if _, err := attest.ParseRATLS(with(extensions, i, value[:n])); err == nil {
				t.Fatalf("read after %d of %d bytes", n, len(value))
			}
		}
		for _, rest := range [][]byte{{0}, {1}, {0xa0}, value} {
			if _, err := attest.ParseRATLS(with(extensions, i, slices.Concat(value, rest))); err == nil {
				t.Errorf("read with %d bytes after it", len(rest))
			}
		}
	})
}

// With the quote that was signed and the key of the session, no other value of an
// extension binds, except for bytes that say nothing.
func TestNoFlippedByteBinds(t *testing.T) {
	eachExtension(t, func(t *testing.T, spki []byte, extensions []pkix.Extension, i int) {
		good, err := attest.ParseRATLS(bare(extensions...))
		if err != nil {
			t.Fatal(err)
		}
		signed, value := reportData(t, good.Quote), slices.Clone(extensions[i].Value)
		silent := 0
		for n := range value {
			for _, flip := range []byte{1, 2, 4, 8, 16, 32, 64, 128, 255} {
				value[n] ^= flip
				got, err := attest.ParseRATLS(with(extensions, i, value))
				value[n] ^= flip
				if err != nil || !bytes.Equal(got.Quote, good.Quote) || got.CheckBinding(signed, spki) != nil {
					continue // unreadable, another quote whose signature is for pkg/sgx, or unbound
				}
				silent++
				if got.Scheme != good.Scheme || !bytes.Equal(got.Nonce, good.Nonce) {
					t.Fatalf("byte %d ^ %#x binds: got %s and nonce %x, want %s and %x", n, flip, got.Scheme, got.Nonce, good.Scheme, good.Nonce)
				}
			}
		}
		want := 0
		if id := extensions[i].Id; id.Equal(oidEvidence) || id.Equal(oidOldEvidence) {
			want = 4 * 9 // the padding of the header
		}
		twin := extensions[i].Id.Equal(oidGramine) && good.Scheme == attest.SchemeTaggedEvidence
		if silent != want && !twin { // a twin is not appraised, whatever it says beside its REPORTDATA
			t.Errorf("%d changes say nothing, want %d", silent, want)
		}
	})
}

// TestRealQuote takes a quote that Gramine made on real hardware, and puts it into a
// certificate of ours: it reads well, and does not vouch for our key.
func TestRealQuote(t *testing.T) {
	quote := realquotes.Named(t, "ratls-gramine-q0-debug-00606A-2022").Read(t, "quote.bin")
	key := newKey(t)
	got, err := attest.ParseRATLS(certificate(t, key, extension(oidGramine, quote)))
	if err != nil {
		t.Fatal(err)
	}
	if got.Scheme != attest.SchemeGramineLegacy || !bytes.Equal(got.Quote, quote) || got.Nonce != nil {
		t.Errorf("got %s and %d bytes", got.Scheme, len(got.Quote))
	}
	if err := got.CheckBinding(reportData(t, quote), spkiOf(t, key)); err == nil {
		t.Error("somebody's quote binds our key")
	}
}

// fuzzedOIDs are what FuzzParseRATLS picks from; corpora depend on the order.
func fuzzedOIDs() []asn1.ObjectIdentifier {
	return []asn1.ObjectIdentifier{oidDICE, oidReport, oidOldReport, oidGramine, oidEvidence, oidOldEvidence, oidPCK, oidEPID}
}

func FuzzParseRATLS(f *testing.F) {
	e, spki := newEnclave(f), spkiOf(f, newKey(f))
	for _, way := range waysToCarry() {
		for _, extension := range way.extensions(e, spki) {
			f.Add(byte(slices.IndexFunc(fuzzedOIDs(), extension.Id.Equal)), extension.Value)
		}
	}
	f.Fuzz(func(t *testing.T, index byte, value []byte) {
		oids := fuzzedOIDs()
		id := oids[int(index)%len(oids)]
		got, err := attest.ParseRATLS(bare(extension(id, value)))
		if err != nil {
			if got != nil || !strings.Contains(err.Error(), id.String()) {
				t.Fatalf("got %v with %v", got, err)
			}
			return
		}
		q, err := sgx.ParseQuote(got.Quote)
		if err != nil || q.TrailingBytes != 0 || got.Quote[0] != 3 || got.Scheme == "" {
			t.Fatalf("%s: got no bare quote: %v", got.Scheme, err)
		}
		if got.CheckBinding([64]byte{}, spki) == nil {
			t.Fatal("zeros bind a key")
		}
		if !id.Equal(oidDICE) && got.Nonce != nil {
			t.Fatal("a nonce from nowhere")
		}
	})
}
