package topology

import (
	"fmt"
	"net/url"
	"strings"
)

// port is that of the database.
const port = "3306"

// connection is what a client needs to know. The password is a placeholder, and holds
// nothing but hexadecimal digits in its place; paths are those of CA, certificate and key.
type connection struct {
	host, user, password, database string
	paths                          [3]string
}

// settings writes what programs of a kind read.
func (f Form) settings(c connection) (string, error) {
	switch f {
	case FormOptions:
		return c.options(), nil
	case FormGo:
		return c.goDSN()
	case FormURL:
		return c.url(), nil
	case FormJSON:
		return flow(map[string]any{"host": c.host, "port": 3306, "user": c.user, "password": c.password, "database": c.database, "ssl": map[string]string{"ca": c.paths[0], "cert": c.paths[1], "key": c.paths[2]}}) + "\n", nil
	}
	return "", fmt.Errorf("got the form %q, want one of %v", f, Forms())
}

// options is an option file of MariaDB's clients and of those that read one.
func (c connection) options() string {
	quote := func(text string) string { return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"` }
	text := "[client]\nhost = " + c.host + "\nport = " + port + "\nprotocol = tcp\nuser = " + quote(c.user) + "\npassword = " + c.password +
		"\nssl-ca = " + quote(c.paths[0]) + "\nssl-cert = " + quote(c.paths[1]) + "\nssl-key = " + quote(c.paths[2]) + "\nssl-verify-server-cert\ntls-version = TLSv1.2,TLSv1.3\ndefault-character-set = utf8mb4\n"
	if c.database != "" {
		text += "[mariadb-client]\ndatabase = " + quote(c.database) + "\n"
	}
	return text
}

// goDSN is a data source name of the driver go-sql-driver/mysql, under whose name confidb the
// program registers its tls.Config.
func (c connection) goDSN() (string, error) {
	if strings.ContainsAny(c.user, ":@/") {
		return "", fmt.Errorf("the account %q cannot be written in a data source name of Go", c.user)
	}
	return fmt.Sprintf("%s:%s@tcp(%s:%s)/%s?tls=confidb&charset=utf8mb4&parseTime=true", c.user, c.password, c.host, port, url.PathEscape(c.database)), nil
}

// url is what many drivers read.
func (c connection) url() string {
	query := url.Values{"ssl-ca": {c.paths[0]}, "ssl-cert": {c.paths[1]}, "ssl-key": {c.paths[2]}, "ssl-verify-cert": {"true"}}
	return "mysql://" + strings.ReplaceAll(url.QueryEscape(c.user), "+", "%20") + ":" + c.password + "@" + c.host + ":" + port + "/" + url.PathEscape(c.database) + "?" + query.Encode()
}
