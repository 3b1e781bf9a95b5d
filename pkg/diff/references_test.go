package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/session"
)

// places are parts of a policy that can stand in the document or behind a reference, each
// with values of which any two are another policy.
func places() map[string][]string {
	return map[string][]string{
		"security":              {"{attestation: {mode: hardware}}", "{attestation: {mode: none}}", "{singleton_enclaves: true}"},
		"attestation":           {"{mode: hardware}", "{mode: none, tolerate: [debug-mode]}", "{tolerate: [debug-mode, hyperthreading]}", "{ignore_advisories: '*'}"},
		"tolerate":              {"[debug-mode]", "[debug-mode, hyperthreading]"},
		"access":                {"{read: [CREATOR]}", "{read: [ANY]}", "{read: [CREATOR], update: [ANY]}", "{create_sessions: [NONE]}"},
		"read":                  {"[CREATOR]", "[ANY]", "[NONE]", "[" + two + "]"},
		"mrenclave":             {"[" + one + "]", "[" + one + ", " + two + "]", "[" + two + "]"},
		"platforms":             {"[" + here + "]", "[" + here + ", " + there + "]", "[" + there + "]"},
		"signer":                {"{mrsigner: " + one + ", isvprodid: 1, isvsvn_min: 5}", "{mrsigner: " + one + ", isvprodid: 1, isvsvn_min: 2}", "{mrsigner: " + two + ", isvprodid: 1}"},
		"the service's variant": {"{mrenclave: [" + one + "]}", "{signer: {mrsigner: " + one + ", isvprodid: 1}}"},
	}
}

// policyOf is a session that says a value at a place, and secrets beside it.
func policyOf(place, value, secrets string) string {
	part := map[string]string{"attestation": "{mrenclave: [" + one + "]}", "mrenclave": "", "platforms": "[" + here + "]", "access": "{read: [CREATOR]}", "security": "{}"}
	switch place {
	case "security", "access", "platforms":
		part[place] = value
	case "attestation", "tolerate":
		part["security"] = "{attestation: " + value + "}"
		if place == "tolerate" {
			part["security"] = "{attestation: {tolerate: " + value + "}}"
		}
	case "read":
		part["access"] = "{read: " + value + "}"
	case "mrenclave", "signer":
		part["attestation"] = "{" + place + ": " + value + "}"
	default:
		part["attestation"] = value
	}
	return fmt.Sprintf("version: \"0.3.12\"\nname: shop/db\nservices:\n  - name: db\n    command: x\n    attestation: %s\n    platforms: %s\naccess_policy: %s\nsecurity: %s\nsecrets: [%s]\n",
		part["attestation"], part["platforms"], part["access"], part["security"], secrets)
}

// behind is the reference to a value, as a list where one must stand.
func behind(place string) string {
	if slices.Contains([]string{"tolerate", "read", "mrenclave", "platforms"}, place) {
		return "[$$SCONE::part$$]"
	}
	return "$$SCONE::part$$"
}

// said is what a diff says, wherever it says it from.
func said(d diff.Diff) string {
	text := string(d.Verdict)
	for _, c := range d.Changes {
		text += fmt.Sprintf("\n%s %s %s", c.Kind, c.Who, c.What)
	}
	return text
}

// A change of what stands behind a reference is the same change as of what stands in the
// document, in the document itself and in another; and where it stands makes none.
func TestReferencesAreFollowed(t *testing.T) {
	for place, values := range places() {
		for _, old := range values {
			for _, new := range values {
				inline := func(value string) *session.Session { return parsed(t, policyOf(place, value, "")) }
				fragment := func(value string) *session.Session {
					return parsed(t, policyOf(place, behind(place), "{name: part, kind: config-fragment, value: "+value+"}"))
				}
				want := said(diff.Compare(inline(old), inline(new)))
				if got := said(diff.Compare(fragment(old), fragment(new))); got != want {
					t.Errorf("%s: %s to %s, both by a fragment: got %s\nwant %s", place, old, new, got, want)
				}
				if got := diff.Compare(inline(old), fragment(new)); !strings.HasPrefix(said(got), want[:strings.IndexByte(want+"\n", '\n')]) && got.Verdict != diff.Incomparable && got.Verdict != diff.Widened {
					t.Errorf("%s: %s to a fragment with %s: got %s\nwant %s", place, old, new, said(got), want)
				}
			}
		}
	}
}

// The value may be another session's, if that is known. If it is not, nothing is narrower.
func TestReferencesIntoOtherSessions(t *testing.T) {
	for place, values := range places() {
		imported := parsed(t, policyOf(place, behind(place), "{name: part, import: {session: shop/parts, secret: part}}"))
		for _, value := range values {
			inline := parsed(t, policyOf(place, value, ""))
			other := parsed(t, "version: \"0.3.12\"\nname: shop/parts\nsecrets: [{name: part, kind: config-fragment, value: "+value+", export: [{session: shop/db}]}]\n")
			if d := diff.Compare(inline, imported, other); slices.ContainsFunc(d.Changes, func(c diff.Change) bool { return c.Path != "secrets[0]" }) {
				t.Errorf("%s: the same value of another session: %s", place, said(d))
			}
			for _, d := range []diff.Diff{diff.Compare(inline, imported), diff.Compare(imported, inline)} {
				if d.Verdict != diff.Incomparable || !strings.Contains(said(d), "not known (") && !strings.Contains(said(d), "is not known") || !strings.Contains(said(d), "shop/parts") {
					t.Errorf("%s: a value of a session that is not known: %s", place, said(d))
				}
			}
		}
		if d := diff.Compare(imported, imported); d.Verdict != diff.Equal {
			t.Errorf("%s: the same: %s", place, said(d))
		}
	}
}

// A fragment that somebody else uses as well is not only what the policy says.
func TestFragmentsForOthers(t *testing.T) {
	for name, c := range map[string]struct{ extra, service string }{
		"exported":       {", export: [{session: shop/other}]", "command: x"},
		"public":         {", export_public: true", "command: x"},
		"in a command":   {"", "command: x $$SCONE::part$$"},
		"in a variable":  {"", "command: x\n    environment: {A: $$SCONE::part$$}"},
		"nowhere at all": {"", "command: x"},
	} {
		text := func(value string) string {
			return strings.Replace(policyOf("platforms", "["+here+"]", "{name: part, kind: config-fragment, value: "+value+c.extra+"}"), "command: x", c.service, 1)
		}
		d := diff.Compare(parsed(t, text("{a: 1}")), parsed(t, text("{a: 2}")))
		if d.Verdict != diff.Incomparable || !strings.Contains(said(d), "the secret part ") {
			t.Errorf("%s: got %s", name, said(d))
		}
	}
}

// What a secret says in clear is nothing to show, though it is put where it is named.
func TestDiffShowsNoSecret(t *testing.T) {
	text := func(value string) string {
		return strings.Replace(policyOf("platforms", "["+here+"]", "{name: part, kind: ascii, value: "+value+"}"), "command: x", "command: x --password=$$SCONE::part$$\n    environment: {A: $$SCONE::part$$}", 1)
	}
	d := diff.Compare(parsed(t, text("canary-one")), parsed(t, text("canary-two")))
	if d.Verdict != diff.Incomparable || strings.Contains(said(d), "canary") {
		t.Errorf("got %s", said(d))
	}
}

// Twice as many services and secrets take twice as much, not four times.
func TestDiffGrowsAsItsInput(t *testing.T) {
	allocations := func(n int) float64 {
		s := parsed(t, many(n))
		return testing.AllocsPerRun(1, func() {
			diff.Compare(s, s)
			diff.Impact(s, s)
		})
	}
	if few, more := allocations(200), allocations(800); more > 6*few {
		t.Errorf("got %.0f allocations for 200 services and %.0f for 800", few, more)
	}
}

func many(n int) string {
	text := "name: big-0f1e2d3c4b5a69788796a5b4c3d2e1f0\nversion: \"0.3.12\"\nservices:\n"
	for i := range n {
		text += fmt.Sprintf("  - {name: s%d, command: x, attestation: {mrenclave: [%s]}, environment: {A: $$SCONE::k%d$$}}\n", i, one, i)
	}
	text += "secrets:\n"
	for i := range n {
		text += fmt.Sprintf("  - {name: k%d, kind: ascii, size: 32}\n", i)
	}
	return text
}

func BenchmarkCompare(b *testing.B) {
	for _, n := range []int{300, 3000} {
		s := parsed(b, many(n))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for range b.N {
				diff.Compare(s, s)
				diff.Impact(s, s)
			}
		})
	}
}
