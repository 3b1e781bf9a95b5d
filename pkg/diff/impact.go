package diff

import (
	"fmt"

	"github.com/confidb/confidb/pkg/session"
)

// Fate is what an update does to the value of a secret.
type Fate string

// The fates. CAS keeps generated texts of the same kind and size, and private keys
// with migrate in both versions; it issues certificates anew at every update.
const (
	// Kept values are the same after the update.
	Kept Fate = "kept"
	// Reissued certificates are new ones for a key that was kept.
	Reissued Fate = "reissued"
	// Replaced values are lost: CAS makes others.
	Replaced Fate = "replaced"
	// Removed values are no longer in the session.
	Removed Fate = "removed"
)

// Effect is what an update does to one secret.
type Effect struct {
	Secret string       `json:"secret"`
	Kind   session.Kind `json:"kind"`
	Fate   Fate         `json:"fate"`
	// Why says which rule of CAS does it.
	Why string `json:"why"`
	// Hit are those who use the value: services, and sessions that import it.
	Hit []string `json:"hit"`
	// Breaks means that what runs now will not go on with the new value.
	Breaks bool `json:"breaks"`
}

// Impact says what replacing one version of a session by another does to its
// secrets, in the order of the old document. Imports change with their exporter, not
// with this session, and are left out.
func Impact(from, to *session.Session) []Effect {
	var effects []Effect
	before, now := look(from), look(to)
	hit := before.readers()
	for _, old := range from.Secrets {
		if old.Import != nil || old.ImportAKV != nil || old.Kind == session.ConfigFragment {
			continue
		}
		e := Effect{Secret: old.Name, Kind: old.Kind, Hit: append(hit[old.Name], takers(from, old)...)}
		e.Fate, e.Why = fate(before, now, old)
		e.Breaks = (e.Fate == Replaced || e.Fate == Removed) && len(e.Hit) > 0 && !renewed(now, old)
		effects = append(effects, e)
	}
	return effects
}

func fate(from, to *view, old session.Secret) (Fate, string) {
	now, ok := to.find(old.Name)
	switch {
	case !ok:
		return Removed, "the new version does not have it"
	case now.Kind != old.Kind || now.Import != nil || now.ImportAKV != nil:
		return Replaced, "the new version has something else under this name"
	case old.Value != nil || now.Value != nil:
		return written(old, now)
	}
	switch old.Kind {
	case session.ASCII, session.Binary:
		if size(old) == size(now) {
			return Kept, "CAS keeps generated values of the same kind and size"
		}
		return Replaced, fmt.Sprintf("its size is %d instead of %d", size(now), size(old))
	case session.PrivateKey:
		return keyFate(old, now)
	case session.X509, session.X509CA, session.PublicKey:
		return certificateFate(from, to, old, now)
	}
	return Replaced, "it is not known that CAS keeps secrets of this kind"
}

func written(old, now session.Secret) (Fate, string) {
	if old.Value != nil && now.Value != nil && *old.Value == *now.Value {
		return Kept, "both versions say the value"
	}
	return Replaced, "the versions do not say the same value"
}

func size(s session.Secret) int {
	const usual = 20
	if s.Size == 0 {
		return usual
	}
	return s.Size
}

func keyFate(old, now session.Secret) (Fate, string) {
	const usual = "P-256"
	either := func(text string) string {
		if text == "" {
			return usual
		}
		return text
	}
	switch {
	case either(old.KeyType) != either(now.KeyType):
		return Replaced, "its key_type is another one"
	case now.Renews():
		return Replaced, "migrate: false: each version shall have a key of its own"
	case !old.Migrate || !now.Migrate:
		return Replaced, "CAS keeps a private key only with migrate: true in both versions"
	}
	return Kept, "migrate: true in both versions"
}

// certificateFate follows the keys: a new certificate of a kept key, signed by a kept
// key, is accepted wherever its authority is trusted and not this one certificate.
func certificateFate(from, to *view, old, now session.Secret) (Fate, string) {
	if old.PrivateKey != now.PrivateKey || old.Issuer != now.Issuer {
		return Replaced, "it has another private key or issuer"
	}
	for _, name := range []string{old.PrivateKey, issuerKey(from, old)} {
		key, ok := from.find(name)
		if !ok || key.Kind != session.PrivateKey {
			continue
		}
		if f, why := fate(from, to, key); f != Kept {
			return Replaced, fmt.Sprintf("the private key %s is replaced: %s", name, why)
		}
	}
	return Reissued, "CAS issues certificates anew at every update; the keys are kept"
}

// renewed reports whether a new value is what the new version asks for: a key with
// migrate: false, or the public half of one. Certificates of such a key do break.
func renewed(to *view, old session.Secret) bool {
	now, ok := to.find(old.Name)
	if !ok || now.Kind != old.Kind {
		return false
	}
	if now.Kind == session.PublicKey {
		now, _ = to.find(now.PrivateKey)
	}
	return now.Kind == session.PrivateKey && now.Renews()
}

func issuerKey(s *view, certificate session.Secret) string {
	issuer, _ := s.find(certificate.Issuer)
	return issuer.PrivateKey
}

// readers are the services that can read each secret.
func (d *view) readers() map[string][]string {
	all := map[string][]string{}
	for _, v := range d.Services {
		for _, name := range d.reach(v) {
			all[name] = append(all[name], "service "+v.Name)
		}
	}
	return all
}

// takers are those outside the session who get a secret.
func takers(s *session.Session, secret session.Secret) []string {
	var all []string
	for _, e := range exportsOf(s, secret.Exports) {
		all = append(all, exportText(e))
	}
	if secret.ExportPublic {
		all = append(all, "everybody")
	}
	return all
}
