package masking

import "strings"

// Promise is what the filter does about a way to read a masked column, as seen of MaxScale
// 24.02 with all its switches on.
type Promise int

// What the filter does.
const (
	// Masks: the value comes masked.
	Masks Promise = iota
	// Refuses: the statement is refused, with an error of the filter's own.
	Refuses
	// Leaks: the value comes in clear, or can be found by asking.
	Leaks
)

// Probe is one way to read the masked column of the canary.
type Probe struct {
	// Name says it in plain words.
	Name string
	// Before are statements that the session begins with.
	Before []string
	Text   string
	// Parameters are given where it is prepared; then it is not asked in text.
	Parameters []string
	Promise    Promise
	// Tell is in the answer exactly if the way leads there. First means that it is the first
	// value, and Alone that there is one row.
	Tell         string
	First, Alone bool
	// TextOnly means that it cannot be prepared, or that a digit more or less would be Go's.
	TextOnly bool
}

// filledIn puts the names of the canary in, and its value.
func filledIn(table, text string) string {
	return strings.NewReplacer("<table>", CanaryDatabase+"."+table, "<column>", CanaryColumn, "<name>", CanaryName, "<date>", CanaryDate, "<value>", CanaryClear).Replace(text)
}

// The rows of the canary are these, in the order of their numbers. That of the second is the
// smaller value.
const (
	CanaryFirst       = "alice"
	CanarySecond      = "bob"
	CanarySecondClear = "435-22-3267"
)

// Probes are the ways that were measured, as an account that may only read, to the canary or
// to a view of it.
func Probes(table string) []Probe {
	all := []Probe{
		{Name: "the column itself", Text: "SELECT <column> FROM <table>", Promise: Masks},
		{Name: "the column under another name", Text: "SELECT <column> AS x FROM <table>", Promise: Masks},
		{Name: "a prepared statement with a parameter", Text: "SELECT <column> FROM <table> WHERE confidb_id = ?", Parameters: []string{"1"}, Promise: Masks},
		{Name: "PREPARE and EXECUTE", Before: []string{"PREPARE s FROM 'SELECT <column> AS x FROM <table>'"}, Text: "EXECUTE s", Promise: Masks, TextOnly: true},
		{Name: "a function of it", Text: "SELECT CONCAT(<column>) FROM <table>", Promise: Refuses},
		{Name: "a UNION", Text: "SELECT 'a' UNION SELECT <column> FROM <table>", Promise: Refuses},
		{Name: "a subquery", Text: "SELECT x FROM (SELECT <column> AS x FROM <table>) t", Promise: Refuses},
		{Name: "a common table expression", Text: "WITH x AS (SELECT <column> AS y FROM <table>) SELECT y FROM x", Promise: Refuses},
		{Name: "a scalar subquery", Text: "SELECT (SELECT <column> FROM <table> WHERE confidb_id = 1)", Promise: Refuses},
		{Name: "a user variable", Text: "SET @a = (SELECT <column> FROM <table> LIMIT 1)", Promise: Refuses},
		{Name: "INTO a user variable", Text: "SELECT <column> INTO @v FROM <table> WHERE confidb_id = 1", Promise: Refuses},
		{Name: "PREPARE from a variable", Before: []string{"SET @q = 'SELECT CONCAT(<name>) FROM <table>'"}, Text: "PREPARE s FROM @q", Promise: Refuses, TextOnly: true},
		{Name: "EXECUTE IMMEDIATE", Text: "EXECUTE IMMEDIATE 'SELECT <column> FROM <table>'", Promise: Refuses},
		{Name: "HANDLER", Text: "HANDLER <table> OPEN", Promise: Refuses},
		{Name: "PROCEDURE ANALYSE", Text: "SELECT <column> FROM <table> PROCEDURE ANALYSE()", Promise: Refuses},
		{Name: "UPDATE of another column with it", Text: "UPDATE <table> SET <name> = <column>", Promise: Refuses},
		{Name: "CASE", Text: "SELECT CASE <column> WHEN '1' THEN 1 END FROM <table>", Promise: Refuses},
		{Name: "IF", Text: "SELECT IF(<column>, 1, 2) FROM <table>", Promise: Refuses},
		{Name: "+", Text: "SELECT <column>+0 FROM <table>", Promise: Refuses},
		{Name: "MIN", Text: "SELECT MIN(<column>) FROM <table>", Promise: Refuses},
		{Name: "WHERE ... LIKE", Text: "SELECT <name> FROM <table> WHERE <column> LIKE '721%'", Promise: Refuses, Tell: CanaryFirst, Alone: true},
		{Name: "WHERE ... IN", Text: "SELECT <name> FROM <table> WHERE <column> IN ('<value>')", Promise: Refuses, Tell: CanaryFirst, Alone: true},
		{Name: "WHERE ... BETWEEN", Text: "SELECT <name> FROM <table> WHERE <column> BETWEEN '7' AND '8'", Promise: Refuses, Tell: CanaryFirst, Alone: true},
		{Name: "a comment that is carried out", Text: "SELECT /*! <column> */ FROM <table>", Promise: Refuses},
		{Name: "a text that is taken for the column", Text: "SELECT CONCAT('<column>') FROM <table>", Promise: Refuses},
		{Name: "SELECT BINARY of the column", Text: "SELECT BINARY <column> FROM <table>", Promise: Leaks},
		{Name: "COLLATE after the column", Text: "SELECT <column> COLLATE latin1_bin FROM <table>", Promise: Leaks},
		{Name: "another COLLATE after it", Text: "SELECT <column> COLLATE latin1_general_ci FROM <table>", Promise: Leaks},
		{Name: "double quotes with sql_mode ANSI_QUOTES", Before: []string{"SET sql_mode = 'ANSI_QUOTES'"}, Text: `SELECT CONCAT("<column>") FROM <table>`, Promise: Leaks},
		{Name: "double quotes with sql_mode ANSI", Before: []string{"SET sql_mode = 'ANSI'"}, Text: `SELECT CONCAT("<column>") FROM <table>`, Promise: Leaks},
		{Name: "|| with sql_mode PIPES_AS_CONCAT", Before: []string{"SET sql_mode = 'PIPES_AS_CONCAT'"}, Text: "SELECT <column>||'' FROM <table>", Promise: Leaks},
		{Name: "|| with sql_mode ORACLE", Before: []string{"SET sql_mode = 'ORACLE'"}, Text: "SELECT <column>||'' FROM <table>", Promise: Leaks},
		{Name: "a date, or another type that is never masked", Text: "SELECT <date> FROM <table>", Promise: Leaks, Tell: CanaryBorn},
		{Name: "a guess with HAVING ... LIKE", Text: "SELECT <name>, <column> FROM <table> HAVING <column> LIKE '721%'", Promise: Leaks, Tell: CanaryFirst, Alone: true},
		{Name: "the order of ORDER BY", Text: "SELECT <name> FROM <table> ORDER BY <column>", Promise: Leaks, Tell: CanarySecond, First: true},
		{Name: "a minus before the column, which gives its first digits", Text: "SELECT -<column> FROM <table>", Promise: Leaks, Tell: "-721", TextOnly: true},
		{Name: "~ before the column, which gives its first digits", Text: "SELECT ~<column> FROM <table> WHERE confidb_id = 1", Promise: Leaks, Tell: "18446744073709550894", TextOnly: true},
		{Name: "a guess with NATURAL JOIN", Text: "SELECT <name> FROM <table> NATURAL JOIN (SELECT '<value>' <column>) z", Promise: Leaks, Tell: CanaryFirst, Alone: true},
		{Name: "a guess with JOIN ... USING", Text: "SELECT <name> FROM <table> JOIN (SELECT '<value>' <column>) z USING (<column>)", Promise: Leaks, Tell: CanaryFirst, Alone: true},
		{Name: "a guess with GROUP BY ... HAVING", Text: "SELECT MAX(<name>) FROM <table> GROUP BY <column> HAVING <column> LIKE '721%'", Promise: Leaks, Tell: CanaryFirst, Alone: true},
	}
	for i := range all {
		p := &all[i]
		p.Text = filledIn(table, p.Text)
		for j := range p.Before {
			p.Before[j] = filledIn(table, p.Before[j])
		}
		if p.Tell == "" {
			p.Tell = CanaryClear
		}
	}
	return all
}

// Unasked are further ways that were measured. They need rights to make something, which the
// account of the canary does not have.
func Unasked() []string {
	return []string{"a view (with CREATE VIEW)", "a temporary table (with CREATE TEMPORARY TABLES)", "a copy of the table (with CREATE and INSERT)"}
}

// Told reports whether values of an answer, row by row, show that the way leads there.
func (p Probe) Told(rows [][]string) bool {
	if p.Alone && len(rows) != 1 {
		return false
	}
	for i, row := range rows {
		for j, value := range row {
			if value == p.Tell && (!p.First || i+j == 0) {
				return true
			}
		}
	}
	return false
}
