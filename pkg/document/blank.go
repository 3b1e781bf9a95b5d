package document

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
)

// blank is a placeholder of templates of the vendor's own tool, {{name}}, which that
// tool replaces wherever it stands. Names may have hyphens.
var blank = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\{\{( ?)([A-Za-z_][A-Za-z0-9_-]{0,127})( ?)\}\}`)
})

// standIn is what Blank writes for one: a word that is a legal name everywhere.
var standIn = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`Z-([A-Za-z_][A-Za-z0-9_-]{0,127}?)-Z`) })

// braced is ${NAME} as an item or a value within brackets, where braces are no YAML.
var braced = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`([\[,:][ \t]*)\$\{([A-Za-z_][A-Za-z0-9_]*)\}([ \t]*[\],}])`)
})

// Unbrace writes $NAME for ${NAME} that is an item of a list in brackets, or a value there,
// so that the text is YAML and its places stay.
func Unbrace(text []byte) []byte {
	if !bytes.Contains(text, []byte("${")) {
		return text // a search is much faster than the expression
	}
	for range 2 { // matches share the comma between them
		text = braced().ReplaceAll(text, []byte("$1$$$2  $3"))
	}
	return text
}

// Blank puts a word in the place of each {{name}} of a text, the same for the same name
// and as long as what it stands for, so that the text is YAML and its places stay. Where
// the text has such words of its own it is left as it is.
func Blank(text []byte) []byte {
	if !bytes.Contains(text, []byte("{{")) || standIn().Match(text) {
		return text
	}
	return blank().ReplaceAllFunc(text, func(found []byte) []byte {
		m := blank().FindSubmatch(found)
		word := "Z-" + string(m[2]) + "-Z"
		if Unblank(word) != "{{"+string(m[2])+"}}" {
			return found
		}
		return []byte(word + string(m[1]) + string(m[3]))
	})
}

// Unblank writes {{name}} again for what Blank put there.
func Unblank(text string) string { return standIn().ReplaceAllString(text, "{{$1}}") }

// Blanks are the placeholders of which a text, after Blank, has the words.
func Blanks(text string) []string {
	if !strings.Contains(text, "Z-") {
		return nil
	}
	var all []string
	for _, found := range standIn().FindAllString(text, -1) {
		all = append(all, Unblank(found))
	}
	return all
}

// variables are $NAME and ${NAME}, and before them what only looks like one.
var variables = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$\$[^$]*\$\$|\$\$|\$\{[A-Za-z_][A-Za-z0-9_]*\}|\$[A-Za-z_][A-Za-z0-9_]*`)
})

// Variables are the variables of a template that a text holds, as they are written.
func Variables(text string) []string {
	if !strings.Contains(text, "$") {
		return nil
	}
	var all []string
	for _, found := range variables().FindAllString(text, -1) {
		if !strings.HasPrefix(found, "$$") {
			all = append(all, found)
		}
	}
	return all
}
