package session

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
)

// Print writes the document as it was parsed or set, in one layout: indented by
// two, with its comments and in its order. Where the layout would lose or move a
// comment or change a value, the text stays as it is. It is nil for a session that
// was not parsed.
func (s *Session) Print() []byte {
	if s.root == nil {
		return nil
	}
	whole := newDecoder(s.file).Read(s.source, document.Gate{})
	if whole == nil {
		return slices.Clone(s.source) // not possible: it was read before
	}
	text, err := document.Print(whole)
	if err != nil {
		return slices.Clone(s.source)
	}
	again, err := Parse(s.file, text)
	if err != nil || !same(s, again) {
		return slices.Clone(s.source)
	}
	if settled, err := document.Print(newDecoder(s.file).Read(text, document.Gate{})); err != nil || !bytes.Equal(settled, text) {
		return slices.Clone(s.source)
	}
	return text
}

// Source is the text of the document, as it was parsed or set, without byte order mark.
func (s *Session) Source() []byte { return slices.Clone(s.source) }

// same is stricter than Equal: comments and what Equal ignores count as well.
func same(a, b *Session) bool {
	return Equal(a, b) && a.Predecessor == b.Predecessor && a.Creator == b.Creator && sameComments(a, b, "")
}

// sameComments compares comments and what they are about, but for those about one
// part of the document. An empty part leaves out none.
func sameComments(a, b *Session, except string) bool {
	texts := func(s *Session) []string {
		var all []string
		for _, c := range s.Comments() {
			if except == "" || !strings.HasPrefix(c.Path, except) {
				all = append(all, c.Path+" "+c.Text)
			}
		}
		return all
	}
	return slices.Equal(texts(a), texts(b))
}

// SetPredecessor writes the hash of the version that the document replaces; empty
// removes it by writing ~.
func (s *Session) SetPredecessor(hash string) error {
	if hash != "" && !newDecoder("").Matches(hex64, hash) {
		return fmt.Errorf("setting the predecessor: got %q, want %s", document.Clip(hash), hex64Words)
	}
	text := document.Word(hash)
	if hash == "" {
		text = "~"
	}
	want := *s
	want.Predecessor = hash
	return s.setTop("predecessor", text, &want)
}

// DropCreator removes what CAS added, which nobody may upload.
func (s *Session) DropCreator() error {
	if s.Creator == "" && !s.Has("creator") {
		return nil
	}
	want := *s
	want.Creator = ""
	return s.change("creator", &want, s.spliceOut("creator"), s.graftOut("creator"))
}

// spliceOut removes the one line of a key.
func (s *Session) spliceOut(key string) []byte {
	node, value := document.Lookup(s.root, key)
	src := document.NewSource(s.source)
	if value == nil || value.Kind != document.Scalar || src.Scalar(value, -1).EndLine != node.Line-1 || s.root.Style&document.Flow != 0 {
		return nil
	}
	return slices.Delete(src, node.Line-1, node.Line).Text()
}

func (s *Session) graftOut(key string) []byte {
	return s.graft(func(root *document.Node) {
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Value == key {
				root.Content = slices.Delete(root.Content, i, i+2)
				return
			}
		}
	})
}

// SetName writes another name.
func (s *Session) SetName(name string) error {
	if d := newDecoder(""); !d.Matches(NamePattern, name) {
		return fmt.Errorf("setting the name: got %q, want %s", document.Clip(name), NameWords)
	}
	want := *s
	want.Name = name
	return s.setTop("name", document.Word(name), &want)
}

func (s *Session) setTop(key, text string, want *Session) error {
	return s.change(key, want, s.spliceTop(key, text), s.graftTop(key, text))
}

// change takes the first text that says what is wanted and keeps all comments but
// those about the part that changes.
func (s *Session) change(path string, want *Session, texts ...[]byte) error {
	for _, text := range texts {
		got, err := Parse(s.file, text)
		if err == nil && Equal(got, want) && got.Predecessor == want.Predecessor && got.Creator == want.Creator && sameComments(s, got, path) {
			*s = *got
			return nil
		}
	}
	return fmt.Errorf("setting %s of session %q: %s: its form does not allow it: write the document in block style", path, s.Name, s.Where(path))
}

// spliceTop changes one line of the text: that of the key, or a new one below version.
func (s *Session) spliceTop(key, text string) []byte {
	src := document.NewSource(s.source)
	if _, value := document.Lookup(s.root, key); value != nil {
		p := src.Scalar(value, -1)
		if value.Kind != document.Scalar || p.Line != p.EndLine {
			return nil
		}
		line := src[p.Line]
		if value.Value == "" && p.Column == p.EndColumn {
			text = " " + text // after the colon
		}
		src[p.Line] = line[:p.Column] + text + line[p.EndColumn:]
		return src.Text()
	}
	_, value := document.Lookup(s.root, "version")
	if value == nil {
		return nil
	}
	return insert(src, value.Line, key+": "+text).Text()
}

// insert adds a line below line, which counts from 1.
func insert(s document.Source, line int, text string) document.Source {
	end := "\n"
	if strings.HasSuffix(s[0], "\r\n") {
		end = "\r\n"
	}
	if !strings.HasSuffix(s[line-1], "\n") {
		s[line-1] += end
	}
	return slices.Insert(s, line, text+end)
}

// graftTop changes the tree and prints it, for documents of an unusual form.
func (s *Session) graftTop(key, text string) []byte {
	return s.graft(func(root *document.Node) {
		whole := newDecoder(s.file).Read([]byte(key+": "+text), document.Gate{})
		if whole == nil {
			return
		}
		member := whole.Content[0].Content
		if _, value := document.Lookup(root, key); value != nil {
			value.Kind, value.Style, value.Tag, value.Value = document.Scalar, member[1].Style, member[1].Tag, member[1].Value
			return
		}
		root.Content = append(root.Content, member...)
	})
}

func (s *Session) graft(change func(root *document.Node)) []byte {
	whole := newDecoder(s.file).Read(s.source, document.Gate{})
	if whole == nil {
		return nil
	}
	change(whole.Content[0])
	text, err := document.Print(whole)
	if err != nil {
		return nil
	}
	return text
}

// SetPlatforms writes the machines of one service. References to secrets stay.
func (s *Session) SetPlatforms(service string, ids []attest.PlatformID) error {
	at := slices.IndexFunc(s.Services, func(v Service) bool { return v.Name == service })
	switch {
	case at < 0:
		return fmt.Errorf("setting platforms: session %q has no service %q", s.Name, document.Clip(service))
	case len(ids) == 0:
		return fmt.Errorf("setting platforms of service %q: got none: the service could run anywhere", service)
	}
	path := fmt.Sprintf("services[%d].platforms", at)
	want := *s
	want.Services = slices.Clone(s.Services)
	want.Services[at].Platforms = ids
	return s.change(path, &want, s.splicePlatforms(at, path, ids), s.graftPlatforms(at, ids))
}

func (s *Session) splicePlatforms(at int, path string, ids []attest.PlatformID) []byte {
	src := document.NewSource(s.source)
	key, value, rest := descend(s.root, path)
	switch {
	case rest != "":
		nameKey, _ := document.Lookup(s.root, "services")
		if nameKey == nil {
			return nil
		}
		nameKey, name, _ := descend(s.root, fmt.Sprintf("services[%d].name", at))
		if nameKey == nil {
			return nil
		}
		line := strings.Repeat(" ", nameKey.Column-1) + "platforms: [" + strings.Join(idTexts(ids), ", ") + "]"
		return insert(src, name.Line, line).Text()
	case value.Style&document.Flow == 0:
		return replaceItems(src, value, ids)
	}
	from, line := src.Offset(value), src[value.Line-1]
	to := strings.IndexByte(line[from:], ']')
	if key == nil || to < 0 {
		return nil
	}
	src[value.Line-1] = line[:from] + "[" + strings.Join(append(idTexts(ids), references(value)...), ", ") + "]" + line[from+to+1:]
	return src.Text()
}

// replaceItems keeps the lines of the items that stay.
func replaceItems(s document.Source, list *document.Node, ids []attest.PlatformID) []byte {
	stay := func(n *document.Node) bool { return secretOf(n.Value) != "" || indexID(ids, n.Value) >= 0 }
	fresh := slices.DeleteFunc(slices.Clone(ids), func(id attest.PlatformID) bool {
		return slices.ContainsFunc(list.Content, func(n *document.Node) bool { return indexID([]attest.PlatformID{id}, n.Value) >= 0 })
	})
	last := list.Content[len(list.Content)-1].Line
	for i := len(fresh) - 1; i >= 0; i-- {
		s = insert(s, last, strings.Repeat(" ", list.Column-1)+"- "+fresh[i].String())
	}
	for _, n := range slices.Backward(list.Content) {
		if !stay(n) {
			s = slices.Delete(s, n.Line-1, n.Line)
		}
	}
	return s.Text()
}

func (s *Session) graftPlatforms(at int, ids []attest.PlatformID) []byte {
	return s.graft(func(root *document.Node) {
		_, service, _ := descend(root, fmt.Sprintf("services[%d]", at))
		list := &document.Node{Kind: document.List, Style: document.Flow}
		_, value := document.Lookup(service, "platforms")
		if value == nil {
			service.Content = append(service.Content, &document.Node{Kind: document.Scalar, Value: "platforms"}, list)
			value = list
		}
		texts := append(idTexts(ids), references(value)...)
		value.Content = nil
		for _, text := range texts {
			value.Content = append(value.Content, &document.Node{Kind: document.Scalar, Tag: "!!str", Value: text})
		}
	})
}

// references are the items of platforms that are no IDs.
func references(list *document.Node) []string {
	var all []string
	for _, n := range list.Content {
		if secretOf(n.Value) != "" {
			all = append(all, n.Value)
		}
	}
	return all
}

func idTexts(ids []attest.PlatformID) []string {
	var all []string
	for _, id := range ids {
		all = append(all, document.Word(id.String()))
	}
	return all
}

func indexID(ids []attest.PlatformID, text string) int {
	id, err := attest.ParsePlatformID(text)
	return slices.IndexFunc(ids, func(o attest.PlatformID) bool { return err == nil && o == id })
}
