// Package layout says what the services of sessions that belong together run: with which
// settings and keys, at which ports, and what protects these. It reads the settings of
// MariaDB, MaxScale and SCONE's network shield from the texts of the sessions, and judges
// what one of them says only together with the others.
package layout

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/session"
)

// Set is a session, and those that were given with it.
type Set struct {
	*session.Session
	*Group
	index *index
}

// KeyID is a private key by the session that has it first. Two certificates with one
// KeyID have the same key, whatever they are called where they are imported.
type KeyID struct{ Session, Secret string }

// First follows imports to the session that has a secret first. Of a session that was
// not given, it returns nil and what the import names there.
func (in *Set) First(name string) (*Set, *session.Secret, KeyID) {
	seen := map[KeyID]bool{}
	for {
		id := KeyID{in.Name, name}
		s := in.Secret(name)
		if s == nil || seen[id] {
			return nil, nil, id
		}
		seen[id] = true
		if s.Import == nil {
			return in, s, id
		}
		other := in.Given(s.Import.Peer)
		if other == nil {
			return nil, nil, KeyID{s.Import.CASURL + " " + in.Resolve(s.Import.Session), s.Import.Secret}
		}
		in, name = other, s.Import.Secret
	}
}

// KeyOf is the private key that a secret is, or that belongs to a certificate.
func (in *Set) KeyOf(name string) KeyID {
	owner, s, id := in.First(name)
	if s == nil || s.PrivateKey == "" {
		return id
	}
	_, _, id = owner.First(s.PrivateKey)
	return id
}

// KindOf is the kind of a secret, which an import may leave to the exporter.
func (in *Set) KindOf(s session.Secret) session.Kind {
	if s.Kind != "" {
		return s.Kind
	}
	if _, first, _ := in.First(s.Name); first != nil {
		return first.Kind
	}
	return ""
}

// IsCertificate reports whether a secret is one that may have a private key beside it.
func IsCertificate(k session.Kind) bool { return k == session.X509 || k == session.X509CA }

// Secret finds a secret by name; nil if there is none.
func (in *Set) Secret(name string) *session.Secret { return in.indexed().secrets[name] }

// Given finds another session among those that were given; nil if it is not there.
func (in *Set) Given(p session.Peer) *Set {
	if p.Remote() || p.Session == "" {
		return nil
	}
	return in.named[in.Resolve(p.Session)]
}

// Use is a placeholder in the document.
type Use struct {
	// Path is where it stands.
	Path string
	session.Placeholder
}

// UsesIn are the placeholders of a text that stands at a path.
func UsesIn(text, path string) []Use {
	found, err := session.Placeholders(text)
	if err != nil {
		return nil // the parser has Refused such a document
	}
	var all []Use
	for _, p := range found {
		all = append(all, Use{path, p})
	}
	return all
}

// FileUses are the placeholders of the files of the image with this number.
func FileUses(i int, image session.Image) []Use {
	var all []Use
	for j, f := range image.InjectionFiles {
		if f.Content != nil {
			all = append(all, UsesIn(*f.Content, fmt.Sprintf("images[%d].injection_files[%d].content", i, j))...)
		}
	}
	return all
}

// Reveals reports whether a placeholder gives what nobody may see. Of a certificate
// that is its private key; what an import holds that leaves its kind to an exporter
// that was not given counts as secret.
func (in *Set) Reveals(p session.Placeholder) bool {
	s := in.Secret(p.Secret)
	if s == nil {
		return false
	}
	gives := func(encodings ...string) bool {
		return slices.ContainsFunc(p.Encodings, func(e string) bool { return slices.Contains(encodings, e) })
	}
	switch kind := in.KindOf(*s); {
	case kind == session.PublicKey || kind == session.ConfigFragment:
		return false
	case IsCertificate(kind):
		return gives("privatekey", ".key", "pkcs12-with-private-key")
	case kind == "":
		return len(p.Encodings) == 0 || !slices.Contains([]string{"crt", ".crt", "chain", ".chain", "spki"}, p.Encodings[0])
	}
	return true
}

// ImageOf finds an image by name; the zero value if there is none.
func (in *Set) ImageOf(name string) session.Image {
	if image := in.indexed().images[name]; image != nil {
		return *image
	}
	return session.Image{}
}
