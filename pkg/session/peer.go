package session

import (
	"cmp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/document"
)

// peerFields are the keys that name another session.
func (d *decoder) peerFields(p *Peer) document.Fields {
	return document.Fields{
		"session":          d.peerSession(p),
		"session_hash":     d.Matching(&p.SessionHash, hex64, hex64Words),
		"cas_url":          d.Text(&p.CASURL),
		"cas_key":          d.Text(&p.CASKey),
		"cas_software_key": d.Text(&p.CASSoftwareKey),
	}
}

// peerSession reads a name, or the URL form.
func (d *decoder) peerSession(p *Peer) document.Field {
	var text string
	return document.Then(d.Text(&text), func(n *document.Node, path string) {
		if strings.Contains(text, "=") {
			d.parseURL(n, path, text, p, nil, "")
			return
		}
		d.reference(&p.Session)(n, path)
	})
}

// reference reads the name of another session, which may be relative.
func (d *decoder) reference(into *string) document.Reader {
	return func(n *document.Node, path string) {
		*into = d.scalar(n, path)
		rest, relative := stripRelative(*into)
		if relative {
			d.needs(n, path, 10)
		}
		if !d.Matches(NamePattern, rest) {
			d.Fail(n, path, "got %q, want %s", document.Clip(*into), NameWords)
			return
		}
		d.absolute(&rest)(n, path)
	}
}

// namespace reads the name of a namespace, which may be .. or further up.
func (d *decoder) namespace(into *string) document.Reader {
	return func(n *document.Node, path string) {
		if text := d.scalar(n, path); d.Matches(`^\.\.(/\.\.)*/?$`, text) {
			d.needs(n, path, 10)
			*into = text
			return
		}
		d.reference(into)(n, path)
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
func (d *decoder) checkPeer(p *Peer) document.Reader {
	return func(n *document.Node, path string) {
		keyed := p.CASKey != "" || p.CASSoftwareKey != ""
		switch {
		case p.CASURL != "" && !keyed:
			d.Fail(n, path, "got another CAS without cas_key or cas_software_key, want one of them")
		case p.CASURL == "" && keyed:
			d.Fail(n, path, "got the key of another CAS without cas_url")
		}
	}
}

// url reads a peer in its URL form: host/cas_key=KEY,session=NAME, or
// /session=NAME,session_hash=HASH for this CAS. more are further words with their
// places; needed, unless empty, must be there.
func (d *decoder) url(p *Peer, more map[string]*string, needed string) document.Field {
	var text string
	return document.Then(d.Text(&text), func(n *document.Node, path string) { d.parseURL(n, path, text, p, more, needed) })
}

func (d *decoder) parseURL(n *document.Node, path, text string, p *Peer, more map[string]*string, needed string) {
	const want = "/session=NAME or HOST/cas_key=KEY,session=NAME"
	host, rest, ok := strings.Cut(text, "/")
	if !ok {
		d.Fail(n, path, "got %q, want %s", document.Clip(text), want)
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
			d.Fail(n, path, "got %q in a URL, want %s", document.Clip(part), want)
			return
		}
		*into = value
	}
	d.checkURL(n, path, words, needed)
	d.checkPeer(p)(n, path)
}

func (d *decoder) checkURL(n *document.Node, path string, words map[string]*string, needed string) {
	session, hash := *words["session"], *words["session_hash"]
	parts := strings.Split(session, "/")
	switch {
	case session == "":
		namespace, ok := words["namespace"]
		if !ok || *namespace == "" {
			d.Fail(n, path, "got a URL without session")
		}
	case !d.Matches(NamePattern, session) || len(session) > maxName || slices.Contains(parts, ".") || slices.Contains(parts, ".."):
		d.Fail(n, path, "got the session %q in a URL, want its whole name", document.Clip(session))
	case hash != "" && !d.Matches(hex64, hash):
		d.Fail(n, path, "got the session_hash %q in a URL, want %s", document.Clip(hash), hex64Words)
	case needed != "" && !d.Matches(name, *words[needed]):
		d.Fail(n, path, "got a URL without %s", needed)
	}
}

func (d *decoder) importFrom(i *Import) document.Field {
	known := d.peerFields(&i.Peer)
	known["secret"] = document.Required(d.Matching(&i.Secret, name, nameWords))
	known["session"] = document.Required(known["session"])
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar:  d.url(&i.Peer, map[string]*string{"secret": &i.Secret}, "secret"),
		document.Mapping: d.Object(known, d.checkPeer(&i.Peer)),
	})
}

func (d *decoder) exportFields(e *Export) document.Fields {
	known := d.peerFields(&e.Peer)
	known["namespace"] = document.Then(d.Text(&e.Namespace), d.namespace(&e.Namespace))
	return known
}

func (d *decoder) checkExport(e *Export) document.Reader {
	return func(n *document.Node, path string) {
		if (e.Session == "") == (e.Namespace == "") {
			d.Fail(n, path, "want either session or namespace")
		}
		d.checkPeer(&e.Peer)(n, path)
	}
}

func (d *decoder) export(e *Export) document.Field {
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar:  d.url(&e.Peer, nil, ""),
		document.Mapping: d.Object(d.exportFields(e), d.checkExport(e)),
	})
}

func (d *decoder) exports(into *[]Export) document.Field {
	var one Export
	single := func(*document.Node, string) { *into = append(*into, one) }
	object := d.export(&one)
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar:  document.Then(object, single),
		document.Mapping: document.Then(object, single),
		document.List:    document.Each(d.Decoder, into, d.export),
	})
}

// Resolve makes a reference to another session absolute: ../client beside
// ns/db is ns/client, ./child below it is ns/db/child, and .. is the namespace ns.
func (s *Session) Resolve(reference string) string {
	if child, ok := strings.CutPrefix(reference, "./"); ok {
		return s.Name + "/" + child
	}
	rest, relative := stripRelative(reference)
	up := strings.Count(strings.TrimSuffix(reference, rest), "../")
	if rest == ".." {
		rest, up = "", up+1
	}
	if !relative && up == 0 {
		return reference
	}
	base := s.Name
	for range up {
		base = base[:max(0, strings.LastIndex(base, "/"))]
	}
	// what is in no namespace is in the root
	return cmp.Or(strings.Trim(base+"/"+rest, "/"), "/")
}
