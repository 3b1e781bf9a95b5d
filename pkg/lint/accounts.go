package lint

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/confidb/confidb/pkg/layout"
)

// written is a text of a session that may hold SQL or a secret, and where it is.
type written struct {
	path, what, text string
	// image is that of the services that read the text.
	image string
	// file means that it is the content of an injected file.
	file bool
}

// written are the texts of commands, variables and injected files.
func (in *input) written() []written {
	var all []written
	for i, s := range in.Services {
		for _, word := range s.Command {
			all = append(all, written{path: service(i) + ".command", what: "the command of service " + s.Name, text: word, image: s.ImageName})
		}
		for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
			all = append(all, written{path: service(i) + ".environment." + name, what: "variable " + name, text: s.Environment[name], image: s.ImageName})
		}
	}
	for i, image := range in.Images {
		for j, f := range image.InjectionFiles {
			if f.Content != nil {
				all = append(all, written{path: fmt.Sprintf("images[%d].injection_files[%d].content", i, j), what: f.Path, text: *f.Content, image: image.Name, file: true})
			}
		}
	}
	return all
}

var accountStatement = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:CREATE\s+(?:OR\s+REPLACE\s+)?USER|ALTER\s+USER|GRANT)\s`)
})

// sql is the part of a text that may be SQL. In a word of a command, or in a variable, it
// may begin anywhere.
func (w written) sql() string {
	if w.file {
		return w.text
	}
	at := accountStatement().FindStringIndex(w.text)
	if at == nil {
		return ""
	}
	return w.text[at[0]:]
}

// findOpenAccounts finds accounts that can be used without TLS: they have no REQUIRE, and
// a database to which their statements go is not behind the network shield with client
// authentication, where no account can have one.
func findOpenAccounts(in *input) []hit {
	var hits []hit
	guarded := map[string]bool{}
	for _, w := range in.written() {
		accounts := layout.OpenAccounts(w.sql())
		if len(accounts) == 0 {
			continue
		}
		if _, asked := guarded[w.image]; !asked {
			guarded[w.image] = in.Guards(w.image)
		}
		if guarded[w.image] {
			continue
		}
		for _, account := range accounts {
			hits = append(hits, hit{path: w.path, got: fmt.Sprintf("%s: %.60s without REQUIRE", w.what, account)})
		}
	}
	return hits
}
