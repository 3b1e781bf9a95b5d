package ask

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/baseline"
	"github.com/confidb/confidb/pkg/mysql"
)

type variable = baseline.Variable

const variableColumns = `VARIABLE_NAME, GLOBAL_VALUE, GLOBAL_VALUE_ORIGIN, VARIABLE_TYPE, ENUM_VALUE_LIST, NUMERIC_MIN_VALUE, NUMERIC_MAX_VALUE, NUMERIC_BLOCK_SIZE`

func askVariables(ctx context.Context, server Querier) Answer[map[string]variable] {
	rows, err := list(ctx, server, variableColumns, "information_schema.SYSTEM_VARIABLES")
	if err != nil {
		return Answer[map[string]variable]{Err: err}
	}
	value, err := readVariables(rows)
	return Answer[map[string]variable]{Value: value, Err: err}
}

func readVariables(rows *mysql.Rows) (map[string]variable, error) {
	if err := atLeastOne(rows, 8); err != nil {
		return nil, err
	}
	variables := make(map[string]variable, len(rows.Values))
	for _, row := range rows.Values {
		name := strings.ToLower(row[0].Text)
		if _, twice := variables[name]; twice {
			return nil, errors.New("a variable is listed twice")
		}
		v := variable{Value: row[1].Text, Global: !row[1].Null, Origin: row[2].Text, Kind: row[3].Text, Low: row[5].Text, High: row[6].Text, Block: row[7].Text}
		if !row[4].Null {
			v.Words = strings.Split(row[4].Text, ",")
		}
		variables[name] = v
	}
	return variables, nil
}

// Tabulate asks a server that was just initialised, and was given no option but where it
// may write, what it is: the baseline of its version.
func Tabulate(ctx context.Context, server Querier) (*baseline.Baseline, error) {
	session := ask(ctx, server, sessionQuery, readSession)
	variables, plugins, objects := askVariables(ctx, server), askPlugins(ctx, server), askObjects(ctx, server)
	if err := errors.Join(session.Err, variables.Err, plugins.Err, objects.Err); err != nil {
		return nil, fmt.Errorf("tabulating a server: %w", err)
	}
	return baseline.New(session.Value.Version, variables.Value, plugins.Value, objects.Value.System), nil
}
