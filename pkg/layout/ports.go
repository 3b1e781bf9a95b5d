package layout

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// Port is one at which a service of the sessions listens, as far as they say.
type Port struct {
	*Set
	Service session.Service
	number  string
	state   Exposure
	// names are those under which it may be known; certified those of its certificate,
	// which is nil where that is not known.
	names, certified []string
}

// String names the service and its session.
func (p Port) String() string {
	return fmt.Sprintf("service %s of session %s", p.Service.Name, p.Name)
}

func (in *Set) portsOf(v session.Service) []Port {
	shield := NewShield(v)
	var numbers []string
	for _, e := range shield.Servers {
		numbers = append(numbers, e.Port())
	}
	if d := in.ServerOf(v); d != nil && d.Listens() {
		numbers = append(numbers, d.Ports()...)
	}
	for _, l := range in.MaxScale(v) {
		if l.Option("type") == "listener" {
			numbers = append(numbers, l.Port())
		}
	}
	slices.Sort(numbers)
	var all []Port
	for _, number := range slices.Compact(numbers) {
		if number == "" {
			continue
		}
		p := Port{Set: in, Service: v, number: number, state: shield.At(number), names: []string{v.Name, path.Base(in.Name)}}
		if e := shield.Entry(number); e != nil {
			p.certified = in.certified(e.Settings["IDENTITY"])
		}
		for _, u := range FileUses(0, in.ImageOf(v.ImageName)) {
			p.names = append(p.names, in.certified(u.Text)...)
		}
		p.names = append(p.names, p.certified...)
		all = append(all, p)
	}
	return all
}

// certified are the names of the certificates in a text; nil if one is not known.
func (in *Set) certified(text string) []string {
	var names []string
	for _, u := range UsesIn(text, "") {
		s := in.Secret(u.Secret)
		if s == nil {
			return nil
		}
		_, first, _ := in.First(s.Name)
		switch {
		case first == nil || first.Value != nil || first.ImportAKV != nil:
			return nil
		case first.Kind == session.X509:
			for _, name := range append(slices.Clone(first.SAN), first.CommonName) {
				_, name, _ = strings.Cut(":"+strings.TrimPrefix(name, "dns:"), ":")
				names = append(names, name)
			}
		}
	}
	return names
}

// Peer is the host and port to which an entry leads; empty if it is no such thing.
func (e Entry) Peer() (host, number string) {
	kind, rest, _ := strings.Cut(e.Settings["DESTINATION"], ":")
	if at := strings.LastIndexByte(rest, ':'); strings.EqualFold(kind, "tcp") && at > 0 {
		return rest[:at], rest[at+1:]
	}
	return "", ""
}

// known reports whether a host is one of some names, which may be those of other
// namespaces too.
func known(names []string, host string) bool {
	short, _, _ := strings.Cut(host, ".")
	return host != "" && (slices.Contains(names, host) || slices.Contains(names, short))
}

// Ports are those at which the services of some sessions listen.
type Ports struct {
	at       map[string][]Port    // by number
	called   map[[2]string][]Port // by number and a name
	services map[string][]Port    // by the names of the service and of the session
}

func (p *Ports) add(port Port) {
	p.at[port.number] = append(p.at[port.number], port)
	for _, name := range distinct(port.names) {
		key := [2]string{port.number, name}
		p.called[key] = append(p.called[key], port)
	}
	for _, name := range distinct([]string{port.Service.Name, path.Base(port.Name)}) {
		p.services[name] = append(p.services[name], port)
	}
}

func distinct(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// beside are the ports of a list but for those of a service itself.
func beside(all []Port, in *Set, v session.Service) []Port {
	return slices.DeleteFunc(slices.Clone(all), func(p Port) bool { return p.Name == in.Name && p.Service.Name == v.Name })
}

// LostPeer says why an entry of a service cannot connect to a peer that was given: the peer
// does not speak the shield's TLS, listens elsewhere, or has a certificate of another name.
// Of a peer that was not given nothing is known.
func (in *Set) LostPeer(v session.Service, e Entry) string {
	host, number := e.Peer()
	if host == "" {
		return ""
	}
	short, _, _ := strings.Cut(host, ".")
	all := in.Listening()
	there := all.called[[2]string{number, host}]
	if short != host {
		there = slices.Concat(there, all.called[[2]string{number, short}])
	}
	there = beside(there, in, v)
	if len(there) == 0 {
		return elsewhere(beside(slices.Concat(all.services[host], all.services[short]), in, v), beside(all.at[number], in, v), number)
	}
	shielded := slices.DeleteFunc(slices.Clone(there), func(p Port) bool { return p.state == Native })
	if len(shielded) == 0 {
		return fmt.Sprintf("%s serves port %s without the shield", there[0], number)
	}
	want := e.Settings["SERVER_DNS_NAME"]
	if want == "" {
		want = host
	}
	if slices.ContainsFunc(shielded, func(p Port) bool { return p.certified == nil || known(p.certified, want) }) {
		return ""
	}
	return fmt.Sprintf("the certificate of %s is not for the name %.80s", shielded[0], want)
}

// elsewhere says where a service listens that has the name of a host, if nobody listens at a
// port.
func elsewhere(named, there []Port, number string) string {
	if len(named) == 0 || len(there) > 0 {
		return ""
	}
	return fmt.Sprintf("%s listens at port %s, and nobody at %s", named[0], named[0].number, number)
}

// Identities are the keys with which a database shows who it is: those of its shield, and
// those of its files. One that nobody can connect to has none.
func (in *Set) Identities(v session.Service) []KeyID {
	if d := in.ServerOf(v); d == nil || !d.Listens() {
		return nil
	}
	var uses []Use
	for _, e := range NewShield(v).Servers {
		uses = append(uses, UsesIn(e.Settings["IDENTITY"], "")...)
	}
	uses = append(uses, FileUses(0, in.ImageOf(v.ImageName))...)
	var all []KeyID
	for _, u := range uses {
		s := in.Secret(u.Secret)
		if s == nil || !in.Reveals(u.Placeholder) || !slices.Contains([]session.Kind{session.X509, session.PrivateKey}, in.KindOf(*s)) {
			continue
		}
		all = append(all, in.KeyOf(s.Name))
	}
	return all
}
