package sql

import (
	"slices"
	"strings"
)

// Type is what a statement is; the zero value is a text without one.
type Type string

// The types of statements. What is none of them is Other.
const (
	Nothing          Type = ""
	Select           Type = "SELECT" // also (SELECT …) and WITH … SELECT
	Values           Type = "VALUES"
	Table            Type = "TABLE"
	Insert           Type = "INSERT"
	Replace          Type = "REPLACE"
	Update           Type = "UPDATE"
	Delete           Type = "DELETE"
	Load             Type = "LOAD"
	Call             Type = "CALL"
	Do               Type = "DO"
	Define           Type = "DEFINE" // CREATE, ALTER, DROP, RENAME, TRUNCATE
	Begin            Type = "BEGIN"  // also START TRANSACTION; not BEGIN NOT ATOMIC
	Commit           Type = "COMMIT"
	Rollback         Type = "ROLLBACK"
	Savepoint        Type = "SAVEPOINT" // also RELEASE and ROLLBACK TO
	Set              Type = "SET"
	SetTransaction   Type = "SET TRANSACTION"
	Use              Type = "USE"
	Show             Type = "SHOW"
	Explain          Type = "EXPLAIN" // also DESCRIBE, DESC and ANALYZE of a statement
	Prepare          Type = "PREPARE"
	Execute          Type = "EXECUTE"
	ExecuteImmediate Type = "EXECUTE IMMEDIATE"
	Deallocate       Type = "DEALLOCATE" // also DROP PREPARE
	LockTables       Type = "LOCK TABLES"
	UnlockTables     Type = "UNLOCK TABLES"
	Handler          Type = "HANDLER"
	Kill             Type = "KILL"
	Other            Type = "OTHER"
)

// Identifier is the name of a table or routine.
type Identifier struct{ Database, Name string } // Database is empty where none stands there

// Assignment is one of SET's: what is set, and the tokens of its value without white space
// and comments.
type Assignment struct {
	Scope string // "", SESSION (also LOCAL), GLOBAL or STATEMENT
	Name  string // in small letters; a user variable with its @
	Value []Token
}

// Literal returns the value if it is one word, string or number.
func (a Assignment) Literal(mode Mode) (string, bool) {
	if len(a.Value) != 1 || a.Value[0].Kind != Word && a.Value[0].Kind != String && a.Value[0].Kind != Number {
		return "", false
	}
	return a.Value[0].Value(mode), true
}

// Statement is one statement of a text.
type Statement struct {
	Type   Type
	Tokens []Token // without white space and comments
	// Executable: a comment that servers execute is in it. Broken: a quote or comment does
	// not end.
	Executable, Broken bool
	// Tables are those that stand where tables are named, in order, each as often as it
	// stands there; names of WITH are among them.
	Tables []Identifier
	// Functions are called in it, in small letters; Foreign are those of them that MariaDB
	// does not have by itself.
	Functions, Foreign []string
	// System are its system variables, in small letters, without scope.
	System []string
	// Sequence: NEXT VALUE FOR and the like. Locks: FOR UPDATE, LOCK IN SHARE MODE. Into:
	// SELECT … INTO. Assigns: @x := …. Temporary: CREATE or DROP TEMPORARY TABLE.
	Sequence, Locks, Into, Assigns, Temporary bool
	// ReadOnly: START TRANSACTION READ ONLY, SET TRANSACTION READ ONLY.
	ReadOnly bool
	// Show is what SHOW shows: DATABASES, TABLES, TABLE STATUS, MASTER STATUS, ….
	Show string
	// Database is that of USE, and of SHOW … FROM.
	Database string
	// Sets are what SET sets, and SET STATEMENT for the statement that follows it.
	Sets []Assignment
	// Prepared is the name of a statement in PREPARE, EXECUTE and DEALLOCATE. From is the
	// text of PREPARE … FROM 'text'; FromVariable, that none stands there.
	Prepared, From string
	FromVariable   bool
}

// Read reads the statements of a text, which are separated by semicolons. A compound
// statement is cut in the same way: who gets more than one takes them for one that writes.
func (w *Words) Read(text string, mode Mode) []Statement {
	var all []Statement
	var part []Token
	add := func() {
		if len(part) > 0 {
			all = append(all, w.one(part, mode))
		}
		part = nil
	}
	for _, t := range Tokens(text, mode) {
		switch {
		case t.Kind == Space || t.Kind == Comment:
		case t.is(";"):
			add()
		default:
			part = append(part, t)
		}
	}
	add()
	return all
}

// is reports whether a token is an operator or word, in any letters.
func (t Token) is(words ...string) bool {
	if t.Kind != Word && t.Kind != Operator {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(t.Text, w) })
}

// reader reads one statement.
type reader struct {
	*Statement
	words *Words
	mode  Mode
	named map[int]bool // tokens that are names of tables
	whole bool         // another reader has read the rest
}

func (w *Words) one(tokens []Token, mode Mode) Statement {
	s := Statement{Tokens: tokens}
	r := reader{Statement: &s, words: w, mode: mode, named: map[int]bool{}}
	if r.head(); !r.whole {
		r.tables()
		r.calls()
	}
	return s
}

// token returns a token, or one that is nothing.
func (r *reader) token(i int) Token {
	if i < 0 || i >= len(r.Tokens) {
		return Token{Kind: Space}
	}
	return r.Tokens[i]
}

// phrase reports whether words stand at i, one after the other.
func (r *reader) phrase(i int, words ...string) bool {
	for k, word := range words {
		if !r.token(i + k).is(word) {
			return false
		}
	}
	return true
}

// has reports whether words stand anywhere from i on.
func (r *reader) has(i int, words ...string) bool {
	for ; i < len(r.Tokens); i++ {
		if r.phrase(i, words...) {
			return true
		}
	}
	return false
}

// simple are statements that their first word says, and nothing of the rest matters.
func simple() map[string]Type {
	return map[string]Type{
		"SELECT": Select, "VALUES": Values, "TABLE": Table, "INSERT": Insert, "REPLACE": Replace, "UPDATE": Update, "DELETE": Delete,
		"LOAD": Load, "CALL": Call, "DO": Do, "CREATE": Define, "ALTER": Define, "RENAME": Define, "TRUNCATE": Define, "DROP": Define,
		"COMMIT": Commit, "SAVEPOINT": Savepoint, "HANDLER": Handler, "KILL": Kill, "EXPLAIN": Explain, "DESCRIBE": Explain, "DESC": Explain,
		"SET": Set, "USE": Use, "SHOW": Show, "PREPARE": Prepare, "EXECUTE": Execute, "DEALLOCATE": Deallocate,
	}
}

// head finds out what the statement is by its first words.
func (r *reader) head() {
	i := 0
	for r.token(i).is("(") {
		i++
	}
	first := r.token(i)
	if first.Kind != Word {
		r.Type = Other
		return
	}
	word := strings.ToUpper(first.Text)
	r.Type = Other
	if t, ok := simple()[word]; ok && (i == 0 || t == Select || t == Values || t == Table) {
		r.Type = t
	}
	r.more(i, word)
}

// more looks at what follows the first word.
func (r *reader) more(i int, word string) {
	switch word {
	case "WITH":
		r.Type = r.afterWith(i)
	case "BEGIN":
		if i+1 == len(r.Tokens) || r.token(i+1).is("WORK") {
			r.Type = Begin
		}
	case "START":
		if r.token(i + 1).is("TRANSACTION") {
			r.Type, r.ReadOnly = Begin, r.has(i, "READ", "ONLY")
		}
	case "ROLLBACK":
		r.Type = Rollback
		if r.has(i, "TO") {
			r.Type = Savepoint
		}
	case "RELEASE":
		r.Type = Savepoint
	case "LOCK", "UNLOCK":
		if r.token(i+1).is("TABLE", "TABLES") {
			r.Type = Type(word + " TABLES")
		}
	case "ANALYZE":
		if r.token(i+1).is("SELECT", "UPDATE", "DELETE", "INSERT", "REPLACE", "FORMAT", "WITH", "(") {
			r.Type = Explain
		}
	case "CREATE", "DROP":
		r.Temporary = r.has(i, "TEMPORARY", "TABLE") || r.has(i, "TEMPORARY", "TABLES") || r.has(i, "TEMPORARY", "SEQUENCE")
		if r.token(i + 1).is("PREPARE") {
			r.Type, r.Prepared = Deallocate, r.token(i+2).Value(r.mode)
		}
	case "SET":
		r.set(i + 1)
	case "USE":
		r.Database = r.token(i + 1).Value(r.mode)
	case "SHOW":
		r.show(i + 1)
	case "PREPARE", "EXECUTE", "DEALLOCATE":
		r.prepare(i, word)
	}
}

// afterWith is the type of a statement after the names of WITH.
func (r *reader) afterWith(i int) Type {
	depth := 0
	for ; i < len(r.Tokens); i++ {
		t := r.Tokens[i]
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		case depth == 0 && t.is("SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "VALUES"):
			return simple()[strings.ToUpper(t.Text)]
		}
	}
	return Other
}

func (r *reader) prepare(i int, word string) {
	if r.token(i + 1).is("IMMEDIATE") {
		r.Type = ExecuteImmediate
		return
	}
	if r.token(i + 1).is("PREPARE") {
		i++
	}
	r.Prepared = r.token(i + 1).Value(r.mode)
	if word != "PREPARE" || !r.token(i+2).is("FROM") {
		return
	}
	if text := r.token(i + 3); text.Kind == String && i+4 == len(r.Tokens) {
		r.From = text.Value(r.mode)
		return
	}
	r.FromVariable = true
}

func (r *reader) show(i int) {
	for r.token(i).is("FULL", "EXTENDED", "GLOBAL", "SESSION", "LOCAL", "ALL") {
		i++
	}
	r.Show = strings.ToUpper(r.token(i).Text)
	if r.Show == "SCHEMAS" {
		r.Show = "DATABASES"
	}
	if r.token(i+1).is("STATUS", "LOGS", "HOSTS", "EVENTS", "TABLE", "VIEW", "DATABASE") {
		r.Show += " " + strings.ToUpper(r.token(i+1).Text)
	}
	inTable := r.token(i).is("COLUMNS", "FIELDS", "INDEX", "INDEXES", "KEYS")
	for ; i < len(r.Tokens) && !r.token(i).is("LIKE", "WHERE"); i++ {
		if !r.token(i).is("FROM", "IN") {
			continue
		}
		if inTable {
			inTable = false // the first names a table
			if end := r.table(i + 1); end > i+1 {
				r.note(end - 1)
				r.Database = r.Tables[0].Database
			}
			continue
		}
		r.Database = r.token(i + 1).Value(r.mode)
	}
}

// set reads the assignments of SET, and what SET STATEMENT is for.
func (r *reader) set(i int) {
	scope, fixed := "", ""
	switch t := r.token(i); {
	case t.is("STATEMENT"):
		scope, fixed = "STATEMENT", "STATEMENT"
		i++
	case t.is("GLOBAL", "SESSION", "LOCAL") && r.token(i+1).is("TRANSACTION"), t.is("TRANSACTION"):
		r.Type, r.ReadOnly = SetTransaction, r.has(i, "READ", "ONLY")
		return
	case t.is("PASSWORD", "ROLE", "NAMES", "CHARACTER", "CHARSET", "DEFAULT"):
		return
	}
	for i < len(r.Tokens) {
		switch t := r.token(i); {
		case t.is("GLOBAL"):
			scope = "GLOBAL"
			i++
		case t.is("SESSION", "LOCAL"):
			scope = "SESSION"
			i++
		}
		var a Assignment
		a, i = r.assignment(i, scope)
		r.Sets = append(r.Sets, a)
		if fixed != "" && r.token(i).is("FOR") {
			r.rest(i + 1)
			return
		}
		i++
		scope = fixed
	}
}

// rest makes the statement the one that begins at i.
func (r *reader) rest(i int) {
	if i >= len(r.Tokens) {
		r.Type = Other
		return
	}
	inner := r.words.one(r.Tokens[i:], r.mode)
	inner.Sets, inner.Tokens = append(r.Sets, inner.Sets...), r.Tokens
	*r.Statement, r.whole = inner, true
}

// assignment reads name = value from i on, and returns where it ends.
func (r *reader) assignment(i int, scope string) (Assignment, int) {
	a := Assignment{Scope: scope}
	switch t := r.token(i); t.Kind {
	case Variable:
		a.Name = "@" + strings.ToLower(t.Value(r.mode))
		i++
	case System:
		a.Name = strings.ToLower(t.Value(r.mode))
		for prefix, of := range map[string]string{"global.": "GLOBAL", "session.": "SESSION", "local.": "SESSION"} {
			if name, ok := strings.CutPrefix(a.Name, prefix); ok {
				a.Name, a.Scope = name, of
			}
		}
		i++
	default:
		for ; i < len(r.Tokens) && !r.token(i).is("=", ":=", ","); i++ {
			a.Name += strings.ToLower(r.token(i).Value(r.mode))
		}
	}
	if r.token(i).is("=", ":=") {
		i++
	}
	depth := 0
	for ; i < len(r.Tokens); i++ {
		t := r.token(i)
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth--
		}
		if depth == 0 && (t.is(",") || scope == "STATEMENT" && t.is("FOR")) {
			break
		}
		a.Value = append(a.Value, t)
	}
	return a, i
}
