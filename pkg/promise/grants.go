package promise

import (
	"slices"
	"strings"
)

// Privilege is what MariaDB calls a privilege that is written in one of its ways, in any
// case of letters; nothing if there is none.
func Privilege(written string) string {
	tokens, err := cut(written)
	if err != nil {
		return ""
	}
	c := &cursor{tokens: tokens[:len(tokens)-1]}
	if said := privilege(c); c.done() {
		return said
	}
	return ""
}

// privilege reads the words of a privilege, the longest that there is, and returns the
// name that MariaDB says; nothing if there is none.
func privilege(c *cursor) string {
	for _, p := range privilegeWords() {
		if c.accept(strings.Fields(p.written)...) {
			return p.said
		}
	}
	return ""
}

type privilegeWord struct{ written, said string }

// privilegeWords are the privileges of MariaDB 10.11 with their other names, those of
// more words first.
func privilegeWords() []privilegeWord {
	all := []privilegeWord{{"ALL PRIVILEGES", All}, {"ALL", All}, {"REPLICATION CLIENT", "BINLOG MONITOR"}, {"REPLICATION REPLICA", "REPLICATION SLAVE"},
		{"REPLICA MONITOR", "SLAVE MONITOR"}, {"REPLICATION REPLICA ADMIN", "REPLICATION SLAVE ADMIN"}, {"DELETE VERSIONING ROWS", "DELETE HISTORY"},
		{"READ ONLY ADMIN", "READ_ONLY ADMIN"}, {"USAGE", "USAGE"}}
	for _, p := range GlobalPrivileges() {
		all = append(all, privilegeWord{p, p})
	}
	slices.SortStableFunc(all, func(a, b privilegeWord) int {
		return strings.Count(b.written, " ") - strings.Count(a.written, " ")
	})
	return all
}

// given is a privilege, with the columns that it is limited to.
type given struct {
	privilege string
	columns   []string
}

// grant reads GRANT after this word (MariaDB: GRANT).
func (r *reader) grant(c *cursor) error {
	if c.accept("PROXY", "ON") {
		return r.grantProxy(c)
	}
	privileges := privilegeList(c)
	if privileges == nil {
		return r.grantRole(c)
	}
	c.want("ON")
	rights := r.rights(c, privileges)
	c.want("TO")
	to := r.grantees(c)
	if rights == nil || to == nil {
		return errNotUnderstood
	}
	if slices.ContainsFunc(to, func(a *Account) bool { return a == nil }) {
		return errNoAccount
	}
	option := rights[0].at()
	if option.Privilege = GrantOption; option.Kind == OnColumn {
		option.Kind, option.Column = OnTable, ""
	}
	each(to, func(a *Account) { a.give(rights) })
	if c.accept("REQUIRE") {
		required := require(c)
		each(to, func(a *Account) { a.Require = required })
	}
	if !c.accept("WITH") {
		return nil
	}
	for !c.done() && !c.failed {
		if c.accept("GRANT", "OPTION") {
			each(to, func(a *Account) { a.Rights = append(a.Rights, option) })
		} else if !limits(c, to) {
			return errNotUnderstood
		}
	}
	return nil
}

// give adds rights; USAGE is none.
func (a *Account) give(rights []Right) {
	for _, right := range rights {
		if right.Privilege != "USAGE" {
			a.Rights = append(a.Rights, right)
		}
	}
}

// privilegeList reads privileges with their columns. Nil means that the words are none.
func privilegeList(c *cursor) []given {
	var all []given
	for {
		p := privilege(c)
		if p == "" {
			return nil
		}
		g := given{privilege: p}
		if c.mark("(") {
			for g.columns = append(g.columns, c.name()); c.mark(","); {
				g.columns = append(g.columns, c.name())
			}
			if !c.mark(")") {
				c.failed = true
			}
		}
		if all = append(all, g); !c.mark(",") {
			return all
		}
	}
}

// rights reads what the privileges are on, and says them in full. Nil is a failure.
func (r *reader) rights(c *cursor, privileges []given) []Right {
	on := Right{Kind: OnTable}
	switch {
	case c.accept("TABLE"):
	case c.accept("FUNCTION"):
		on.Kind = OnFunction
	case c.accept("PROCEDURE"):
		on.Kind = OnProcedure
	case c.accept("PACKAGE", "BODY"):
		on.Kind = OnBody
	case c.accept("PACKAGE"):
		on.Kind = OnPackage
	}
	if c.mark("*") {
		if on.Kind != OnTable || !c.mark(".") || !c.mark("*") {
			return nil
		}
		on.Kind = Global
	} else {
		on.Database = c.name()
		switch {
		case !c.mark("."): // the database is the one that was used, if any
			on.Database, on.Object = r.database, on.Database
		case on.Kind == OnTable && c.mark("*"):
			on.Kind = OnDatabase
		default:
			on.Object = c.name()
		}
		if on.Database == "" || c.failed {
			return nil
		}
	}
	return inFull(on, privileges)
}

// inFull makes a right of each privilege and column. Nil means that there is no such right.
func inFull(on Right, privileges []given) []Right {
	level := append(Privileges(on.Kind), GrantOption)
	var all []Right
	for _, g := range privileges {
		of := []string{g.privilege}
		if g.privilege == All {
			if of = Privileges(on.Kind); g.columns != nil {
				return nil
			}
		}
		for _, p := range of {
			right := on
			right.Privilege = p
			if g.columns == nil {
				if p != "USAGE" && !slices.Contains(level, p) {
					return nil
				}
				all = append(all, right)
			}
			for _, column := range g.columns {
				right.Kind, right.Column = OnColumn, column
				if on.Kind != OnTable || !slices.Contains(Privileges(OnColumn), p) {
					return nil
				}
				all = append(all, right)
			}
		}
	}
	return all
}

// grantees reads names. One that nobody made is nil; a new password is no part of a grant
// unless a server says it.
func (r *reader) grantees(c *cursor) []*Account {
	var all []*Account
	for {
		n, hosted := c.account()
		a := r.find(n, hosted)
		if a == nil && !hosted && (r.live || n.User == Public) {
			a = &Account{Name: n, Role: true}
			r.accounts = append(r.accounts, a)
		}
		if m := methods(c); m != nil && a != nil {
			if a.Methods = m; !r.live {
				c.failed = true
			}
		}
		if all = append(all, a); !c.mark(",") {
			return all
		}
	}
}

func (r *reader) grantProxy(c *cursor) error {
	of, hosted := c.account()
	if !hosted {
		of.Host = anyHost
	}
	c.want("TO")
	to := r.grantees(c)
	right := Right{Kind: OnProxy, Database: of.Host, Object: of.User, Privilege: Proxy}
	option := right
	option.Privilege = GrantOption
	withOption := c.accept("WITH", "GRANT", "OPTION")
	for _, a := range to {
		if a == nil {
			return errNoAccount
		}
		if a.Rights = append(a.Rights, right); withOption {
			a.Rights = append(a.Rights, option)
		}
	}
	return nil
}

func (r *reader) grantRole(c *cursor) error {
	var roles []string
	for {
		roles = append(roles, c.take(word, name, text).value)
		if !c.mark(",") {
			break
		}
	}
	c.want("TO")
	to := r.grantees(c)
	admin := c.accept("WITH", "ADMIN", "OPTION")
	for _, a := range to {
		if a == nil {
			return errNoAccount
		}
		for _, role := range roles {
			if !r.live && !slices.ContainsFunc(r.accounts, func(a *Account) bool { return a.Role && a.Name.User == role }) {
				return errNoAccount
			}
			if a.Rights = append(a.Rights, Right{Kind: OnRole, Object: role, Privilege: Member}); admin {
				a.Rights = append(a.Rights, Right{Kind: OnRole, Object: role, Privilege: AdminOption})
			}
		}
	}
	return nil
}

// revoke reads REVOKE after this word.
func (r *reader) revoke(c *cursor) error {
	adminOnly := c.accept("ADMIN", "OPTION", "FOR")
	privileges := privilegeList(c)
	if adminOnly || privileges == nil {
		return r.revokeRole(c, adminOnly)
	}
	c.want("ON")
	rights := r.rights(c, privileges)
	c.want("FROM")
	from := r.grantees(c)
	if rights == nil || slices.ContainsFunc(from, func(a *Account) bool { return a == nil }) {
		return errNotUnderstood
	}
	each(from, func(a *Account) { a.take(rights) })
	return nil
}

func (a *Account) take(rights []Right) {
	a.Rights = slices.DeleteFunc(a.Rights, func(r Right) bool { return slices.Contains(rights, r) })
}

func (r *reader) revokeRole(c *cursor, adminOnly bool) error {
	role := c.take(word, name, text).value
	c.want("FROM")
	for _, a := range r.grantees(c) {
		if a == nil {
			return errNoAccount
		}
		taken := []Right{{Kind: OnRole, Object: role, Privilege: AdminOption}}
		if !adminOnly {
			taken = append(taken, Right{Kind: OnRole, Object: role, Privilege: Member})
		}
		a.take(taken)
	}
	return nil
}
