package lint_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/internal/realinputs"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
)

// TestRealSessions lints sessions in the shape of what people have, those of a case
// together.
func TestRealSessions(t *testing.T) {
	for id, want := range map[string]struct {
		has, hasNot string
		places      int
	}{
		"cert-key-export-advice":  {hasNot: "CDB3012"},
		"ca-key-shared-with-leaf": {has: "CDB3001", places: 1},
		"bootstrap-no-listener":   {hasNot: "CDB6011"},
		"shield-sql-other-image":  {hasNot: "CDB6010"},
		"include-host-config":     {has: "CDB6013", places: 1},
		"literal-secrets":         {has: "CDB3014", places: 6}, // five, and the value of a secret,
	} {
		t.Run(id, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(realinputs.Case(t, id), "*.yml"))
			if err != nil || len(files) == 0 {
				t.Fatalf("got %d files and error %v", len(files), err)
			}
			var sessions []*session.Session
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				sessions = append(sessions, parse(t, filepath.Base(file), string(text)))
			}
			problems := checkAll(t, sessions...)
			codes := open(problems)
			if want.hasNot != "" && slices.Contains(codes, want.hasNot) {
				t.Errorf("got %v, want no %s", codes, want.hasNot)
			}
			if places := placesOf(problems, want.has); len(places) != want.places {
				t.Errorf("got %s at %v, want %d places", want.has, places, want.places)
			}
			mustHide(t, problems, "hunter2", "jackhammer", "MIGHAgE")
		})
	}
}

func parse(t *testing.T, name, text string) *session.Session {
	t.Helper()
	s, err := session.Parse(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// placesOf are the places of a code, once each.
func placesOf(problems []lint.Problem, code string) []string {
	var places []string
	for _, p := range problems {
		if p.Code == code {
			places = append(places, p.Path)
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}

func mustHide(t *testing.T, problems []lint.Problem, secrets ...string) {
	t.Helper()
	for _, p := range problems {
		for _, secret := range secrets {
			if strings.Contains(p.Got+p.Path+p.Fix, secret) {
				t.Errorf("%s shows %s: %s", p.Code, secret, p.Got)
			}
		}
	}
}

// TestSecretsAreHidden looks at every file with a written secret.
func TestSecretsAreHidden(t *testing.T) {
	files, err := filepath.Glob("testdata/CDB3014/bad*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("got %d files and error %v", len(files), err)
	}
	for _, file := range files {
		mustHide(t, checkFile(t, file), "hunter2", "123456", "MIGHAgE", "MHcCAQEE", "a7addd9adea9978f")
	}
}
