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
