package session_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/session"
)

func TestShow(t *testing.T) {
	const head = "name: shop\nversion: \"0.3.10\"\nservices:\n- name: db\n  mrenclaves: [" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" + "]\n  command: run\n"
	for name, c := range map[string]struct{ text, problem string }{
		"no secrets":              {head, ""},
		"a secret that CAS makes": {head + "secrets:\n- name: key\n  kind: ascii\n  size: 16\n", ""},
		"a secret":                {head + "secrets:\n- name: key\n  kind: ascii\n  value: hunter2\n", `session "shop" is not shown: the values of its secrets key are written in it`},
		"what cannot be read":     {"name: [hunter2", `session "shop" is not shown, since it may hold secrets: `},
	} {
		var out strings.Builder
		err := session.ShowText(&out, "shop", c.text)
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
