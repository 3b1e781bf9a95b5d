package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/lab/maxscale/backend"
	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// The questions to a server, each of which takes a right of its own (measured, each by
// taking it away). Only the first and the last answer is used; the others are asked as
// MaxScale does, because without them it has no accounts.
const (
	askUsers     = "SELECT User, Host, plugin, authentication_string, ssl_type, Super_priv, is_role, default_role, password_expired, Select_priv FROM mysql.user"
	askDatabases = "SHOW DATABASES"
)

func rights() []string {
	return []string{
		"SELECT DISTINCT User, Host, Db FROM mysql.db",
		"SELECT DISTINCT User, Host, Db FROM mysql.tables_priv",
		"SELECT DISTINCT User, Host, Db FROM mysql.columns_priv",
		"SELECT User, Host FROM mysql.proxies_priv WHERE Proxied_user <> ''",
		"SELECT User, Host, Role FROM mysql.roles_mapping",
	}
}

// asker asks a server.
type asker interface {
	Query(ctx context.Context, sql string) (*backend.Result, error)
}

// read reads the accounts of a server.
func read(ctx context.Context, server asker, version string) (*Table, error) {
	users, err := server.Query(ctx, askUsers)
	if err != nil {
		return nil, err
	}
	for _, sql := range rights() {
		if _, err := server.Query(ctx, sql); err != nil {
			return nil, err
		}
	}
	shown, err := server.Query(ctx, askDatabases)
	if err != nil {
		return nil, err
	}
	var all []Account
	for _, row := range users.Rows {
		a, err := account(row)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	var databases []string
	for _, row := range shown.Rows {
		databases = append(databases, row[0].Text)
	}
	return NewTable(version, all, databases), nil
}

func account(row []backend.Cell) (Account, error) {
	const columns = 10
	if len(row) != columns {
		return Account{}, fmt.Errorf("%d columns of mysql.user: want %d", len(row), columns)
	}
	yes := func(i int) bool { return strings.EqualFold(row[i].Text, "Y") }
	return Account{User: row[0].Text, Host: row[1].Text, Plugin: row[2].Text, Stored: row[3].Text, TLS: row[4].Text, Super: yes(5), Role: yes(6),
		DefaultRole: row[7].Text, Expired: yes(8), AnyDatabase: yes(9)}, nil
}

// problem is the line of the log about a server whose accounts could not be read. What the
// server says of itself is said as MaxScale says it.
func problem(server string, err error) string {
	var refused *wire.Error
	if errors.As(err, &refused) {
		return fmt.Sprintf("Failed to query server '%s' for user account info. Error %d: %s", server, refused.Code, refused.Message)
	}
	return fmt.Sprintf("Failed to query server '%s' for user account info. %v", server, err)
}
