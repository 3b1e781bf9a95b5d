package verify_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
)

// guests are the findings about who may come in.
func guests(s *scene) check.Report {
	var all check.Report
	for _, f := range verify.Appraise(s.promised, s.memory, s.seen).Findings {
		if f.ID == "guests" {
			all = append(all, f)
		}
	}
	return all
}

// TestGuests reads like a list of guests.
func TestGuests(t *testing.T) {
	s := newScene(t)
	all := guests(s)
	if len(all) != 2 || all.Verdict() != check.Affirming {
		t.Fatalf("got %+v", all)
	}
	for _, want := range []string{"the client tokenizer may come in: the enclave 09", "on the machines of the release", `the account "tokenizer" (SELECT, INSERT, CREATE ON "shop".*`} {
		if !strings.Contains(all[1].Title, want) {
			t.Errorf("want %q in %q", want, all[1].Title)
		}
	}
}

// TestGuestsOfATemplate: what a template of the user's own gives to others is named.
func TestGuestsOfATemplate(t *testing.T) {
	for _, export := range []string{"{session: somebody/else}", "{namespace: others}", "{session: ../x}", "{session: a/b, cas_url: 'https://cas.example', cas_key: '" + strings.Repeat("a", 64) + "'}"} {
		s := newScene(t)
		write(topology.Database, func(text string) string {
			return strings.Replace(text, "  - name: app_key\n    kind: private-key\n    migrate: true\n    export:\n", "  - name: app_key\n    kind: private-key\n    migrate: true\n    export:\n      - "+export+"\n", 1)
		})(t, s)
		if all := guests(s); all[0].Outcome != check.Warn || !strings.Contains(all[0].Got, "app_key to ") {
			t.Errorf("%s: got %+v", export, all[0])
		}
	}
}

// TestGuestsAreThoseOfTheSession: the list says what the session in CAS admits, and not what
// somebody has written beside it.
func TestGuestsAreThoseOfTheSession(t *testing.T) {
	machine := "INTEL_QE_ID:" + nonce
	for name, edit := range map[string][2]string{
		"another enclave":       {`mrenclave: ["09`, `mrenclave: ["08`},
		"a second enclave":      {`mrenclave: ["09`, `mrenclave: ["08` + strings.Repeat("0", 62) + `", "09`},
		"a signer as well":      {"    platforms: [", "      signer: {mrsigner: \"" + strings.Repeat("a", 64) + "\", isvprodid: 1}\n    platforms: ["},
		"another machine":       {machine, "INTEL_QE_ID:" + strings.Repeat("a", 32)},
		"one machine more":      {machine, machine + ", INTEL_QE_ID:" + strings.Repeat("a", 32)},
		"a service of a second": {"images:", "  - {name: other, image_name: tokenizer, command: [x], attestation: {mrenclave: [" + strings.Repeat("a", 64) + "]}, platforms: [" + machine + "]}\nimages:"},
	} {
		s := newScene(t)
		write(tokenizer, func(text string) string { return strings.Replace(text, edit[0], edit[1], 1) })(t, s)
		if all := guests(s); all.Verdict() == check.Affirming || all.Verdict() == check.None && !strings.Contains(name, "machine") {
			t.Errorf("%s: got %+v", name, all)
		}
	}
}

// TestKeysOfAGuestStayHere: also a session of the right name elsewhere is somebody else.
func TestKeysOfAGuestStayHere(t *testing.T) {
	for _, export := range []string{"{namespace: others}", "{session: @, cas_url: 'https://cas.example', cas_key: '" + strings.Repeat("a", 64) + "'}"} {
		s := newScene(t)
		own := s.promised.Session(tokenizer).Name
		write(topology.Database, func(text string) string {
			return strings.Replace(text, "    export:\n      - session: "+own+"\n", "    export:\n      - "+strings.Replace(export, "@", own, 1)+"\n", 1)
		})(t, s)
		if all := guests(s); all[0].Outcome != check.Fail || !strings.Contains(all[0].Got, "of the client tokenizer to ") {
			t.Errorf("%s: got %+v", export, all[0])
		}
	}
}

// TestAChangeThatIsUnderWay is no proof: the database may have the accounts of before.
func TestAChangeThatIsUnderWay(t *testing.T) {
	s := newScene(t)
	s.promised.Changing = &topology.Applications{Accounts: s.promised.Applications.Accounts}
	if all := guests(s); all.Verdict() != check.None {
		t.Errorf("got %+v", all)
	}
}

// TestAClientThatWasSentAway: its session gives nothing, and demands nothing.
func TestAClientThatWasSentAway(t *testing.T) {
	s := newScene(t)
	s.promised.Applications = s.promised.Applications.Without("tokenizer")
	write(tokenizer, func(string) string {
		return "version: \"0.3.11\"\nname: " + s.promised.Session(tokenizer).Name + "\naccess_policy: {read: [CREATOR], update: [CREATOR]}\n"
	})(t, s)
	if all := guests(s); len(all) != 1 || all.Verdict() != check.Contraindicated {
		t.Errorf("it still gets what it logged in with: got %+v", all)
	}
	own := s.promised.Session(tokenizer).Name
	write(topology.Database, func(text string) string {
		text = strings.ReplaceAll(text, "    export:\n      - session: "+own+"\n", "")
		return strings.ReplaceAll(text, "      - session: "+own+"\n", "")
	})(t, s)
	for _, f := range verify.Appraise(s.promised, s.memory, s.seen).Findings {
		if strings.HasPrefix(f.ID, "application-session-") {
			t.Errorf("got %+v", f)
		}
	}
	if all := guests(s); len(all) != 1 || all.Verdict() != check.Affirming {
		t.Errorf("got %+v", all)
	}
	for _, role := range []topology.Role{tokenizer, topology.Database} {
		s.stored(role, func(held *session.Stored) { held.Text = "creator: me\n" + s.promised.Session(role).Text })
	}
	listed := func() verify.Guest { return verify.Appraise(s.promised, s.memory, s.seen).Guests[0] }
	if g := listed(); g.Admitted || g.Proven || len(g.Accounts) != 1 || g.Accounts[0].Tried[0].Outcome != check.Skip {
		t.Errorf("nobody has tried the lock: got %+v", g)
	}
	s.said.Findings = append(s.said.Findings, triedAs(`"tokenizer"@"%"`, "acc-05")...)
	s.sign(t)
	if g := listed(); g.Admitted || !g.Proven || g.Accounts[0].Tried[0].Outcome != check.Pass {
		t.Errorf("the lock was tried: got %+v", g)
	}
}
