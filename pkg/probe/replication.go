package probe

import (
	"strconv"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/mariadb/ask"
)

// replication is what is signed of the place of a database among several; nil if it said
// nothing of it.
func replication(seen *ask.Twice) *evidence.Replication {
	if seen == nil {
		return nil
	}
	return &evidence.Replication{Begin: standing(seen.Begin), End: standing(seen.End), Changed: check.Said(seen.Changed())}
}

func standing(seen ask.Replication) evidence.Standing {
	s := evidence.Standing{Role: mariadb.RoleOf(seen), ServerID: seen.ServerID, ReadOnly: seen.ReadOnly,
		Written: seen.Written, Current: seen.Current, Applied: seen.Applied, DumpThreads: []uint64{}}
	for _, f := range seen.Followers {
		s.DumpThreads = append(s.DumpThreads, f.ID)
	}
	if len(seen.Sources) == 0 {
		return s
	}
	s.SourceHost = check.Said(seen.Sources[0]["Master_Host"])
	if number, err := strconv.ParseUint(seen.Sources[0]["Master_Server_Id"], 10, 32); err == nil && s.SourceHost != "" {
		s.SourceID = uint32(number)
	}
	return s
}
