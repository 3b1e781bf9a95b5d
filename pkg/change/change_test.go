package change_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/session"
)

const (
	idA = "INTEL_QE_ID:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "INTEL_QE_ID:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	idC = "INTEL_QE_ID:cccccccccccccccccccccccccccccccc"
)

// shop is a session with two services, of which one has a secret.
const shop = `version: "0.3.11"
name: shop
services:
  - name: db
    command: [run, "$$SCONE::password:hex$$"]
    attestation: {mrenclave: ["0200000000000000000000000000000000000000000000000000000000000000"]}
    platforms: [` + idA + `, ` + idB + `]
  - name: backup
    command: dump
    attestation: {mrenclave: ["0200000000000000000000000000000000000000000000000000000000000000"]}
    platforms: [` + idA + `]
secrets:
  - {name: password, kind: binary, size: 16}
`

func parse(t *testing.T, text string) *session.Session {
	t.Helper()
	s, err := session.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// held is a version as CAS has it: with a creator, and a hash over all.
func held(t *testing.T, text string) change.Version {
	t.Helper()
	text += "creator: " + strings.Repeat("c", 64) + "\n"
	return change.Version{Hash: hashOf(text), Session: parse(t, text)}
}

func ids(t *testing.T, texts ...string) []attest.PlatformID {
	t.Helper()
	var all []attest.PlatformID
	for _, text := range texts {
		id, err := attest.ParsePlatformID(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, id)
	}
	return all
}

// wants fails unless err says want; an empty want wants no error.
func wants(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("got %v", err)
	case want != "" && err == nil:
		t.Errorf("got no error, want %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestReadVersion(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"what was asked for": {shop, ""},
		"another session":    {strings.Replace(shop, "name: shop", "name: shed", 1), `got session "shed", want "shop"`},
		"no session":         {"nonsense", "reading the session that CAS holds"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := change.ReadVersion("shop", &session.Stored{Hash: hashOf(c.text), Text: c.text})
			wants(t, err, c.want)
			if err == nil && (v.Text() != c.text || !v.Is(strings.ToUpper(hashOf(c.text)))) {
				t.Errorf("got hash %s and\n%s", v.Hash, v.Text())
			}
		})
	}
	if (change.Version{}).Is("") {
		t.Error("a version without hash is the version of no hash")
	}
}

func TestNewUpdate(t *testing.T) {
	from := held(t, shop)
	wanted := parse(t, strings.Replace(shop, "["+idA+"]", "["+idA+", "+idC+"]", 1)+"creator: "+strings.Repeat("d", 64)+"\n")
	before := string(wanted.Source())
	u, err := change.NewUpdate(from, wanted)
	if err != nil {
		t.Fatal(err)
	}
	if string(wanted.Source()) != before {
		t.Error("the document that was given has changed")
	}
	if u.To.Predecessor != from.Hash {
		t.Errorf("got the predecessor %q, want %q", u.To.Predecessor, from.Hash)
	}
	if u.To.Creator != "" || u.To.Has("creator") {
		t.Error("the creator is uploaded")
	}
	if u.Verdict != diff.Widened {
		t.Errorf("got %s, want widened", u.Verdict)
	}
	if err := u.Refuse(); err != nil {
		t.Error(err)
	}
}

// TestNewUpdateRefuses: a version without a good hash, and a document in which a key
// cannot be set, are errors.
func TestNewUpdateRefuses(t *testing.T) {
	_, err := change.NewUpdate(change.Version{Hash: "beef", Session: parse(t, shop)}, parse(t, shop))
	wants(t, err, "setting the predecessor")
}

func TestReissue(t *testing.T) {
	from := held(t, shop)
	for name, c := range map[string]struct {
		old, new string
		broken   []string
	}{
		"nothing is lost":     {"command: dump", "command: copy", nil},
		"another size":        {"size: 16", "size: 17", []string{"password"}},
		"nobody uses it":      {"$$SCONE::password:hex$$", "none", []string{}},
		"removed and unused":  {"secrets:\n  - {name: password, kind: binary, size: 16}\n", "", nil},
		"kept with new users": {"command: dump", "command: [dump, \"$$SCONE::password:hex$$\"]", nil},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(shop, c.old, c.new, 1)
			if name == "removed and unused" {
				text = strings.Replace(text, "$$SCONE::password:hex$$", "none", 1)
				c.broken = []string{"password"} // what runs now uses it
			}
			u, err := change.NewUpdate(from, parse(t, text))
			if err != nil {
				t.Fatal(err)
			}
			err = u.Refuse()
			var reissue *change.ReissueError
			if errors.As(err, &reissue) != (len(c.broken) > 0) {
				t.Fatalf("got %v, want broken %v", err, c.broken)
			}
			if reissue != nil && strings.Join(reissue.Secrets, " ") != strings.Join(c.broken, " ") {
				t.Errorf("got %v, want %v", reissue.Secrets, c.broken)
			}
		})
	}
}

// TestSame: an update is the same only from the same to the same. Words alone do not
// tell: they do not say which salt.
func TestSame(t *testing.T) {
	salted := func(digit string) string {
		return strings.Replace(shop, "0.3.11", "0.3.12", 1) + "salt: \"" + strings.Repeat(digit, 32) + "\"\n"
	}
	update := func(from, to string) *change.Update {
		t.Helper()
		u, err := change.NewUpdate(held(t, from), parse(t, to))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	shown := update(salted("1"), salted("3"))
	if !shown.Same(update("# a remark\n"+salted("1"), salted("3"))) {
		t.Error("a comment makes another update")
	}
	words := update(salted("2"), salted("3"))
	if len(shown.Changes) != 1 || shown.Changes[0] != words.Changes[0] {
		t.Fatalf("got %v and %v, want the same words", shown.Changes, words.Changes)
	}
	if shown.Same(words) {
		t.Error("somebody else's change is lost without a word")
	}
	if shown.Same(update(salted("1"), salted("4"))) {
		t.Error("another document is the same update")
	}
}

// TestHints: every refusal says how to go on.
func TestHints(t *testing.T) {
	for _, c := range []struct {
		err        interface{ Hint() string }
		text, hint string
	}{
		{&change.ReissueError{Secrets: []string{"a", "b"}}, "would replace a, b", "migrate: true"},
		{&change.MovedError{Name: "x"}, "than was shown", "{session diff}"},
		{&change.MovedError{Name: "x", Again: "{platforms plan}"}, "left as it is", "{platforms plan}"},
		{&change.NoSessionError{Name: "x"}, `no session "x"`, "{session create}"},
		{&change.SignersError{Got: 1, Want: 2}, "signatures of 1 key, want at least 2", "{session sign"},
		{&change.SignersError{Got: 0, Want: 1}, "signatures of 0 keys, want at least 1", "{session sign"},
		{&change.ClusterMovedError{Got: ids(t, idA), Want: ids(t, idA, idB)}, "got " + idA + ", want " + idA + ", " + idB, "{platforms plan}"},
	} {
		wants(t, c.err.(error), c.text)
		if !strings.Contains(c.err.Hint(), c.hint) {
			t.Errorf("got the hint %q, want %q in it", c.err.Hint(), c.hint)
		}
	}
	if planned := (&change.MovedError{Name: "x", Again: "{session plan}"}).Error(); strings.Contains(planned, "shown") {
		t.Errorf("nothing was shown: %s", planned)
	}
}

func TestWidens(t *testing.T) {
	for verdict, want := range map[diff.Verdict]bool{diff.Equal: false, diff.Narrowed: false, diff.Widened: true, diff.Incomparable: true} {
		if got := (change.Change{Diff: diff.Diff{Verdict: verdict}}).Widens(); got != want {
			t.Errorf("%s: got %v, want %v", verdict, got, want)
		}
	}
}
