package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Whatever ends, comes back read-only, loses its locks or is switched over, two monitors never
// open a second server while one that they have opened runs.
func TestOneServerIsOpen(t *testing.T) {
	failovers, switchovers := 0, 0
	for seed := range uint64(150) {
		w := newWorld(3)
		a, b := pair(w)
		r, done := rand.New(rand.NewPCG(seed, 1)), []string{}
		for range 60 {
			done = append(done, w.befall(r, a, b))
			monitors := []*Monitor{a, b}
			if r.IntN(2) == 0 {
				monitors = []*Monitor{b, a}
			}
			w.tick(monitors[:1+r.IntN(2)]...)
			if open := w.open(); len(open) > 1 {
				t.Fatalf("seed %d: %q are open after\n%s\n%s", seed, open, strings.Join(done, "\n"), w.logged())
			}
		}
		failovers += strings.Count(w.logged(), "Performing automatic failover")
		switchovers += strings.Count(w.logged(), "Switchover '")
	}
	if failovers < 50 || switchovers < 20 {
		t.Errorf("%d failovers and %d switchovers: too little happens", failovers, switchovers)
	}
}

// open are the servers that run and may be written.
func (w *world) open() (names []string) {
	for _, name := range w.order {
		if f := w.servers[name]; !f.down && !f.readOnly {
			names = append(names, name)
		}
	}
	return names
}

// befall lets something happen, or nothing.
func (w *world) befall(r *rand.Rand, a, b *Monitor) string {
	name := w.order[r.IntN(len(w.order))]
	f := w.servers[name]
	switch n := r.IntN(10); {
	case n == 0 && !f.down:
		w.fail(name)
		return name + " is killed"
	case n < 4 && f.down:
		w.back(name, true)
		return name + " is back"
	case n == 4:
		f.cut()
		return "connections to " + name + " end"
	case n == 5:
		m := []*Monitor{a, b}[r.IntN(2)]
		return fmt.Sprint("switchover: ", m.Switchover(context.Background(), "", "", r.IntN(4) == 0))
	}
	return "nothing"
}
