package envelope_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/envelope"
)

func TestShow(t *testing.T) {
	const head = "name: shop\nversion: \"0.3.10\"\nservices:\n- name: db\n  mrenclaves: [" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + "]\n  command: run\n"
	for name, c := range map[string]struct{ text, problem string }{
		"no secrets":              {head, ""},
		"a secret that CAS makes": {head + "secrets:\n- name: key\n  kind: ascii\n  size: 16\n", ""},
		"a secret that is a name": {head + "secrets:\n- name: key\n  kind: ascii\n  value: shop\n", `session "shop" is not shown: the values of its secrets key are written in it`},
		"what cannot be read":     {"name: [hunter2", `session "shop" is not shown, since it may hold secrets: `},
	} {
		var out strings.Builder
		err := envelope.ShowText(&out, "shop", c.text)
		if c.problem == "" && (err != nil || out.String() != c.text) {
			t.Errorf("%s: got %q and %v, want the document", name, out.String(), err)
		}
		if c.problem == "" {
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.problem) {
			t.Errorf("%s: got %v, want %s", name, err, c.problem)
		}
		if out.Len() > 0 {
			t.Errorf("%s: got %q, want nothing", name, out.String())
		}
	}
}

// Secrets that are written in a document are hidden, and nothing else of it is.
func TestShowHidesWrittenSecrets(t *testing.T) {
	const head = "name: shop # a comment\nversion: \"0.3.10\"\nservices:\n- name: db\n  mrenclaves: [" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + "]\n  command: run\n"
	for name, c := range map[string]struct {
		text     string
		not, has []string
	}{
		"a password":      {head + "secrets:\n- name: key\n  kind: ascii\n  value: hunter2\n- {name: other, kind: ascii, size: 16}\n", []string{"hunter2"}, []string{"# a comment", "name: key", envelope.Hidden, "size: 16"}},
		"in one line":     {head + "secrets: [{name: key, kind: ascii, value: 'hunter2'}]\n", []string{"hunter2"}, []string{envelope.Hidden}},
		"a block":         {head + "secrets:\n- name: key\n  kind: private-key\n  value: |\n    -----BEGIN PRIVATE KEY-----\n    AAAA\n    -----END PRIVATE KEY-----\n", []string{"AAAA", "BEGIN"}, []string{"kind: private-key"}},
		"several":         {head + "secrets:\n- {name: a, kind: ascii, value: hunter2}\n- {name: b, kind: binary, value: 'deadbeef'}\n", []string{"hunter2", "deadbeef"}, []string{"name: b"}},
		"a public one":    {strings.Replace(head, "0.3.10", "0.3.12", 1) + "secrets:\n- {name: a, kind: ascii, value: hunter2}\n- {name: p, kind: public-key, value: \"ssh-ed25519 BBBB\"}\n", []string{"hunter2"}, []string{"BBBB"}},
		"a key elsewhere": {strings.Replace(head, "  command: run\n", "  command: run\n  fspf_path: /fspf\n  fspf_tag: 0123456789abcdef0123456789abcdef\n  fspf_key: fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210\n", 1), []string{"fedcba98"}, []string{"fspf_tag", envelope.Hidden}},
	} {
		var out strings.Builder
		if err := envelope.ShowText(&out, "shop", c.text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, text := range c.has {
			if !strings.Contains(out.String(), text) {
				t.Errorf("%s: want %q in %s", name, text, out.String())
			}
		}
		for _, text := range c.not {
			if strings.Contains(out.String(), text) {
				t.Errorf("%s: got %q in %s", name, text, out.String())
			}
		}
	}
}
