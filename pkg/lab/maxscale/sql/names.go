package sql

import (
	"slices"
	"strings"
)

// modifiers stand between a word that is followed by a table and the table.
func modifiers() []string {
	return []string{"IF", "NOT", "EXISTS", "IGNORE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK", "ONLY", "LATERAL", "TABLE", "TABLES", "INTO", "FROM", "STATUS"}
}

// level is a depth of parentheses.
type level struct {
	selects bool // FROM names tables here, and is no part of a function as in TRIM(x FROM y)
	list    bool // commas separate tables
}

// tables collects what stands where tables are named.
func (r *reader) tables() {
	levels, expected := []level{{selects: true}}, -1
	for i := 0; i < len(r.Tokens) && r.Type != Prepare; i++ {
		t, at := r.Tokens[i], &levels[len(levels)-1]
		switch {
		case t.is("("):
			inner := level{selects: r.token(i+1).is("SELECT", "WITH", "("), list: i == expected && !r.token(i+1).is("SELECT", "WITH", "VALUES")}
			if inner.list {
				expected = i + 1
			}
			levels = append(levels, inner)
		case t.is(")"):
			if len(levels) > 1 {
				levels = levels[:len(levels)-1]
			}
		case i == expected && r.table(i) > i:
			i = r.table(i) - 1
			r.note(i)
		case at.list && t.is(","), r.names(i, at.selects):
			at.list = at.list || !r.single(t)
			expected = r.behind(i + 1)
			i = expected - 1
		case t.is("WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT", "SET", "SELECT", "VALUES", "PROCEDURE", "WINDOW", "RETURNING", "ADD", "FOR"):
			at.list = false
		}
	}
}

// behind skips modifiers.
func (r *reader) behind(i int) int {
	for r.token(i).is(modifiers()...) {
		i++
	}
	return i
}

// single reports whether a word is followed by one table, not by a list.
func (r *reader) single(t Token) bool {
	return r.Type != Select && r.Type != Values && !t.is("FROM", "UPDATE", "TABLE", "TABLES", ",")
}

// names reports whether a table is named after token i.
func (r *reader) names(i int, selects bool) bool {
	t, next, first := r.Tokens[i], r.token(i+1), i == 0
	switch {
	case t.is("FROM"):
		return selects && next.Kind != String && r.Type != Show
	case t.is("JOIN", "STRAIGHT_JOIN"):
		return true
	case t.is("TABLE", "TABLES"):
		return r.Type != Show && r.Type != UnlockTables || r.token(i-1).is("CREATE")
	case t.is("INTO"):
		return r.Type == Insert || r.Type == Replace || r.Type == Load
	case t.is("UPDATE", "INSERT", "REPLACE", "TRUNCATE", "HANDLER", "CALL"):
		return first
	case t.is("DESCRIBE", "DESC", "EXPLAIN"):
		return first && !r.token(i+2).is("=", "SELECT", "WITH", "UPDATE", "DELETE", "INSERT", "(")
	case t.is("VIEW"):
		return r.Type == Define || r.token(i-1).is("CREATE")
	case t.is("TRIGGER", "PROCEDURE", "FUNCTION", "SEQUENCE", "LIKE"):
		return r.Type == Define
	case t.is("ON"):
		return r.Type == Define && r.has(0, "INDEX")
	}
	return false
}

// table returns where name or database.name ends, or i if none stands there.
func (r *reader) table(i int) int {
	if first := r.token(i); first.Kind != Name && (first.Kind != Word || r.words.Reserved(first.Text)) {
		return i
	}
	if second := r.token(i + 2); r.token(i+1).is(".") && (second.Kind == Name || second.Kind == Word) {
		return i + 3
	}
	return i + 1
}

// note takes down the table whose name ends with token i.
func (r *reader) note(i int) {
	found := Identifier{Name: r.token(i).Value(r.mode)}
	if r.named[i] = true; r.token(i - 1).is(".") {
		found.Database = r.token(i - 2).Value(r.mode)
	}
	r.Tables = append(r.Tables, found)
}

// calls collects functions, variables, and what says that a statement does more than read.
func (r *reader) calls() {
	for i, t := range r.Tokens {
		switch {
		case t.Kind == Executable:
			r.Executable = true
		case t.Kind == Bad:
			r.Broken = true
		case t.Kind == System:
			name := strings.ToLower(t.Value(r.mode))
			r.System = append(r.System, name[strings.LastIndexByte(name, '.')+1:])
		case t.Kind == Variable && r.token(i+1).is(":="):
			r.Assigns = true
		case t.is("FOR") && r.token(i+1).is("UPDATE"), t.is("LOCK") && r.token(i+1).is("IN"):
			r.Locks = true
		case t.is("INTO") && (r.Type == Select || r.Type == Values):
			r.Into = true
		case t.is("NEXT", "PREVIOUS") && r.token(i+1).is("VALUE") && r.token(i+2).is("FOR"):
			r.Sequence = true
		case (t.Kind == Word || t.Kind == Name) && r.token(i+1).is("(") && !r.named[i]:
			r.call(i)
		}
	}
}

// call notes the function whose name is at i, if it is one.
func (r *reader) call(i int) {
	t := r.Tokens[i]
	name := strings.ToLower(t.Value(r.mode))
	qualified := r.token(i - 1).is(".")
	known := t.Kind == Word && r.words.Function(name) && !qualified
	switch {
	case r.Type == Define, t.is("VALUES", "VALUE"), !known && t.Kind == Word && !qualified && (r.words.Reserved(name) || t.is("ANY", "SOME", "AGAINST", "JSON_TABLE", "WITHIN", "OF", "NTH_VALUE", "VISIBLE")):
		return
	case r.isWith(i):
		return
	}
	if qualified {
		name = strings.ToLower(r.token(i-2).Value(r.mode)) + "." + name
	}
	if !slices.Contains(r.Functions, name) {
		r.Functions = append(r.Functions, name)
		if !known {
			r.Foreign = append(r.Foreign, name)
		}
	}
	r.Sequence = r.Sequence || known && t.is("NEXTVAL", "LASTVAL", "SETVAL")
}

// isWith reports whether a name with columns is one of WITH: name (a, b) AS (….
func (r *reader) isWith(i int) bool {
	for i += 2; i < len(r.Tokens) && !r.Tokens[i].is("(", ")"); i++ {
	}
	return r.phrase(i, ")", "AS", "(")
}
