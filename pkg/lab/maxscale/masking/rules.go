// Package masking is MaxScale's masking filter as the lab does it, with its limits: rules, the
// rewriting of rows, and the check of statements. It masks, refuses and leaks where the real
// one was seen to. Where nobody has measured what that one does, it lets through and says so.
package masking

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// Rules are those of a rules file.
type Rules struct{ all []rule }

type rule struct {
	database, table, column string
	match                   *regexp.Regexp // nil: the whole value
	value, fill             string
	obfuscate               bool
	applies, exempted       []account
}

// account is a user at a host, whose % stands for anything. Any user is meant if there is
// none.
type account struct{ user, host string }

// Parse reads a rules file. Only what is no JSON is refused, and a pattern that Go has not:
// all other mistakes make the real one mask less, without a word. unmeasured are those
// of which nobody has seen what it does.
func Parse(data []byte) (r *Rules, unmeasured []string, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	var document any
	if err := decoder.Decode(&document); err != nil {
		return nil, nil, fmt.Errorf("rules: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("rules: something follows the JSON object")
	}
	r = &Rules{}
	note := func(text string) { unmeasured = append(unmeasured, "?15: "+text) }
	list, ok := member[[]any](document, "rules")
	if !ok {
		note("rules without a list 'rules'")
	}
	for i, one := range list {
		made, problem, err := parseRule(one)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("rules: rule %d: %w", i+1, err)
		case problem != "":
			note(fmt.Sprintf("rule %d: %s", i+1, problem))
		default:
			r.all = append(r.all, made)
		}
	}
	for i, a := range r.all {
		for _, b := range r.all[:i] {
			if a.database == b.database && a.table == b.table && a.column == b.column {
				note(fmt.Sprintf("two rules for column '%s'", a.column))
			}
		}
	}
	return r, unmeasured, nil
}

// member returns what an object has under a key, if it is of that type.
func member[T any](of any, key string) (T, bool) {
	object, _ := of.(map[string]any)
	value, ok := object[key].(T)
	return value, ok
}

// parseRule reads a rule. One with a problem is left out, so that nothing is masked by it.
func parseRule(of any) (r rule, problem string, err error) {
	from, replaces := member[map[string]any](of, "replace")
	if !replaces {
		if from, r.obfuscate = member[map[string]any](of, "obfuscate"); !r.obfuscate {
			return r, "neither 'replace' nor 'obfuscate'", nil
		}
	}
	for key, to := range map[string]*string{"database": &r.database, "table": &r.table, "column": &r.column} {
		value, is := member[string](from, key)
		if _, there := from[key]; there && !is {
			return r, "'" + key + "' is no string", nil
		}
		*to = value
	}
	if r.column == "" {
		return r, "no 'column'", nil
	}
	if problem, err = r.replacement(of, from); problem != "" || err != nil {
		return r, problem, err
	}
	for key, to := range map[string]*[]account{"applies_to": &r.applies, "exempted": &r.exempted} {
		if *to, problem = parseAccounts(of, key); problem != "" {
			return r, problem, nil
		}
	}
	return r, "", nil
}

// replacement reads what a value is replaced with.
func (r *rule) replacement(of any, from map[string]any) (problem string, err error) {
	if text, ok := member[string](from, "match"); ok {
		if r.match, err = regexp.Compile(text); err != nil {
			return "", fmt.Errorf("lab stand-in: 'match' is not imitated: %w", err)
		}
	} else if _, there := from["match"]; there {
		return "'match' is no string", nil
	}
	with, ok := member[map[string]any](of, "with")
	if !ok && !r.obfuscate {
		return "no 'with'", nil
	}
	r.fill = "X"
	for key, to := range map[string]*string{"value": &r.value, "fill": &r.fill} {
		value, there := with[key]
		text, is := value.(string)
		switch {
		case there && !is:
			return "'" + key + "' is no string", nil
		case there && text == "":
			return "'" + key + "' is empty", nil
		case there:
			*to = text
		}
	}
	return "", nil
}

func parseAccounts(of any, key string) (all []account, problem string) {
	object, _ := of.(map[string]any)
	value, there := object[key]
	if !there {
		return nil, ""
	}
	list, ok := value.([]any)
	if !ok {
		return nil, "'" + key + "' is no list"
	}
	if len(list) == 0 {
		return nil, "'" + key + "' is empty"
	}
	for _, one := range list {
		text, _ := one.(string)
		a, ok := parseAccount(text)
		if !ok {
			return nil, fmt.Sprintf("an account in '%s'", key)
		}
		all = append(all, a)
	}
	return all, ""
}

// parseAccount reads 'user'@'host', with or without quotes. Without a host it is any. A _,
// which may stand for any sign, was not measured.
func parseAccount(text string) (a account, ok bool) {
	user, host, found := strings.Cut(text, "@")
	if !found {
		host = "%"
	}
	a = account{bare(user), bare(host)}
	return a, text != "" && !strings.ContainsAny(a.host, "_'\"") && !strings.ContainsAny(a.user, "%'\"") && a.host != ""
}

func bare(text string) string {
	if n := len(text); n > 1 && (text[0] == '\'' || text[0] == '"') && text[n-1] == text[0] {
		return text[1 : n-1]
	}
	return text
}

// meets reports whether somebody is meant.
func (a account) meets(user, host string) bool {
	return (a.user == "" || a.user == user) && like(a.host, host)
}

// like reports whether a text has the form of a pattern, whose % stands for anything.
func like(pattern, text string) bool {
	parts := strings.Split(pattern, "%")
	if len(parts) == 1 {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

// of are the rules that somebody meets.
func (r *Rules) of(user, host string) (met []rule) {
	for _, one := range r.all {
		if (len(one.applies) == 0 || anyMeets(one.applies, user, host)) && !anyMeets(one.exempted, user, host) {
			met = append(met, one)
		}
	}
	return met
}

func anyMeets(all []account, user, host string) bool {
	for _, a := range all {
		if a.meets(user, host) {
			return true
		}
	}
	return false
}

// covers reports whether a rule is about a column, and whether it would be in other
// letters. What a definition does not say is not compared.
func (r rule) covers(c wire.Column) (exact, folded bool) {
	same := func(want, is string, equal func(a, b string) bool) bool {
		return want == "" || is == "" || equal(want, is)
	}
	is := func(a, b string) bool { return a == b }
	all := func(equal func(a, b string) bool) bool {
		return equal(r.column, c.OrgName) && same(r.table, c.OrgTable, equal) && same(r.database, c.Schema, equal)
	}
	return all(is), all(strings.EqualFold)
}
