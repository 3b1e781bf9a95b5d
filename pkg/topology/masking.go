package topology

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/masking"
	"github.com/confidb/confidb/pkg/promise"
)

// maskingName is what errors call the rules: their file is that of an earlier run.
const maskingName = "masking rules"

// masking are the rules that MaxScale gets: the user's, and those of our canary. It is empty
// where nothing is masked, and refuses what would mask nobody.
func (a Applications) masking(of Architecture, all *accounts.Document) (string, error) {
	if a.Masking == "" && len(a.MaskedAccounts) > 0 {
		return "", &ReachError{a.MaskedAccounts[0], "there are no rules, which say what is masked"}
	}
	if a.Masking == "" {
		return "", nil
	}
	if of != Replicated {
		return "", &MaskingError{Architecture: of}
	}
	rules, err := masking.Parse(maskingName, []byte(a.Masking))
	if err != nil {
		return "", err
	}
	users := []string{ownAccount}
	for _, one := range all.Accounts {
		users = append(users, one.Name)
	}
	if unmet := rules.Unmet(users); len(unmet) > 0 {
		return "", &UnmetError{Rule: unmet[0], Users: users}
	}
	for _, name := range a.MaskedAccounts {
		at := slices.IndexFunc(all.Accounts, func(one accounts.Account) bool { return one.Name == name })
		if at < 0 {
			return "", &ReachError{name, "the accounts document has no such account"}
		}
		if why := reaches(all.Accounts[at].Rights, rules); why != "" {
			return "", &ReachError{name, why}
		}
	}
	return masking.WithCanary(a.Masking)
}

// reaches says by which right an account may get at a masked column; empty if by none. It
// must have no right at all on a table of a rule, as rights on its other columns are not
// enough: MariaDB compares any column in JOIN ... USING (measured of 10.11).
func reaches(rights []promise.Right, rules *masking.Rules) string {
	for _, c := range rules.Columns() {
		if c.Database == "" || c.Table == "" {
			return "the rule for " + c.String() + " names no database or no table, so that it may be about any table"
		}
		for _, r := range rights {
			covers := r.Kind == promise.OnDatabase && promise.Matches(r.Database, c.Database)
			if r.Kind == promise.OnTable || r.Kind == promise.OnColumn {
				covers = strings.EqualFold(r.Database, c.Database) && strings.EqualFold(r.Object, c.Table)
			}
			if covers {
				return "it has " + r.String() + ", and " + c.String() + " is masked"
			}
		}
	}
	return ""
}

// ReachError means that an account that shall get at no masked column may do so.
type ReachError struct{ Account, Why string }

func (e *ReachError) Error() string {
	return fmt.Sprintf("the account %q shall get at no masked column: %s", e.Account, e.Why)
}

// Hint says what keeps an account from a column.
func (e *ReachError) Hint() string {
	return "Make a view without the masked columns, and let the accounts document give the account SELECT on the view and nothing on the table: rights on the other columns are not enough ({explain msk-04})."
}

// ownAccount is the account of the SQL shell, which comes through MaxScale as those of
// applications do.
const ownAccount = "confidb_app"

// maskingChanges say what changes about rules.
func (a Applications) maskingChanges(to Applications) []string {
	switch {
	case a.Masking == to.Masking:
		return nil
	case to.Masking == "":
		return []string{"nothing is masked any more: whoever may read a column sees it in clear"}
	case a.Masking == "":
		return []string{"answers are masked by rules from now on, which is no access control"}
	}
	return []string{"the rules by which answers are masked are others"}
}

// MaskingError means that there is no MaxScale that could mask, or none for which it was
// seen what it does.
type MaskingError struct{ Architecture Architecture }

func (e *MaskingError) Error() string {
	return fmt.Sprintf("%s: it is MaxScale that masks, before replicated databases; the architecture is %s", maskingName, e.Architecture)
}

// Hint says how to go on.
func (e *MaskingError) Hint() string {
	return "Install with {install --architecture replicated}, or give no rules and leave columns out of what the accounts document grants."
}

// UnmetError means that a rule is about none of the accounts that there are.
type UnmetError struct {
	Rule  masking.Rule
	Users []string
}

func (e *UnmetError) Error() string {
	return fmt.Sprintf("%s: line %d (%s): none of the %d accounts meets the rule, so it would mask nothing", maskingName, e.Rule.Line, e.Rule.Column, len(e.Users))
}

// Hint says how to go on.
func (e *UnmetError) Hint() string {
	return "Correct applies_to and exempted of the rule, or give the accounts document that has the account in the same run: {install --masking FILE --accounts FILE}."
}
