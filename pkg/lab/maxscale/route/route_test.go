package route_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

const whoAmI = "SELECT @@server_id"

// servers are the numbers of the servers that answer a statement, one after the other.
func servers(t *testing.T, conn *backend.Conn, times int) string {
	t.Helper()
	var all []string
	for range times {
		all = append(all, ask(t, conn, whoAmI))
	}
	return strings.Join(all, "")
}

// TestRouting runs statements one after the other, in a session each, and looks where the
// last one was answered.
func TestRouting(t *testing.T) {
	p := start(t, shared)
	for name, c := range map[string]struct {
		statements []string
		want       string // the numbers that may answer
	}{
		"a read":                            {nil, "23"},
		"in a transaction":                  {[]string{"BEGIN"}, "1"},
		"after a transaction":               {[]string{"BEGIN", "COMMIT"}, "23"},
		"after a rollback":                  {[]string{"START TRANSACTION", "ROLLBACK"}, "23"},
		"without autocommit":                {[]string{"SET autocommit=0"}, "1"},
		"with autocommit again":             {[]string{"SET autocommit=0", "SET autocommit=1"}, "23"},
		"in a transaction that only reads":  {[]string{"START TRANSACTION READ ONLY"}, "23"},
		"after a write":                     {[]string{"INSERT INTO lab.t(text) VALUES ('w')"}, "23"},
		"after a statement that is refused": {[]string{"-SELECT nothing"}, "23"},
		"after a write without autocommit":  {[]string{"SET autocommit=0", "INSERT INTO lab.t(text) VALUES ('w')", "SET autocommit=1"}, "23"},
	} {
		conn := p.dial(t, as("app"))
		for _, text := range c.statements {
			if refused, wanted := strings.CutPrefix(text, "-"); wanted {
				if code(t, conn, refused) == 0 {
					t.Errorf("%s is not refused", refused)
				}
				continue
			}
			ask(t, conn, text)
		}
		if got := ask(t, conn, whoAmI); !strings.Contains(c.want, got) {
			t.Errorf("%s: %s answers, want one of %s", name, got, c.want)
		}
	}
}

// TestTurns: reads alternate, and stay where a transaction that only reads was begun.
func TestTurns(t *testing.T) {
	p := start(t, shared)
	conn := p.dial(t, as("app"))
	if got := servers(t, conn, 6); got != "232323" && got != "323232" {
		t.Errorf("%s answer", got)
	}
	ask(t, conn, "START TRANSACTION READ ONLY")
	if got := servers(t, conn, 4); got != "2222" && got != "3333" {
		t.Errorf("%s answer in a transaction that only reads", got)
	}
	if got := code(t, conn, "INSERT INTO lab.t(text) VALUES ('w')"); got != 1290 && got != 1792 {
		t.Errorf("a write there: %d, want 1290 or 1792", got)
	}
	ask(t, conn, "COMMIT")
	if got := servers(t, conn, 4); !strings.Contains(got, "2") || !strings.Contains(got, "3") {
		t.Errorf("%s answer after it", got)
	}
	p.view.set("db1")
	if got := servers(t, conn, 2); got != "11" {
		t.Errorf("%s answer without replicas", got)
	}
	p.view.set("", "db2", "db3")
	if got := servers(t, p.dial(t, as("app")), 2); got != "23" && got != "32" {
		t.Errorf("%s answer without a primary", got)
	}
}

// TestSessionIsEverywhere: what a session is, it is at all servers, also those that it
// comes to later.
func TestSessionIsEverywhere(t *testing.T) {
	p := start(t, shared)
	p.view.set("db1", "db2")
	conn := p.dial(t, as("app"))
	for _, text := range []string{"USE lab", "SET @a = 7", "SET sql_mode = 'ANSI_QUOTES'", `PREPARE "x" FROM 'SELECT CONCAT(@@server_id, DATABASE(), @a, @@sql_mode)'`, "SET @a = @a + 1"} {
		ask(t, conn, text)
	}
	p.view.set("db1", "db2", "db3")
	seen := map[string]bool{}
	for range 4 {
		seen[ask(t, conn, "SELECT CONCAT(@@server_id, DATABASE(), @a, @@sql_mode)")] = true
		seen[ask(t, conn, "EXECUTE x")] = true
	}
	if len(seen) != 2 || !seen["2lab8ANSI_QUOTES"] || !seen["3lab8ANSI_QUOTES"] {
		t.Errorf("servers say %v", seen)
	}
	if got := ask(t, conn, `SELECT "name" FROM "person" ORDER BY id`); got != "Alice" {
		t.Errorf("a quoted name is %q", got)
	}
	if got := code(t, conn, "USE nothing"); got != 1044 {
		t.Errorf("USE nothing: %d, want 1044", got)
	}
	if got := ask(t, conn, "SELECT DATABASE()"); got != "lab" {
		t.Errorf("after a USE that was refused: %q", got)
	}
}

func TestTemporaryTables(t *testing.T) {
	p := start(t, shared)
	conn := p.dial(t, as("app"))
	ask(t, conn, "CREATE TEMPORARY TABLE lab.tmp AS SELECT @@server_id AS id")
	if got := ask(t, conn, "SELECT id FROM lab.tmp"); got != "1" {
		t.Errorf("the temporary table is of %s", got)
	}
	if got := ask(t, conn, whoAmI); got == "1" {
		t.Error("a read of nothing temporary goes to the primary")
	}
	ask(t, conn, "DROP TABLE lab.tmp")
	if got := code(t, conn, "SELECT * FROM lab.tmp"); got != 1146 {
		t.Errorf("after the end of it: %d, want 1146", got)
	}
}

// TestReset and change of the user: nothing of the session is left.
func TestResetAndChange(t *testing.T) {
	p := start(t, shared)
	p.view.set("db1", "db2")
	conn := p.dial(t, as("app"))
	ask(t, conn, "USE lab")
	ask(t, conn, "SET @a=1")
	ask(t, conn, "BEGIN")
	if err := conn.Send(0, []byte{byte(wire.ResetConnection)}); err != nil {
		t.Fatal(err)
	}
	if kinds := answer(t, conn, wire.ResetConnection); len(kinds) != 1 {
		t.Errorf("a reset is answered by %v", kinds)
	}
	if got := ask(t, conn, "SELECT COALESCE(@a, @@server_id)"); got != "2" && got != "3" {
		t.Errorf("after a reset: %q", got)
	}
	p.view.set("db1", "db3") // which the session has not been at
	if got := ask(t, conn, "SELECT CONCAT(@@server_id, DATABASE())"); got != "3lab" {
		t.Errorf("after a reset, elsewhere: %q", got)
	}
	ask(t, conn, "SET @a=1")
	if err := conn.ChangeUser(t.Context(), as("other")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got := ask(t, conn, "SELECT CONCAT(CURRENT_USER(), COALESCE(@a, ''))"); got != "other@%" {
			t.Errorf("after a change of the user: %q", got)
		}
	}
	if err := conn.ChangeUser(t.Context(), backendAs("app", "wrong")); err == nil {
		t.Error("the user is changed with a wrong password")
	}
}

func TestRefusals(t *testing.T) {
	p := start(t, shared)
	conn := p.dial(t, as("app"))
	for text, want := range map[string]uint16{"SET @maxscale.x = 1": 1193, "KILL 1": 1227, "KILL QUERY 1": 1227, "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE lab.t": 4166, "SELECT": 1064} {
		if got := code(t, conn, text); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
	if !p.said("lab stand-in: unmeasured ?6") {
		t.Error("KILL is unmeasured, and the log does not say so")
	}
	for _, command := range []wire.Command{wire.ProcessKill, wire.BinlogDump, wire.RegisterSlave, 0x70} {
		if err := conn.Send(0, []byte{byte(command), 1, 0, 0, 0}); err != nil {
			t.Fatal(err)
		}
		got, err := conn.Read()
		var refused *wire.Error
		if err != nil || !errors.As(wire.ParseError(got.Payload), &refused) || refused.Code != 1047 {
			t.Errorf("command %#x: %q, %v", byte(command), got.Payload, err)
		}
	}
	if got := ask(t, conn, "SELECT 5"); got != "5" {
		t.Errorf("then %q", got)
	}
}

// answer reads an answer, and returns what its packets are.
func answer(t *testing.T, conn *backend.Conn, to wire.Command) (kinds []wire.Kind) {
	t.Helper()
	for w := wire.NewWalker(to, conn.Agreed); !w.Done; {
		packet, err := conn.Read()
		if err != nil {
			t.Fatal(err)
		}
		kind, err := w.Next(packet.Payload)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// packets are the packets of an answer as they came.
func packets(t *testing.T, conn *backend.Conn, command []byte) (all []string) {
	t.Helper()
	if err := conn.Send(0, command); err != nil {
		t.Fatal(err)
	}
	for w := wire.NewWalker(wire.Command(command[0]), conn.Agreed); !w.Done; {
		packet, err := conn.Read()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Next(packet.Payload); err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%d %q", packet.Sequence, packet.Payload[:min(len(packet.Payload), 500)])
		if len(packet.Payload) > 500 {
			text += fmt.Sprintf(" and more: %x", sha256.Sum256(packet.Payload))
		}
		all = append(all, text)
	}
	return all
}

// prepareCommand and executeCommand make the commands of binary statements.
func prepareCommand(text string) []byte { return append([]byte{byte(wire.Prepare)}, text...) }

func executeCommand(id uint32, flags byte, rest ...byte) []byte {
	made := append(binary.LittleEndian.AppendUint32([]byte{byte(wire.Execute)}, id), flags, 1, 0, 0, 0)
	return append(made, rest...)
}

// prepare prepares a statement, and returns its number.
func prepare(t *testing.T, conn *backend.Conn, text string) uint32 {
	t.Helper()
	if err := conn.Send(0, prepareCommand(text)); err != nil {
		t.Fatal(err)
	}
	number := uint32(0)
	for w := wire.NewWalker(wire.Prepare, conn.Agreed); !w.Done; {
		packet, err := conn.Read()
		if err != nil {
			t.Fatal(err)
		}
		switch kind, err := w.Next(packet.Payload); {
		case err != nil:
			t.Fatal(err)
		case kind == wire.KindPrepared:
			prepared, err := wire.ParsePrepared(packet.Payload)
			if err != nil {
				t.Fatal(err)
			}
			number = prepared.ID
		case kind == wire.KindError:
			t.Fatal(wire.ParseError(packet.Payload))
		}
	}
	return number
}

// execute runs a statement, and returns the value of its only row: a number of four bytes
// or less, or a text.
func execute(t *testing.T, conn *backend.Conn, command []byte) (value string) {
	t.Helper()
	if err := conn.Send(0, command); err != nil {
		t.Fatal(err)
	}
	var types []wire.Type
	for w := wire.NewWalker(wire.Execute, conn.Agreed); !w.Done; {
		packet, err := conn.Read()
		if err != nil {
			t.Fatal(err)
		}
		switch kind, err := w.Next(packet.Payload); {
		case err != nil:
			t.Fatal(err)
		case kind == wire.KindColumn:
			column, err := wire.ParseColumn(packet.Payload, conn.Agreed)
			if err != nil {
				t.Fatal(err)
			}
			types = append(types, column.Type)
		case kind == wire.KindRow && len(types) == 0: // the client knows the columns
			value = fmt.Sprint(packet.Payload[2])
		case kind == wire.KindRow:
			values, err := wire.BinaryRow(packet.Payload, types)
			if err != nil {
				t.Fatal(err)
			}
			text := packet.Payload[values[0].Start:values[0].End]
			if types[0] < 0x10 {
				value = fmt.Sprint(text[0])
			} else {
				value = string(text)
			}
		case kind == wire.KindError:
			value = wire.ParseError(packet.Payload).Error()
		}
	}
	return value
}

// TestSameAsDirect: what a server says is what the client gets, packet by packet, whatever
// both agree on.
func TestSameAsDirect(t *testing.T) {
	p := start(t, shared)
	texts := []string{"SELECT * FROM lab.person", "SELECT * FROM lab.person WHERE 0", "SELECT 1, 'a', NULL, 1.5, NOW() < 0, _binary 0xff", "CALL lab.three()", "SELECT nothing", "SET @a=1", "DO 1", "SELECT '" + strings.Repeat("x", 300_000) + "'",
		"SELECT 1; SELECT 2; SELECT nothing; SELECT 3", "UPDATE lab.person SET name='Alice' WHERE id=1", "SELECT 1/0", "SHOW WARNINGS", "SELECT " + strings.Repeat("1,", 299) + "1", "SHOW TABLES FROM lab", "EXPLAIN SELECT * FROM lab.person",
		"SELECT REPEAT('y', 17000000)", "USE lab"}
	least := wire.Protocol41 | wire.SecureConnection | wire.PluginAuth | wire.MultiStatements | wire.MultiResults | wire.PSMultiResults
	for name, agreed := range map[string]wire.Capabilities{"MariaDB": (wire.Plain &^ wire.NoSchema), "no DEPRECATE_EOF": wire.Rewriting &^ wire.NoSchema, "MySQL": least | wire.LongPassword, "MySQL 8": least | wire.LongPassword | wire.DeprecateEOF | wire.SessionTrack} {
		t.Run(name, func(t *testing.T) {
			p.view.set("db1") // where the direct connection is
			who := as("app")
			who.Capabilities = agreed
			show, err := shared.CA.Client("maxscale")
			if err != nil {
				t.Fatal(err)
			}
			direct, err := backend.Dial(t.Context(), backend.Server{Address: shared.Members[0].Address, TLS: shared.Trust(&show)}, who)
			if err != nil {
				t.Fatal(err)
			}
			defer direct.Close()
			through := p.dial(t, who)
			if through.Agreed != direct.Agreed {
				t.Errorf("agreed on %#x, directly %#x", uint64(through.Agreed), uint64(direct.Agreed))
			}
			for _, text := range texts {
				command := append([]byte{byte(wire.Query)}, text...)
				same(t, text, packets(t, direct, command), packets(t, through, command))
			}
			for _, command := range []string{"\x0e", "\x1b\x00\x00", "\x1b\x01\x00", "\x02lab", "\x02nothing", "\x04person\x00", "\x1f"} {
				same(t, fmt.Sprintf("%q", command), packets(t, direct, []byte(command)), packets(t, through, []byte(command)))
			}
			for _, text := range []string{"SELECT * FROM lab.person", "SELECT ? + 1, ?", "INSERT INTO lab.t(text) VALUES (?)", "SELECT nothing", "CALL lab.three()", "SELECT * FROM lab.person"} {
				one, other := packets(t, direct, prepareCommand(text)), packets(t, through, prepareCommand(text))
				first, second := number(t, &one[0]), number(t, &other[0])
				same(t, text, one, other)
				if strings.Contains(text, "person") {
					for range 2 { // the second time the client knows the columns
						same(t, "executing "+text, packets(t, direct, executeCommand(first, 0)), packets(t, through, executeCommand(second, 0)))
					}
				}
			}
			same(t, "the one prepared last", packets(t, direct, executeCommand(0xffffffff, 0)), packets(t, through, executeCommand(0xffffffff, 0)))
		})
	}
}

// number takes the number of a statement, which each side chooses for itself, out of the
// first packet of an answer to a prepare.
func number(t *testing.T, packet *string) uint32 {
	t.Helper()
	var sequence int
	var payload string
	if _, err := fmt.Sscanf(*packet, "%d %q", &sequence, &payload); err != nil {
		t.Fatal(err)
	}
	if payload[0] != 0 {
		return 0
	}
	id := binary.LittleEndian.Uint32([]byte(payload[1:]))
	*packet = fmt.Sprintf("%d prepared %q", sequence, payload[5:])
	return id
}

func same(t *testing.T, what string, direct, through []string) {
	t.Helper()
	if len(direct) != len(through) {
		t.Errorf("%.100s: %d packets, directly %d", what, len(through), len(direct))
		return
	}
	for i := range direct {
		if direct[i] != through[i] {
			t.Errorf("%.100s: packet %d is\n%.300s\ndirectly\n%.300s", what, i, through[i], direct[i])
		}
	}
}

// TestPrepared: statements go to replicas in turn, and their numbers are the session's own.
func TestPrepared(t *testing.T) {
	p := start(t, shared)
	p.view.set("db1", "db2")
	conn := p.dial(t, as("app"))
	read := prepare(t, conn, "SELECT @@server_id")
	plus := prepare(t, conn, "SELECT ? + @@server_id * 10")
	write := prepare(t, conn, "INSERT INTO lab.t(text) VALUES (@@server_id)")
	if read != 1 || plus != 2 || write != 3 {
		t.Errorf("statements are called %d, %d, %d", read, plus, write)
	}
	p.view.set("db1", "db2", "db3") // which has not seen them
	var at []string
	for range 4 {
		at = append(at, execute(t, conn, executeCommand(read, 0)))
	}
	if got := strings.Join(at, ""); got != "2323" && got != "3232" {
		t.Errorf("%s run it", got)
	}
	// Types are sent once, and each server is told.
	got := map[string]bool{execute(t, conn, executeCommand(plus, 0, 0, 1, byte(wire.TypeLongLong), 0, 5, 0, 0, 0, 0, 0, 0, 0)): true}
	got[execute(t, conn, executeCommand(plus, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0))] = true
	if !(got["25"] && got["36"]) && !(got["35"] && got["26"]) {
		t.Errorf("%v", got)
	}
	if got := execute(t, conn, executeCommand(write, 0)); got != "" {
		t.Errorf("a write: %s", got)
	}
	ask(t, conn, "BEGIN")
	if got := execute(t, conn, executeCommand(read, 0)); got != "1" {
		t.Errorf("in a transaction %s runs it", got)
	}
	if got := ask(t, conn, "SELECT MAX(text) FROM lab.t WHERE id = (SELECT MAX(id) FROM lab.t)"); got != "1" {
		t.Errorf("the write was at %s", got)
	}
	ask(t, conn, "COMMIT")
	if got, want := execute(t, conn, executeCommand(77, 0)), "1243 (HY000): Unknown prepared statement handler (77) given to MaxScale for COM_STMT_EXECUTE by 'app'@'127.0.0.1'"; got != want {
		t.Errorf("an unknown number: %s", got)
	}
	if err := conn.Send(0, binary.LittleEndian.AppendUint32([]byte{byte(wire.CloseStatement)}, read)); err != nil {
		t.Fatal(err)
	}
	if got := execute(t, conn, executeCommand(read, 0)); !strings.HasPrefix(got, "1243") {
		t.Errorf("after its end: %s", got)
	}
}

// TestLongDataAndCursors: parts of a parameter and the rows of a cursor are at one server.
func TestLongDataAndCursors(t *testing.T) {
	p := start(t, shared)
	conn := p.dial(t, as("app"))
	number := prepare(t, conn, "SELECT CONCAT(@@server_id, ?)")
	for _, part := range []string{"ab", "cd"} {
		command := binary.LittleEndian.AppendUint32([]byte{byte(wire.SendLongData)}, number)
		if err := conn.Send(0, append(command, "\x00\x00"+part...)); err != nil {
			t.Fatal(err)
		}
	}
	if got := execute(t, conn, executeCommand(number, 0, 0, 1, 0xfc, 0)); got != "1abcd" {
		t.Errorf("the parts make %q", got)
	}
	rows := prepare(t, conn, "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
	for range 3 { // in turn
		if err := conn.Send(0, executeCommand(rows, 1)); err != nil {
			t.Fatal(err)
		}
		answer(t, conn, wire.Execute)
		for _, want := range []int{2, 1} {
			command := binary.LittleEndian.AppendUint32([]byte{byte(wire.Fetch)}, rows)
			if err := conn.Send(0, append(command, 2, 0, 0, 0)); err != nil {
				t.Fatal(err)
			}
			if kinds := answer(t, conn, wire.Fetch); len(kinds) != want+1 || kinds[len(kinds)-1] != wire.KindEnd {
				t.Errorf("a fetch gives %v, want %d rows", kinds, want)
			}
		}
		command := binary.LittleEndian.AppendUint32([]byte{byte(wire.ResetStatement)}, rows)
		if err := conn.Send(0, command); err != nil {
			t.Fatal(err)
		}
		if kinds := answer(t, conn, wire.ResetStatement); len(kinds) != 1 || kinds[0] != wire.KindOK {
			t.Errorf("a reset gives %v", kinds)
		}
	}
	if got := ask(t, conn, "SELECT 5"); got != "5" {
		t.Errorf("then %q", got)
	}
}

// TestHistory: a session whose commands are not all known any more comes to no new server.
func TestHistory(t *testing.T) {
	p := start(t, shared, func(o *route.Options) { o.History = 2 })
	p.view.set("db1", "db2")
	conn := p.dial(t, as("app"))
	for _, text := range []string{"SET @a=1", "SET @b=2", "SET @c=3"} {
		ask(t, conn, text)
	}
	p.view.set("db1", "db3")
	if got := servers(t, conn, 3); got != "111" {
		t.Errorf("%s answer", got)
	}
	if !p.said("unmeasured ?7") {
		t.Error("the log does not say that this is unmeasured")
	}
}

// TestManySessions run at once, and each has its own answers.
func TestManySessions(t *testing.T) {
	p := start(t, shared)
	var running sync.WaitGroup
	for i := range 12 {
		conn := p.dial(t, as("app"))
		running.Go(func() {
			ask(t, conn, fmt.Sprintf("SET @me=%d", i))
			for range 20 {
				if got := ask(t, conn, "SELECT @me"); got != fmt.Sprint(i) {
					t.Errorf("session %d is %s", i, got)
				}
			}
		})
	}
	running.Wait()
}

// mask is a filter that refuses one word, and writes over every row.
type mask struct{}

func (mask) Statement(text string, mode sql.Mode) *wire.Error {
	if strings.Contains(text, "forbidden") {
		return wire.NewError(1141, "HY000", "no, in mode %v", mode.ANSIQuotes)
	}
	return nil
}

func (mask) Answer(binary bool) route.Rewriter { return &masked{binary: binary} }

type masked struct {
	binary bool
	names  []string
}

func (m *masked) Columns(int)          { m.names = nil }
func (m *masked) Column(c wire.Column) { m.names = append(m.names, c.OrgName) }
func (m *masked) Row(row []byte, whole bool) error {
	if m.binary || !whole {
		return errors.New("not here")
	}
	values, err := wire.TextRow(row, len(m.names))
	for i, v := range values {
		if m.names[i] == "name" && !v.Null {
			copy(row[v.Start:v.End], strings.Repeat("X", v.End-v.Start))
		}
	}
	return err
}

// TestFilter: a filter sees statements before any server, and rows before the client.
func TestFilter(t *testing.T) {
	p := start(t, shared, func(o *route.Options) {
		o.Filter = &route.Filters{New: func(user, host string) route.Filter {
			if user != "app" || host != "127.0.0.1" {
				return nil
			}
			return mask{}
		}}
	})
	app := as("app")
	app.Capabilities = wire.Rewriting &^ wire.NoSchema
	conn := p.dial(t, app)
	if conn.Greeting.Capabilities != wire.Rewriting {
		t.Errorf("the greeting offers %#x", uint64(conn.Greeting.Capabilities))
	}
	if got := ask(t, conn, "SELECT name, born FROM lab.person ORDER BY id"); got != "XXXXX" {
		t.Errorf("the name is %q", got)
	}
	if got := code(t, conn, "SELECT forbidden"); got != 1141 {
		t.Errorf("a statement that is refused: %d", got)
	}
	if err := conn.Send(0, prepareCommand("SELECT 'forbidden'")); err != nil {
		t.Fatal(err)
	}
	if kinds := answer(t, conn, wire.Prepare); len(kinds) != 1 || kinds[0] != wire.KindError {
		t.Errorf("it is prepared: %v", kinds)
	}
	number := prepare(t, conn, "SELECT 1")
	if err := conn.Send(0, executeCommand(number, 0)); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := conn.Read(); err != nil {
			break // the filter has ended the session
		}
	}
	app = as("other")
	app.Capabilities = wire.Rewriting &^ wire.NoSchema
	clear := p.dial(t, app)
	if got := ask(t, clear, "SELECT name FROM lab.person ORDER BY id"); got != "Alice" {
		t.Errorf("for somebody else the name is %q", got)
	}
	if clear.ChangeUser(t.Context(), as("app")) != nil || ask(t, clear, "SELECT name FROM lab.person ORDER BY id") != "XXXXX" {
		t.Error("a session that becomes another user's has no filter")
	}
	p.SetFilter(nil)
	if got := ask(t, clear, "SELECT name FROM lab.person ORDER BY id"); got != "Alice" {
		t.Errorf("with the filter gone the name is %q", got)
	}
	if conn := p.dial(t, as("app")); conn.Greeting.Capabilities != wire.Plain {
		t.Errorf("with the filter gone the greeting offers %#x", uint64(conn.Greeting.Capabilities))
	}
}

// TestCausalReads stops a replica, and reads what was written.
func TestCausalReads(t *testing.T) {
	for name, c := range map[string]struct {
		reads       route.CausalReads
		own, others string
	}{"none": {route.CausalNone, "0", "0"}, "local": {route.CausalLocal, "1", "0"}, "global": {route.CausalGlobal, "1", "1"}} {
		t.Run(name, func(t *testing.T) {
			p := start(t, shared, func(o *route.Options) { o.CausalReads, o.CausalTimeout = c.reads, 300*time.Millisecond })
			p.view.set("db1", "db2")
			for _, m := range shared.Members[1:2] {
				if err := m.Caught(shared.Members[0]); err != nil {
					t.Fatal(err)
				}
				if err := m.Exec("STOP SLAVE SQL_THREAD"); err != nil {
					t.Fatal(err)
				}
				defer m.Exec("START SLAVE")
			}
			who := as("app")
			who.Capabilities &^= wire.SessionTrack
			conn, other := p.dial(t, who), p.dial(t, as("app"))
			ask(t, other, "SELECT 1")
			said := packets(t, conn, []byte("\x03INSERT INTO lab.t(text) VALUES ('causal "+name+"')"))
			if text := strings.Join(said, ""); strings.Contains(text, "gtid") {
				t.Errorf("a client that tracks nothing is told %s", text)
			}
			if result, err := conn.Query(t.Context(), "INSERT INTO lab.t(text) VALUES ('a'), ('b')"); err != nil || result.OK.Info != "Records: 2  Duplicates: 0  Warnings: 0" {
				t.Errorf("%+v: %v", result, err) // with what is tracked taken out
			}
			count := "SELECT COUNT(*) FROM lab.t WHERE text = 'causal " + name + "'"
			if got := ask(t, conn, count); got != c.own {
				t.Errorf("the session reads %s rows, want %s", got, c.own)
			}
			if got := ask(t, other, count); got != c.others {
				t.Errorf("another session reads %s rows, want %s", got, c.others)
			}
		})
	}
}
