package release_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/release"
)

func TestMergeValues(t *testing.T) {
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte("a: 1\nm: {one: 1, two: 2}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("m: {two: 3}\n"))
	}))
	defer server.Close()
	got, err := release.MergeValues([]string{file, server.URL + "/v.yaml"},
		[]string{"n=5,m.z=true"}, []string{"s=5"}, []string{"f=" + file}, []string{`j={"k":[1]}`})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"a": 1.0, "m": map[string]any{"one": 1.0, "two": 3.0, "z": true}, "n": int64(5), "s": "5",
		"f": "a: 1\nm: {one: 1, two: 2}\n", "j": map[string]any{"k": []any{1.0}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestMergeValuesRefuses(t *testing.T) {
	for label, c := range map[string]struct{ files, set, setFile, setJSON []string }{
		"missing file":  {files: []string{filepath.Join(t.TempDir(), "none")}},
		"other scheme":  {files: []string{"oci://registry.test/values"}},
		"set":           {set: []string{"a.b"}},
		"set-file":      {setFile: []string{"a=" + filepath.Join(t.TempDir(), "none")}},
		"set-json":      {setJSON: []string{`a={"hunter2"`}},
		"set-json bare": {setJSON: []string{"hunter2"}},
	} {
		got, err := release.MergeValues(c.files, c.set, nil, c.setFile, c.setJSON)
		if err == nil {
			t.Errorf("%s: got %v, want an error", label, got)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error repeats the value: %v", label, err)
		}
	}
}

func TestSetPath(t *testing.T) {
	values := map[string]any{"a": map[string]any{"x": 1}, "s": "text"}
	for path, value := range map[string]any{"a.b": "1", "c.d.e": 2, "top": true} {
		if err := release.SetPath(values, path, value); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]any{"a": map[string]any{"x": 1, "b": "1"}, "c": map[string]any{"d": map[string]any{"e": 2}}, "s": "text", "top": true}
	if diff := cmp.Diff(want, values); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if err := release.SetPath(values, "s.b", 1); err == nil || !strings.Contains(err.Error(), "at s") {
		t.Errorf("got %v, want an error: s is no map", err)
	}
}

// Items of lists are named by their numbers, where they are.
func TestSetPathInLists(t *testing.T) {
	values := func() map[string]any {
		return map[string]any{"p": map[string]any{"env": []any{map[string]any{"name": "A"}, map[string]any{"name": "B", "value": "x"}}}, "m": []any{[]any{1, 2}}, "n": nil}
	}
	got := values()
	for path, value := range map[string]any{"p.env[0].value": "1", "p.env[1].value": "2", "m[0][1]": 3, "n": 4} {
		if err := release.SetPath(got, path, value); err != nil || !release.HasPath(got, path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	want := map[string]any{"p": map[string]any{"env": []any{map[string]any{"name": "A", "value": "1"}, map[string]any{"name": "B", "value": "2"}}}, "m": []any{[]any{1, 3}}, "n": 4}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, path := range []string{"p.env[2].value", "p.env[0]x", "p.env[-1]", "p.env[a]", "p.env[0", "p[0]", "", "a..b", "new[0]", "m[0][2]", "p.env.x"} {
		if err := release.SetPath(values(), path, 1); err == nil {
			t.Errorf("%q was set", path)
		}
		if release.HasPath(values(), path) {
			t.Errorf("%q is there", path)
		}
	}
	for _, path := range []string{"p", "p.env", "p.env[1].value", "n"} {
		if !release.HasPath(values(), path) {
			t.Errorf("%q is not there", path)
		}
	}
}
