package keeper

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// kinds are servers that differ in all that Next looks at. Those of the lines 1 and 2 agree up
// to number 2.
func kinds() (all []Server) {
	line := func(server uint32, number uint64) Server {
		s := Server{ReadOnly: true, Head: GTID{1, number}, History: map[uint32]uint64{1: number}}
		if number > 2 {
			s.Head.Server, s.History = server, map[uint32]uint64{1: 2, server: number}
		}
		return s
	}
	with := func(s Server, change func(*Server)) Server {
		change(&s)
		return s
	}
	all = []Server{
		{Err: errors.New("down")},
		line(1, 1), line(1, 2), line(1, 3), line(2, 3), line(2, 4),
		with(line(1, 2), func(s *Server) { s.ReadOnly, s.SemiSync = false, true }),
		with(line(1, 1), func(s *Server) { s.ReadOnly, s.SemiSync = false, true }),
		with(line(1, 3), func(s *Server) { s.ReadOnly = false }),
		with(line(1, 3), func(s *Server) { s.SemiSync = true }),
		with(line(1, 3), func(s *Server) { s.SemiSync, s.Waits = true, 1 }),
		with(line(1, 2), func(s *Server) {
			s.Replica, s.Receiving, s.Connected, s.Applying, s.Idle = true, true, true, true, true
		}),
		with(line(1, 2), func(s *Server) { s.Replica, s.Receiving, s.Applying, s.Idle = true, true, true, true }),
		with(line(1, 2), func(s *Server) { s.Replica, s.Applying, s.Received = true, true, GTID{1, 3} }),
		with(line(1, 2), func(s *Server) { s.Replica, s.Received, s.Relay = true, GTID{1, 3}, Place{"relay.000002", 4} }),
		with(line(1, 2), func(s *Server) {
			s.Replica, s.Received, s.Relay, s.Stuck = true, GTID{1, 3}, Place{"relay.000002", 4}, "a gap"
		}),
		with(line(1, 2), func(s *Server) { s.Replica, s.Stuck = true, "not read" }),
		with(line(1, 2), func(s *Server) { s.Replica, s.Applied, s.Stopped = true, GTID{1, 2}, true }),
	}
	return all
}

// everyView calls visit with views of n members, each of which is of any kind.
func everyView(n int, visit func(v View)) {
	of, code := kinds(), make([]int, n)
	for {
		v := View{Members: n}
		for i, kind := range code {
			s := of[kind]
			s.Ordinal = i
			v.Servers = append(v.Servers, s)
		}
		visit(v)
		i := 0
		for ; i < n && code[i] == len(of)-1; i++ {
			code[i] = 0
		}
		if i == n {
			return
		}
		code[i]++
	}
}

func monitors() []Monitor {
	return []Monitor{{}, {Idle: true, SawPrimary: true}, {Primary: true}, {Primary: true, Idle: true}, {Primary: true, Idle: true, SawPrimary: true}}
}

// TestNext holds what a keeper does against what must be true of it, for all views of up to
// four members.
func TestNext(t *testing.T) {
	did := map[Kind]int{}
	for n := 1; n <= 4; n++ {
		everyView(n, func(v View) {
			for _, v.Monitor = range monitors()[max(0, 3*n-9):] { // of four members, beside a primary one
				for _, v.Lasted = range []int{0, settled, forgotten, failedOver}[max(0, n-3):] {
					do, why := Next(v)
					for _, a := range do {
						did[a.Kind]++
					}
					if problem := amiss(v, do); problem != "" {
						t.Fatalf("%s: %v because of %q, for %+v", problem, do, why, v)
					}
					if len(do) == 0 && why == "" {
						t.Fatalf("nothing is done, and nothing is said: %+v", v)
					}
				}
			}
		})
	}
	for k := StopReceiving; k <= SemiSync; k++ {
		if did[k] == 0 {
			t.Errorf("never: %v", k)
		}
	}
}

// amiss says what is wrong with actions, or nothing.
func amiss(v View, do []Action) string {
	answered, written, connected, fresh := 0, 0, 0, 0
	for _, s := range v.Servers {
		if s.Err == nil {
			answered++
			if !s.ReadOnly {
				written++
			}
			if s.Head.Number <= founding {
				fresh++
			}
			if s.Connected {
				connected++
			}
		}
	}
	for i, a := range do {
		s := v.Servers[a.Server]
		all := answered == v.Members
		switch {
		case !v.Monitor.Primary:
			return "it acts beside a MaxScale that has no locks"
		case s.Err != nil:
			return "it acts on a server that does not answer"
		case a.Kind == SemiSync && s.ReadOnly && s.Waits > 0:
			return "commits that wait become commits that nobody else has"
		case a.Kind == SemiSync && written != 1:
			return "semi-sync is for a cluster that has a primary"
		case a.Kind == Begin && (written != 1 || s.ReadOnly || !s.SemiSync || s.Waits > 0 || s.Head.Number > founding):
			return "the first transaction is for the primary of a new cluster, once"
		case a.Kind == Begin:
		case written > 0 && a.Kind == Forget:
			return needless(v, s)
		case a.Kind != SemiSync && written > 0:
			return "a server is written to"
		case a.Kind != SemiSync && !all && answered-fresh < v.Members-1:
			return "too few answer that know of commits"
		case a.Kind != SemiSync && !all && connected > 0:
			return "somebody hears the one that is missing"
		case a.Kind != SemiSync && (!v.Monitor.Idle || v.Lasted < settled):
			return "MaxScale may be at work"
		case a.Kind != SemiSync && !all && v.Monitor.SawPrimary && v.Lasted < failedOver:
			return "it is MaxScale's failover"
		case a.Kind == Apply && (s.Stuck != "" || s.Relay == Place{}):
			return "it applies what cannot be applied"
		case a.Kind == Open && i != len(do)-1:
			return "something follows the opening"
		case a.Kind == Open:
			return lost(v, do, s)
		}
	}
	return ""
}

// needless says why a replica beside a primary must be left alone, or nothing.
func needless(v View, s Server) string {
	at := slices.IndexFunc(v.Servers, func(s Server) bool { return s.Err == nil && !s.ReadOnly })
	switch primary := v.Servers[at]; {
	case !s.Stopped || s.Stuck != "":
		return "it was not told to stop"
	case !v.Monitor.Idle || v.Lasted < stopped:
		return "MaxScale may be at work"
	case primary.Head.Number < s.Head.Number || primary.Head.Number < s.Received.Number:
		return "the primary lacks what it has"
	}
	return ""
}

// lost says what is lost where a server is opened, or nothing.
func lost(v View, do []Action, chosen Server) string {
	answered := slices.DeleteFunc(slices.Clone(v.Servers), func(s Server) bool { return s.Err != nil })
	for _, s := range answered {
		onlyOne := 0
		for _, other := range answered {
			if s.Head.Number <= 2 || other.History[s.Head.Server] >= s.Head.Number || other.Received == s.Head {
				onlyOne++
			}
		}
		switch {
		case s.Ordinal != chosen.Ordinal && s.Replica && !slices.Contains(do, Action{Kind: Forget, Server: s.Ordinal}):
			return "somebody is not told to forget"
		case s.Receiving || s.Applying && !s.Idle:
			return "somebody receives or applies"
		case chosen.Head.Number < s.Received.Number:
			return "what was received is lost"
		case (chosen.Head.Number < s.Head.Number || chosen.Head.Number >= 3 && s.Head.Number >= 3 && chosen.Head.Server != s.Head.Server) && (onlyOne > 1 || len(answered) < v.Members):
			return "what another has is lost"
		}
	}
	return ""
}

// TestElectionEnds carries the actions out on members of one line: in a few rounds exactly
// one is written to, whatever they began with, and has all.
func TestElectionEnds(t *testing.T) {
	for n := 3; n <= 4; n++ {
		everyView(n, func(v View) {
			v.Monitor, v.Lasted = Monitor{Primary: true, Idle: true}, failedOver
			highest := uint64(0)
			for _, s := range v.Servers {
				if s.Err != nil || !s.ReadOnly || s.Stuck != "" || s.Head.Server == 2 {
					return
				}
				highest = max(highest, s.Head.Number, s.Received.Number)
			}
			for range 5 {
				do, _ := Next(v)
				carryOut(&v, do)
			}
			written := []GTID{}
			for _, s := range v.Servers {
				if !s.ReadOnly {
					written = append(written, s.Head)
					if !s.SemiSync || s.Replica {
						t.Fatalf("it is no primary: %+v", s)
					}
				}
			}
			if len(written) != 1 || written[0].Number != highest {
				t.Fatalf("written to: %v, want one with number %d: %+v", written, highest, v)
			}
		})
	}
}

// carryOut is what servers make of actions.
func carryOut(v *View, do []Action) {
	for i := range v.Servers {
		s := &v.Servers[i]
		if s.Applying && !s.Idle {
			s.Idle = true
			s.advance()
		}
	}
	for _, a := range do {
		s := &v.Servers[a.Server]
		switch a.Kind {
		case StopReceiving:
			s.Receiving, s.Connected = false, false
		case Apply:
			s.Applying, s.Relay = true, Place{}
		case Forget:
			s.Replica, s.Applying, s.Idle = false, false, false
		case Open:
			s.Replica, s.Applying, s.Idle, s.ReadOnly, s.SemiSync = false, false, false, false, true
		case SemiSync:
			s.SemiSync = !s.ReadOnly
		}
	}
}

func (s *Server) advance() {
	if s.Received.Number > s.Head.Number {
		s.Head, s.History = s.Received, map[uint32]uint64{s.Received.Server: s.Received.Number, 1: 2}
		if s.Received.Server == 1 {
			s.History = map[uint32]uint64{1: s.Received.Number}
		}
	}
	s.Received = GTID{}
}

// TestChoose: who is opened, and who is not though they are furthest.
func TestChoose(t *testing.T) {
	server := func(head GTID, history map[uint32]uint64) Server {
		return Server{ReadOnly: true, Head: head, History: history}
	}
	down := Server{Err: errors.New("down")}
	tail := server(GTID{1, 105}, map[uint32]uint64{1: 105})             // the old primary, with what nobody acknowledged
	promoted := server(GTID{2, 103}, map[uint32]uint64{1: 100, 2: 103}) // the new one
	replica := server(GTID{2, 101}, map[uint32]uint64{1: 100, 2: 101})  // of the new one
	seeded := server(GTID{2, 103}, map[uint32]uint64{2: 103})           // a copy, whose history begins late
	behind := server(GTID{1, 100}, map[uint32]uint64{1: 100})           // it has nothing of the new one
	for name, c := range map[string]struct {
		servers []Server
		want    int
	}{
		"all equal":                               {[]Server{behind, behind, behind}, 0},
		"the furthest":                            {[]Server{behind, replica, promoted}, 2},
		"a tail that nobody acknowledged":         {[]Server{tail, promoted, replica}, 1},
		"a tail, and one is missing":              {[]Server{tail, promoted, down}, -1},
		"an old primary that was not failed over": {[]Server{tail, behind, behind}, 0},
		"the same, and one is missing":            {[]Server{tail, down, behind}, 0},
		"a copy knows no history, a witness does": {[]Server{seeded, behind, promoted}, 0},
		"a copy, and nobody knows":                {[]Server{seeded, behind, down}, -1},
		"two tails":                               {[]Server{tail, server(GTID{3, 105}, map[uint32]uint64{1: 100, 3: 105}), down}, -1},
		"two tails of one":                        {[]Server{tail, server(GTID{3, 105}, map[uint32]uint64{1: 100, 3: 105}), behind}, 0},
	} {
		v := View{Members: len(c.servers), Servers: c.servers, Monitor: Monitor{Primary: true, Idle: true}, Lasted: failedOver}
		for i := range v.Servers {
			v.Servers[i].Ordinal = i
		}
		do, why := Next(v)
		got := -1
		for _, a := range do {
			if a.Kind == Open {
				got = a.Server
			}
		}
		if got != c.want {
			t.Errorf("%s: %d is opened, want %d (%s)", name, got, c.want, why)
		}
		if got < 0 && why == "" {
			t.Errorf("%s: nobody is named", name)
		}
	}
}

func TestGTIDs(t *testing.T) {
	for text, want := range map[string]string{
		"": "[]", "0-1-2": "[0-1-2]", "0-1-2, 0-3-18446744073709551615": "[0-1-2 0-3-18446744073709551615]",
	} {
		if got, err := parseGTIDs(text); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: got %v %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"1-1-2", "0-1", "0-1-2-3", "0-x-2", "0-1-x", "0-1-0", "0-1--2", "0-4294967296-1", "0-1-18446744073709551616"} {
		if got, err := parseGTIDs(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
	if got, err := parseGTID("0-1-2,0-2-3"); err == nil {
		t.Errorf("two: got %v, want an error", got)
	}
}

// TestGap: replicas that gave up what they had applied last received the rest after it. What
// is missing in between is on the old primary, which lacks the end: nobody has all.
func TestGap(t *testing.T) {
	replica := Server{ReadOnly: true, Head: GTID{1, 20}, History: map[uint32]uint64{1: 20}, Replica: true}
	for _, number := range []uint64{22, 23, 41} {
		replica.received(event{Place{"relay.000002", 300 + number}, GTID{1, number}})
	}
	if replica.Stuck == "" || replica.Received.Number != 41 {
		t.Errorf("got %+v, want a gap before 22", replica)
	}
	second := replica
	second.Ordinal = 2
	replica.Ordinal = 1
	old := Server{ReadOnly: true, Head: GTID{1, 40}, History: map[uint32]uint64{1: 40}}
	v := View{Members: 3, Servers: []Server{old, replica, second}, Monitor: Monitor{Primary: true, Idle: true}, Lasted: failedOver}
	if do, why := Next(v); len(do) > 0 || why == "" {
		t.Errorf("got %v (%s), want nothing, and who lacks what", do, why)
	}
	v.Servers[0].Head, v.Servers[0].History = GTID{1, 41}, map[uint32]uint64{1: 41}
	if do, why := Next(v); len(do) != 3 || do[2] != (Action{Kind: Open}) {
		t.Errorf("got %v (%s), want that the old primary is opened: it has all", do, why)
	}
}
