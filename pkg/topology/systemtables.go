package topology

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// SystemTables are the tables of the database mysql that say who may do what and what is
// loaded. Our session of a database makes them anew at each start, as the SQL for the
// system tables does it.
func SystemTables() []string {
	return []string{"columns_priv", "db", "event", "func", "global_priv", "plugin", "proc", "procs_priv", "proxies_priv", "roles_mapping", "servers", "tables_priv"}
}

// TableVariables are the definitions of SystemTables in SQL, each without its name and on
// one line, as variables of a template: TABLE_DB is (Host char(255), ...) engine=Aria.
func TableVariables(sql string) map[string]string {
	found := map[string]string{}
	form := regexp.MustCompile(`(?ims)^[ \t]*CREATE TABLE IF NOT EXISTS ([a-z_]+)[ \t\r\n]+(\(.*?);[ \t\r]*$`)
	for _, m := range form.FindAllStringSubmatch(sql, -1) {
		if name := strings.ToLower(m[1]); slices.Contains(SystemTables(), name) {
			found["TABLE_"+strings.ToUpper(name)] = regexp.MustCompile(`\s*[\t\r\n]\s*`).ReplaceAllString(m[2], " ")
		}
	}
	return found
}

// checkTables says which of SystemTables the SQL does not make.
func checkTables(sql string) error {
	found := TableVariables(sql)
	for _, name := range SystemTables() {
		if found["TABLE_"+strings.ToUpper(name)] == "" {
			return fmt.Errorf("the SQL for the system tables does not make mysql.%s by a CREATE TABLE IF NOT EXISTS on a line of its own", name)
		}
	}
	return nil
}

// Condensed is the SQL that makes a database, without the lines that MariaDB's reader of such
// files skips wherever they stand, in the middle of a text too (measured with 10.11): those
// that are empty, that begin with #, or with -- behind white space. MariaDB's own has as many
// of them as of others, and CAS takes no session of more than 1 MiB.
func Condensed(sql string) string {
	var kept strings.Builder
	for line := range strings.Lines(sql) {
		rest := strings.TrimLeft(line, " \t\r\n")
		if rest == "" || strings.HasPrefix(rest, "--") || strings.HasPrefix(line, "#") {
			continue
		}
		kept.WriteString(line)
	}
	return kept.String()
}
