package ask

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// Replication is what a server says of its place among several at one moment.
type Replication struct {
	ServerID uint32
	// ReadOnly means that only who has the right to can write; Awaits that its own commits
	// wait for a second server.
	ReadOnly, Awaits bool
	// Written, Current and Applied are places in the history: the end of its binary log, the
	// last commit, and the last one that came by replication.
	Written, Current, Applied string
	// Sources are the rows of SHOW ALL SLAVES STATUS: whom it follows.
	Sources []Source
	// Followers are the threads that send it to others.
	Followers []Follower
	// Waiting are the server's figures of commits that wait, by name in small letters.
	Waiting map[string]string
}

// Source is whom a server follows, and how: the columns of a row, as the server says them.
type Source map[string]string

// Follower is a thread that sends the history to another server.
type Follower struct {
	ID   uint64
	User string
}

// Twice is what a server said at the begin of a run and at its end.
type Twice struct{ Begin, End Replication }

const (
	maxSources   = 64
	maxFollowers = 1000
	maxPosition  = 4096 // bytes of a place in the history
)

const (
	standingQuery = `SELECT @@GLOBAL.server_id, @@GLOBAL.read_only, @@GLOBAL.rpl_semi_sync_master_enabled, @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_current_pos, @@GLOBAL.gtid_slave_pos`
	sourcesQuery  = `SHOW ALL SLAVES STATUS`
	waitingQuery  = `SHOW GLOBAL STATUS WHERE Variable_name IN ('Rpl_semi_sync_master_status','Rpl_semi_sync_master_clients','Rpl_semi_sync_master_no_tx','Rpl_semi_sync_slave_status')`
	followersFrom = `information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'`
)

// errAlone means that there was no question to put.
var errAlone = errors.New("the session promises no database of several")

// askBegin asks the first time.
func askBegin(ctx context.Context, server Querier, promised *promise.Promise) Answer[Twice] {
	if promised == nil || promised.Replication == nil {
		return Answer[Twice]{Err: errAlone}
	}
	begin := askReplication(ctx, server)
	return Answer[Twice]{Value: Twice{Begin: begin.Value}, Err: begin.Err}
}

// askEnd asks the second time, unless the first has no answer.
func askEnd(ctx context.Context, server Querier, begun Answer[Twice]) Answer[Twice] {
	if begun.Err == nil {
		end := askReplication(ctx, server)
		begun.Value.End, begun.Err = end.Value, end.Err
	}
	return begun
}

// askReplication asks once. How many follow and how many acknowledge are two answers: they
// are asked for again while the two differ, as they do while somebody comes or goes.
func askReplication(ctx context.Context, server Querier) Answer[Replication] {
	standing := ask(ctx, server, standingQuery, readStanding)
	sources := ask(ctx, server, sourcesQuery, readSources)
	if err := errors.Join(standing.Err, sources.Err); err != nil {
		return Answer[Replication]{Err: err}
	}
	seen := standing.Value
	seen.Sources = sources.Value
	for range tries {
		waiting := ask(ctx, server, waitingQuery, readWaiting)
		if waiting.Err != nil {
			return Answer[Replication]{Err: waiting.Err}
		}
		rows, err := list(ctx, server, "ID, USER", followersFrom)
		if err == nil {
			seen.Followers, err = readFollowers(rows)
		}
		if err != nil {
			return Answer[Replication]{Err: err}
		}
		seen.Waiting = waiting.Value
		if seen.Waiting["rpl_semi_sync_master_clients"] == strconv.Itoa(len(seen.Followers)) {
			break
		}
	}
	return Answer[Replication]{Value: seen}
}

func readStanding(rows *mysql.Rows) (Replication, error) {
	if err := atLeastOne(rows, 6); err != nil {
		return Replication{}, err
	}
	row := rows.Values[0]
	number, err := strconv.ParseUint(row[0].Text, 10, 32)
	if err != nil {
		return Replication{}, errors.New("the number of the server: want a number")
	}
	for _, flag := range row[1:3] {
		if flag.Text != "0" && flag.Text != "1" {
			return Replication{}, errors.New("whether the server is written to: want 0 or 1")
		}
	}
	for _, place := range row[3:6] {
		if !isPosition(place.Text) {
			return Replication{}, errors.New("a place in the history: want numbers of domain, server and commit")
		}
	}
	return Replication{ServerID: uint32(number), ReadOnly: row[1].Text == "1", Awaits: row[2].Text == "1",
		Written: row[3].Text, Current: row[4].Text, Applied: row[5].Text}, nil
}

// isPosition reports whether a text is a place in the history, as MariaDB writes it:
// 0-1-7,1-2-9, or nothing.
func isPosition(text string) bool {
	return len(text) <= maxPosition && regexp.MustCompile(`^([0-9]{1,10}-[0-9]{1,10}-[0-9]{1,20}(,[0-9]{1,10}-[0-9]{1,10}-[0-9]{1,20})*)?$`).MatchString(text)
}

func readSources(rows *mysql.Rows) ([]Source, error) {
	if len(rows.Values) > maxSources {
		return nil, fmt.Errorf("the server follows %d others: want at most %d", len(rows.Values), maxSources)
	}
	var all []Source
	for _, values := range rows.Values {
		one := Source{}
		for i, column := range rows.Columns {
			if _, twice := one[column]; twice {
				return nil, errors.New("a column of whom the server follows is there twice")
			}
			one[column] = values[i].Text
		}
		all = append(all, one)
	}
	return all, nil
}

func readWaiting(rows *mysql.Rows) (map[string]string, error) {
	if err := atLeastOne(rows, 2); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, row := range rows.Values {
		all[strings.ToLower(row[0].Text)] = row[1].Text
	}
	return all, nil
}

func readFollowers(rows *mysql.Rows) ([]Follower, error) {
	if len(rows.Columns) != 2 || len(rows.Values) > maxFollowers {
		return nil, errors.New("the threads that send the history: want two columns, and not so many rows")
	}
	var all []Follower
	for _, row := range rows.Values {
		id, err := strconv.ParseUint(row[0].Text, 10, 64)
		if err != nil {
			return nil, errors.New("a thread that sends the history has no number")
		}
		all = append(all, Follower{id, row[1].Text})
	}
	slices.SortFunc(all, func(a, b Follower) int { return int(min(max(int64(a.ID)-int64(b.ID), -1), 1)) })
	return all, nil
}

// Moving reports whether a column of a Source changes while everything is as it should be.
// What is neither moving nor compared with what was promised is not known.
func Moving(column string) bool {
	return slices.Contains([]string{"Slave_SQL_State", "Slave_IO_State", "Connect_Retry", "Master_Log_File", "Read_Master_Log_Pos", "Relay_Log_File", "Relay_Log_Pos",
		"Relay_Master_Log_File", "Last_Errno", "Last_Error", "Exec_Master_Log_Pos", "Relay_Log_Space", "Until_Log_File", "Until_Log_Pos", "Seconds_Behind_Master",
		"Last_IO_Errno", "Last_IO_Error", "Last_SQL_Errno", "Last_SQL_Error", "Gtid_IO_Pos", "Parallel_Mode", "SQL_Remaining_Delay", "Slave_SQL_Running_State",
		"Slave_DDL_Groups", "Slave_Non_Transactional_Groups", "Slave_Transactional_Groups", "Retried_transactions", "Max_relay_log_size", "Executed_log_entries",
		"Slave_received_heartbeats", "Slave_heartbeat_period", "Gtid_Slave_Pos",
		"Master_last_event_time", "Slave_last_event_time", "Master_Slave_time_diff", "Connects_Tried", "Master_Retry_Count"}, column)
}

// Changed says what is another between begin and end, but for places in the history; empty
// if nothing is.
func (t Twice) Changed() string {
	a, b := t.Begin, t.End
	switch {
	case a.ServerID != b.ServerID:
		return "server_id"
	case a.ReadOnly != b.ReadOnly:
		return "read_only"
	case a.Awaits != b.Awaits:
		return "rpl_semi_sync_master_enabled"
	case !slices.Equal(a.Followers, b.Followers):
		return "who follows it"
	case !slices.EqualFunc(a.Sources, b.Sources, Source.steady):
		return "whom it follows"
	}
	return ""
}

// steady reports whether two rows differ in nothing but what moves.
func (s Source) steady(other Source) bool {
	still := func(one Source) map[string]string {
		kept := maps.Clone(one)
		maps.DeleteFunc(kept, func(column, _ string) bool { return Moving(column) })
		return kept
	}
	return maps.Equal(still(s), still(other))
}
