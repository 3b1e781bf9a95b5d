package route_test

import (
	"testing"

	"github.com/confidb/confidb/pkg/lab/maxscale/route"
	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
)

// TestDecide is the table of where statements go without a transaction.
func TestDecide(t *testing.T) {
	words := sql.NewWords()
	in := route.Situation{Temporary: map[string]bool{"tmp": true}, Prepared: map[string]route.Where{"r": route.Replica, "w": route.Primary}}
	for text, want := range map[string]route.Where{
		"SELECT 1": route.Replica, "select * from t": route.Replica, "(SELECT 1)": route.Replica, "SELECT @@server_id": route.Replica, "SELECT @x": route.Replica,
		"SELECT id FROM t WHERE a IN (SELECT b FROM u)": route.Replica, "WITH c AS (SELECT 1) SELECT * FROM c": route.Replica, "SELECT COUNT(*), MAX(id) FROM t": route.Replica,
		"SHOW DATABASES": route.Replica, "SHOW VARIABLES LIKE 'a%'": route.Replica, "EXPLAIN SELECT 1": route.Replica, "DESCRIBE t": route.Replica,
		"SET STATEMENT max_statement_time=1 FOR SELECT 1": route.Replica, "EXECUTE r": route.Replica, "EXECUTE R": route.Replica,

		"INSERT INTO t VALUES (1)": route.Primary, "UPDATE t SET a=1": route.Primary, "DELETE FROM t": route.Primary, "REPLACE t VALUES (1)": route.Primary,
		"CREATE TABLE t (id INT)": route.Primary, "DROP TABLE t": route.Primary, "ALTER TABLE t ADD x INT": route.Primary, "TRUNCATE t": route.Primary,
		"CALL p()": route.Primary, "DO SLEEP(0)": route.Primary, "LOCK TABLES t WRITE": route.Primary, "LOAD DATA INFILE 'x' INTO TABLE t": route.Primary,
		"SELECT 1; SELECT 2": route.Primary, "": route.Primary, "/* nothing */": route.Primary, "FROBNICATE": route.Primary, "SELECT own_function(1)": route.Primary,
		"SELECT * FROM t FOR UPDATE": route.Primary, "SELECT * FROM t LOCK IN SHARE MODE": route.Primary, "SELECT 1 INTO @x": route.Primary, "SELECT @x := 1": route.Primary,
		"SELECT GET_LOCK('a', 1)": route.Primary, "SELECT LAST_INSERT_ID()": route.Primary, "SELECT @@identity": route.Primary, "SELECT @@last_insert_id": route.Primary,
		"SELECT NEXTVAL(s)": route.Primary, "SELECT NEXT VALUE FOR s": route.Primary, "SELECT * FROM tmp": route.Primary, "SELECT * FROM t JOIN TMP": route.Primary,
		"SELECT /*!50000 1 */": route.Primary, "SHOW MASTER STATUS": route.Primary, "EXECUTE w": route.Primary, "EXECUTE unknown": route.Primary, "EXECUTE IMMEDIATE 'SELECT 1'": route.Primary,
		"BEGIN": route.Primary, "START TRANSACTION": route.Primary, "COMMIT": route.Primary, "ROLLBACK": route.Primary, "ANALYZE UPDATE t SET a=1": route.Primary, "ANALYZE SELECT 1": route.Primary,
		"SELECT 'it": route.Primary, "SELECT 1 FROM t PROCEDURE ANALYSE()": route.Primary,

		"SET @x = 1": route.Every, "SET autocommit=0": route.Every, "SET NAMES utf8mb4": route.Every, "USE lab": route.Every, "PREPARE r FROM 'SELECT 1'": route.Every,
		"DEALLOCATE PREPARE r": route.Every, "SET TRANSACTION READ ONLY": route.Every, "SET sql_mode='ANSI'": route.Every,

		"SELECT FOUND_ROWS()": route.Last, "START TRANSACTION READ ONLY": route.Pinned, "KILL 3": route.Refused, "KILL QUERY 3": route.Refused, "SET @maxscale.x = 1": route.Refused,
	} {
		if got := route.Decide(words.Read(text, sql.Mode{}), in); got != want {
			t.Errorf("%q goes to %d, want %d", text, got, want)
		}
	}
}

// TestDecideInTransaction: whatever reads goes where the transaction is.
func TestDecideInTransaction(t *testing.T) {
	words := sql.NewWords()
	for _, c := range []struct {
		text     string
		readOnly bool
		want     route.Where
	}{
		{"SELECT 1", false, route.Primary}, {"SHOW DATABASES", false, route.Primary}, {"COMMIT", false, route.Primary}, {"SET @x=1", false, route.Every}, {"START TRANSACTION READ ONLY", false, route.Primary},
		{"SELECT FOUND_ROWS()", false, route.Last}, {"KILL 1", false, route.Refused},
		{"SELECT 1", true, route.Pinned}, {"INSERT INTO t VALUES (1)", true, route.Pinned}, {"COMMIT", true, route.Pinned}, {"SELECT 1; SELECT 2", true, route.Pinned}, {"SET @x=1", true, route.Every},
	} {
		in := route.Situation{Transaction: true, ReadOnly: c.readOnly}
		if got := route.Decide(words.Read(c.text, sql.Mode{}), in); got != c.want {
			t.Errorf("%q goes to %d, want %d (read only: %v)", c.text, got, c.want, c.readOnly)
		}
	}
}
