package ask

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// several answers as a server of several; what a statement begins with may be answered in
// another way.
type several struct {
	other map[string]*mysql.Rows
	asked map[string]int
}

func rowsOf(columns string, rows ...string) *mysql.Rows {
	all := &mysql.Rows{Columns: strings.Split(columns, "|")}
	for _, r := range rows {
		var values []mysql.Value
		for _, text := range strings.Split(r, "|") {
			values = append(values, mysql.Value{Text: text})
		}
		all.Values = append(all.Values, values)
	}
	return all
}

func (s *several) Query(_ context.Context, statement string) (*mysql.Rows, error) {
	for begin, rows := range s.other {
		if strings.HasPrefix(statement, begin) {
			if rows == nil {
				return nil, errors.New("refused")
			}
			return &mysql.Rows{Columns: rows.Columns, Values: append([][]mysql.Value(nil), rows.Values...)}, nil
		}
	}
	if s.asked != nil {
		s.asked[statement]++
	}
	switch {
	case statement == standingQuery:
		return rowsOf("a|b|c|d|e|f", "1|0|1|0-1-7|0-1-7|0-1-1"), nil
	case statement == sourcesQuery:
		return &mysql.Rows{Columns: []string{"Connection_name", "Master_Host"}}, nil
	case statement == waitingQuery:
		return rowsOf("n|v", "Rpl_semi_sync_master_clients|1", "Rpl_semi_sync_master_no_tx|0"), nil
	case strings.HasPrefix(statement, "SELECT ID, USER"):
		return rowsOf("ID|USER|n", "7|repl|1"), nil
	}
	return nil, fmt.Errorf("not expected: %s", statement)
}

// TestReplicationIsWholeOrAnError: each answer of a wrong form is an error, and what is
// there is read as it stands.
func TestReplicationIsWholeOrAnError(t *testing.T) {
	good := askReplication(t.Context(), &several{})
	if r := good.Value; good.Err != nil || r.ServerID != 1 || r.ReadOnly || !r.Awaits || r.Written != "0-1-7" || r.Applied != "0-1-1" || len(r.Followers) != 1 || r.Followers[0] != (Follower{7, "repl"}) || r.Waiting["rpl_semi_sync_master_no_tx"] != "0" {
		t.Errorf("got %+v", good)
	}
	many := &mysql.Rows{Columns: []string{"a"}}
	for range maxSources + 1 {
		many.Values = append(many.Values, []mysql.Value{{Text: "x"}})
	}
	for name, other := range map[string]map[string]*mysql.Rows{
		"no standing":             {"SELECT @@": rowsOf("a|b|c|d|e|f")},
		"a short standing":        {"SELECT @@": rowsOf("a|b", "1|0")},
		"a number that is none":   {"SELECT @@": rowsOf("a|b|c|d|e|f", "x|0|1|||")},
		"a number that is large":  {"SELECT @@": rowsOf("a|b|c|d|e|f", "4294967296|0|1|||")},
		"a flag that is none":     {"SELECT @@": rowsOf("a|b|c|d|e|f", "1|2|1|||")},
		"the other flag":          {"SELECT @@": rowsOf("a|b|c|d|e|f", "1|0||||")},
		"a place that is none":    {"SELECT @@": rowsOf("a|b|c|d|e|f", "1|0|1|0-1||")},
		"a place with a line":     {"SELECT @@": rowsOf("a|b|c|d|e|f", "1|0|1|||0-1-1\n0-1-2")},
		"refused":                 {"SELECT @@": nil},
		"sources are refused":     {"SHOW ALL": nil},
		"too many sources":        {"SHOW ALL": many},
		"a column twice":          {"SHOW ALL": rowsOf("Master_Host|Master_Host", "a|b")},
		"no figures":              {"SHOW GLOBAL": rowsOf("n|v")},
		"figures are refused":     {"SHOW GLOBAL": nil},
		"threads are refused":     {"SELECT ID": nil},
		"a thread without number": {"SELECT ID": rowsOf("ID|USER|n", "x|repl|1")},
		"threads are cut":         {"SELECT ID": rowsOf("ID|USER|n", "7|repl|2")},
	} {
		if got := askReplication(t.Context(), &several{other: other}); got.Err == nil {
			t.Errorf("%s: got %+v", name, got.Value)
		}
	}
}

// TestOneThatIsAlone is not asked, and has no answer that could be judged.
func TestOneThatIsAlone(t *testing.T) {
	for _, promised := range []*promise.Promise{nil, {}} {
		server := &several{asked: map[string]int{}}
		if got := askEnd(t.Context(), server, askBegin(t.Context(), server, promised)); got.Err == nil || len(server.asked) != 0 {
			t.Errorf("got %+v after %v", got, server.asked)
		}
	}
	server := &several{asked: map[string]int{}}
	if got := askEnd(t.Context(), server, askBegin(t.Context(), server, &promise.Promise{Replication: &promise.Replication{}})); got.Err != nil || server.asked[standingQuery] != 2 || got.Value.Changed() != "" {
		t.Errorf("one of several: got %+v after %v", got, server.asked)
	}
}

// TestChanged: what is another between two moments is said, and what moves by itself is not.
func TestChanged(t *testing.T) {
	one := func() Replication {
		return Replication{ServerID: 1, Written: "0-1-7", Sources: []Source{{"Master_Host": "a", "Slave_IO_Running": "Yes", "Exec_Master_Log_Pos": "7"}}, Followers: []Follower{{7, "repl"}}, Waiting: map[string]string{"a": "1"}}
	}
	for name, c := range map[string]struct {
		change func(*Replication)
		want   string
	}{
		"nothing":             {func(*Replication) {}, ""},
		"how far it has come": {func(r *Replication) { r.Written, r.Current, r.Applied = "0-1-9", "0-1-9", "0-1-9" }, ""},
		"what moves":          {func(r *Replication) { r.Sources[0]["Exec_Master_Log_Pos"] = "9" }, ""},
		"figures":             {func(r *Replication) { r.Waiting["a"] = "2" }, ""},
		"the number":          {func(r *Replication) { r.ServerID = 2 }, "server_id"},
		"who writes":          {func(r *Replication) { r.ReadOnly = true }, "read_only"},
		"what waits":          {func(r *Replication) { r.Awaits = true }, "rpl_semi_sync_master_enabled"},
		"another thread":      {func(r *Replication) { r.Followers[0].ID = 8 }, "who follows it"},
		"one thread more":     {func(r *Replication) { r.Followers = append(r.Followers, Follower{9, "repl"}) }, "who follows it"},
		"a thread of a row":   {func(r *Replication) { r.Sources[0]["Slave_IO_Running"] = "Connecting" }, "whom it follows"},
		"a new column":        {func(r *Replication) { r.Sources[0]["New"] = "x" }, "whom it follows"},
		"nobody":              {func(r *Replication) { r.Sources = nil }, "whom it follows"},
	} {
		end := one()
		c.change(&end)
		if got := (Twice{one(), end}).Changed(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// FuzzSources: whatever a server says of whom it follows, it is read as it stands or
// refused, and a place in the history is one or is none.
func FuzzSources(f *testing.F) {
	f.Add("Connection_name|Master_Host", "|db-0", "0-1-7")
	f.Add("a|a", "x|y", "0-1-7,1-2-3")
	f.Add("", "", "0-1-")
	f.Fuzz(func(t *testing.T, columns, row, place string) {
		names, texts := strings.Split(columns, "|"), strings.Split(row, "|")
		if len(names) != len(texts) {
			return // the protocol has as many values as columns
		}
		read, err := readSources(rowsOf(columns, row))
		if err == nil {
			for i, name := range names {
				if read[0][name] != texts[i] {
					t.Errorf("%q: got %q, want %q", name, read[0][name], texts[i])
				}
			}
		}
		if isPosition(place) && strings.Trim(place, "0123456789-,") != "" {
			t.Errorf("%q is taken for a place", place)
		}
	})
}
