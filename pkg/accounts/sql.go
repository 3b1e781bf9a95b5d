package accounts

import (
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/promise"
)

// maxBlock bounds a compound statement, in bytes. MariaDB reads no longer one from an
// init file than 60,000.
const maxBlock = 30_000

// SQL is what the init file of the database does about the document, under an empty
// sql_mode and SET NAMES utf8mb4: it makes databases, and accounts with their rights.
// The accounts of clients that are not there yet are locked. Secrets are placeholders. A
// statement that fails ends the server. It is empty for the zero document.
func (d *Document) SQL(there func(client string) bool) string {
	var all []string
	for _, one := range d.Databases {
		all = append(all, one.statements()...)
	}
	for _, a := range d.Accounts {
		all = append(all, a.statements(!there(a.Client))...)
	}
	if len(all) == 0 {
		return ""
	}
	var text strings.Builder
	for _, block := range blocks(append(all, "FLUSH PRIVILEGES")) {
		text.WriteString("BEGIN NOT ATOMIC\n  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN SHUTDOWN; RESIGNAL; END;\n  " + strings.Join(block, ";\n  ") + ";\nEND//\n")
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// blocks are statements that fit into one compound statement each.
func blocks(statements []string) [][]string {
	var all [][]string
	size := maxBlock
	for _, s := range statements {
		if size += len(s); size > maxBlock {
			all, size = append(all, nil), len(s)
		}
		all[len(all)-1] = append(all[len(all)-1], s)
	}
	return all
}

// statements make a database, and give it its characters, also one that is there.
func (d Database) statements() []string {
	return []string{"CREATE DATABASE IF NOT EXISTS " + quoted(d.Name),
		"ALTER DATABASE " + quoted(d.Name) + " CHARACTER SET " + d.CharacterSet + " COLLATE " + d.Collation}
}

func (a Account) statements(locked bool) []string {
	p := a.Promised(locked)
	name := quoted(p.Name.User) + "@'%'"
	by := "BY '$$" + p.Methods[0].Secret + "$$'"
	if locked {
		by = "VIA " + promise.NativePlugin + " USING '" + promise.NoHash + "'"
	}
	if p.Methods[0].Written != "" {
		by = "BY PASSWORD '" + p.Methods[0].Written + "'"
	}
	made := "CREATE OR REPLACE USER " + name + " IDENTIFIED " + by + " REQUIRE SUBJECT '" + p.Require.Subject + "' AND ISSUER '" + p.Require.Issuer + "'"
	if len(p.Limits) > 0 {
		made += " WITH " + strings.Join(p.Limits, " ")
	}
	if locked {
		made += " ACCOUNT LOCK"
	}
	return append([]string{made}, a.grants(p.Name, name)...)
}

// grants are the statements that give an account its rights. What need not be there yet is
// given by rows, one for each table, column and routine.
func (a Account) grants(to promise.Name, name string) []string {
	given := map[promise.Right][]string{} // privileges, by what they are on
	var objects []promise.Right
	note := func(on promise.Right, privileges ...string) {
		if on.Privilege = ""; given[on] == nil {
			objects, given[on] = append(objects, on), []string{}
		}
		for _, p := range privileges {
			if !slices.Contains(given[on], p) {
				given[on] = append(given[on], p)
			}
		}
	}
	ofColumns := map[promise.Right][]string{} // by table
	for _, r := range a.Rights {
		if note(r, r.Privilege); r.Kind == promise.OnColumn {
			table := promise.Right{Kind: promise.OnTable, Database: r.Database, Object: r.Object}
			note(table)
			ofColumns[table] = append(ofColumns[table], r.Privilege)
		}
	}
	var all []string
	for _, on := range objects {
		if on.Kind == promise.OnDatabase {
			all = append(all, "GRANT "+strings.Join(given[on], ", ")+" ON "+quoted(on.Database)+".* TO "+name)
			continue
		}
		columns := ofColumns[on]
		slices.Sort(columns)
		all = append(all, promise.GrantRow(to, on, given[on], slices.Compact(columns)))
	}
	return all
}

// quoted is a name as SQL has it, whatever is in it.
func quoted(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
