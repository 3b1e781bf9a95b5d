package session

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/confidb/confidb/pkg/document"
)

// Reference is a place of a policy that leaves what it says to a secret.
type Reference struct {
	// Path is the place in the document, such as security.attestation.
	Path string
	// Secret is the name of the secret, in the session that Path is of.
	Secret string
	// Problem is why the value is not known; empty if it is.
	Problem string
	// held is the name of the secret in the session that has its value.
	held string
	// Pinned means that another session holds the value, in a version that is told by
	// its hash. Which version the document is that was followed is not known.
	Pinned bool
}

// String is the reference and what is the matter with it, in a clause.
func (r Reference) String() string {
	text := "$$SCONE::" + r.Secret + "$$"
	switch {
	case r.Problem != "":
		return text + ": " + r.Problem
	case r.Pinned:
		return text + ": it is of one version of another session, which may not be the one that is known"
	}
	return text
}

// Effective is the session as CAS applies it: where attestation, platforms, security or
// the access policy name a secret whose value stands in the document, or in one of the
// others, the value is in its place, however deep. In commands, environments and
// injected files that goes for secrets that are plain text. Where tells the places of
// what was put in, in whatever file they are.
//
// The references are those of the policy; where one has a Problem its placeholder has
// stayed, so what it stands for is not known and must not be taken for nothing. The
// error is *Errors: a value that makes no sense where it is put. The session is then
// what could be read.
//
// Only what is in documents is followed: not what CAS makes, not Azure Key Vault, no
// other CAS. A reference within the value that another session holds is not followed
// either, as the reference of the language does not say whose secrets it would name.
func (s *Session) Effective(others []*Session) (*Session, []Reference, error) {
	f := &follower{session: s, others: others, files: map[*document.Node]origin{}, indexes: map[*Session]map[string]int{}, left: maxFollowed}
	root := f.root()
	if len(f.references) == 0 && !f.expanded {
		same := *s
		same.Services = slices.Clone(s.Services)
		return &same, nil, nil
	}
	d := newDecoder(s.file)
	d.Origin = s.part
	d.readVersion(root)
	effective := &Session{file: s.file, source: s.source, root: root, part: s.part, files: f.files}
	d.session(effective).Read(root, "")
	sortReferences(f.references)
	return effective, f.references, effective.broughtIn(d.Err(), s.err)
}

// maxFollowed bounds the values that are put in: fragments that name others twice
// would grow without end.
const maxFollowed = 1 << 16

// origin is where a value that was put in is written.
type origin struct {
	file, path string
	part       *document.Origin
}

// follower puts values in the place of references.
type follower struct {
	session    *Session
	others     []*Session
	files      map[*document.Node]origin
	indexes    map[*Session]map[string]int // of secrets, by their names
	references []Reference
	expanded   bool // a text has got the value of a secret
	left       int
}

func textKey(key string) bool { return slices.Contains([]string{"command", "environment", "pwd"}, key) }

func (f *follower) root() *document.Node {
	return mapped(f.session.root, "", func(key *document.Node, value *document.Node, path string) *document.Node {
		switch {
		case isPolicyKey(key.Value, false):
			return f.policy(value, path, f.session, nil)
		case key.Value == "services":
			return items(value, path, f.service)
		case key.Value == "images":
			return f.texts(value, path)
		}
		return value
	})
}

func (f *follower) service(n *document.Node, path string) *document.Node {
	return mapped(n, path, func(key, value *document.Node, path string) *document.Node {
		switch {
		case isPolicyKey(key.Value, true):
			return f.policy(value, path, f.session, nil)
		case key.Value == "command":
			f.program(value, path)
			return f.texts(value, path)
		case textKey(key.Value):
			return f.texts(value, path)
		}
		return value
	})
}

// mapped is a mapping with other values. What is no mapping stays.
func mapped(n *document.Node, path string, change func(key, value *document.Node, path string) *document.Node) *document.Node {
	if n.Kind != document.Mapping {
		return n
	}
	copied := *n
	copied.Content = slices.Clone(n.Content)
	for i := 0; i+1 < len(n.Content); i += 2 {
		copied.Content[i+1] = change(n.Content[i], n.Content[i+1], document.Member(path, n.Content[i].Value))
	}
	return &copied
}

// items is a list with other items. What is no list stays.
func items(n *document.Node, path string, change func(item *document.Node, path string) *document.Node) *document.Node {
	if n.Kind != document.List {
		return n
	}
	copied := *n
	copied.Content = slices.Clone(n.Content)
	for i, item := range n.Content {
		copied.Content[i] = change(item, document.Item(path, i))
	}
	return &copied
}

// policy follows the references in a part of the policy of owner; within are the
// secrets in whose values it stands.
func (f *follower) policy(n *document.Node, path string, owner *Session, within []string) *document.Node {
	switch n.Kind {
	case document.Scalar:
		return f.scalar(n, path, owner, within)
	case document.Mapping:
		return mapped(n, path, func(key, value *document.Node, path string) *document.Node {
			if key.Value == "one_time_password_shared_secret" || key.Value == "service_access_token" {
				return value // a secret, and no part of the policy
			}
			return f.policy(value, path, owner, within)
		})
	case document.List:
		return f.list(n, path, owner, within)
	}
	return n
}

// list puts the items of a list in the place of a reference to it.
func (f *follower) list(n *document.Node, path string, owner *Session, within []string) *document.Node {
	copied := *n
	copied.Content = nil
	for i, item := range n.Content {
		followed := f.policy(item, document.Item(path, i), owner, within)
		if item.Kind == document.Scalar && followed.Kind == document.List {
			for i, part := range followed.Content {
				f.inherit(part, followed, i)
				copied.Content = append(copied.Content, part)
			}
			continue
		}
		copied.Content = append(copied.Content, followed)
	}
	return &copied
}

// inherit keeps where the item i of a list is written when it is taken out of that.
func (f *follower) inherit(part, whole *document.Node, i int) {
	if _, own := f.files[part]; !own {
		of := f.files[whole]
		f.files[part] = origin{of.file, document.Item(of.path, i), of.part}
	}
}

func (f *follower) scalar(n *document.Node, path string, owner *Session, within []string) *document.Node {
	name := secretOf(n.Value)
	if name == "" {
		return n
	}
	value, from, r := f.follow(owner, name, within)
	r.Path = path
	f.references = append(f.references, r)
	if r.Problem != "" {
		return n
	}
	copied := *f.policy(value, path, from, append(slices.Clone(within), owner.Name+" "+name))
	f.files[&copied] = origin{from.file, fmt.Sprintf("secrets[%d].value", f.index(from, r.held)), from.part}
	return &copied
}

// follow finds the value of a secret, and the session whose document has it.
func (f *follower) follow(owner *Session, name string, within []string) (*document.Node, *Session, Reference) {
	r := Reference{Secret: name, held: name}
	f.left--
	switch {
	case f.left < 0:
		r.Problem = fmt.Sprintf("the references lead to more than %d values", maxFollowed)
		return nil, nil, r
	case owner != f.session:
		r.Problem = "it stands in a value that another session holds, and whose secret it names is not known"
		return nil, nil, r
	case slices.Contains(within, owner.Name+" "+name):
		r.Problem = "it leads back to itself"
		return nil, nil, r
	}
	value, problem := f.written(owner, name)
	if value != nil || problem != "" {
		r.Problem = problem
		return value, owner, r
	}
	return f.imported(owner, name, r)
}

// imported finds the value of an imported secret in another document.
func (f *follower) imported(owner *Session, name string, r Reference) (*document.Node, *Session, Reference) {
	from := owner.Secrets[f.index(owner, name)].Import
	r.Pinned, r.held = from.SessionHash != "", from.Secret
	if from.Remote() {
		r.Problem = "another CAS holds it"
		return nil, nil, r
	}
	wanted := owner.Resolve(from.Session)
	for _, other := range f.others {
		if other.Name != wanted || other == owner {
			continue
		}
		value, problem := f.written(other, from.Secret)
		if value == nil && problem == "" {
			problem = "that session imports it, too"
		}
		r.Problem = problem
		return value, other, r
	}
	r.Problem = "it comes from session " + document.Clip(wanted) + ", which is not known here"
	return nil, nil, r
}

// written is the value of a secret that stands in the document. Both are empty for an
// imported one.
func (f *follower) written(s *Session, name string) (value *document.Node, problem string) {
	i := f.index(s, name)
	switch {
	case i < 0:
		return nil, "session " + document.Clip(s.Name) + " has no such secret"
	case s.Secrets[i].ImportAKV != nil:
		return nil, "Azure Key Vault holds it"
	case s.Secrets[i].Import != nil:
		return nil, ""
	}
	_, value, rest := descend(s.root, fmt.Sprintf("secrets[%d].value", i))
	if rest != "" {
		return nil, "CAS makes its value"
	}
	return value, ""
}

// index is that of the first secret of a name, or -1.
func (f *follower) index(s *Session, secret string) int {
	known := f.indexes[s]
	if known == nil {
		known = map[string]int{}
		for i, v := range slices.Backward(s.Secrets) {
			known[v.Name] = i
		}
		f.indexes[s] = known
	}
	if i, ok := known[secret]; ok {
		return i
	}
	return -1
}

// program notes a reference that decides which program runs.
func (f *follower) program(n *document.Node, path string) {
	first := n
	if n.Kind == document.List && len(n.Content) > 0 {
		first = n.Content[0]
	}
	if first.Kind != document.Scalar {
		return
	}
	word, _, _ := strings.Cut(strings.TrimSpace(first.Value), " ")
	placeholders, err := Placeholders(word)
	if err != nil {
		return // reported where it is read
	}
	for _, p := range placeholders {
		if _, problem := f.text(p); problem != "" {
			f.references = append(f.references, Reference{Path: path, Secret: p.Secret, Problem: problem})
		}
	}
}

// texts puts the secrets that are plain text into all scalars of a value.
func (f *follower) texts(n *document.Node, path string) *document.Node {
	switch n.Kind {
	case document.Mapping:
		return mapped(n, path, func(_, value *document.Node, path string) *document.Node { return f.texts(value, path) })
	case document.List:
		return items(n, path, f.texts)
	}
	if n.Kind != document.Scalar || !strings.Contains(n.Value, "$$SCONE:") {
		return n
	}
	expanded, err := Expand(n.Value, func(p Placeholder) (string, error) {
		if text, problem := f.text(p); problem == "" {
			return text, nil
		}
		return p.Text, nil
	})
	if err != nil || expanded == n.Value {
		return n // what is wrong is reported where it is read
	}
	f.expanded = true
	copied := *n
	copied.Value = expanded
	return &copied
}

// text is the value of a secret that stands for plain text.
func (f *follower) text(p Placeholder) (text, problem string) {
	if len(p.Encodings) > 0 || p.EscapeJSON {
		return "", "it is encoded"
	}
	value, _, r := f.follow(f.session, p.Secret, nil)
	switch {
	case r.Problem != "":
		return "", r.Problem
	case value.Kind != document.Scalar || document.IsNull(value):
		return "", "it is no text"
	case strings.Contains(value.Value, "$$SCONE:"):
		return "", "it names a secret itself"
	}
	return value.Value, ""
}

func sortReferences(all []Reference) {
	sort.SliceStable(all, func(i, j int) bool { return all[i].Path < all[j].Path })
}

// Unknown is a place of the policy of which it is not known what it says, and why.
type Unknown struct{ Path, Why string }

// Unknowns are the places that Effective, which returned references and err, could not
// make clear: none only if all of the policy is known.
func Unknowns(references []Reference, err error) (all []Unknown) {
	for _, r := range references {
		if r.Problem != "" || r.Pinned {
			all = append(all, Unknown{r.Path, r.String()})
		}
	}
	var broken *Errors
	switch {
	case errors.As(err, &broken):
		for _, e := range broken.Problems {
			all = append(all, Unknown{e.Path, "what a secret says makes no sense there: " + e.Problem})
		}
	case err != nil:
		all = append(all, Unknown{"", err.Error()})
	}
	return all
}

// broughtIn are the problems that the document does not have by itself, each in the
// file that its value stands in.
func (s *Session) broughtIn(err, itself error) error {
	var now, before *Errors
	if !errors.As(err, &now) {
		return nil
	}
	known := map[[2]string]bool{}
	if errors.As(itself, &before) {
		all, _ := before.All()
		for _, e := range all {
			known[[2]string{e.Path, e.Problem}] = true
		}
	}
	all, whole := now.All()
	brought := slices.DeleteFunc(all, func(e *Error) bool { return known[[2]string{e.Path, e.Problem}] })
	for _, e := range brought {
		_, _, of := s.located(e.Path)
		e.File = of.file
	}
	switch {
	case !whole && len(brought) == 0:
		return now
	case len(brought) == 0:
		return nil
	}
	return document.Join(brought)
}
