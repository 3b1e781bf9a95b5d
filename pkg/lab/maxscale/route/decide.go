package route

import (
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/lab/maxscale/sql"
)

// Where is where a statement goes.
type Where int

const (
	// Primary is the server that is Master, or that of the open transaction.
	Primary Where = iota
	// Replica is any replica, or the primary if there is none.
	Replica
	// Every is every server that the session is connected to: a command that changes what
	// the session is.
	Every
	// Last is where the statement before went.
	Last
	// Pinned is a replica that has all statements until the transaction ends.
	Pinned
	// Refused is none.
	Refused
)

// Situation is what a session is in when a statement comes.
type Situation struct {
	// Transaction: one is open, or autocommit is off.
	Transaction bool
	// ReadOnly: it was begun as one that only reads, at a replica.
	ReadOnly bool
	// Temporary are the names of the session's temporary tables, in small letters.
	Temporary map[string]bool
	// Prepared are where the statements go that were prepared as texts, by their names.
	Prepared map[string]Where
}

// Decide says where a text goes that has these statements.
func Decide(all []sql.Statement, in Situation) Where {
	if len(all) != 1 {
		return in.write()
	}
	s := all[0]
	switch own := in.alone(s); {
	case own == Every || own == Refused:
		return own
	case in.ReadOnly:
		return Pinned
	case own == Pinned && in.Transaction:
		return Primary
	case in.Transaction && own != Last:
		return Primary
	default:
		return own
	}
}

// write is where goes what may write.
func (in Situation) write() Where {
	if in.ReadOnly {
		return Pinned
	}
	return Primary
}

// alone is where a statement would go without a transaction.
func (in Situation) alone(s sql.Statement) Where {
	switch s.Type {
	case sql.Set:
		return set(s)
	case sql.SetTransaction, sql.Use, sql.Prepare, sql.Deallocate:
		return Every
	case sql.Begin:
		if s.ReadOnly {
			return Pinned
		}
		return Primary
	case sql.Execute:
		return in.Prepared[strings.ToLower(s.Prepared)] // unknown: the primary says so
	case sql.Kill:
		return Refused
	case sql.Select:
		return in.read(s)
	case sql.Show:
		return show(s)
	case sql.Explain:
		if s.Tokens[0].Kind == sql.Word && strings.EqualFold(s.Tokens[0].Text, "ANALYZE") {
			return Primary // it runs the statement
		}
		return in.read(s)
	}
	return Primary
}

// set is where a SET goes: variables of MaxScale itself are refused.
func set(s sql.Statement) Where {
	if slices.ContainsFunc(s.Sets, func(a sql.Assignment) bool { return strings.HasPrefix(a.Name, "@maxscale.") }) {
		return Refused
	}
	return Every
}

func show(s sql.Statement) Where {
	if strings.HasPrefix(s.Show, "MASTER") || strings.HasPrefix(s.Show, "BINARY") || strings.HasPrefix(s.Show, "BINLOG") {
		return Primary
	}
	return Replica
}

// read is where a statement goes that reads, unless it does more than that or reads what is
// at the primary only.
func (in Situation) read(s sql.Statement) Where {
	switch {
	case s.Locks, s.Into, s.Sequence, s.Assigns, s.Broken, s.Executable, len(s.Foreign) > 0:
		return Primary
	case slices.ContainsFunc(s.Functions, atPrimary), slices.ContainsFunc(s.System, func(name string) bool { return name == "identity" || name == "last_insert_id" }):
		return Primary
	case slices.ContainsFunc(s.Tables, func(t sql.Identifier) bool { return in.Temporary[strings.ToLower(t.Name)] }):
		return Primary
	case slices.Contains(s.Functions, "found_rows"):
		return Last
	}
	return Replica
}

// atPrimary reports whether a function says something of the primary's session.
func atPrimary(name string) bool {
	switch name {
	case "get_lock", "release_lock", "release_all_locks", "is_free_lock", "is_used_lock", "last_insert_id":
		return true
	}
	return false
}
