package release

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/cli/values"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/strvals"
)

// fetchTimeout bounds the fetching of one file of values, as with Helm.
const fetchTimeout = getter.DefaultHTTPTimeout * time.Second

// MergeValues reads values as Helm's flags --values, --set, --set-string,
// --set-file and --set-json give them, the later ones winning as with Helm. A
// file may be "-" for the standard input or an http(s) URL.
func MergeValues(files []string, set, setString, setFile, setJSON []string) (map[string]any, error) {
	for _, text := range setJSON {
		// Helm's own message would repeat the whole value.
		if err := strvals.ParseJSON(text, map[string]any{}); err != nil {
			key, _, ok := strings.Cut(text, "=")
			if !ok {
				key = "without ="
			}
			return nil, fmt.Errorf("reading values: --set-json %s: want key=JSON", key)
		}
	}
	options := values.Options{ValueFiles: files, Values: set, StringValues: setString, FileValues: setFile, JSONValues: setJSON}
	merged, err := options.MergeValues(getter.Providers{{
		Schemes: []string{"http", "https"},
		New: func(options ...getter.Option) (getter.Getter, error) {
			return getter.NewHTTPGetter(append(options, getter.WithTimeout(fetchTimeout))...)
		},
	}})
	if err != nil {
		var secrets []string
		for _, file := range files {
			secrets = append(secrets, secretsOf(file)...)
		}
		return nil, fmt.Errorf("reading values: %w", conceal(err, longestFirst(secrets)))
	}
	return merged, nil
}

// SetPath sets the value at a path of keys such as "scone.attestation.cas",
// making the maps on the way. It refuses to replace anything else by a map. An item of a
// list that is there is named by its number: "primary.extraEnvVars[0].value".
func SetPath(values map[string]any, path string, value any) error {
	steps, err := stepsOf(path)
	if err != nil {
		return err
	}
	var at any = values
	for i, s := range steps[:len(steps)-1] {
		if m, ok := at.(map[string]any); ok && s.index < 0 && m[s.key] == nil && steps[i+1].index < 0 {
			m[s.key] = map[string]any{}
		}
		next, ok := s.in(at)
		if !ok {
			return fmt.Errorf("setting value %s: there is nothing at %s", path, written(steps[:i+1]))
		}
		at = next
	}
	last := steps[len(steps)-1]
	switch at := at.(type) {
	case map[string]any:
		if last.index < 0 {
			at[last.key] = value
			return nil
		}
	case []any:
		if last.index >= 0 && last.index < len(at) {
			at[last.index] = value
			return nil
		}
	}
	want := "a map"
	if last.index >= 0 {
		want = fmt.Sprintf("a list with an item %d", last.index)
	}
	return fmt.Errorf("setting value %s: got %T at %s, want %s", path, at, written(steps[:len(steps)-1]), want)
}

// HasPath reports whether values have something at a path, perhaps null.
func HasPath(values map[string]any, path string) bool {
	_, ok := at(values, path)
	return ok
}

// at is what values have at a path, and whether they have anything, perhaps null.
func at(values map[string]any, path string) (found any, ok bool) {
	steps, err := stepsOf(path)
	if err != nil {
		return nil, false
	}
	found = values
	for _, s := range steps {
		if found, ok = s.in(found); !ok {
			return nil, false
		}
	}
	return found, true
}

// step is one part of a path: a key, or the number of an item if it is not below zero.
type step struct {
	key   string
	index int
}

// in is what a step leads to, and whether there is anything.
func (s step) in(at any) (any, bool) {
	switch at := at.(type) {
	case map[string]any:
		value, ok := at[s.key]
		return value, ok && s.index < 0
	case []any:
		if s.index >= 0 && s.index < len(at) {
			return at[s.index], true
		}
	}
	return nil, false
}

// stepsOf reads a path.
func stepsOf(path string) ([]step, error) {
	var steps []step
	for _, part := range strings.Split(path, ".") {
		key, rest, _ := strings.Cut(part, "[")
		if key == "" {
			return nil, fmt.Errorf("value %.100q: want KEY.KEY or KEY[NUMBER].KEY", path)
		}
		steps = append(steps, step{key, -1})
		if rest == "" && key == part {
			continue
		}
		for _, item := range strings.Split(rest, "[") {
			digits, closed := strings.CutSuffix(item, "]")
			index, err := strconv.Atoi(digits)
			if !closed || err != nil || index < 0 {
				return nil, fmt.Errorf("value %.100q: want KEY.KEY or KEY[NUMBER].KEY", path)
			}
			steps = append(steps, step{"", index})
		}
	}
	return steps, nil
}

// written writes a path.
func written(steps []step) string {
	var text string
	for _, s := range steps {
		switch {
		case s.index >= 0:
			text += fmt.Sprintf("[%d]", s.index)
		case text != "":
			text += "." + s.key
		default:
			text = s.key
		}
	}
	return text
}
