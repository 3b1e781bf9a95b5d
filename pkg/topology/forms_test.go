package topology

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// said is what a reader of a form understands.
type said struct{ host, user, password, database, ca, certificate, key, store string }

// understood are readers, which read the forms by the rules of those who read them, written down here once more.
func understood() map[Form]func(t *testing.T, text string) said {
	goSource := regexp.MustCompile(`^([^:]*):([^:]*)@tcp\(([^()]*):3306\)/([^/]*)\?tls=confidb&charset=utf8mb4&parseTime=true$`)
	escapes := regexp.MustCompile(`(?:\\u[0-9a-f]{4})+|\\.`)
	phpValue := regexp.MustCompile(`(?m)^ +('[a-z]+'|PDO::[A-Z_]+) => (?:'((?:[^'\\]|\\.)*)'|(true)|\[),?$`)
	dotNetValue := regexp.MustCompile(`([A-Za-z ]+)=(?:"((?:[^"]|"")*)"|([^";]*))(?:;|$)`)
	envLine := regexp.MustCompile(`^([A-Z_]+)='([^'\\$]*)'\n$`)
	return map[Form]func(*testing.T, string) said{
		FormOptions: func(t *testing.T, text string) said {
			v := map[string]string{}
			for line := range strings.Lines(text) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
				if inner, ok := strings.CutPrefix(value, `"`); ok {
					value = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n", `\t`, "\t", `\s`, " ").Replace(strings.TrimSuffix(inner, `"`))
				}
				v[name] = value
			}
			wants(t, v, map[string]string{"port": port, "protocol": "tcp", "ssl-verify-server-cert": "1"})
			return said{v["host"], v["user"], v["password"], v["database"], v["ssl-ca"], v["ssl-cert"], v["ssl-key"], ""}
		},
		FormGo: func(t *testing.T, text string) said {
			m := goSource.FindStringSubmatch(text)
			if m == nil {
				t.Fatalf("got %q", text)
			}
			database, err := url.PathUnescape(m[4])
			if err != nil {
				t.Error(err)
			}
			return said{m[3], m[1], m[2], database, "", "", "", ""}
		},
		FormURL:  readURL,
		FormJSON: func(t *testing.T, text string) said { return readJSON(t, text, "tls", "certificate") },
		FormNode: func(t *testing.T, text string) said {
			s := readJSON(t, text, "ssl", "cert")
			for _, flag := range []string{`"rejectUnauthorized":true`, `"verifyIdentity":true`, `"minVersion":"TLSv1.2"`} {
				if !strings.Contains(text, flag) {
					t.Errorf("want %s in %s", flag, text)
				}
			}
			s.ca, s.certificate, s.key = strings.Replace(s.ca, "a PEM", "/ca", 1), strings.Replace(s.certificate, "a PEM", "/cert", 1), strings.Replace(s.key, "a PEM", "/key", 1)
			return s
		},
		FormPython: func(t *testing.T, text string) said {
			var v struct {
				Host, User, Password, Database string
				Port                           int
				CA                             string `json:"ssl_ca"`
				Certificate                    string `json:"ssl_cert"`
				Key                            string `json:"ssl_key"`
				Chain                          bool   `json:"ssl_verify_cert"`
				Name                           bool   `json:"ssl_verify_identity"`
			}
			if err := json.Unmarshal([]byte(text), &v); err != nil || v.Port != 3306 || !v.Chain || !v.Name {
				t.Errorf("got %v and %+v", err, v)
			}
			return said{v.Host, v.User, v.Password, v.Database, v.CA, v.Certificate, v.Key, ""}
		},
		FormJDBC: func(t *testing.T, text string) said {
			v := map[string]string{}
			for line := range strings.Lines(text) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				value = strings.TrimLeft(value, " \t\f")
				value = escapes.ReplaceAllStringFunc(value, func(escape string) string {
					if !strings.HasPrefix(escape, `\u`) {
						return escape[1:]
					}
					var text string
					if err := json.Unmarshal([]byte(`"`+escape+`"`), &text); err != nil {
						t.Error(err)
					}
					return text
				})
				v[name] = value
			}
			wants(t, v, map[string]string{"sslMode": "verify-full", "keyStoreType": "PKCS12", "keyStorePassword": ""})
			rest, ok := strings.CutPrefix(v["url"], "jdbc:mariadb://")
			database, query, _ := strings.Cut(strings.TrimPrefix(rest, "db.shop.svc:3306/"), "?")
			if !ok || query != "useSsl=true&sslMode=verify-full" || !strings.HasPrefix(rest, "db.shop.svc:3306/") {
				t.Errorf("got %s", v["url"])
			}
			return said{"db.shop.svc", v["user"], v["password"], database, v["serverSslCert"], "", "", v["keyStore"]}
		},
		FormPHP: func(t *testing.T, text string) said {
			v := map[string]string{}
			for _, m := range phpValue.FindAllStringSubmatch(text, -1) {
				v[m[1]] = strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(m[2]) + m[3]
			}
			wants(t, v, map[string]string{"PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT": "true"})
			source := map[string]string{}
			for _, part := range strings.Split(strings.ReplaceAll(strings.TrimPrefix(v["'dsn'"], "mysql:"), ";;", "\x00"), ";") {
				name, value, _ := strings.Cut(part, "=")
				source[name] = strings.ReplaceAll(value, "\x00", ";")
			}
			wants(t, source, map[string]string{"port": port, "charset": "utf8mb4"})
			return said{source["host"], v["'username'"], v["'password'"], source["dbname"], v["PDO::MYSQL_ATTR_SSL_CA"], v["PDO::MYSQL_ATTR_SSL_CERT"], v["PDO::MYSQL_ATTR_SSL_KEY"], ""}
		},
		FormDotNet: func(t *testing.T, text string) said {
			v := map[string]string{}
			if rest := dotNetValue.ReplaceAllString(text, ""); rest != "" {
				t.Errorf("%q is left of %s", rest, text)
			}
			for _, m := range dotNetValue.FindAllStringSubmatch(text, -1) {
				v[m[1]] = strings.ReplaceAll(m[2], `""`, `"`) + m[3]
			}
			wants(t, v, map[string]string{"Port": port, "SslMode": "VerifyFull"})
			return said{v["Server"], v["User ID"], v["Password"], v["Database"], v["SslCa"], v["SslCert"], v["SslKey"], ""}
		},
		FormEnvironment: func(t *testing.T, text string) said {
			v := map[string]string{}
			for line := range strings.Lines(text) {
				m := envLine.FindStringSubmatch(line)
				if m == nil {
					t.Fatalf("got %q", line)
				}
				v[m[1]] = m[2]
			}
			wants(t, v, map[string]string{"MYSQL_PORT": port, "MYSQL_SSL_MODE": "VERIFY_IDENTITY"})
			s := said{v["MYSQL_HOST"], v["MYSQL_USER"], v["MYSQL_PASSWORD"], v["MYSQL_DATABASE"], v["MYSQL_SSL_CA"], v["MYSQL_SSL_CERT"], v["MYSQL_SSL_KEY"], ""}
			if other := readURL(t, v["DATABASE_URL"]); other != s {
				t.Errorf("DATABASE_URL says %+v, the others %+v", other, s)
			}
			return s
		},
	}
}

func readURL(t *testing.T, text string) said {
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "+") {
		t.Errorf("got a plus in %s", text)
	}
	password, _ := u.User.Password()
	q := u.Query()
	if u.Port() != port || q.Get("ssl-mode") != "VERIFY_IDENTITY" || u.Scheme != "mysql" {
		t.Errorf("got %s", text)
	}
	return said{u.Hostname(), u.User.Username(), password, strings.TrimPrefix(u.Path, "/"), q.Get("ssl-ca"), q.Get("ssl-cert"), q.Get("ssl-key"), ""}
}

func readJSON(t *testing.T, text, secured, certificate string) said {
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	tls, _ := v[secured].(map[string]any)
	word := func(of map[string]any, name string) string { s, _ := of[name].(string); return s }
	if fmt.Sprint(v["port"]) != port {
		t.Errorf("got the port %v", v["port"])
	}
	return said{word(v, "host"), word(v, "user"), word(v, "password"), word(v, "database"), word(tls, "ca"), word(tls, certificate), word(tls, "key"), ""}
}

func wants(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s: got %q, want %q", name, v, value)
		}
	}
}

// connectionOf is one with these names. For the form nodejs, PEM is what stands at the paths.
func connectionOf(user, database, folder string) connection {
	at := func(name string) string { return folder + "/" + name }
	return connection{"db.shop.svc", user, "0123abcd", database, map[Form]string{FormCA: at("ca"), FormCertificate: at("cert"), FormKey: at("key"), FormPKCS12: at("store")},
		map[Form]string{FormCA: folder + "a PEM", FormCertificate: folder + "a PEM", FormKey: folder + "a PEM"}}
}

// same holds what was read against what was to be said, as far as the form says it.
func same(t *testing.T, form Form, c connection, got said) {
	t.Helper()
	want := said{c.host, c.user, c.password, c.database, c.paths[FormCA], c.paths[FormCertificate], c.paths[FormKey], c.paths[FormPKCS12]}
	switch form {
	case FormGo:
		want.ca, want.certificate, want.key, want.store = "", "", "", ""
	case FormJDBC:
		want.certificate, want.key = "", ""
	default:
		want.store = ""
	}
	if got != want {
		t.Errorf("%s: got %+v, want %+v", form, got, want)
	}
}

// awkward are names that mean something to one reader or another.
func awkward() []string {
	all := []string{"app", "o'brien", `say "hi"`, `back\slash`, `\n`, `\u0041`, `ends\`, "a:b", "a@b", "a@tcp(evil:1)/x", "a/b", "a//b", "a b", "a#b", "a;b", "a;;b", "a=b", "a&b", "a?b", "a?tls=false", "a%20b", "a%2", "a+b",
		"${HOME}", "$HOME", "`id`", "ünïcödé", "数据库", "😀", "{a}", "[client]", "!include /x", "<?php", "?>", "//x", "a,b", "(a)", "=", "'", `"`, "''", `""`, `'"'`, "a;SslMode=None", `a";SslMode="None`, "a&sslMode=disable", "*", "|", "~"}
	for r := rune(' '); r <= '~'; r++ {
		all = append(all, "x"+string(r)+"y")
	}
	return all
}

// TestForms: what a form says is understood as it was meant, or it is refused.
func TestForms(t *testing.T) {
	// what readers have no way of reading, and nothing else, is refused
	refused := map[Form]func(c connection) bool{
		FormGo:   func(c connection) bool { return strings.Contains(c.user, ":") },
		FormJDBC: func(c connection) bool { return strings.Contains(c.database, "?") },
		FormEnvironment: func(c connection) bool {
			return strings.ContainsAny(c.user+c.database+c.paths[FormCA], `'\$`)
		},
	}
	for form, read := range understood() {
		for _, name := range awkward() {
			for _, c := range []connection{connectionOf(name, "shop", "/run"), connectionOf("app", name, "/run"), connectionOf("app", "shop", "/"+name), connectionOf(name, "", "/run")} {
				text, err := form.settings(c)
				if f := refused[form]; f != nil && f(c) {
					if err == nil {
						t.Errorf("%s: %+v: got %s, want an error", form, c, text)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", form, err)
					continue
				}
				same(t, form, c, read(t, text))
			}
		}
	}
}

// TestFormsRefuse: no form says what would be something else to those who read the session, or
// is not seen.
func TestFormsRefuse(t *testing.T) {
	for form := range understood() {
		for _, bad := range []string{"a\nb", "a\rb", "a\x00b", "a\tb", "a\x1bb", "a\x7fb", "\xff", "a\u202eb", "$$SCONE::ca_key$$", "a\u0085b"} {
			all := []connection{connectionOf(bad, "shop", "/run"), connectionOf("app", bad, "/run")}
			if form != FormGo && form != FormNode {
				all = append(all, connectionOf("app", "shop", "/"+bad))
			}
			for _, c := range all {
				if text, err := form.settings(c); err == nil || !strings.Contains(err.Error(), "cannot be written in the form "+string(form)) {
					t.Errorf("%s, %s: got %q, %v, want an error", form, strconv.Quote(bad), text, err)
				}
			}
		}
	}
}

func FuzzForms(f *testing.F) {
	for _, name := range awkward() {
		f.Add(name, name, "/"+name)
	}
	all := understood()
	f.Fuzz(func(t *testing.T, user, database, folder string) {
		for form, read := range all {
			c := connectionOf(user, database, folder)
			if form == FormNode {
				c = connectionOf(user, database, "/x") // PEM is what CAS writes
			}
			if text, err := form.settings(c); err == nil {
				same(t, form, c, read(t, text))
			}
		}
	})
}
