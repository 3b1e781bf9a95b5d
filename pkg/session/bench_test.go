package session_test

import (
	"testing"

	"github.com/confidb/confidb/pkg/session"
)

// BenchmarkParse reads a document of every kind of member: a plan for machines reads each
// session several times.
func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := session.Parse("s.yml", []byte(good)); err != nil {
			b.Fatal(err)
		}
	}
}
