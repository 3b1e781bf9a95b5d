package masking

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
	"github.com/confidb/confidb/pkg/mariadb/mariadbtest"
)

// set is a real server: what it says of a column decides what is masked.
var set *mariadbtest.Set

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if set, err = mariadbtest.StartSet(1, "CREATE DATABASE lab",
			"CREATE TABLE lab.person (id INT PRIMARY KEY, name VARCHAR(40), ssn CHAR(11) CHARACTER SET latin1, card VARCHAR(30), born DATE)",
			"INSERT INTO lab.person VALUES (1, 'Alice', '721-07-4426', 'no 123412341234', '1970-01-02'), (2, 'Bob', '435-22-3267', 'none', '1980-01-02')",
			"CREATE USER ro IDENTIFIED BY 'pw'", "CREATE USER dpo IDENTIFIED BY 'pw'", "GRANT ALL ON lab.* TO ro", "GRANT SELECT ON lab.* TO dpo"); err != nil {
			fmt.Println(err)
			return 1
		}
		defer set.Stop()
		return m.Run()
	}())
}

// client is a session through the filter.
type client struct {
	*backend.Conn
	t       *testing.T
	session *Session
	mode    sql.Mode
	words   *sql.Words
}

func dial(t *testing.T, f *Filter, user string) *client {
	t.Helper()
	certificate, err := set.CA.Client("maxscale")
	if err != nil {
		t.Fatal(err)
	}
	hash := wire.HashPassword("pw")
	conn, err := backend.Dial(t.Context(), backend.Server{Name: "db1", Address: set.Members[0].Address, TLS: set.Trust(&certificate)},
		backend.Identity{User: user, Password: &hash, Database: "lab", Charset: 8, MaxPacket: 1 << 24, Capabilities: wire.Rewriting})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn, t, f.Session(user, "127.0.0.1"), sql.Mode{}, sql.NewWords()}
}

// answer is how a statement ended: the values of its first row, or an error.
func (c *client) answer(command wire.Command, payload []byte) (values []string, prepared wire.Prepared, err error) {
	c.t.Helper()
	if err := c.Send(0, append([]byte{byte(command)}, payload...)); err != nil {
		c.t.Fatal(err)
	}
	binary := command == wire.Execute
	w, a := wire.NewWalker(command, c.Agreed), c.session.Answer(binary)
	var types []wire.Type
	for !w.Done {
		p, readErr := c.Read()
		if readErr != nil {
			c.t.Fatal(readErr)
		}
		kind, walkErr := w.Next(p.Payload)
		if walkErr != nil {
			c.t.Fatal(walkErr)
		}
		switch kind {
		case wire.KindError:
			err = wire.ParseError(p.Payload)
		case wire.KindPrepared:
			prepared, err = wire.ParsePrepared(p.Payload)
		case wire.KindColumns:
			types = nil
			if a != nil {
				a.Columns(w.Columns)
			}
		case wire.KindColumn:
			column, parseErr := wire.ParseColumn(p.Payload, c.Agreed)
			if parseErr != nil {
				c.t.Fatal(parseErr)
			}
			if types = append(types, column.Type); a != nil && command != wire.Prepare {
				a.Column(column)
			}
		case wire.KindRow:
			if a != nil {
				if rowErr := a.Row(p.Payload, !p.Continues()); rowErr != nil {
					c.t.Fatal(rowErr)
				}
			}
			found, rowErr := wire.TextRow(p.Payload, len(types))
			if binary {
				found, rowErr = wire.BinaryRow(p.Payload, types)
			}
			if rowErr != nil {
				c.t.Fatal(rowErr)
			}
			for _, v := range found {
				values = append(values, string(p.Payload[v.Start:v.End]))
			}
		}
	}
	return values, prepared, err
}

// query sends a statement through the filter, in text.
func (c *client) query(text string) ([]string, error) {
	c.t.Helper()
	if refused := c.session.Statement(text, c.mode); refused != nil {
		return nil, refused
	}
	for _, one := range c.words.Read(text, c.mode) {
		for _, set := range one.Sets {
			if value, ok := set.Literal(c.mode); ok && set.Name == "sql_mode" {
				c.mode = sql.ParseMode(value)
			}
		}
	}
	values, _, err := c.answer(wire.Query, []byte(text))
	return values, err
}

// prepared prepares a statement and executes it; its parameters are 1. It says whether the
// server can prepare it.
func (c *client) prepared(text string) (values []string, can bool, err error) {
	c.t.Helper()
	if refused := c.session.Statement(text, c.mode); refused != nil {
		return nil, true, refused
	}
	_, made, err := c.answer(wire.Prepare, []byte(text))
	if err != nil {
		return nil, false, err
	}
	payload := append(binary.LittleEndian.AppendUint32(nil, made.ID), 0, 1, 0, 0, 0)
	if made.Parameters > 0 {
		const long, size = 8, 8
		payload = append(payload, 0, 1, long, 0)
		payload = append(payload, 1)
		payload = append(payload, make([]byte, size-1)...)
	}
	values, _, err = c.answer(wire.Execute, payload)
	return values, true, err
}

// The texts of refusals, for the account ro.
const (
	textFunction = "The function %s is used in conjunction with a field that should be masked for 'ro'@'127.0.0.1', access is denied."
	textUsed     = "The field ssn that should be masked for 'ro'@'127.0.0.1' is used %s, access is denied."
	textVariable = "A statement prepared from a variable is rejected (masking filter)."
	textParsed   = "The statement could not be fully parsed and will hence be rejected (masking filter)."
	masked       = "XXX-XX-XXXX"
	clear        = "721-07-4426"
)

func function(name string) string { return fmt.Sprintf(textFunction, name) }
func used(where string) string    { return fmt.Sprintf(textUsed, where) }

// probe is a way to read a masked column, and what comes of it.
type probe struct {
	name   string
	before []string
	text   string
	want   string // a value of the first row, or the text of the refusal
	by     string // the switch that refuses
	only   bool   // in text only: it cannot be prepared, or not at once
	quiet  bool   // the server's own answer is not looked at: it refuses the statement
}

// probes are those whose outcome was seen at a real MaxScale, by the numbers of the table
// of 22, and the further ones.
func probes() []probe {
	return []probe{
		{name: "1", text: "SELECT ssn FROM person", want: masked},
		{name: "2", text: "SELECT ssn AS x FROM person", want: masked},
		{name: "3", text: "SELECT ssn FROM person WHERE id=1", want: masked},
		{name: "4", before: []string{"PREPARE s FROM 'SELECT ssn AS x FROM person'"}, text: "EXECUTE s", want: masked, only: true},
		{name: "5", text: "SELECT CONCAT(ssn) FROM person", want: function("CONCAT"), by: "function"},
		{name: "6", text: "SELECT 'a' UNION SELECT ssn FROM person", want: used("in the second or subsequent SELECT of a UNION"), by: "union"},
		{name: "7", text: "SELECT x FROM (SELECT ssn AS x FROM person) t", want: used("in a subquery"), by: "subquery"},
		{name: "8", text: "SET @a=(SELECT ssn FROM person LIMIT 1)", want: used("when defining a variable"), by: "variable"},
		{name: "9", before: []string{"SET @q='SELECT CONCAT(name) FROM person'"}, text: "PREPARE s FROM @q", want: textVariable, by: "variable", only: true},
		{name: "10", text: "EXECUTE IMMEDIATE 'SELECT ssn FROM person'", want: textParsed, by: "parsed"},
		{name: "11 HANDLER", text: "HANDLER person OPEN", want: textParsed, by: "parsed"},
		{name: "11 TABLE", text: "TABLE person", want: textParsed, by: "parsed", quiet: true},
		{name: "11 ANALYSE", text: "SELECT ssn FROM person PROCEDURE ANALYSE()", want: textParsed, by: "parsed"},
		{name: "12", text: "UPDATE person SET name=ssn", want: function("="), by: "function"},
		{name: "13", text: "SELECT BINARY ssn FROM person", want: clear},
		{name: "14", text: "SELECT ssn COLLATE latin1_bin FROM person", want: clear},
		{name: "14 general", text: "SELECT ssn COLLATE latin1_general_ci FROM person", want: clear},
		{name: "15", before: []string{"SET sql_mode='ANSI_QUOTES'"}, text: `SELECT CONCAT("ssn") FROM person`, want: clear},
		{name: "15 ANSI", before: []string{"SET sql_mode='ANSI'"}, text: `SELECT CONCAT("ssn") FROM person`, want: clear},
		{name: "16", before: []string{"SET sql_mode='PIPES_AS_CONCAT'"}, text: "SELECT ssn||'' FROM person", want: clear},
		{name: "16 ORACLE", before: []string{"SET sql_mode='ORACLE'"}, text: "SELECT ssn||'' FROM person", want: clear},
		{name: "17", before: []string{"CREATE OR REPLACE VIEW vv AS SELECT ssn AS innocent FROM person"}, text: "SELECT innocent FROM vv", want: clear},
		{name: "18", before: []string{"CREATE TEMPORARY TABLE cheat AS SELECT ssn AS r FROM person"}, text: "SELECT r FROM cheat", want: clear},
		{name: "19", before: []string{"CREATE OR REPLACE TABLE c2(r TEXT)", "INSERT INTO c2 SELECT ssn FROM person"}, text: "SELECT r FROM c2", want: clear},
		{name: "20", text: "SELECT born FROM person", want: "1970-01-02", only: true},
		{name: "21", text: "SELECT name, ssn FROM person HAVING ssn LIKE '721%'", want: "Alice"},
		{name: "21 masked", text: "SELECT name, ssn FROM person HAVING ssn LIKE '721%'", want: masked},
		{name: "22", text: "SELECT name FROM person ORDER BY ssn", want: "Bob"},
		{name: "minus", text: "SELECT -ssn FROM person", want: "-721", only: true},
		{name: "not", text: "SELECT ~ssn FROM person WHERE id=1", want: fmt.Sprint(^uint64(721)), only: true},
		{name: "natural join", text: "SELECT name FROM person NATURAL JOIN (SELECT '721-07-4426' ssn) z", want: "Alice"},
		{name: "using", text: "SELECT name FROM person JOIN (SELECT '721-07-4426' ssn) z USING (ssn)", want: "Alice"},
		{name: "group by", text: "SELECT MAX(name) FROM person GROUP BY ssn HAVING ssn LIKE '721%'", want: "Alice"},
		{name: "case", text: "SELECT CASE ssn WHEN '1' THEN 1 END FROM person", want: function("CASE"), by: "function"},
		{name: "if", text: "SELECT IF(ssn, 1, 2) FROM person", want: function("IF"), by: "function"},
		{name: "plus", text: "SELECT ssn+0 FROM person", want: function("+"), by: "function"},
		{name: "min", text: "SELECT MIN(ssn) FROM person", want: function("MIN"), by: "function"},
		{name: "like", text: "SELECT name FROM person WHERE ssn LIKE '721%'", want: function("LIKE"), by: "function"},
		{name: "in", text: "SELECT name FROM person WHERE ssn IN ('721-07-4426')", want: function("IN"), by: "function"},
		{name: "between", text: "SELECT name FROM person WHERE ssn BETWEEN '7' AND '8'", want: function("BETWEEN"), by: "function"},
		{name: "with", text: "WITH x AS (SELECT ssn AS y FROM person) SELECT y FROM x", want: used("in a subquery"), by: "subquery"},
		{name: "scalar", text: "SELECT (SELECT ssn FROM person WHERE id=1)", want: used("in a subquery"), by: "subquery"},
		{name: "into", text: "SELECT ssn INTO @v FROM person WHERE id=1", want: used("when defining a variable"), by: "variable"},
		{name: "executable", text: "SELECT /*! ssn */ FROM person", want: textParsed, by: "parsed"},
		{name: "string", text: "SELECT CONCAT('ssn') FROM person", want: function("CONCAT"), by: "string"},
		{name: "double quotes", text: `SELECT CONCAT("ssn") FROM person`, want: function("CONCAT"), by: "string"},
		{name: "match", text: "SELECT card FROM person WHERE id=1", want: "no ************"},
		{name: "no match", text: "SELECT card FROM person WHERE id=2", want: "none"},
	}
}

// holds says what is wrong with what came of a probe.
func (p probe) holds(values []string, err error) string {
	var refused *wire.Error
	if errors.As(err, &refused) && refused.Code == 1141 && refused.Message == p.want && refused.State == "HY000" {
		return ""
	}
	if err != nil || p.by != "" || !slices.Contains(values, p.want) {
		return fmt.Sprintf("got %s, %v, want %s", values, err, p.want)
	}
	return ""
}

func (c *client) begin(p probe) {
	c.t.Helper()
	for _, text := range p.before {
		if _, err := c.query(text); err != nil {
			c.t.Fatalf("%s: %v", text, err)
		}
	}
}

// TestProbes: each probe masks, is refused or leaks as at a real MaxScale, in text and,
// where it can be prepared, in binary rows; and nothing in it is unmeasured.
func TestProbes(t *testing.T) {
	for _, p := range probes() {
		t.Run(p.name, func(t *testing.T) {
			var said []string
			c := dial(t, filter(t, sample, &said), "ro")
			c.begin(p)
			values, err := c.query(p.text)
			if wrong := p.holds(values, err); wrong != "" {
				t.Errorf("%s: %s", p.text, wrong)
			}
			if !p.only {
				values, can, err := c.prepared(p.text)
				if wrong := p.holds(values, err); wrong != "" && can {
					t.Errorf("%s, prepared: %s", p.text, wrong)
				}
				if !can {
					t.Errorf("%s cannot be prepared: %v", p.text, err)
				}
			}
			if all := strings.Join(said, "\n"); strings.Contains(all, "unmeasured") || (p.name == "20") != strings.Contains(all, "cannot be masked") || (p.name == "no match") != strings.Contains(all, "no match") {
				t.Errorf("said: %s", all)
			}
		})
	}
}

// TestParameter is probe 3 as it is in the table.
func TestParameter(t *testing.T) {
	var said []string
	values, can, err := dial(t, filter(t, sample, &said), "ro").prepared("SELECT ssn FROM person WHERE id=?")
	if err != nil || !can || !slices.Equal(values, []string{masked}) || said != nil {
		t.Errorf("got %s, %v, %v, %s", values, can, err, said)
	}
}

// switches are those of a filter, by the names in the table.
func switches(f *Filter) map[string]*bool {
	return map[string]*bool{"function": &f.PreventFunctionUsage, "parsed": &f.RequireFullyParsed, "string": &f.TreatStringArgAsField, "variable": &f.CheckUserVariables, "union": &f.CheckUnions, "subquery": &f.CheckSubqueries}
}

// TestEachSwitchAlone: with one switch off, exactly its probes are not refused. A statement
// that is prepared from a variable is refused with all of three only, as which of them
// refuses it was not measured; a string as an argument needs two.
func TestEachSwitchAlone(t *testing.T) {
	for off := range switches(&Filter{}) {
		var said []string
		f := filter(t, sample, &said)
		*switches(f)[off] = false
		s := f.Session("ro", "127.0.0.1")
		for _, p := range probes() {
			if p.by == "" {
				continue
			}
			want := p.by != off
			if p.name == "9" && (off == "function" || off == "parsed") || p.by == "string" && off == "function" {
				want = false
			}
			if got := s.Statement(p.text, sql.Mode{}) != nil; got != want {
				t.Errorf("%s off: %s (%s): refused is %v, want %v", off, p.name, p.text, got, want)
			}
		}
	}
}

// TestExempted: whom no rule meets sees what the server says, and is not checked.
func TestExempted(t *testing.T) {
	var said []string
	c := dial(t, filter(t, sample, &said), "dpo") // meets the rules for other columns
	for _, p := range []string{"SELECT ssn FROM person", "SELECT ssn AS x FROM person", "SELECT CONCAT(ssn) FROM person", "SELECT x FROM (SELECT ssn AS x FROM person) t"} {
		if values, err := c.query(p); err != nil || !slices.Contains(values, clear) {
			t.Errorf("%s: %s, %v", p, values, err)
		}
	}
	var none []string
	all := dial(t, filter(t, `{"rules":[{"replace":{"column":"ssn"},"with":{"fill":"X"},"exempted":["dpo"]}]}`, &none), "dpo")
	for _, p := range probes() {
		if p.by == "parsed" || p.before != nil || p.by == "" || strings.HasPrefix(p.text, "UPDATE") {
			continue
		}
		if refused := all.session.Statement(p.text, sql.Mode{}); refused != nil {
			t.Errorf("%s: %v", p.text, refused)
		}
	}
	if values, err := all.query("SELECT ssn FROM person"); err != nil || !slices.Contains(values, clear) || none != nil {
		t.Errorf("got %s, %v, %s", values, err, none)
	}
	for range 2 {
		if refused := all.session.Statement("HANDLER person OPEN", sql.Mode{}); refused != nil || len(none) != 1 || !strings.Contains(none[0], "unmeasured ?16") {
			t.Errorf("got %v, %s", refused, none)
		}
	}
}

// TestUnmeasured: what nobody has measured is let through, and said once a session, without
// the statement.
func TestUnmeasured(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT name FROM person WHERE ssn = '721-07-4426'": "?18: a masked field in SELECT",
		"UPDATE person SET ssn = 'x'":                       "?18: a masked field in UPDATE",
		"SELECT CAST(ssn AS CHAR) FROM person":              "?19: a masked field in SELECT",
		"SELECT CONCAT(SSN) FROM person":                    "?15: a field whose name is a rule's in other letters",
		"SELECT CONCAT(BINARY ssn) FROM person":             "?19: a masked field under a sign that hides it, in SELECT",
		"SELECT x FROM (SELECT * FROM person) t":            "?19: * where columns are checked",
		"INSERT INTO c2 SELECT CONCAT(ssn) FROM person":     "?23: what is checked in INSERT",
		"SELECT 1; SELECT CONCAT(ssn) FROM person":          "?17: a later statement of several would be refused alone",
		"PREPARE s FROM 'PREPARE t FROM ''SELECT 1'''":      "?19: PREPARE of what cannot be prepared",
		"EXPLAIN SELECT ssn FROM person":                    "?19: a masked field in EXPLAIN",
		"UPDATE person SET name=(SELECT ssn)":               "?23: a subquery in UPDATE",
		"SELECT `a`, b, * FROM person WHERE c = 1":          "",
		"SELECT name FROM person WHERE id=1":                "",
		"INSERT INTO person (id) VALUES (3)":                "",
		"SHOW TABLES":                                       "",
		"GRANT SELECT ON a.* TO b":                          "?19: whether a statement of type OTHER is fully parsed",
		"VALUES (1)":                                        "?19: whether a statement of type VALUES is fully parsed",
	} {
		var said []string
		s := filter(t, sample, &said).Session("ro", "127.0.0.1")
		for range 2 {
			if refused := s.Statement(text, sql.Mode{}); refused != nil {
				t.Errorf("%s: %v", text, refused)
			}
		}
		if got := strings.TrimPrefix(strings.Join(said, "\n"), "warning: lab stand-in: unmeasured "); got != want {
			t.Errorf("%s: said %q, want %q", text, got, want)
		}
	}
}

// TestComposed: a SELECT that is put together of parts whose verdicts are known is refused
// exactly if one of them is, whatever the white space, comments and letters.
func TestComposed(t *testing.T) {
	items := map[string]bool{"ssn": false, "ssn AS x": false, "-ssn": false, "BINARY ssn": false, "ssn COLLATE latin1_bin": false, "name": false, "COUNT(*)": false, "'ssn'": false,
		"CONCAT(ssn)": true, "ssn+1": true, "CASE ssn WHEN 1 THEN 2 END": true, "IF(ssn, 1, 2)": true, "(SELECT ssn FROM person)": true, "UPPER('ssn')": true}
	ends := map[string]bool{"": false, "WHERE id=1": false, "WHERE id=1 AND ssn LIKE '7%'": true, "WHERE ssn IN ('a')": true, "HAVING ssn LIKE '7%'": false, "ORDER BY ssn": false,
		"GROUP BY ssn HAVING MIN(ssn) LIKE '7%'": false, "UNION SELECT name FROM person": false, "UNION SELECT ssn FROM person": true, "LIMIT 1": false}
	tables := map[string]bool{"person": false, "person NATURAL JOIN (SELECT 'x' ssn) z": false, "person JOIN (SELECT ssn x FROM person) z": true}
	var said []string
	s := filter(t, sample, &said).Session("ro", "h")
	for a, refusedA := range items {
		for b, refusedB := range items {
			for end, refusedEnd := range ends {
				for table, refusedTable := range tables {
					text := "SELECT " + a + ", " + b + " FROM " + table + " " + end
					want := refusedA || refusedB || refusedEnd || refusedTable
					for _, other := range []string{text, strings.ReplaceAll(text, " ", "\n/* CONCAT( */ "), strings.ReplaceAll(strings.ReplaceAll(text, "SELECT", "select"), "LIKE", "like")} {
						if got := s.Statement(other, sql.Mode{}) != nil; got != want {
							t.Fatalf("%s: refused is %v, want %v", other, got, want)
						}
					}
				}
			}
		}
	}
	if said != nil {
		t.Errorf("said: %s", said)
	}
}

// FuzzStatement: nothing makes the check fail, and an account without a rule is never
// refused.
func FuzzStatement(f *testing.F) {
	for _, p := range probes() {
		f.Add(p.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var said []string
		filter := filter(t, sample, &said)
		if refused := filter.Session("ro", "h").Statement(text, sql.Mode{}); refused != nil && refused.Code != 1141 {
			t.Error(refused)
		}
		filter.Rules = &Rules{}
		if refused := filter.Session("ro", "h").Statement(text, sql.Mode{}); refused != nil {
			t.Error(refused)
		}
	})
}
