package ask

import (
	"testing"

	"github.com/confidb/confidb/pkg/mysql"
)

// TestWhatAServerCallsItselfIsCleaned plants a text that moves the cursor in a version.
func TestWhatAServerCallsItselfIsCleaned(t *testing.T) {
	const hostile = "/tmp/\x1b[2Jnothing\nto see"
	session, err := readSession(&mysql.Rows{Columns: []string{"id", "version"}, Values: [][]mysql.Value{{{Text: "7"}, {Text: hostile}}}})
	if err != nil || session.Version != "/tmp/nothing to see" {
		t.Errorf("got the version %q and %v", session.Version, err)
	}
}
