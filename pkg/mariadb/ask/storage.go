package ask

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// A server that never encrypted has no row at all in INNODB_TABLESPACES_ENCRYPTION: it
	// is the tablespaces that are looked up there. innodb_temporary never has a row;
	// innodb_encrypt_temporary_tables is for it.
	spacesFrom    = `information_schema.INNODB_SYS_TABLESPACES WHERE BINARY NAME <> 'innodb_temporary'`
	encryptedFrom = `information_schema.INNODB_TABLESPACES_ENCRYPTION`
	// The engine of a table is in its definition; asking for more opens each of them.
	tablesFrom = `information_schema.TABLES WHERE TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW')`
	page       = 100 // tables that are asked for in one statement
	// unknownEngine stands for one that the server cannot name, as of a table that is broken.
	unknownEngine = "unknown"
)

// askSpaces asks InnoDB of each tablespace whether it is encrypted. One that is dropped
// between the two lists looks as if it were not, and is not there the next time.
func askSpaces(ctx context.Context, server Querier) Answer[Spaces] {
	var found Spaces
	for try := range tries {
		next, err := askSpacesOnce(ctx, server)
		if err != nil {
			return Answer[Spaces]{Err: err}
		}
		if try > 0 {
			next.Clear = slices.DeleteFunc(next.Clear, func(name string) bool { return !slices.Contains(found.Clear, name) })
		}
		if found = next; len(found.Clear) == 0 {
			break
		}
	}
	return Answer[Spaces]{Value: found}
}

func askSpacesOnce(ctx context.Context, server Querier) (Spaces, error) {
	all, err := list(ctx, server, "SPACE, NAME", spacesFrom)
	if err == nil {
		err = atLeastOne(all, 2)
	}
	if err != nil {
		return Spaces{}, err
	}
	encryption, err := server.Query(ctx, "SELECT SPACE, ENCRYPTION_SCHEME = 1 AND MIN_KEY_VERSION > 0, ROTATING_OR_FLUSHING <> 0 FROM "+encryptedFrom)
	if err != nil {
		return Spaces{}, err
	}
	if len(encryption.Columns) != 3 {
		return Spaces{}, errors.New("the list of encrypted tablespaces does not have three columns")
	}
	type state struct{ encrypted, moving bool }
	states := make(map[string]state, len(encryption.Values))
	for _, r := range encryption.Values {
		states[r[0].Text] = state{r[1].Text == "1", r[2].Text != "0"}
	}
	found := Spaces{Total: len(all.Values)}
	for _, r := range all.Values {
		switch s := states[r[0].Text]; {
		case !s.encrypted:
			found.Clear = append(found.Clear, r[1].Text)
		case s.moving:
			found.Moving = append(found.Moving, r[1].Text)
		}
	}
	return found, nil
}

// askTables asks for the engine of each table. That of InnoDB is asked of InnoDB itself,
// as it was for every tablespace.
func askTables(ctx context.Context, server Querier) Answer[Tables] {
	rows, err := list(ctx, server, "TABLE_SCHEMA, TABLE_NAME, COALESCE(ENGINE, '"+unknownEngine+"')", tablesFrom)
	if err == nil {
		err = atLeastOne(rows, 3)
	}
	if err != nil {
		return Answer[Tables]{Err: err}
	}
	found := Tables{Total: len(rows.Values)}
	var again []table
	for _, r := range rows.Values {
		one := table{r[0].Text, r[1].Text, r[2].Text}
		switch {
		case one.engine == "Aria" || one.engine == unknownEngine:
			again = append(again, one)
			continue
		case isLog(one.schema, one.name) && one.engine == "CSV":
			if one.engine, err = logEngine(ctx, server, one.name); err != nil {
				return Answer[Tables]{Err: err}
			}
		}
		found.add(one)
	}
	for some := range slices.Chunk(again, page) {
		if err := found.askFormats(ctx, server, some); err != nil {
			return Answer[Tables]{Err: err}
		}
	}
	return Answer[Tables]{Value: found}
}

type table struct{ schema, name, engine string } // one without an engine was dropped meanwhile

// add sorts a table. Whether Aria has encrypted one, no statement says; those in the
// databases of the server's own are made by the session, which says that they are.
func (t *Tables) add(one table) {
	schema, name, engine, own := one.schema, one.name, one.engine, one.schema == "mysql" || one.schema == "sys"
	switch {
	case engine == "":
	case engine == "InnoDB" || engine == "Aria Page" && own:
	case engine == "PERFORMANCE_SCHEMA" && schema == "performance_schema": // it has no rows of tables
	case engine == "MEMORY": // its rows are on no disk
	case isLog(schema, name) && engine == emptyLog: // by MariaDB's making; log-01 is for what they hold
	case engine == "Aria Page":
		t.Doubtful = append(t.Doubtful, schema+"."+name)
	default:
		t.Outside = append(t.Outside, schema+"."+name+" (engine "+engine+")")
	}
}

const emptyLog = "CSV without rows" // what logEngine calls it

// isLog reports whether a table is one of MariaDB's own logs.
func isLog(schema, name string) bool {
	return schema == "mysql" && (name == "general_log" || name == "slow_log")
}

// logEngine is the engine of a log. Rows in it are in clear, whoever wrote them: another
// table may have been renamed to it.
func logEngine(ctx context.Context, server Querier, name string) (string, error) {
	rows, err := count(ctx, server, "mysql."+name)
	if err != nil || rows == 0 {
		return emptyLog, err
	}
	return fmt.Sprintf("CSV, with %d rows", rows), nil
}

// askFormats adds tables as of now, with the format of their rows if they are Aria's: only
// that in pages is encrypted. The server opens a table to say it, so each is asked by its name.
func (t *Tables) askFormats(ctx context.Context, server Querier, some []table) error {
	asked, formats := []string{}, map[int]string{}
	for i, one := range some {
		asked = append(asked, fmt.Sprintf("SELECT %d, IF(ENGINE = 'Aria', CONCAT('Aria ', ROW_FORMAT), COALESCE(ENGINE, '%s')) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND BINARY TABLE_NAME = %[4]s",
			i, unknownEngine, literal(one.schema), literal(one.name)))
	}
	rows, err := server.Query(ctx, strings.Join(asked, " UNION ALL "))
	if err != nil {
		return err
	}
	for _, r := range rows.Values {
		i, err := strconv.Atoi(r[0].Text)
		if err != nil || len(r) != 2 || i < 0 || i >= len(some) || formats[i] != "" || r[1].Text == "" {
			return errors.New("the formats of tables are not those of the tables that were asked for")
		}
		formats[i] = r[1].Text
	}
	for i, one := range some {
		t.add(table{one.schema, one.name, formats[i]})
	}
	return nil
}
