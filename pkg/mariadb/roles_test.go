package mariadb

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// promisedBeside is one of two databases.
func promisedBeside() *promise.Promise {
	return &promise.Promise{Accounts: []promise.Account{{Name: promise.Name{User: "repl", Host: "%"}, Rights: []promise.Right{{Kind: promise.Global, Privilege: "REPLICATION SLAVE"}}}},
		Replication: &promise.Replication{ServerID: 2, Port: 3306, CA: "/ca", Certificate: "/crt", Key: "/key", Others: []promise.Peer{{Name: "mariadb-0", Host: "db-0", ServerID: 1}}}}
}

// goodSource is a row as it is promised.
func goodSource() ask.Source {
	s := ask.Source{"Master_Host": "db-0", "Master_User": "repl", "Master_Server_Id": "1", "Slave_IO_Running": "Yes", "Slave_SQL_Running": "Yes", "Last_IO_Error": "", "Seconds_Behind_Master": "0"}
	for column, values := range sourceFields(promisedBeside().Replication) {
		s[column] = values[0]
	}
	return s
}

func aReplica() ask.Replication {
	return ask.Replication{ServerID: 2, ReadOnly: true, Sources: []ask.Source{goodSource()}, Waiting: map[string]string{"rpl_semi_sync_master_clients": "0", "rpl_semi_sync_master_no_tx": "0", "rpl_semi_sync_slave_status": "ON"}}
}

func aPrimary() ask.Replication {
	return ask.Replication{ServerID: 2, Awaits: true, Followers: []ask.Follower{{ID: 7, User: "repl"}}, Waiting: map[string]string{"rpl_semi_sync_master_clients": "1", "rpl_semi_sync_master_no_tx": "0", "rpl_semi_sync_master_status": "ON"}}
}

// besideSeen is what was seen of one of two databases, at both moments the same.
func besideSeen(seen ask.Replication) *Observation {
	o := &Observation{target: Target{Promise: promisedBeside(), Account: "v"}}
	o.answers.Replication.Value = ask.Twice{Begin: seen, End: seen}
	o.answers.Granted.Value.Memory = accounts{{Name: promise.Name{User: "v", Host: "%"}, Rights: []promise.Right{{Kind: promise.Global, Privilege: "PROCESS"}}}}
	o.answers.Variables.Value = map[string]variable{"rpl_semi_sync_slave_enabled": {Value: "ON"}, "rpl_semi_sync_master_wait_point": {Value: "AFTER_SYNC"},
		"rpl_semi_sync_master_timeout": {Value: "18446744073709551615"}, "rpl_semi_sync_master_wait_no_slave": {Value: "ON"}, "gtid_strict_mode": {Value: "ON"}, "gtid_domain_id": {Value: "0"}}
	return o
}

// TestSourcesFieldByField: each column that is judged makes it fail by any other value, and
// none of them may be missing; what nobody knows proves nothing.
func TestSourcesFieldByField(t *testing.T) {
	if got := decideSources(besideSeen(aReplica())); got.outcome != check.Pass {
		t.Fatalf("as promised: got %+v", got)
	}
	judged := maps.Clone(sourceFields(promisedBeside().Replication))
	judged["Master_Host"], judged["Master_User"], judged["Master_Server_Id"] = nil, nil, nil
	for column := range judged {
		for _, value := range []string{"x", "No", "", "\x1b[2J", " "} {
			seen := aReplica()
			if seen.Sources[0][column] == value || judged[column] != nil && strings.Contains("|"+strings.Join(judged[column], "|")+"|", "|"+value+"|") {
				continue
			}
			seen.Sources[0][column] = value
			if got := decideSources(besideSeen(seen)); got.outcome != check.Fail || !strings.Contains(got.got, column) {
				t.Errorf("%s=%q: got %+v", column, value, got)
			}
		}
		seen := aReplica()
		delete(seen.Sources[0], column)
		if got := decideSources(besideSeen(seen)); got.outcome == check.Pass {
			t.Errorf("without %s: got %+v", column, got)
		}
	}
	seen := aReplica()
	seen.Sources[0]["New_column"] = ""
	if got := decideSources(besideSeen(seen)); got.outcome != check.Skip || !strings.Contains(got.reason, "New_column") {
		t.Errorf("a column that nobody knows: got %+v", got)
	}
}

// TestThreads: what the two threads do, and the number of whom they follow.
func TestThreads(t *testing.T) {
	for _, c := range []struct {
		receives, applies, number string
		want                      check.Outcome
	}{
		{"Yes", "Yes", "1", check.Pass}, {"Yes", "Yes", "2", check.Fail}, {"Yes", "Yes", "0", check.Fail}, {"Yes", "Yes", "", check.Fail},
		{"Connecting", "Yes", "0", check.Skip}, {"Connecting", "Yes", "1", check.Skip}, {"Connecting", "Yes", "3", check.Fail}, {"Preparing", "Yes", "1", check.Skip},
		{"No", "Yes", "1", check.Fail}, {"Yes", "No", "1", check.Fail}, {"No", "No", "1", check.Skip}, {"No", "No", "0", check.Skip}, {"Connecting", "No", "1", check.Fail}, {"", "", "1", check.Fail},
	} {
		seen := aReplica()
		seen.Sources[0]["Slave_IO_Running"], seen.Sources[0]["Slave_SQL_Running"], seen.Sources[0]["Master_Server_Id"] = c.receives, c.applies, c.number
		if got := decideSources(besideSeen(seen)); got.outcome != c.want {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
}

// TestRolesByWhatIsSaid: what a primary and a replica say, and each thing that they must not.
func TestRolesByWhatIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		seen   ask.Replication
		change func(*ask.Replication, *Observation)
		id     string
		want   check.Outcome
	}{
		"a primary":                             {aPrimary(), func(*ask.Replication, *Observation) {}, "rep-02", check.Pass},
		"it follows nobody":                     {aPrimary(), func(*ask.Replication, *Observation) {}, "rep-01", check.Pass},
		"a replica":                             {aReplica(), func(*ask.Replication, *Observation) {}, "rep-02", check.Pass},
		"commits that nobody had":               {aPrimary(), func(r *ask.Replication, _ *Observation) { r.Waiting["rpl_semi_sync_master_no_tx"] = "1" }, "rep-02", check.Fail},
		"also of one that was the primary":      {aReplica(), func(r *ask.Replication, _ *Observation) { r.Waiting["rpl_semi_sync_master_no_tx"] = "1" }, "rep-02", check.Fail},
		"commits of which nothing is said":      {aPrimary(), func(r *ask.Replication, _ *Observation) { delete(r.Waiting, "rpl_semi_sync_master_no_tx") }, "rep-02", check.Fail},
		"switched on, and off":                  {aPrimary(), func(r *ask.Replication, _ *Observation) { r.Waiting["rpl_semi_sync_master_status"] = "OFF" }, "rep-02", check.Fail},
		"nobody follows":                        {aPrimary(), func(r *ask.Replication, _ *Observation) { r.Followers = nil }, "rep-02", check.Skip},
		"one that follows and acknowledges not": {aPrimary(), func(r *ask.Replication, _ *Observation) { r.Waiting["rpl_semi_sync_master_clients"] = "0" }, "rep-02", check.Skip},
		"somebody follows a replica":            {aReplica(), func(r *ask.Replication, _ *Observation) { r.Followers = aPrimary().Followers }, "rep-02", check.Skip},
		"a replica that acknowledges nothing":   {aReplica(), func(r *ask.Replication, _ *Observation) { r.Waiting["rpl_semi_sync_slave_status"] = "OFF" }, "rep-02", check.Fail},
		"the same before it is there": {aReplica(), func(r *ask.Replication, _ *Observation) {
			r.Waiting["rpl_semi_sync_slave_status"] = "OFF"
			r.Sources[0]["Slave_IO_Running"] = "Connecting"
		}, "rep-02", check.Skip},
		"another number": {aPrimary(), func(r *ask.Replication, _ *Observation) { r.ServerID = 1 }, "rep-02", check.Fail},
		"another domain": {aPrimary(), func(_ *ask.Replication, o *Observation) {
			o.answers.Variables.Value["gtid_domain_id"] = variable{Value: "1"}
		}, "rep-02", check.Fail},
		"a version without semi-sync": {aPrimary(), func(_ *ask.Replication, o *Observation) {
			delete(o.answers.Variables.Value, "rpl_semi_sync_slave_enabled")
		}, "rep-02", check.Skip},
		"written to, and nothing waits":  {aPrimary(), func(r *ask.Replication, _ *Observation) { r.Awaits = false }, "rep-02", check.Fail},
		"written to, and follows":        {aReplica(), func(r *ask.Replication, _ *Observation) { r.ReadOnly, r.Awaits = false, true }, "rep-02", check.Fail},
		"the same by whom it follows":    {aReplica(), func(r *ask.Replication, _ *Observation) { r.ReadOnly, r.Awaits = false, true }, "rep-01", check.Fail},
		"it follows, and waits":          {aReplica(), func(r *ask.Replication, _ *Observation) { r.Awaits = true }, "rep-02", check.Fail},
		"neither, as after a start":      {aReplica(), func(r *ask.Replication, _ *Observation) { r.Sources = nil }, "rep-02", check.Skip},
		"neither, and it follows nobody": {aReplica(), func(r *ask.Replication, _ *Observation) { r.Sources = nil }, "rep-01", check.Skip},
		"neither, about to be opened":    {aReplica(), func(r *ask.Replication, _ *Observation) { r.Sources, r.Awaits = nil, true }, "rep-02", check.Skip},
		"it may not see who is there":    {aPrimary(), func(_ *ask.Replication, o *Observation) { o.answers.Granted.Value.Memory[0].Rights = nil }, "rep-02", check.Skip},
		"two follow of one": {aPrimary(), func(r *ask.Replication, _ *Observation) {
			r.Followers = append(r.Followers, ask.Follower{ID: 8, User: "repl"})
		}, "obj-02", check.Fail},
		"one follows as somebody else":           {aPrimary(), func(r *ask.Replication, _ *Observation) { r.Followers = []ask.Follower{{ID: 8, User: "app"}} }, "obj-02", check.Fail},
		"two connections":                        {aReplica(), func(r *ask.Replication, _ *Observation) { r.Sources = append(r.Sources, goodSource()) }, "rep-01", check.Fail},
		"the promise is not clear":               {aReplica(), func(_ *ask.Replication, o *Observation) { o.target.Promise.Unclear = []string{"x"} }, "rep-01", check.Skip},
		"the promise is not clear, for the role": {aReplica(), func(_ *ask.Replication, o *Observation) { o.target.Promise.Unclear = []string{"x"} }, "rep-02", check.Skip},
		"no answer":                              {aReplica(), func(_ *ask.Replication, o *Observation) { o.answers.Replication.Err = errors.New("x") }, "rep-01", check.Skip},
		"no answer, for the role":                {aReplica(), func(_ *ask.Replication, o *Observation) { o.answers.Replication.Err = errors.New("x") }, "rep-02", check.Skip},
		"no answer, for who is connected":        {aReplica(), func(_ *ask.Replication, o *Observation) { o.answers.Replication.Err = errors.New("x") }, "obj-02", check.Skip},
	} {
		o := besideSeen(c.seen)
		c.change(&c.seen, o)
		o.answers.Replication.Value = ask.Twice{Begin: c.seen, End: c.seen}
		for _, q := range questions() {
			if q.id != c.id {
				continue
			}
			if got := q.decide(o); got.outcome != c.want {
				t.Errorf("%s: %s: got %+v, want %v", name, c.id, got, c.want)
			}
		}
	}
}

// TestChangedMeanwhile: two moments that differ prove nothing, and what is wrong at one of
// them is wrong.
func TestChangedMeanwhile(t *testing.T) {
	o := besideSeen(aReplica())
	o.answers.Replication.Value.End = aPrimary()
	for _, id := range []string{"rep-01", "rep-02"} {
		if outcome, said, _ := o.Conclude(id); outcome != check.Skip || !strings.Contains(said, "changed while the server was asked") {
			t.Errorf("%s: got %v %s", id, outcome, said)
		}
	}
	o.answers.Replication.Value.Begin.Sources[0]["Master_SSL_Allowed"] = "No"
	if outcome, said, _ := o.Conclude("rep-01"); outcome != check.Fail {
		t.Errorf("in clear for a moment: got %v %s", outcome, said)
	}
}

// TestOneThatIsAlone has no questions of several, and keeps all those of one.
func TestOneThatIsAlone(t *testing.T) {
	for _, p := range []*promise.Promise{nil, {}, {Unclear: []string{"x"}}} {
		o := &Observation{target: Target{Promise: p}, login: mysql.Attempt{Err: errors.New("x")}, answers: ask.Unanswered(errors.New("x"))}
		for _, f := range o.Report() {
			if strings.HasPrefix(f.ID, "rep-") {
				t.Errorf("got %s", f.ID)
			}
		}
		if o.Replication() != nil {
			t.Errorf("got %+v", o.Replication())
		}
	}
	o := besideSeen(aReplica())
	o.login.Err = errors.New("x")
	for _, id := range ReplicationChecks() {
		if _, asked := o.Report().Find(id); !asked {
			t.Errorf("of several: %s is not asked", id)
		}
	}
}

// FuzzSource: whatever a row says, only one that is as promised passes.
func FuzzSource(f *testing.F) {
	f.Add("Master_SSL_Allowed", "No")
	f.Add("Replicate_Do_DB", "\x1b[2J")
	f.Add("Something", "")
	f.Add("Seconds_Behind_Master", "9")
	f.Fuzz(func(t *testing.T, column, value string) {
		seen := aReplica()
		was, is := seen.Sources[0][column]
		same := is && was == value
		seen.Sources[0][column] = value
		got := decideSources(besideSeen(seen))
		if !same && !ask.Moving(column) && got.outcome == check.Pass && !(column == "Using_Gtid" && value == "Slave_Pos") {
			t.Errorf("%q=%q passes", column, value)
		}
	})
}
