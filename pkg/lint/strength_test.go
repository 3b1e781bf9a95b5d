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
