package sql

import (
	"strings"
)

// Place is where in a statement a field stands.
type Place int

// The places of fields.
const (
	Plain    Place = iota
	Subquery       // also WITH, and what FROM derives
	Union          // a later SELECT of a UNION
	Defined        // in what a user variable is set to
)

// Field is a column that MaxScale's parser reports, or of which it is not known whether it
// does: the more certain fields are those with neither Blind nor Unsure.
type Field struct {
	Name, Table, Database string
	Place                 Place
	// Function is the innermost function or operator that it is used with, as it stands there.
	Function string
	// Argument: it is a string, which may be a field only as the argument of a function.
	Argument bool
	// Blind: it is under a sign that hides what it is used with, as was measured: unary - and
	// ~, BINARY, COLLATE.
	Blind bool
	// Unsure: nobody has measured whether it is reported. It names what would have to be.
	Unsure string
}

// Collection is what MaxScale's parser says of a statement.
type Collection struct {
	// Parsed: all of it was understood.
	Parsed bool
	Fields []Field
}

// What has to be measured.
const (
	unsureWrites    = "?18" // comparisons and assignments
	unsureConstruct = "?19" // constructs
)

// clause is a part of a SELECT, UPDATE or DELETE.
type clause int

const (
	nowhere clause = iota // nothing is collected
	from                  // tables
	exprs                 // columns, WHERE
	sets                  // of UPDATE
	dark                  // GROUP BY, HAVING, ORDER BY, LIMIT: measured, not reported
	unknown               // ON, OVER: not measured
)

// frame is a level of parentheses, or a CASE.
type frame struct {
	clause clause
	place  Place
	// call is the function or operator whose arguments these are.
	call, unsure string
	query        bool  // a SELECT stands in it
	fragment     []int // fields of the expression that goes on, as indexes
	operator     string
	doubt        string // an operator that nobody has measured
	operand      bool   // the token before ends a value
	hidden       bool   // the next value is under a sign that hides it
	between      bool   // the next AND is BETWEEN's
	target       bool   // the next name is what UPDATE sets
	condition    bool   // these are conditions of WHERE
	cases        bool
}

// collector walks through a statement.
type collector struct {
	reader
	frames []frame
	fields []Field
	seen   map[int]bool // tokens whose part is known
}

// Collect says which columns MaxScale's parser reports of a statement.
func (w *Words) Collect(s Statement, mode Mode) Collection {
	if s.Executable || s.Broken || s.Type == ExecuteImmediate || s.Type == Handler || s.Type == Table {
		return Collection{}
	}
	c := collector{reader: reader{Statement: &s, words: w, mode: mode}, seen: map[int]bool{}}
	if c.has(0, "PROCEDURE", "ANALYSE") {
		return Collection{}
	}
	c.frames = []frame{{place: c.start()}}
	for i := 0; c.walks() && i < len(s.Tokens); i++ {
		c.step(i)
	}
	for len(c.frames) > 1 {
		c.pop()
	}
	c.end("")
	c.rest()
	return Collection{Parsed: true, Fields: c.fields}
}

// start is the place of the outermost query.
func (c *collector) start() Place {
	for _, a := range c.Sets {
		if c.Type == Set && strings.HasPrefix(a.Name, "@") {
			return Defined
		}
	}
	for i := range c.Tokens {
		if c.Type == Select && c.phrase(i, "INTO") && c.token(i+1).Kind == Variable {
			return Defined
		}
	}
	return Plain
}

// walks reports whether anything was measured of this type of statement.
func (c *collector) walks() bool {
	if c.phrase(0, "SET", "STATEMENT") {
		return false
	}
	switch c.Type {
	case Select, Update, Delete, Insert, Replace, Define, Set:
		return true
	}
	return false
}

func (c *collector) top() *frame { return &c.frames[len(c.frames)-1] }

func (c *collector) step(i int) {
	t, f := c.Tokens[i], c.top()
	switch {
	case t.is("("):
		c.open(i)
	case t.is(")"):
		if len(c.frames) > 1 {
			c.pop()
		}
	case t.is(";"):
	case t.Kind == Word && c.keyword(i):
	case f.clause == nowhere:
	case t.Kind == Word && c.words.Reserved(t.Text), t.Kind == Operator:
		c.operate(i)
	case t.Kind == Word, t.Kind == Name, t.Kind == String:
		c.value(i)
	default:
		f.operand, f.hidden = true, false
	}
}

// open begins what is in parentheses.
func (c *collector) open(i int) {
	before, f := c.token(i-1), *c.top()
	inner := frame{clause: f.clause, place: f.place, operand: false, hidden: f.hidden, unsure: f.unsure}
	switch {
	case c.token(i+1).is("SELECT", "WITH") || c.token(i+1).is("(") && f.clause == nowhere:
		inner.clause = nowhere
		inner.place = c.inner(f, before)
		if f.clause == dark || f.clause == unknown {
			inner.unsure = unsureConstruct
		}
	case before.is("IN"):
		inner.call = "in"
	case before.is("OVER", "USING", "AGAINST", "INDEX", "KEY", "VALUES", "PARTITION"):
		inner.clause, inner.unsure = unknown, unsureConstruct
		if before.is("USING") {
			inner.clause, inner.unsure = dark, f.unsure
		}
	case before.is("BINARY"):
	case (before.Kind == Word || before.Kind == Name) && f.clause != from && f.clause != nowhere && i > 0 && (before.Kind == Name || !c.words.Reserved(before.Text) || c.words.Function(before.Text)):
		inner.call = before.Value(c.mode)
		if before.is("CAST", "CONVERT", "ROW", "INTERVAL", "VALUES", "VALUE") {
			inner.unsure = unsureConstruct
		}
	}
	c.top().hidden = false
	c.frames = append(c.frames, inner)
}

// inner is the place of a query in parentheses.
func (c *collector) inner(f frame, before Token) Place {
	switch {
	case f.place != Plain && f.place != Union:
		return f.place
	case f.clause != nowhere, c.phrase(0, "WITH") && before.is("AS"):
		return Subquery
	}
	return f.place // the outermost, or a later SELECT in parentheses
}

// keyword handles words that begin a clause, and reports whether it was one.
func (c *collector) keyword(i int) bool {
	t, f := c.Tokens[i], c.top()
	begin := func(to clause) bool {
		c.end("")
		f.clause, f.operand, f.hidden, f.condition = to, false, false, false
		return true
	}
	if f.call != "" || f.cases {
		return c.inCase(t)
	}
	switch {
	case t.is("SELECT"):
		f.query = true
		return begin(exprs)
	case t.is("UNION", "EXCEPT", "INTERSECT"):
		begin(nowhere)
		if f.place == Plain {
			f.place = Union
		}
		if !t.is("UNION") {
			f.unsure = unsureConstruct
		}
		return true
	case t.is("FROM"), t.is("UPDATE") && i == 0:
		return begin(from)
	case t.is("JOIN", "STRAIGHT_JOIN", "NATURAL") && (f.clause == from || f.clause == unknown):
		return begin(from)
	case t.is("ON") && f.clause == from:
		return begin(unknown)
	case t.is("USING"):
		return begin(from)
	case t.is("SET") && c.Type == Update && len(c.frames) == 1:
		begin(sets)
		f.target = true
		return true
	case t.is("SET") && c.Type == Set && i == 0:
		return begin(nowhere)
	case t.is("WHERE"):
		begin(exprs)
		f.condition = true
		return true
	case t.is("GROUP", "HAVING", "ORDER", "LIMIT"):
		return begin(dark)
	case t.is("RETURNING", "WINDOW"):
		return begin(unknown)
	case t.is("INTO", "FOR", "LOCK", "PROCEDURE"):
		return begin(nowhere)
	}
	return c.inCase(t)
}

// inCase handles CASE and its END.
func (c *collector) inCase(t Token) bool {
	f := c.top()
	switch {
	case t.is("CASE") && f.clause != nowhere && f.clause != from:
		c.frames = append(c.frames, frame{clause: f.clause, place: f.place, unsure: f.unsure, call: t.Text, cases: true})
		return true
	case t.is("END") && f.cases:
		c.pop()
		return true
	}
	return false
}

// operate handles operators and reserved words within a clause.
func (c *collector) operate(i int) {
	t, f := c.Tokens[i], c.top()
	binary := f.operand
	f.operand = false
	switch {
	case t.is(",") && c.grouped():
		f.doubt = unsureConstruct
	case t.is(","):
		c.end("")
		f.target = f.clause == sets
	case t.is(".") || t.is("AS") || t.is("DISTINCT", "ALL", "ASC", "DESC"):
		f.operand = t.is("AS") // what follows is an alias
	case t.is("AND") && f.between:
		f.between = false
	case t.is("AND", "OR", "XOR", "&&"), t.is("||") && !c.mode.PipesAsConcat:
		c.end(unsureConstruct)
	case t.is("||"):
		f.operand = false // not reported: measured
	case t.is("=") && f.clause == sets && f.target:
		c.end(unsureWrites)
		f.target, f.operator = false, t.Text
	case t.is("-", "~") && !binary, t.is("BINARY"):
		f.hidden = true
	case t.is("*") && !binary:
		f.operand = true
		if f.place != Plain && f.call == "" {
			c.add(Field{Name: "*", Unsure: unsureConstruct})
		}
	case t.is("+") && !binary:
	case t.is("+", "-", "*", "/", "%", "DIV", "MOD", "LIKE", "IN", "BETWEEN"):
		f.operator = t.Text
		f.between = f.between || t.is("BETWEEN")
	case t.is("COLLATE"):
		c.hide()
		c.seen[i+1], f.operand = true, true
	case t.is("=", "<", ">", "<=", ">=", "<>", "!=", "<=>"):
		c.end(unsureWrites)
		f.doubt = unsureWrites
	case t.is("NULL", "TRUE", "FALSE", "CURRENT_USER", "CURRENT_ROLE", "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP", "UTC_DATE", "UTC_TIME", "UTC_TIMESTAMP", `\N`):
		f.operand = true
	case t.is("WHEN", "THEN", "ELSE", "FROM", "HIGH_PRIORITY", "SQL_CACHE", "SQL_NO_CACHE", "SQL_CALC_FOUND_ROWS", "SQL_BIG_RESULT", "SQL_SMALL_RESULT", "SQL_BUFFER_RESULT"):
	case c.words.Function(t.Text) && c.token(i+1).is("("):
	default:
		f.doubt = unsureConstruct
	}
}

// grouped reports whether plain parentheses within an expression go on.
func (c *collector) grouped() bool {
	f := c.top()
	return len(c.frames) > 1 && f.call == "" && !f.query && f.clause == exprs
}

// hide marks the field before as one that is not reported.
func (c *collector) hide() {
	if f := c.top(); len(f.fragment) > 0 {
		c.fields[f.fragment[len(f.fragment)-1]].Blind = true
	}
}

// value takes a name or string of an expression.
func (c *collector) value(i int) {
	t, f := c.Tokens[i], c.top()
	c.seen[i] = true
	switch {
	case f.clause == from:
		return
	case c.token(i + 1).is("("):
		return // a function
	case c.token(i-1).is(".") && t.Kind != String:
		return // taken with the name before
	case t.Kind != String && f.operand:
		return // an alias
	}
	f.operand = true
	if t.Kind == String {
		if c.called() {
			c.add(Field{Name: t.Value(c.mode), Argument: true})
		}
		return
	}
	field := Field{Name: t.Value(c.mode)}
	switch {
	case strings.HasPrefix(t.Text, `"`) && c.called() && f.place == Plain:
		return // measured: not reported
	case t.Kind == Name && (c.called() || f.place != Plain):
		field.Unsure = unsureConstruct
	}
	for k := i; c.token(k+1).is(".") && (c.token(k+2).Kind == Word || c.token(k+2).Kind == Name); k += 2 {
		c.seen[k+2] = true
		field = Field{Database: field.Table, Table: field.Name, Name: c.token(k + 2).Value(c.mode)}
		if c.called() || f.place != Plain {
			field.Unsure = unsureConstruct
		}
	}
	c.add(field)
}

// called reports whether arguments of a function go on.
func (c *collector) called() bool {
	f := c.top()
	return f.call != "" && !f.cases && f.call != "in"
}

// add takes a field of the expression that goes on.
func (c *collector) add(field Field) {
	f := c.top()
	field.Place = f.place
	field.Blind = field.Blind || f.hidden
	if f.unsure != "" || f.clause == unknown {
		field.Unsure = unsureConstruct
	}
	if f.clause == dark {
		if f.place == Plain && f.unsure == "" {
			return // measured: not reported
		}
		field.Unsure = unsureConstruct
	}
	f.hidden = false
	f.fragment = append(f.fragment, len(c.fields))
	c.fields = append(c.fields, field)
}

// end ends an expression: its fields were used with its operator. doubt is what has not
// been measured if there was none.
func (c *collector) end(doubt string) {
	f := c.top()
	if doubt == "" && f.condition {
		doubt = unsureConstruct
	}
	for _, i := range f.fragment {
		field := &c.fields[i]
		if field.Argument {
			continue
		}
		if field.Function == "" {
			field.Function = f.operator
		}
		if field.Function == "" && f.call != "" {
			field.Function = f.call
		}
		if field.Function == "" && field.Unsure == "" {
			field.Unsure = f.doubt
			if field.Unsure == "" {
				field.Unsure = doubt
			}
		}
	}
	for _, i := range f.fragment {
		if c.fields[i].Argument && c.fields[i].Function == "" {
			c.fields[i].Function = f.call
		}
	}
	f.fragment, f.operator, f.doubt, f.between, f.operand, f.hidden = nil, "", "", false, false, false
}

// pop ends a level. The fields of plain parentheses belong to the expression around them.
func (c *collector) pop() {
	f := *c.top()
	if f.call == "" && f.clause != nowhere && !f.query && f.operator == "" {
		c.frames = c.frames[:len(c.frames)-1]
		c.top().fragment = append(c.top().fragment, f.fragment...)
		if c.top().doubt == "" {
			c.top().doubt = f.doubt
		}
		c.top().operand = true
		return
	}
	c.end("")
	c.frames = c.frames[:len(c.frames)-1]
	c.top().operand = true
}

// rest takes every name of whose part nothing is known.
func (c *collector) rest() {
	for i, t := range c.Tokens {
		if c.seen[i] || t.Kind != Name && (t.Kind != Word || c.words.Reserved(t.Text)) {
			continue
		}
		c.fields = append(c.fields, Field{Name: t.Value(c.mode), Unsure: unsureConstruct})
	}
}
