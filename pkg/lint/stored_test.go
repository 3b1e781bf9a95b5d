package lint_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
)

// TestStoredSessions shows that only what CAS itself writes is no problem in a
// session that CAS holds, and that a comment about it is not left over there.
func TestStoredSessions(t *testing.T) {
	const hash = "77aa0192bb34cc56dd78ee90ff12ab5e75aa0192bb34cc56dd78ee90ff12ab5e"
	text, err := os.ReadFile("testdata/CDB3024/bad.yaml")
	if err != nil {
		t.Fatal(err)
	}
	written := string(text) + "creator: " + hash + "\npredecessor: " + hash + "\n"
	accepted := "# confidb:ignore CDB5003 until=2026-06-30 reason=\"kept\"\n" + written
	for name, c := range map[string]struct {
		text          string
		given, stored []string
	}{
		"as written":   {string(text), []string{"CDB3024"}, []string{"CDB3024"}},
		"as CAS gives": {written, []string{"CDB3024", "CDB5002", "CDB5003"}, []string{"CDB3024"}},
		"accepted":     {accepted, []string{"CDB3024", "CDB5002"}, []string{"CDB3024"}},
		"left over":    {strings.Replace(accepted, "CDB5003", "CDB4001", 1), []string{"CDB0004", "CDB3024", "CDB5002", "CDB5003"}, []string{"CDB0004", "CDB3024"}},
	} {
		s, err := session.Parse("a.yaml", []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.given, open(checkAll(t, s))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		stored, err := lint.CheckStored([]*session.Session{s}, now())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.stored, open(stored)); diff != "" {
			t.Errorf("%s, stored (-want +got):\n%s", name, diff)
		}
	}
}
