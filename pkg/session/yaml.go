package session

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// maxDocument bounds a document, in bytes.
	maxDocument = 1 << 20
	// maxDepth bounds how deep values are nested.
	maxDepth = 64
)

// document reads the YAML and returns the document node, or nil after a problem
// that makes looking for further ones pointless.
func (p *problems) document(text []byte) *yaml.Node {
	if !p.characters(text) {
		return nil
	}
	var first, second yaml.Node
	stream := yaml.NewDecoder(bytes.NewReader(text))
	err := stream.Decode(&first)
	switch {
	case errors.Is(err, io.EOF), err == nil && len(first.Content) != 1:
		p.at(1, 1, "", "the document is empty")
		return nil
	case err != nil:
		p.syntax(err)
		return nil
	}
	switch err := stream.Decode(&second); {
	case err == nil:
		p.fail(&second, "", "got a second document, want one").Advice = "put it into a file of its own"
		return nil
	case !errors.Is(err, io.EOF):
		p.syntax(err)
		return nil
	}
	p.plain(first.Content[0], 0)
	if len(p.all) > 0 {
		return nil
	}
	return &first
}

// characters refuses text in which lines are not what they look like.
func (p *problems) characters(text []byte) bool {
	switch {
	case len(text) > maxDocument:
		p.at(1, 1, "", "got %d bytes, want at most %d", len(text), maxDocument)
		return false
	case !utf8.Valid(text):
		p.at(1, 1, "", "got bytes that are not UTF-8")
		return false
	case bytes.HasPrefix(text, []byte("\ufeff")):
		p.at(1, 1, "", "got a byte order mark, want text that begins at once")
		return false
	}
	for i, line := range strings.Split(string(text), "\n") {
		if at := strings.IndexAny(strings.TrimSuffix(line, "\r"), "\r\u0085\u2028\u2029"); at >= 0 {
			p.at(i+1, utf8.RuneCountInString(line[:at])+1, "", "got a line break other than LF or CR LF")
			return false
		}
	}
	return true
}

func (p *problems) syntax(err error) {
	line := 1
	if found := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error()); found != nil {
		line, _ = strconv.Atoi(found[1]) // digits, as the expression says
	}
	p.at(line, 1, "", "%s", strings.TrimPrefix(err.Error(), "yaml: "))
}

// plain refuses what makes a value something else than what is written at its
// place: aliases and tags. It also bounds the depth.
func (p *problems) plain(n *yaml.Node, depth int) {
	usual := []string{"!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!merge", "!!map", "!!seq"}
	switch {
	case depth > maxDepth:
		p.fail(n, "", "got values nested more than %d deep", maxDepth)
		return
	case n.Kind == yaml.AliasNode:
		p.fail(n, "", "got an alias, which sessions do not use")
	case !slices.Contains(usual, n.Tag):
		p.fail(n, "", "got the tag %q, which sessions do not use", clip(n.Tag))
	}
	for _, c := range n.Content {
		p.plain(c, depth+1)
	}
}
