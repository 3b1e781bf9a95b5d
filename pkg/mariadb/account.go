package mariadb

import (
	"encoding/json"
	"fmt"
	"strings"
)

// account is a row of mysql.global_priv, without anything that is secret.
type account struct {
	user, host      string
	role, locked    bool
	requirement     int    // what REQUIRE says: one of the require values
	subject, issuer string // what REQUIRE SUBJECT and ISSUER say
	access          uint64 // global privileges, a bit each
	methods         []authMethod
}

// What an account requires of a connection, in the numbers of MariaDB ("ssl_type").
const (
	requireNothing = iota
	requireTLS
	requireCertificate
	requireNames // SUBJECT, ISSUER or CIPHER
)

type authMethod struct {
	plugin    string
	hasSecret bool
}

const maxPrivilegeBytes = 64 << 10

// parseAccount reads the JSON of the column Priv. Members that it does not need are ignored.
func parseAccount(user, host, privileges string) (account, error) {
	if len(privileges) > maxPrivilegeBytes {
		return account{}, fmt.Errorf("account %q@%q: privileges of %d bytes: want at most %d", user, host, len(privileges), maxPrivilegeBytes)
	}
	type method struct {
		Plugin string `json:"plugin"`
		Secret string `json:"authentication_string"`
	}
	var row struct {
		method
		Access       uint64   `json:"access"`
		Role         bool     `json:"is_role"`
		Locked       bool     `json:"account_locked"`
		SSLType      int      `json:"ssl_type"`
		Subject      string   `json:"x509_subject"`
		Issuer       string   `json:"x509_issuer"`
		Alternatives []method `json:"auth_or"`
	}
	if err := json.Unmarshal([]byte(privileges), &row); err != nil {
		// the error's text may hold a piece of what it could not read, and that may be a secret
		return account{}, fmt.Errorf("account %q@%q: privileges are not the JSON that was expected", user, host)
	}
	if row.SSLType < requireNothing || row.SSLType > requireNames {
		return account{}, fmt.Errorf("account %q@%q: ssl_type %d: want 0 to 3", user, host, row.SSLType)
	}
	parsed := account{user: user, host: host, role: row.Role, locked: row.Locked, requirement: row.SSLType,
		subject: row.Subject, issuer: row.Issuer, access: row.Access}
	for _, m := range append([]method{row.method}, row.Alternatives...) {
		if m == (method{}) && len(parsed.methods) > 0 {
			continue // an empty alternative stands for the first method
		}
		parsed.methods = append(parsed.methods, authMethod{plugin: m.Plugin, hasSecret: m.Secret != ""})
	}
	return parsed, nil
}

func (a account) String() string { return fmt.Sprintf("%q@%q", a.user, a.host) }

// usable reports whether somebody can log in as a.
func (a account) usable() bool { return !a.role && !a.locked }

func (a account) uses(plugin string) bool {
	for _, m := range a.methods {
		if m.plugin == plugin {
			return true
		}
	}
	return false
}

// withoutSecret reports whether a password method of a has no password.
func (a account) withoutSecret() bool {
	for _, m := range a.methods {
		if m.plugin != "unix_socket" && !m.hasSecret {
			return true
		}
	}
	return false
}

// excessive lists the global privileges of a with which encryption, logging or
// accounts can be changed, other sessions used, or every table of mysql.* written.
func (a account) excessive() []string {
	privileges := []struct { // bits of MariaDB's mysql.global_priv, member "access"
		bit  uint
		name string
	}{
		{1, "INSERT"}, {2, "UPDATE"}, {3, "DELETE"}, {5, "DROP"}, {7, "SHUTDOWN"}, {9, "FILE"},
		{10, "GRANT OPTION"}, {13, "ALTER"}, {15, "SUPER"}, {25, "CREATE USER"}, {30, "SET USER"},
		{31, "FEDERATED ADMIN"}, {32, "CONNECTION ADMIN"}, {33, "READ_ONLY ADMIN"},
		{34, "REPLICATION SLAVE ADMIN"}, {35, "REPLICATION MASTER ADMIN"}, {36, "BINLOG ADMIN"}, {37, "BINLOG REPLAY"},
	}
	var held []string
	for _, p := range privileges {
		if a.access&(1<<p.bit) != 0 {
			held = append(held, p.name)
		}
	}
	return held
}

// accounts are all rows of mysql.global_priv.
type accounts []account

// usable describes the accounts somebody can log in with that are not as they
// should be; wrong says what is wrong with one, or nothing.
func (all accounts) usable(wrong func(account) string) []string {
	var found []string
	for _, a := range all {
		if !a.usable() {
			continue
		}
		if what := wrong(a); what != "" {
			found = append(found, a.String()+": "+what)
		}
	}
	return found
}

// named reports whether there is a usable account of this name.
func (all accounts) named(user string) bool {
	for _, a := range all {
		if a.user == user && a.usable() {
			return true
		}
	}
	return false
}

// briefly joins at most ten of texts.
func briefly(texts []string) string {
	const most = 10
	if len(texts) > most {
		return fmt.Sprintf("%s; and %d more", strings.Join(texts[:most], "; "), len(texts)-most)
	}
	return strings.Join(texts, "; ")
}
