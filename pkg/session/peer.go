package session

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// peerFields are the keys that name another session.
func (d *decoder) peerFields(p *Peer) fields {
	return fields{
		"session":          d.peerSession(p),
		"session_hash":     d.matching(&p.SessionHash, hex64, hex64Words),
		"cas_url":          d.text(&p.CASURL),
		"cas_key":          d.text(&p.CASKey),
		"cas_software_key": d.text(&p.CASSoftwareKey),
	}
}

// peerSession reads a name, or the URL form.
func (d *decoder) peerSession(p *Peer) field {
	var text string
	return then(d.text(&text), func(n *yaml.Node, path string) {
		if strings.Contains(text, "=") {
			d.parseURL(n, path, text, p, nil, "")
			return
		}
		d.reference(&p.Session)(n, path)
	})
}

// reference reads the name of another session, which may be relative.
func (d *decoder) reference(into *string) reader {
	return func(n *yaml.Node, path string) {
		*into = d.scalar(n, path)
		rest, relative := stripRelative(*into)
		if relative {
			d.needs(n, path, 10)
		}
		if !d.matches(names, rest) {
			d.fail(n, path, "got %q, want %s", clip(*into), namesWords)
			return
		}
		d.absolute(&rest)(n, path)
	}
}

// stripRelative removes ./ or any number of ../ from a reference.
func stripRelative(reference string) (rest string, relative bool) {
	if rest, ok := strings.CutPrefix(reference, "./"); ok {
		return rest, true
	}
	rest = reference
	for strings.HasPrefix(rest, "../") {
		rest = rest[len("../"):]
	}
	return rest, rest != reference
}

// checkPeer sees that a peer in another CAS can be recognised.
func (d *decoder) checkPeer(p *Peer) reader {
	return func(n *yaml.Node, path string) {
		keyed := p.CASKey != "" || p.CASSoftwareKey != ""
		switch {
		case p.CASURL != "" && !keyed:
			d.fail(n, path, "got another CAS without cas_key or cas_software_key, want one of them")
		case p.CASURL == "" && keyed:
			d.fail(n, path, "got the key of another CAS without cas_url")
		}
	}
}

// url reads a peer in its URL form: host/cas_key=KEY,session=NAME, or
// /session=NAME,session_hash=HASH for this CAS. more are further words with their
// places; needed, unless empty, must be there.
func (d *decoder) url(p *Peer, more map[string]*string, needed string) field {
	var text string
	return then(d.text(&text), func(n *yaml.Node, path string) { d.parseURL(n, path, text, p, more, needed) })
}

func (d *decoder) parseURL(n *yaml.Node, path, text string, p *Peer, more map[string]*string, needed string) {
	const want = "/session=NAME or HOST/cas_key=KEY,session=NAME"
	host, rest, ok := strings.Cut(text, "/")
	if !ok {
		d.fail(n, path, "got %q, want %s", clip(text), want)
		return
	}
	p.CASURL = host
	words := map[string]*string{"session": &p.Session, "session_hash": &p.SessionHash, "cas_key": &p.CASKey, "cas_software_key": &p.CASSoftwareKey}
	for word, into := range more {
		words[word] = into
	}
	for _, part := range strings.Split(rest, ",") {
		word, value, _ := strings.Cut(part, "=")
		into, known := words[word]
		if !known || value == "" || *into != "" {
			d.fail(n, path, "got %q in a URL, want %s", clip(part), want)
			return
		}
		*into = value
	}
	d.checkURL(n, path, words, needed)
	d.checkPeer(p)(n, path)
}

func (d *decoder) checkURL(n *yaml.Node, path string, words map[string]*string, needed string) {
	session, hash := *words["session"], *words["session_hash"]
	parts := strings.Split(session, "/")
	switch {
	case session == "":
		namespace, ok := words["namespace"]
		if !ok || *namespace == "" {
			d.fail(n, path, "got a URL without session")
		}
	case !d.matches(names, session) || len(session) > maxName || slices.Contains(parts, ".") || slices.Contains(parts, ".."):
		d.fail(n, path, "got the session %q in a URL, want its whole name", clip(session))
	case hash != "" && !d.matches(hex64, hash):
		d.fail(n, path, "got the session_hash %q in a URL, want %s", clip(hash), hex64Words)
	case needed != "" && !d.matches(name, *words[needed]):
		d.fail(n, path, "got a URL without %s", needed)
	}
}

func (d *decoder) importFrom(i *Import) field {
	known := d.peerFields(&i.Peer)
	known["secret"] = required(d.matching(&i.Secret, name, nameWords))
	known["session"] = required(known["session"])
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode:  d.url(&i.Peer, map[string]*string{"secret": &i.Secret}, "secret"),
		yaml.MappingNode: d.object(known, d.checkPeer(&i.Peer)),
	})
}

func (d *decoder) exportFields(e *Export) fields {
	known := d.peerFields(&e.Peer)
	known["namespace"] = then(d.text(&e.Namespace), d.reference(&e.Namespace))
	return known
}

func (d *decoder) checkExport(e *Export) reader {
	return func(n *yaml.Node, path string) {
		if (e.Session == "") == (e.Namespace == "") {
			d.fail(n, path, "want either session or namespace")
		}
		d.checkPeer(&e.Peer)(n, path)
	}
}

func (d *decoder) export(e *Export) field {
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode:  d.url(&e.Peer, nil, ""),
		yaml.MappingNode: d.object(d.exportFields(e), d.checkExport(e)),
	})
}

func (d *decoder) exports(into *[]Export) field {
	var one Export
	single := func(*yaml.Node, string) { *into = append(*into, one) }
	object := d.export(&one)
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode:   then(object, single),
		yaml.MappingNode:  then(object, single),
		yaml.SequenceNode: each(d, into, d.export),
	})
}

// Resolve makes a reference to another session absolute: ../client beside
// ns/db is ns/client, and ./child below it is ns/db/child.
func (s *Session) Resolve(reference string) string {
	if child, ok := strings.CutPrefix(reference, "./"); ok {
		return s.Name + "/" + child
	}
	rest, relative := stripRelative(reference)
	if !relative {
		return reference
	}
	base := s.Name
	for range strings.Count(strings.TrimSuffix(reference, rest), "../") {
		base = base[:max(0, strings.LastIndex(base, "/"))]
	}
	return strings.TrimPrefix(base+"/"+rest, "/")
}
