package lint_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/render"
	"github.com/confidb/confidb/pkg/session"
)

// template is a session of which nearly everything is open.
const openTemplate = `version: "0.3.12"
name: {{database}}
security:
  attestation:
    mode: MODE
services:
- name: db
  image_name: {{db-image}}
  mrenclaves: [ENCLAVE]
  platforms: [PLATFORM]
  command: [mysqld, --user=mysql, --port={{port}}]
  environment: {LABEL: {{label}}}
secrets:
- name: {{key}}
  kind: private-key
  migrate: true
- name: ca
  kind: x509-ca
  private_key: {{key}}
- {name: password, kind: ascii, value: SECRET}
access_policy:
  read: [READ]
  update: [UPDATE]
`

// What a template leaves open is said, and hides no danger.
func TestTemplatesWithoutValues(t *testing.T) {
	for name, c := range map[string]struct {
		change []string
		has    []string
		not    []string
	}{
		"all open":          {nil, []string{"CDB0005 name {{database}}", "CDB0005 services[0].command[2] {{port}}", "CDB0005 access_policy.read[0] $READ", "CDB0005 services[0].mrenclaves[0] $ENCLAVE"}, []string{"CDB1001", "CDB4001", "CDB4002", "CDB2001", "CDB5001", "CDB5002"}},
		"in braces":         {[]string{"$", "{{"}, []string{"CDB0005 access_policy.read[0] {{"}, []string{"CDB1001", "CDB4001"}},
		"no attestation":    {[]string{"${MODE}", "none"}, []string{"CDB1001 security.attestation.mode"}, nil},
		"anybody reads":     {[]string{"$READ", "ANY"}, []string{"CDB4001 access_policy.read"}, nil},
		"anybody writes":    {[]string{"$UPDATE", "ANY"}, []string{"CDB4002 access_policy.update"}, nil},
		"a secret, written": {[]string{"$SECRET", "hunter2"}, []string{"CDB3014 secrets[2]"}, nil},
		"a machine's ID":    {[]string{"'$PLATFORM'", "85ffc69266c833546e5dca1c676a6151"}, []string{"CDB2004 services[0].platforms[0]"}, nil},
		"a mistake":         {[]string{"migrate:", "migrat:"}, []string{"CDB0000 secrets[0]"}, nil},
	} {
		text := strings.NewReplacer("MODE", "${MODE}", "ENCLAVE", "$ENCLAVE", "PLATFORM", "'$PLATFORM'", "SECRET", "$SECRET", "READ", "$READ", "UPDATE", "$UPDATE").Replace(openTemplate)
		if name == "in braces" {
			text = strings.NewReplacer("MODE", "{{mode}}", "ENCLAVE", "{{en-clave}}", "PLATFORM", "{{ platform }}", "SECRET", "'{{secret}}'", "READ", "{{reader}}", "UPDATE", "{{up-date}}").Replace(openTemplate)
		} else {
			text = strings.NewReplacer(c.change...).Replace(text)
		}
		found := lintTemplate(t, text)
		for _, want := range c.has {
			if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, want) }) {
				t.Errorf("%s: want %s in\n%s", name, want, strings.Join(found, "\n"))
			}
		}
		for _, not := range append(c.not, "Z-") {
			if strings.Contains(strings.Join(found, "\n"), not) {
				t.Errorf("%s: got %s in\n%s", name, not, strings.Join(found, "\n"))
			}
		}
		if name != "a mistake" && strings.Contains(strings.Join(found, "\n"), "CDB0000") {
			t.Errorf("%s: it cannot be read:\n%s", name, strings.Join(found, "\n"))
		}
	}
}

func lintTemplate(t *testing.T, text string) []string {
	t.Helper()
	filled, err := render.Unfilled("t.yml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if len(filled) != len(text) {
		t.Errorf("got %d bytes, want the %d of the template, so that its places stay", len(filled), len(text))
	}
	rules, err := lint.Rules()
	if err != nil {
		t.Fatal(err)
	}
	r := lint.Result{Rules: rules, FailOn: lint.Error}
	s, err := session.Read("t.yml", filled)
	if err := r.Look([]lint.Document{{Name: "t.yml", Session: s, Err: err}}, false, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, p := range r.Problems {
		all = append(all, p.Code+" "+p.Path+" "+p.Got)
	}
	return all
}
