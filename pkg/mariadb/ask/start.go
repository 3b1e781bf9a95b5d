package ask

import (
	"errors"

	"github.com/confidb/confidb/pkg/mysql"
)

// Start is what a server says of its last start.
type Start struct {
	Sentinel string // what the init file sets last
	At       string // the second in which it started
}

// Both sides of the difference are of one moment, so it does not change while the server
// runs, whatever becomes of its clock.
const startedQuery = `SELECT @@GLOBAL.wsrep_cluster_name, UNIX_TIMESTAMP() - VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME'`

func readStarted(rows *mysql.Rows) (Start, error) {
	if err := atLeastOne(rows, 2); err != nil {
		return Start{}, err
	}
	if len(rows.Values) != 1 || rows.Values[0][1].Null {
		return Start{}, errors.New("the time of the start: want one row")
	}
	return Start{Sentinel: rows.Values[0][0].Text, At: rows.Values[0][1].Text}, nil
}
