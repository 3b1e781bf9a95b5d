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

// Follow refuses a document that cannot come after another: no database is dropped.
func (d *Document) Follow(before *Document) error {
	for _, old := range before.Databases {
		if !slices.ContainsFunc(d.Databases, func(one Database) bool { return one.Name == old.Name }) {
			return &DroppedError{old.Name}
		}
	}
	return nil
}

// Changes says in words who gains or loses what from one document to the next.
func Changes(from, to *Document) []string {
	var all []string
	say := func(format string, arguments ...any) { all = append(all, fmt.Sprintf(format, arguments...)) }
	for _, d := range to.Databases {
		at := slices.IndexFunc(from.Databases, func(old Database) bool { return old.Name == d.Name })
		switch {
		case at < 0:
			say("database %q is made", d.Name)
		case from.Databases[at] != d:
			say("database %q: characters %s, after %s", d.Name, d.characters(), from.Databases[at].characters())
		}
	}
	for _, a := range from.Accounts {
		if to.account(a.Name) == nil {
			say("account %q of client %s is removed, with its rights: %s", a.Name, a.Client, Said(a.Rights))
		}
	}
	for _, a := range to.Accounts {
		old := from.account(a.Name)
		if old == nil {
			say("account %q of client %s is new, with these rights: %s", a.Name, a.Client, Said(a.Rights))
			continue
		}
		if old.Client != a.Client {
			say("account %q belongs to client %s, and no longer to %s", a.Name, a.Client, old.Client)
		}
		if before, after := strings.Join(old.Limits, ", "), strings.Join(a.Limits, ", "); before != after {
			say("account %q: limits %s, after %s", a.Name, orNone(after), orNone(before))
		}
		if gained := without(a.Rights, old.Rights); len(gained) > 0 {
			say("account %q gains %s", a.Name, Said(gained))
		}
		if lost := without(old.Rights, a.Rights); len(lost) > 0 {
			say("account %q loses %s", a.Name, Said(lost))
		}
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

func (d Database) characters() string {
	return orNone(strings.TrimSpace(d.CharacterSet + " " + d.Collation))
}

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
