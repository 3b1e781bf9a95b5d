package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/render"
	"github.com/confidb/confidb/pkg/session"
)

func TestPolicyPlace(t *testing.T) {
	for path, want := range map[string][2]string{
		"":                                     {"", ""},
		"security":                             {"", "security"},
		"security.attestation.mode":            {"", "security"},
		"access_policy.update[0].signer":       {"", "access_policy"},
		"services":                             {"", ""},
		"services[7]":                          {"services[7]", ""},
		"services[7].attestation[1].mrenclave": {"services[7]", "attestation"},
		"services[7].platforms[1]":             {"services[7]", "platforms"},
		"services[7].environment.A.B":          {"services[7]", "environment"},
		"secrets[2].value":                     {"", "secrets"},
	} {
		if service, key := session.PolicyPlace(path); service != want[0] || key != want[1] {
			t.Errorf("%q: got %q and %q, want %q", path, service, key, want)
		}
	}
}

// TestLeftOpen: what a template leaves open is told apart from what is wrong with it, also
// when it is more than an error tells.
func TestLeftOpen(t *testing.T) {
	read := func(text string) *session.Session {
		filled, err := render.Unfilled("t.yml", []byte(text), func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		s, _ := session.Read("t.yml", filled)
		return s
	}
	services := func(n int, more string) string {
		text := "name: {{db}}\nversion: \"0.3.12\"\nservices:\n"
		for i := range n {
			text += fmt.Sprintf("- {name: s%d, command: run, mrenclaves: [$M%d]%s}\n", i, i, more)
		}
		return text
	}
	for _, n := range []int{1, 10, 11, 400} {
		open, err := read(services(n, "")).LeftOpen()
		if err != nil || len(open) != n || open[n-1].Why != fmt.Sprintf("no value is given for $M%d", n-1) {
			t.Errorf("%d: got %d places, %v", n, len(open), err)
		}
		var wrong *session.Errors
		if _, err := read(services(n, ", plattforms: []")).LeftOpen(); !errors.As(err, &wrong) || !strings.Contains(wrong.Problems[0].Problem, "plattforms") {
			t.Errorf("%d: got %v, want the unknown key", n, err)
		}
	}
	if _, err := read(services(2000, "")).LeftOpen(); err == nil {
		t.Error("more than can be kept passes for all of it")
	}
}
