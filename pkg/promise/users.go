package promise

import (
	"fmt"
	"slices"
	"strings"
)

const anyHost = "%"

// NativePlugin is what checks passwords unless a statement says otherwise.
const NativePlugin = "mysql_native_password"

// find returns an account, or nil. Without a host a role is meant if there is one.
func (r *reader) find(n Name, hosted bool) *Account {
	if !hosted {
		for _, a := range r.accounts {
			if a.Role && a.Name.User == n.User {
				return a
			}
		}
		n.Host = anyHost
	}
	for _, a := range r.accounts {
		if !a.Role && a.Name == n {
			return a
		}
	}
	return nil
}

func (r *reader) remove(a *Account) {
	r.accounts = slices.DeleteFunc(r.accounts, func(other *Account) bool { return other == a })
	if !a.Role {
		return
	}
	for _, other := range r.accounts {
		other.Rights = slices.DeleteFunc(other.Rights, func(right Right) bool { return right.Kind == OnRole && right.Object == a.Name.User })
	}
}

// createUser reads CREATE USER after these words (MariaDB: CREATE USER).
func (r *reader) createUser(c *cursor, replace bool) error {
	kept := c.accept("IF", "NOT", "EXISTS")
	var made []*Account
	for {
		n, hosted := c.account()
		if !hosted {
			n.Host = anyHost
		}
		a := &Account{Name: n}
		a.Methods = methods(c)
		if a.Methods == nil {
			a.Methods = []Method{{Plugin: NativePlugin}}
		}
		switch existing := r.find(n, true); {
		case existing == nil:
			r.accounts, made = append(r.accounts, a), append(made, a)
		case replace:
			r.remove(existing)
			r.accounts, made = append(r.accounts, a), append(made, a)
		case !kept:
			return fmt.Errorf("%s exists", n)
		default:
			made = append(made, &Account{}) // what follows is not about the one that exists
		}
		if !c.mark(",") {
			break
		}
	}
	return options(c, made)
}

// alterUser reads ALTER USER after these words.
func (r *reader) alterUser(c *cursor) error {
	c.accept("IF", "EXISTS")
	var changed []*Account
	for {
		a := r.find(c.account())
		if a == nil || a.Role {
			return errNoAccount
		}
		if m := methods(c); m != nil {
			a.Methods = m
		}
		if changed = append(changed, a); !c.mark(",") {
			return options(c, changed)
		}
	}
}

// methods reads what follows the name of a user: nil if nothing does.
func methods(c *cursor) []Method {
	if !c.accept("IDENTIFIED") {
		return nil
	}
	if c.accept("BY", "PASSWORD") {
		stored := c.text()
		m := Method{Plugin: NativePlugin, Given: stored != "", Unusable: unusable(NativePlugin, stored), Stored: Hidden(stored)}
		if !m.Unusable && !strings.Contains(stored, placeholder) {
			m.Written = stored
		}
		return []Method{m}
	}
	if c.accept("BY") {
		return []Method{password(c)}
	}
	if !c.accept("VIA") {
		c.want("WITH")
	}
	all := []Method{method(c)}
	for c.accept("OR") {
		all = append(all, method(c))
	}
	return all
}

// method reads a plugin and what it needs to know.
func method(c *cursor) Method {
	plugin := strings.ToLower(c.take(word, name, text).value)
	m := Method{Plugin: plugin}
	if !c.accept("USING") && !c.accept("AS") {
		return m
	}
	if c.accept("PASSWORD") {
		if !c.mark("(") {
			c.failed = true
		}
		m = password(c)
		if m.Plugin = plugin; !c.mark(")") {
			c.failed = true
		}
		return m
	}
	stored := c.text()
	m.Given, m.Unusable, m.Stored = stored != "", unusable(plugin, stored), Hidden(stored)
	if strings.Contains(stored, placeholder) {
		m.Stored = ""
	}
	return m
}

// password reads a password that stands in a statement, and keeps of it only whose it is.
func password(c *cursor) Method {
	written := c.text()
	m := Method{Plugin: NativePlugin, Given: written != ""}
	inner := strings.Trim(written, "$")
	if written == "$$"+inner+"$$" && strings.HasPrefix(written, placeholder) && !strings.Contains(inner, "$") {
		m.Secret = inner
	}
	return m
}

// options reads REQUIRE, WITH, and what follows them.
func options(c *cursor, of []*Account) error {
	for !c.done() && !c.failed {
		switch {
		case c.accept("REQUIRE"):
			required := require(c)
			each(of, func(a *Account) { a.Require = required })
		case c.accept("WITH"):
			for limits(c, of) {
			}
		case c.accept("ACCOUNT", "LOCK"):
			each(of, func(a *Account) { a.Locked = true })
		case c.accept("ACCOUNT", "UNLOCK"):
			each(of, func(a *Account) { a.Locked = false })
		case c.accept("PASSWORD", "EXPIRE"):
			expiry := expiry(c)
			each(of, func(a *Account) { a.Expiry = expiry })
		default:
			return errNotUnderstood
		}
	}
	return nil
}

func each(of []*Account, do func(*Account)) {
	for _, a := range of {
		do(a)
	}
}

func require(c *cursor) Require {
	switch {
	case c.accept("NONE"):
		return Require{}
	case c.accept("SSL"):
		return Require{Level: "SSL"}
	case c.accept("X509"):
		return Require{Level: "X509"}
	}
	found := Require{Level: "SPECIFIED"}
	for n := 0; ; n++ {
		var into *string
		switch {
		case c.accept("SUBJECT"), c.accept("AND", "SUBJECT"):
			into = &found.Subject
		case c.accept("ISSUER"), c.accept("AND", "ISSUER"):
			into = &found.Issuer
		case c.accept("CIPHER"), c.accept("AND", "CIPHER"):
			into = &found.Cipher
		default:
			c.failed = c.failed || n == 0
			return found
		}
		if *into != "" {
			c.failed = true
		}
		*into = c.text()
	}
}

// LimitNames are the resource options of an account.
func LimitNames() []string {
	return []string{"MAX_QUERIES_PER_HOUR", "MAX_UPDATES_PER_HOUR", "MAX_CONNECTIONS_PER_HOUR", "MAX_USER_CONNECTIONS", "MAX_STATEMENT_TIME"}
}

// limits reads one resource option, and reports whether there was one.
func limits(c *cursor, of []*Account) bool {
	for _, option := range LimitNames() {
		if !c.accept(option) {
			continue
		}
		sign := ""
		if c.mark("-") {
			sign = "-"
		}
		value := sign + c.number()
		each(of, func(a *Account) { a.SetLimit(option, value) })
		return !c.failed
	}
	return false
}

// SetLimit sets a resource option. A value of 0 is none.
func (a *Account) SetLimit(option, value string) {
	a.Limits = slices.DeleteFunc(a.Limits, func(l string) bool { return strings.HasPrefix(l, option+" ") })
	if strings.Contains(value, ".") {
		value = strings.TrimSuffix(strings.TrimRight(value, "0"), ".")
	}
	if strings.Trim(value, "0") != "" {
		a.Limits = append(a.Limits, option+" "+value)
	}
}

func expiry(c *cursor) string {
	switch {
	case c.accept("NEVER"):
		return "never"
	case c.accept("DEFAULT"):
		return ""
	case c.accept("INTERVAL"):
		days := c.number()
		c.want("DAY")
		return "interval " + days
	}
	return "expired"
}

// createRole reads CREATE ROLE after these words. Without WITH ADMIN the server would
// write down an administrator that does not exist.
func (r *reader) createRole(c *cursor, replace bool) error {
	kept := c.accept("IF", "NOT", "EXISTS")
	n, hosted := c.account()
	c.want("WITH", "ADMIN")
	admin := r.find(c.account())
	switch existing := r.find(n, false); {
	case c.failed || hosted || admin == nil:
		return errNotUnderstood
	case existing != nil && kept:
		return nil
	case existing != nil && existing.Role && replace:
		r.remove(existing)
	case existing != nil && existing.Role:
		return fmt.Errorf("%s exists", n)
	}
	r.accounts = append(r.accounts, &Account{Name: n, Role: true})
	admin.Rights = append(admin.Rights, Right{Kind: OnRole, Object: n.User, Privilege: Member}, Right{Kind: OnRole, Object: n.User, Privilege: AdminOption})
	return nil
}

// drop reads DROP USER or DROP ROLE after these words.
func (r *reader) drop(c *cursor) error {
	lenient := c.accept("IF", "EXISTS")
	for {
		n, hosted := c.account()
		switch a := r.find(n, hosted); {
		case a != nil:
			r.remove(a)
		case !lenient:
			return errNoAccount
		}
		if !c.mark(",") {
			return nil
		}
	}
}

// defaultRole reads SET DEFAULT ROLE after these words.
func (r *reader) defaultRole(c *cursor) error {
	role := ""
	if !c.accept("NONE") {
		role = c.take(word, name, text).value
	}
	c.want("FOR")
	a := r.find(c.account())
	if a == nil || a.Role {
		return errNoAccount
	}
	a.DefaultRole = role
	return nil
}
