package keeper

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
)

// Server is what the server of a member says of itself, by SQL over a connection on which it
// proved its name.
type Server struct {
	Ordinal int
	// Name is that of the member.
	Name string
	// Err says why nothing is known of it; everything else is zero then.
	Err error
	// ReadOnly and SemiSync are @@read_only and @@rpl_semi_sync_master_enabled.
	ReadOnly, SemiSync bool
	// Waits is the number of commits that wait for an acknowledgement.
	Waits uint64
	// Head is its last transaction, of those that it made and those that it applied.
	Head GTID
	// Applied is the last one that it applied as a replica.
	Applied GTID
	// History is the number of the last transaction that it knows of each server.
	History map[uint32]uint64
	// Replica says whether it is told to replicate from another.
	Replica bool
	// Follows is the @@server_id of the one that it is connected to, or was.
	Follows uint32
	// Receiving and Connected say whether it asks its primary for transactions, and whether
	// it is connected to it.
	Receiving, Connected bool
	// Stopped says whether it was told not to receive: no error ended it.
	Stopped bool
	// Applying and Idle say whether it applies what it received, and whether there is nothing
	// left of it.
	Applying, Idle bool
	// Acknowledges says whether it tells its primary what it has received.
	Acknowledges bool
	// Received is the last transaction that it received, if that is beyond Head.
	Received GTID
	// Relay is where in its relay log that begins which it has not applied, if it does not
	// apply and could.
	Relay Place
	// Stuck says why it cannot apply what it received.
	Stuck string
}

// Place is one in a relay log. The zero value is none.
type Place struct {
	File     string
	Position uint64
}

// asker is a connection to a server.
type asker interface {
	Query(ctx context.Context, statement string) (*mysql.Rows, error)
}

// askServer asks a server what it is. It must have this @@server_id.
func askServer(ctx context.Context, conn asker, ordinal int) (s Server, err error) {
	s.Ordinal = ordinal
	row, err := one(conn.Query(ctx, "SELECT @@global.server_id AS id, @@global.read_only AS readonly, @@global.rpl_semi_sync_master_enabled AS semisync, @@global.gtid_strict_mode AS strict, @@global.gtid_binlog_pos AS made, @@global.gtid_slave_pos AS applied, @@global.gtid_binlog_state AS state"))
	if err != nil {
		return s, err
	}
	if row["id"] != strconv.Itoa(ordinal+1) {
		return s, fmt.Errorf("it has the server_id %.20q, want %d", row["id"], ordinal+1)
	}
	if row["strict"] != "1" {
		return s, errors.New("gtid_strict_mode is off")
	}
	s.ReadOnly, s.SemiSync = row["readonly"] != "0", row["semisync"] == "1"
	made, err := parseGTID(row["made"])
	if err != nil {
		return s, err
	}
	if s.Applied, err = parseGTID(row["applied"]); err != nil {
		return s, err
	}
	if s.Head = made; s.Applied.Number > made.Number {
		s.Head = s.Applied
	}
	state, err := parseGTIDs(row["state"])
	if err != nil {
		return s, err
	}
	s.History = map[uint32]uint64{}
	for _, g := range state {
		s.History[g.Server] = max(s.History[g.Server], g.Number)
	}
	waits, err := status(ctx, conn, "Rpl_semi_sync_master_wait_sessions")
	if err != nil {
		return s, err
	}
	if s.Waits, err = strconv.ParseUint(waits, 10, 64); err != nil {
		return s, errors.New("it does not say how many commits wait")
	}
	acknowledges, err := status(ctx, conn, "Rpl_semi_sync_slave_status")
	if err != nil {
		return s, err
	}
	s.Acknowledges = acknowledges == "ON"
	return s, askReplica(ctx, conn, &s)
}

func status(ctx context.Context, conn asker, name string) (string, error) {
	row, err := one(conn.Query(ctx, "SHOW GLOBAL STATUS LIKE '"+name+"'"))
	return row["Value"], err
}

// askReplica asks how a server replicates.
func askReplica(ctx context.Context, conn asker, s *Server) error {
	rows, err := conn.Query(ctx, "SHOW ALL SLAVES STATUS")
	if err != nil {
		return err
	}
	if len(rows.Values) == 0 {
		return nil
	}
	row, err := one(rows, nil)
	if err != nil {
		return err
	}
	if row["Connection_name"] != "" {
		return errors.New("it has a named replication")
	}
	s.Replica = true
	s.Receiving, s.Connected = row["Slave_IO_Running"] != "No", row["Slave_IO_Running"] == "Yes"
	follows, err := strconv.ParseUint(row["Master_Server_Id"], 10, 32)
	if err != nil {
		return errors.New("it does not say whom it follows")
	}
	s.Follows = uint32(follows)
	s.Stopped = !s.Receiving && row["Last_IO_Errno"] == "0"
	s.Applying, s.Idle = row["Slave_SQL_Running"] == "Yes", strings.HasPrefix(row["Slave_SQL_Running_State"], "Slave has read all relay log")
	if s.Applying {
		received, err := parseGTID(row["Gtid_IO_Pos"])
		if err == nil && received.Number > s.Head.Number {
			s.Received = received
		}
		return err
	}
	if row["Last_SQL_Errno"] != "0" {
		s.Stuck = "it could not apply: " + check.Said(row["Last_SQL_Error"])
	}
	return askRelay(ctx, conn, s)
}

// one is the only row of an answer, by columns.
func one(rows *mysql.Rows, err error) (map[string]string, error) {
	if err != nil {
		return nil, err
	}
	if len(rows.Values) != 1 {
		return nil, fmt.Errorf("an answer of %d rows, want 1", len(rows.Values))
	}
	row := map[string]string{}
	for i, column := range rows.Columns {
		row[column] = rows.Values[0][i].Text
	}
	return row, nil
}

const (
	// relayPage is how many events of a relay log are asked for at once, and relayPages how
	// often: a log of more is not read to its end.
	relayPage, relayPages = 2_000, 500
	firstEvent            = 4 // in a file

	// codeNoEvents is ER_ERROR_WHEN_EXECUTING_COMMAND, with noSuchLog where there is no such file.
	codeNoEvents = 1220
	noSuchLog    = "Could not find target log"
)

// askRelay looks for transactions in a relay log that were received and not applied. After
// a restart this is the only place where they are, and starting a replica by GTID throws it
// away. The position that a server has of its own may be behind or beyond what its tables
// have: a transaction that was not flushed is undone, and the position is not.
func askRelay(ctx context.Context, conn asker, s *Server) error {
	from := Place{}
	for range relayPages {
		events, err := relayEvents(ctx, conn, from)
		var refusal *mysql.ServerError
		switch {
		case errors.As(err, &refusal) && refusal.Code == codeNoEvents && strings.Contains(refusal.Message, noSuchLog):
			return nil
		case errors.As(err, &refusal) && refusal.Code == codeNoEvents:
			s.Stuck = "its relay log cannot be read to its end"
			return nil
		case err != nil:
			return err
		}
		for _, e := range events {
			s.received(e)
		}
		if len(events) > 1 { // the first of a further page was the last of the one before
			from = events[len(events)-1].begin
		} else if from, err = from.next(events); err != nil || from == (Place{}) {
			return err
		}
	}
	return errors.New("its relay log is too long to be read")
}

// received notes an event of a relay log, if it begins a transaction that was not applied.
func (s *Server) received(e event) {
	last := max(s.Head.Number, s.Received.Number)
	if e.gtid.Number <= last {
		return
	}
	if s.Received == (GTID{}) {
		s.Relay = e.begin
	}
	if e.gtid.Number != last+1 && s.Stuck == "" {
		s.Stuck = fmt.Sprintf("its relay log goes on with %v after number %d", e.gtid, last)
	}
	s.Received = e.gtid
}

// event is one of a relay log.
type event struct {
	begin Place
	gtid  GTID // zero for any but the first of a transaction
}

// relayEvents are some events from a place on, which an event begins at.
func relayEvents(ctx context.Context, conn asker, from Place) (events []event, err error) {
	statement := "SHOW RELAYLOG EVENTS"
	if from.File != "" {
		statement += fmt.Sprintf(" IN '%s' FROM %d", from.File, from.Position)
	}
	rows, err := conn.Query(ctx, fmt.Sprintf("%s LIMIT %d", statement, relayPage))
	if err != nil {
		return nil, err
	}
	columns := map[string]int{}
	for _, name := range []string{"Log_name", "Pos", "Event_type", "Info"} {
		if columns[name], err = rows.Column(name); err != nil {
			return nil, err
		}
	}
	for _, values := range rows.Values {
		e := event{begin: Place{File: values[columns["Log_name"]].Text}}
		if name := e.begin.File; name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-_0123456789.") != "" {
			return nil, fmt.Errorf("a relay log %.40q", name)
		}
		if e.begin.Position, err = strconv.ParseUint(values[columns["Pos"]].Text, 10, 64); err != nil {
			return nil, errors.New("an event without a position")
		}
		if values[columns["Event_type"]].Text == "Gtid" {
			words := strings.Fields(values[columns["Info"]].Text)
			for i, word := range words {
				if word == "GTID" && i+1 < len(words) {
					e.gtid, err = parseGTID(words[i+1])
				}
			}
			if err != nil || e.gtid == (GTID{}) {
				return nil, fmt.Errorf("a transaction without a GTID: %w", err)
			}
		}
		events = append(events, e)
	}
	return events, nil
}

// next is the beginning of the file after that of a place, or after that of the only event of
// the first file; none if there is no file.
func (p Place) next(events []event) (Place, error) {
	if p.File == "" && len(events) > 0 {
		p = events[0].begin
	}
	dot := strings.LastIndexByte(p.File, '.')
	if dot < 0 {
		return Place{}, nil
	}
	number, err := strconv.ParseUint(p.File[dot+1:], 10, 32)
	if err != nil {
		return Place{}, fmt.Errorf("a relay log %.40q", p.File)
	}
	return Place{fmt.Sprintf("%s.%0*d", p.File[:dot], len(p.File)-dot-1, number+1), firstEvent}, nil
}
