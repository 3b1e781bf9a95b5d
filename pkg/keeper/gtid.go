package keeper

import (
	"fmt"
	"strconv"
	"strings"
)

// GTID is the place of a transaction in the one replication domain that a cluster has: its
// number, and the server that made it. The zero value is before the first.
type GTID struct {
	Server uint32
	Number uint64
}

// String is the GTID as MariaDB writes it, or empty.
func (g GTID) String() string {
	if g == (GTID{}) {
		return ""
	}
	return fmt.Sprintf("0-%d-%d", g.Server, g.Number)
}

// parseGTIDs reads a list of GTIDs. Any domain but 0 is an error: who writes there is not
// seen here.
func parseGTIDs(text string) (list []GTID, err error) {
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		parts := strings.Split(item, "-")
		if len(parts) != 3 || parts[0] != "0" {
			return nil, fmt.Errorf("GTID %.40q: want one of domain 0", item)
		}
		server, err := strconv.ParseUint(parts[1], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("GTID %.40q: want numbers", item)
		}
		number, err := strconv.ParseUint(parts[2], 10, 64)
		if err != nil || number == 0 {
			return nil, fmt.Errorf("GTID %.40q: want numbers", item)
		}
		list = append(list, GTID{uint32(server), number})
	}
	return list, nil
}

// parseGTID reads one GTID, or nothing.
func parseGTID(text string) (GTID, error) {
	list, err := parseGTIDs(text)
	switch {
	case err != nil || len(list) == 0:
		return GTID{}, err
	case len(list) > 1:
		return GTID{}, fmt.Errorf("GTIDs %.80q: want one", text)
	}
	return list[0], nil
}
