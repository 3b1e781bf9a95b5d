package evidence

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/promise"
)

// TestReplicationInStatements: what a database says of its place comes back as it was
// signed, and what no client says is neither signed nor read.
func TestReplicationInStatements(t *testing.T) {
	private, public := testKey(t, 1)
	good := func() *Replication {
		return &Replication{
			Begin: Standing{Role: promise.Primary, ServerID: 1, Written: "0-1-7", Current: "0-1-7", Applied: "0-1-1", DumpThreads: []uint64{7, 9}},
			End:   Standing{Role: promise.Replica, ServerID: 1, ReadOnly: true, Written: "0-1-7,1-2-9", SourceHost: "db-1", SourceID: 2}, Changed: "read_only"}
	}
	for name, c := range map[string]struct {
		change func(*Replication)
		good   bool
	}{
		"as it is":                   {func(*Replication) {}, true},
		"nobody":                     {func(r *Replication) { r.End.SourceHost, r.End.SourceID = "", 0 }, true},
		"a role that there is not":   {func(r *Replication) { r.Begin.Role = "master" }, false},
		"no role":                    {func(r *Replication) { r.End.Role = "" }, false},
		"a place that is none":       {func(r *Replication) { r.Begin.Written = "0-1" }, false},
		"a place with more":          {func(r *Replication) { r.End.Applied = "0-1-7 or so" }, false},
		"a long place":               {func(r *Replication) { r.End.Current = strings.Repeat("0-1-7,", 999) + "0-1-7" }, false},
		"a host that moves":          {func(r *Replication) { r.End.SourceHost = "db\x1b[2J" }, false},
		"a number without a host":    {func(r *Replication) { r.End.SourceHost = "" }, false},
		"too many":                   {func(r *Replication) { r.Begin.DumpThreads = make([]uint64, maxDumpThreads+1) }, false},
		"what changed on more lines": {func(r *Replication) { r.Changed = "a\nb" }, false},
	} {
		p := testPredicate()
		p.Replication = good()
		c.change(p.Replication)
		line, err := SignStatement(p, private)
		if (err == nil) != c.good {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		if !c.good {
			continue
		}
		got, err := VerifyStatement(line, public, p.Nonce, "ns/db")
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(p.Replication, got.Replication); diff != "" {
			t.Errorf("%s (-signed +read):\n%s", name, diff)
		}
	}
}
