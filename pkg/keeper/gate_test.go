package keeper

import (
	"fmt"
	"testing"
)

// everySight calls visit with all that a member can see of n-1 others.
func everySight(ordinal, n int, visit func(peers []Peer)) {
	total := 1
	for range n - 1 {
		total *= int(Writable) + 1
	}
	for code := range total {
		var peers []Peer
		for i := range n {
			if i != ordinal {
				peers = append(peers, Peer{i, Sight(code % (int(Writable) + 1))})
				code /= int(Writable) + 1
			}
		}
		visit(peers)
	}
}

// TestDecide tries what every member of three and of four can see, before and after it has
// waited, and holds the word against what must be true of it.
func TestDecide(t *testing.T) {
	words := map[Verdict]int{}
	for _, n := range []int{3, 4} {
		for ordinal := range n {
			for _, database := range []bool{false, true} {
				for _, waited := range []int{0, patienceFailover, patienceMissing, patienceElection} {
					everySight(ordinal, n, func(peers []Peer) {
						own := Own{ordinal, database, waited}
						word := Decide(own, peers)
						words[word.Verdict]++
						for _, problem := range problems(own, peers, word) {
							t.Errorf("%+v beside %v: %v (%s): %s", own, peers, word, word.Why, problem)
						}
						if word.Why == "" {
							t.Errorf("%+v beside %v: %v, and it does not say why", own, peers, word)
						}
					})
				}
			}
		}
	}
	for v := Wait; v <= Join; v++ {
		if words[v] == 0 {
			t.Errorf("no member ever says %v", v)
		}
	}
}

// problems are what is wrong with a word.
func problems(own Own, peers []Peer, word Word) (wrong []string) {
	seen, n := count(peers), len(peers)+1
	must := func(right bool, why string) {
		if !right {
			wrong = append(wrong, why)
		}
	}
	running := seen[ReadOnly] + seen[Writable] + seen[Unclear]
	switch word.Verdict {
	case Late:
		must(seen[Writable] == 1, "late is said beside exactly one that is written to")
		must(own.Database, "who has no database is not late")
	case Cold:
		must(own.Database, "without a database there is nothing to start")
		must(seen[Writable]+seen[Unclear] == 0, "somebody is or may be written to")
		must(seen[Silent] <= 1, "n-1 members must be heard")
		must(seen[Silent] == 0 || seen[Empty] == 0, "all must be heard where one has no database")
		must(seen[ReadOnly] < n-1 || own.Waited >= patienceElection, "the others agree alone")
		must(seen[Silent] == 0 || own.Waited > 0, "who does not answer is given time")
		must(running == 0 || own.Waited > 0, "a failover is given time")
	case Found:
		must(!own.Database && seen[Empty] == n-1, "nobody founds a database but where all are there and have none")
	case Seed:
		must(!own.Database, "who has a database keeps it")
		must(seen[Writable] == 1, "what is copied is written to")
		must(seen[Silent]+seen[Unclear] == 0, "who is not seen may be written to as well")
	case Join:
		must(!own.Database, "who has a database keeps it")
		must(seen[ReadOnly] > 0 && seen[Silent]+seen[Full]+seen[Writable]+seen[Unclear] == 0, "all others run or have nothing")
	}
	return wrong
}

// world is what the members of a cluster are.
type world []Sight

// TestNobodyFoundsBesideData gives all members of a cluster words, each of whom sees the others
// as they are or not at all: none founds a database where another has one.
func TestNobodyFoundsBesideData(t *testing.T) {
	found := 0
	for _, n := range []int{3, 4} {
		everyWorld(n, func(members world) {
			for i, sight := range members {
				if sight != Empty || !founder(i, members) {
					continue
				}
				found++
				for k, other := range members {
					if other != Empty {
						t.Errorf("%v: member %d founds a database beside member %d", members, i, k)
					}
				}
			}
		})
	}
	if found != 3+4 {
		t.Errorf("%d members found a database, want all where nobody has one", found)
	}
}

// founder reports whether a member can find by what it sees that it founds the database,
// whomever it does not see.
func founder(i int, members world) bool {
	for blind := range 1 << len(members) {
		var peers []Peer
		for k, sight := range members {
			if k == i {
				continue
			}
			if blind&(1<<k) != 0 {
				sight = Silent
			}
			peers = append(peers, Peer{k, sight})
		}
		if Decide(Own{i, false, patienceMissing}, peers).Verdict == Found {
			return true
		}
	}
	return false
}

func everyWorld(n int, visit func(world)) {
	everySight(n, n+1, func(peers []Peer) {
		members := world{}
		for _, p := range peers {
			members = append(members, p.Sight)
		}
		visit(members)
	})
}

// TestNobodyWaitsForEver: where all members are at their gates or run, and none is written to,
// somebody goes on, so that in the end all run: then a keeper can see what there is.
func TestNobodyWaitsForEver(t *testing.T) {
	for _, n := range []int{3, 4} {
		everyWorld(n, func(members world) {
			waiting := 0
			for _, sight := range members {
				switch sight {
				case Silent, Unclear, Writable:
					return
				case Empty, Full:
					waiting++
				}
			}
			if waiting == 0 {
				return
			}
			for i, sight := range members {
				var peers []Peer
				for k, other := range members {
					if k != i {
						peers = append(peers, Peer{k, other})
					}
				}
				if sight != ReadOnly && Decide(Own{i, sight == Full, patienceElection}, peers).Verdict != Wait {
					return
				}
			}
			t.Errorf("%v: all wait", members)
		})
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		own   Own
		peers []Sight
		want  string
	}{
		{Own{0, true, 0}, []Sight{Full, Full}, "cold"},
		{Own{0, true, 0}, []Sight{Full, Silent}, "wait"},
		{Own{0, true, patienceMissing}, []Sight{Full, Silent}, "cold"},
		{Own{0, true, patienceMissing}, []Sight{Silent, Silent}, "wait"},
		{Own{0, true, patienceMissing}, []Sight{Empty, Silent}, "wait"},
		{Own{0, true, 0}, []Sight{Empty, Empty}, "cold"},
		{Own{0, true, 0}, []Sight{Writable, Silent}, "late"},
		{Own{0, true, 0}, []Sight{Writable, Writable}, "wait"},
		{Own{0, true, patienceMissing}, []Sight{Writable, Unclear}, "wait"},
		{Own{0, true, patienceMissing}, []Sight{ReadOnly, ReadOnly}, "wait"},
		{Own{0, true, patienceElection}, []Sight{ReadOnly, ReadOnly}, "cold"},
		{Own{0, true, 0}, []Sight{ReadOnly, Full}, "wait"},
		{Own{0, true, patienceFailover}, []Sight{ReadOnly, Full}, "cold"},
		{Own{0, false, 0}, []Sight{Silent, Writable}, "wait"},
		{Own{0, false, 0}, []Sight{Full, Writable}, "seed"},
		{Own{0, false, 0}, []Sight{ReadOnly, Writable}, "seed"},
		{Own{0, false, 0}, []Sight{Empty, Empty}, "found"},
		{Own{2, false, 0}, []Sight{Empty, Empty}, "found"},
		{Own{0, false, patienceMissing}, []Sight{Empty, Silent}, "wait"},
		{Own{0, false, patienceMissing}, []Sight{Full, Full}, "wait"},
		{Own{0, false, patienceFailover}, []Sight{Empty, ReadOnly}, "join"},
		{Own{0, false, patienceFailover}, []Sight{Full, ReadOnly}, "wait"},
		{Own{0, false, patienceFailover}, []Sight{Silent, ReadOnly}, "wait"},
	} {
		var peers []Peer
		for i, sight := range c.peers {
			ordinal := i
			if i >= c.own.Ordinal {
				ordinal++
			}
			peers = append(peers, Peer{ordinal, sight})
		}
		if got := Decide(c.own, peers); fmt.Sprint(got) != c.want {
			t.Errorf("%+v beside %v: got %v (%s), want %s", c.own, peers, got, got.Why, c.want)
		}
	}
}
