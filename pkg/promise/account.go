package promise

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Name is the name of an account; that of a role has no host.
type Name struct {
	User string `json:"user"`
	Host string `json:"host"`
}

// Public is the role that everybody has.
const Public = "PUBLIC"

// String writes a name as MariaDB does, each part on one line and quoted.
func (n Name) String() string {
	if n.Host == "" {
		return fmt.Sprintf("role %q", n.User)
	}
	return fmt.Sprintf("%q@%q", n.User, n.Host)
}

// Account is an account or a role.
type Account struct {
	Name Name `json:"name"`
	Role bool `json:"role"`
	// Methods are the ways to log in, of which one is enough. A role has none.
	Methods []Method `json:"methods"`
	Require Require  `json:"require"`
	Locked  bool     `json:"locked"`
	// Expiry is "expired", "never", "interval N" in days, or empty for the server's default.
	Expiry string `json:"expiry"`
	// Limits are the resource options that are not 0, in MariaDB's words: MAX_QUERIES_PER_HOUR 5.
	Limits      []string `json:"limits"`
	DefaultRole string   `json:"defaultRole"`
	// Rights are sorted, and hold no right twice.
	Rights []Right `json:"rights"`
}

// Method is an authentication plugin with what it needs to know.
type Method struct {
	Plugin string `json:"plugin"`
	// Given means that there is a password, or what the plugin has in its place.
	Given bool `json:"given"`
	// Secret is the placeholder that the whole password consists of, without its dollars:
	// SCONE::name:hex. Empty means that it is not known.
	Secret string `json:"secret"`
	// Unusable means that no password is the right one.
	Unusable bool `json:"unusable"`
	// Written is what the server keeps of a password of which the session says no more: that
	// of somebody outside, who alone has it.
	Written string `json:"written,omitempty"`
	// Stored is what the server keeps of the password. It never leaves the program.
	Stored Hidden `json:"-"`
}

// NoHash is what MariaDB keeps in the place of a password that nobody can have, as its
// installer does.
const NoHash = "invalid"

// unusable reports whether what a plugin keeps is of no password.
func unusable(plugin, stored string) bool { return plugin == NativePlugin && stored == NoHash }

// Hidden is a text that is compared and never shown.
type Hidden string

// String hides the text.
func (Hidden) String() string { return "(hidden)" }

// GoString hides the text.
func (Hidden) GoString() string { return "(hidden)" }

// Require is what an account demands of a connection. The zero value demands nothing.
type Require struct {
	// Level is empty, SSL, X509 or SPECIFIED, as REQUIRE has it.
	Level   string `json:"level"`
	Cipher  string `json:"cipher"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// Right is one privilege on one object.
type Right struct {
	Kind Kind `json:"kind"`
	// Database and Object name what it is on; Column is for rights on columns.
	Database string `json:"database"`
	Object   string `json:"object"`
	Column   string `json:"column"`
	// Privilege is in MariaDB's words: SELECT, GRANT OPTION, ALL PRIVILEGES.
	Privilege string `json:"privilege"`
}

// Kind is what a right is on.
type Kind string

// The kinds. Those of routines are MariaDB's words.
const (
	Global      Kind = "global"
	OnDatabase  Kind = "database"
	OnTable     Kind = "table"
	OnColumn    Kind = "column"
	OnFunction  Kind = "FUNCTION"
	OnProcedure Kind = "PROCEDURE"
	OnPackage   Kind = "PACKAGE"
	OnBody      Kind = "PACKAGE BODY"
	OnProxy     Kind = "proxy" // Object is the user, Database the host
	OnRole      Kind = "role"  // Object is the role
)

// Privileges that are no words of the levels below.
const (
	All         = "ALL PRIVILEGES"
	GrantOption = "GRANT OPTION"
	Member      = "MEMBER"
	AdminOption = "ADMIN OPTION"
	Proxy       = "PROXY"
)

// String says the right as a statement would.
func (r Right) String() string {
	switch r.Kind {
	case Global:
		return r.Privilege + " ON *.*"
	case OnDatabase:
		return fmt.Sprintf("%s ON %q.*", r.Privilege, r.Database)
	case OnTable:
		return fmt.Sprintf("%s ON %q.%q", r.Privilege, r.Database, r.Object)
	case OnColumn:
		return fmt.Sprintf("%s(%q) ON %q.%q", r.Privilege, r.Column, r.Database, r.Object)
	case OnProxy:
		return fmt.Sprintf("%s ON %s", r.Privilege, Name{r.Object, r.Database})
	case OnRole:
		return fmt.Sprintf("%s OF role %q", r.Privilege, r.Object)
	}
	return fmt.Sprintf("%s ON %s %q.%q", r.Privilege, r.Kind, r.Database, r.Object)
}

func (r Right) compare(other Right) int {
	return cmp.Or(cmp.Compare(r.Kind, other.Kind), cmp.Compare(r.Database, other.Database), cmp.Compare(r.Object, other.Object),
		cmp.Compare(r.Column, other.Column), cmp.Compare(r.Privilege, other.Privilege))
}

// at is the right's object without the privilege.
func (r Right) at() Right { r.Privilege = ""; return r }

// GlobalPrivileges are the privileges on *.* in the order of their bits in
// mysql.global_priv, member access.
func GlobalPrivileges() []string {
	return []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "RELOAD", "SHUTDOWN", "PROCESS", "FILE", GrantOption, "REFERENCES",
		"INDEX", "ALTER", "SHOW DATABASES", "SUPER", "CREATE TEMPORARY TABLES", "LOCK TABLES", "EXECUTE", "REPLICATION SLAVE", "BINLOG MONITOR",
		"CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "CREATE USER", "EVENT", "TRIGGER", "CREATE TABLESPACE", "DELETE HISTORY",
		"SET USER", "FEDERATED ADMIN", "CONNECTION ADMIN", "READ_ONLY ADMIN", "REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN",
		"BINLOG ADMIN", "BINLOG REPLAY", "SLAVE MONITOR"}
}

// Privileges are all privileges of a kind but the grant option, as MariaDB 10.11 has them.
func Privileges(k Kind) []string {
	switch k {
	case Global:
		return slices.DeleteFunc(GlobalPrivileges(), func(p string) bool { return p == GrantOption })
	case OnDatabase:
		return []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE TEMPORARY TABLES", "LOCK TABLES",
			"CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE", "EVENT", "TRIGGER", "DELETE HISTORY"}
	case OnTable:
		return []string{"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE VIEW", "SHOW VIEW", "TRIGGER", "DELETE HISTORY"}
	case OnColumn:
		return []string{"SELECT", "INSERT", "UPDATE", "REFERENCES"}
	case OnFunction, OnProcedure, OnPackage, OnBody:
		return []string{"EXECUTE", "ALTER ROUTINE"}
	}
	return nil
}

// Arrange sorts the rights, leaves out what is there twice, and says all privileges of
// one object as ALL PRIVILEGES, as SHOW GRANTS does. Routines are written in small letters:
// MariaDB takes END and end for the same, and says now this and now that.
func (a *Account) Arrange() {
	for i, r := range a.Rights {
		if r.Kind == OnFunction || r.Kind == OnProcedure || r.Kind == OnPackage || r.Kind == OnBody {
			a.Rights[i].Object = strings.ToLower(r.Object)
		}
	}
	slices.SortFunc(a.Rights, Right.compare)
	a.Rights = slices.Compact(a.Rights)
	var arranged []Right
	for begin := 0; begin < len(a.Rights); {
		at, n := a.Rights[begin].at(), begin
		for n < len(a.Rights) && a.Rights[n].at() == at {
			n++
		}
		arranged = append(arranged, collapse(a.Rights[begin:n])...)
		begin = n
	}
	slices.SortFunc(arranged, Right.compare)
	a.Rights = arranged
	slices.Sort(a.Limits)
}

// collapse says the rights on one object as ALL PRIVILEGES if they are all.
func collapse(rights []Right) []Right {
	at := rights[0].at()
	level := Privileges(at.Kind)
	has := func(privilege string) bool {
		r := at
		r.Privilege = privilege
		return slices.Contains(rights, r)
	}
	all := has(All)
	if !all && (len(level) == 0 || at.Kind == OnColumn || slices.ContainsFunc(level, func(p string) bool { return !has(p) })) {
		return rights
	}
	at.Privilege = All
	collapsed := []Right{at}
	if has(GrantOption) {
		at.Privilege = GrantOption
		collapsed = append(collapsed, at)
	}
	return collapsed
}

// Has reports whether the account has a privilege on an object of a database by a right
// on everything, on the database, or on the object itself.
func (a *Account) Has(privilege, database, object string) bool {
	return slices.ContainsFunc(a.Rights, func(r Right) bool {
		if r.Privilege != privilege && r.Privilege != All {
			return false
		}
		return r.Kind == Global || r.Kind == OnDatabase && Matches(r.Database, database) ||
			r.Kind == OnTable && r.Database == database && r.Object == object
	})
}

// Matches reports whether a database is meant by the name of a right on a database, where
// _ stands for a character, % for any number of them, and a backslash takes that away.
func Matches(pattern, database string) bool {
	if pattern == "" {
		return database == ""
	}
	switch c := pattern[0]; {
	case c == '%':
		for i := range len(database) + 1 {
			if Matches(pattern[1:], database[i:]) {
				return true
			}
		}
		return false
	case c == '_':
		return database != "" && Matches(pattern[1:], database[1:])
	case c == '\\' && len(pattern) > 1:
		pattern = pattern[1:]
	}
	return database != "" && pattern[0] == database[0] && Matches(pattern[1:], database[1:])
}

// Differences says in which way got is not the account that was promised. What is stored
// of a password is compared where want knows it, and never said.
func (a *Account) Differences(got *Account) []string {
	var all []string
	differ := func(what string, want, got any) {
		if want, got := fmt.Sprint(want), fmt.Sprint(got); want != got {
			all = append(all, fmt.Sprintf("%s %s: got %q, want %q", a.Name, what, got, want))
		}
	}
	differ("is a role", a.Role, got.Role)
	differ("is locked", a.Locked, got.Locked)
	differ("password expiry", a.Expiry, got.Expiry)
	differ("limits", strings.Join(a.Limits, " "), strings.Join(got.Limits, " "))
	differ("default role", a.DefaultRole, got.DefaultRole)
	differ("requires", a.Require, got.Require)
	differ("authentication", plugins(a.Methods), plugins(got.Methods))
	if all == nil && slices.ContainsFunc(a.Methods, func(m Method) bool { return m.Stored != "" }) {
		for i, m := range a.Methods {
			if m.Stored != "" && m.Stored != got.Methods[i].Stored {
				all = append(all, a.Name.String()+" has another password")
			}
		}
	}
	return append(all, a.rightsBeside(got)...)
}

func (r Require) String() string {
	return strings.Join([]string{r.Level, r.Cipher, r.Issuer, r.Subject}, " ")
}

// plugins says by what one logs in, and whether there is a password.
func plugins(methods []Method) string {
	var all []string
	for _, m := range methods {
		all = append(all, m.Plugin)
		switch {
		case !m.Given:
			all[len(all)-1] += " without password"
		case m.Unusable:
			all[len(all)-1] += " with what no password is"
		}
	}
	return strings.Join(all, " or ")
}

// rightsBeside says which rights got has beyond, or lacks of, those of a.
func (a *Account) rightsBeside(got *Account) []string {
	var all []string
	for _, r := range got.Rights {
		if !slices.Contains(a.Rights, r) {
			all = append(all, fmt.Sprintf("%s has %s", a.Name, r))
		}
	}
	for _, r := range a.Rights {
		if !slices.Contains(got.Rights, r) {
			all = append(all, fmt.Sprintf("%s lacks %s", a.Name, r))
		}
	}
	return all
}
