package cas_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/confidb/confidb/pkg/cas"
)

// TestSideBySide: each question is asked once, eight at a time.
func TestSideBySide(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 0, 1: 1, 8: 1, 9: 2, 20: 3, 160: 20} {
		synctest.Test(t, func(t *testing.T) {
			begun, asked := time.Now(), make([]atomic.Int32, n)
			cas.SideBySide(n, func(number int) {
				asked[number].Add(1)
				time.Sleep(time.Second)
			})
			if got := time.Since(begun); got != want*time.Second {
				t.Errorf("%d questions: got %v, want %d round trips", n, got, want)
			}
			for i := range asked {
				if got := asked[i].Load(); got != 1 {
					t.Errorf("%d questions: number %d is asked %d times", n, i, got)
				}
			}
		})
	}
}
