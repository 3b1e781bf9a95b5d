package cas

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// creatorSeparator stands between the keys of several signers.
const creatorSeparator = ","

// upload stores a document as a new session or a new version and returns its hash.
func (c *CAS) upload(text []byte, identities []string) (hash string, err error) {
	v, err := newVersion(text, identities)
	if err != nil {
		return "", err
	}
	return v.Hash, c.store.update(func(t *transaction) error { return t.upload(v, identities) })
}

// newVersion reads a document. The stored text is the uploaded one and a line
// that names the creator; its hash covers both.
func newVersion(text []byte, identities []string) (version, error) {
	if len(identities) == 0 {
		return version{}, refuse(http.StatusForbidden, "Creating session failed", "A client certificate is required")
	}
	bad := func(err error) error {
		return refuse(http.StatusBadRequest, "Creating session failed", err.Error())
	}
	uploaded, err := session.Parse("session", text)
	if err != nil {
		return version{}, bad(err)
	}
	if err := checkDocument(uploaded); err != nil {
		return version{}, bad(err)
	}
	creator := strings.Join(slices.Sorted(slices.Values(identities)), creatorSeparator)
	stored := fmt.Sprintf("%s\ncreator: %s\n", strings.TrimSuffix(string(text), "\n"), creator)
	parsed, err := session.Parse("session", []byte(stored))
	if err != nil {
		return version{}, bad(fmt.Errorf("the creator cannot be added to the document: %w", err))
	}
	// A document may end in a way that swallows the added line, such as a second
	// document; then its access policy would not be the one that was checked.
	if parsed.Creator != creator || !session.Equal(parsed, uploaded) {
		return version{}, bad(fmt.Errorf("the creator cannot be added to the document: end it as one mapping"))
	}
	sum := sha256.Sum256([]byte(stored))
	return version{Hash: hex.EncodeToString(sum[:]), Text: stored, parsed: parsed}, nil
}

func (t *transaction) upload(v version, identities []string) error {
	if err := t.admit(v.parsed, identities); err != nil {
		return err
	}
	var before *version
	if p, ok := t.newest(v.parsed.Name); ok {
		before = t.at(p)
	}
	var err error
	if v.Materials, err = materials(v.parsed, before); err == nil {
		err = t.issueAll(t.append(v))
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "Creating session failed", err.Error())
	}
	return nil
}

// admit decides whether somebody may create or update a session.
func (t *transaction) admit(s *session.Session, identities []string) error {
	const failed = "Creating session failed"
	p, exists := t.newest(s.Name)
	switch {
	case !exists && s.Predecessor != "":
		return refuse(http.StatusNotFound, failed, fmt.Sprintf("Session '%s' does not exist, so it has no predecessor", s.Name))
	case !exists:
		return t.admitNew(s, identities)
	case s.Predecessor == "":
		return refuse(http.StatusBadRequest, failed, "Session already exists, please specify predecessor hash")
	case !mayUpdate(t.at(p).parsed, identities):
		return refuse(http.StatusForbidden, failed, fmt.Sprintf("Updating session '%s' is not permitted", s.Name))
	case !strings.EqualFold(s.Predecessor, t.at(p).Hash):
		return refuse(http.StatusConflict, failed, "Could not create successor session. Invalid previous session digest: "+s.Predecessor)
	case s.NamespaceHash != "":
		return refuse(http.StatusBadRequest, failed, "namespace_hash is for new sessions only")
	}
	return nil
}

// admitNew asks the namespace of a new session, which is a session itself.
func (t *transaction) admitNew(s *session.Session, identities []string) error {
	const failed = "Creating session failed"
	parent := parentOf(s.Name)
	if parent == "" {
		if s.NamespaceHash != "" {
			return refuse(http.StatusBadRequest, failed, "namespace_hash is given for a session without namespace")
		}
		return nil
	}
	p, ok := t.newest(parent)
	switch {
	case !ok:
		return refuse(http.StatusNotFound, failed, fmt.Sprintf("Namespace '%s' does not exist", parent))
	case !mayCreate(t.at(p).parsed, identities):
		return refuse(http.StatusForbidden, failed, fmt.Sprintf("Creating sessions in namespace '%s' is not permitted", parent))
	case s.NamespaceHash != "" && !strings.EqualFold(s.NamespaceHash, t.at(p).Hash):
		return refuse(http.StatusBadRequest, failed, fmt.Sprintf("Namespace '%s' is not the one of namespace_hash", parent))
	}
	return nil
}
