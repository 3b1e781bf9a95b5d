package envelope

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/session"
)

// Opened is a session of a file: with an error, what could be read of it, or nil.
type Opened struct {
	// File is what positions in it are told with: the name of the file, and from the
	// second session on its number behind a #.
	File    string
	Session *session.Session
	Err     error
}

// Open reads the sessions of a file. It may be one document, several, what scone session
// sign writes, or what Kubernetes is given: SignedPolicy resources, also between other
// objects, which are left out. Positions are those in the file. render, unless nil, makes
// of each text the one that counts. There is at least one result.
func Open(file string, text []byte, render func(file string, text []byte) ([]byte, error)) []Opened {
	o := opening{file: file, text: text, render: render}
	parts := document.Split(text)
	if len(parts) < 2 && (len(parts) == 0 || !isWrapped(parts[0].Text)) {
		o.add(text, nil)
		return o.all
	}
	for _, p := range parts {
		if !isWrapped(p.Text) {
			o.add(p.Text, p.Origin)
			continue
		}
		o.unwrap(p)
	}
	if len(o.all) == 0 {
		o.fail(fmt.Errorf("%s: got %d objects, and none of them holds a session, want one of kind SignedPolicy", file, len(parts)))
	}
	return o.all
}

// Only is the one session of a file. Several are an error.
func Only(all []Opened) (*session.Session, error) {
	if len(all) == 1 {
		return all[0].Session, all[0].Err
	}
	var names []string
	for _, o := range all {
		if o.Session != nil {
			names = append(names, o.Session.Name)
		}
	}
	return nil, fmt.Errorf("%s: got %d sessions (%s), want one: put each into a file of its own", all[0].File, len(all), strings.Join(names, ", "))
}

// All are the sessions of a file, those of namespaces before what is in them and else in the
// order of the file. What is wrong with any of them, and a name that is there twice, is an
// error.
func All(all []Opened) ([]*session.Session, error) {
	var sessions []*session.Session
	var wrong []error
	first := map[string]string{}
	for _, o := range all {
		wrong = append(wrong, o.Err)
		if o.Session == nil {
			continue
		}
		if other, twice := first[o.Session.Name]; twice && o.Session.Name != "" {
			wrong = append(wrong, fmt.Errorf("%s: the session %q is there twice, as in %s", o.Session.Where("name"), o.Session.Name, other))
		}
		first[o.Session.Name] = o.Session.Where("name")
		sessions = append(sessions, o.Session)
	}
	sort.SliceStable(sessions, func(i, j int) bool { return depth(sessions[i]) < depth(sessions[j]) })
	return sessions, errors.Join(wrong...)
}

func depth(s *session.Session) int { return strings.Count(s.Name, "/") }

// opening is one run of Open.
type opening struct {
	file   string
	text   []byte
	render func(file string, text []byte) ([]byte, error)
	all    []Opened
}

// name is what the next session is called in positions.
func (o *opening) name() string {
	if len(o.all) == 0 {
		return o.file
	}
	return fmt.Sprintf("%s#%d", o.file, len(o.all)+1)
}

func (o *opening) fail(err error) { o.all = append(o.all, Opened{File: o.name(), Err: err}) }

// add reads one session.
func (o *opening) add(text []byte, part *document.Origin) {
	file := o.name()
	if o.render != nil {
		var err error
		if text, err = o.render(file, text); err != nil {
			o.fail(err)
			return
		}
	}
	s, err := session.ReadPart(file, text, part)
	o.all = append(o.all, Opened{file, s, err})
}

// wrapping are the keys at the beginning of a line by which a document that is no session
// itself is known; one in JSON is known by its brace.
var wrapping = regexp.MustCompile(`(?m)^(apiVersion|session|encrypted_session|encryptedSession):`)

// isWrapped reports whether a document may hold a session instead of being one.
func isWrapped(text []byte) bool {
	return strings.HasPrefix(strings.TrimSpace(string(text)), "{") || wrapping.Match(text)
}

// unwrap reads the sessions in a document, or the document itself if it is one.
func (o *opening) unwrap(p document.Part) {
	if other := kindOf(p.Text); other != "" && !slices.Contains([]string{signedPolicy, encryptedPolicy, "List"}, other) {
		return // an object of another kind, which is no business of ours
	}
	d := document.Problems{File: o.name()}
	// empty lines before it make its places those of the file
	whole := d.Read(append([]byte(strings.Repeat("\n", p.Before)), p.Text...), document.Gate{Most: maxWrapped})
	if whole == nil {
		o.fail(d.Err())
		return
	}
	if !o.wrapper(whole.Content[0], "") {
		o.add(p.Text, p.Origin)
	}
}

// maxWrapped bounds a document with sessions in it, in bytes.
const maxWrapped = 4 << 20

// Kinds of objects that hold sessions (cas.scone.cloud/v1beta1).
const (
	signedPolicy    = "SignedPolicy"
	encryptedPolicy = "EncryptedPolicy"
)

var kindLine = regexp.MustCompile(`(?m)^kind:[ \t]*["']?([A-Za-z]+)`)

// kindOf is the kind of an object in YAML; empty for what is none.
func kindOf(text []byte) string {
	match := kindLine.FindSubmatch(text)
	if match == nil || !regexp.MustCompile(`(?m)^apiVersion:`).Match(text) {
		return ""
	}
	return string(match[1])
}

// wrapper reads what an object holds, and reports whether it is one that holds sessions or
// is of another kind.
func (o *opening) wrapper(n *document.Node, path string) bool {
	_, version := document.Lookup(n, "apiVersion")
	_, kind := document.Lookup(n, "kind")
	_, held := document.Lookup(n, "session")
	_, name := document.Lookup(n, "name")
	switch {
	case has(n, "encrypted_session") || has(n, "encryptedSession"):
		o.encrypted(n)
	case name == nil && held != nil:
		o.inner(held)
	case version == nil || kind == nil:
		return false
	case strings.HasSuffix(kind.Value, "List"):
		_, items := document.Lookup(n, "items")
		for i := 0; items != nil && i < len(items.Content); i++ {
			o.wrapper(items.Content[i], document.Item(path, i))
		}
	case kind.Value == encryptedPolicy:
		o.encrypted(n)
	case kind.Value == signedPolicy:
		o.policy(n)
	}
	return true
}

// policy reads the session in an object of kind SignedPolicy.
func (o *opening) policy(n *document.Node) {
	_, spec := document.Lookup(n, "spec")
	if spec != nil {
		if _, policy := document.Lookup(spec, "policy"); policy != nil {
			o.inner(policy)
			return
		}
	}
	d := document.Problems{File: o.name()}
	d.Fail(n, "spec.policy", "it is missing, want the text of a session")
	o.fail(d.Err())
}

// inner reads the session that a value holds: as a text, or as it is.
func (o *opening) inner(n *document.Node) {
	if n.Kind == document.Scalar {
		o.add(document.Inner(o.text, n))
		return
	}
	text, err := document.Print(n)
	if err != nil {
		o.fail(err)
		return
	}
	_, origin := document.Inner(o.text, &document.Node{Line: n.Line, Column: n.Column})
	o.add(text, origin)
}

// encrypted says why nothing is said of a session.
func (o *opening) encrypted(n *document.Node) {
	d := document.Problems{File: o.name()}
	d.Fail(n, "", "the session is encrypted for a CAS, and nobody else can read it").Advice = "give the session as it was before it was encrypted, or read it from the CAS"
	o.fail(d.Err())
}

func has(n *document.Node, key string) bool {
	_, value := document.Lookup(n, key)
	return value != nil
}
