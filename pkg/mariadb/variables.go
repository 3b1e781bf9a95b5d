package mariadb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/baseline"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

type variable = baseline.Variable

// Origins of values that are named here.
const (
	originConfig  = string(promise.FromFile)
	originDefault = baseline.OriginDefault
)

const variableColumns = `VARIABLE_NAME, GLOBAL_VALUE, GLOBAL_VALUE_ORIGIN, VARIABLE_TYPE, ENUM_VALUE_LIST, NUMERIC_MIN_VALUE, NUMERIC_MAX_VALUE, NUMERIC_BLOCK_SIZE`

func askVariables(ctx context.Context, server Querier) answer[map[string]variable] {
	rows, err := list(ctx, server, variableColumns, "information_schema.SYSTEM_VARIABLES")
	if err != nil {
		return answer[map[string]variable]{err: err}
	}
	value, err := readVariables(rows)
	return answer[map[string]variable]{value: value, err: err}
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

// decideSettings compares every global variable with the session, and what the session
// leaves alone with the defaults of the server's version.
func decideSettings(o *Observation) conclusion {
	if err := errors.Join(o.answers.variables.err, o.answers.plugins.err, o.answers.session.err); err != nil {
		return unproven(err)
	}
	if reason := o.unpromised(); reason != "" {
		return unpromisedHere(reason)
	}
	wanted := baseline.Expect(o.target.Promise.Settings, o.answers.variables.value, o.answers.plugins.value)
	known, exact := baseline.Of(o.answers.session.value.version)
	deviations := wanted.Settings(o.answers.variables.value, known, exact)
	if len(deviations) == 0 && len(wanted.Unknown) > 0 {
		return skipped("the server shows no variable for these settings of the session: " + briefly(wanted.Unknown))
	}
	reason := fmt.Sprintf("%d variables", len(o.answers.variables.value))
	switch {
	case known == nil:
		reason += "; what nobody set is judged by its origin alone, for the defaults of this version are not known"
	case !exact:
		reason += "; the defaults are those of " + known.Version
	}
	if len(wanted.Unseen) > 0 {
		reason += "; not visible by SQL: " + strings.Join(wanted.Unseen, ", ")
	}
	return noneOf(deviations, "each as the session sets it, or at its default", reason)
}

// setting is a system variable and the value that it must have.
type setting struct{ name, want string }

// compare fails if a variable has another value, and skips if one is unknown to the server.
func (o *Observation) compare(wanted []setting) conclusion {
	if err := o.answers.variables.err; err != nil {
		return unproven(err)
	}
	var wrong, want, missing []string
	for _, s := range wanted {
		switch found, known := o.answers.variables.value[s.name]; {
		case !known:
			missing = append(missing, s.name)
		case !strings.EqualFold(found.Value, s.want):
			wrong = append(wrong, s.name+"="+found.Value)
			want = append(want, s.name+"="+s.want)
		}
	}
	return decided(wrong, want, missing)
}

func decided(wrong, want, missing []string) conclusion {
	if len(wrong) > 0 {
		return conclusion{outcome: check.Fail, got: briefly(wrong), want: briefly(want), all: wrong}
	}
	if len(missing) > 0 {
		return skipped("not supported by this version of the server: " + strings.Join(missing, ", "))
	}
	return passed("")
}

// origins fails if a variable got its value in another way than the allowed ones.
// A value that was changed and changed back has the origin SQL until a restart.
func (o *Observation) origins(names []string, allowed ...string) conclusion {
	if err := o.answers.variables.err; err != nil {
		return unproven(err)
	}
	var wrong, want, missing []string
	for _, name := range names {
		switch found, known := o.answers.variables.value[name]; {
		case !known:
			missing = append(missing, name)
		case !slices.Contains(allowed, found.Origin):
			wrong = append(wrong, name+" from "+found.Origin)
			want = append(want, name+" from "+strings.Join(allowed, " or "))
		}
	}
	return decided(wrong, want, missing)
}

// Tabulate asks a server that was just initialised, and was given no option but where it
// may write, what it is: the baseline of its version.
func Tabulate(ctx context.Context, server Querier) (*baseline.Baseline, error) {
	session := ask(ctx, server, sessionQuery, readSession)
	variables, plugins, objects := askVariables(ctx, server), askPlugins(ctx, server), askObjects(ctx, server)
	if err := errors.Join(session.err, variables.err, plugins.err, objects.err); err != nil {
		return nil, fmt.Errorf("tabulating a server: %w", err)
	}
	return baseline.New(session.value.version, variables.value, plugins.value, objects.value.system), nil
}
