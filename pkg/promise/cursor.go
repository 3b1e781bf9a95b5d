package promise

import (
	"slices"
	"strings"
)

// cursor takes tokens off the front of a statement. After the first that is not as it
// must be, failed is set: whoever uses what it returned looks at that before.
type cursor struct {
	tokens []token
	failed bool
}

func (t token) is(keyword string) bool { return t.kind == word && strings.EqualFold(t.value, keyword) }

func (c *cursor) done() bool { return len(c.tokens) == 0 }

// accept takes keywords if all of them follow.
func (c *cursor) accept(keywords ...string) bool {
	if len(c.tokens) < len(keywords) {
		return false
	}
	for i, keyword := range keywords {
		if !c.tokens[i].is(keyword) {
			return false
		}
	}
	c.tokens = c.tokens[len(keywords):]
	return true
}

// mark takes a character if it follows.
func (c *cursor) mark(value string) bool {
	if len(c.tokens) == 0 || c.tokens[0].kind != mark || c.tokens[0].value != value {
		return false
	}
	c.tokens = c.tokens[1:]
	return true
}

// want takes keywords that must follow.
func (c *cursor) want(keywords ...string) {
	if !c.accept(keywords...) {
		c.failed = true
	}
}

// take takes a token of one of kinds.
func (c *cursor) take(kinds ...kind) token {
	if len(c.tokens) > 0 {
		for _, k := range kinds {
			if t := c.tokens[0]; t.kind == k {
				c.tokens = c.tokens[1:]
				return t
			}
		}
	}
	c.failed = true
	return token{}
}

// name takes the name of an object.
func (c *cursor) name() string { return c.take(word, name).value }

// text takes a text between quotes.
func (c *cursor) text() string { return c.take(text).value }

// literal takes a text, a number or a word, with the sign before it.
func (c *cursor) literal() (value, sign string) {
	if c.mark("-") {
		return c.take(number).value, "-"
	}
	t := c.take(text, number, word)
	if t.is("DEFAULT") || t.is("NULL") {
		c.failed = true
	}
	return t.value, ""
}

// object takes the name of a table, with or without its database.
func (c *cursor) object() (database, table string) {
	table = c.name()
	if c.mark(".") {
		database, table = table, c.name()
	}
	return database, table
}

// account takes the name of an account. hosted tells whether the host was written.
func (c *cursor) account() (n Name, hosted bool) {
	t := c.take(word, name, text)
	if t.kind == word && (t.is("CURRENT_USER") || t.is("CURRENT_ROLE") || t.is("SESSION_USER") || t.is("USER") || t.is("NONE")) {
		c.failed = true
	}
	n.User = t.value
	if !c.mark("@") {
		return n, false
	}
	n.Host = c.take(word, name, text).value
	for c.mark(".") { // 10.0.0.1 without quotes is not understood: it ends in a failure below
		c.failed = true
	}
	return n, true
}

// number takes a number, as it is written.
func (c *cursor) number() string { return c.take(number).value }

// sentinel is the value by which an init file says that it ran to its end: a secret of the
// session, hashed with the time of this start.
const sentinel = `SHA2(CONCAT('$$SCONE::start_secret:hex$$', ':', (SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE
	FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME')), 256)`

// acceptSentinel takes the sentinel if nothing else follows.
func (c *cursor) acceptSentinel() bool {
	want, err := cut(sentinel)
	if err != nil || !slices.EqualFunc(c.tokens, want[:len(want)-1], func(a, b token) bool { return a.kind == b.kind && a.value == b.value }) {
		return false
	}
	c.tokens = nil
	return true
}
