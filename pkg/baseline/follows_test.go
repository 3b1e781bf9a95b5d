package baseline_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/baseline"
	"github.com/confidb/confidb/pkg/promise"
)

// What follows from the settings of a server that replicates is judged by them, and where
// the session makes no such server, by the defaults.
func TestServersThatReplicate(t *testing.T) {
	known := &baseline.Baseline{Version: "v", Variables: map[string]string{"relay_log_basename": "", "relay_log_index": "", "binlog_expire_logs_seconds": "0", "gtid_slave_pos": ""}}
	replicates := []promise.Setting{{Name: "relay_log", Value: "relay"}, {Name: "log_slave_updates", Value: "ON"}, {Name: "expire_logs_days", Value: "7"}}
	for name, c := range map[string]struct {
		settings []promise.Setting
		variable string
		value    string
		good     bool
	}{
		"the relay log":                  {replicates, "relay_log_basename", "/d/relay", true},
		"its index":                      {replicates, "relay_log_index", "/d/relay.index", true},
		"another relay log":              {replicates, "relay_log_basename", "/host/relay", false},
		"another index":                  {replicates, "relay_log_index", "", false},
		"a relay log that is not set":    {nil, "relay_log_basename", "/d/relay", false},
		"days":                           {replicates, "binlog_expire_logs_seconds", "604800", true},
		"other days":                     {replicates, "binlog_expire_logs_seconds", "0", false},
		"days that are not set":          {nil, "binlog_expire_logs_seconds", "604800", false},
		"its place":                      {replicates, "gtid_slave_pos", "0-1-1", true},
		"a place of one that is single":  {nil, "gtid_slave_pos", "0-1-1", false},
		"a place where it is turned off": {[]promise.Setting{{Name: "log_slave_updates", Value: "OFF"}}, "gtid_slave_pos", "0-1-1", false},
	} {
		variables := map[string]baseline.Variable{
			"datadir": {Value: "/d/"}, "relay_log": {Value: "relay", Origin: "CONFIG"}, "log_slave_updates": {Value: "ON", Origin: "CONFIG"}, "expire_logs_days": {Value: "7", Origin: "CONFIG"},
			c.variable: {Value: c.value, Global: true, Origin: baseline.OriginDefault},
		}
		said := baseline.Expect(c.settings, variables, nil).Settings(variables, known, true)
		if (len(said) == 0) != c.good {
			t.Errorf("%s: got %s", name, strings.Join(said, "; "))
		}
	}
}
