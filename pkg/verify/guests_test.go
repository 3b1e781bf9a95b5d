package verify_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
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
	for _, f := range verify.Appraise(s.promised, s.memory, s.seen).Findings {
		if strings.HasPrefix(f.ID, "application-session-") {
			t.Errorf("got %+v", f)
		}
	}
	if all := guests(s); len(all) != 1 || all.Verdict() != check.Affirming {
		t.Errorf("got %+v", all)
	}
}
