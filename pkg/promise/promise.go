// Package promise says what a session promises about its database: which settings,
// which accounts with which rights, and which databases. It reads that from the
// configuration file and the account statements that the session injects, and reads
// what a server says of an account with the same grammar, so the two can be compared.
//
// It knows nothing of sessions or connections, does no I/O, and holds no password:
// what it cannot read is named, and promises nothing.
package promise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Promise is what the database must be. The zero value promises nothing.
type Promise struct {
	// File is the configuration file that the server reads, by the server's own path.
	File string `json:"file"`
	// Settings are in the order in which the server reads them: the last of one name holds.
	Settings []Setting `json:"settings"`
	// Accounts are all accounts and roles.
	Accounts []Account `json:"accounts"`
	// Databases are those that the session makes beside MariaDB's own.
	Databases []Database `json:"databases"`
	// Replication is what it may be beside others; nil for one that is alone.
	Replication *Replication `json:"replication,omitempty"`
	// Unclear says what was not understood. Unless it is empty, the rest is not all.
	Unclear []string `json:"unclear"`
}

// Database is one that the session makes.
type Database struct {
	Name string `json:"name"`
	// CharacterSet and Collation are those of new tables; empty means that the session
	// says nothing of it.
	CharacterSet string `json:"characterSet,omitempty"`
	Collation    string `json:"collation,omitempty"`
}

// Setting is one system variable or option.
type Setting struct {
	// Name has underscores for hyphens, and is else as written.
	Name string `json:"name"`
	// Value is as written, without quotes. Bare means that there was none.
	Value string `json:"value"`
	Bare  bool   `json:"bare"`
	// Secret means that the value holds a secret of the session, and is not said.
	Secret bool   `json:"secret"`
	Origin Origin `json:"origin"`
}

// Origin is how a variable got its value, in the words of MariaDB
// (information_schema.SYSTEM_VARIABLES, GLOBAL_VALUE_ORIGIN).
type Origin string

// The origins that a session can give a value.
const (
	FromFile      Origin = "CONFIG"
	FromCommand   Origin = "COMMAND-LINE"
	FromStatement Origin = "SQL"
)

// Document writes the promise as JSON that can stand in a session: it has no dollar and
// no at sign, with which CAS would begin a placeholder.
func (p *Promise) Document() (string, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("writing the promise: %w", err)
	}
	return strings.NewReplacer("$", `\u0024`, "@", `\u0040`).Replace(string(text)), nil
}

// Parse reads a document that Document wrote. Members that it does not know are errors.
func Parse(document []byte) (*Promise, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	var p Promise
	if err := decoder.Decode(&p); err != nil {
		return nil, fmt.Errorf("reading the promise: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("reading the promise: want one JSON object and nothing after it")
	}
	return &p, nil
}

// Account returns the account of this name, or nil.
func (p *Promise) Account(name Name) *Account {
	for i := range p.Accounts {
		if p.Accounts[i].Name == name {
			return &p.Accounts[i]
		}
	}
	return nil
}

// Read reads what a session gives its database: the program's arguments, and the files
// that they name, by path. Secrets must be in the texts as their placeholders.
func Read(command []string, files map[string]string) *Promise {
	p := &Promise{}
	p.readCommand(command)
	if text, ok := files[p.File]; ok {
		p.readFile(text)
	} else {
		p.unclear("the configuration file %q is not in the session", p.File)
	}
	initFile := ""
	for _, s := range p.Settings {
		if s.Name == "init_file" {
			initFile = s.Value
		}
	}
	if text, ok := files[initFile]; ok {
		p.readStatements(text)
	} else {
		p.unclear("the init file %q is not in the session", initFile)
	}
	p.readCluster(files)
	return p
}

func (p *Promise) unclear(format string, arguments ...any) {
	p.Unclear = append(p.Unclear, fmt.Sprintf(format, arguments...))
}

// placeholder begins what CAS replaces by a secret.
const placeholder = "$$SCONE:"
