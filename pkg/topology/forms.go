package topology

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/document"
)

// Form is what a file says. No form lets a program connect without TLS, or to a server that
// the CA does not vouch for.
type Form string

// The forms.
const (
	FormCA          Form = "ca"
	FormCertificate Form = "certificate"
	FormKey         Form = "key"
	FormPassword    Form = "password"
	// FormPKCS12 is a key store for Java: key, certificate and chain. CAS encrypts it with the
	// empty text as its password, and can make no trust store.
	FormPKCS12 Form = "pkcs12"
	// FormOptions is an option file: MariaDB's own programs, and what stands on its library,
	// such as Python's mysqlclient.
	FormOptions Form = "my.cnf"
	// FormGo is a data source name of github.com/go-sql-driver/mysql, under whose name confidb
	// the program registers its tls.Config.
	FormGo Form = "go-dsn"
	// FormURL has the words of MySQL's own URLs, which Rust's sqlx reads.
	FormURL Form = "url"
	// FormJSON is for programs that put their settings together themselves: no driver takes its
	// words as they are, so that none leaves out the verification.
	FormJSON Form = "json"
	// FormJDBC are properties for MariaDB Connector/J, beside the URL to connect to.
	FormJDBC Form = "jdbc"
	// FormPython is JSON with the keyword arguments of PyMySQL and MySQL Connector/Python.
	FormPython Form = "python"
	// FormNode is JSON with the options of mysql, mysql2 and mariadb, certificates and key in it.
	FormNode Form = "nodejs"
	// FormPHP is a PHP file that returns the arguments of PDO.
	FormPHP Form = "php"
	// FormDotNet is a connection string of MySqlConnector.
	FormDotNet Form = "dotnet"
	// FormEnvironment are variables: lines NAME='value', which shells, Docker Compose and readers
	// of .env files take, or, at InEnvironment, the environment of the program.
	FormEnvironment Form = "env"
)

// InEnvironment stands for a path where a form is to be the environment of the program, which
// CAS fills in as it does files: the host does not see it.
const InEnvironment = "environment"

// Forms are all, in an order for people.
func Forms() []Form {
	return []Form{FormCA, FormCertificate, FormKey, FormPassword, FormPKCS12, FormOptions, FormGo, FormURL, FormJSON, FormJDBC, FormPython, FormNode, FormPHP, FormDotNet, FormEnvironment}
}

// port is that of the database.
const port = "3306"

// connection is what a client needs to know. The password is a placeholder, and holds
// nothing but hexadecimal digits in its place; so are texts, which hold PEM. Paths are those
// of the forms that a form names.
type connection struct {
	host, user, password, database string
	paths, texts                   map[Form]string
}

// names are the forms whose paths a form names.
func (f Form) names() []Form {
	switch f {
	case FormOptions, FormURL, FormJSON, FormPython, FormPHP, FormDotNet, FormEnvironment:
		return []Form{FormCA, FormCertificate, FormKey}
	case FormGo: // the program reads them, so they must be there
		return []Form{FormCA, FormCertificate, FormKey}
	case FormJDBC:
		return []Form{FormCA, FormPKCS12}
	}
	return nil
}

// settings writes what programs of a kind read. What cannot be written in their words is
// refused.
func (f Form) settings(c connection) (string, error) {
	if err := c.check(f); err != nil {
		return "", err
	}
	switch f {
	case FormOptions:
		return c.options(), nil
	case FormGo:
		return c.goDSN(), nil
	case FormURL:
		return c.url(), nil
	case FormJSON:
		return c.neutral(), nil
	case FormJDBC:
		return c.properties(), nil
	case FormPython:
		return c.keywords(), nil
	case FormNode:
		return c.node(), nil
	case FormPHP:
		return c.php(), nil
	case FormDotNet:
		return c.dotNet(), nil
	case FormEnvironment:
		return c.lines(), nil
	}
	return "", fmt.Errorf("got the form %q, want one of %v", f, Forms())
}

// unwritable are the characters for which the readers of a form have no way of writing: in the
// name of the account, in that of the database, in a path.
func (f Form) unwritable() (user, database, path string) {
	switch f {
	case FormGo: // what is before the first colon is the account
		return ":", "", ""
	case FormJDBC: // Connector/J decodes nothing in its URL, and ends the database there
		return "", "?", ""
	case FormEnvironment: // readers of .env files differ in what these mean between quotes
		return `'\$`, `'\$`, `'\$`
	}
	return "", "", ""
}

// check refuses what a form cannot say.
func (c connection) check(f Form) error {
	user, database, path := f.unwritable()
	all := []struct{ what, text, without string }{{"account", c.user, user}, {"database", c.database, database}}
	for _, of := range f.names() {
		all = append(all, struct{ what, text, without string }{"path", c.paths[of], path})
	}
	for _, one := range all {
		bad := func(r rune) bool {
			return strings.ContainsRune(one.without, r) || unicode.IsControl(r) || document.Invisible(r)
		}
		at := strings.IndexFunc(one.text, bad)
		switch {
		case !utf8.ValidString(one.text), strings.Contains(one.text, "$$"):
			return fmt.Errorf("the %s %q cannot be written in the form %s", one.what, document.Clip(one.text), f)
		case at >= 0:
			r, _ := utf8.DecodeRuneInString(one.text[at:])
			return fmt.Errorf("the %s %q cannot be written in the form %s: it has no way to say %q", one.what, document.Clip(one.text), f, r)
		}
	}
	return nil
}

// options is an option file. Between quotes, MariaDB's readers understand \" and \\. Without its
// value, the library (and so all but MariaDB's own programs) takes ssl-verify-server-cert for off.
func (c connection) options() string {
	quote := func(text string) string { return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"` }
	text := "[client]\nhost = " + c.host + "\nport = " + port + "\nprotocol = tcp\nuser = " + quote(c.user) + "\npassword = " + c.password +
		"\nssl-ca = " + quote(c.paths[FormCA]) + "\nssl-cert = " + quote(c.paths[FormCertificate]) + "\nssl-key = " + quote(c.paths[FormKey]) + "\nssl-verify-server-cert = 1\ntls-version = TLSv1.2,TLSv1.3\ndefault-character-set = utf8mb4\n"
	if c.database != "" {
		text += "[mariadb-client]\ndatabase = " + quote(c.database) + "\n"
	}
	return text
}

func (c connection) goDSN() string {
	return fmt.Sprintf("%s:%s@tcp(%s:%s)/%s?tls=confidb&charset=utf8mb4&parseTime=true", c.user, c.password, c.host, port, url.PathEscape(c.database))
}

func (c connection) url() string {
	query := url.Values{"ssl-ca": {c.paths[FormCA]}, "ssl-cert": {c.paths[FormCertificate]}, "ssl-key": {c.paths[FormKey]}, "ssl-mode": {"VERIFY_IDENTITY"}}
	escape := func(text string) string { return strings.ReplaceAll(text, "+", "%20") } // a plus is a plus to many
	return "mysql://" + escape(url.QueryEscape(c.user)) + ":" + c.password + "@" + c.host + ":" + port + "/" + escape(url.QueryEscape(c.database)) + "?" + escape(query.Encode())
}

// object is what all kinds of JSON have, with more.
func (c connection) object(more map[string]any) string {
	all := map[string]any{"host": c.host, "port": 3306, "user": c.user, "password": c.password}
	if c.database != "" {
		all["database"] = c.database
	}
	for name, value := range more {
		all[name] = value
	}
	return flow(all) + "\n"
}

func (c connection) neutral() string {
	return c.object(map[string]any{"tls": map[string]string{"ca": c.paths[FormCA], "certificate": c.paths[FormCertificate], "key": c.paths[FormKey], "verify": "chain and host"}})
}

// keywords are flat, as mysqlclient would take a dictionary ssl, and verify nothing.
func (c connection) keywords() string {
	return c.object(map[string]any{"charset": "utf8mb4", "ssl_ca": c.paths[FormCA], "ssl_cert": c.paths[FormCertificate], "ssl_key": c.paths[FormKey], "ssl_verify_cert": true, "ssl_verify_identity": true})
}

// node has PEM where other forms have paths: these drivers read no files.
func (c connection) node() string {
	return c.object(map[string]any{"charset": "utf8mb4", "ssl": map[string]any{"ca": c.texts[FormCA], "cert": c.texts[FormCertificate], "key": c.texts[FormKey], "minVersion": "TLSv1.2", "rejectUnauthorized": true, "verifyIdentity": true}})
}

// properties are a file of java.util.Properties. The URL by itself wants a server that the
// system's own authorities vouch for: whoever forgets the properties is refused. useSsl is the
// word of Connector/J before 3.0.
func (c connection) properties() string {
	var b strings.Builder
	for _, one := range [][2]string{
		{"url", "jdbc:mariadb://" + c.host + ":" + port + "/" + c.database + "?useSsl=true&sslMode=verify-full"}, {"user", c.user}, {"password", c.password},
		{"useSsl", "true"}, {"sslMode", "verify-full"}, {"serverSslCert", c.paths[FormCA]}, {"keyStore", c.paths[FormPKCS12]}, {"keyStoreType", "PKCS12"}, {"keyStorePassword", ""},
	} {
		b.WriteString(one[0] + "=" + property(one[1]) + "\n")
	}
	return b.String()
}

// property writes a value of java.util.Properties, in ASCII: readers take other bytes for Latin-1.
func property(text string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		switch {
		case unit == '\\', unit == ' ' && b.Len() == 0:
			b.WriteString(`\` + string(rune(unit)))
		case unit < 0x20, unit > 0x7e:
			fmt.Fprintf(&b, `\u%04x`, unit)
		default:
			b.WriteByte(byte(unit))
		}
	}
	return b.String()
}

// php is a file to require. In a data source name of PDO, two semicolons are one.
func (c connection) php() string {
	quote := func(text string) string { return `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + `'` }
	source := "mysql:host=" + c.host + ";port=" + port
	if c.database != "" {
		source += ";dbname=" + strings.ReplaceAll(c.database, ";", ";;")
	}
	text := "<?php\nreturn [\n    'dsn' => " + quote(source+";charset=utf8mb4") + ",\n    'username' => " + quote(c.user) + ",\n    'password' => " + quote(c.password) + ",\n    'options' => [\n"
	for _, one := range []struct{ name, value string }{{"CA", quote(c.paths[FormCA])}, {"CERT", quote(c.paths[FormCertificate])}, {"KEY", quote(c.paths[FormKey])}, {"VERIFY_SERVER_CERT", "true"}} {
		text += "        PDO::MYSQL_ATTR_SSL_" + one.name + " => " + one.value + ",\n"
	}
	return text + "    ],\n];\n"
}

// dotNet follows System.Data.Common.DbConnectionStringBuilder: between double quotes, two of
// them are one.
func (c connection) dotNet() string {
	quote := func(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }
	text := "Server=" + c.host + ";Port=" + port + ";User ID=" + quote(c.user) + ";Password=" + c.password
	if c.database != "" {
		text += ";Database=" + quote(c.database)
	}
	return text + ";SslMode=VerifyFull;SslCa=" + quote(c.paths[FormCA]) + ";SslCert=" + quote(c.paths[FormCertificate]) + ";SslKey=" + quote(c.paths[FormKey])
}

// variables are those of the form env.
func (c connection) variables() map[string]string {
	all := map[string]string{"DATABASE_URL": c.url(), "MYSQL_HOST": c.host, "MYSQL_PORT": port, "MYSQL_USER": c.user, "MYSQL_PASSWORD": c.password,
		"MYSQL_SSL_MODE": "VERIFY_IDENTITY", "MYSQL_SSL_CA": c.paths[FormCA], "MYSQL_SSL_CERT": c.paths[FormCertificate], "MYSQL_SSL_KEY": c.paths[FormKey]}
	if c.database != "" {
		all["MYSQL_DATABASE"] = c.database
	}
	return all
}

func (c connection) lines() string {
	var all []string
	for name, value := range c.variables() {
		all = append(all, name+"='"+value+"'\n")
	}
	slices.Sort(all)
	return strings.Join(all, "")
}
