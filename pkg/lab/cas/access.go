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

// permits reports whether the identities together fulfil one of the rules, and each
// of them is named in some. One that is not would gain rights by adding its signature
// to somebody else's document. For the same reason CREATOR means all creators together.
func permits(who []session.AccessRule, creator string, identities []string) bool {
	if len(who) == 0 {
		who = []session.AccessRule{{Kind: session.AccessCreator}}
	}
	if len(who) == 1 && who[0].Kind == session.AccessAny {
		return true
	}
	creators := strings.Split(creator, creatorSeparator)
	for _, id := range identities {
		if !slices.ContainsFunc(who, func(r session.AccessRule) bool { return names(r, creators, id) }) {
			return false
		}
	}
	return len(identities) > 0 && slices.ContainsFunc(who, func(r session.AccessRule) bool { return holds(r, creators, identities) })
}

// names reports whether a rule speaks of an identity, however deep.
func names(rule session.AccessRule, creators []string, identity string) bool {
	switch rule.Kind {
	case session.AccessCreator:
		return slices.Contains(creators, identity)
	case session.AccessThreshold:
		return slices.ContainsFunc(rule.Of, func(r session.AccessRule) bool { return names(r, creators, identity) })
	}
	return keyOf(rule) != "" && strings.EqualFold(keyOf(rule), identity)
}

// holds reports whether the identities together fulfil a rule.
func holds(rule session.AccessRule, creators, identities []string) bool {
	switch rule.Kind {
	case session.AccessCreator:
		return containsAll(identities, creators)
	case session.AccessThreshold:
		count := 0
		for _, r := range rule.Of {
			if holds(r, creators, identities) {
				count++
			}
		}
		return len(rule.Of) > 0 && count >= rule.AtLeast
	}
	return slices.ContainsFunc(identities, func(id string) bool { return names(rule, nil, id) })
}

// keyOf is the hash of the key that a rule names. Other rules (NONE, secrets) name
// nobody.
func keyOf(rule session.AccessRule) string {
	block, _ := pem.Decode([]byte(rule.Text))
	switch {
	case rule.Kind == session.AccessKeyHash:
		return strings.ToLower(rule.Text)
	case block == nil:
		return ""
	case rule.Kind == session.AccessCertificate && block.Type == "CERTIFICATE":
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			return keyHash(c.RawSubjectPublicKeyInfo)
		}
	case rule.Kind == session.AccessSigner && block.Type == "PUBLIC KEY":
		return keyHash(block.Bytes)
	}
	return ""
}

func containsAll(all, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(all, w) })
}
