package cas

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
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
func permits(who []session.AccessRule, creator string, identities []string) bool {
	if len(who) == 0 {
		who = []session.AccessRule{{Kind: session.AccessCreator}}
	}
	if len(who) == 1 && who[0].Kind == session.AccessAny {
		return true
	}
	creators, asCreator := strings.Split(creator, creatorSeparator), false
	forCreator := slices.ContainsFunc(who, func(w session.AccessRule) bool { return w.Kind == session.AccessCreator })
	for _, id := range identities {
		switch {
		case slices.ContainsFunc(who, func(w session.AccessRule) bool { return names(w, id) }):
		case forCreator && slices.Contains(creators, id):
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

// names reports whether a rule is the hash or a certificate of a key. Other rules
// (NONE, secrets, signers, conditions) name nobody.
func names(rule session.AccessRule, identity string) bool {
	switch rule.Kind {
	case session.AccessKeyHash:
		return strings.EqualFold(rule.Text, identity)
	case session.AccessCertificate:
		block, _ := pem.Decode([]byte(rule.Text))
		if block == nil || block.Type != "CERTIFICATE" {
			return false
		}
		c, err := x509.ParseCertificate(block.Bytes)
		return err == nil && keyHash(c.RawSubjectPublicKeyInfo) == identity
	}
	return false
}
