package mariadb_test

import (
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb"
)

// BenchmarkObserve observes a clean server: with certificates at hand, and with one
// that is valid for another second, as CAS issues it.
func BenchmarkObserve(b *testing.B) {
	for name, left := range map[string]time.Duration{"expired": -time.Hour, "expiring": time.Second} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				tried := impostorsOf(b, server, time.Now().Add(left))
				b.StartTimer()
				report := mariadb.Observe(b.Context(), goodTarget(), tried).Report()
				if verdict := report.Verdict(); verdict != check.Affirming {
					b.Errorf("got %v", verdict)
				}
			}
		})
	}
}
