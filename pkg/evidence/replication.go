package evidence

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/promise"
)

// Replication is what a database said of its place among several, at the begin of a run and
// at its end. It says nothing of whether that is as promised: findings do, and who has the
// statements of all of them compares.
type Replication struct {
	Begin Standing `json:"begin"`
	End   Standing `json:"end"`
	// Changed says what is another between the two, but for places in the history; empty if
	// nothing is.
	Changed string `json:"changed"`
}

// Standing is the place of a database at one moment.
type Standing struct {
	// Role is what it is by its settings and by whom it follows; neither is one that does not
	// fit together as well.
	Role     promise.Role `json:"role"`
	ServerID uint32       `json:"serverID"`
	ReadOnly bool         `json:"readOnly"`
	// Written, Current and Applied are gtid_binlog_pos, gtid_current_pos and gtid_slave_pos,
	// as MariaDB writes them: 0-1-7, or empty.
	Written string `json:"gtidBinlogPos"`
	Current string `json:"gtidCurrentPos"`
	Applied string `json:"gtidSlavePos"`
	// SourceHost is whom it follows, by the name that it was told, and SourceID the number
	// that the other one says; empty and 0 for nobody.
	SourceHost string `json:"sourceHost"`
	SourceID   uint32 `json:"sourceID"`
	// DumpThreads are the numbers of its connections over which others follow it.
	DumpThreads []uint64 `json:"dumpThreads"`
}

const (
	maxGTIDs       = 4096 // bytes
	maxDumpThreads = 1000
)

func (r *Replication) validate() error {
	if check.Said(r.Changed) != r.Changed {
		return errors.New("what changed in replication: want one line that can be printed")
	}
	return errors.Join(r.Begin.validate(), r.End.validate())
}

func (s *Standing) validate() error {
	if s.Role != promise.Primary && s.Role != promise.Replica && s.Role != promise.Neither {
		return fmt.Errorf("role %q: want primary, replica or neither", s.Role)
	}
	gtids := regexp.MustCompile(`^([0-9]+-[0-9]+-[0-9]+(,[0-9]+-[0-9]+-[0-9]+)*)?$`)
	for _, place := range []string{s.Written, s.Current, s.Applied} {
		if len(place) > maxGTIDs || !gtids.MatchString(place) {
			return fmt.Errorf("place %.80q in the history: want numbers of domain, server and commit", place)
		}
	}
	if check.Said(s.SourceHost) != s.SourceHost || s.SourceHost == "" && s.SourceID != 0 {
		return fmt.Errorf("source %.80q with number %d: want a name with the number", s.SourceHost, s.SourceID)
	}
	if len(s.DumpThreads) > maxDumpThreads {
		return fmt.Errorf("%d dump threads: want at most %d", len(s.DumpThreads), maxDumpThreads)
	}
	return nil
}
