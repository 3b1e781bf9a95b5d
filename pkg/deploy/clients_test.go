package deploy_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// many are applications with some clients, of as many accounts as there shall ever be.
func many(clients int) topology.Applications {
	var all topology.Applications
	text := "kind: confidb.accounts/v1\ndatabases: [{name: shop}]\naccounts:\n"
	for i := range 20 {
		text += fmt.Sprintf("  - {name: account%d, client: client%d, privileges: [{database: shop, grant: [SELECT, INSERT]}]}\n", i, i)
	}
	for i := range clients {
		all = all.With(topology.Application{Name: fmt.Sprintf("client%d", i), MRENCLAVEs: []sgx.Measurement{{9}}, Command: []string{"/app"}, Files: topology.GivenByDefault()})
	}
	all.Accounts = text
	return all
}

// TestTwentyClients: to add the last of many clients, and to ask what that would do, takes
// hardly more round trips to the CAS than to add the first, and the record is not written
// for each client that stays.
func TestTwentyClients(t *testing.T) {
	trips, saves := map[int]time.Duration{}, map[int]int{}
	rehearsed := map[int]time.Duration{}
	for _, n := range []int{1, 20} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.must(w.install(deploy.Install{}, giving(many(n-1))))
			w.cas.far = time.Second
			begun := time.Now()
			w.must(w.install(deploy.Install{DryRun: deploy.Server}, giving(many(n))))
			rehearsed[n] = time.Since(begun)
			done := len(w.done)
			begun = time.Now()
			w.must(w.install(deploy.Install{}, giving(many(n))))
			trips[n] = time.Since(begun)
			for _, did := range w.done[done:] {
				if strings.HasPrefix(did, "save") {
					saves[n]++
				}
			}
			settled(t, w, many(n))
		})
	}
	if most := trips[1] * 3 / 2; trips[20] > most {
		t.Errorf("adding the 20th client takes %v of round trips of a second, want at most %v, one and a half times what the first takes", trips[20], most)
	}
	if most := 3 * time.Second; rehearsed[20] > most {
		t.Errorf("asking what adding the 20th client would do takes %v, want at most %v", rehearsed[20], most)
	}
	if saves[20] != saves[1] {
		t.Errorf("the record is written %d times, and for one client %d times", saves[20], saves[1])
	}
}

// BenchmarkClients is how much longer it takes us, without CAS and cluster, to add the 20th
// client than the first.
func BenchmarkClients(b *testing.B) {
	took := map[int]time.Duration{}
	for _, n := range []int{1, 20} {
		for range b.N {
			w := newWorld(b)
			w.must(w.install(deploy.Install{}, giving(many(n-1))))
			begun := time.Now()
			w.must(w.install(deploy.Install{}, giving(many(n))))
			took[n] += time.Since(begun)
		}
	}
	b.ReportMetric(took[20].Seconds()/took[1].Seconds(), "times-the-first")
}
