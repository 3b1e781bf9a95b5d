package cas

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// Words of access policies.
const (
	principalCreator = "CREATOR"
	principalAny     = "ANY"
)

// mayRead, mayUpdate and mayCreate ask the access policy of a session for the
// holders of keys. An empty list in the policy has the language's default.
func mayRead(s *session.Session, identities []string) bool {
	return permits(s.AccessPolicy.Read, s.Creator, identities)
}

func mayUpdate(s *session.Session, identities []string) bool {
	return permits(s.AccessPolicy.Update, s.Creator, identities)
}

func mayCreate(s *session.Session, identities []string) bool {
	who := s.AccessPolicy.CreateSessions
	if len(who) == 0 {
		who = s.AccessPolicy.Update
	}
	return permits(who, s.Creator, identities)
}

// permits reports whether each of the identities is named. One that is not would
// gain rights by adding its signature to somebody else's document. For the same
// reason CREATOR means all creators together.
func permits(who []string, creator string, identities []string) bool {
	if len(who) == 0 {
		who = []string{principalCreator}
	}
	if slices.Equal(who, []string{principalAny}) {
		return true
	}
	creators, asCreator := strings.Split(creator, creatorSeparator), false
	for _, id := range identities {
		switch {
		case slices.ContainsFunc(who, func(w string) bool { return names(w, id) }):
		case slices.Contains(who, principalCreator) && slices.Contains(creators, id):
			asCreator = true
		default:
			return false
		}
	}
	if asCreator && !containsAll(identities, creators) {
		return false
	}
	return len(identities) > 0
}

func containsAll(all, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(all, w) })
}

// names reports whether a principal is the hash or a certificate of a key. Other
// words (NONE, secrets, conditions) name nobody.
func names(principal, identity string) bool {
	if len(principal) == len(identity) {
		return strings.EqualFold(principal, identity)
	}
	block, _ := pem.Decode([]byte(principal))
	if block == nil || block.Type != "CERTIFICATE" {
		return false
	}
	c, err := x509.ParseCertificate(block.Bytes)
	return err == nil && keyHash(c.RawSubjectPublicKeyInfo) == identity
}
