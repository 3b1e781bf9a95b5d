package promise

import (
	"strings"
	"testing"
)

// TestViewsAndDroppedTables: a view of an account of the session's, and one table that goes,
// change no account; of anything that could the reader says that it does not understand it.
func TestViewsAndDroppedTables(t *testing.T) {
	const made = "DELETE FROM mysql.global_priv;\nDELETE FROM mysql.db;\nDELETE FROM mysql.tables_priv;\nDELETE FROM mysql.columns_priv;\nDELETE FROM mysql.procs_priv;\nDELETE FROM mysql.proxies_priv;\nDELETE FROM mysql.roles_mapping;\nFLUSH PRIVILEGES;\n" +
		"CREATE USER 'own'@'localhost' IDENTIFIED VIA mysql_native_password USING 'invalid' ACCOUNT LOCK;\n"
	for statement, clear := range map[string]bool{
		"CREATE OR REPLACE DEFINER='own'@'localhost' SQL SECURITY DEFINER VIEW a.v AS SELECT b FROM a.t":        true,
		"CREATE OR REPLACE DEFINER='other'@'localhost' SQL SECURITY DEFINER VIEW a.v AS SELECT b FROM a.t":      false,
		"CREATE OR REPLACE DEFINER='own'@'localhost' SQL SECURITY DEFINER VIEW mysql.user AS SELECT b FROM a.t": false,
		"CREATE OR REPLACE DEFINER='own'@'localhost' TRIGGER a.v BEFORE INSERT ON a.t FOR EACH ROW SET @x = 1":  false,
		"DROP TABLE IF EXISTS a.t":                    true,
		"DROP TABLE IF EXISTS mysql.global_priv":      false,
		"DROP TABLE IF EXISTS a.t, mysql.global_priv": false,
	} {
		p := Read([]string{"mariadbd", "--defaults-file=/my.cnf", "--init-file=/a.sql"}, map[string]string{"/a.sql": made + statement + ";\n", "/my.cnf": "[mariadbd]\n"})
		if said := strings.Join(p.Unclear, "; "); strings.Contains(said, "of the account statements") == clear {
			t.Errorf("%s: got %q", statement, said)
		}
	}
}
