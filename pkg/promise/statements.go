package promise

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// GrantTables are the tables of the database mysql that hold accounts and rights.
func GrantTables() []string {
	return []string{"global_priv", "db", "tables_priv", "columns_priv", "procs_priv", "proxies_priv", "roles_mapping"}
}

// readStatements reads what a server runs when it starts. Whatever comes before all
// grant tables are empty and read again has left nothing; after that, each statement is
// understood, or named.
func (p *Promise) readStatements(text string) {
	if strings.Contains(text, `\`) && slices.ContainsFunc(p.Settings, func(s Setting) bool { return s.Name == "sql_mode" }) {
		p.unclear("statements with backslashes under a sql_mode of the session's")
		return
	}
	tokens, err := cut(text)
	if err != nil {
		p.unclear("account statements: %v", err)
		return
	}
	all := statements(tokens)
	begin := afterReset(all)
	if begin < 0 {
		p.unclear("the statements do not begin by emptying all of %s and FLUSH PRIVILEGES", strings.Join(GrantTables(), ", "))
		return
	}
	r := &reader{promise: p}
	for _, s := range all[:begin] { // where the reset was, names of tables may go without database
		r.use(s)
	}
	for _, s := range all[begin:] {
		if err := r.statement(s); err != nil {
			p.unclear("line %d of the account statements: %v", s[0].line, err)
		}
	}
	for _, a := range r.accounts {
		a.Arrange()
		p.Accounts = append(p.Accounts, *a)
	}
}

// afterReset is the index of the statement after which no account is left, or -1: all
// grant tables are emptied one after the other, and read again at once.
func afterReset(all [][]token) int {
	database, begin := "", -1
	emptied := map[string]bool{}
	for i, s := range all {
		c := &cursor{tokens: strip(s)}
		switch {
		case c.accept("USE"):
			database = c.name()
		case c.accept("END"):
		case c.accept("FLUSH", "PRIVILEGES") && c.done() && len(emptied) == len(GrantTables()):
			begin, emptied = i+1, map[string]bool{}
		default:
			if table := emptiedBy(c, database); table == "" {
				emptied = map[string]bool{} // whatever this is may have filled them
			} else if slices.Contains(GrantTables(), table) {
				emptied[table] = true
			}
		}
	}
	return begin
}

// emptiedBy returns the table of the database mysql that a statement empties, or nothing.
func emptiedBy(c *cursor, database string) string {
	switch {
	case c.accept("TRUNCATE", "TABLE"), c.accept("TRUNCATE"), c.accept("DELETE", "FROM"):
	default:
		return ""
	}
	of, table := c.object()
	if of == "" {
		of = database
	}
	if c.failed || !c.done() || of != "mysql" {
		return ""
	}
	return table
}

// strip leaves out what stands around the statements of a compound one.
func strip(s []token) []token {
	for {
		c := &cursor{tokens: s}
		switch {
		case c.accept("BEGIN", "NOT", "ATOMIC"), c.accept("BEGIN"):
			s = c.tokens
		default:
			return s
		}
		if len(s) == 0 {
			return s
		}
	}
}

// ReadAccount reads what a server says of one account: the lines of SHOW CREATE USER and
// SHOW GRANTS FOR. The error holds nothing of them.
func ReadAccount(name Name, role bool, lines []string) (*Account, error) {
	r := &reader{promise: &Promise{}, live: true}
	if role {
		r.accounts = []*Account{{Name: name, Role: true}}
	}
	for _, line := range lines {
		tokens, err := cut(line)
		if err != nil {
			return nil, fmt.Errorf("what the server says of %s: %w", name, err)
		}
		for _, s := range statements(tokens) {
			if err := r.statement(s); err != nil {
				return nil, fmt.Errorf("what the server says of %s: %w", name, err)
			}
		}
	}
	for _, a := range r.accounts[min(1, len(r.accounts)):] {
		if !role || !a.Role { // of a role, it also says what the roles in it may do
			return nil, fmt.Errorf("what the server says of %s is about something else", name)
		}
	}
	if len(r.accounts) == 0 || r.accounts[0].Name != name {
		return nil, fmt.Errorf("what the server says of %s is about something else", name)
	}
	r.accounts[0].Arrange()
	return r.accounts[0], nil
}

// reader carries statements out on a list of accounts.
type reader struct {
	promise  *Promise
	accounts []*Account
	database string
	// live means that what is read comes from a server, with hashes and without secrets.
	live bool
}

var (
	errNotUnderstood = errors.New("not understood")
	errNoAccount     = errors.New("it is about an account that no statement before it made")
)

// statement carries one statement out. Its error names the words that it begins with,
// and no value.
func (r *reader) statement(s []token) error {
	s = strip(s)
	if len(s) == 0 {
		return nil
	}
	c := &cursor{tokens: s}
	err := r.carryOut(c)
	if err == nil && (c.failed || !c.done()) {
		err = errNotUnderstood
	}
	if err != nil {
		return fmt.Errorf("%s: %w", beginning(s), err)
	}
	return nil
}

// beginning is the first words of a statement, up to three.
func beginning(s []token) string {
	var words []string
	for _, t := range s[:min(3, len(s))] {
		if t.kind != word {
			break
		}
		words = append(words, t.value)
	}
	if words == nil {
		return "a statement"
	}
	return strings.Join(words, " ")
}

func (r *reader) carryOut(c *cursor) error {
	switch {
	case c.accept("CREATE", "OR", "REPLACE", "USER"):
		return r.createUser(c, true)
	case c.accept("CREATE", "USER"):
		return r.createUser(c, false)
	case c.accept("CREATE", "OR", "REPLACE", "ROLE"):
		return r.createRole(c, true)
	case c.accept("CREATE", "ROLE"):
		return r.createRole(c, false)
	case c.accept("ALTER", "USER"):
		return r.alterUser(c)
	case c.accept("DROP", "USER"), c.accept("DROP", "ROLE"):
		return r.drop(c)
	case c.accept("GRANT"):
		return r.grant(c)
	case c.accept("REVOKE"):
		return r.revoke(c)
	case c.accept("SET", "DEFAULT", "ROLE"):
		return r.defaultRole(c)
	}
	return r.other(c)
}

// other are statements that change no account. A reader of what a server says knows none.
func (r *reader) other(c *cursor) error {
	switch {
	case r.live:
		return errNotUnderstood
	case c.accept("USE"):
		r.database = c.name()
	case c.accept("CREATE", "DATABASE"), c.accept("CREATE", "SCHEMA"):
		c.accept("IF", "NOT", "EXISTS")
		if name := c.name(); !slices.ContainsFunc(r.promise.Databases, func(d Database) bool { return d.Name == name }) {
			r.promise.Databases = append(r.promise.Databases, Database{Name: name})
		}
		return r.rest(c) // whose characters apply only where it is new
	case c.accept("ALTER", "DATABASE"), c.accept("ALTER", "SCHEMA"):
		return r.alterDatabase(c)
	case c.accept("SET"):
		return r.set(c)
	case c.accept("CREATE", "TABLE"), c.accept("CREATE", "SEQUENCE"):
		c.accept("IF", "NOT", "EXISTS")
		return r.onTable(c)
	case c.accept("DROP", "TABLE", "IF", "EXISTS"):
		if slices.ContainsFunc(c.tokens, func(t token) bool { return t.kind == mark && t.value == "," }) {
			return errNotUnderstood // of several, others than the first may hold accounts
		}
		return r.onTable(c)
	case c.accept("CREATE", "OR", "REPLACE", "DEFINER"):
		return r.view(c)
	case c.accept("INSERT", "INTO", "mysql"):
		return r.grantRow(c)
	case c.accept("INSERT", "INTO"), c.accept("INSERT", "IGNORE", "INTO"), c.accept("REPLACE", "INTO"), c.accept("DELETE", "FROM"), c.accept("UPDATE"):
		return r.onTable(c)
	case c.accept("FLUSH", "PRIVILEGES"), c.accept("COMMIT"), c.accept("SHUTDOWN"), c.accept("RESIGNAL"), c.accept("END", "IF"), c.accept("END"):
	case c.accept("DECLARE", "EXIT", "HANDLER", "FOR"):
		return stopping(c)
	case c.accept("IF"):
		return stopping(c)
	case c.accept("SIGNAL"):
		return r.rest(c)
	default:
		return errNotUnderstood
	}
	return nil
}

// alterDatabase reads which characters a database has, after these words.
func (r *reader) alterDatabase(c *cursor) error {
	name := c.name()
	at := slices.IndexFunc(r.promise.Databases, func(d Database) bool { return d.Name == name })
	if at < 0 {
		return errNotUnderstood
	}
	for of := &r.promise.Databases[at]; !c.done(); {
		switch {
		case c.accept("CHARACTER", "SET"):
			of.CharacterSet = strings.ToLower(c.name())
		case c.accept("COLLATE"):
			of.Collation = strings.ToLower(c.name())
		default:
			return errNotUnderstood
		}
	}
	return nil
}

// use follows a USE statement.
func (r *reader) use(s []token) {
	if c := (&cursor{tokens: strip(s)}); c.accept("USE") {
		r.database = c.name()
	}
}

// rest takes the rest of a statement whose rest changes nothing here. A function call
// could, so there may be none in brackets after a name.
func (r *reader) rest(c *cursor) error {
	c.tokens = nil
	return nil
}

// onTable is a statement on a table that holds no account.
func (r *reader) onTable(c *cursor) error {
	database, _ := c.object()
	if database == "" {
		database = r.database
	}
	if database == "" || slices.Contains([]string{"mysql", "sys", "performance_schema", "information_schema"}, strings.ToLower(database)) {
		return errNotUnderstood
	}
	return r.rest(c)
}

// view is a view that somebody of the session's owns, after these words.
func (r *reader) view(c *cursor) error {
	if !c.mark("=") {
		return errNotUnderstood
	}
	if owner, hosted := c.account(); r.find(owner, hosted) == nil || !c.accept("SQL", "SECURITY", "DEFINER", "VIEW") {
		return errNoAccount
	}
	return r.onTable(c)
}

// stopping is a condition or a handler of which all that follows is the end of the server.
func stopping(c *cursor) error {
	tokens := c.tokens
	if n := len(tokens); n > 0 && tokens[n-1].is("SHUTDOWN") {
		c.tokens = nil
		return nil
	}
	return errNotUnderstood
}

// set reads SET. Only literals are understood where they become settings.
func (r *reader) set(c *cursor) error {
	global := c.accept("GLOBAL")
	if !global && !c.accept("SESSION") {
		c.accept("LOCAL")
	}
	if c.mark("@") {
		if c.mark("@") {
			return errNotUnderstood
		}
		return r.rest(c) // a variable of the user's
	}
	name := strings.ToLower(c.name())
	if name == "" || name == "password" || name == "role" || name == "statement" || name == "sql_mode" || c.mark(".") {
		return errNotUnderstood
	}
	c.mark(":")
	if !c.mark("=") {
		return errNotUnderstood
	}
	if global && c.acceptSentinel() {
		r.promise.Settings = append(r.promise.Settings, Setting{Name: name, Secret: true, Origin: FromStatement})
		return nil
	}
	value, negative := c.literal()
	if c.failed {
		return errNotUnderstood
	}
	if global {
		setting := Setting{Name: name, Value: negative + value, Origin: FromStatement}
		if strings.Contains(value, placeholder) {
			setting.Value, setting.Secret = "", true
		}
		r.promise.Settings = append(r.promise.Settings, setting)
	}
	return nil
}
