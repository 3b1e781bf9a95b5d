package accounts

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/promise"
)

// Bounds on a document: what is more is hardly meant, and the init file is read by a
// server that is not up yet.
const (
	maxDatabases = 500
	maxAccounts  = 500
	maxGrants    = 500 // of one account
	maxColumns   = 500
	maxShard     = 999 // how many there are, the release says
)

// Longest names of MariaDB, in characters.
const (
	maxName     = 64
	maxUserName = 128
)

// clientPattern is what names of sessions, of services and of objects of Kubernetes admit.
const (
	clientPattern = `^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$`
	clientWords   = "at most 40 of a-z, 0-9 and -, beginning with a letter"
)

// ReservedClients are names of the session's own.
func ReservedClients() []string { return []string{"client", "db", "database", "probe", "sql"} }

// CheckClient says what is wrong with the name of a client, if anything.
func CheckClient(name string) error {
	switch {
	case !document.NewDecoder("").Matches(clientPattern, name):
		return fmt.Errorf("got %q, want %s", document.Clip(name), clientWords)
	case slices.Contains(ReservedClients(), name):
		return fmt.Errorf("got %q, which is reserved", name)
	}
	return nil
}

// OwnDatabase is made by the session, and can be granted without being listed.
const OwnDatabase = "app"

// systemDatabases are MariaDB's and the session's own. Nobody gets rights there.
func systemDatabases() []string {
	return []string{"mysql", "sys", "information_schema", "performance_schema", "confidb", "confidb_verify"}
}

// ownAccounts are MariaDB's and the session's own, and words that are no names.
func ownAccounts() []string {
	return []string{"root", "mysql", "mariadb.sys", "PUBLIC", "NONE", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"}
}

type decoder struct{ *document.Decoder }

func (d decoder) document(into *Document) document.Field {
	return d.Object(document.Fields{
		"kind":      document.Required(d.Matching(new(string), "^"+Kind+"$", Kind)),
		"databases": document.Each(d.Decoder, &into.Databases, d.database),
		"accounts":  document.Each(d.Decoder, &into.Accounts, d.account),
	}, func(root *document.Node, _ string) { d.together(root, into) })
}

func (d decoder) database(into *Database) document.Field {
	return d.Object(document.Fields{
		"name": document.Required(document.Then(d.name(&into.Name, maxName), func(n *document.Node, path string) {
			if slices.ContainsFunc(append(systemDatabases(), OwnDatabase), func(own string) bool { return strings.EqualFold(own, into.Name) }) {
				d.Fail(n, path, "got %q, which is MariaDB's or the session's own", document.Clip(into.Name))
			}
			if length := folderLength(into.Name); length > maxFolder {
				d.Fail(n, path, "got a name that takes %d characters on disk, want at most %d (other letters than a to z take five)", length, maxFolder)
			}
		})),
		"character-set": d.Matching(&into.CharacterSet, `^[a-z][a-z0-9]{0,31}$`, "the name of a character set, such as utf8mb4"),
		"collation":     d.Matching(&into.Collation, `^[a-z][a-z0-9_]{0,63}$`, "the name of a collation, such as utf8mb4_unicode_ci"),
		"shard":         document.Number(d.Decoder, &into.Shard, 0, maxShard),
	}, func(n *document.Node, path string) { d.characters(into, n, path) })
}

func (d decoder) account(into *Account) document.Field {
	var grants []grant
	return d.Object(document.Fields{
		"name":       document.Required(document.Then(d.name(&into.Name, maxUserName), d.ownAccount(&into.Name))),
		"client":     document.Field{Read: d.client(into), Shape: d.Matching(new(string), clientPattern, clientWords).Shape, Missing: "it is missing: an account without a client could be used by nobody, or by whoever finds its password"},
		"limits":     d.limits(&into.Limits),
		"privileges": document.Required(document.Each(d.Decoder, &grants, d.grant)),
	}, func(n *document.Node, path string) {
		if _, list := document.Lookup(n, "privileges"); len(grants) > maxGrants {
			d.Fail(list, document.Member(path, "privileges"), "got %d entries, want at most %d", len(grants), maxGrants)
		}
		for _, g := range grants {
			into.Rights = append(into.Rights, g.rights()...)
		}
		d.namesOfRoutines(n, path, grants)
	})
}

func (d decoder) client(into *Account) document.Reader {
	return func(n *document.Node, path string) {
		text, ok := d.Scalar(n, path, "the name of a client")
		if !ok {
			return
		}
		if err := CheckClient(text); err != nil {
			d.Fail(n, path, "%v", err)
			return
		}
		into.Client = text
	}
}

func (d decoder) ownAccount(name *string) document.Reader {
	return func(n *document.Node, path string) {
		own := func(other string) bool { return strings.EqualFold(other, *name) }
		if slices.ContainsFunc(ownAccounts(), own) || strings.HasPrefix(strings.ToLower(*name), "confidb_") {
			d.Fail(n, path, "got %q, which is MariaDB's or the session's own", document.Clip(*name))
		}
	}
}

// name reads a name of MariaDB's, whatever is in it that can be written down safely: in
// SQL, in the session, and on the disk.
func (d decoder) name(into *string, most int) document.Field {
	read := func(n *document.Node, path string) {
		text, ok := d.Scalar(n, path, "a name")
		if !ok {
			return
		}
		*into = text
		if problem := wrongName(text, most); problem != "" {
			d.Fail(n, path, "got %q, want a name %s", document.Clip(text), problem)
		}
	}
	return document.Field{Read: read, Shape: func() document.Shape {
		return document.Shape{"type": []string{"string", "number"}, "minLength": 1, "maxLength": most}
	}}
}

// maxFolder is how long the name of a folder may be, in bytes.
const maxFolder = 255

// folderLength is how long the name of a database's folder is at most, in which MariaDB
// writes most characters as @ and four digits.
func folderLength(name string) int {
	length := 0
	for _, r := range name {
		if r < utf8.RuneSelf && (r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)) {
			length++
		} else {
			length += len("@0000")
		}
	}
	return length
}

// wrongName says what a name must be like that a text is not; nothing if it is one.
func wrongName(text string, most int) string {
	switch {
	case text == "":
		return "that is not empty"
	case !utf8.ValidString(text), strings.ContainsFunc(text, func(r rune) bool { return r > 0xffff || document.Invisible(r) || unicode.IsControl(r) }):
		return "of characters that can be seen, and of those of MariaDB's names (up to U+FFFF)"
	case utf8.RuneCountInString(text) > most:
		return fmt.Sprintf("of at most %d characters", most)
	case strings.TrimSpace(text) != text:
		return "without white space at its ends"
	case strings.ContainsAny(text, `*%`):
		return "without * and %: each database, table, routine and account is named, so that nobody reaches another"
	case strings.ContainsAny(text, `\$`) || strings.Contains(text, "@@") || strings.Contains(text, "//") || strings.Contains(text, "{{"):
		return `without \, $, @@, // and {{, which mean something else to those who read the session`
	}
	return ""
}

// limits reads the resource options of an account.
func (d decoder) limits(into *[]string) document.Field {
	known := document.Fields{}
	for _, option := range promise.LimitNames() {
		key := strings.ToLower(strings.ReplaceAll(option, "_", "-"))
		var number int
		known[key] = document.Then(document.Number(d.Decoder, &number, 1, 1<<31-1), func(*document.Node, string) {
			*into = append(*into, option+" "+strconv.Itoa(number))
			slices.Sort(*into)
		})
	}
	return d.Object(known, nil)
}

// grant is one entry of privileges.
type grant struct {
	database, table, function, procedure string
	columns, privileges                  []string
}

func (g grant) on() promise.Right {
	switch {
	case g.function != "":
		return promise.Right{Kind: promise.OnFunction, Database: g.database, Object: g.function}
	case g.procedure != "":
		return promise.Right{Kind: promise.OnProcedure, Database: g.database, Object: g.procedure}
	case g.columns != nil:
		return promise.Right{Kind: promise.OnColumn, Database: g.database, Object: g.table}
	case g.table != "":
		return promise.Right{Kind: promise.OnTable, Database: g.database, Object: g.table}
	}
	return promise.Right{Kind: promise.OnDatabase, Database: pattern(g.database)}
}

// pattern is the name of a database where _ would stand for any character.
func pattern(database string) string { return strings.ReplaceAll(database, "_", `\_`) }

// unpattern is the name of which pattern made one.
func unpattern(pattern string) string { return strings.ReplaceAll(pattern, `\_`, "_") }

func (g grant) rights() []promise.Right {
	var all []promise.Right
	for _, p := range g.privileges {
		right := g.on()
		of := []string{p}
		if p == promise.All {
			of = promise.Privileges(right.Kind)
		}
		for _, right.Privilege = range of {
			if g.columns == nil {
				all = append(all, right)
			}
			for _, right.Column = range g.columns {
				all = append(all, right)
			}
		}
	}
	return all
}

func (d decoder) grant(into *grant) document.Field {
	return d.Object(document.Fields{
		"database":  document.Required(document.Then(d.name(&into.database, maxName), d.grantable(&into.database))),
		"table":     d.name(&into.table, maxName),
		"columns":   document.Each(d.Decoder, &into.columns, func(s *string) document.Field { return d.name(s, maxName) }),
		"function":  d.name(&into.function, maxName),
		"procedure": d.name(&into.procedure, maxName),
		"grant":     document.Required(d.Texts(&into.privileges)),
	}, func(n *document.Node, path string) {
		d.target(n, path, into)
		if _, list := document.Lookup(n, "grant"); list != nil && list.Kind == document.List {
			d.privileges(list, document.Member(path, "grant"), into)
		}
	})
}

func (d decoder) grantable(database *string) document.Reader {
	return func(n *document.Node, path string) {
		if slices.ContainsFunc(systemDatabases(), func(own string) bool { return strings.EqualFold(own, *database) }) {
			d.Fail(n, path, "got %q: whoever has a right there reads or changes what the server obeys", document.Clip(*database))
		}
	}
}

// target sees that an entry is about one thing.
func (d decoder) target(n *document.Node, path string, g *grant) {
	var about []string
	for key, value := range map[string]string{"table": g.table, "function": g.function, "procedure": g.procedure} {
		if value != "" {
			about = append(about, key)
		}
	}
	slices.Sort(about)
	_, columns := document.Lookup(n, "columns")
	switch {
	case len(about) > 1:
		d.Fail(n, path, "got %s, want one of them", strings.Join(about, " and "))
	case columns != nil && g.table == "":
		d.Fail(columns, document.Member(path, "columns"), "got columns without a table")
	case columns != nil && (len(g.columns) == 0 || len(g.columns) > maxColumns):
		d.Fail(columns, document.Member(path, "columns"), "got %d columns, want 1 to %d; leave the key out for all", len(g.columns), maxColumns)
	}
	for i, column := range g.columns {
		if j := slices.IndexFunc(g.columns[:i], func(other string) bool { return strings.EqualFold(other, column) }); j >= 0 {
			d.Fail(columns.Content[i], document.Item(document.Member(path, "columns"), i), "got %q, which MariaDB takes for %q, the same", document.Clip(column), document.Clip(g.columns[j]))
		}
	}
}

// privileges makes MariaDB's own words of those that were written.
func (d decoder) privileges(list *document.Node, path string, g *grant) {
	kind := g.on().Kind
	if len(g.privileges) == 0 {
		d.Fail(list, path, "got none, want %s", strings.Join(promise.Privileges(kind), ", "))
	}
	for i, written := range g.privileges {
		said := promise.Privilege(written)
		g.privileges[i] = said
		level := promise.Privileges(kind)
		switch {
		case slices.Contains(level, said), said == promise.All && kind != promise.OnColumn:
			continue
		case said == promise.GrantOption:
			d.Fail(list.Content[i], document.Item(path, i), "got %s: whoever has it gives rights to others, of which the session would know nothing", said)
		case said != "" && said != "USAGE" && !slices.Contains(promise.Privileges(promise.OnDatabase), said) && slices.Contains(promise.GlobalPrivileges(), said):
			d.Fail(list.Content[i], document.Item(path, i), "got %s, a right on the whole server: no application gets one", said)
		default:
			e := d.Fail(list.Content[i], document.Item(path, i), "got %q, want %s", document.Clip(written), strings.Join(level, ", "))
			e.Advice = document.Suggest(strings.ToUpper(written), level)
		}
	}
}

// namesOfRoutines finds routines that MariaDB takes for one.
func (d decoder) namesOfRoutines(n *document.Node, path string, grants []grant) {
	_, list := document.Lookup(n, "privileges")
	seen := map[string]int{}
	for i, g := range grants {
		name := g.function + g.procedure
		if name == "" {
			continue
		}
		on := g.on()
		key := string(on.Kind) + "\x00" + g.database + "\x00" + strings.ToLower(name)
		if j, again := seen[key]; again {
			d.Fail(list.Content[i], document.Item(document.Member(path, "privileges"), i), "got the same routine as in %s: write it once", document.Item(document.Member(path, "privileges"), j))
		}
		seen[key] = i
	}
}

// together sees that the parts of a document fit.
func (d decoder) together(root *document.Node, all *Document) {
	for key, count := range map[string][2]int{"databases": {len(all.Databases), maxDatabases}, "accounts": {len(all.Accounts), maxAccounts}} {
		if _, list := document.Lookup(root, key); count[0] > count[1] {
			d.Fail(list, key, "got %d, want at most %d", count[0], count[1])
			return
		}
	}
	twice := func(key string, names []string, same func(a, b string) bool) {
		_, list := document.Lookup(root, key)
		for i, name := range names {
			if j := slices.IndexFunc(names[:i], func(other string) bool { return same(name, other) }); j >= 0 && name != "" {
				d.Fail(list.Content[i], document.Member(document.Item(key, i), "name"), "got %q, which is too like %q in %s", document.Clip(name), document.Clip(names[j]), document.Item(key, j))
			}
		}
	}
	known := map[string]bool{OwnDatabase: true}
	var databases, names []string
	for _, one := range all.Databases {
		databases, known[one.Name] = append(databases, one.Name), true
	}
	for _, a := range all.Accounts {
		names = append(names, a.Name)
	}
	twice("databases", databases, func(a, b string) bool { return a == b })
	twice("accounts", names, strings.EqualFold)
	d.knOwnDatabases(root, all, known)
}

// knOwnDatabases sees that there are rights only where the session makes a database.
func (d decoder) knOwnDatabases(root *document.Node, all *Document, known map[string]bool) {
	_, list := document.Lookup(root, "accounts")
	for i := range all.Accounts {
		_, grants := document.Lookup(list.Content[i], "privileges")
		if grants == nil || grants.Kind != document.List {
			continue
		}
		for j, entry := range grants.Content {
			_, n := document.Lookup(entry, "database")
			if n == nil || n.Kind != document.Scalar || known[n.Value] || wrongName(n.Value, maxName) != "" {
				continue
			}
			path := document.Member(document.Item(document.Member(document.Item("accounts", i), "privileges"), j), "database")
			e := d.Fail(n, path, "got %q, want one that is listed under databases, or %s", document.Clip(n.Value), OwnDatabase)
			if e.Advice = document.Suggest(n.Value, slices.Sorted(maps.Keys(known))); e.Advice == "" {
				e.Advice = "add it to databases"
			}
		}
	}
}
