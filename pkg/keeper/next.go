package keeper

import (
	"fmt"
	"slices"
	"strings"
)

// Seconds for which a keeper has seen the same before it does something that MaxScale may be
// about to do.
const (
	// settled is for what passes by itself during a switchover.
	settled = 3
	// stopped is for a replica that was told to receive nothing beside a primary: a
	// keeper may have ended in the middle of its work. MaxScale starts it by itself only if it
	// is told nothing.
	stopped = 15
	// forgotten is for a member that is missing and that MaxScale never saw as the
	// primary: it promotes no other then.
	forgotten = 5
	// failedOver is for one that it did see, and knows to be down. A failover takes MaxScale
	// 3 seconds, and 15 where the primary hangs.
	failedOver = 20
)

// Monitor is what MaxScale says of itself.
type Monitor struct {
	// Primary says whether it holds the locks, so that it is the one that acts.
	Primary bool
	// Idle says whether it is not in the middle of a failover, rejoin or switchover.
	Idle bool
	// SawPrimary says whether it has seen a primary that is down now.
	SawPrimary bool
	// Servers are the names of all members that it knows.
	Servers []string
}

// View is what a keeper knows in a round.
type View struct {
	// Members is the number of members of the cluster, and Servers are all of them.
	Members int
	Servers []Server
	Monitor Monitor
	// Lasted is for how many seconds the same has been so.
	Lasted int
}

// Kind is what an action does.
type Kind int

const (
	// StopReceiving stops the I/O thread of a replica.
	StopReceiving Kind = iota + 1
	// Apply makes a replica apply what it received before it was started.
	Apply
	// Forget makes a replica that has applied all a server of its own, which MaxScale takes in.
	Forget
	// Open makes a server the one that is written to.
	Open
	// Begin writes the first transaction of a new cluster: before that, MaxScale lets no
	// replica in, and no commit is acknowledged.
	Begin
	// SemiSync makes a server wait for acknowledgements if and only if it is written to.
	SemiSync
)

// String is the kind as it is logged.
func (k Kind) String() string {
	return [...]string{"nothing", "stop receiving", "apply", "forget", "open", "begin", "semi-sync"}[k]
}

// Action is one step, at one server.
type Action struct {
	Kind   Kind
	Server int
	// Place is where to apply from.
	Place Place
}

// Next says what to do at once, in this order, and what it rests on or what is waited for.
// It acts only beside the MaxScale that holds the locks. Where one server is written to it
// sees to semi-sync and leaves the rest to MaxScale; where none is, it opens the one that has
// all that any other has.
func Next(v View) (do []Action, why string) {
	answered := slices.DeleteFunc(slices.Clone(v.Servers), func(s Server) bool { return s.Err != nil })
	written := slices.DeleteFunc(slices.Clone(answered), func(s Server) bool { return s.ReadOnly })
	switch {
	case !v.Monitor.Primary:
		return nil, "another MaxScale acts"
	case len(written) > 1:
		return nil, "written to: members " + ordinals(written)
	case len(written) == 1:
		return tend(v, answered, written[0]), fmt.Sprintf("member %d is written to", written[0].Ordinal)
	case len(answered) == 0 || len(answered) < v.Members && knowing(answered) < v.Members-1:
		return nil, fmt.Sprintf("%d of %d members answer, and %d have data", len(answered), v.Members, knowing(answered))
	}
	if why = patience(v, answered); why != "" {
		return nil, why
	}
	return elect(v, answered)
}

// founding is the number of the transaction that every new database begins with.
const founding = 1

// knowing is the number of servers that are more than new. A new one may stand in the place
// of one that had the last commits.
func knowing(answered []Server) (n int) {
	for _, s := range answered {
		if s.Head.Number > founding {
			n++
		}
	}
	return n
}

// tend sees to semi-sync where one server is written to, and gives a replica that nobody
// lets receive back to MaxScale. One that was just promoted, or
// demoted, is MaxScale's for some rounds; whether it is written to is looked at again when it
// is done.
func tend(v View, answered []Server, primary Server) (do []Action) {
	for _, s := range answered {
		switch {
		case !s.ReadOnly && s.SemiSync && s.Head.Number <= founding && s.Waits == 0:
			do = append(do, Action{Kind: Begin, Server: s.Ordinal})
		case !s.ReadOnly && !s.SemiSync:
			do = append(do, Action{Kind: SemiSync, Server: s.Ordinal})
		case s.ReadOnly && s.SemiSync && s.Waits == 0 && v.Monitor.Idle && v.Lasted >= settled:
			do = append(do, Action{Kind: SemiSync, Server: s.Ordinal})
		case s.ReadOnly && s.Replica && s.Stopped && s.Stuck == "" && v.Monitor.Idle && v.Lasted >= stopped &&
			covers(answered, primary, s.Head) && covers(answered, primary, s.Received):
			do = append(do, Action{Kind: Forget, Server: s.Ordinal})
		}
	}
	return do
}

// patience says what is waited for where no server is written to; nothing if it is time.
func patience(v View, answered []Server) string {
	all := len(answered) == v.Members
	connected := slices.DeleteFunc(slices.Clone(answered), func(s Server) bool { return !s.Connected })
	switch {
	case !v.Monitor.Idle:
		return "MaxScale is at work"
	case v.Lasted < settled:
		return "no member is written to"
	case all:
		return ""
	case len(connected) > 0:
		return "a member is not seen, and is heard by members " + ordinals(connected)
	case v.Monitor.SawPrimary && v.Lasted < failedOver:
		return "a failover is MaxScale's"
	case v.Lasted < forgotten:
		return "a member is missing"
	}
	return ""
}

// elect goes one step towards a server that is written to, where there is none. Each step is
// seen in the next view, so that whoever dies in between is followed by somebody who goes on.
func elect(v View, answered []Server) (do []Action, why string) {
	for _, s := range answered {
		if s.Receiving {
			do = append(do, Action{Kind: StopReceiving, Server: s.Ordinal})
		}
	}
	if len(do) > 0 {
		return do, "no member is written to: what was received is compared"
	}
	for _, s := range answered {
		switch {
		case s.Applying && !s.Idle:
			why = fmt.Sprintf("member %d applies what it received", s.Ordinal)
		case !s.Applying && s.Stuck == "" && s.Relay != (Place{}):
			do = append(do, Action{Apply, s.Ordinal, s.Relay})
		}
	}
	if len(do) > 0 {
		return do, "what was received is applied"
	}
	if why != "" {
		return nil, why
	}
	chosen, why := choose(v, answered)
	if chosen < 0 {
		return nil, why
	}
	for _, s := range answered {
		if s.Replica && s.Ordinal != chosen {
			do = append(do, Action{Kind: Forget, Server: s.Ordinal})
		}
	}
	return append(do, Action{Kind: Open, Server: chosen}), why
}

// choose returns the ordinal of the server that has all that any other has, the lowest of
// several; -1 if there is none, or if one cannot be known to.
func choose(v View, answered []Server) (ordinal int, why string) {
	best, missing := -1, ""
	for i, s := range answered {
		if lacks := lacking(v, answered, s); lacks != "" {
			missing = lacks
		} else if best < 0 || s.Head.Number > answered[best].Head.Number {
			best = i
		}
	}
	if best < 0 {
		return -1, missing
	}
	return answered[best].Ordinal, fmt.Sprintf("member %d has all, up to %v", answered[best].Ordinal, answered[best].Head)
}

// lacking says what a server may lack of what another has made, applied or received.
//
// What one server alone has made was acknowledged by nobody, if all others answer. It may be
// left behind with it: it names its divergence when it is to follow.
func lacking(v View, answered []Server, s Server) string {
	all := len(answered) == v.Members
	for _, other := range answered {
		for _, g := range []GTID{other.Head, other.Received} {
			if covers(answered, s, g) || all && g != other.Received && alone(answered, other, g) {
				continue
			}
			return fmt.Sprintf("member %d at %v is not known to have %v of member %d %s", s.Ordinal, s.Head, g, other.Ordinal, other.Stuck)
		}
		if !all && other.Stuck != "" && other.Received == (GTID{}) {
			return fmt.Sprintf("member %d: %s", other.Ordinal, other.Stuck)
		}
	}
	return ""
}

// covers reports whether a server is known to have a transaction: it says so itself, or
// another one that is on the same line says so.
func covers(answered []Server, s Server, g GTID) bool {
	if g.Number > s.Head.Number {
		return false
	}
	return slices.ContainsFunc(answered, func(witness Server) bool {
		return witness.has(g) && (witness.Ordinal == s.Ordinal || witness.has(s.Head))
	})
}

// has reports whether a server says of itself that it has a transaction.
func (s Server) has(g GTID) bool {
	return g == GTID{} || g == s.Head || g == s.Applied || s.History[g.Server] >= g.Number
}

// alone reports whether nobody but a server says that it has a transaction.
func alone(answered []Server, owner Server, g GTID) bool {
	return !slices.ContainsFunc(answered, func(s Server) bool { return s.Ordinal != owner.Ordinal && (s.has(g) || s.Received == g) })
}

func ordinals(servers []Server) string {
	var said []string
	for _, s := range servers {
		said = append(said, fmt.Sprint(s.Ordinal))
	}
	return strings.Join(said, ", ")
}
