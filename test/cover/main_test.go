package main

import (
	"maps"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	got, err := read(strings.NewReader(`mode: set
github.com/confidb/confidb/pkg/a/a.go:1.2,3.4 3 0
github.com/confidb/confidb/pkg/a/a.go:1.2,3.4 3 1
github.com/confidb/confidb/pkg/a/a.go:1.2,3.4 3 0
github.com/confidb/confidb/pkg/a/b.go:1.2,3.4 1 0
github.com/confidb/confidb/plugin/b/b.go:1.2,3.4 2 0
`))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]count{"pkg/a": {3, 4}, "plugin/b": {0, 2}}; !maps.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, broken := range []string{"x", "a.go:1.2,3.4 x 1"} {
		if _, err := read(strings.NewReader(broken)); err == nil {
			t.Errorf("%q: got no error", broken)
		}
	}
}

func TestReport(t *testing.T) {
	for name, c := range map[string]struct {
		folder string
		count
		want string
		fail bool
	}{
		"enough":            {"pkg/a", count{80, 100}, "80.0 %\n", false},
		"too few":           {"pkg/a", count{79, 100}, "79.0 %  below 80 %\n", true},
		"plugin":            {"plugin/a", count{1, 100}, "below 80 %\n", true},
		"strict":            {"pkg/deploy", count{89, 100}, "below 90 %\n", true},
		"strict and enough": {"pkg/verify", count{90, 100}, "90.0 %\n", false},
		"ends in test":      {"pkg/attest", count{79, 100}, "below 80 %\n", true},
		"the lab":           {"pkg/lab/cas", count{0, 100}, "", false},
		"for tests":         {"pkg/mariadb/mariadbtest", count{0, 100}, "", false},
		"not the product":   {"internal/sgxmint", count{0, 100}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := report(map[string]count{c.folder: c.count}, &out)
			if (err != nil) != c.fail {
				t.Errorf("got error %v, want one: %v", err, c.fail)
			}
			if !strings.HasSuffix(out.String(), c.want) || (c.want == "") != (out.Len() == 0) {
				t.Errorf("got %q, want %q", &out, c.want)
			}
		})
	}
}
