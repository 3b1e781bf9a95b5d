package masking

import (
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// Filter is a section of the configuration.
type Filter struct {
	Rules *Rules
	// The switches of the check; the real one's defaults are true for all.
	PreventFunctionUsage, RequireFullyParsed, TreatStringArgAsField bool
	CheckUserVariables, CheckUnions, CheckSubqueries                bool
	// WarnTypeMismatch: a rule for a column that cannot be masked is logged.
	WarnTypeMismatch bool
	// AbortLarge: a masked row of 16 MiB or more closes the session, else it is clear.
	AbortLarge bool
	Words      *sql.Words
	// Log takes a line; it may be called by several sessions at once. Lines have neither
	// statements nor values.
	Log func(level, text string)
}

// Session is what one client's statements and answers go through. It is used by one
// goroutine.
type Session struct {
	f          *Filter
	user, host string
	rules      []rule
	noted      map[string]bool
}

// Session begins that of a client, whose host is its address.
func (f *Filter) Session(user, host string) *Session {
	return &Session{f: f, user: user, host: host, rules: f.Rules.of(user, host), noted: map[string]bool{}}
}

// unmeasured says once a session what nobody has measured.
func (s *Session) unmeasured(text string) {
	if !s.noted[text] {
		s.noted[text] = true
		s.f.Log("warning", "lab stand-in: unmeasured "+text)
	}
}

// Answer begins the answer to a statement, in binary rows or in text. It is nil if the
// client meets no rule.
func (s *Session) Answer(binary bool) *Answer {
	if len(s.rules) == 0 {
		return nil
	}
	return &Answer{s: s, binary: binary}
}

// refusal is the error of a statement that is refused.
func refusal(text string, arguments ...any) *wire.Error {
	const code, state = 1141, "HY000"
	return wire.NewError(code, state, "%s", fmt.Sprintf(text, arguments...))
}

// Statement judges the text of a query or of a prepared statement. What is not nil is sent
// to the client in place of an answer. Who meets no rule is not checked.
func (s *Session) Statement(text string, mode sql.Mode) *wire.Error {
	if len(s.rules) == 0 {
		s.free(text, mode)
		return nil
	}
	var refused *wire.Error
	for i, one := range s.f.Words.Read(text, mode) {
		switch found := s.judge(one, mode, 0); {
		case found != nil && i == 0:
			refused = found
		case found != nil && refused == nil:
			s.unmeasured("?17: a later statement of several would be refused alone")
		}
	}
	return refused
}

// free says what nobody has measured of a client that meets no rule, where others do.
func (s *Session) free(text string, mode sql.Mode) {
	if len(s.f.Rules.all) == 0 || s.noted[unsureFree] {
		return
	}
	for _, one := range s.f.Words.Read(text, mode) {
		if one.FromVariable || !s.f.Words.Collect(one, mode).Parsed {
			s.unmeasured(unsureFree)
		}
	}
}

const unsureFree = "?16: whether a statement that is refused for its form is so for a client that meets no rule"

// judge judges one statement; depth is that of PREPARE in PREPARE.
func (s *Session) judge(one sql.Statement, mode sql.Mode, depth int) *wire.Error {
	found := s.f.Words.Collect(one, mode)
	if !found.Parsed && s.f.RequireFullyParsed {
		return refusal("The statement could not be fully parsed and will hence be rejected (masking filter).")
	}
	if one.Type == sql.Other || one.Type == sql.Values {
		s.unmeasured("?19: whether a statement of type " + string(one.Type) + " is fully parsed")
	}
	if one.Type == sql.Prepare {
		return s.prepare(one, mode, depth)
	}
	for _, check := range []func(sql.Statement, sql.Field, string) *wire.Error{s.variable, s.query, s.function} {
		for _, field := range found.Fields {
			if name, exact := s.masked(field); exact && s.certain(one, field) {
				if refused := check(one, field, name); refused != nil {
					return refused
				}
			}
		}
	}
	return nil
}

// prepare judges PREPARE by the text that is prepared.
func (s *Session) prepare(one sql.Statement, mode sql.Mode, depth int) *wire.Error {
	if one.FromVariable {
		if s.f.CheckUserVariables && s.f.PreventFunctionUsage && s.f.RequireFullyParsed {
			return refusal("A statement prepared from a variable is rejected (masking filter).")
		}
		s.unmeasured("?23: PREPARE from a variable with a switch off")
		return nil
	}
	all := s.f.Words.Read(one.From, mode)
	if depth > 0 || len(all) != 1 {
		s.unmeasured("?19: PREPARE of what cannot be prepared")
		return nil
	}
	return s.judge(all[0], mode, depth+1)
}

// masked reports whether a field is a rule's, and its name there. The letters of the name
// have to be the same.
func (s *Session) masked(field sql.Field) (name string, exact bool) {
	for _, r := range s.rules {
		tables := (r.table == "" || field.Table == "" || field.Table == r.table) && (r.database == "" || field.Database == "" || field.Database == r.database)
		switch {
		case field.Name == "*" && field.Unsure != "":
			s.unmeasured(field.Unsure + ": * where columns are checked")
		case field.Argument && (field.Name != r.column || !s.f.TreatStringArgAsField):
		case field.Name == r.column && tables:
			return r.column, true
		case strings.EqualFold(field.Name, r.column) && tables:
			s.unmeasured("?15: a field whose name is a rule's in other letters")
		case strings.EqualFold(field.Name, r.column):
			s.unmeasured("?19: a field of a table of another name")
		}
	}
	return "", false
}

// certain reports whether it was measured that the parser reports a field there.
func (s *Session) certain(one sql.Statement, field sql.Field) bool {
	used := field.Function != "" || field.Place != sql.Plain
	switch {
	case field.Unsure != "":
		s.unmeasured(field.Unsure + ": a masked field in " + string(one.Type))
		return false
	case field.Blind && used:
		s.unmeasured("?19: a masked field under a sign that hides it, in " + string(one.Type))
		return false
	case used && one.Type != sql.Select && one.Type != sql.Update && one.Type != sql.Delete && one.Type != sql.Set:
		s.unmeasured("?23: what is checked in " + string(one.Type))
		return false
	}
	return !field.Blind
}

func (s *Session) who() string { return fmt.Sprintf("'%s'@'%s'", s.user, s.host) }

func (s *Session) used(name, where string) *wire.Error {
	return refusal("The field %s that should be masked for %s is used %s, access is denied.", name, s.who(), where)
}

func (s *Session) variable(_ sql.Statement, field sql.Field, name string) *wire.Error {
	if field.Place != sql.Defined || !s.f.CheckUserVariables {
		return nil
	}
	return s.used(name, "when defining a variable")
}

// query judges subqueries and UNIONs, of SELECT only.
func (s *Session) query(one sql.Statement, field sql.Field, name string) *wire.Error {
	if field.Place != sql.Subquery && field.Place != sql.Union {
		return nil
	}
	switch {
	case one.Type != sql.Select:
		s.unmeasured("?23: a subquery in " + string(one.Type))
	case field.Place == sql.Subquery && s.f.CheckSubqueries:
		return s.used(name, "in a subquery")
	case field.Place == sql.Union && s.f.CheckUnions:
		return s.used(name, "in the second or subsequent SELECT of a UNION")
	}
	return nil
}

func (s *Session) function(_ sql.Statement, field sql.Field, _ string) *wire.Error {
	if field.Function == "" || !s.f.PreventFunctionUsage {
		return nil
	}
	return refusal("The function %s is used in conjunction with a field that should be masked for %s, access is denied.", field.Function, s.who())
}
