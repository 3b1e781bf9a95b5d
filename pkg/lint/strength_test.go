package lint_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
)

const (
	mrenclave = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	platform  = "INTEL_QE_ID:00112233445566778899aabbccddeeff"
)

// strict is a session that passes each question.
const strict = `version: "0.3.11"
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

func TestStrength(t *testing.T) {
	outcome := func(text, id string) check.Finding {
		t.Helper()
		s, err := session.Parse("s.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		f, ok := check.Report(lint.Strength(s)).Find(id)
		if !ok {
			t.Fatalf("nobody asks %s", id)
		}
		return f
	}
	for name, c := range map[string]struct{ id, old, new string }{
		"mode none":             {"session-attestation", "access_policy:", "security: {attestation: {mode: none}}\naccess_policy:"},
		"no attestation":        {"session-attestation", "    attestation:\n      mrenclave: [" + mrenclave + "]\n", ""},
		"no platforms":          {"session-platforms", "    platforms: [" + platform + "]\n", ""},
		"local attestation":     {"session-platforms", "access_policy:", "security: {attestation: {must_be_sgx_local: true}}\naccess_policy:"},
		"debug mode":            {"session-tolerations", "access_policy:", "security: {attestation: {tolerate: [debug-mode]}}\naccess_policy:"},
		"all advisories":        {"session-tolerations", "access_policy:", "security: {attestation: {ignore_advisories: \"*\"}}\naccess_policy:"},
		"exported CA key":       {"session-ca-key", "migrate: true", "export: {session: ../client}"},
		"injected CA key":       {"session-ca-key", "$$SCONE::ca:crt$$", "$$SCONE::ca_key:pem$$"},
		"CA key by its issuer":  {"session-ca-key", "$$SCONE::ca:crt$$", "$$SCONE::ca:privatekey:pem$$"},
		"CA key of another":     {"session-ca-key", "$$SCONE::ca:crt$$\"\nsecrets:", "$$SCONE::leaf:privatekey$$\"\nsecrets:\n  - {name: leaf, kind: x509, private_key: ca_key, issuer: ca}"},
		"CA in an unclear form": {"session-ca-key", "$$SCONE::ca:crt$$", "$$SCONE::ca:pkcs12-with-private-key$$"},
		"written key":           {"session-secrets", "migrate: true", "value: secret"},
		"open to all":           {"session-access", "[CREATOR]", "[ANY]"},
	} {
		t.Run(name, func(t *testing.T) {
			if f := outcome(strict, c.id); f.Outcome != check.Pass {
				t.Fatalf("the strict session: %+v", f)
			}
			if f := outcome(strings.Replace(strict, c.old, c.new, 1), c.id); f.Outcome != check.Fail || f.Reason == "" || f.Hint == "" {
				t.Errorf("got %+v, want a failure with reason and hint", f)
			}
		})
	}
}

// What a fragment says counts; what cannot be followed is not known.
func TestStrengthFollowsReferences(t *testing.T) {
	parsed := func(text string) *session.Session {
		t.Helper()
		s, err := session.Parse("s.yml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for id, c := range map[string]struct{ old, new, weak, strong string }{
		"session-attestation": {"access_policy:", "security: {attestation: $$SCONE::part$$}\naccess_policy:", "{mode: none}", "{mode: hardware}"},
		"session-platforms":   {"[" + platform + "]", "[$$SCONE::part$$]", "[]", "[" + platform + "]"},
		"session-tolerations": {"access_policy:", "security: {attestation: {tolerate: [$$SCONE::part$$]}}\naccess_policy:", "[debug-mode]", "[]"},
		"session-access":      {"[CREATOR]", "[$$SCONE::part$$]", "[ANY]", "[CREATOR]"},
	} {
		base := strings.Replace(strings.Replace(strict, "0.3.11", "0.3.12", 1), c.old, c.new, 1)
		inline := func(value string) string {
			return strings.Replace(base, "secrets:\n", "secrets:\n  - {name: part, kind: config-fragment, value: "+value+"}\n", 1)
		}
		imported := strings.Replace(base, "secrets:\n", "secrets:\n  - {name: part, import: {session: parts, secret: part}}\n", 1)
		other := func(value string) *session.Session {
			return parsed("version: \"0.3.12\"\nname: parts\nsecrets: [{name: part, kind: config-fragment, value: " + value + ", export: [{session: ns/db}]}]\n")
		}
		for name, tried := range map[string]struct {
			got  []check.Finding
			want check.Outcome
		}{
			"a strong fragment":                {lint.Strength(parsed(inline(c.strong))), check.Pass},
			"a weak fragment":                  {lint.Strength(parsed(inline(c.weak))), check.Fail},
			"a strong one of another session":  {lint.Strength(parsed(imported), other(c.strong)), check.Pass},
			"a weak one of another session":    {lint.Strength(parsed(imported), other(c.weak)), check.Fail},
			"one of a session that is unknown": {lint.Strength(parsed(imported)), check.Skip},
			"one that is no policy":            {lint.Strength(parsed(inline("{nonsense: 1}"))), check.Skip},
		} {
			f, _ := check.Report(tried.got).Find(id)
			if name == "one that is no policy" && f.Outcome == check.Fail {
				continue // what CAS would make of it is not known either
			}
			if f.Outcome != tried.want || f.Outcome != check.Pass && (f.Reason == "" || f.Hint == "") {
				t.Errorf("%s by %s: got %+v, want %s", id, name, f, tried.want)
			}
		}
	}
}
