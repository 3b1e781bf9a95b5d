package diff

import (
	"maps"
	"slices"

	"github.com/confidb/confidb/pkg/session"
)

// view is a session with what is asked of it again and again.
type view struct {
	*session.Session
	secrets []string       // the names of all, sorted
	index   map[string]int // of each secret, by its name
	images  map[string][]session.Image
	named   map[string]bool // the secrets that programs are given by name
	// followed are the secrets whose values were put where the policy names them.
	followed map[string]bool
}

func look(s *session.Session) *view {
	d := &view{Session: s, index: byName(s.Secrets, func(v session.Secret) string { return v.Name }), images: map[string][]session.Image{}, named: map[string]bool{}}
	for _, v := range s.Secrets {
		d.secrets = append(d.secrets, v.Name)
	}
	slices.Sort(d.secrets)
	for _, image := range s.Images {
		if image.Name != "" {
			d.images[image.Name] = append(d.images[image.Name], image)
		}
	}
	for _, v := range s.Services {
		for _, name := range d.given(v) {
			d.named[name] = true
		}
	}
	return d
}

// all reports whether files of a service's image may ask for every secret.
func (d *view) all(v session.Service) bool {
	return slices.ContainsFunc(d.images[v.ImageName], func(i session.Image) bool { return i.ProvideSecrets == nil })
}

// reach are the secrets that a program of a service can read: those in what it is
// given, and those that files of its image may ask for.
func (d *view) reach(v session.Service) []string {
	if d.all(v) {
		return d.secrets
	}
	found := map[string]bool{}
	for _, name := range d.given(v) {
		found[name] = true
	}
	for _, image := range d.images[v.ImageName] {
		for _, name := range image.ProvideSecrets {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// given are the secrets that are named in what a program is given.
func (d *view) given(v session.Service) (names []string) {
	texts := slices.Concat(v.Command, slices.Collect(maps.Values(v.Environment)), []string{v.FSPFKey})
	for _, image := range d.images[v.ImageName] {
		for _, f := range image.InjectionFiles {
			if f.Content != nil {
				texts = append(texts, *f.Content)
			}
		}
	}
	for _, text := range texts {
		placeholders, err := session.Placeholders(text)
		if err != nil {
			continue // Parse refuses such a text
		}
		for _, p := range placeholders {
			names = append(names, p.Secret)
		}
	}
	return names
}

func (d *view) find(secret string) (session.Secret, bool) {
	i, ok := d.index[secret]
	if !ok {
		return session.Secret{}, false
	}
	return d.Secrets[i], true
}

// reaches says what a service can read now, and no longer.
func (c *comparison) reaches(who, at string, a, b session.Service) {
	gained, lost := c.added, c.removed
	if !c.from.all(a) || !c.to.all(b) {
		from, to := c.from.reach(a), c.to.reach(b)
		gained, lost = without(to, from), without(from, to)
	}
	for _, name := range gained {
		c.add(Gain, who, "can now read the secret "+name, at)
	}
	for _, name := range lost {
		c.add(Loss, who, "can no longer read the secret "+name, at)
	}
}
