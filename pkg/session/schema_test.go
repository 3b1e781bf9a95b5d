package session_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/session"
)

func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(session.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("session.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("session.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestSchemaGolden(t *testing.T) {
	file := filepath.Join("testdata", "session.schema.json")
	if *update {
		if err := os.WriteFile(file, session.Schema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(session.Schema())); diff != "" {
		t.Errorf("go test ./pkg/session -update writes it (-want +got):\n%s", diff)
	}
}

// An editor accepts what Parse accepts, and marks each unknown key.
func TestSchemaOfValidDocuments(t *testing.T) {
	s := schema(t)
	for name, text := range documents(t, "valid") {
		t.Run(name, func(t *testing.T) {
			if err := s.Validate(value(t, text)); err != nil {
				t.Error(err)
			}
			for _, other := range withUnknownKeys(t, text) {
				if s.Validate(value(t, other)) == nil {
					t.Errorf("the schema accepts\n%s", other)
				}
				if _, err := session.Parse("s.yml", []byte(other)); err == nil {
					t.Errorf("Parse accepts\n%s", other)
				}
			}
		})
	}
}

// Of the invalid documents, the schema finds those that need one look at one place.
func TestSchemaOfInvalidDocuments(t *testing.T) {
	s := schema(t)
	for _, name := range []string{"no-version", "old-version", "future-version", "long-part", "misspelt", "misplaced", "policy-word", "volume-files", "relative-path", "tolerance", "advisory", "quoted-flag", "no-name", "fspf-key"} {
		text, ok := documents(t, "invalid")[name]
		if name == "no-name" {
			text, ok = "version: '0.3'\n", true
		}
		if !ok || s.Validate(value(t, text)) == nil {
			t.Errorf("the schema accepts %s", name)
		}
	}
}

// value is a document as an editor sees it.
func value(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// withUnknownKeys adds an unknown key to each object of a document, one at a time.
func withUnknownKeys(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	for i := 0; ; i++ {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(text), &document); err != nil {
			t.Fatal(err)
		}
		stripAll(&document)
		count := 0
		if !addKey(document.Content[0], i, &count) {
			return all
		}
		var out strings.Builder
		if err := yaml.NewEncoder(&out).Encode(document.Content[0]); err != nil {
			t.Fatal(err)
		}
		all = append(all, out.String())
	}
}

func stripAll(n *yaml.Node) {
	strip(n)
	for _, c := range n.Content {
		stripAll(c)
	}
}

func addKey(n *yaml.Node, at int, count *int) bool {
	if n.Kind == yaml.MappingNode {
		if *count == at {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "unheard-of"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "1"})
			*count++
			return true
		}
		*count++
	}
	for i, c := range n.Content {
		free := []string{"environment", "value", "secret_config", "payload"} // any key is good there
		if n.Kind == yaml.MappingNode && (i%2 == 0 || strings.Contains(strings.Join(free, " "), n.Content[i-1].Value)) {
			continue
		}
		if addKey(c, at, count) {
			return true
		}
	}
	return false
}
