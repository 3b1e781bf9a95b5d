package sql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTokens(t *testing.T) {
	ansi, plain, none := Mode{ANSIQuotes: true}, Mode{}, Mode{NoBackslashEscapes: true}
	for _, c := range []struct {
		mode Mode
		text string
		want string // kinds and values, without white space
	}{
		{plain, "SELECT a, `b``c` FROM t.1x", "w:SELECT w:a o:, n:b`c w:FROM w:t o:. w:1x"},
		{plain, "t.1", "w:t o:. w:1"},
		{plain, "`t`.1", "n:t o:. w:1"},
		{plain, "1.5 .5 1. 1e3 1.e-3 0x4F 0b1 1a 1e 1e+", "#:1.5 #:.5 #:1. #:1e3 #:1.e-3 #:0x4F #:0b1 w:1a w:1e w:1e o:+"},
		{plain, `'a''b' 'a\'b' "a""b" N'x' x'41' b'1'`, `s:a'b s:a'b s:a"b s:x s:41 s:1`},
		{none, `'a\' b`, `s:a\ w:b`},
		{ansi, `"ssn" 'x' "a\" b`, `n:ssn s:x n:a\ w:b`},
		{plain, "@a @`b c` @'d' @@x @@global.y @@`z` @a:=1 @", "v:a v:b c v:d y:x y:global.y y:z v:a o::= #:1 v:"},
		{plain, "'u'@'h'", "s:u v:h"},
		{plain, "a--b", "w:a o:- o:- w:b"},
		{plain, "a -- b\nc # d\ne /* f */ g -- ", "w:a w:c w:e w:g"},
		{plain, "/*!50000 a '*/' /* x */ b */ c /*M! d */", "x:/*!50000 a '*/' /* x */ b */ w:c x:/*M! d */"},
		{plain, "a<=>b<=c!=d<>e||f&&g>>1", "w:a o:<=> w:b o:<= w:c o:!= w:d o:<> w:e o:|| w:f o:&& w:g o:>> #:1"},
		{plain, "?;", "?:? o:;"},
		{plain, "'abc", "!:'abc"},
		{plain, "/* abc", "!:/* abc"},
		{plain, "/*! abc", "!:/*! abc"},
		{plain, `'\`, `!:'\`},
		{plain, "größe", "w:größe"},
	} {
		var got []string
		for _, token := range Tokens(c.text, c.mode) {
			if token.Kind != Space && token.Kind != Comment {
				got = append(got, string("  xwns#?vyo!"[token.Kind])+":"+token.Value(c.mode))
			}
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
}

func TestParseMode(t *testing.T) {
	for value, want := range map[string]Mode{
		"":                          {},
		"STRICT_TRANS_TABLES":       {},
		"ansi_quotes":               {ANSIQuotes: true},
		"PIPES_AS_CONCAT, X":        {PipesAsConcat: true},
		"ANSI":                      {ANSIQuotes: true, PipesAsConcat: true},
		"ORACLE":                    {ANSIQuotes: true, PipesAsConcat: true, Oracle: true},
		"x,NO_BACKSLASH_ESCAPES":    {NoBackslashEscapes: true},
		"NO_BACKSLASH_ESCAPES,ANSI": {NoBackslashEscapes: true, ANSIQuotes: true, PipesAsConcat: true},
	} {
		if got := ParseMode(value); got != want {
			t.Errorf("%s: got %+v, want %+v", value, got, want)
		}
	}
}

// said is all that was read of a text, in short.
func said(all []Statement) string {
	var out []string
	for _, s := range all {
		line := string(s.Type)
		for _, f := range []struct {
			name string
			set  bool
		}{{"executable", s.Executable}, {"broken", s.Broken}, {"sequence", s.Sequence}, {"locks", s.Locks}, {"into", s.Into}, {"assigns", s.Assigns}, {"temporary", s.Temporary}, {"readonly", s.ReadOnly}, {"variable", s.FromVariable}} {
			if f.set {
				line += " " + f.name
			}
		}
		for _, table := range s.Tables {
			line += " " + strings.TrimPrefix(table.Database+"."+table.Name, ".")
		}
		for _, f := range []struct {
			name string
			all  []string
		}{{"calls", s.Functions}, {"foreign", s.Foreign}, {"system", s.System}} {
			if len(f.all) > 0 {
				line += fmt.Sprintf(" %s%v", f.name, f.all)
			}
		}
		for _, f := range [][2]string{{"show", s.Show}, {"db", s.Database}, {"name", s.Prepared}, {"from", s.From}} {
			if f[1] != "" {
				line += fmt.Sprintf(" %s<%s>", f[0], f[1])
			}
		}
		for _, a := range s.Sets {
			value, ok := a.Literal(Mode{})
			line += fmt.Sprintf(" %s:%s=%s/%v", a.Scope, a.Name, value, ok)
		}
		out = append(out, line)
	}
	return strings.Join(out, "; ")
}

func TestStatements(t *testing.T) {
	words := NewWords()
	for text, want := range map[string]string{
		"":                            "",
		" ; -- x":                     "",
		"select 1;":                   "SELECT",
		"(SELECT 1) UNION (SELECT 2)": "SELECT",
		"SELECT a FROM b.c, d AS x JOIN (e, f.g) ON x.a = e.a, h WHERE i IN (SELECT j FROM k)": "SELECT b.c d e f.g h k",
		"SELECT a FROM (SELECT b FROM c) t, u":                                                 "SELECT c u",
		"SELECT TRIM(BOTH 'x' FROM y), EXTRACT(YEAR FROM z) FROM t":                            "SELECT t calls[trim extract]",
		"SELECT f(1), COUNT(*), db.g(2), `h`(3) FROM t":                                        "SELECT t calls[f count db.g h] foreign[f db.g h]",
		"SELECT 1 FROM t WHERE a IN (1) AND b = ANY (SELECT 1)":                                "SELECT t",
		"SELECT 1 FROM t FOR UPDATE":                                                           "SELECT locks t",
		"SELECT 1 FROM t LOCK IN SHARE MODE":                                                   "SELECT locks t",
		"SELECT a INTO @x FROM t":                                                              "SELECT into t",
		"SELECT a INTO OUTFILE '/x' FROM t":                                                    "SELECT into t",
		"SELECT @a := 1, @@identity, @@global.Server_Id":                                       "SELECT assigns system[identity server_id]",
		"SELECT NEXT VALUE FOR s":                                                              "SELECT sequence",
		"SELECT NEXTVAL(s)":                                                                    "SELECT sequence calls[nextval]",
		"SELECT GET_LOCK('x', 1)":                                                              "SELECT calls[get_lock]",
		"SELECT /*! 1 */":                                                                      "SELECT executable",
		"/*! SELECT 1 */":                                                                      "OTHER executable",
		"SELECT 'x":                                                                            "SELECT broken",
		"SELECT 1; SELECT 2":                                                                   "SELECT; SELECT",
		"WITH x (a, b) AS (SELECT 1, 2 FROM t) SELECT * FROM x":                                "SELECT t x",
		"WITH x AS (SELECT 1) DELETE FROM t":                                                   "DELETE t",
		"VALUES (1), (2)":                                                                      "VALUES",
		"TABLE person":                                                                         "TABLE person",
		"INSERT INTO a.b (x) VALUES (f(1)) ON DUPLICATE KEY UPDATE x = 2":                      "INSERT a.b calls[f] foreign[f]",
		"INSERT IGNORE t SELECT * FROM u":                                                      "INSERT t u",
		"REPLACE LOW_PRIORITY INTO t VALUES (1)":                                               "REPLACE t",
		"UPDATE a, b.c SET a.x = 1 WHERE y = (SELECT 1 FROM d)":                                "UPDATE a b.c d",
		"DELETE FROM t WHERE a = 1":                                                            "DELETE t",
		"DELETE a FROM a JOIN b":                                                               "DELETE a b",
		"LOAD DATA LOCAL INFILE 'x' INTO TABLE t":                                              "LOAD t",
		"CALL db.p(1)":                                                                         "CALL db.p",
		"DO SLEEP(1)":                                                                          "DO calls[sleep]",
		"CREATE TEMPORARY TABLE IF NOT EXISTS x.y AS SELECT a FROM t":                          "DEFINE temporary x.y t",
		"CREATE TABLE a (b INT) ENGINE=InnoDB":                                                 "DEFINE a",
		"CREATE TABLE a LIKE b.c":                                                              "DEFINE a b.c",
		"CREATE OR REPLACE VIEW v AS SELECT ssn AS x FROM person":                              "DEFINE v person",
		"CREATE INDEX i ON t (a)":                                                              "DEFINE t",
		"DROP TABLE a, b.c":                                                                    "DEFINE a b.c",
		"TRUNCATE t":                                                                           "DEFINE t",
		"TRUNCATE TABLE t":                                                                     "DEFINE t",
		"ALTER TABLE a.b ADD c INT, ADD d INT":                                                 "DEFINE a.b",
		"BEGIN":                                                                                "BEGIN",
		"BEGIN NOT ATOMIC SELECT 1; END":                                                       "OTHER; OTHER",
		"START TRANSACTION READ ONLY":                                                          "BEGIN readonly",
		"START TRANSACTION":                                                                    "BEGIN",
		"COMMIT WORK":                                                                          "COMMIT",
		"ROLLBACK TO a":                                                                        "SAVEPOINT",
		"ROLLBACK":                                                                             "ROLLBACK",
		"SAVEPOINT a":                                                                          "SAVEPOINT",
		"SET autocommit=0, @@session.sql_mode='ANSI', GLOBAL x = ON":                           "SET system[sql_mode] :autocommit=0/true SESSION:sql_mode=ANSI/true GLOBAL:x=ON/true",
		"SET @A = (SELECT 1, 2 FROM t), b = CONCAT(@@sql_mode, ',ANSI')":                       "SET t calls[concat] system[sql_mode] :@a=/false :b=/false",
		"SET @maxscale.x = 1":                                                                  "SET :@maxscale.x=1/true",
		"SET NAMES utf8mb4":                                                                    "SET",
		"SET SESSION TRANSACTION READ ONLY":                                                    "SET TRANSACTION readonly",
		"SET STATEMENT max_statement_time=5, x='a' FOR SELECT f(1) FROM t":                     "SELECT t calls[f] foreign[f] STATEMENT:max_statement_time=5/true STATEMENT:x=a/true",
		"USE `a b`":                           "USE db<a b>",
		"SHOW DATABASES":                      "SHOW show<DATABASES>",
		"SHOW FULL TABLES IN x LIKE 'a'":      "SHOW show<TABLES> db<x>",
		"SHOW TABLE STATUS FROM x":            "SHOW show<TABLE STATUS> db<x>",
		"SHOW MASTER STATUS":                  "SHOW show<MASTER STATUS>",
		"SHOW COLUMNS FROM t FROM x":          "SHOW t show<COLUMNS> db<x>",
		"SHOW COLUMNS FROM x.t":               "SHOW x.t show<COLUMNS> db<x>",
		"SHOW CREATE TABLE a.b":               "SHOW a.b show<CREATE TABLE>",
		"SHOW GLOBAL VARIABLES LIKE 'from'":   "SHOW show<VARIABLES>",
		"EXPLAIN SELECT a FROM t":             "EXPLAIN t",
		"EXPLAIN FORMAT=JSON SELECT a FROM t": "EXPLAIN t",
		"DESC t":                              "EXPLAIN t",
		"ANALYZE SELECT 1":                    "EXPLAIN",
		"ANALYZE TABLE t":                     "OTHER t",
		"PREPARE s FROM 'SELECT ''a'''":       "PREPARE name<s> from<SELECT 'a'>",
		"PREPARE s FROM @q":                   "PREPARE variable name<s>",
		"PREPARE s FROM CONCAT('a', 'b')":     "PREPARE variable calls[concat] name<s>",
		"EXECUTE s USING @a":                  "EXECUTE name<s>",
		"EXECUTE IMMEDIATE 'SELECT 1'":        "EXECUTE IMMEDIATE",
		"DEALLOCATE PREPARE s":                "DEALLOCATE name<s>",
		"DROP PREPARE s":                      "DEALLOCATE name<s>",
		"LOCK TABLES a READ, b.c AS d WRITE":  "LOCK TABLES a b.c",
		"UNLOCK TABLES":                       "UNLOCK TABLES",
		"HANDLER person OPEN":                 "HANDLER person",
		"KILL QUERY 5":                        "KILL",
		"GRANT ALL ON *.* TO 'u'@'h'":         "OTHER",
		"1":                                   "OTHER",
		"(1)":                                 "OTHER",
	} {
		if diff := cmp.Diff(want, said(words.Read(text, Mode{}))); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
}

// TestNames: reserved words are those that a 10.11 refuses as a column.
func TestNames(t *testing.T) {
	words := NewWords()
	for word, want := range map[string]bool{"select": true, "NULL": true, "Current_User": true, "name": false, "ssn": false, "begin": false} {
		if words.Reserved(word) != want {
			t.Errorf("%s: reserved is %v, want %v", word, !want, want)
		}
	}
	for name, want := range map[string]bool{"concat": true, "IF": true, "st_astext": true, "ssn": false, "f": false} {
		if words.Function(name) != want {
			t.Errorf("%s: function is %v, want %v", name, !want, want)
		}
	}
}

func FuzzTokens(f *testing.F) {
	for _, text := range []string{"SELECT `a`, \"b\" FROM t.1 WHERE x = 'y''\\'' -- z", "/*! a */ @@global.`x` @'a' 1e+ .5", "'", "/*!/*", "a.\\N", "SET STATEMENT a=(1 FOR SELECT", "WITH x(", "((((", "SHOW IN"} {
		f.Add(text, uint8(0))
	}
	words := NewWords()
	f.Fuzz(func(t *testing.T, text string, bits uint8) {
		mode := Mode{ANSIQuotes: bits&1 != 0, PipesAsConcat: bits&2 != 0, NoBackslashEscapes: bits&4 != 0}
		var all strings.Builder
		for _, token := range Tokens(text, mode) {
			if token.Text == "" {
				t.Errorf("an empty token after %q", all.String())
			}
			all.WriteString(token.Text)
			token.Value(mode)
		}
		if all.String() != text {
			t.Errorf("got %q, want %q", all.String(), text)
		}
		words.Read(text, mode)
	})
}
