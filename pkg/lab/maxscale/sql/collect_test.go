package sql

import (
	"fmt"
	"strings"
	"testing"
)

// reported says what is known of the fields called ssn and *.
func reported(c Collection) string {
	if !c.Parsed {
		return "not parsed"
	}
	var out []string
	for _, f := range c.Fields {
		if f.Name != "ssn" && f.Name != "*" {
			continue
		}
		text := []string{"plain", "subquery", "union", "defined"}[f.Place]
		if f.Function != "" {
			text += " " + f.Function
		}
		if f.Argument {
			text += " argument"
		}
		if f.Blind {
			text += " blind"
		}
		out = append(out, text+f.Unsure)
	}
	return strings.Join(out, ", ")
}

func TestCollect(t *testing.T) {
	ansi, pipes := Mode{ANSIQuotes: true}, Mode{PipesAsConcat: true}
	for _, c := range []struct {
		mode       Mode
		text, want string
	}{
		{Mode{}, "SELECT ssn FROM person", "plain"},
		{Mode{}, "SELECT ssn AS x, name ssn FROM person WHERE id=?", "plain"},
		{Mode{}, "SELECT CONCAT(ssn) FROM person", "plain CONCAT"},
		{Mode{}, "SELECT concat('a', UPPER(ssn)) FROM person", "plain UPPER"},
		{Mode{}, "SELECT CONCAT((ssn)) FROM person", "plain CONCAT"},
		{Mode{}, "SELECT f(ssn) FROM person", "plain f"},
		{Mode{}, "SELECT CONCAT('ssn', \"ssn\") FROM person", "plain CONCAT argument, plain CONCAT argument"},
		{ansi, "SELECT CONCAT(\"ssn\") FROM person", ""},
		{ansi, "SELECT CONCAT('ssn') FROM person", "plain CONCAT argument"},
		{ansi, "SELECT \"ssn\" FROM person", "plain"},
		{Mode{}, "SELECT 'ssn' FROM person", ""},
		{Mode{}, "SELECT 'a' UNION SELECT ssn FROM person", "union"},
		{Mode{}, "SELECT ssn FROM person UNION ALL SELECT 'a'", "plain"},
		{Mode{}, "(SELECT 'a') UNION (SELECT ssn FROM person)", "union"},
		{Mode{}, "SELECT 'a' EXCEPT SELECT ssn FROM person", "union?19"},
		{Mode{}, "SELECT x FROM (SELECT ssn AS x FROM person) t", "subquery"},
		{Mode{}, "SELECT (SELECT ssn FROM person LIMIT 1)", "subquery"},
		{Mode{}, "SELECT 1 FROM t WHERE a IN (SELECT ssn FROM person)", "subquery"},
		{Mode{}, "SELECT x FROM (SELECT * FROM person) t", "subquery?19"},
		{Mode{}, "WITH x AS (SELECT ssn FROM person) SELECT ssn FROM x", "subquery, plain"},
		{Mode{}, "SET @a=(SELECT ssn FROM person LIMIT 1)", "defined"},
		{Mode{}, "SELECT ssn INTO @v FROM person", "defined"},
		{Mode{}, "SELECT @v := ssn FROM person", "plain?19"},
		{Mode{}, "UPDATE person SET name=ssn", "plain ="},
		{Mode{}, "UPDATE person SET a=1, name=ssn WHERE id=1", "plain ="},
		{Mode{}, "UPDATE person SET ssn='x'", "plain?18"},
		{Mode{}, "SELECT BINARY ssn FROM person", "plain blind"},
		{Mode{}, "SELECT ssn COLLATE latin1_bin FROM person", "plain blind"},
		{Mode{}, "SELECT CONCAT(BINARY ssn) FROM person", "plain CONCAT blind"},
		{pipes, "SELECT ssn||'' FROM person", "plain"},
		{Mode{}, "SELECT ssn||'' FROM person", "plain?19"},
		{Mode{}, "SELECT -ssn, ~ssn, - ssn FROM person", "plain blind, plain blind, plain blind"},
		{Mode{}, "SELECT 1-ssn FROM person", "plain -"},
		{Mode{}, "SELECT ssn+1, ssn FROM person", "plain +, plain"},
		{Mode{}, "SELECT (ssn)*2 FROM person", "plain *"},
		{Mode{}, "SELECT CASE ssn WHEN 'a' THEN 1 END FROM person", "plain CASE"},
		{Mode{}, "SELECT CASE WHEN ssn LIKE 'a' AND b=1 THEN 1 ELSE ssn END FROM person", "plain LIKE, plain CASE"},
		{Mode{}, "SELECT IF(ssn, 1, 2), MIN(ssn) FROM person", "plain IF, plain MIN"},
		{Mode{}, "SELECT name FROM person WHERE a = 1 AND ssn LIKE '7%'", "plain LIKE"},
		{Mode{}, "SELECT name FROM person WHERE ssn IN ('a', 'b') OR ssn BETWEEN 'a' AND 'b'", "plain IN, plain BETWEEN"},
		{Mode{}, "SELECT name FROM person WHERE 'a' IN (ssn)", "plain in"},
		{Mode{}, "SELECT name FROM person WHERE ssn = 'x'", "plain?18"},
		{Mode{}, "SELECT name FROM person WHERE 'x' < ssn", "plain?18"},
		{Mode{}, "SELECT name FROM person WHERE (ssn, a) = (1, 2)", "plain?19"},
		{Mode{}, "SELECT name FROM person WHERE NOT ssn", "plain?19"},
		{Mode{}, "SELECT name FROM person WHERE ssn IS NULL", "plain?19"},
		{Mode{}, "SELECT name FROM person WHERE ssn REGEXP '7'", "plain?19"},
		{Mode{}, "SELECT name FROM person WHERE ssn", "plain?19"},
		{Mode{}, "SELECT name, ssn FROM person HAVING ssn LIKE '721%'", "plain"},
		{Mode{}, "SELECT ssn FROM person WHERE id=1 HAVING ssn LIKE '7%'", "plain"},
		{Mode{}, "SELECT name FROM person ORDER BY ssn", ""},
		{Mode{}, "SELECT name FROM person ORDER BY CONCAT(ssn) LIMIT 1", ""},
		{Mode{}, "SELECT 1 FROM person GROUP BY ssn HAVING ssn LIKE '7%'", ""},
		{Mode{}, "SELECT (SELECT name FROM person ORDER BY ssn LIMIT 1)", "subquery?19"},
		{Mode{}, "SELECT name FROM person NATURAL JOIN (SELECT '721-07-4426' ssn) z", ""},
		{Mode{}, "SELECT name FROM person JOIN (SELECT '721-07-4426' AS ssn) z USING (ssn)", ""},
		{Mode{}, "SELECT name FROM person a JOIN person b ON ssn = 1", "plain?19"},
		{Mode{}, "SELECT ROW_NUMBER() OVER (ORDER BY ssn) FROM person", "plain?19"},
		{Mode{}, "SELECT CAST(ssn AS CHAR) FROM person", "plain CAST?19"},
		{Mode{}, "SELECT CONVERT(ssn USING utf8mb4) FROM person", "plain CONVERT?19"},
		{Mode{}, "SELECT CONCAT(`ssn`), CONCAT(p.ssn) FROM person p", "plain CONCAT?19, plain CONCAT?19"},
		{Mode{}, "SELECT p.ssn, `ssn` FROM person p", "plain, plain"},
		{Mode{}, "SELECT * FROM person", ""},
		{Mode{}, "INSERT INTO c2 SELECT ssn FROM person", "plain"},
		{Mode{}, "INSERT INTO person (ssn) VALUES ('x')", "plain?19"},
		{Mode{}, "CREATE OR REPLACE VIEW v AS SELECT ssn AS innocent FROM person", "plain"},
		{Mode{}, "CREATE TABLE x (ssn INT)", "plain?19"},
		{Mode{}, "EXPLAIN SELECT CONCAT(ssn) FROM person", "plain?19"},
		{Mode{}, "SET STATEMENT x=1 FOR SELECT CONCAT(ssn) FROM person", "plain?19"},
		{Mode{}, "DELETE FROM person WHERE ssn LIKE '7%'", "plain LIKE"},
		{Mode{}, "EXECUTE IMMEDIATE 'SELECT 1'", "not parsed"},
		{Mode{}, "HANDLER person OPEN", "not parsed"},
		{Mode{}, "TABLE person", "not parsed"},
		{Mode{}, "SELECT ssn FROM person PROCEDURE ANALYSE()", "not parsed"},
		{Mode{}, "SELECT /*! ssn */ FROM person", "not parsed"},
		{Mode{}, "SELECT 'ssn", "not parsed"},
		{Mode{}, "SHOW TABLES", ""},
	} {
		words := NewWords()
		all := words.Read(c.text, c.mode)
		if len(all) != 1 {
			t.Fatalf("%s: %d statements", c.text, len(all))
		}
		if got := reported(words.Collect(all[0], c.mode)); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
}

// FuzzCollect: nothing makes it fail, and what is reported does not depend on white space,
// comments, and the letters of keywords.
func FuzzCollect(f *testing.F) {
	for _, text := range []string{"SELECT a, CONCAT(b) FROM t WHERE c LIKE 'd' UNION SELECT (e)+1", "WITH x AS (SELECT a) SELECT CASE b WHEN -c THEN d END", "UPDATE a SET b=(c), d=e COLLATE f", ")", "CASE END", "SELECT ,, ((", "COLLATE", "SELECT a.b.c.d.*", "SELECT CASE (SELECT END) UNION"} {
		f.Add(text, uint8(0))
	}
	words := NewWords()
	f.Fuzz(func(t *testing.T, text string, bits uint8) {
		mode := Mode{ANSIQuotes: bits&1 != 0, PipesAsConcat: bits&2 != 0, NoBackslashEscapes: bits&4 != 0}
		var other strings.Builder
		for _, token := range Tokens(text, mode) {
			if token.Kind == Word && words.Reserved(token.Text) {
				token.Text = strings.ToUpper(token.Text)
			}
			if token.Kind == Space || token.Kind == Comment {
				token.Text = "\n/* x */ "
			}
			other.WriteString(token.Text)
		}
		if strings.Contains(text, "--") {
			return // which white space behind them makes a comment
		}
		if a, b := all(words, text, mode), all(words, other.String(), mode); !strings.EqualFold(a, b) {
			t.Errorf("%q:\n%s\n%q:\n%s", text, a, other.String(), b)
		}
	})
}

func all(words *Words, text string, mode Mode) string {
	var out strings.Builder
	for _, s := range words.Read(text, mode) {
		fmt.Fprintf(&out, "%+v\n", words.Collect(s, mode))
	}
	return out.String()
}
