package leaks_test

import (
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/leaks"
)

func TestSecretName(t *testing.T) {
	for _, name := range []string{"password", "MYSQL_ROOT_PASSWORD", "dbPassword", "spring.datasource.password", "client-secret", "API_KEY", "auth_token", "PASSWORD2", "db_pass", "MYSQL_PWD", "wsrep_sst_auth", "private_key", "rootpassword"} {
		if !leaks.SecretName(name) {
			t.Errorf("%s: got no secret", name)
		}
	}
	for _, name := range []string{"", "_", "password_file", "MYSQL_ROOT_PASSWORD_FILE", "passwordFile", "default_password_lifetime", "max_password_errors", "old_passwords", "secretName", "token_ttl", "public_key", "ssl_key", "primary_key", "PWD", "OLD_PWD", "AWS_ACCESS_KEY_ID", "keyboard", "compass", "user"} {
		if leaks.SecretName(name) {
			t.Errorf("%s: got a secret", name)
		}
	}
}

func TestLiteral(t *testing.T) {
	for _, value := range []string{"hunter2", `"hunter2"`, "'hunter 2'", "123456", "p@ss", "/abc+def==", "a$b", "hunter2 # old"} {
		if !leaks.Literal("password", value) {
			t.Errorf("%s: got no secret", value)
		}
	}
	for _, value := range []string{"", "''", "$$SCONE::pw$$", "a-$$SCONE::pw:hex$$", "$PASSWORD", "${PASSWORD}", "$(cat /run/pw)", "{{password}}", "@@1", "<password>", "%s", "****", "null", "/run/secrets/pw", "file:///run/pw", "key.pem", "os.Getenv(", "yes"} {
		if leaks.Literal("password", value) {
			t.Errorf("%s: got a secret", value)
		}
	}
}

// FuzzIn looks at texts that hold a word which nothing else in them could make: it is
// found in each of these forms, and what is said never holds it.
func FuzzIn(f *testing.F) {
	f.Add("password=", "")
	f.Add("{\"token\":\"", "\"}")
	f.Add("CREATE USER a IDENTIFIED BY '", "'")
	f.Add("mysql://a:", "@b/")
	f.Add("-----BEGIN PRIVATE KEY-----\n", "\n-----END PRIVATE KEY-----")
	r := leaks.NewReader()
	const word = "Zq7hunter2Zq7"
	f.Fuzz(func(t *testing.T, before, after string) {
		found := append(r.In(before+word+after), leaks.Arguments([]string{"mysql", before + word + after})...)
		for _, what := range found {
			if strings.Contains(what, word) && !strings.Contains(before+after, "=") && !strings.Contains(before+after, ":") {
				t.Errorf("%q shows the secret", what)
			}
		}
	})
}

// TestLongLines takes no more than a moment.
func TestLongLines(t *testing.T) {
	r := leaks.NewReader()
	for _, part := range []string{"a=", "password=", "name:value:", "<a>", "a://b:c", "IDENTIFIED BY '", "-----BEGIN PRIVATE KEY-----", "x"} {
		start := time.Now()
		r.In(strings.Repeat(part, 400_000/len(part)))
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s: %v", part, took)
		}
	}
}

func TestForms(t *testing.T) {
	r := leaks.NewReader()
	for text, want := range map[string]string{
		"password = hunter2":                                   "the value of password",
		`{"a": {"password":"hunter2"}}`:                        "the value of password",
		`{\"password\":\"hunter2\"}`:                           "the value of password",
		"user: app\npasswd: hunter2":                           "the value of passwd",
		"<password>hunter2</password>":                         "the value of password",
		"- name: DB_PASSWORD\n  value: hunter2":                "the value of DB_PASSWORD",
		"ALTER USER a IDENTIFIED BY 'hun''ter2'":               "a password in SQL",
		"alter user a identified\nby \"hunter2\"":              "a password in SQL",
		"SET PASSWORD = PASSWORD('hunter2')":                   "a password in SQL",
		"postgres://app:hunter2@db/x":                          "a password in an address",
		"jdbc:mysql://db/x?user=a&password=hunter2":            "the value of password",
		"app:hunter2@tcp(db:3306)/x":                           "a password in an address",
		"Authorization: Bearer abcdefghijk":                    "a credential of HTTP",
		"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n":              "a private key",
		`-----BEGIN PRIVATE KEY-----\nMIIE\n`:                  "a private key",
		"1;a7addd9adea9978fda19f21e6be987880e68ac92632ca052":   "an encryption key",
		"file_key_management_filekey = a7addd9adea9978fda19f2": "the value of file_key_management_filekey",
		"# password = hunter2":                                 "",
		"IDENTIFIED BY '$$SCONE::pw$$'":                        "",
		"mysql://app:$$SCONE::pw$$@db/x":                       "",
		"-----BEGIN PRIVATE KEY-----\n$$SCONE::key$$":          "",
		"-----BEGIN PUBLIC KEY-----\nMIIE\n":                   "",
		"password =\nuser = a":                                 "",
	} {
		if got := strings.Join(r.In(text), ", "); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
