package route

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// position is up to where something was written: the last sequence number of each domain.
// It is safe for concurrent use.
type position struct {
	guard sync.Mutex
	last  map[uint64]gtid
}

// gtid is a global transaction ID of MariaDB.
type gtid struct{ domain, server, sequence uint64 }

// parseGTID reads domain-server-sequence.
func parseGTID(text string) (g gtid, ok bool) {
	parts := strings.Split(text, "-")
	if len(parts) != 3 {
		return g, false
	}
	for i, into := range []*uint64{&g.domain, &g.server, &g.sequence} {
		n, err := strconv.ParseUint(parts[i], 10, 64)
		if err != nil {
			return gtid{}, false
		}
		*into = n
	}
	return g, true
}

// reach takes down what was written: GTIDs with commas between them.
func (p *position) reach(text string) {
	p.guard.Lock()
	defer p.guard.Unlock()
	if p.last == nil {
		p.last = map[uint64]gtid{}
	}
	for part := range strings.SplitSeq(text, ",") {
		if g, ok := parseGTID(part); ok && g.sequence >= p.last[g.domain].sequence {
			p.last[g.domain] = g
		}
	}
}

// String is the position as MASTER_GTID_WAIT takes it.
func (p *position) String() string {
	p.guard.Lock()
	defer p.guard.Unlock()
	var all []string
	for _, g := range p.last {
		all = append(all, fmt.Sprintf("%d-%d-%d", g.domain, g.server, g.sequence))
	}
	sort.Strings(all)
	return strings.Join(all, ",")
}

const lastGTID = "last_gtid"

// trackWrites makes a server say what was written, where reads wait for that.
func (s *session) trackWrites(ctx context.Context, t *target) error {
	if s.options.CausalReads == CausalNone {
		return nil
	}
	_, err := t.conn.Query(ctx, "SET @@session.session_track_system_variables = CONCAT(@@session.session_track_system_variables, ',"+lastGTID+"')")
	return err
}

// track takes down what the OK of a server says was written, and takes out of it what the
// client has not asked for.
func (a *passing) track(kind wire.Kind, packet []byte) ([]byte, error) {
	s := a.session
	if s.options.CausalReads == CausalNone || kind == wire.KindEnd && !a.target.conn.Agreed.Has(wire.DeprecateEOF) {
		return packet, nil
	}
	ok, err := wire.ParseOK(packet, a.target.conn.Agreed)
	if err != nil {
		return nil, err
	}
	for _, v := range ok.Tracked {
		if v.Name == lastGTID {
			s.writes.reach(v.Value)
			s.written.reach(v.Value)
		}
	}
	if s.client.agreed.Has(wire.SessionTrack) {
		return packet, nil
	}
	return wire.Untrack(packet)
}

// causal returns the server that a read goes to once the given one has what was written
// before, or the primary if it does not come to have it in time.
func (s *session) causal(ctx context.Context, t *target, where Where) (*target, error) {
	wanted := s.wanted()
	if where != Replica || wanted == "" || s.holder != "" || t.name == s.options.View.Primary() {
		return t, nil
	}
	if err := t.settle(); err != nil {
		s.drop(t)
		return s.primary(ctx)
	}
	t.running.Add(1)
	defer t.running.Add(-1)
	result, err := t.conn.Query(ctx, fmt.Sprintf("SELECT MASTER_GTID_WAIT('%s', %.3f)", wanted, s.options.CausalTimeout.Seconds()))
	if err != nil {
		s.drop(t)
		return s.primary(ctx)
	}
	if len(result.Rows) == 1 && result.Rows[0][0].Text == "0" {
		return t, nil
	}
	return s.primary(ctx)
}

// wanted is up to where a replica must be.
func (s *session) wanted() string {
	switch s.options.CausalReads {
	case CausalLocal:
		return s.writes.String()
	case CausalGlobal:
		return s.written.String()
	}
	return ""
}
