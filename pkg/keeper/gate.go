package keeper

import "fmt"

// Patience, in seconds that a gate has waited with nothing changed.
const (
	// patienceMissing is how long a cold start waits for the one member that does not
	// answer: what a replica received and had not applied is of no use after its restart, so
	// the last commits may be in the binary log of that member alone.
	patienceMissing = 30
	// patienceFailover is how long a member waits while others run and none is written to:
	// longer than MaxScale takes to promote one of them.
	patienceFailover = 20
	// patienceElection is how long it waits where all others run: if they have not agreed by
	// then, it is this one that they lack.
	patienceElection = 40
)

// Own is what a member knows of itself before its server starts.
type Own struct {
	Ordinal int
	// Database says whether its volume holds a database.
	Database bool
	// Waited is the number of seconds for which it has seen the same.
	Waited int
}

// Sight is what a member sees of another one. The zero value is that it does not answer.
type Sight int

const (
	// Silent is a member that does not answer, or that did not prove who it is.
	Silent Sight = iota
	// Unclear is one whose server answers, and does not say whether it is written to.
	Unclear
	// Empty is one that waits at its gate, and whose volume holds no database.
	Empty
	// Full is one that waits at its gate, and whose volume holds a database.
	Full
	// ReadOnly is one whose server runs, and is not written to.
	ReadOnly
	// Writable is one whose server runs, and is written to.
	Writable
)

// String is the sight as it is printed.
func (s Sight) String() string {
	return [...]string{"silent", "unclear", "empty", "full", "read-only", "writable"}[s]
}

// Peer is another member, and what is seen of it.
type Peer struct {
	Ordinal int
	Sight   Sight
}

// Verdict is what a member is to do. The zero value is to wait.
type Verdict int

const (
	// Wait means to look again.
	Wait Verdict = iota
	// Late means that the cluster goes on without this member, which starts as a replica and
	// gives up what no other has.
	Late
	// Cold means that no server of the cluster is written to: this one starts read-only, and
	// gives up nothing.
	Cold
	// Found means that there is no database anywhere, and that this member makes one. All do:
	// those that are made under a session are equal, and nobody is written to before all run.
	Found
	// Seed means that this member has no database and another one is written to, whose data
	// it takes over.
	Seed
	// Join means that all others are there and none is written to, as one that has little may
	// stand in the place of one that had more: this member makes an empty database, so that a
	// keeper can see all.
	Join
)

// String is the verdict as the shell of a member reads it.
func (v Verdict) String() string {
	return [...]string{"wait", "late", "cold", "found", "seed", "join"}[v]
}

// Word is a verdict, and what goes with it.
type Word struct {
	Verdict Verdict
	// Why says in a few words what it rests on, or what is waited for.
	Why string
}

// String is the word as the shell of a member reads it: "seed", "late".
func (w Word) String() string { return w.Verdict.String() }

// Decide says what a member is to do that has not started its server. Peers are all other
// members, once each: a cluster of n members has n-1 of them.
//
// A commit that was acknowledged is on two members, so n-1 of them know all commits. A member
// whose volume is empty knows none, and whoever decides beside it wants to have heard all.
func Decide(own Own, peers []Peer) Word {
	seen := count(peers)
	switch {
	case seen[Writable] > 1:
		return Word{Why: "more than one member is written to"}
	case seen[Unclear] > 0:
		return Word{Why: "a server answers, and does not say whether it is written to: " + names(peers, Unclear)}
	case seen[Writable] == 1:
		return beside(own, peers, seen)
	case seen[ReadOnly] > 0:
		return amid(own, peers, seen)
	}
	return together(own, peers, seen)
}

// beside decides beside a member that is written to. Who takes over its data stands, from
// then on, for one that knows all commits, and may have been one that did: a member that is
// not seen could be the one that the other way round is written to, and has more.
func beside(own Own, peers []Peer, seen sights) Word {
	switch why := fmt.Sprintf("member %s is written to", names(peers, Writable)); {
	case own.Database:
		return Word{Verdict: Late, Why: why}
	case seen[Silent] > 0:
		return short(peers)
	default:
		return Word{Verdict: Seed, Why: why}
	}
}

// amid decides where servers run, and none is written to: there is a failover, or a start of
// all in which others are ahead.
func amid(own Own, peers []Peer, seen sights) Word {
	switch {
	case own.Database && seen[ReadOnly] == len(peers) && own.Waited < patienceElection:
		return Word{Why: "all others run: one of them is about to be written to"}
	case !own.Database && seen[Full] > 0:
		return Word{Why: "those that have a database start first"}
	case seen.few(own):
		return short(peers)
	case own.Waited < patienceFailover:
		return Word{Why: "the others may agree without this one"}
	case own.Database:
		return Word{Verdict: Cold, Why: "those that run do not agree without this one"}
	}
	return Word{Verdict: Join, Why: "everybody is there, and nobody is written to"}
}

// together decides where no server runs.
func together(own Own, peers []Peer, seen sights) Word {
	nothing := !own.Database && seen[Full] == 0
	switch {
	case seen.few(own):
		return short(peers)
	case nothing:
		return Word{Verdict: Found, Why: "no member has a database"}
	case !own.Database:
		return Word{Why: "those that have a database start first"}
	case seen[Silent] > 0 && own.Waited < patienceMissing:
		return short(peers)
	}
	return Word{Verdict: Cold, Why: "no server runs"}
}

// few reports whether too few members are heard to know all commits: n-1 of n, or all if one
// of them knows none.
func (s sights) few(own Own) bool {
	return s[Silent] > 1 || s[Silent] == 1 && (s[Empty] > 0 || !own.Database)
}

func short(peers []Peer) Word { return Word{Why: "waiting for member " + names(peers, Silent)} }

// sights are numbers of members, by what is seen of them.
type sights [Writable + 1]int

func count(peers []Peer) (seen sights) {
	for _, p := range peers {
		seen[p.Sight]++
	}
	return seen
}

func names(peers []Peer, as Sight) (said string) {
	for _, p := range peers {
		if p.Sight == as {
			if said != "" {
				said += ", "
			}
			said += fmt.Sprint(p.Ordinal)
		}
	}
	return said
}
