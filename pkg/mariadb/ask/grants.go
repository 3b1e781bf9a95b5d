package ask

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
)

// account is a row of mysql.global_priv.
type account = promise.Account

const (
	maxAccounts     = 2000
	notWhatItWrites = "its row in mysql.global_priv is not as MariaDB writes it: "
)

// Accounts are all rows of mysql.global_priv.
type Accounts []account

// Find returns the account of this name, or nil.
func (all Accounts) Find(n promise.Name) *account {
	for i := range all {
		if all[i].Name == n {
			return &all[i]
		}
	}
	return nil
}

// Granted is who may do what: by the tables of the database mysql, which count from the
// next FLUSH PRIVILEGES on, and in the server's memory, which counts now.
type Granted struct {
	Tables Accounts
	// Unreadable says of rows why they are not what MariaDB writes.
	Unreadable []string
	Memory     Accounts
	// Ghosts are the names that only memory knows, as MariaDB quotes them.
	Ghosts []string
}

// askGranted reads the tables, then memory, then the tables once more, three times at most
// until they have not changed.
func askGranted(ctx context.Context, server Querier, version int, promised []promise.Account) (g Granted, err error) {
	before, err := readGrantTables(ctx, server)
	if err != nil {
		return Granted{}, err
	}
	var changed string
	for range 3 {
		g = Granted{}
		if g.Tables, g.Unreadable, err = accountsOf(before, version); err != nil {
			return Granted{}, err
		}
		if err := g.askMemory(ctx, server, promised); err != nil {
			return Granted{}, err
		}
		after, err := readGrantTables(ctx, server)
		if err != nil {
			return Granted{}, err
		}
		if changed = differing(before, after); changed == "" {
			return g, nil
		}
		before = after
	}
	return Granted{}, errors.New(changed)
}

// differing says which table holds other rows than before, in whatever order, or nothing.
func differing(before, after map[string]*mysql.Rows) string {
	sorted := func(rows *mysql.Rows) [][]mysql.Value {
		return slices.SortedFunc(slices.Values(rows.Values), func(a, b []mysql.Value) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if was, is := sorted(before[name]), sorted(after[name]); !slices.EqualFunc(was, is, slices.Equal[[]mysql.Value]) {
			return fmt.Sprintf("mysql.%s changed while it was asked, %d rows of before and %d of after", name, len(was), len(is))
		}
	}
	return ""
}

func readGrantTables(ctx context.Context, server Querier) (map[string]*mysql.Rows, error) {
	all := map[string]*mysql.Rows{}
	for _, table := range promise.GrantTables() {
		rows, err := list(ctx, server, "*", "mysql."+table)
		if err != nil {
			return nil, fmt.Errorf("asking for mysql.%s: %w", table, err)
		}
		all[table] = rows
	}
	return all, nil
}

// row gives the fields of a row by column, and knows which were asked for.
type row struct {
	columns []string
	values  []mysql.Value
	missing bool
}

func (r *row) text(column string) string {
	for i, name := range r.columns {
		if strings.EqualFold(name, column) {
			return r.values[i].Text
		}
	}
	r.missing = true
	return ""
}

// accountsOf puts the rows of the grant tables together. unreadable are rows that say
// something else to us than to the server, or about no account.
func accountsOf(tables map[string]*mysql.Rows, version int) (all Accounts, unreadable []string, err error) {
	if len(tables["global_priv"].Values) > maxAccounts {
		return nil, nil, fmt.Errorf("%d accounts: want at most %d", len(tables["global_priv"].Values), maxAccounts)
	}
	g := &gathering{}
	for _, values := range tables["global_priv"].Values {
		r := &row{columns: tables["global_priv"].Columns, values: values}
		n := promise.Name{User: r.text("User"), Host: r.text("Host")}
		a, err := promise.ParseRow(n, r.text("Priv"), version)
		if r.missing {
			return nil, nil, errors.New("mysql.global_priv lacks a column")
		}
		if err != nil {
			g.unreadable = append(g.unreadable, n.String()+": "+notWhatItWrites+err.Error())
			a = &account{Name: n}
		}
		g.all = append(g.all, *a)
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		read, ok := rowReaders()[name]
		if !ok {
			continue
		}
		for _, values := range tables[name].Values {
			r := &row{columns: tables[name].Columns, values: values}
			if read(g, r); r.missing {
				return nil, nil, fmt.Errorf("mysql.%s lacks a column", name)
			}
		}
	}
	g.checkColumns()
	for i := range g.all {
		g.all[i].Arrange()
	}
	return g.all, g.unreadable, nil
}

// gathering is what the rows read so far make.
type gathering struct {
	all        Accounts
	unreadable []string
	// columns are, for each account and table, the privileges on columns that tables_priv
	// announces and those that columns_priv holds.
	columns map[columnKey]*[2][]string
}

type columnKey struct {
	name            promise.Name
	database, table string
}

// give adds a right to the account that a row names.
func (g *gathering) give(table string, n promise.Name, r promise.Right) {
	a := g.all.Find(n)
	if a == nil {
		g.unreadable = append(g.unreadable, fmt.Sprintf("mysql.%s has a row for %s, which is no account: %s", table, n, r))
		return
	}
	a.Rights = append(a.Rights, r)
}

// rowReaders read a row of each table but global_priv.
func rowReaders() map[string]func(*gathering, *row) {
	return map[string]func(*gathering, *row){
		"db": (*gathering).database, "tables_priv": (*gathering).table, "columns_priv": (*gathering).column,
		"procs_priv": (*gathering).routine, "proxies_priv": (*gathering).proxy, "roles_mapping": (*gathering).role,
	}
}

func owner(r *row) promise.Name { return promise.Name{User: r.text("User"), Host: r.text("Host")} }

// database reads a row of mysql.db, which has a column for each privilege.
func (g *gathering) database(r *row) {
	right := promise.Right{Kind: promise.OnDatabase, Database: r.text("Db")}
	for i, column := range r.columns {
		privilege, ok := strings.CutSuffix(strings.ToUpper(column), "_PRIV")
		if !ok || r.values[i].Text == "N" {
			continue
		}
		right.Privilege = tableWord(strings.ReplaceAll(privilege, "_", " "))
		g.give("db", owner(r), right)
	}
}

// tableWord is the name of a privilege that a grant table says in another way.
func tableWord(written string) string {
	said := strings.ToUpper(written)
	other := map[string]string{"GRANT": promise.GrantOption, "CREATE TMP TABLE": "CREATE TEMPORARY TABLES", "DELETE VERSIONING ROWS": "DELETE HISTORY"}[said]
	if other != "" {
		return other
	}
	return said
}

// words are the members of a SET.
func words(set string) []string {
	if set == "" {
		return nil
	}
	all := strings.Split(set, ",")
	for i := range all {
		all[i] = tableWord(all[i])
	}
	slices.Sort(all)
	return all
}

func (g *gathering) table(r *row) {
	right := promise.Right{Kind: promise.OnTable, Database: r.text("Db"), Object: r.text("Table_name")}
	for _, privilege := range words(r.text("Table_priv")) {
		right.Privilege = privilege
		g.give("tables_priv", owner(r), right)
	}
	g.expect(r)[0] = words(r.text("Column_priv"))
}

func (g *gathering) column(r *row) {
	right := promise.Right{Kind: promise.OnColumn, Database: r.text("Db"), Object: r.text("Table_name"), Column: r.text("Column_name")}
	for _, privilege := range words(r.text("Column_priv")) {
		right.Privilege = privilege
		g.give("columns_priv", owner(r), right)
		held := &g.expect(r)[1]
		*held = append(*held, privilege)
	}
}

// expect returns what is announced and held of the row's account and table.
func (g *gathering) expect(r *row) *[2][]string {
	if g.columns == nil {
		g.columns = map[columnKey]*[2][]string{}
	}
	key := columnKey{owner(r), r.text("Db"), r.text("Table_name")}
	if g.columns[key] == nil {
		g.columns[key] = &[2][]string{}
	}
	return g.columns[key]
}

// checkColumns sees that tables_priv announces what columns_priv holds: the server uses both.
func (g *gathering) checkColumns() {
	for key, c := range g.columns {
		slices.Sort(c[1])
		if !slices.Equal(c[0], slices.Compact(c[1])) {
			g.unreadable = append(g.unreadable, fmt.Sprintf("mysql.tables_priv and mysql.columns_priv differ for %s on %q.%q", key.name, key.database, key.table))
		}
	}
	slices.Sort(g.unreadable)
}

func (g *gathering) routine(r *row) {
	right := promise.Right{Kind: promise.Kind(r.text("Routine_type")), Database: r.text("Db"), Object: r.text("Routine_name")}
	for _, privilege := range words(r.text("Proc_priv")) {
		right.Privilege = privilege
		g.give("procs_priv", owner(r), right)
	}
}

func (g *gathering) proxy(r *row) {
	right := promise.Right{Kind: promise.OnProxy, Database: r.text("Proxied_host"), Object: r.text("Proxied_user"), Privilege: promise.Proxy}
	g.give("proxies_priv", owner(r), right)
	if r.text("With_grant") != "0" {
		right.Privilege = promise.GrantOption
		g.give("proxies_priv", owner(r), right)
	}
}

func (g *gathering) role(r *row) {
	right := promise.Right{Kind: promise.OnRole, Object: r.text("Role"), Privilege: promise.Member}
	g.give("roles_mapping", owner(r), right)
	if r.text("Admin_option") != "N" {
		right.Privilege = promise.AdminOption
		g.give("roles_mapping", owner(r), right)
	}
}

// askMemory asks for the accounts that memory has: by name for those of the tables and of
// the promise, and by the lists of information_schema for others.
func (g *Granted) askMemory(ctx context.Context, server Querier, promised []promise.Account) error {
	known := slices.Clone(g.Tables)
	for _, a := range promised {
		if known.Find(a.Name) == nil {
			known = append(known, a)
		}
	}
	if public := (promise.Name{User: promise.Public}); known.Find(public) == nil {
		known = append(known, account{Name: public, Role: true})
	}
	for _, a := range known {
		found, err := askAccount(ctx, server, a.Name, a.Name.Host == "")
		if err != nil {
			return err
		}
		if found != nil {
			g.Memory = append(g.Memory, *found)
		}
	}
	return g.askGhosts(ctx, server, known)
}

// askGhosts lists who has rights in memory and is none of known. Names are compared as
// bytes: to a collation, two of them may be one. A role that is neither in a table nor
// granted to anybody is in no list, and of no use.
func (g *Granted) askGhosts(ctx context.Context, server Querier, known Accounts) error {
	names := map[string]promise.Name{}
	for _, a := range known {
		names["'"+a.Name.User+"'@'"+a.Name.Host+"'"] = a.Name
	}
	if err := g.askGlobal(ctx, server, names); err != nil {
		return err
	}
	for _, view := range []string{"SCHEMA_PRIVILEGES", "TABLE_PRIVILEGES", "COLUMN_PRIVILEGES"} {
		rows, err := server.Query(ctx, "SELECT DISTINCT BINARY GRANTEE FROM information_schema."+view)
		if err != nil {
			return err
		}
		for _, values := range rows.Values {
			if _, is := names[values[0].Text]; !is {
				g.haunted(values[0].Text)
			}
		}
	}
	return nil
}

func (g *Granted) haunted(ghost string) {
	if !slices.Contains(g.Ghosts, ghost) {
		g.Ghosts = append(g.Ghosts, ghost)
	}
}

// askGlobal asks for the rights on everything of each account in memory, which has a row
// for each. Memory can hold two accounts of one name, of which the other questions show
// the first.
func (g *Granted) askGlobal(ctx context.Context, server Querier, names map[string]promise.Name) error {
	rows, err := server.Query(ctx, "SELECT BINARY GRANTEE, GROUP_CONCAT(PRIVILEGE_TYPE) FROM information_schema.USER_PRIVILEGES GROUP BY BINARY GRANTEE")
	if err != nil {
		return err
	}
	if err := atLeastOne(rows, 2); err != nil {
		return err
	}
	for _, values := range rows.Values {
		name, known := names[values[0].Text]
		if a := g.Memory.Find(name); !known || a == nil {
			g.haunted(values[0].Text)
		} else if !slices.Equal(words(values[1].Text), onEverything(a)) {
			g.haunted(values[0].Text + ", of which there is more than one,")
		}
	}
	return nil
}

// onEverything are an account's rights on everything as USER_PRIVILEGES lists them: without
// the grant option, which stands in another column, and USAGE for none.
func onEverything(a *account) []string {
	var all []string
	for _, r := range a.Rights {
		switch {
		case r.Kind != promise.Global || r.Privilege == promise.GrantOption:
		case r.Privilege == promise.All:
			all = append(all, slices.DeleteFunc(promise.GlobalPrivileges(), func(p string) bool { return p == promise.GrantOption })...)
		default:
			all = append(all, r.Privilege)
		}
	}
	if len(all) == 0 {
		all = []string{"USAGE"}
	}
	slices.Sort(all)
	return all
}

// Errors with which the server says that memory has no such account
// (ER_NONEXISTING_GRANT, ER_PASSWORD_NO_MATCH).
const (
	codeNoGrant = 1141
	codeNoUser  = 1133
)

// askAccount reads an account of memory. Nil means that there is none.
func askAccount(ctx context.Context, server Querier, n promise.Name, role bool) (*account, error) {
	quoted := literal(n.User)
	if !role {
		quoted += "@" + literal(n.Host)
	} else if n.User == promise.Public {
		quoted = promise.Public
	}
	var lines []string
	statements := []string{"SHOW CREATE USER " + quoted, "SHOW GRANTS FOR " + quoted}
	if role {
		statements = statements[1:]
	}
	for _, statement := range statements {
		rows, err := server.Query(ctx, statement)
		if said, ok := errors.AsType[*mysql.ServerError](err); ok && (said.Code == codeNoGrant || said.Code == codeNoUser) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("asking for %s: %w", n, err)
		}
		for _, values := range rows.Values {
			lines = append(lines, values[0].Text)
		}
	}
	if role && len(lines) == 0 {
		return nil, nil // nobody gave it anything
	}
	return promise.ReadAccount(n, role, lines)
}
