// Package render fills in the variables of session templates, as the SCONE CLI does,
// such that a value stays a value: what would change the document is refused. It does
// no I/O.
package render

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/session"
)

// Session replaces $NAME and ${NAME} in the values of a template, as the SCONE CLI
// does with --use-env and -e. $$SCONE::…$$, \@\@NAME and @@1 stay as they are, and
// so does everything else, comments included. What is wrong with it, such as the
// variables that lookup does not know, is a *document.Errors. newName, unless empty,
// replaces the name of the session afterwards.
//
// lookup is asked for {{name}}, with its braces, too: so other tools of the vendor write
// what they replace, keys of mappings included. If it knows one it must know all; if not
// they stay, as programs have such texts of their own.
//
// A value stays one value, whatever it holds. The exception is a list that
// consists of one variable only, as in platforms: [$PLATFORMS]: there a value of
// several words, separated by commas or white space and perhaps in brackets,
// becomes several items.
func Session(file string, template []byte, lookup func(string) (string, bool), newName string) ([]byte, error) {
	r := newRenderer(file, template, lookup)
	return r.render(newName)
}

// Unfilled is Session for whoever looks at a template without all of its values: what
// lookup does not know stays, with the words of document.Blank for {{name}}. A text that can
// hold no variable is not even read: what is wrong with it is for its reader to say.
func Unfilled(file string, template []byte, lookup func(string) (string, bool)) ([]byte, error) {
	r := newRenderer(file, template, lookup)
	r.partial = true
	if blanked := document.Blank(r.template); !bytes.Equal(blanked, r.template) {
		r.template, r.blanked = blanked, true
	}
	if !r.blanked && plain(r.template) {
		return r.template, nil
	}
	return r.render("")
}

// readable is a template as YAML: a variable in braces within brackets is written without
// them, if the text cannot be read otherwise.
func readable(template []byte) []byte {
	plain := document.Unbrace(template)
	if bytes.Equal(plain, template) || new(document.Problems).Read(document.Blank(template), document.Gate{}) != nil {
		return template
	}
	return plain
}

func newRenderer(file string, template []byte, lookup func(string) (string, bool)) *renderer {
	template = readable(template)
	r := &renderer{Problems: document.Problems{File: file}, lookup: lookup, template: template}
	blanked := document.Blank(template)
	if bytes.Equal(blanked, template) {
		return r
	}
	r.blanked = slices.ContainsFunc(document.Blanks(string(blanked)), func(name string) bool { _, ok := lookup(name); return ok })
	if !r.blanked { // it stays what it is, unless that is no YAML
		trial := document.Problems{File: file}
		r.blanked = trial.Read(template, document.Gate{}) == nil
	}
	if r.blanked {
		r.template = blanked
	}
	return r
}

func (r *renderer) render(newName string) ([]byte, error) {
	r.src = document.NewSource(document.WithoutMark(r.template))
	whole := r.Read(r.template, document.Gate{})
	if whole == nil {
		return nil, r.Err()
	}
	root := whole.Content[0]
	document.Walk(root, r.entry)
	if r.Count() > 0 {
		return nil, r.Err()
	}
	if newName != "" {
		r.rename(root, newName)
	}
	text := r.apply()
	if r.blanked && !r.partial { // those in comments
		text = []byte(document.Unblank(string(text)))
	}
	if newName == "" && !r.blanked && bytes.Equal(text, r.template) && plain(text) {
		return text, nil
	}
	if rendered := r.Read(text, document.Gate{}); rendered != nil {
		r.compare(root, rendered.Content[0], "")
	}
	if r.Count() > 0 {
		return nil, r.Err()
	}
	return text, nil
}

// plain reports whether no value can hold a variable: dollars stand in pairs only, and nothing
// is written with a backslash.
func plain(text []byte) bool {
	return !bytes.ContainsRune(text, '\\') && !bytes.ContainsRune(bytes.ReplaceAll(text, []byte("$$"), nil), '$')
}

type renderer struct {
	document.Problems
	lookup func(string) (string, bool)
	// template is the text, in which words stand for {{name}}.
	template []byte
	src      document.Source
	edits    []edit
	// blanked means that template has such words, partial that nothing needs a value.
	blanked, partial bool
	// newName is the value of the name in the end, if it was replaced.
	newName string
}

// edit replaces text on one line, perhaps by several. Both count from 0, columns in bytes.
type edit struct {
	line, column, length int
	text                 string
}

// variable is compiled once: a document has many values.
var variable = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$\$[^$]*\$\$|\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)`)
})

// reference is a variable in a text: its place there, and its name.
type reference struct {
	from, to int
	name     string
}

// references are the variables of a text, in its order: those of the vendor's other tool
// within $$SCONE::…$$ as well.
func (r *renderer) references(text string) []reference {
	var all []reference
	at := 0
	for _, name := range r.blanks(text) {
		word := string(document.Blank([]byte(name)))
		at += strings.Index(text[at:], word)
		all = append(all, reference{at, at + len(word), name})
		at += len(word)
	}
	braces := len(all)
	for _, m := range variable().FindAllStringSubmatchIndex(text, -1) {
		// after a dollar, what stands for braces is no name
		within := slices.ContainsFunc(all[:braces], func(b reference) bool { return m[0] < b.to && b.from < m[1] })
		if name := group(text, m, 1) + group(text, m, 2); name != "" && !within {
			all = append(all, reference{m[0], m[1], name})
		}
	}
	slices.SortFunc(all, func(a, b reference) int { return a.from - b.from })
	return all
}

// blanks are the {{name}} of a text that are replaced.
func (r *renderer) blanks(text string) []string {
	if !r.blanked {
		return nil
	}
	return document.Blanks(text)
}

// holdsOne reports whether a text is a variable and nothing else.
func (r *renderer) holdsOne(text string) bool {
	all := r.references(text)
	return len(all) == 1 && all[0].from == 0 && all[0].to == len(text)
}

// ofKey are the references of the key of a mapping: {{name}} only.
func (r *renderer) ofKey(text string) []reference {
	return slices.DeleteFunc(r.references(text), func(found reference) bool { return found.name[0] != '{' })
}

// entry replaces the variables of one value, and of its key, line by line in the source.
func (r *renderer) entry(e document.Entry) {
	if e.Key != nil && len(r.ofKey(e.Key.Value)) > 0 {
		key := document.Entry{Value: e.Key, Path: e.Path}
		r.src.Parts(r.src.Scalar(e.Key, e.Indent), func(line int, m document.Mask) {
			for _, found := range r.ofKey(r.src[line][m.From:m.To]) {
				r.replace(key, line, m, found, false)
			}
		})
	}
	if e.Value.Kind != document.Scalar || len(r.references(e.Value.Value)) == 0 {
		return
	}
	whole := r.holdsOne(e.Value.Value)
	r.src.Parts(r.src.Scalar(e.Value, e.Indent), func(line int, m document.Mask) {
		for _, found := range r.references(r.src[line][m.From:m.To]) {
			r.replace(e, line, m, found, e.Alone && whole)
		}
	})
}

func (r *renderer) replace(e document.Entry, line int, m document.Mask, found reference, list bool) {
	value, ok := r.lookup(found.name)
	switch {
	case ok:
		r.edits = append(r.edits, edit{line, m.From + found.from, found.to - found.from, r.lines(e, r.src[line], value, list)})
	case !r.partial:
		r.missing(e, line, len([]rune(r.src[line][:m.From+found.from]))+1, found.name)
	}
}

// lines makes a value fit where the variable stands. Where line breaks mean themselves
// each line gets the indentation of the first, which compare sees is right.
func (r *renderer) lines(e document.Entry, first, value string, list bool) string {
	if e.Value.Style&document.Literal == 0 {
		return r.quote(e.Value, e.Path, value, list)
	}
	all := strings.Split(value, "\n")
	for i, line := range all {
		all[i] = r.quote(e.Value, e.Path, line, list)
	}
	return strings.Join(all, "\n"+first[:len(first)-len(strings.TrimLeft(first, " "))])
}

func (r *renderer) missing(e document.Entry, line, column int, name string) {
	e.Path = document.Unblank(e.Path)
	written, advice := "variable $"+name, fmt.Sprintf("give it with -e %s=VALUE, or have variables taken from the environment", name)
	if name[0] == '{' {
		written, advice = name, fmt.Sprintf("give it with {session create --set %s=VALUE}", strings.Trim(name, "{}"))
	}
	r.At(line+1, column, "", "%s: Value for %s is missing at line %d column %d", e.Path, written, line+1, column).Advice = advice
}

func group(text string, m []int, n int) string {
	if m[2*n] < 0 {
		return ""
	}
	return text[m[2*n]:m[2*n+1]]
}

// safe are the characters that mean themselves in every YAML style.
var safe = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_./~+=:-]*$`) })

// listItems are the words of a value that becomes several items.
func listItems(value string) []string {
	return strings.FieldsFunc(strings.Trim(strings.TrimSpace(value), "[]"), func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
}

// quote makes a value fit where the variable stands, or refuses it.
func (r *renderer) quote(n *document.Node, path, value string, list bool) string {
	if list {
		words := listItems(value)
		if len(words) == 0 {
			r.Fail(n, path, "the variable holds no value")
		}
		for i, w := range words {
			words[i] = r.quote(n, path, w, false)
		}
		separator := ", "
		switch {
		case n.Style&document.DoubleQuoted != 0:
			separator = `", "`
		case n.Style&document.SingleQuoted != 0:
			separator = `', '`
		}
		return strings.Join(words, separator)
	}
	breaks := strings.ContainsFunc(value, needsEscape)
	switch {
	case n.Style&document.DoubleQuoted != 0:
		return escape(value)
	case n.Style&document.SingleQuoted != 0 && !breaks:
		return strings.ReplaceAll(value, "'", "''")
	case n.Style&(document.Literal|document.Folded) != 0 && !breaks:
		return value
	case safe().MatchString(value) && value != "" && !strings.HasSuffix(value, ":"):
		return value
	}
	r.changes(n, path)
	return ""
}

// needsEscape reports whether a character can be in a document as an escape only.
func needsEscape(r rune) bool {
	return r != '\t' && document.Invisible(r) || strings.ContainsRune("\u2028\u2029\ufeff", r)
}

// escape writes a value as it stands between double quotes.
func escape(value string) string {
	text := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\u0085", `\N`, "\u2028", `\L`, "\u2029", `\P`, "\ufeff", `\uFEFF`).Replace(value)
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		if unicode.Is(unicode.Bidi_Control, r) {
			fmt.Fprintf(&b, `\u%04X`, r)
		} else {
			b.WriteString(text[:size])
		}
		text = text[size:]
	}
	return b.String()
}

// changes is the problem of a value that would become structure. It may be a
// secret, so it is not shown.
func (r *renderer) changes(n *document.Node, path string) {
	r.Fail(n, path, "the value of the variable would change the document here: put the variable between double quotes")
}

// compare sees that each value of the rendered document is that of the template
// with its variables replaced, and nothing else.
func (r *renderer) compare(before, after *document.Node, path string) {
	if before.Kind != after.Kind {
		r.changes(before, path)
		return
	}
	if before.Kind == document.Scalar {
		if want := r.expand(before.Value, r.references(before.Value)); path == "name" && r.newName != "" {
			return
		} else if want != after.Value {
			r.changes(before, path)
		}
		return
	}
	if r.compareList(before, after, path) {
		return
	}
	if len(before.Content) != len(after.Content) {
		r.changes(before, path)
		return
	}
	for i, n := range before.Content {
		at := path
		switch {
		case before.Kind == document.List:
			at = document.Item(path, i)
		case i%2 == 0:
			if r.expand(n.Value, r.ofKey(n.Value)) != after.Content[i].Value || n.Kind != after.Content[i].Kind {
				r.changes(n, path)
			}
			continue
		default:
			at = document.Member(path, before.Content[i-1].Value)
		}
		r.compare(n, after.Content[i], at)
	}
}

// compareList is for a list that consists of one variable: its value are the items.
func (r *renderer) compareList(before, after *document.Node, path string) bool {
	if before.Kind != document.List || before.Style&document.Flow == 0 || len(before.Content) != 1 {
		return false
	}
	item := before.Content[0]
	if item.Kind != document.Scalar || !r.holdsOne(item.Value) {
		return false
	}
	words := listItems(r.expand(item.Value, r.references(item.Value)))
	if len(words) != len(after.Content) {
		r.changes(item, path)
		return true
	}
	for i, w := range words {
		if after.Content[i].Kind != document.Scalar || after.Content[i].Value != w {
			r.changes(item, path)
		}
	}
	return true
}

// expand replaces the variables of a text that have values.
func (r *renderer) expand(text string, all []reference) string {
	var out strings.Builder
	at := 0
	for _, found := range all {
		value, ok := r.lookup(found.name)
		if !ok {
			value = text[found.from:found.to]
			if !r.partial {
				value = document.Unblank(value)
			}
		}
		out.WriteString(text[at:found.from] + value)
		at = found.to
	}
	return out.String() + text[at:]
}

// rename replaces the value of the name at the top of the document.
func (r *renderer) rename(root *document.Node, newName string) {
	_, n := document.Lookup(root, "name")
	switch {
	case n == nil:
		r.Fail(root, "name", "it is missing, so there is no name to replace")
		return
	case !regexp.MustCompile(session.NamePattern).MatchString(newName):
		r.Fail(n, "name", "got %q, want %s", document.Clip(newName), session.NameWords)
		return
	case n.Kind != document.Scalar:
		r.Fail(n, "name", "got %s, want a value", document.KindOf(n))
		return
	}
	p := r.src.Scalar(n, -1)
	if p.Line != p.EndLine {
		r.Fail(n, "name", "got a name of several lines, want one")
		return
	}
	kept := r.edits[:0]
	for _, e := range r.edits {
		if e.line != p.Line || e.column < p.Column || e.column >= p.EndColumn {
			kept = append(kept, e)
		}
	}
	r.edits = append(kept, edit{p.Line, p.Column, p.EndColumn - p.Column, document.Word(newName)})
	r.newName = newName
}

func (r *renderer) apply() []byte {
	sort.SliceStable(r.edits, func(i, j int) bool {
		a, b := r.edits[i], r.edits[j]
		return a.line > b.line || a.line == b.line && a.column > b.column
	})
	for _, e := range r.edits {
		l := r.src[e.line]
		r.src[e.line] = l[:e.column] + e.text + l[e.column+e.length:]
	}
	return r.src.Text()
}
