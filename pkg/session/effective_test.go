package session_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/session"
)

const (
	measured    = "abababababababababababababababababababababababababababababababab"
	onePlatform = "INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151"
)

// inlined is a session whose policy stands in it, in parts that have names.
func inlined(security, access, attestation, platforms, command string, secrets ...string) string {
	text := fmt.Sprintf(`version: "0.3.12"
name: ns/db
services:
  - name: db
    command: %s
    attestation: %s
    platforms: %s
security: %s
access_policy: %s
`, command, attestation, platforms, security, access)
	if len(secrets) > 0 {
		text += "secrets:\n" + strings.Join(secrets, "\n") + "\n"
	}
	return text
}

func parsed(t *testing.T, file, text string) *session.Session {
	t.Helper()
	s, err := session.Parse(file, []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return s
}

// policyOf is what of a session decides, without its secrets.
func policyOf(s *session.Session) *session.Session {
	p := *s
	p.Secrets = nil
	return &p
}

func fragment(name, value string) string {
	return fmt.Sprintf("  - {name: %s, kind: config-fragment, value: %s}", name, value)
}

// TestEffective moves each part of a policy behind a reference, and each part of that.
func TestEffective(t *testing.T) {
	const (
		security = "{attestation: {mode: none, tolerate: [debug-mode, outdated-tcb], ignore_advisories: [INTEL-SA-00615]}}"
		access   = "{read: [ANY], update: [{require-all: [CREATOR, " + measured + "]}]}"
		attested = "[{mrenclave: [" + measured + "]}, {signer: {mrsigner: " + measured + ", isvprodid: 1}}]"
		placed   = "[" + onePlatform + "]"
		command  = "[mariadbd, --bootstrap]"
	)
	want := parsed(t, "inline", inlined(security, access, attested, placed, command))
	for name, text := range map[string]string{
		"security":      inlined("$$SCONE::x$$", access, attested, placed, command, fragment("x", security)),
		"attestation":   inlined("{attestation: $$SCONE::x$$}", access, attested, placed, command, fragment("x", "{mode: none, tolerate: [debug-mode, outdated-tcb], ignore_advisories: [INTEL-SA-00615]}")),
		"one word":      inlined("{attestation: {mode: none, tolerate: [$$SCONE::x$$, outdated-tcb], ignore_advisories: [INTEL-SA-00615]}}", access, attested, placed, command, fragment("x", "debug-mode")),
		"words":         inlined("{attestation: {mode: none, tolerate: [$$SCONE::x$$], ignore_advisories: [INTEL-SA-00615]}}", access, attested, placed, command, fragment("x", "[debug-mode, outdated-tcb]")),
		"advisories":    inlined("{attestation: {mode: none, tolerate: [debug-mode, outdated-tcb], ignore_advisories: $$SCONE::x$$}}", access, attested, placed, command, fragment("x", "[INTEL-SA-00615]")),
		"access":        inlined(security, "$$SCONE::x$$", attested, placed, command, fragment("x", access)),
		"readers":       inlined(security, "{read: [$$SCONE::x$$], update: [{require-all: [CREATOR, "+measured+"]}]}", attested, placed, command, fragment("x", "ANY")),
		"a threshold":   inlined(security, "{read: [ANY], update: [$$SCONE::x$$]}", attested, placed, command, fragment("x", "{require-all: [CREATOR, "+measured+"]}")),
		"one of two":    inlined(security, "{read: [ANY], update: [{require-all: [CREATOR, $$SCONE::x$$]}]}", attested, placed, command, fragment("x", measured)),
		"variants":      inlined(security, access, "$$SCONE::x$$", placed, command, fragment("x", attested)),
		"a variant":     inlined(security, access, "[$$SCONE::x$$, {signer: {mrsigner: "+measured+", isvprodid: 1}}]", placed, command, fragment("x", "{mrenclave: ["+measured+"]}")),
		"measurements":  inlined(security, access, "[{mrenclave: $$SCONE::x$$}, {signer: {mrsigner: "+measured+", isvprodid: 1}}]", placed, command, fragment("x", "["+measured+"]")),
		"a signer":      inlined(security, access, "[{mrenclave: ["+measured+"]}, {signer: $$SCONE::x$$}]", placed, command, fragment("x", "{mrsigner: "+measured+", isvprodid: 1}")),
		"a platform":    inlined(security, access, attested, "[$$SCONE::x$$]", command, fragment("x", onePlatform)),
		"platform text": inlined(security, access, attested, "[$$SCONE::x$$]", command, "  - {name: x, kind: ascii, value: '"+onePlatform+"'}"),
		"an argument":   inlined(security, access, attested, placed, "[mariadbd, $$SCONE::x$$]", fragment("x", "--bootstrap")),
		"a program":     inlined(security, access, attested, placed, "[$$SCONE::x$$, --bootstrap]", fragment("x", "mariadbd")),
		"two steps":     inlined("$$SCONE::x$$", access, attested, placed, command, fragment("x", "{attestation: $$SCONE::y$$}"), fragment("y", "{mode: none, tolerate: [debug-mode, $$SCONE::z$$], ignore_advisories: [INTEL-SA-00615]}"), fragment("z", "outdated-tcb")),
	} {
		got, references, err := parsed(t, "frag", text).Effective(nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, r := range references {
			if r.Problem != "" {
				t.Errorf("%s: got %s at %s, want it followed", name, r, r.Path)
			}
		}
		if !session.Equal(policyOf(got), policyOf(want)) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", name, policyOf(got), policyOf(want))
		}
	}
}

// TestEffectiveOfAnother finds values in other documents, and their places there.
func TestEffectiveOfAnother(t *testing.T) {
	db := parsed(t, "db.yml", inlined("{attestation: $$SCONE::x$$}", "{read: [CREATOR]}", "{mrenclave: ["+measured+"]}", "["+onePlatform+"]", "x",
		"  - {name: x, kind: config-fragment, import: {session: ../owner, secret: y}}"))
	owner := parsed(t, "owner.yml", "version: \"0.3.12\"\nname: ns/owner\nsecrets:\n"+
		"  - {name: first, kind: ascii}\n  - name: y\n    kind: config-fragment\n    value:\n      mode: none\n    export: {session: ../db}\n")
	got, references, err := db.Effective([]*session.Session{db, owner})
	if err != nil || len(references) != 1 || references[0].Problem != "" {
		t.Fatalf("got %v, %v, want one reference that is followed", references, err)
	}
	if got.Security.Mode != "none" {
		t.Errorf("got mode %q, want none", got.Security.Mode)
	}
	if where := got.Where("security.attestation.mode"); where != "owner.yml:8:13" {
		t.Errorf("got %s, want the place in the other document", where)
	}
	if file, path := got.Origin("security.attestation.mode"); file != "owner.yml" || path != "secrets[1].value.mode" {
		t.Errorf("got %s %s", file, path)
	}
}

// TestNotFollowed is about references whose value cannot be known: each is named.
func TestNotFollowed(t *testing.T) {
	for name, c := range map[string]struct{ secret, says string }{
		"made by CAS":     {"{name: x, kind: ascii}", "CAS makes its value"},
		"another session": {"{name: x, kind: config-fragment, import: {session: ../owner, secret: x}}", "session ns/owner"},
		"another CAS":     {"{name: x, kind: config-fragment, import: {session: owner, secret: x, cas_url: cas.example, cas_key: abc}}", "another CAS"},
		"key vault":       {"{name: x, kind: ascii, import_akv: {vault: v, secret_name: s}}", "Azure Key Vault"},
		"itself":          {"{name: x, kind: config-fragment, value: $$SCONE::x$$}", "leads back to itself"},
	} {
		s := parsed(t, "f", inlined("{attestation: {tolerate: [$$SCONE::x$$]}}", "{read: [CREATOR]}", "{mrenclave: ["+measured+"]}", "["+onePlatform+"]", "x", "  - "+c.secret))
		got, references, err := s.Effective([]*session.Session{s})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		problems := 0
		for _, r := range references {
			if strings.Contains(r.Problem, c.says) {
				problems++
			}
		}
		if problems == 0 {
			t.Errorf("%s: got %v, want one that says %q", name, references, c.says)
		}
		if len(got.Security.Tolerate) != 1 {
			t.Errorf("%s: got %v, want the reference kept", name, got.Security.Tolerate)
		}
	}
}

// TestTooMuch is about fragments that double at each step.
func TestTooMuch(t *testing.T) {
	var secrets []string
	for i := range 40 {
		secrets = append(secrets, fragment(fmt.Sprintf("x%d", i), fmt.Sprintf("[$$SCONE::x%d$$, $$SCONE::x%d$$]", i+1, i+1)))
	}
	secrets = append(secrets, fragment("x40", "debug-mode"))
	s := parsed(t, "f", inlined("{attestation: {tolerate: [$$SCONE::x0$$]}}", "{read: [CREATOR]}", "{mrenclave: ["+measured+"]}", "["+onePlatform+"]", "x", secrets...))
	_, references, _ := s.Effective(nil)
	for _, r := range references {
		if strings.Contains(r.Problem, "more than") {
			return
		}
	}
	t.Errorf("got %d references, all followed, want the end of it told", len(references))
}

// TestSenseless is about a value that does not fit where it is put.
func TestSenseless(t *testing.T) {
	s := parsed(t, "f.yml", inlined("{attestation: $$SCONE::x$$}", "{read: [CREATOR]}", "{mrenclave: ["+measured+"]}", "["+onePlatform+"]", "x", fragment("x", "{mode: off}")))
	_, _, err := s.Effective(nil)
	if err == nil || !strings.HasPrefix(err.Error(), "f.yml:11:") {
		t.Errorf("got %v, want a problem at the value", err)
	}
}
