package accounts_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/accounts"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		host, from string
		want       bool
	}{
		{"%", "10.1.2.3", true}, {"", "10.1.2.3", true}, {"10.1.2.3", "10.1.2.3", true}, {"10.1.2.3", "::ffff:10.1.2.3", true}, {"10.1.2.3", "10.1.2.33", false},
		{"10.%", "10.1.2.3", true}, {"10.%", "110.1.2.3", false}, {"10.1.2._", "10.1.2.3", true}, {"10.1.2._", "10.1.2.33", false}, {"%.3", "10.1.2.3", true},
		{"10\\.1.2.3", "10.1.2.3", true}, {"10.\\%", "10.1.2.3", false}, {"10.1.0.0/255.255.0.0", "10.1.2.3", true}, {"10.1.0.0/255.255.0.0", "10.2.2.3", false},
		{"10.1.2.3/255.255.0.0", "10.1.2.3", false}, {"10.1.0.0/16", "10.1.2.3", false}, {"localhost", "127.0.0.1", false}, {"db.example.org", "10.1.2.3", false},
		{"FE80::%", "fe80::1", true}, {"10.1.2.3%%%", "10.1.2.3", true},
	} {
		table := accounts.NewTable("", []accounts.Account{{User: "u", Host: c.host}}, nil)
		if _, got := table.Find("u", netip.MustParseAddr(c.from)); got != c.want {
			t.Errorf("%s matches %q: %v, want %v", c.from, c.host, got, c.want)
		}
	}
}

// TestAnonymous: of accounts of one host the named one is meant, in whatever order they are
// read; a more specific host comes before that.
func TestAnonymous(t *testing.T) {
	from := netip.MustParseAddr("10.1.2.3")
	for _, c := range []struct {
		all  []accounts.Account
		want string
	}{
		{[]accounts.Account{{User: "", Host: "%"}, {User: "u", Host: "%"}}, "u@%"},
		{[]accounts.Account{{User: "u", Host: "%"}, {User: "", Host: "%"}}, "u@%"},
		{[]accounts.Account{{User: "u", Host: "%"}, {User: "", Host: "10.1.2.3"}}, "@10.1.2.3"},
		{[]accounts.Account{{User: "u", Host: "%", Role: true}, {User: "other", Host: "%"}}, "@"},
	} {
		a, _ := accounts.NewTable("", c.all, nil).Find("u", from)
		if got := a.User + "@" + a.Host; got != c.want {
			t.Errorf("of %v %s is taken, want %s", c.all, got, c.want)
		}
	}
}

func TestBlocker(t *testing.T) {
	now := time.Unix(1000, 0)
	b := &accounts.Blocker{Most: 3, Now: func() time.Time { return now }}
	here, there := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for i := range 3 {
		if e := b.Blocked(here); e != nil {
			t.Fatalf("after %d: %v", i, e)
		}
		b.Failed(netip.MustParseAddr("::ffff:10.0.0.1"))
	}
	if e := b.Blocked(here); e == nil || e.Error() != "1129 (HY000): Host '10.0.0.1' is temporarily blocked due to too many authentication failures." {
		t.Errorf("after 3: %v", e)
	}
	if e := b.Blocked(there); e != nil {
		t.Errorf("somebody else: %v", e)
	}
	if now = now.Add(59 * time.Second); b.Blocked(here) == nil {
		t.Error("let in after 59 seconds")
	}
	if now = now.Add(time.Second); b.Blocked(here) != nil {
		t.Error("refused after a minute")
	}
	if b.Failed(here); b.Blocked(here) != nil {
		t.Error("one more blocks it again")
	}
	anybody := &accounts.Blocker{Now: func() time.Time { return now }}
	for range 100 {
		anybody.Failed(here)
	}
	if anybody.Blocked(here) != nil {
		t.Error("refused where any number may fail")
	}
}
