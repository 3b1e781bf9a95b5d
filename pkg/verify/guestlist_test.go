package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
)

// TestTheGuestList says of each client who it is, as which account it comes in with which
// rights, until when, and what was refused.
func TestTheGuestList(t *testing.T) {
	s := newScene(t)
	all := verify.Appraise(s.promised, s.memory, s.seen).Guests
	if len(all) != 1 || !all[0].Proven || !all[0].Admitted || all[0].Outside != nil || len(all[0].MRENCLAVEs) != 1 || len(all[0].Platforms) != 1 {
		t.Fatalf("got %+v", all)
	}
	title, said := all[0].Said()
	want := []string{
		"who", "the enclave 09" + strings.Repeat("0", 62) + ", on the machines of the release",
		"as", "the account tokenizer, with the certificate CN=confidb-account-tokenizer",
		"may", `SELECT, INSERT, CREATE ON "shop".*; DELETE ON "shop"."cards"; UPDATE ON column "last_used" of "shop"."cards"; EXECUTE ON PROCEDURE "shop"."clean_up"`,
		"limits", "MAX_CONNECTIONS_PER_HOUR 5000, MAX_QUERIES_PER_HOUR 100000, MAX_STATEMENT_TIME 30, MAX_UPDATES_PER_HOUR 100000, MAX_USER_CONNECTIONS 20",
		"until", "365 days after CAS makes the certificate, anew with each version of the database's session",
		"refused", "certificate of another CA; expired certificate; certificate of another client", "LET IN", "", "unproven", "",
	}
	if diff := cmp.Diff(want, said); title != "Guest tokenizer" || diff != "" {
		t.Errorf("%s: -want +got:\n%s", title, diff)
	}
}

// TestAGuestThatIsNotProven: the list says what was promised, and that it is not proven,
// whatever of that on which it rests was not accepted.
func TestAGuestThatIsNotProven(t *testing.T) {
	about := func(id string, outcome check.Outcome) func(*testing.T, *scene) {
		return func(t *testing.T, s *scene) {
			at := slices.IndexFunc(s.said.Findings, func(f check.Finding) bool { return f.ID == id && f.Subject == `"tokenizer"@"%"` })
			s.said.Findings[at].Outcome = outcome
			s.sign(t)
		}
	}
	for name, c := range map[string]struct {
		change  func(*testing.T, *scene)
		mention string
	}{
		"another session of the client":   {hold(tokenizer), "certificate of another client"},
		"another session of the database": {hold(topology.Database), "certificate of another client"},
		"no session of the client":        {lose(tokenizer), "certificate of another client"},
		"the trial failed":                {about("mtls-09", check.Fail), "LET IN: certificate of another client"},
		"the trial was not made":          {about("mtls-08", check.Skip), "unproven: expired certificate"},
		"no statement":                    {func(_ *testing.T, s *scene) { s.seen.Statement.Value = []byte("{}") }, "unproven: certificate of another CA; expired certificate; certificate of another client"},
		"a statement that is silent about the account": {func(t *testing.T, s *scene) {
			s.said.Findings = slices.DeleteFunc(s.said.Findings, func(f check.Finding) bool { return f.Subject != "" && f.ID == "mtls-07" })
			s.sign(t)
		}, "unproven: certificate of another CA"},
		"a statement about another account": {func(t *testing.T, s *scene) {
			for i := range s.said.Findings {
				s.said.Findings[i].Subject = strings.Replace(s.said.Findings[i].Subject, "tokenizer", "other", 1)
			}
			s.sign(t)
		}, "unproven: certificate of another CA; expired certificate; certificate of another client"},
	} {
		s := newScene(t)
		c.change(t, s)
		result := verify.Appraise(s.promised, s.memory, s.seen)
		title, said := result.Guests[0].Said()
		var text strings.Builder
		for part := range slices.Chunk(said, 2) {
			fmt.Fprintf(&text, "%s: %s\n", part[0], part[1])
		}
		if result.Guests[0].Proven || result.Findings.Verdict().Accepted() || !strings.Contains(title, "not proven") || !strings.Contains(text.String(), c.mention) {
			t.Errorf("%s: got %s, %s:\n%s", name, result.Findings.Verdict(), title, text.String())
		}
	}
}

// TestWhatOpensTheDatabaseStaysWhereItBelongs: within the release, and with its keys, too.
func TestWhatOpensTheDatabaseStaysWhereItBelongs(t *testing.T) {
	to := func(secret, more string) func(string) string {
		return func(text string) string {
			begin := "  - name: " + secret + "\n"
			before, after, _ := strings.Cut(text, begin)
			kind, rest, _ := strings.Cut(after, "\n")
			return before + begin + kind + "\n" + more + rest
		}
	}
	export := "    export: [{session: @}]\n"
	for name, c := range map[string]struct {
		role topology.Role
		edit func(string) string
		want string
	}{
		"the CA's key to ours":               {topology.Database, to("ca_key", strings.Replace(export, "@", "OURS", 1)), "ca_key to "},
		"a password to everybody":            {topology.Database, to("start_secret", "    export_public: true\n"), "start_secret to everybody"},
		"our client hands a password on":     {topology.Client, to("account_tokenizer_password", export), "account_tokenizer_password from the session "},
		"the client hands its key on":        {tokenizer, to("account_tokenizer_key", export), "account_tokenizer_key from the session "},
		"the client tells everybody its key": {tokenizer, to("account_tokenizer_key", "    export_public: true\n"), "account_tokenizer_key from the session "},
		"our certificate to the client": {topology.Database, func(text string) string {
			return strings.Replace(text, "    common_name: confidb-app\n    endpoint: client\n    valid_for: 1 year\n    export:\n", "    common_name: confidb-app\n    endpoint: client\n    valid_for: 1 year\n    export:\n      - session: @\n", 1)
		}, "app to "},
		"the client's key to ours": {topology.Database, func(text string) string {
			return strings.Replace(text, "  - name: account_tokenizer_key\n    kind: private-key\n    migrate: true\n    export:\n", "  - name: account_tokenizer_key\n    kind: private-key\n    migrate: true\n    export:\n      - session: OURS\n", 1)
		}, "account_tokenizer_key of the client tokenizer to "},
	} {
		s := newScene(t)
		write(c.role, func(text string) string {
			return strings.NewReplacer("@", s.promised.Session(tokenizer).Name, "OURS", s.promised.Session(topology.Client).Name).Replace(strings.ReplaceAll(c.edit(strings.ReplaceAll(text, "@", "\x00")), "\x00", "\x01"))
		})(t, s)
		fixed := s.promised.Session(c.role)
		fixed.Text = strings.ReplaceAll(fixed.Text, "\x01", "@")
		s.promised.SetSession(c.role, fixed)
		if all := guests(s); all[0].Outcome != check.Fail || !strings.Contains(all[0].Got, c.want) {
			t.Errorf("%s: got %+v, want fail that says %s", name, all[0], c.want)
		}
	}
}
