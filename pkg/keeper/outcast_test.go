package keeper

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// leftBehind are a primary that stalled, and the other two without it.
func leftBehind() View {
	v := three()
	v.Servers[1] = Server{Ordinal: 1, Name: "mariadb-1", SemiSync: true, Waits: 1, Head: GTID{2, 5010}}
	v.Servers[0].Waits = 2
	v.Servers[2].Follows = 2
	v.Lasted = settled
	return v
}

func TestOutcast(t *testing.T) {
	for name, c := range map[string]struct {
		change func(v *View)
		want   string
	}{
		"the old primary wakes up":            {func(v *View) {}, "mariadb-0"},
		"another MaxScale acts":               {func(v *View) { v.Monitor.Primary = false }, ""},
		"MaxScale hangs where it rejoins it":  {func(v *View) { v.Monitor.Idle = false }, "mariadb-0"},
		"only just now":                       {func(v *View) { v.Lasted = settled - 1 }, ""},
		"nothing waits: MaxScale takes it in": {func(v *View) { v.Servers[0].Waits = 0 }, ""},
		"it is read-only":                     {func(v *View) { v.Servers[0].ReadOnly = true }, ""},
		"it does not answer":                  {func(v *View) { v.Servers[0] = Server{Name: "mariadb-0", Err: errors.New("stalled")} }, ""},
		"the replica follows it":              {func(v *View) { v.Servers[2].Follows = 1; v.Servers[0].Waits = 0; v.Servers[1].Waits = 3 }, "mariadb-1"},
		"nobody follows":                      {func(v *View) { v.Servers[2].Connected = false }, ""},
		"nobody acknowledges":                 {func(v *View) { v.Servers[2].Acknowledges = false }, ""},
		"the replica does not answer":         {func(v *View) { v.Servers[2].Err = errors.New("down") }, ""},
		"there are three, and two are followed": {func(v *View) {
			v.Servers = append(v.Servers, Server{ReadOnly: true, Connected: true, Acknowledges: true, Follows: 1})
		}, ""},
		"two were left behind": {func(v *View) {
			v.Servers = append(v.Servers, Server{Ordinal: 3, Name: "mariadb-3", Waits: 1})
		}, ""},
		"one primary, whose commits wait": {func(v *View) { *v = three(); v.Lasted = 60; v.Servers[0].Waits = 9 }, ""},
	} {
		v := leftBehind()
		c.change(&v)
		if got := outcast(v); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestIsOutcast(t *testing.T) {
	var k Keeper
	if said := k.isOutcast(""); said.Result != refused {
		t.Errorf("before the first round: %+v", said)
	}
	nobody, one := "", "mariadb-0"
	k.outcast.Store(&nobody)
	if said := k.isOutcast(""); said.Result != refused {
		t.Errorf("where there is none: %+v", said)
	}
	k.outcast.Store(&one)
	for member, want := range map[string]outcome{"mariadb-0": done, "mariadb-1": refused, "": refused} {
		if said := k.isOutcast(member); said.Result != want {
			t.Errorf("%q: got %+v, want %s", member, said, want)
		}
	}
}

// TestAwaitOutcast: a member asks until one keeper says it; whoever is away, refuses, fails
// or speaks another language says nothing.
func TestAwaitOutcast(t *testing.T) {
	p := newPKI(t)
	gone := keeperAt{hold(t).Address(), asking(p.client(t, operateName), p.roots, "k0")}
	stranger := scripted(t, p, "k2", answer{Kind: "confidb.gate/v1", Result: done})
	misnamed := scripted(t, p, "k3", answer{Kind: answerKind, Result: done})
	misnamed.secure = asking(p.client(t, operateName), p.roots, "k4")
	keepers := []keeperAt{gone, stranger, misnamed}
	for i, said := range []outcome{refused, failed, notMe, ""} {
		keepers = append(keepers, scripted(t, p, fmt.Sprint("k5", i), answer{Kind: answerKind, Result: said}))
	}
	rounds := 0
	r := requester{keepers, func(context.Context, time.Duration) error {
		if rounds++; rounds < 3 {
			return nil
		}
		return context.DeadlineExceeded
	}}
	if err := r.awaitOutcast(t.Context(), "mariadb-0"); !errors.Is(err, context.DeadlineExceeded) || rounds != 3 {
		t.Errorf("nobody says it: got %v after %d rounds", err, rounds)
	}
	r.keepers = append(keepers, scripted(t, p, "k6", answer{Kind: answerKind, Result: done}))
	if err := r.awaitOutcast(t.Context(), "mariadb-0"); err != nil {
		t.Error(err)
	}
}
