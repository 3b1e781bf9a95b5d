package mariadb

import (
	"crypto/tls"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
)

// An old offer that is taken fails whatever else was seen; where the asker itself is not let
// in, that none is taken proves nothing.
func TestDecideOffers(t *testing.T) {
	in := mysql.Attempt{Stage: mysql.LoggedIn, TLS: &tls.ConnectionState{Version: tls.VersionTLS13}}
	refused, taken := trial{name: "TLS 1.0"}, trial{name: "TLS 1.1", Attempt: mysql.Attempt{TLS: &tls.ConnectionState{}}}
	for name, c := range map[string]struct {
		login mysql.Attempt
		old   []trial
		want  check.Outcome
	}{
		"none is taken":         {in, []trial{refused}, check.Pass},
		"one is taken":          {in, []trial{refused, taken}, check.Fail},
		"out, and one is taken": {mysql.Attempt{}, []trial{taken}, check.Fail},
		"out":                   {mysql.Attempt{}, []trial{refused}, check.Skip},
		"none is tried":         {in, nil, check.Skip},
	} {
		if got := decideOffers(&Observation{login: c.login, trials: trials{old: c.old}}); got.outcome != c.want {
			t.Errorf("%s: got %+v, want %v", name, got, c.want)
		}
	}
}
