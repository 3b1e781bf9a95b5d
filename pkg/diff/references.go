package diff

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/session"
)

// applied is a session in which parts of the policy are as CAS applies them, and what of
// it is not known: that of a template that has no value yet as well. Programs and their files stay as they are written: their secrets are
// not to be shown.
func applied(s *session.Session, others []*session.Session) (*view, []session.Unknown) {
	effective, references, err := s.Effective(others)
	copied := *s
	copied.Services = slices.Clone(s.Services)
	followed := map[string]bool{}
	for _, r := range references {
		if r.Problem == "" {
			put(&copied, effective, r.Path)
			followed[r.Secret] = true
		}
	}
	d := look(&copied)
	d.followed = followed
	open, wrong := s.LeftOpen()
	open = append(open, session.Unknowns(references, err)...)
	return d, append(open, session.Unknowns(nil, wrong)...)
}

// put takes over the part of the policy that a path is in.
func put(into, effective *session.Session, path string) {
	switch service, key := session.PolicyPlace(path); {
	case key == session.KeySecurity:
		into.Security = effective.Security
	case key == session.KeyAccessPolicy:
		into.AccessPolicy = effective.AccessPolicy
	default:
		for i := range into.Services {
			if service == fmt.Sprintf("services[%d]", i) {
				v := effective.Services[i]
				into.Services[i].Attestation, into.Services[i].Platforms, into.Services[i].PlatformSecrets = v.Attestation, v.Platforms, v.PlatformSecrets
			}
		}
	}
}

// unclear says where one of the documents leaves something open that the other does not.
func (c *comparison) unclear(from, to []session.Unknown) {
	for _, u := range to {
		if !slices.Contains(from, u) {
			c.add(Other, partOf(u.Path), "may allow more than before: what it says is not known ("+u.Why+")", u.Path)
		}
	}
	for _, u := range from {
		if !slices.Contains(to, u) {
			c.add(Other, partOf(u.Path), "may have allowed less before: what it said is not known ("+u.Why+")", u.Path)
		}
	}
}

// partOf names a part of the policy by its path.
func partOf(path string) string {
	switch service, key := session.PolicyPlace(path); {
	case service != "":
		return "the policy of " + service
	case key == session.KeySecurity:
		return "how enclaves are attested"
	case key == session.KeyAccessPolicy:
		return "who may read and change the session"
	}
	return "the session"
}

// followed reports whether all that a config-fragment says is in what is compared: it is
// put where the policy names it, and nobody else is given it.
func (c *comparison) followed(a, b session.Secret) bool {
	for _, v := range []session.Secret{a, b} {
		if v.Kind != session.ConfigFragment || v.Import != nil || v.ImportAKV != nil || len(v.Exports) > 0 || v.ExportPublic {
			return false
		}
	}
	return (c.from.followed[a.Name] || c.to.followed[b.Name]) && !c.from.named[a.Name] && !c.to.named[b.Name]
}
