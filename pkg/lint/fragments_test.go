package lint_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/session"
)

// parts are the places of a document at which a config-fragment may stand for what is
// there, as paths of keys; # is each item of a list.
func parts() [][]string {
	return [][]string{
		{"security"}, {"security", "attestation"}, {"security", "attestation", "tolerate"}, {"security", "attestation", "ignore_advisories"},
		{"security", "attestation", "trusted_scone_qe_pubkeys"},
		{"access_policy"}, {"access_policy", "read"}, {"access_policy", "update"}, {"access_policy", "create_sessions"}, {"access_policy", "list_sessions"},
		{"services", "#", "attestation"}, {"services", "#", "attestation", "mrenclave"}, {"services", "#", "attestation", "signer"}, {"services", "#", "platforms"},
	}
}

// under are the values at a path.
func under(n *yaml.Node, path []string) (found []**yaml.Node) {
	if len(path) == 0 {
		return nil
	}
	for i := range n.Content {
		item := path[0] == "#" && n.Kind == yaml.SequenceNode
		member := n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == path[0]
		switch {
		case !item && !member:
		case len(path) == 1:
			found = append(found, &n.Content[i])
		default:
			found = append(found, under(n.Content[i], path[1:])...)
		}
	}
	return found
}

func scalar(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }

func mapping(pairs ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, Content: pairs}
}

// plainTree reads a document of the newest language without comments, which are about places.
func plainTree(text []byte) *yaml.Node {
	var whole yaml.Node
	if yaml.Unmarshal(text, &whole) != nil || len(whole.Content) != 1 || whole.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	root := whole.Content[0]
	for _, version := range under(root, []string{"version"}) {
		*version = &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: "0.3.12"}
	}
	uncommented(root)
	return root
}

func uncommented(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment, n.Style = "", "", "", n.Style&^(yaml.LiteralStyle|yaml.FoldedStyle)
	for _, c := range n.Content {
		uncommented(c)
	}
}

// hidden is the document with one of its parts behind a fragment of its own; nil if it has
// no such part.
func hidden(text []byte, path []string, at int) []byte {
	root := plainTree(text)
	if root == nil {
		return nil
	}
	places := under(root, path)
	if at >= len(places) || (*places[at]).Tag == "!!null" {
		return nil
	}
	value := *places[at]
	*places[at] = scalar("$$SCONE::hidden-part$$")
	fragment := mapping(scalar("name"), scalar("hidden-part"), scalar("kind"), scalar("config-fragment"), scalar("value"), value)
	if secrets := under(root, []string{"secrets"}); len(secrets) > 0 {
		if (*secrets[0]).Kind != yaml.SequenceNode {
			*secrets[0] = &yaml.Node{Kind: yaml.SequenceNode}
		}
		(*secrets[0]).Content = append((*secrets[0]).Content, fragment)
	} else {
		root.Content = append(root.Content, scalar("secrets"), &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{fragment}})
	}
	out, err := yaml.Marshal(root)
	if err != nil {
		return nil
	}
	return out
}

// codesOf are what lint says of a document, without places. That an image may read one
// secret more says nothing of the policy, and a secret is called by where it is.
func codesOf(t *testing.T, s *session.Session) (all []string) {
	t.Helper()
	for _, p := range checkAll(t, s) {
		switch p.Code {
		case "CDB3004", "CDB3005":
		case "CDB3014":
			all = append(all, p.Code)
		default:
			all = append(all, fmt.Sprintf("%s %s", p.Code, p.Got))
		}
	}
	slices.Sort(all)
	return all
}

// hidesNothing moves each part of a document behind a fragment. It reports how many.
func hidesNothing(t *testing.T, text []byte) (moved int) {
	t.Helper()
	root := plainTree(text)
	if root == nil {
		return 0
	}
	inline, err := yaml.Marshal(root)
	if err != nil {
		return 0
	}
	plain, err := session.Parse("s.yaml", inline)
	if err != nil {
		return 0
	}
	want := codesOf(t, plain)
	for _, path := range parts() {
		for at := 0; ; at++ {
			other := hidden(text, path, at)
			if other == nil {
				break
			}
			s, err := session.Parse("s.yaml", other)
			if err != nil {
				t.Errorf("%v behind a fragment cannot be read: %v in\n%s", path, err, other)
				continue
			}
			if diff := cmp.Diff(want, codesOf(t, s)); diff != "" {
				t.Errorf("%v behind a fragment (-written +hidden):\n%s\n%s", path, diff, other)
			}
			moved++
		}
	}
	return moved
}

// What lint says of a policy that stands in the document, it says of the same policy behind
// a reference.
func TestFragmentsHideNothing(t *testing.T) {
	files, err := filepath.Glob("testdata/CDB*/bad*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(file, func(t *testing.T) { moved += hidesNothing(t, text) })
	}
	if moved < 300 {
		t.Errorf("only %d parts were moved", moved)
	}
}

func FuzzFragmentsHideNothing(f *testing.F) {
	for _, pattern := range []string{"testdata/CDB[124]*/*.yaml", "../session/testdata/valid/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: got %d files and error %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) { hidesNothing(t, text) })
}
