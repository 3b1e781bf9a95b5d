package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/session"
)

const (
	mrenclave = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	platform  = "INTEL_QE_ID:00112233445566778899aabbccddeeff"
)

// good is a small session in which nothing is weak.
const good = `version: "0.3.11"
name: ns/db
services:
  - name: db
    image_name: i
    command: mariadbd --defaults-file=/my.cnf "two words"
    attestation:
      mrenclave: [` + mrenclave + `]
    platforms: [` + platform + `]
images:
  - name: i
    injection_files:
      - path: /ca.crt
        permission: 0o400
        content: "$$SCONE::ca:crt$$"
secrets:
  - name: ca_key
    kind: private-key
    migrate: true
  - name: ca
    kind: x509-ca
    private_key: ca_key
    valid_for: 1 year 30d
    export: {session: ../client}
access_policy:
  read: [CREATOR]
`

func TestParse(t *testing.T) {
	s, err := session.Parse("s.yml", []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"mariadbd", "--defaults-file=/my.cnf", "two words"}, s.Services[0].Command); diff != "" {
		t.Error(diff)
	}
	if got := s.Secrets[1].ValidFor; got != 31_557_600*time.Second+30*24*time.Hour {
		t.Errorf("valid_for = %s", got)
	}
	if got := s.Resolve(s.Secrets[1].Exports[0].Session); got != "ns/client" {
		t.Errorf("../client beside ns/db is %q", got)
	}
	if got := s.Images[0].InjectionFiles[0].Permission; got != 0o400 {
		t.Errorf("permission = %o", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want, hint string }{
		"no version":              {"version: \"0.3.11\"\n", "", "s.yml:1:1: version: it is missing", ""},
		"an unknown key":          {"    platforms:", "    plattforms:", `s.yml:9:5: services[0]: got the unknown key "plattforms"`, `write "platforms"`},
		"a key twice":             {"  read: [CREATOR]", "  read: [CREATOR]\n  read: [ANY]", "second time", ""},
		"a short measurement":     {mrenclave, "0011", "s.yml:8:19: services[0].attestation.mrenclave[0]: measurement: got \"0011\"", ""},
		"a platform of no form":   {platform, "0011", "s.yml:9:17: services[0].platforms[0]: platform ID: got", ""},
		"mixed generations":       {"[" + platform + "]", "[" + platform + "," + mrenclave + "]", "a CAS knows only one kind", ""},
		"no platform":             {"[" + platform + "]", "[]", "want at least one platform ID", ""},
		"no factor":               {"mrenclave: [" + mrenclave + "]", "{}", "admit any enclave", ""},
		"an unknown secret":       {"$$SCONE::ca:crt$$", "$$SCONE::cb:crt$$", "names no secret", ""},
		"one in the environment":  {"image_name: i", "image_name: i\n    environment: {X: '$$SCONE::none$$'}", "s.yml:6:22: services[0].environment.X: $$SCONE::none$$ names no secret", ""},
		"a broken placeholder":    {"$$SCONE::ca:crt$$", "$$SCONE::ca:crt", "want $$SCONE::secret$$", ""},
		"an unknown issuer key":   {"private_key: ca_key", "private_key: other", "no secret of kind private-key", ""},
		"an unknown image":        {"image_name: i", "image_name: j", "not among the images", ""},
		"an unknown kind":         {"kind: private-key", "kind: privat-key", "want ascii, binary", ""},
		"a relative path":         {"/ca.crt", "ca.crt", "want an absolute path", ""},
		"a wrong mode":            {"0o400", "rw", "want an octal mode", ""},
		"ANY beside others":       {"[CREATOR]", "[CREATOR, ANY]", "want it alone", ""},
		"nobody":                  {"[CREATOR]", "[]", "got an empty list", ""},
		"an endless life":         {"1 year 30d", "999 years", "at most 200 years", ""},
		"no time":                 {"1 year 30d", "soon", "want a time such as", ""},
		"an open quote":           {`"two words"`, `"two words`, "got an open quote", ""},
		"a name with a space":     {"name: ns/db", "name: ns db", "in each part between slashes", ""},
		"YAML that is none":       {"services:", "services: [", "s.yml:", ""},
		"a value where a list is": {"images:", "images: x\nignored:", "want a list", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if text == good {
				t.Fatal("the case changes nothing")
			}
			_, err := session.Parse("s.yml", []byte(text))
			var e *session.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			if e.Line < 1 || e.Column < 1 {
				t.Errorf("no place: %d:%d", e.Line, e.Column)
			}
			if c.hint != "" && e.Hint() != c.hint {
				t.Errorf("hint %q, want %q", e.Hint(), c.hint)
			}
		})
	}
}

func TestEqual(t *testing.T) {
	parse := func(text string) *session.Session {
		t.Helper()
		s, err := session.Parse("s.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a := parse(good)
	for name, replacement := range map[string][2]string{
		"creator":           {"version:", "creator: somebody\nversion:"},
		"predecessor":       {"version:", "predecessor: " + mrenclave + "\nversion:"},
		"case of digits":    {mrenclave, strings.ToUpper(mrenclave)},
		"form of the list":  {"read: [CREATOR]", "read:\n    - CREATOR"},
		"absolute export":   {"../client", "ns/client"},
		"form of a command": {`command: mariadbd --defaults-file=/my.cnf "two words"`, `command: [mariadbd, --defaults-file=/my.cnf, two words]`},
	} {
		if !session.Equal(a, parse(strings.Replace(good, replacement[0], replacement[1], 1))) {
			t.Errorf("%s makes a difference", name)
		}
	}
	for name, replacement := range map[string][2]string{
		"measurement": {mrenclave, strings.Replace(mrenclave, "00", "01", 1)},
		"platform":    {platform, strings.Replace(platform, "00", "01", 1)},
		"migrate":     {"migrate: true", "migrate: false"},
		"export":      {"../client", "../other"},
		"reader":      {"read: [CREATOR]", "read: [ANY]"},
		"content":     {"$$SCONE::ca:crt$$", "$$SCONE::ca:chain$$"},
		"mode":        {"0o400", "0o444"},
		"life":        {"1 year 30d", "1 year"},
		"command":     {"two words", "two  words"},
	} {
		if session.Equal(a, parse(strings.Replace(good, replacement[0], replacement[1], 1))) {
			t.Errorf("%s makes no difference", name)
		}
	}
}
