package rollout_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/change"
	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/rollout"
	"github.com/confidb/confidb/pkg/session"
)

var (
	_ rollout.CAS = (*cas.Client)(nil)
	_ rollout.CAS = (*fakeCAS)(nil)
)

// wider is the shop whose backup may run on one more machine.
func wider(t *testing.T) *session.Session {
	t.Helper()
	return parse(t, strings.Replace(shop, "["+idA+"]", "["+idA+", "+idC+"]", 1))
}

func shown(t *testing.T, c *fakeCAS) *change.Update {
	t.Helper()
	u, err := rollout.PlanUpdate(t.Context(), c, wider(t))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// successor is a text that is uploaded by somebody else.
func (c *fakeCAS) successor(text string) {
	c.add(strings.Replace(text, "name: shop", "predecessor: "+c.newest("shop").Hash+"\nname: shop", 1))
}

func TestPlanUpdate(t *testing.T) {
	broken := errors.New("broken line")
	for name, c := range map[string]struct {
		cas  *fakeCAS
		want string
	}{
		"there is one":     {newCAS(shop), ""},
		"there is none":    {newCAS(), `CAS has no session "shop"`},
		"CAS is away":      {&fakeCAS{answer: func(string, string, *session.Stored) (*session.Stored, error) { return nil, broken }}, "broken line"},
		"CAS has nonsense": {&fakeCAS{answer: func(string, string, *session.Stored) (*session.Stored, error) { return &session.Stored{Text: "x"}, nil }}, "reading the session that CAS holds"},
		"CAS gives no hash": {&fakeCAS{answer: func(string, string, *session.Stored) (*session.Stored, error) {
			return &session.Stored{Text: shop}, nil
		}}, "is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := rollout.PlanUpdate(t.Context(), c.cas, wider(t))
			wants(t, err, c.want)
			if err == nil && u.Verdict != diff.Widened {
				t.Errorf("got %s, want widened", u.Verdict)
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	c := newCAS(shop)
	hash, err := rollout.Update(t.Context(), c, shown(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if hash != c.newest("shop").Hash {
		t.Errorf("got the hash %s, want %s", hash, c.newest("shop").Hash)
	}
	if got := c.admitted(t, "shop"); got != "db=a+b backup=a+c" {
		t.Errorf("got %s", got)
	}
}

// TestRaces: what somebody else uploads meanwhile is replaced only if the update still
// does what was shown.
func TestRaces(t *testing.T) {
	other := strings.Replace(shop, "dump", "copy", 1)
	always := func(n int) string { return strings.Repeat("# x\n", n) + shop }
	for name, c := range map[string]struct {
		texts   func(n int) string // of somebody else, before upload n
		uploads int
		want    string
	}{
		"nobody":                {func(int) string { return "" }, 1, ""},
		"once, only a remark":   {func(n int) string { return map[int]string{1: "# x\n" + shop}[n] }, 2, ""},
		"twice, only a remark":  {func(n int) string { return map[int]string{1: always(1), 2: always(2)}[n] }, 3, ""},
		"for ever":              {always, 3, "another version was uploaded meanwhile"},
		"another command":       {func(int) string { return other }, 1, "was changed meanwhile"},
		"the same already":      {func(int) string { return string(wider(t).Source()) }, 1, "was changed meanwhile"},
		"another, second time":  {func(n int) string { return map[int]string{1: always(1), 2: other}[n] }, 2, "was changed meanwhile"},
		"one machine more here": {func(int) string { return strings.Replace(shop, ", "+idB, "", 1) }, 1, "was changed meanwhile"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newCAS(shop)
			u := shown(t, f)
			f.before = func(n int) {
				if text := c.texts(n); text != "" {
					f.successor(text)
				}
			}
			hash, err := rollout.Update(t.Context(), f, u)
			wants(t, err, c.want)
			if f.uploads != c.uploads {
				t.Errorf("got %d uploads, want %d", f.uploads, c.uploads)
			}
			if (hash != "") != (err == nil) {
				t.Errorf("got the hash %q beside %v", hash, err)
			}
			if got := f.admitted(t, "shop"); err == nil && got != "db=a+b backup=a+c" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// TestUpdateFails: what CAS says is passed on.
func TestUpdateFails(t *testing.T) {
	f := newCAS(shop)
	f.refused = []int{1}
	_, err := rollout.Update(t.Context(), f, shown(t, f))
	wants(t, err, "connection refused")
	f = newCAS(shop)
	u := shown(t, f)
	f.before = func(int) {
		f.successor("# x\n" + shop)
		f.answer = func(string, string, *session.Stored) (*session.Stored, error) { return nil, errors.New("broken line") }
	}
	_, err = rollout.Update(t.Context(), f, u)
	wants(t, err, "broken line")
}

func signedPlan(t *testing.T, c *fakeCAS, signers int) *change.Plan {
	t.Helper()
	p := change.NewPlan("cas", shown(t, c), false)
	for range signers {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := change.Sign(rand.Reader, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), p.To.Source())
		if err != nil {
			t.Fatal(err)
		}
		p.Add(s)
	}
	return p
}

func TestApplyPlan(t *testing.T) {
	for name, c := range map[string]struct {
		signers int
		before  func(c *fakeCAS)
		want    string
	}{
		"nobody signed":       {0, nil, ""},
		"one signed":          {1, nil, ""},
		"two signed":          {2, nil, ""},
		"CAS moved":           {0, func(c *fakeCAS) { c.successor("# x\n" + shop) }, "was changed meanwhile"},
		"CAS moved, signed":   {2, func(c *fakeCAS) { c.successor("# x\n" + shop) }, "was changed meanwhile"},
		"CAS refuses":         {0, func(c *fakeCAS) { c.refused = []int{1} }, "connection refused"},
		"CAS refuses, signed": {2, func(c *fakeCAS) { c.refused = []int{1} }, "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newCAS(shop)
			p := signedPlan(t, f, c.signers)
			if c.before != nil {
				c.before(f)
			}
			hash, err := rollout.ApplyPlan(t.Context(), f, p)
			wants(t, err, c.want)
			if len(f.signers) != c.signers {
				t.Errorf("got %d signers, want %d", len(f.signers), c.signers)
			}
			if err == nil && hash != f.newest("shop").Hash {
				t.Errorf("got the hash %q, want %q", hash, f.newest("shop").Hash)
			}
			var moved *change.MovedError
			if errors.As(err, &moved) && moved.Again != "{session plan}" {
				t.Errorf("got the hint %q", moved.Hint())
			}
		})
	}
}

func TestJudgePlan(t *testing.T) {
	for name, c := range map[string]struct {
		address string
		before  func(t *testing.T, c *fakeCAS, p *change.Plan)
		done    bool
		want    string
	}{
		"to be done": {"cas", nil, false, ""},
		"done before": {"cas", func(t *testing.T, c *fakeCAS, p *change.Plan) {
			if _, err := rollout.ApplyPlan(t.Context(), c, p); err != nil {
				t.Fatal(err)
			}
		}, true, ""},
		"CAS moved":       {"cas", func(_ *testing.T, c *fakeCAS, _ *change.Plan) { c.successor("# x\n" + shop) }, false, "was changed meanwhile"},
		"another CAS":     {"other:8081", nil, false, "the plan is for the CAS cas, got other:8081"},
		"no such session": {"cas", func(_ *testing.T, c *fakeCAS, _ *change.Plan) { delete(c.versions, "shop") }, false, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newCAS(shop)
			p := signedPlan(t, f, 1)
			if c.before != nil {
				c.before(t, f, p)
			}
			uploads := f.uploads
			done, err := rollout.JudgePlan(t.Context(), f, c.address, p)
			wants(t, err, c.want)
			if done != c.done {
				t.Errorf("got done %v, want %v", done, c.done)
			}
			if f.uploads != uploads {
				t.Error("something was uploaded")
			}
		})
	}
}

func TestHistory(t *testing.T) {
	c := newCAS(shop)
	c.successor(string(wider(t).Source()))
	c.successor(shop)
	all, err := rollout.History(t.Context(), c, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 {
		t.Fatalf("got %d versions, want 3", len(all))
	}
	for i, want := range []diff.Verdict{diff.Narrowed, diff.Widened, ""} {
		if all[i].Verdict != want {
			t.Errorf("version %d: got %q, want %q", i, all[i].Verdict, want)
		}
		if want := c.versions["shop"][2-i].Hash; all[i].Hash != want {
			t.Errorf("version %d: got the hash %s, want %s", i, all[i].Hash, want)
		}
	}
	if all[2].Predecessor != "" || all[2].Changes == nil {
		t.Errorf("the first version: got %+v", all[2])
	}
}

// TestHistoryRefuses: versions that do not hold together are not listed as if they did.
func TestHistoryRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(name, hash string, stored *session.Stored) (*session.Stored, error)
		want   string
	}{
		"no session": {func(string, string, *session.Stored) (*session.Stored, error) { return nil, cas.ErrNotFound }, "not found"},
		"another version": {func(_, hash string, stored *session.Stored) (*session.Stored, error) {
			if hash == "" {
				return nil, nil
			}
			return &session.Stored{Hash: strings.Repeat("0", 64), Text: stored.Text}, nil
		}, "does not hold together"},
		"a circle": {func(_, hash string, stored *session.Stored) (*session.Stored, error) {
			own := strings.Repeat("0", 64)
			return &session.Stored{Hash: own, Text: strings.Replace(shop, "name: shop", "predecessor: \""+own+"\"\nname: shop", 1)}, nil
		}, "does not hold together"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newCAS(shop)
			f.successor("# x\n" + shop)
			f.answer = c.answer
			_, err := rollout.History(t.Context(), f, "shop")
			wants(t, err, c.want)
		})
	}
}

// TestHistoryIsBounded: a session may have more versions than are listed, and the last
// one says so.
func TestHistoryIsBounded(t *testing.T) {
	f := newCAS(shop)
	n := 0
	f.answer = func(_, hash string, _ *session.Stored) (*session.Stored, error) {
		hex := func(n int) string {
			return strings.Repeat("0", 56) + string([]byte{'a' + byte(n>>12&15)%6, 'a' + byte(n>>9&7)%6, '0' + byte(n>>6&7), '0' + byte(n>>3&7), '0' + byte(n&7), '0', '0', '0'})
		}
		stored := &session.Stored{Hash: hex(n), Text: "version: \"0.3.11\"\npredecessor: \"" + hex(n+1) + "\"\nname: shop\n"}
		if n++; n > 2000 {
			return nil, context.Canceled
		}
		return stored, nil
	}
	all, err := rollout.History(t.Context(), f, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1000 || all[999].Predecessor == "" {
		t.Errorf("got %d versions, the last with the predecessor %q", len(all), all[len(all)-1].Predecessor)
	}
}
