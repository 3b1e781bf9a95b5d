package mariadb

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/baseline"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/promise"
)

type variable = baseline.Variable

// Origins of values that are named here.
const (
	originConfig  = string(promise.FromFile)
	originDefault = baseline.OriginDefault
)

// decideSettings compares every global variable with the session, and what the session
// leaves alone with the defaults of the server's version.
func decideSettings(o *Observation) conclusion {
	if err := errors.Join(o.answers.Variables.Err, o.answers.Plugins.Err, o.answers.Session.Err); err != nil {
		return unproven(err)
	}
	if reason := o.unpromised(); reason != "" {
		return unpromisedHere(reason)
	}
	variables, deviations := o.byRole()
	wanted := baseline.Expect(o.target.Promise.Settings, variables, o.answers.Plugins.Value)
	known, exact := baseline.Of(o.answers.Session.Value.Version)
	deviations = append(deviations, wanted.Settings(variables, known, exact)...)
	if len(deviations) == 0 && len(wanted.Unknown) > 0 {
		return skipped("the server shows no variable for these settings of the session: " + briefly(wanted.Unknown))
	}
	reason := fmt.Sprintf("%d variables", len(o.answers.Variables.Value))
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
	if err := o.answers.Variables.Err; err != nil {
		return unproven(err)
	}
	var wrong, want, missing []string
	for _, s := range wanted {
		switch found, known := o.answers.Variables.Value[s.name]; {
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
	if err := o.answers.Variables.Err; err != nil {
		return unproven(err)
	}
	var wrong, want, missing []string
	for _, name := range names {
		switch found, known := o.answers.Variables.Value[name]; {
		case !known:
			missing = append(missing, name)
		case !slices.Contains(allowed, found.Origin):
			wrong = append(wrong, name+" from "+found.Origin)
			want = append(want, name+" from "+strings.Join(allowed, " or "))
		}
	}
	return decided(wrong, want, missing)
}
