package mariadb

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// decideStart compares the sentinel with what only the session's init file can have made.
func decideStart(o *Observation) conclusion {
	switch {
	case o.target.StartSecret == "":
		return skipped("the session has no secret by which its init file says that it ran to its end")
	case o.answers.Started.Err != nil:
		return unproven(o.answers.Started.Err)
	}
	seen := o.answers.Started.Value
	sum := sha256.Sum256([]byte(o.target.StartSecret + ":" + seen.At))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(seen.Sentinel)) != 1 {
		return failed("the init file did not run to its end, or somebody overwrote what it says", "the session's mark of this start in wsrep_cluster_name", "")
	}
	return passed("")
}
