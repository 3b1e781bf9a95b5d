package platform_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

const (
	qeA  = "85ffc69266c833546e5dca1c676a6151"
	qeB  = "eee9e58de65548e3778f4d5e42e30345"
	idA  = "INTEL_QE_ID:" + qeA
	idB  = "INTEL_QE_ID:" + qeB
	keyA = "2C45C8294D491808AA9B2A6BCA01B8E185FFC69266C833546E5DCA1C676A6151"
	keyB = "126C8098408FEB2002F5EB8B9E6C2AE26197E3617875633C5BD4EB4454278C34"
)

func parse(t testing.TB, text string) attest.PlatformID {
	t.Helper()
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func texts(ids []attest.PlatformID) []string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, id.String())
	}
	return texts
}

func TestParseList(t *testing.T) {
	for name, text := range map[string]string{
		"commas":          idA + "," + idB,
		"lines":           idA + "\n" + idB + "\n",
		"spaces":          "  " + idA + " \t " + idB,
		"commas, spaces":  idA + ", " + idB,
		"brackets":        "[" + idA + "," + idB + "]",
		"session":         "platforms: [" + idA + ", " + idB + "]\n",
		"session, tight":  "platforms:[" + idA + "," + idB + "]",
		"session, lines":  "platforms:\n  - " + idA + "\n  - " + idB + "\n",
		"session, quotes": `platforms: ["` + idA + `",'` + idB + `']`,
		"Windows":         idA + "\r\n" + idB + "\r\n",
	} {
		ids, err := platform.ParseList(text)
		if diff := cmp.Diff([]string{idA, idB}, texts(ids)); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestParseListRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":         {"", "empty"},
		"blanks":          {" \n", "empty"},
		"brackets only":   {"[]", "empty"},
		"session only":    {"platforms: []", "empty"},
		"SCONE 7's trap":  {"platforms: [null]", `"null"`},
		"no prefix":       {qeA, "INTEL_QE_ID: and 32"},
		"second is wrong": {idA + ",x", "item 2"},
		"half brackets":   {"[" + idA, "only one of [ and ]"},
		"other half":      {idA + "]", "only one of [ and ]"},
		"a secret":        {"$$SCONE::platform$$", "64 hexadecimal digits"},
		"a dash in [":     {"[-, " + idA + "]", `"-"`},
		"another key":     {"services: [" + idA + "]", "only one of"},
		"lower prefix":    {strings.ToLower(idA), "64 hexadecimal digits"},
	} {
		ids, err := platform.ParseList(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || ids != nil {
			t.Errorf("%s: got %v and %v, want %q", name, ids, err, c.want)
		}
	}
}

func TestParseFile(t *testing.T) {
	for name, text := range map[string]string{
		"lines":     "# ours\n\nn1 " + idA + "\n  n2\t" + idB + " # rack 2\n",
		"YAML":      "---\nn1: " + idA + "\n\n\"n2\": '" + idB + "'\n",
		"JSON":      "{\"n1\": \"" + idA + "\",\n\n\t\"n2\": \"" + idB + "\"}\n",
		"JSON long": "{\n\t\"n1\": \"" + idA + "\",\n\t\"n2\": \"" + idB + "\"\n}\n",
	} {
		claims, err := platform.ParseFile("nodes.txt", []byte(text))
		if err != nil || len(claims) != 2 {
			t.Errorf("%s: %v, %v", name, claims, err)
			continue
		}
		for i, want := range []struct{ node, id string }{{"n1", idA}, {"n2", idB}} {
			if c := claims[i]; c.Node != want.node || c.ID.String() != want.id || c.Source != platform.SourceFile || !strings.HasPrefix(c.Origin, "nodes.txt:") {
				t.Errorf("%s: got %+v, want %v", name, c, want)
			}
		}
	}
	claims, err := platform.ParseFile("f", []byte("\nn1 "+keyA))
	if err != nil || claims[0].Origin != "f:2" {
		t.Errorf("got %v and %v, want f:2", claims, err)
	}
}

func TestParseFileRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":         {"", "f: it names no node"},
		"comments":        {"# n1 x\n", "f: it names no node"},
		"one word":        {"n1 " + idA + "\nn2\n", "f:2:1: got 1 words"},
		"three words":     {"n1 " + idA + " n2", "f:1:1: got 3 words"},
		"a bad ID":        {"\n\nn1 null\n", `f:3:4: node "n1": platform ID: got "null"`},
		"a node twice":    {"n1 " + idA + "\nn1 " + idB, `f:2:1: node "n1" was named in line 1`},
		"YAML null":       {"n1: " + idA + "\nn2:\n", `f:2:4: node "n2": platform ID`},
		"YAML twice":      {"n1: " + idA + "\nn1: " + idB, `f:2:1: got the key "n1" a second time`},
		"YAML list":       {"n1: [" + idA + "]", "f:1:5: node \"n1\": got a list, want one"},
		"YAML alias":      {"n1: &a " + idA + "\nn2: *a\n", "f:2:5: got the alias *a, want the value itself"},
		"YAML, broken":    {"n1: " + idA + "\n\tn2: [\n", "f:2:"},
		"two documents":   {"n1: " + idA + "\n---\nn2: " + idB, "f:2:1: got a second document, want one in a file"},
		"JSON, cut":       {`{"n1": "` + idA + `"`, "f:1:"},
		"a session":       {"platforms:\n- " + idA + "\n", `f:2:1: node "platforms": got a list, want one`},
		"an empty name":   {`{"": "` + idA + `"}`, "the node has no name"},
		"an empty object": {"{}", "names no node"},
		"a list":          {"{a: b}: c", "f:1:1: got a mapping as a key"},
		"two mistakes":    {"n1 x\nn2 y z\n", "\nf:2:1: got 3 words"},
		"a wide line":     {"ü x\n", `f:1:3: node "ü": platform ID: got "x"`},
	} {
		claims, err := platform.ParseFile("f", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || claims != nil {
			t.Errorf("%s: got %v and %v, want %q", name, claims, err, c.want)
		}
	}
}

func FuzzParseList(f *testing.F) {
	for _, text := range []string{"", idA, "[" + idA + "," + keyA + "]", "platforms:\n- '" + idB + "'", "[,]", "platforms: [null]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := platform.ParseList(text)
		if (err == nil) != (len(ids) > 0) {
			t.Fatalf("got %d IDs and %v", len(ids), err)
		}
		for _, id := range ids {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(id.String())) { // digits are written small
				t.Fatalf("%s is not in %q", id, text)
			}
		}
	})
}

func FuzzParseFile(f *testing.F) {
	for _, text := range []string{"", "n1 " + idA, "n1: " + idA, `{"n1":"` + keyA + `"}`, "---\n- a", "a: &a [*a]", "? a\n: b"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		claims, err := platform.ParseFile("f", text)
		if (err == nil) != (len(claims) > 0) {
			t.Fatalf("got %d claims and %v", len(claims), err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "f:") {
			t.Fatalf("the error %q names no place", err)
		}
		nodes := map[string]bool{}
		for _, c := range claims {
			if c.Node == "" || nodes[c.Node] || c.ID == (attest.PlatformID{}) {
				t.Fatalf("got %+v", claims)
			}
			nodes[c.Node] = true
		}
	})
}
