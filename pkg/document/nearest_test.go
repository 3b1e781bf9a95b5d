package document_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/document"
)

func TestNearest(t *testing.T) {
	words := []string{"mrenclave", "mrsigner", "platforms", "UpToDate", "n1", "n2"}
	for got, want := range map[string]string{
		"mrenclaves": "mrenclave", "MRENCLAVE": "mrenclave", "mrsinger": "mrsigner", "plattform": "platforms", "uptodate": "UpToDate",
		"n3": "n1", "": "", "x": "", "services": "", strings.Repeat("n", 100): "",
	} {
		if word := document.Nearest(got, words); word != want {
			t.Errorf("%.20q: got %q, want %q", got, word, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"abc", "abc", 0}, {"ab", "ba", 2}, {strings.Repeat("a", 65), "a", 65},
	} {
		if got := document.Distance(c.a, c.b); got != c.want || document.Distance(c.b, c.a) != c.want {
			t.Errorf("%.20q and %.20q: got %d, want %d both ways", c.a, c.b, got, c.want)
		}
	}
}
