package mariadb

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/promise"
)

type (
	// account is a row of mysql.global_priv, and accounts are all of them.
	account  = promise.Account
	accounts = ask.Accounts
)

const socketPlugin = "unix_socket"

// usable reports whether somebody can log in as a.
func usable(a account) bool { return !a.Role && !a.Locked }

func uses(a account, plugin string) bool {
	return slices.ContainsFunc(a.Methods, func(m promise.Method) bool { return m.Plugin == plugin })
}

// withoutSecret reports whether a password method of a has no password.
func withoutSecret(a account) bool {
	return slices.ContainsFunc(a.Methods, func(m promise.Method) bool { return m.Plugin != socketPlugin && !m.Given })
}

// dangerous are the privileges with which encryption, logging or accounts can be changed,
// other sessions used, or every table written.
func dangerous() []string {
	return []string{promise.All, "INSERT", "UPDATE", "DELETE", "DROP", "SHUTDOWN", "FILE", promise.GrantOption, "ALTER", "SUPER", "CREATE USER", "SET USER",
		"FEDERATED ADMIN", "CONNECTION ADMIN", "READ_ONLY ADMIN", "REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "BINLOG ADMIN", "BINLOG REPLAY"}
}

// excessive lists the dangerous rights of an account on everything, and on tables of the
// server's own.
func excessive(a account) []string {
	var held []string
	for _, privilege := range dangerous() {
		for _, r := range a.Rights {
			if r.Privilege != privilege {
				continue
			}
			if r.Kind == promise.Global {
				held = append(held, privilege)
			} else if r.Kind == promise.OnDatabase && promise.Matches(r.Database, "mysql") || r.Kind == promise.OnTable && r.Database == "mysql" {
				held = append(held, r.String())
			}
		}
	}
	return held
}

// faulty describes the accounts somebody can log in with that are not as they
// should be; wrong says what is wrong with one, or nothing.
func faulty(all accounts, wrong func(account) string) []string {
	var found []string
	for _, a := range all {
		if !usable(a) {
			continue
		}
		if what := wrong(a); what != "" {
			found = append(found, a.Name.String()+": "+what)
		}
	}
	return found
}

// known reports whether there is a usable account of this name.
func known(all accounts, user string) bool {
	return slices.ContainsFunc(all, func(a account) bool { return a.Name.User == user && usable(a) })
}

// briefly joins at most ten of texts.
func briefly(texts []string) string {
	const most = 10
	if len(texts) > most {
		return fmt.Sprintf("%s; and %d more", strings.Join(texts[:most], "; "), len(texts)-most)
	}
	return strings.Join(texts, "; ")
}
