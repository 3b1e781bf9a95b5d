package envelope_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/envelope"
	"github.com/confidb/confidb/pkg/session"
)

// policy is a session.
func policy(name string) string {
	return "name: " + name + "\nversion: \"0.3.10\"\nservices:\n- name: db\n  mrenclaves: [" + strings.Repeat("ab", 32) + "]\n  command: run \"x\" # café\n"
}

func quoted(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func indented(text string, by int) string {
	return strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+strings.Repeat(" ", by))
}

func signed(policy string) string {
	return "apiVersion: cas.scone.cloud/v1beta1\nkind: SignedPolicy\nmetadata:\n  name: a\nspec:\n  casAddress: https://cas:8081\n  policy: " + policy + "\n  signatures:\n  - signer: x\n    signature: y\n"
}

// Each file holds the sessions a, b and so on, and says where the last one lists its
// measurement.
func TestOpen(t *testing.T) {
	const deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: &anchor\n  a: *anchor\n"
	for title, c := range map[string]struct {
		text, names string
	}{
		"a session":                 {policy("a"), "a"},
		"with a marker":             {"---\n" + policy("a"), "a"},
		"several":                   {policy("a") + "---\n" + policy("b") + "--- # the third\n\n" + policy("c") + "...\n", "a b c"},
		"scone session sign":        {`{"session": ` + quoted(policy("a")) + `, "signatures": [{"signer": "x", "signature": "y"}]}`, "a"},
		"its pretty form":           {"{\n  \"session\": " + quoted(policy("a")) + ",\n  \"signatures\": []\n}\n", "a"},
		"an answer of CAS":          {`{"hash":"00","session":` + quoted(policy("a")) + `}`, "a"},
		"a SignedPolicy":            {signed(quoted(policy("a"))), "a"},
		"its text as a block":       {signed("|\n    " + indented(policy("a"), 4)), "a"},
		"between other objects":     {deployment + "---\n" + signed(quoted(policy("a"))) + "---\n" + deployment + "---\n" + signed("|-\n      "+indented(policy("b"), 6)), "a b"},
		"a list":                    {`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"cas.scone.cloud/v1beta1","kind":"SignedPolicy","spec":{"policy":` + quoted(policy("a")) + `}}]}`, "a"},
		"a session in JSON":         {`{"name":"a","version":"0.3.10","services":[{"name":"db","command":"x","mrenclaves":[` + strings.Repeat("ab", 32) + `]}]}`, "a"},
		"a byte order mark":         {"\ufeff" + policy("a") + "---\n" + policy("b"), "a b"},
		"lines of Windows":          {strings.ReplaceAll(policy("a")+"---\n"+policy("b"), "\n", "\r\n"), "a b"},
		"an object instead of text": {`{"session":{"name":"a","version":"0.3.10","services":[{"name":"db","command":"x","mrenclaves":[` + strings.Repeat("ab", 32) + `]}]},"signatures":[]}`, "a"},
	} {
		t.Run(title, func(t *testing.T) {
			all := envelope.Open("f", []byte(c.text), nil)
			var names []string
			for _, o := range all {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
				names = append(names, o.Session.Name)
			}
			if got := strings.Join(names, " "); got != c.names {
				t.Fatalf("got %s, want %s", got, c.names)
			}
			last := all[len(all)-1]
			if got, want := last.Session.Where("services[0].mrenclaves"), last.File+placeOf(c.text, "["+strings.Repeat("ab", 32)); got != want && title != "an object instead of text" {
				t.Errorf("got %s, want %s", got, want)
			}
			if c.names == "a" && title != "an object instead of text" && title != "a session in JSON" && title != "with a marker" && !strings.Contains(string(last.Session.Source()), "name: a\nversion") {
				t.Errorf("the text is %q", last.Session.Source())
			}
		})
	}
}

// placeOf is the place of the last occurrence of a part of a text.
func placeOf(text, part string) string {
	before := strings.TrimPrefix(text[:strings.LastIndex(text, part)], "\ufeff")
	line := strings.Count(before, "\n")
	return fmt.Sprintf(":%d:%d", line+1, len([]rune(before[strings.LastIndex(before, "\n")+1:]))+1)
}

// What is wrong with a session is told at its place in the file.
func TestOpenTellsPlaces(t *testing.T) {
	broken := strings.Replace(policy("a"), "  command", "  comand", 1)
	for title, c := range map[string]struct{ text, said string }{
		"a second session":       {policy("a") + "---\n" + broken, `f#2:13:3: services[0]: got the unknown key "comand"`},
		"in a signed one":        {`{"session": ` + quoted(broken) + `}`, "f:1:151: services[0]"},
		"in a block":             {signed("|\n    " + indented(broken, 4)), "f:13:7: services[0]"},
		"no YAML in a block":     {signed("|\n    name: [\n"), "f:8:"},
		"an encrypted policy":    {"apiVersion: cas.scone.cloud/v1beta1\nkind: EncryptedPolicy\nspec: {policy: AAAA, encryptionKey: x}\n", "f:1:1: the session is encrypted"},
		"an encrypted session":   {`{"encrypted_session":"AAAA","encryption_key":"x"}`, "the session is encrypted"},
		"a policy without text":  {"apiVersion: cas.scone.cloud/v1beta1\nkind: SignedPolicy\nspec: {}\n", "spec.policy: it is missing"},
		"no session":             {"apiVersion: v1\nkind: Secret\ndata: {}\n", "none of them holds a session"},
		"not a session":          {"a: b\n---\nc: d\n", "f:1:1: name: it is missing"},
		"a signature without it": {`{"signatures":[]}`, "name: it is missing"},
	} {
		all := envelope.Open("f", []byte(c.text), nil)
		var told []error
		for _, o := range all {
			told = append(told, o.Err)
		}
		if err := errors.Join(told...); err == nil || !strings.Contains(err.Error(), c.said) {
			t.Errorf("%s: got %v, want %q", title, err, c.said)
		}
	}
}

func TestOnly(t *testing.T) {
	if s, err := envelope.Only(envelope.Open("f", []byte(policy("a")), nil)); err != nil || s.Name != "a" {
		t.Errorf("got %v and %v", s, err)
	}
	_, err := envelope.Only(envelope.Open("f", []byte(policy("a")+"---\n"+policy("b")), nil))
	if err == nil || !strings.Contains(err.Error(), "f: got 2 sessions (a, b), want one") {
		t.Errorf("got %v", err)
	}
}

// Variables are filled in the text that counts, not in what is around it.
func TestOpenRenders(t *testing.T) {
	fill := func(_ string, text []byte) ([]byte, error) {
		if strings.Contains(string(text), "casAddress") {
			return nil, errors.New("the wrapper was given")
		}
		return []byte(strings.ReplaceAll(string(text), "$NAME", "shop")), nil
	}
	s, err := envelope.Only(envelope.Open("f", []byte(signed(quoted(policy("$NAME")))), fill))
	if err != nil || s.Name != "shop" {
		t.Errorf("got %v and %v", s, err)
	}
}

// Wherever a session is, the same is said of it.
func FuzzOpen(f *testing.F) {
	for _, text := range []string{policy("a"), policy("a") + "---\n" + policy("b"), signed("|\n    name: a\n"), `{"session":"name: a"}`, "---\n...\n", "name: a\n---", "{"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all := envelope.Open("f", []byte(text), nil)
		if len(all) == 0 {
			t.Fatal("got nothing")
		}
		for _, o := range all {
			if (o.Session == nil) && o.Err == nil {
				t.Error("got neither a session nor an error")
			}
		}
		plain, err := session.Parse("f", []byte(text))
		if err != nil || len(document.Split([]byte(text))) != 1 {
			return
		}
		wrapped := envelope.Open("f", fmt.Appendf(nil, `{"session":%s}`, quoted(text)), nil)
		if len(wrapped) != 1 || wrapped[0].Err != nil || !session.Equal(plain, wrapped[0].Session) {
			t.Errorf("%q: signed it is %+v", text, wrapped)
		}
	})
}
