package probe

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/promise"
)

// TestReplicationThatIsSigned: both moments are said with what others compare, texts of the
// server on one line each; nothing is said of one that said nothing.
func TestReplicationThatIsSigned(t *testing.T) {
	if got := replication(nil); got != nil {
		t.Errorf("of one that is alone: got %+v", got)
	}
	seen := &ask.Twice{
		Begin: ask.Replication{ServerID: 2, ReadOnly: true, Written: "0-1-7", Current: "0-1-7", Applied: "0-1-7", Sources: []ask.Source{{"Master_Host": "db-0\x1b[2J", "Master_Server_Id": "1"}}},
		End:   ask.Replication{ServerID: 2, Awaits: true, Written: "0-1-7,0-2-8", Followers: []ask.Follower{{ID: 7, User: "repl"}, {ID: 9, User: "repl"}}},
	}
	want := &evidence.Replication{
		Begin:   evidence.Standing{Role: promise.Replica, ServerID: 2, ReadOnly: true, Written: "0-1-7", Current: "0-1-7", Applied: "0-1-7", SourceHost: "db-0", SourceID: 1, DumpThreads: []uint64{}},
		End:     evidence.Standing{Role: promise.Primary, ServerID: 2, Written: "0-1-7,0-2-8", DumpThreads: []uint64{7, 9}},
		Changed: "read_only",
	}
	if diff := cmp.Diff(want, replication(seen)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for number, want := range map[string]uint32{"x": 0, "": 0, "4294967296": 0, "4294967295": 4294967295} {
		seen.Begin.Sources[0]["Master_Server_Id"] = number
		if got := replication(seen).Begin.SourceID; got != want {
			t.Errorf("%q: got %d", number, got)
		}
	}
	seen.Begin.Sources[0]["Master_Host"] = "\x1b[2J"
	if got := replication(seen).Begin; got.SourceHost != "" || got.SourceID != 0 {
		t.Errorf("a host without a name: got %+v", got)
	}
}
