package session_test

import (
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/session"
)

// Order that means nothing makes no difference.
func TestEqualShuffled(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	for name, text := range documents(t, "valid") {
		t.Run(name, func(t *testing.T) {
			want, different := parse(t, text), 0
			for range 20 {
				var document yaml.Node
				if err := yaml.Unmarshal([]byte(text), &document); err != nil {
					t.Fatal(err)
				}
				shuffle(random, document.Content[0], "")
				shuffled, err := yaml.Marshal(document.Content[0])
				if err != nil {
					t.Fatal(err)
				}
				if !session.Equal(want, parse(t, string(shuffled))) {
					t.Fatalf("it differs from\n%s", shuffled)
				}
				if string(shuffled) != text {
					different++
				}
			}
			if different == 0 {
				t.Error("nothing was shuffled")
			}
		})
	}
}

// shuffle changes the order of all keys, and of all lists but those whose order
// means something.
func shuffle(random *rand.Rand, n *yaml.Node, key string) {
	strip(n)
	ordered := []string{"command", "san", "dns", "value", "secret_config"}
	switch {
	case n.Kind == yaml.MappingNode:
		pairs := len(n.Content) / 2
		random.Shuffle(pairs, func(i, j int) {
			n.Content[2*i], n.Content[2*j] = n.Content[2*j], n.Content[2*i]
			n.Content[2*i+1], n.Content[2*j+1] = n.Content[2*j+1], n.Content[2*i+1]
		})
		for i := range pairs {
			shuffle(random, n.Content[2*i], "")
			if k := n.Content[2*i].Value; !slices.Contains(ordered, k) {
				shuffle(random, n.Content[2*i+1], k)
			}
		}
	case n.Kind == yaml.SequenceNode && !slices.Contains(ordered, key):
		random.Shuffle(len(n.Content), func(i, j int) { n.Content[i], n.Content[j] = n.Content[j], n.Content[i] })
		for _, c := range n.Content {
			shuffle(random, c, "")
		}
	}
}

// strip removes what the encoder of the YAML package does not write properly:
// comments that move, and blocks that begin with blanks.
func strip(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		n.Style = yaml.DoubleQuotedStyle
	}
}

func TestEqualOrdered(t *testing.T) {
	const start = "version: '0.3.11'\nname: a\n"
	for name, c := range map[string][2]string{
		"command words":            {"services: [{name: s, command: [a, b]}]", "services: [{name: s, command: [b, a]}]"},
		"first alternative name":   {"secrets: [{name: k, kind: private-key}, {name: c, kind: x509, private_key: k, san: ['dns:a', 'dns:b']}]", "secrets: [{name: k, kind: private-key}, {name: c, kind: x509, private_key: k, san: ['dns:b', 'dns:a']}]"},
		"list of a fragment":       {"secrets: [{name: f, kind: config-fragment, value: [1, 2]}]", "secrets: [{name: f, kind: config-fragment, value: [2, 1]}]"},
		"two files of one path":    {"images: [{name: i, injection_files: [{path: /f, content: a}, {path: /f, content: b}]}]", "images: [{name: i, injection_files: [{path: /f, content: b}, {path: /f, content: a}]}]"},
		"nothing and all provided": {"images: [{name: i, provide_secrets: []}]", "images: [{name: i}]"},
		"a number and its text":    {"secrets: [{name: f, kind: config-fragment, value: 1}]", "secrets: [{name: f, kind: config-fragment, value: '1'}]"},
	} {
		if session.Equal(parse(t, start+c[0]), parse(t, start+c[1])) {
			t.Errorf("%s: no difference", name)
		}
	}
	for name, c := range map[string][2]string{
		"dns and san":            {"secrets: [{name: k, kind: private-key}, {name: c, kind: x509, private_key: k, dns: a}]", "secrets: [{name: k, kind: private-key}, {name: c, kind: x509, private_key: k, san: ['dns:a']}]"},
		"all of two and two":     {"access_policy: {read: [{require-all: [CREATOR, $$SCONE::r$$]}]}\nsecrets: [{name: r, kind: ascii}]", "access_policy: {read: [{require-at-least-2: [$$SCONE::r$$, CREATOR]}]}\nsecrets: [{name: r, kind: ascii}]"},
		"a URL and a mapping":    {"secrets: [{name: s, kind: ascii, export: /session=b}]", "secrets: [{name: s, kind: ascii, export: [{session: b}]}]"},
		"mrenclaves deprecated":  {"services: [{name: s, mrenclaves: [" + mrenclave + "]}]", "services: [{name: s, attestation: {mrenclave: " + mrenclave + "}}]"},
		"a list of one variant":  {"services: [{name: s, attestation: [{mrenclave: " + mrenclave + "}]}]", "services: [{name: s, attestation: {mrenclave: [" + mrenclave + "]}}]"},
		"isvsvn and its bounds":  {"services: [{name: s, attestation: {signer: {mrsigner: " + mrenclave + ", isvsvn: 3}}}]", "services: [{name: s, attestation: {signer: {mrsigner: " + mrenclave + ", isvsvn_min: 3, isvsvn_max: 3}}}]"},
		"a measurement twice":    {"services: [{name: s, attestation: {mrenclave: [" + mrenclave + ", " + mrenclave + "]}}]", "services: [{name: s, attestation: {mrenclave: " + mrenclave + "}}]"},
		"a relative and a whole": {"secrets: [{name: s, import: {session: ./b, secret: x}}]", "secrets: [{name: s, import: {session: a/b, secret: x}}]"},
	} {
		if !session.Equal(parse(t, start+c[0]), parse(t, start+c[1])) {
			t.Errorf("%s: they differ", name)
		}
	}
}

func TestEqualIgnoresCaseOfDigits(t *testing.T) {
	const tag = "00112233445566778899aabbccddeeff"
	text := documents(t, "valid")["everything"]
	upper := strings.ReplaceAll(strings.ReplaceAll(text, mrenclave, strings.ToUpper(mrenclave)), tag, strings.ToUpper(tag))
	if upper == text || !session.Equal(parse(t, text), parse(t, upper)) {
		t.Errorf("it differs from\n%s", upper)
	}
	const start = "version: '0.3.11'\nname: a\nsecrets: [{name: s, kind: "
	if !session.Equal(parse(t, start+"binary, value: ff}]"), parse(t, start+"binary, value: FF}]")) {
		t.Error("the bytes differ")
	}
	if session.Equal(parse(t, start+"ascii, value: ff}]"), parse(t, start+"ascii, value: FF}]")) {
		t.Error("the texts do not differ")
	}
}

// change is one change of a session.
type change struct {
	path  string
	apply func() (undo func())
}

// Each change of each field makes a difference, and testdata/valid/everything.yaml
// has each field.
func TestEqualNoticesEachChange(t *testing.T) {
	text := documents(t, "valid")["everything"]
	want, got := parse(t, text), parse(t, text)
	seen := map[string]bool{}
	all := changes(reflect.ValueOf(got).Elem(), "", seen)
	for _, c := range all {
		undo := c.apply()
		if session.Equal(want, got) {
			t.Errorf("%s makes no difference", c.path)
		}
		undo()
		if !session.Equal(want, got) {
			t.Fatalf("the test does not undo %s", c.path)
		}
	}
	missing := missingFields(reflect.TypeOf(session.Session{}), seen, map[reflect.Type]bool{})
	if len(missing) > 0 || len(all) < 100 {
		t.Errorf("%d changes; nobody changed %v", len(all), missing)
	}
}

// ignored are the fields that mean nothing, and those that are empty in a document
// that says everything itself.
func ignored() []string {
	return []string{"Session.Creator", "Session.Predecessor", "Service.AttestationIsList", "AccessPolicy.Fragment", "Security.Fragment", "Security.AttestationFragment"}
}

func changes(v reflect.Value, path string, seen map[string]bool) []change {
	if id, ok := v.Interface().(attest.PlatformID); ok {
		other := attest.PlatformIDFromQEID([16]byte{1})
		return []change{replace(v, path+" "+id.String(), reflect.ValueOf(other))}
	}
	switch v.Kind() {
	case reflect.Struct:
		var all []change
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := v.Type().Name() + "." + f.Name
			if !f.IsExported() || slices.Contains(ignored(), name) || f.Anonymous && v.Field(i).IsZero() {
				continue
			}
			seen[name] = seen[name] || !v.Field(i).IsZero()
			all = append(all, changes(v.Field(i), path+"."+f.Name, seen)...)
		}
		return all
	case reflect.Slice:
		return sliceChanges(v, path, seen)
	case reflect.Pointer:
		if v.IsNil() {
			return []change{replace(v, path+" written", reflect.New(v.Type().Elem()))}
		}
		return append(changes(v.Elem(), path, seen), replace(v, path+" removed", reflect.Zero(v.Type())))
	case reflect.Map:
		return []change{replace(v, path, reflect.ValueOf(map[string]string{"Z": "z"}))}
	case reflect.Interface:
		return []change{replace(v, path, reflect.ValueOf("other"))}
	case reflect.Array:
		return []change{replaceByte(v, path)}
	case reflect.String:
		return []change{replace(v, path, reflect.ValueOf(v.String()+"x").Convert(v.Type()))}
	case reflect.Bool:
		return []change{replace(v, path, reflect.ValueOf(!v.Bool()))}
	}
	return []change{replace(v, path, reflect.ValueOf(asInt(v)+1).Convert(v.Type()))}
}

func asInt(v reflect.Value) int64 {
	if v.CanInt() {
		return v.Int()
	}
	return int64(v.Uint())
}

func sliceChanges(v reflect.Value, path string, seen map[string]bool) []change {
	var all []change
	for i := range v.Len() {
		all = append(all, changes(v.Index(i), path+"[]", seen)...)
	}
	if v.Len() > 0 {
		shorter := reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, 0), v.Slice(0, v.Len()-1))
		all = append(all, replace(v, path+" shorter", shorter))
	}
	longer := reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, 0), v)
	return append(all, replace(v, path+" longer", reflect.Append(longer, reflect.Zero(v.Type().Elem()))))
}

func replace(v reflect.Value, path string, by reflect.Value) change {
	return change{path, func() func() {
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		v.Set(by)
		return func() { v.Set(old) }
	}}
}

func replaceByte(v reflect.Value, path string) change {
	other := reflect.New(v.Type()).Elem()
	other.Set(v)
	other.Index(31).SetUint(other.Index(31).Uint() ^ 1)
	return replace(v, path, other)
}

// missingFields are those that the document left empty everywhere.
func missingFields(t reflect.Type, seen map[string]bool, visited map[reflect.Type]bool) []string {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return missingFields(t.Elem(), seen, visited)
	case reflect.Struct:
	default:
		return nil
	}
	if visited[t] || t == reflect.TypeOf(attest.PlatformID{}) {
		return nil
	}
	visited[t] = true
	var missing []string
	for i := range t.NumField() {
		f := t.Field(i)
		if name := t.Name() + "." + f.Name; f.IsExported() && !seen[name] && !slices.Contains(ignored(), name) {
			missing = append(missing, name)
		}
		if f.IsExported() {
			missing = append(missing, missingFields(f.Type, seen, visited)...)
		}
	}
	return missing
}
