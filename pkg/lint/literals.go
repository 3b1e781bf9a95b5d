package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/leaks"
	"github.com/confidb/confidb/pkg/session"
)

// leaf is a text in a part of a policy that is a secret, and the key before it.
type leaf struct{ key, text string }

// leaves are the texts of a value as encoding/json would read it.
func leaves(key string, value any) []leaf {
	var all []leaf
	switch v := value.(type) {
	case string:
		all = append(all, leaf{key, v})
	case []any:
		for _, one := range v {
			all = append(all, leaves(key, one)...)
		}
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			all = append(all, leaves(k, v[k])...)
		}
	}
	return all
}

// findWrittenSecrets leaves the keys of volumes to a rule of their own.
func findWrittenSecrets(in *input) []hit {
	var hits []hit
	for _, written := range session.WrittenSecrets(in.Session) {
		if path := in.writtenPath(written); !strings.HasPrefix(path, "volumes") {
			hits = append(hits, hit{path: path, got: written + " with its value"})
		}
	}
	return append(hits, in.literals()...)
}

// literals finds the secrets that are written elsewhere than in the list of secrets.
func (in *input) literals() []hit {
	var hits []hit
	l := leaks.NewReader()
	add := func(path, what string, found []string) {
		slices.Sort(found)
		for _, f := range slices.Compact(found) {
			hits = append(hits, hit{path: path, got: fmt.Sprintf("%s with %s", what, f)})
		}
	}
	for i, s := range in.Services {
		var found []string
		for _, word := range s.Command {
			found = append(found, l.In(word)...)
		}
		add(service(i)+".command", "the command of service "+s.Name, append(found, leaks.Arguments(s.Command)...))
	}
	for _, w := range in.written() {
		switch name, isVariable := strings.CutPrefix(w.what, "variable "); {
		case w.file:
			add(w.path, w.what, l.In(w.text))
		case isVariable:
			found := l.In(w.text)
			if plain, host := session.HostVariable(name); !host && leaks.SecretName(plain) && plain != "PWD" && leaks.Literal(plain, w.text) {
				found = append(found, "its value")
			}
			add(w.path, w.what, found)
		}
	}
	for i, s := range in.Secrets {
		var found, words []string
		for _, f := range leaves("", s.Fragment) {
			words = append(words, f.text)
			found = append(found, l.In(f.text)...)
			if leaks.SecretName(f.key) && leaks.Literal(f.key, f.text) {
				found = append(found, "the value of "+fmt.Sprintf("%.60s", f.key))
			}
		}
		found = append(found, leaks.Arguments(words)...)
		if s.Value != nil && !slices.Contains(confidential(), s.Kind) {
			found = append(found, l.In(*s.Value)...)
		}
		add(secretPath(i)+".value", s.Name, found)
	}
	return hits
}

// findReadableSecrets finds what is written in a session that anybody may read.
func findReadableSecrets(in *input) []hit {
	policy := in.applied.input.AccessPolicy
	if !slices.ContainsFunc(policy.Read, func(r session.AccessRule) bool { return r.Any(session.AccessAny) }) {
		return nil
	}
	return findWrittenSecrets(in)
}
