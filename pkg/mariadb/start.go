package mariadb

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"

	"github.com/confidb/confidb/pkg/mysql"
)

// started is what a server says of its last start.
type started struct {
	sentinel string // what the init file sets last
	at       string // the second in which it started
}

// Both sides of the difference are of one moment, so it does not change while the server
// runs, whatever becomes of its clock.
const startedQuery = `SELECT @@GLOBAL.wsrep_cluster_name, UNIX_TIMESTAMP() - VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME'`

func readStarted(rows *mysql.Rows) (started, error) {
	if err := atLeastOne(rows, 2); err != nil {
		return started{}, err
	}
	if len(rows.Values) != 1 || rows.Values[0][1].Null {
		return started{}, errors.New("the time of the start: want one row")
	}
	return started{sentinel: rows.Values[0][0].Text, at: rows.Values[0][1].Text}, nil
}

// decideStart compares the sentinel with what only the session's init file can have made.
func decideStart(o *Observation) conclusion {
	switch {
	case o.target.StartSecret == "":
		return skipped("the session has no secret by which its init file says that it ran to its end")
	case o.answers.started.err != nil:
		return unproven(o.answers.started.err)
	}
	seen := o.answers.started.value
	sum := sha256.Sum256([]byte(o.target.StartSecret + ":" + seen.at))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(seen.sentinel)) != 1 {
		return failed("the init file did not run to its end, or somebody overwrote what it says", "the session's mark of this start in wsrep_cluster_name", "")
	}
	return passed("")
}
