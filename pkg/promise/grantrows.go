package promise

import (
	"slices"
	"strings"
)

// GrantRow is the statement that gives privileges on a table, a column or a routine which
// need not be there yet: GRANT refuses that, and a database that is new has none. The kind
// is OnTable, OnColumn, OnFunction or OnProcedure. ofColumns are the privileges that the
// account has on any column of the table. The server knows of it after FLUSH PRIVILEGES.
func GrantRow(to Name, on Right, privileges, ofColumns []string) string {
	table := grantTable(on.Kind)
	values := []string{to.Host, on.Database, to.User, on.Object}
	words := rowWords(privileges)
	switch on.Kind {
	case OnTable:
		values = append(values, words, rowWords(ofColumns))
	case OnColumn:
		values = append(values, on.Column, words)
	default:
		values = append(values, string(on.Kind), words)
	}
	for i, value := range values {
		values[i] = "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'"
	}
	return "INSERT INTO mysql." + table.name + " (" + strings.Join(table.columns, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
}

// rowsOf is a grant table with the columns of a row that is written into it.
type rowsOf struct {
	name    string
	columns []string
}

func grantTable(k Kind) rowsOf {
	switch k {
	case OnTable:
		return rowsOf{"tables_priv", []string{"Host", "Db", "User", "Table_name", "Table_priv", "Column_priv"}}
	case OnColumn:
		return rowsOf{"columns_priv", []string{"Host", "Db", "User", "Table_name", "Column_name", "Column_priv"}}
	}
	return rowsOf{"procs_priv", []string{"Host", "Db", "User", "Routine_name", "Routine_type", "Proc_priv"}}
}

// rowWords are privileges as the sets of grant tables have them.
func rowWords(privileges []string) string {
	return strings.ReplaceAll(strings.Join(privileges, ","), "DELETE HISTORY", "DELETE VERSIONING ROWS")
}

// grantRow reads what GrantRow writes, after the name of the database mysql.
func (r *reader) grantRow(c *cursor) error {
	if !c.mark(".") {
		return errNotUnderstood
	}
	table := c.name()
	at := slices.IndexFunc([]Kind{OnTable, OnColumn, OnProcedure}, func(k Kind) bool { return grantTable(k).name == table })
	if at < 0 {
		return errNotUnderstood
	}
	on := Right{Kind: []Kind{OnTable, OnColumn, OnProcedure}[at]}
	if !slices.Equal(c.inBrackets(c.name), grantTable(on.Kind).columns) {
		return errNotUnderstood
	}
	c.want("VALUES")
	v := c.inBrackets(c.text)
	if c.failed || len(v) != 6 {
		return errNotUnderstood
	}
	a := r.find(Name{User: v[2], Host: v[0]}, true)
	if a == nil {
		return errNoAccount
	}
	on.Database, on.Object = v[1], v[3]
	words := v[5]
	switch on.Kind {
	case OnTable:
		words = v[4]
	case OnColumn:
		on.Column = v[4]
	default:
		on.Kind = Kind(v[4])
	}
	return a.giveWords(on, words)
}

// giveWords gives the rights that a set of a grant table names.
func (a *Account) giveWords(on Right, words string) error {
	if words == "" {
		return nil
	}
	for written := range strings.SplitSeq(words, ",") {
		on.Privilege = Privilege(written)
		if !slices.Contains(Privileges(on.Kind), on.Privilege) {
			return errNotUnderstood
		}
		a.Rights = append(a.Rights, on)
	}
	return nil
}

// inBrackets takes a list, each item by a function.
func (c *cursor) inBrackets(take func() string) []string {
	if !c.mark("(") {
		c.failed = true
		return nil
	}
	all := []string{take()}
	for c.mark(",") {
		all = append(all, take())
	}
	if !c.mark(")") {
		c.failed = true
	}
	return all
}
