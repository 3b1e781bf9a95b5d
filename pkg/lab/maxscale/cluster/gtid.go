package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// GTID is the position in one domain of MariaDB's global transaction ids.
type GTID struct {
	Domain, Server uint32
	Sequence       uint64
}

// Position is a list of GTIDs, one for a domain, in order of domains. The zero value is the
// position of a server that has none.
type Position []GTID

// ParsePosition reads a position as MariaDB prints it: domain-server-sequence, with commas
// between them.
func ParsePosition(text string) (Position, error) {
	var p Position
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		g, err := parseGTID(item)
		if err != nil {
			return nil, err
		}
		p = append(p, g)
	}
	slices.SortStableFunc(p, func(a, b GTID) int { return int(int64(a.Domain) - int64(b.Domain)) })
	return p, nil
}

func parseGTID(text string) (GTID, error) {
	parts := strings.Split(text, "-")
	if len(parts) != 3 {
		return GTID{}, fmt.Errorf("%q is no GTID", text)
	}
	domain, err1 := strconv.ParseUint(parts[0], 10, 32)
	server, err2 := strconv.ParseUint(parts[1], 10, 32)
	sequence, err3 := strconv.ParseUint(parts[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return GTID{}, fmt.Errorf("%q is no GTID", text)
	}
	return GTID{uint32(domain), uint32(server), sequence}, nil
}

// String is the position as MariaDB prints it.
func (p Position) String() string {
	items := make([]string, 0, len(p))
	for _, g := range p {
		items = append(items, fmt.Sprintf("%d-%d-%d", g.Domain, g.Server, g.Sequence))
	}
	return strings.Join(items, ",")
}

// Sequence is that of a domain, 0 if the position has none.
func (p Position) Sequence(domain uint32) uint64 {
	for _, g := range p {
		if g.Domain == domain {
			return g.Sequence
		}
	}
	return 0
}

// Within reports whether no domain of p is ahead of other, by sequence numbers alone: who
// wrote a transaction is not looked at, so that a server that has diverged passes.
func (p Position) Within(other Position) bool {
	return !slices.ContainsFunc(p, func(g GTID) bool { return g.Sequence > other.Sequence(g.Domain) })
}
