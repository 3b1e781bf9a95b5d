package session_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/session"
)

func TestWhere(t *testing.T) {
	s := parse(t, good)
	for path, want := range map[string]string{
		"":                                     "s.yml:1:1",
		"name":                                 "s.yml:2:7",
		"services":                             "s.yml:3:1",
		"services[0]":                          "s.yml:4:5",
		"services[0].platforms[0]":             "s.yml:9:17",
		"services[0].platforms":                "s.yml:9:16",
		"services[0].attestation.mrenclave[0]": "s.yml:8:19",
		"services[0].attestation":              "s.yml:7:5",
		"services[0].attestation.signer":       "s.yml:7:5",
		"services[0].platforms[9]":             "s.yml:9:16",
		"services[7].platforms[1]":             "s.yml:3:1",
		"nothing.of[that]":                     "s.yml:1:1",
		"secrets[1].export.session":            "s.yml:24:23",
	} {
		if got := s.Where(path); got != want {
			t.Errorf("%q is at %s, want %s", path, got, want)
		}
	}
	if !s.Has("services[0].platforms[0]") || s.Has("services[0].platforms[1]") || s.Has("services[0].pwd") {
		t.Error("Has is wrong")
	}
	dotted := parse(t, "version: '0.3'\nname: a\nservices:\n- name: s\n  environment:\n    a: 1\n    a.b: 2\n    a[0]: 3\n")
	if got := dotted.Where("services[0].environment.a.b") + " " + dotted.Where("services[0].environment.a[0]"); got != "s.yml:7:10 s.yml:8:11" {
		t.Errorf("keys with dots are at %s", got)
	}
}

func TestComments(t *testing.T) {
	var got []string
	for _, c := range parse(t, documents(t, "valid")["comments"]).Comments() {
		got = append(got, fmt.Sprintf("%d %s %s", c.Line, c.Path, c.Text))
	}
	want := []string{
		"1 version # head", "2 version # second line", "4 version # of version", "5 version # beside version",
		"6 name # of name", "9 services # of services", "10 services[0] # of the first", "11 services[0].name # the name",
		"12 services[0].command # c", "13 services[0].environment # flow", "15 services[0].attestation.mrenclave # opens",
		"16 services[0].attestation.mrenclave[0] # item", "18 services[0].attestation.mrenclave[1] # closes",
		"19 services[0].platforms # before platforms", "20 services[0].platforms # confidb:ignore", "21 images # foot",
		"26 images[0].injection_files[0].content # header", "29  # after the block", "30  # end",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func ids(t *testing.T, texts ...string) []attest.PlatformID {
	t.Helper()
	var all []attest.PlatformID
	for _, text := range texts {
		id, err := attest.ParsePlatformID(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	return all
}

// A setting changes its own place in the text, and nothing else.
func TestSet(t *testing.T) {
	const other = "INTEL_QE_ID:ffffffffffffffffffffffffffffffff"
	const digits = "1111111111111111111111111111111111111111111111111111111111111111"
	const start = "# head\nversion: \"0.3.11\" # v\nname: ü/db # n\n"
	block := strings.Replace(start, "ü/db", "db", 1) + "services:\n  - name: s # the service\n    attestation: {mrenclave: " + mrenclave + "}\n    platforms: # here\n      - " + platform + " # rack 1\n      - $$SCONE::p$$\nsecrets: [{name: p, kind: ascii}]\n"
	predecessor := func(hash string) func(*session.Session) error {
		return func(s *session.Session) error { return s.SetPredecessor(hash) }
	}
	platforms := func(texts ...string) func(*session.Session) error {
		return func(s *session.Session) error { return s.SetPlatforms("s", ids(t, texts...)) }
	}
	for name, c := range map[string]struct {
		text string
		set  func(*session.Session) error
		// old becomes new in the text
		old, new string
	}{
		"a new predecessor":         {block, predecessor(mrenclave), "# v\n", "# v\npredecessor: " + mrenclave + "\n"},
		"one of digits":             {block, predecessor(digits), "# v\n", "# v\npredecessor: \"" + digits + "\"\n"},
		"another predecessor":       {block + "predecessor: " + mrenclave + " # p\n", predecessor(digits), "predecessor: " + mrenclave, "predecessor: \"" + digits + "\""},
		"no predecessor":            {block + "predecessor: '" + mrenclave + "' # p\n", predecessor(""), "predecessor: '" + mrenclave + "'", "predecessor: ~"},
		"instead of none":           {block + "predecessor: ~\n", predecessor(mrenclave), "predecessor: ~", "predecessor: " + mrenclave},
		"instead of nothing":        {block + "predecessor: # p\n", predecessor(mrenclave), "predecessor: #", "predecessor: " + mrenclave + " #"},
		"with Windows lines":        {strings.ReplaceAll(block, "\n", "\r\n"), predecessor(mrenclave), "# v\r\n", "# v\r\npredecessor: " + mrenclave + "\r\n"},
		"no end of line":            {"name: a\nversion: '0.3'", predecessor(mrenclave), "'0.3'", "'0.3'\npredecessor: " + mrenclave + "\n"},
		"a name":                    {block, func(s *session.Session) error { return s.SetName("ns/x") }, "name: db # n", "name: ns/x # n"},
		"a name like a number":      {block, func(s *session.Session) error { return s.SetName("1.5") }, "name: db # n", "name: \"1.5\" # n"},
		"one more platform":         {block, platforms(platform, other), "      - $$SCONE::p$$\n", "      - $$SCONE::p$$\n      - " + other + "\n"},
		"another platform":          {block, platforms(other), "      - " + platform + " # rack 1\n      - $$SCONE::p$$\n", "      - $$SCONE::p$$\n      - " + other + "\n"},
		"platforms of another case": {block, platforms(strings.Replace(platform, "aabb", "AABB", 1)), "", ""},
		"platforms in brackets":     {strings.Replace(good, "name: db", "name: s", 1), platforms(other, platform), "platforms: [" + platform + "]", "platforms: [" + other + ", " + platform + "]"},
		"first platforms":           {strings.Replace(block, "    platforms: # here\n      - "+platform+" # rack 1\n      - $$SCONE::p$$\n", "", 1), platforms(other), "# the service\n", "# the service\n    platforms: [" + other + "]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := parse(t, c.text)
			if err := c.set(s); err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(c.text, c.old, c.new, 1)
			if c.old != "" && want == c.text {
				t.Fatal("the case changes nothing")
			}
			if diff := cmp.Diff(want, string(s.Source())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if again := parse(t, string(s.Print())); !session.Equal(s, again) || s.Predecessor != again.Predecessor {
				t.Errorf("printed as\n%s", s.Print())
			}
		})
	}
}

// Documents of other forms are set as well, but their text changes its layout.
func TestSetOtherForms(t *testing.T) {
	for name, text := range map[string]string{
		"JSON":               documents(t, "valid")["json"],
		"flow":               "{version: '0.3', name: a, services: [{name: s}]} # c\n",
		"value of two lines": "version: '0.3'\nname:\n  a\nservices:\n- name:\n    s\n",
		"list of two lines":  "version: '0.3'\nname: a\nservices:\n- name: s\n  platforms: [\n    " + platform + "\n  ]\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := parse(t, text)
			want := ids(t, "INTEL_QE_ID:ffffffffffffffffffffffffffffffff", platform)
			for what, err := range map[string]error{"predecessor": s.SetPredecessor(mrenclave), "name": s.SetName("b"), "platforms": s.SetPlatforms("s", want)} {
				if err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if s.Predecessor != mrenclave || s.Name != "b" || len(s.Services[0].Platforms) != 2 {
				t.Errorf("got\n%s", s.Print())
			}
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for name, set := range map[string]func(*session.Session) error{
		"a short predecessor":  func(s *session.Session) error { return s.SetPredecessor("00") },
		"a name with a blank":  func(s *session.Session) error { return s.SetName("a b") },
		"a name that climbs":   func(s *session.Session) error { return s.SetName("a/../b") },
		"platforms of nobody":  func(s *session.Session) error { return s.SetPlatforms("none", ids(t, platform)) },
		"no platforms":         func(s *session.Session) error { return s.SetPlatforms("db", nil) },
		"platforms of one key": func(s *session.Session) error { return s.SetPlatforms("db", ids(t, platform, mrenclave)) },
	} {
		s := parse(t, good)
		if err := set(s); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if string(s.Source()) != good {
			t.Errorf("%s: the text changed", name)
		}
	}
}

func TestPrint(t *testing.T) {
	const text = "# head\nversion:   \"0.3.11\"  # v\nname: a\nservices:\n- name: s # first\n  # why\n  platforms: [" + platform + "]\n"
	const want = "# head\nversion: \"0.3.11\" # v\nname: a\nservices:\n  - name: s # first\n    # why\n    platforms: ['" + platform + "']\n"
	if diff := cmp.Diff(want, string(parse(t, text).Print())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := (&session.Session{}).Print(); got != nil {
		t.Errorf("a session without text is printed as %q", got)
	}
}

// What CAS added can be taken out again, in every form in which it may come.
func TestDropCreator(t *testing.T) {
	key := strings.Repeat("ab", 32)
	for form, text := range map[string]string{
		"at the end":   "version: \"0.3\" # c\nname: a\nservices: []\ncreator: " + key + "\n",
		"in the midst": "version: \"0.3\" # c\ncreator: \"" + key + "\"\nname: a\nservices: []\n",
		"JSON":         `{"version": "0.3", "creator": "` + key + `", "name": "a", "services": []}`,
		"two lines":    "version: \"0.3\" # c\nname: a\ncreator:\n  " + key + "\nservices: []\n",
		"none":         "version: \"0.3\" # c\nname: a\nservices: []\n",
	} {
		s := parse(t, text)
		before := parse(t, text)
		if err := s.DropCreator(); err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		if got := string(s.Source()); strings.Contains(got, "creator") || s.Creator != "" || !session.Equal(s, before) || strings.Contains(text, "# c") != strings.Contains(got, "# c") {
			t.Errorf("%s: got\n%s", form, got)
		}
	}
}
