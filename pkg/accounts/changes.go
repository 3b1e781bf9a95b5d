package accounts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/promise"
)

// DroppedError means that a document lacks a database of the one before.
type DroppedError struct{ Name string }

func (e *DroppedError) Error() string {
	return fmt.Sprintf("the database %q is in the accounts document that is in force, and not in this one: no database is dropped", e.Name)
}

// Hint says how to take rights away instead.
func (e *DroppedError) Hint() string {
	return "Keep it under databases. Without an account that names it, no application reaches it."
}

// MovedError means that a document has a database on another shard than the one before.
type MovedError struct {
	Name     string
	From, To int
}

func (e *MovedError) Error() string {
	return fmt.Sprintf("the database %q is on shard %d, and this document has it on shard %d: what is in it would stay behind", e.Name, e.From, e.To)
}

// Hint says how to move what is in it.
func (e *MovedError) Hint() string {
	return "Keep shard as it is. To move the data, add a database of another name on the other shard, and copy it there."
}

// Follow refuses a document that cannot come after another: no database is dropped or moved.
func (d *Document) Follow(before *Document) error {
	for _, old := range before.Databases {
		switch now := d.database(old.Name); {
		case now == nil:
			return &DroppedError{old.Name}
		case now.Shard != old.Shard:
			return &MovedError{old.Name, old.Shard, now.Shard}
		}
	}
	return nil
}

// State is a document, and which of its clients there are. The accounts of others are locked.
type State struct {
	*Document
	There func(client string) bool
}

// Changes are what a database holds otherwise in one state than in the one before. The zero
// value is nothing.
type Changes struct {
	Databases []DatabaseChange
	// Accounts are those that are removed, and then the others in the order of the document.
	Accounts []AccountChange
}

// DatabaseChange is a database that is made, or whose new tables have other characters.
type DatabaseChange struct {
	Before *Database // nil if it is made
	After  Database
}

// AccountChange is an account that is made, removed, or not as before.
type AccountChange struct {
	Name string
	// Before and After are nil if there was, or is, no such account.
	Before, After *Account
	// WasLocked and IsLocked mean that nobody could, and can, log in. They are false for an
	// account that there is not.
	WasLocked, IsLocked bool
	// Gained and Lost are all rights of one that is made, or removed.
	Gained, Lost []promise.Right
}

// Compare says what changes from one state to the next.
func Compare(from, to State) Changes {
	var all Changes
	for _, d := range to.Databases {
		if before := from.database(d.Name); before == nil || *before != d {
			all.Databases = append(all.Databases, DatabaseChange{before, d})
		}
	}
	for i := range from.Accounts {
		if old := &from.Accounts[i]; to.account(old.Name) == nil {
			all.Accounts = append(all.Accounts, changed(from, to, old, nil))
		}
	}
	for i := range to.Accounts {
		a := &to.Accounts[i]
		if c := changed(from, to, from.account(a.Name), a); c.differs() {
			all.Accounts = append(all.Accounts, c)
		}
	}
	return all
}

func changed(from, to State, before, after *Account) AccountChange {
	c := AccountChange{Before: before, After: after}
	var had, has []promise.Right
	if before != nil {
		c.Name, c.WasLocked, had = before.Name, !from.There(before.Client), before.held()
	}
	if after != nil {
		c.Name, c.IsLocked, has = after.Name, !to.There(after.Client), after.held()
	}
	c.Gained, c.Lost = without(has, had), without(had, has)
	return c
}

// differs reports whether there is a change at all.
func (c AccountChange) differs() bool {
	return c.Before == nil || c.After == nil || c.WasLocked != c.IsLocked || len(c.Gained)+len(c.Lost) > 0 ||
		c.Before.Client != c.After.Client || !slices.Equal(c.Before.Limits, c.After.Limits)
}

// held are the rights of an account, each once, as MariaDB tells them apart: routines without
// regard to case.
func (a *Account) held() []promise.Right {
	var all []promise.Right
	for _, r := range a.Rights {
		if r.Kind == promise.OnFunction || r.Kind == promise.OnProcedure {
			r.Object = strings.ToLower(r.Object)
		}
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return all
}

// Words say the changes, who gains or loses what.
func (c Changes) Words() []string {
	var all []string
	for _, d := range c.Databases {
		all = append(all, d.words())
	}
	for _, a := range c.Accounts {
		all = append(all, a.words()...)
	}
	return all
}

func (c DatabaseChange) words() string {
	if c.Before == nil {
		at := ""
		if c.After.Shard > 0 {
			at = fmt.Sprintf(" on shard %d", c.After.Shard)
		}
		return fmt.Sprintf("database %q is made%s, with characters %s", c.After.Name, at, c.After.characters())
	}
	return fmt.Sprintf("database %q: characters %s, after %s", c.After.Name, c.After.characters(), c.Before.characters())
}

// words say what changes for one account. That all accounts of a client are locked with it is
// said of the client.
func (c AccountChange) words() []string {
	var all []string
	say := func(format string, arguments ...any) {
		all = append(all, fmt.Sprintf("account %q ", c.Name)+fmt.Sprintf(format, arguments...))
	}
	switch {
	case c.After == nil:
		say("of client %s is removed, with its rights: %s", c.Before.Client, Said(c.Lost))
		return all
	case c.Before == nil:
		say("of client %s is new, with these rights: %s", c.After.Client, Said(c.Gained))
		if len(c.After.Limits) > 0 {
			say("has limits %s", strings.Join(c.After.Limits, ", "))
		}
		if c.IsLocked {
			say("is locked until client %s is added", c.After.Client)
		}
		return all
	}
	if c.Before.Client != c.After.Client {
		say("belongs to client %s, and no longer to %s", c.After.Client, c.Before.Client)
		if c.IsLocked && !c.WasLocked {
			say("is locked until client %s is added", c.After.Client)
		}
		if !c.IsLocked && c.WasLocked {
			say("is no longer locked")
		}
	}
	if before, after := strings.Join(c.Before.Limits, ", "), strings.Join(c.After.Limits, ", "); before != after {
		say("has limits %s, after %s", orNone(after), orNone(before))
	}
	if len(c.Gained) > 0 {
		say("gains %s", Said(c.Gained))
	}
	if len(c.Lost) > 0 {
		say("loses %s", Said(c.Lost))
	}
	return all
}

func (d *Document) account(name string) *Account {
	at := slices.IndexFunc(d.Accounts, func(a Account) bool { return a.Name == name })
	if at < 0 {
		return nil
	}
	return &d.Accounts[at]
}

func (d *Document) database(name string) *Database {
	at := slices.IndexFunc(d.Databases, func(one Database) bool { return one.Name == name })
	if at < 0 {
		return nil
	}
	return &d.Databases[at]
}

func (d Database) characters() string { return d.CharacterSet + " " + d.Collation }

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

func without(all, others []promise.Right) []promise.Right {
	return slices.DeleteFunc(slices.Clone(all), func(r promise.Right) bool { return slices.Contains(others, r) })
}

// Said says rights in MariaDB's words, those on the same thing together.
func Said(rights []promise.Right) string {
	if len(rights) == 0 {
		return "none"
	}
	var places []string
	privileges := map[string][]string{}
	for _, r := range rights {
		if r.Kind == promise.OnDatabase {
			r.Database = unpattern(r.Database)
		}
		privilege := r.Privilege
		r.Privilege = ""
		place := strings.TrimSpace(r.String())
		if r.Kind == promise.OnColumn {
			place = fmt.Sprintf("ON column %q of %q.%q", r.Column, r.Database, r.Object)
		}
		if privileges[place] == nil {
			places = append(places, place)
		}
		privileges[place] = append(privileges[place], privilege)
	}
	for i, place := range places {
		places[i] = strings.Join(privileges[place], ", ") + " " + place
	}
	return strings.Join(places, "; ")
}
