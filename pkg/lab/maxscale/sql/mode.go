package sql

import "strings"

// Mode is the part of a session's sql_mode that changes how a text is read. The zero value
// is MariaDB's default.
type Mode struct {
	ANSIQuotes         bool // "x" is a name, not a string
	PipesAsConcat      bool // || joins strings; otherwise it is OR
	NoBackslashEscapes bool // \ in a string is itself
	Oracle             bool // Oracle's syntax
}

// ParseMode reads a value of sql_mode: words with commas between them, in any letters.
// Modes that stand for others are those others too. Unknown words are no part of it: a
// server would have refused them.
func ParseMode(value string) (m Mode) {
	for word := range strings.SplitSeq(value, ",") {
		switch strings.ToUpper(strings.TrimSpace(word)) {
		case "ANSI_QUOTES":
			m.ANSIQuotes = true
		case "PIPES_AS_CONCAT":
			m.PipesAsConcat = true
		case "NO_BACKSLASH_ESCAPES":
			m.NoBackslashEscapes = true
		case "ANSI", "DB2", "MAXDB", "MSSQL", "POSTGRESQL":
			m.ANSIQuotes, m.PipesAsConcat = true, true
		case "ORACLE":
			m.ANSIQuotes, m.PipesAsConcat, m.Oracle = true, true, true
		}
	}
	return m
}
