package record

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

const promiseKind = "confidb.promise/v1"

// promiseFile is what was promised of a release, as one user hands it on to another.
type promiseFile struct {
	Kind string `json:"kind"`
	// Payload is the JSON of a promisePayload, as it was signed.
	Payload []byte `json:"payload"`
	// Signer is the PEM certificate of the signer's identity. Signature is ECDSA over the
	// SHA-256 of the kind, a line feed and the payload, in ASN.1.
	Signer    string `json:"signer"`
	Signature []byte `json:"signature"`
}

type promisePayload struct {
	Signed  time.Time         `json:"signed"`
	Release *topology.Release `json:"release"`
}

func promiseDigest(payload []byte) []byte {
	sum := sha256.Sum256(append([]byte(promiseKind+"\n"), payload...))
	return sum[:]
}

// ExportPromise writes what was promised of a release, signed with this user's identity.
// Private keys, values of the chart and what only its owner needs are left out; a session
// that holds secrets is refused.
func (s Store) ExportPromise(r *topology.Release, now time.Time) ([]byte, error) {
	if r.Import != nil {
		return nil, errors.New("exporting a promise: it is somebody else's: hand on the file that you imported")
	}
	promised := *r
	promised.Kind, promised.Values, promised.Templates = releaseKind, nil, nil
	promised.HelmStarted, promised.HelmPending = time.Time{}, false
	promised.Chart.Repo, promised.Chart.Name = check.WithoutSecrets(r.Chart.Repo), check.WithoutSecrets(r.Chart.Name)
	promised.Origins = maps.Clone(r.Origins)
	for input, origin := range promised.Origins {
		promised.Origins[input] = check.WithoutSecrets(origin)
	}
	if r.Pod.Environment["SCONE_SERVICE_ACCESS_TOKEN"] != "" {
		return nil, errors.New("exporting a promise: a service access token is among the settings of the chart: whoever has the file would have it")
	}
	for _, m := range promised.Members {
		if m.Session.Hash == "" {
			return nil, fmt.Errorf("exporting a promise: it is not known that session %s was created", m.Session.Name)
		}
		parsed, err := session.Parse(m.Session.Name, []byte(m.Session.Text))
		if err != nil {
			return nil, fmt.Errorf("exporting a promise: %w", err)
		}
		if written := session.WrittenSecrets(parsed); len(written) > 0 {
			return nil, fmt.Errorf("exporting a promise: secrets are written in session %s (%s): whoever has the file would have them", m.Session.Name, strings.Join(written, ", "))
		}
	}
	payload, err := json.Marshal(promisePayload{now.UTC().Truncate(time.Second), &promised})
	if err != nil {
		return nil, fmt.Errorf("exporting a promise: %w", err)
	}
	identity, err := s.Identity(now)
	if err != nil {
		return nil, err
	}
	key, ok := identity.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("exporting a promise: got an identity of %T, want one that can sign", identity.PrivateKey)
	}
	signature, err := key.Sign(rand.Reader, promiseDigest(payload), crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("signing a promise: %w", err)
	}
	text, err := json.MarshalIndent(promiseFile{promiseKind, payload, certificatePEM(identity.Certificate[0]), signature}, "", "  ")
	return append(text, '\n'), err
}

func certificatePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Certificate is the PEM certificate of this user's identity. It is no secret.
func (s Store) Certificate(now time.Time) (string, error) {
	identity, err := s.Identity(now)
	if err != nil {
		return "", err
	}
	return certificatePEM(identity.Certificate[0]), nil
}

// Imported is a promise that was taken over.
type Imported struct {
	Release *topology.Release
	// Signer is the fingerprint of the key that signed it, and Known whether that key was
	// named, or had signed the last promise of this release.
	Signer string
	Known  bool
}

// ImportPromise keeps what somebody else promised of a release of a cluster. signer is the
// fingerprint of the key that must have signed it; empty believes any the first time, and
// later only the same.
func (s Store) ImportPromise(cluster string, text []byte, signer string) (*Imported, error) {
	wanted := plainFingerprint(signer)
	if signer != "" && !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(wanted) {
		return nil, fmt.Errorf("importing a promise: signer: got %.80q, want a fingerprint of 64 hexadecimal digits", signer)
	}
	payload, fingerprint, err := openPromise(text)
	if err != nil {
		return nil, fmt.Errorf("importing a promise: %w", err)
	}
	r := payload.Release
	if wanted != "" && wanted != fingerprint {
		return nil, &SignerError{Got: fingerprint, Want: wanted}
	}
	unlock, err := s.LockRelease(cluster, r.Namespace, r.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	earlier, err := s.Earlier(cluster, r.Namespace, r.Name)
	if err != nil {
		return nil, err
	}
	known := wanted != ""
	if earlier != nil {
		if err := replaceable(earlier, payload.Signed, fingerprint, known); err != nil {
			return nil, err
		}
		known = known || earlier.Import.Signer == fingerprint
	}
	r.Import = &topology.Import{Signer: fingerprint, Signed: payload.Signed}
	if err := s.SaveRelease(cluster, r); err != nil {
		return nil, fmt.Errorf("keeping the promise: %w", err)
	}
	return &Imported{r, fingerprint, known}, nil
}

// replaceable says why what is recorded may not be replaced by a promise, if it may not.
func replaceable(earlier *topology.Release, signed time.Time, fingerprint string, named bool) error {
	switch {
	case earlier.Import == nil:
		return &OwnRecordError{Namespace: earlier.Namespace, Name: earlier.Name}
	case earlier.Import.Signer != fingerprint && !named:
		return &SignerError{Got: fingerprint, Want: earlier.Import.Signer}
	case earlier.Import.Signer == fingerprint && signed.Before(earlier.Import.Signed):
		return fmt.Errorf("importing a promise: it is of %s, and that of %s is recorded: somebody may put an old one back", signed.Format(time.RFC3339), earlier.Import.Signed.Format(time.RFC3339))
	}
	return nil
}

// openPromise verifies the signature, and returns what was signed and by whom.
func openPromise(text []byte) (*promisePayload, string, error) {
	if len(text) > maxFile {
		return nil, "", fmt.Errorf("got %d bytes, want at most %d", len(text), maxFile)
	}
	var f promiseFile
	if err := decodeExactly(text, &f); err != nil {
		return nil, "", err
	}
	if f.Kind != promiseKind {
		return nil, "", fmt.Errorf("got kind %.40q, want %q", f.Kind, promiseKind)
	}
	block, rest := pem.Decode([]byte(f.Signer))
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, "", errors.New("signer: want one certificate in PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, "", fmt.Errorf("signer: %w", err)
	}
	key, ok := certificate.PublicKey.(*ecdsa.PublicKey)
	if !ok || !ecdsa.VerifyASN1(key, promiseDigest(f.Payload), f.Signature) {
		return nil, "", errors.New("the file was changed: its signature is not over what it says")
	}
	var payload promisePayload
	if err := decodeExactly(f.Payload, &payload); err != nil {
		return nil, "", fmt.Errorf("payload: %w", err)
	}
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return &payload, hex.EncodeToString(sum[:]), checkPromise(&payload)
}

// decodeExactly reads one JSON value whose members are all known, and nothing after it.
func decodeExactly(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return errors.New("got something after the JSON value")
	}
	return nil
}

// namespaceName is a name that Kubernetes gives to namespaces (RFC 1123). It becomes part
// of the name of a file.
func namespaceName() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
}

func checkPromise(p *promisePayload) error {
	r := p.Release
	switch {
	case r == nil || r.Kind != releaseKind:
		return fmt.Errorf("payload: want a release of kind %q", releaseKind)
	case !namespaceName().MatchString(r.Namespace):
		return fmt.Errorf("namespace: got %.80q", r.Namespace)
	case r.Import != nil || !r.HelmStarted.IsZero() || r.HelmPending:
		return errors.New("payload: it says that the release is the reader's own")
	case p.Signed.IsZero():
		return errors.New("payload: it does not say when it was signed")
	}
	return errors.Join(topology.CheckName(r.Name), r.CheckCounts())
}

// plainFingerprint takes colons and spaces out of a fingerprint.
func plainFingerprint(text string) string {
	return strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(text))
}

// SignerError means that another key signed a promise than was expected.
type SignerError struct{ Got, Want string }

func (e *SignerError) Error() string {
	return fmt.Sprintf("the promise was signed by another key: got %s, want %s", e.Got, e.Want)
}

// Hint says how to find out.
func (e *SignerError) Hint() string {
	return "Ask whoever exported it for the fingerprint ({promise signer}). If they have a new key: {promise import FILE --signer FINGERPRINT}"
}

// OwnRecordError means that a promise would replace what this user installed.
type OwnRecordError struct{ Namespace, Name string }

func (e *OwnRecordError) Error() string {
	return fmt.Sprintf("release %s/%s is recorded as your own: a promise of somebody else does not replace that", e.Namespace, e.Name)
}

// Hint says how to go on.
func (e *OwnRecordError) Hint() string {
	return "Set CONFIDB_HOME to another folder, and import it there."
}
