// Package evidence holds what an attested client signs after it looked at a
// database: the probe statement. It knows the form of the statement and who
// signed it, not what the checks in it mean, and does no I/O.
package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/witness"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

const (
	// ProbePredicateType names the predicate of the probe's statement.
	ProbePredicateType = "https://confidb.dev/probe/v1"
	// PayloadType is that of in-toto statements in a DSSE envelope.
	PayloadType = "application/vnd.in-toto+json"
	// MaxStatementBytes bounds an envelope.
	MaxStatementBytes = 1 << 20

	statementType = "https://in-toto.io/Statement/v1"
	serverSubject = "server"
	clientSubject = "client"
)

// Predicate is what an attested client says about one database.
type Predicate struct {
	// Nonce is the relying party's, 32 lower-case hex digits.
	Nonce string `json:"nonce"`
	// Time is when the probe began, by the clock of its host, in seconds.
	Time time.Time `json:"time"`
	// Session, Member, Address, ServerName and Account are what the probe was told to look at.
	Session    string `json:"session"`
	Member     string `json:"member"`
	Address    string `json:"address"`
	ServerName string `json:"serverName"`
	Account    string `json:"account"`
	// ClientLeafSHA256 is of the client's own certificate, in hex over its DER.
	ClientLeafSHA256 string `json:"clientLeafSHA256"`
	// Server is what the verified TLS connection showed; nil if none came about.
	Server *Server `json:"server"`
	// ServerVersion is what the server calls itself, empty if it said nothing.
	ServerVersion string `json:"serverVersion"`
	// Connections are the numbers of the connection, 0 if they were not said.
	Connections Connections `json:"connections"`
	// Findings are the checks; there is at least one.
	Findings check.Report `json:"findings"`
	// Witness is what was found of the marks of earlier verifications; nil if nobody was
	// named whose marks to look for.
	Witness *witness.Seen `json:"witness,omitempty"`
	// Replication is what a database of several said of its place; nil for a single one, and
	// for one that did not say it.
	Replication *Replication `json:"replication,omitempty"`
	// Limitations are what no check can show, because MariaDB does not do it.
	Limitations []Limitation `json:"limitations"`
}

// Server is the other end of a TLS connection that was verified.
type Server struct {
	LeafPEM    string `json:"leafPEM"`
	LeafSHA256 string `json:"leafSHA256"` // hex, over the DER
	// CASPKISHA256 is of the public key (SubjectPublicKeyInfo, DER) of the
	// certificate authority that verified the leaf, in hex.
	CASPKISHA256 string `json:"caSPKISHA256"`
	TLSVersion   string `json:"tlsVersion"`  // as crypto/tls names it: TLS 1.3
	CipherSuite  string `json:"cipherSuite"` // IANA's name
}

// Connections are one connection's number in the greeting and over TLS.
type Connections struct {
	Greeting uint64 `json:"greeting"`
	Session  uint64 `json:"session"`
}

// Limitation is something the database does not protect by itself.
type Limitation struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// statement is an in-toto Statement v1.
type statement struct {
	Type          string     `json:"_type"`
	Subject       []subject  `json:"subject"`
	PredicateType string     `json:"predicateType"`
	Predicate     *Predicate `json:"predicate"`
}

type subject struct {
	Name   string `json:"name"`
	Digest digest `json:"digest"`
}

type digest struct {
	SHA256 string `json:"sha256"`
}

// subjects are the certificates that the statement is about.
func (p *Predicate) subjects() []subject {
	about := []subject{{Name: clientSubject, Digest: digest{SHA256: p.ClientLeafSHA256}}}
	if p.Server != nil {
		about = append(about, subject{Name: serverSubject, Digest: digest{SHA256: p.Server.LeafSHA256}})
	}
	return about
}

// SignStatement returns the signed statement: one line of JSON, a DSSE envelope.
// The key is an Ed25519 private key as PKCS#8 PEM.
func SignStatement(predicate *Predicate, privateKeyPEM []byte) ([]byte, error) {
	key, err := parsePrivateKey(privateKeyPEM)
	if err != nil {
		return nil, fmt.Errorf("signing a probe statement: %w", err)
	}
	if err := predicate.validate(); err != nil {
		return nil, fmt.Errorf("signing a probe statement: %w", err)
	}
	payload, err := json.Marshal(statement{statementType, predicate.subjects(), ProbePredicateType, predicate})
	if err != nil {
		return nil, fmt.Errorf("signing a probe statement: %w", err)
	}
	signer, err := dsse.NewEnvelopeSigner(signingKey{key})
	if err != nil {
		return nil, fmt.Errorf("signing a probe statement: %w", err)
	}
	envelope, err := signer.SignPayload(context.Background(), PayloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("signing a probe statement: %w", err)
	}
	line, err := json.Marshal(envelope)
	if err == nil && len(line) >= MaxStatementBytes {
		err = fmt.Errorf("envelope of %d bytes: want less than %d", len(line), MaxStatementBytes)
	}
	if err != nil {
		return nil, fmt.Errorf("signing a probe statement: %w", err)
	}
	return append(line, '\n'), nil
}

// VerifyStatement returns what was signed, if the envelope is of the key (an
// Ed25519 public key as PKIX PEM), answers wantNonce and is about wantSession. The
// error names what is wrong. It accepts exactly the bytes that SignStatement
// writes, with or without the end of the line.
func VerifyStatement(envelope, publicKeyPEM []byte, wantNonce, wantSession string) (*Predicate, error) {
	payload, err := verifyEnvelope(envelope, publicKeyPEM)
	if err != nil {
		return nil, fmt.Errorf("verifying a probe statement: %w", err)
	}
	predicate, err := parseStatement(payload)
	if err != nil {
		return nil, fmt.Errorf("verifying a probe statement: %w", err)
	}
	if predicate.Nonce != wantNonce {
		return nil, fmt.Errorf("verifying a probe statement: nonce %q: want %q", predicate.Nonce, wantNonce)
	}
	if predicate.Session != wantSession {
		return nil, fmt.Errorf("verifying a probe statement: session %q: want %q", predicate.Session, wantSession)
	}
	return predicate, nil
}

// StatementIn returns the line of the probe's output that is an envelope with a statement,
// or nil: the runtime of the enclave writes lines of its own, also such in JSON.
func StatementIn(output []byte) []byte {
	for line := range bytes.Lines(output) {
		var envelope dsse.Envelope
		if json.Unmarshal(line, &envelope) == nil && envelope.PayloadType == PayloadType {
			return line
		}
	}
	return nil
}

func verifyEnvelope(raw, publicKeyPEM []byte) ([]byte, error) {
	if len(raw) > MaxStatementBytes {
		return nil, fmt.Errorf("envelope of %d bytes: want at most %d", len(raw), MaxStatementBytes)
	}
	key, err := parsePublicKey(publicKeyPEM)
	if err != nil {
		return nil, err
	}
	var envelope dsse.Envelope
	if err := decodeExactly(bytes.TrimSuffix(raw, []byte("\n")), &envelope); err != nil {
		return nil, fmt.Errorf("reading the envelope: %w", err)
	}
	if envelope.PayloadType != PayloadType {
		return nil, fmt.Errorf("payload type %q: want %q", envelope.PayloadType, PayloadType)
	}
	if len(envelope.Signatures) != 1 {
		return nil, fmt.Errorf("%d signatures: want 1", len(envelope.Signatures))
	}
	if want := keyID(key); envelope.Signatures[0].KeyID != want {
		return nil, fmt.Errorf("signed with key %q: want %q", envelope.Signatures[0].KeyID, want)
	}
	for _, text := range []string{envelope.Payload, envelope.Signatures[0].Sig} {
		// the decoder of dsse lets the unused bits of the last digit pass
		if _, err := base64.StdEncoding.Strict().DecodeString(text); err != nil {
			return nil, fmt.Errorf("reading the envelope: %w", err)
		}
	}
	verifier, err := dsse.NewEnvelopeVerifier(verificationKey{key})
	if err != nil {
		return nil, err
	}
	_, payload, err := verifier.VerifyAndDecode(context.Background(), &envelope)
	if err != nil {
		return nil, fmt.Errorf("verifying the signature: %w", err)
	}
	return payload, nil
}

func parseStatement(payload []byte) (*Predicate, error) {
	var read statement
	if err := decodeExactly(payload, &read); err != nil {
		return nil, fmt.Errorf("reading the statement: %w", err)
	}
	if read.Type != statementType {
		return nil, fmt.Errorf("statement type %q: want %q", read.Type, statementType)
	}
	if read.PredicateType != ProbePredicateType {
		return nil, fmt.Errorf("predicate type %q: want %q", read.PredicateType, ProbePredicateType)
	}
	if read.Predicate == nil {
		return nil, errors.New("no predicate")
	}
	if err := read.Predicate.validate(); err != nil {
		return nil, err
	}
	if want := read.Predicate.subjects(); !slices.Equal(read.Subject, want) {
		return nil, fmt.Errorf("subjects %v: want %v", read.Subject, want)
	}
	return read.Predicate, nil
}

// decodeExactly reads one JSON value into target, and refuses whatever would not
// be written that way: unknown, repeated, missing or differently spelled members, space.
func decodeExactly(text []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(target); err != nil {
		return err
	}
	written, err := json.Marshal(target)
	if err != nil {
		return err
	}
	if !bytes.Equal(written, text) {
		return errors.New("not in the exact form in which it is written")
	}
	return nil
}

func (p *Predicate) validate() error {
	if len(p.Nonce) != 32 || !isLowerHex(p.Nonce) {
		return fmt.Errorf("nonce %q: want 32 lower-case hex digits", p.Nonce)
	}
	if p.Time.IsZero() || p.Time.Location() != time.UTC || p.Time.Nanosecond() != 0 {
		return fmt.Errorf("time %v: want whole seconds in UTC", p.Time)
	}
	if !isDigest(p.ClientLeafSHA256) {
		return fmt.Errorf("digest %q of the client's certificate: want 64 lower-case hex digits", p.ClientLeafSHA256)
	}
	if p.Session == "" || p.Member == "" || p.Address == "" || p.ServerName == "" || p.Account == "" {
		return errors.New("session, member, address, server name or account is empty")
	}
	if err := validateFindings(p.Findings); err != nil {
		return err
	}
	if p.Witness != nil {
		if err := p.Witness.Validate(); err != nil {
			return err
		}
	}
	if p.Replication != nil {
		if err := p.Replication.validate(); err != nil {
			return err
		}
	}
	if p.Server == nil {
		return nil
	}
	return p.Server.validate()
}

func validateFindings(findings check.Report) error {
	if len(findings) == 0 {
		return errors.New("no findings")
	}
	type about struct{ id, subject string }
	seen := make(map[about]bool)
	for _, finding := range findings {
		if finding.ID == "" || finding.Title == "" || seen[about{finding.ID, finding.Subject}] {
			return fmt.Errorf("finding %q: without a name, without a title, or twice", finding.ID)
		}
		seen[about{finding.ID, finding.Subject}] = true
	}
	return nil
}

func (s *Server) validate() error {
	leaf, err := s.Leaf()
	if err != nil {
		return err
	}
	if got := SHA256(leaf.Raw); got != s.LeafSHA256 {
		return fmt.Errorf("server certificate with digest %s: want %s", got, s.LeafSHA256)
	}
	if !isDigest(s.CASPKISHA256) {
		return fmt.Errorf("digest %q of the CA's public key: want 64 lower-case hex digits", s.CASPKISHA256)
	}
	if s.TLSVersion == "" || s.CipherSuite == "" {
		return errors.New("TLS version or cipher suite is empty")
	}
	return nil
}

// Leaf is the server's certificate.
func (s *Server) Leaf() (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(s.LeafPEM))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return nil, errors.New("server certificate: want exactly one PEM block CERTIFICATE")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the server certificate: %w", err)
	}
	return leaf, nil
}

// SHA256 is the digest of data in lower-case hex, as the statement writes digests.
func SHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func isDigest(text string) bool { return len(text) == 2*sha256.Size && isLowerHex(text) }

func isLowerHex(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && hex.EncodeToString(raw) == text
}

func parsePrivateKey(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("signing key: want PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("signing key: want an Ed25519 key in PKCS#8") // nothing of the key in the text
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("signing key of type %T: want Ed25519", parsed)
	}
	return key, nil
}

func parsePublicKey(text []byte) (ed25519.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("public key: want PEM")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading the public key: %w", err)
	}
	key, ok := parsed.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("public key of type %T: want Ed25519", parsed)
	}
	return key, nil
}

// keyID names a key in an envelope: the digest of its 32 bytes.
func keyID(key ed25519.PublicKey) string { return SHA256(key) }

// signingKey is a dsse.Signer.
type signingKey struct{ key ed25519.PrivateKey }

// Sign signs data, which is the pre-authentication encoding.
func (s signingKey) Sign(_ context.Context, data []byte) ([]byte, error) {
	return ed25519.Sign(s.key, data), nil
}

// KeyID names the public half.
func (s signingKey) KeyID() (string, error) {
	return keyID(s.key.Public().(ed25519.PublicKey)), nil
}

// verificationKey is a dsse.Verifier.
type verificationKey struct{ key ed25519.PublicKey }

// Verify refuses a signature that is not of the key.
func (v verificationKey) Verify(_ context.Context, data, signature []byte) error {
	if !ed25519.Verify(v.key, data, signature) {
		return errors.New("wrong signature")
	}
	return nil
}

// KeyID names the key.
func (v verificationKey) KeyID() (string, error) { return keyID(v.key), nil }

// Public is the key itself.
func (v verificationKey) Public() crypto.PublicKey { return v.key }
