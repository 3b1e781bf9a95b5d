package layout

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// Group are sessions that belong together, with what is asked of them again and again: it is
// worked out once, so that the time grows as the number of the sessions does.
type Group struct {
	// All are the sessions.
	All   []*session.Session
	sets  map[*session.Session]*Set
	named map[string]*Set

	authorities map[KeyID]bool
	identities  map[KeyID][]owner
	ports       *Ports
	listeners   *[]*Server
	guarded     *bool // whether all listeners are
}

// owner is a service that has a key.
type owner struct {
	of      *Set
	service string
}

// NewGroup returns the group of some sessions.
func NewGroup(all []*session.Session) *Group {
	g := &Group{All: all, sets: map[*session.Session]*Set{}, named: map[string]*Set{}}
	for _, s := range all {
		one := g.Of(s)
		if g.named[s.Name] == nil {
			g.named[s.Name] = one
		}
	}
	return g
}

// Of is a session of the group.
func (g *Group) Of(s *session.Session) *Set {
	one := g.sets[s]
	if one == nil {
		one = &Set{Session: s, Group: g}
		g.sets[s] = one
	}
	return one
}

// New is a session beside others, among which it may be.
func New(s *session.Session, others []*session.Session) *Set {
	if !slices.ContainsFunc(others, func(o *session.Session) bool { return o.Name == s.Name }) {
		others = append(slices.Clone(others), s)
	}
	return NewGroup(others).Of(s)
}

// index are parts of a session by their names.
type index struct {
	secrets      map[string]*session.Secret
	images       map[string]*session.Image
	certificates map[string][]string // by the names of their keys
	signing      map[string]bool     // keys of authorities
	imports      map[[2]string][]*session.Secret
	given        map[string]map[string]bool // to which sessions each secret is exported
	listeners    *[]*Server
	guarded      *bool            // whether all listeners are
	users        map[string][]int // services by their images
	told         map[string]bool  // images of which a service is told a host
}

func (in *Set) indexed() *index {
	if in.index != nil {
		return in.index
	}
	x := &index{
		secrets: map[string]*session.Secret{}, images: map[string]*session.Image{}, certificates: map[string][]string{}, signing: map[string]bool{},
		imports: map[[2]string][]*session.Secret{}, given: map[string]map[string]bool{}, users: map[string][]int{}, told: map[string]bool{},
	}
	in.index = x
	host := regexp.MustCompile(`^(?:-h|--host(?:=|$))`)
	for i, s := range in.Services {
		x.users[s.ImageName] = append(x.users[s.ImageName], i)
		if len(s.Command) > 0 && slices.ContainsFunc(s.Command[1:], host.MatchString) {
			x.told[s.ImageName] = true
		}
	}
	for i := range in.Secrets {
		s := &in.Secrets[i]
		if x.secrets[s.Name] == nil {
			x.secrets[s.Name] = s
		}
		if s.PrivateKey != "" {
			x.certificates[s.PrivateKey] = append(x.certificates[s.PrivateKey], s.Name)
		}
		if s.Kind == session.X509CA {
			x.signing[s.PrivateKey] = true
		}
		if s.Import != nil && !s.Import.Remote() {
			key := [2]string{in.Resolve(s.Import.Session), s.Import.Secret}
			x.imports[key] = append(x.imports[key], s)
		}
	}
	for i := range in.Images {
		if image := &in.Images[i]; x.images[image.Name] == nil {
			x.images[image.Name] = image
		}
	}
	return x
}

// Signs reports whether a secret is the private key of a certificate authority of the
// session.
func (in *Set) Signs(key string) bool { return in.indexed().signing[key] }

// Certificates are the names of those whose private key is a secret of the session.
func (in *Set) Certificates(key string) []string { return in.indexed().certificates[key] }

// Imports are the secrets of the session that import one of another session.
func (in *Set) Imports(from, secret string) []*session.Secret {
	return in.indexed().imports[[2]string{from, secret}]
}

// Gives reports whether a secret is exported to a session.
func (in *Set) Gives(secret, name string) bool {
	x := in.indexed()
	to := x.given[secret]
	if to == nil {
		to = map[string]bool{}
		for _, e := range x.secrets[secret].Exports {
			if e.Namespace == "" && !e.Remote() {
				to[in.Resolve(e.Session)] = true
			}
		}
		x.given[secret] = to
	}
	return to[name] || slices.ContainsFunc(x.secrets[secret].Exports, func(e session.Export) bool {
		return e.Namespace != "" && (e.Namespace == "/" || strings.HasPrefix(name, in.Resolve(e.Namespace)+"/"))
	})
}

// Authorities are the keys that sign certificates in any of the sessions.
func (g *Group) Authorities() map[KeyID]bool {
	if g.authorities != nil {
		return g.authorities
	}
	g.authorities = map[KeyID]bool{}
	for _, s := range g.All {
		one := g.Of(s)
		for _, v := range s.Secrets {
			if one.KindOf(v) == session.X509CA {
				g.authorities[one.KeyOf(v.Name)] = true
			}
		}
	}
	return g.authorities
}

// SharedWith names a service of another session that shows itself with one of the keys of a
// service, and that key; empty if there is none.
func (in *Set) SharedWith(v session.Service) (other string, key KeyID) {
	g := in.Group
	if g.identities == nil {
		g.identities = map[KeyID][]owner{}
		for _, s := range g.All {
			one := g.Of(s)
			for _, v := range s.Services {
				for _, id := range one.Identities(v) {
					g.identities[id] = append(g.identities[id], owner{one, v.Name})
				}
			}
		}
	}
	for _, id := range in.Identities(v) {
		for _, o := range slices.Backward(g.identities[id]) {
			if o.of.Name != in.Name {
				return fmt.Sprintf("service %s of session %s", o.service, o.of.Name), id
			}
		}
	}
	return "", KeyID{}
}

// Listeners are the databases of a session to which others can connect.
func (in *Set) Listeners() []*Server {
	x := in.indexed()
	if x.listeners == nil {
		x.listeners = &[]*Server{}
		for _, s := range in.Services {
			if d := in.ServerOf(s); d != nil && d.Listens() {
				*x.listeners = append(*x.listeners, d)
			}
		}
	}
	return *x.listeners
}

// AllListeners are those of all sessions.
func (g *Group) AllListeners() []*Server {
	if g.listeners == nil {
		g.listeners = &[]*Server{}
		for _, s := range g.All {
			*g.listeners = append(*g.listeners, g.Of(s).Listeners()...)
		}
	}
	return *g.listeners
}

// Listening are all ports of all sessions.
func (g *Group) Listening() *Ports {
	if g.ports != nil {
		return g.ports
	}
	p := &Ports{at: map[string][]Port{}, called: map[[2]string][]Port{}, services: map[string][]Port{}}
	g.ports = p
	for _, s := range g.All {
		one := g.Of(s)
		for _, v := range s.Services {
			for _, port := range one.portsOf(v) {
				p.add(port)
			}
		}
	}
	return p
}
