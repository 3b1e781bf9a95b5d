package verify_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/verify"
)

// A replica has what the primary had before it was asked, and nothing else. What is wrong is
// said of that one alone, and what is not known proves nothing.
func TestPlacesInTheHistory(t *testing.T) {
	at := func(written, applied string) func(*scene) {
		return func(s *scene) {
			end := &s.about["mariadb-1"].Replication.End
			end.Written, end.Applied = written, applied
		}
	}
	for name, c := range map[string]struct {
		change  func(*scene)
		want    check.Outcome
		mention string
	}{
		"as it is":    {func(*scene) {}, check.Pass, "it has all that mariadb-0 had"},
		"just as far": {at("0-1-42", "0-1-42"), check.Pass, "it has all"},
		"a commit of the primary is being applied":   {at("0-1-45", "0-1-44"), check.Pass, "it has all"},
		"it was the primary, and has followed since": {func(s *scene) { at("0-1-44", "0-1-44")(s); s.about["mariadb-1"].Replication.Begin.Written = "0-2-30" }, check.Pass, "it has all"},
		"it was seeded and has logged nothing yet":   {at("", "0-1-44"), check.Pass, "it has all"},
		"it lags": {at("0-1-40", "0-1-40"), check.Skip, "it lacked 2 commits"},
		"it has applied nothing since it was primary": {at("0-2-41", "0-3-20"), check.Skip, "it lacked 22 commits"},
		"it has nothing":                      {at("", ""), check.Skip, "it lacked 42 commits"},
		"it has a commit of its own":          {at("0-2-45", "0-1-44"), check.Fail, "commits of its own"},
		"another commit at the same place":    {at("0-2-42", "0-1-41"), check.Fail, "its commit 0-2-42 is not that of mariadb-0, which is 0-1-42"},
		"the same, of an earlier moment":      {func(s *scene) { s.about["mariadb-1"].Replication.Begin.Written = "0-3-40" }, check.Fail, "its commit 0-3-40"},
		"another commit than another replica": {at("0-2-44", "0-2-44"), check.Fail, "is not that of mariadb-2"},
		"a history beside the one":            {at("0-1-44,7-2-1", "0-1-44"), check.Fail, "a domain of which the primary has none: 7"},
		"a place that cannot be read":         {at("0-1-44,0-1-43", "0-1-44"), check.Skip, "could not be read"},
		"a number that is none":               {at("0-1-99999999999999999999", "0-1-44"), check.Skip, "could not be read"},
		"it changed meanwhile":                {func(s *scene) { s.about["mariadb-1"].Replication.Changed = "whom it follows" }, check.Skip, "changed meanwhile"},
		"the primary changed meanwhile":       {func(s *scene) { s.about["mariadb-0"].Replication.Changed = "read_only" }, check.Skip, "changed meanwhile"},
		"it is neither":                       {func(s *scene) { s.about["mariadb-1"].Replication.End.Role = promise.Neither }, check.Skip, "not settled"},
		"it follows another replica":          {func(s *scene) { s.about["mariadb-1"].Replication.End.SourceID = 3 }, check.Skip, "mariadb-0 is written to"},
		"it says nothing":                     {func(s *scene) { s.about["mariadb-1"].Replication = nil }, check.Skip, "does not say how far"},
		"it was asked before the primary":     {func(s *scene) { s.about["mariadb-1"].Witness.Asked = lastMark.Digest }, check.Skip, "not asked after mariadb-0"},
	} {
		s := newSeveral(t)
		c.change(s)
		s.sign(t)
		result := verify.Appraise(s.promised, s.memory, s.seen)
		f, _ := ofDatabases(result)["mariadb-1"].Find("rep-04")
		if f.Outcome != c.want || !strings.Contains(f.Reason, c.mention) || f.Outcome != check.Pass && f.Hint == "" {
			t.Errorf("%s: got %s %+v, want %s", name, f.Outcome, f, c.want)
		}
		if f, _ := ofDatabases(result)["mariadb-0"].Find("rep-04"); c.want == check.Fail && f.Outcome != check.Pass {
			t.Errorf("%s: the primary is blamed: %+v", name, f)
		}
	}
	s := newSeveral(t)
	s.about["mariadb-0"].Replication = nil
	s.sign(t)
	for instance, found := range ofDatabases(verify.Appraise(s.promised, s.memory, s.seen)) {
		if f, _ := found.Find("rep-04"); f.Outcome != check.Skip || f.Hint == "" {
			t.Errorf("the primary says nothing, and %s: %+v", instance, f)
		}
	}
}

// Where the account's password lies in clear, and the history, each database is asked; only
// the one with an option that leads elsewhere is blamed.
func TestHistoryOnTheHostsFiles(t *testing.T) {
	for old, planted := range map[string]string{
		"--init-file=/run/confidb/accounts.sql": "--master-info-file=/srv/master.info",
		"relay_log = relay":                     "relay_log = /srv/relay",
	} {
		s := newSeveral(t)
		m := s.promised.Session("database")
		at := strings.Index(m.Text, "  - name: database-1\n") // an image; the command of a service stands before it
		if strings.HasPrefix(old, "--") {
			at = strings.Index(m.Text, "name: db-db1-mariadb-1")
		}
		m.Text = m.Text[:at] + strings.Replace(m.Text[at:], old, planted, 1)
		s.promised.SetSession("database", m)
		for instance, found := range ofDatabases(verify.Appraise(s.promised, s.memory, s.seen)) {
			f, _ := found.Find("rep-03")
			if want := map[bool]check.Outcome{true: check.Fail, false: check.Pass}[instance == "mariadb-1"]; f.Outcome != want || want == check.Fail && !strings.Contains(f.Reason, "/srv/") {
				t.Errorf("%s, %s: got %+v, want %s", planted, instance, f, want)
			}
		}
	}
}
