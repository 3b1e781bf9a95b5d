package cas

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// secret is all that a placeholder can ask for of one secret.
type secret struct {
	kind session.Kind
	// value is that of an ascii or binary secret.
	value []byte
	// key is nil for a certificate whose key was not exported with it.
	key crypto.Signer
	// public is the key of a public-key secret.
	public      crypto.PublicKey
	certificate *x509.Certificate
	// chain are the issuers of the certificate, root last.
	chain []*x509.Certificate
}

// unavailableError means that another session does not give what is needed, yet.
type unavailableError struct{ error }

func (e *unavailableError) Unwrap() error { return e.error }

// maxDepth bounds how many secrets one secret may rest on, one behind the other.
const maxDepth = 16

// resolve finds a secret of one version, wherever it comes from.
func (t *transaction) resolve(p place, name string, depth int) (*secret, error) {
	declared, ok := secretOf(t.at(p).parsed, name)
	switch {
	case !ok:
		return nil, fmt.Errorf("session '%s' has no secret '%s'", p.session, name)
	case depth > maxDepth:
		return nil, fmt.Errorf("secret '%s' rests on itself, or on more than %d others", name, maxDepth)
	case declared.Import != nil:
		return t.resolveImport(p, declared, depth)
	}
	material := t.at(p).Materials[name]
	switch declared.Kind {
	case session.ASCII, session.Binary:
		return &secret{kind: declared.Kind, value: material}, nil
	case session.PrivateKey:
		key, err := parseKey(material)
		return &secret{kind: declared.Kind, key: key}, err
	case session.PublicKey:
		return t.resolvePublicKey(p, declared, depth)
	case session.X509, session.X509CA:
		return t.resolveCertificate(p, declared, depth)
	}
	return nil, fmt.Errorf("secret '%s': kind %q is not supported", name, declared.Kind)
}

func (t *transaction) resolvePublicKey(p place, declared session.Secret, depth int) (*secret, error) {
	out := &secret{kind: session.PublicKey}
	if declared.Value != nil {
		var err error
		out.public, err = x509.ParsePKIXPublicKey(t.at(p).Materials[declared.Name])
		return out, err
	}
	private, err := t.resolve(p, declared.PrivateKey, depth+1)
	if err != nil {
		return nil, err
	}
	out.public = private.key.Public()
	return out, nil
}

// resolveImport asks the current version of the exporting session. Whether the
// secret is missing or kept back is not told: it is nobody's business.
func (t *transaction) resolveImport(p place, declared session.Secret, depth int) (*secret, error) {
	importer := t.at(p)
	name := importer.parsed.Resolve(declared.Import.Session)
	from, ok := t.newest(name)
	if !ok {
		return nil, &unavailableError{fmt.Errorf("importing secret '%s': session '%s' does not exist", declared.Name, name)}
	}
	exporter := t.at(from).parsed
	exported, ok := secretOf(exporter, declared.Import.Secret)
	if !ok || !gives(exporter, exported, importer) {
		return nil, &unavailableError{fmt.Errorf("importing secret '%s': session '%s' does not have or does not export '%s' to '%s'", declared.Name, name, declared.Import.Secret, p.session)}
	}
	found, err := t.resolve(from, exported.Name, depth+1)
	if err != nil {
		return nil, &unavailableError{fmt.Errorf("importing secret '%s': %w", declared.Name, err)}
	}
	if declared.Kind != "" && declared.Kind != found.kind {
		return nil, &unavailableError{fmt.Errorf("importing secret '%s': got kind %s, want %s", declared.Name, found.kind, declared.Kind)}
	}
	out := *found
	if out.certificate != nil && !givesKey(exporter, exported, importer) {
		out.key = nil
	}
	return &out, nil
}

// gives reports whether the exporter exports a secret to the importer: to its
// name, to this very version of it, or to the namespace in which it is.
func gives(exporter *session.Session, exported session.Secret, importer *version) bool {
	name := importer.parsed.Name
	for _, e := range exported.Exports {
		switch {
		case e.Session != "" && exporter.Resolve(e.Session) == name && (e.SessionHash == "" || strings.EqualFold(e.SessionHash, importer.Hash)):
			return true
		case e.Namespace != "" && exporter.Resolve(e.Namespace) == parentOf(name):
			return true
		}
	}
	return false
}

// givesKey reports whether the key of a certificate is exported to the importer
// as well. A certificate that is passed on comes without its key.
func givesKey(exporter *session.Session, certificate session.Secret, importer *version) bool {
	key, ok := secretOf(exporter, certificate.PrivateKey)
	return ok && gives(exporter, key, importer)
}

// parentOf is the namespace of a session, or nothing.
func parentOf(name string) string {
	at := strings.LastIndexByte(name, '/')
	return name[:max(at, 0)]
}

// issueAll issues what can be issued already, so that errors show at the upload.
// What rests on another session waits until somebody needs it.
func (t *transaction) issueAll(p place) error {
	for _, declared := range t.at(p).parsed.Secrets {
		if declared.Import != nil {
			continue
		}
		_, err := t.resolve(p, declared.Name, 0)
		var unavailable *unavailableError
		if err != nil && !errors.As(err, &unavailable) {
			return fmt.Errorf("secret '%s': %w", declared.Name, err)
		}
	}
	return nil
}
