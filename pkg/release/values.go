package release

import (
	"fmt"
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
// making the maps on the way. It refuses to replace anything else by a map.
func SetPath(values map[string]any, path string, value any) error {
	keys := strings.Split(path, ".")
	at := values
	for i, key := range keys[:len(keys)-1] {
		if at[key] == nil {
			at[key] = map[string]any{}
		}
		next, ok := at[key].(map[string]any)
		if !ok {
			return fmt.Errorf("setting value %s: got %T at %s, want a map", path, at[key], strings.Join(keys[:i+1], "."))
		}
		at = next
	}
	at[keys[len(keys)-1]] = value
	return nil
}
