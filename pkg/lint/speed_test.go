package lint_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
)

// database is the policy of a database behind the shield, that replicates from the next.
const database = `- name: db%[1]d
  image_name: i%[1]d
  command: [mariadbd, --port=%[1]d]
  mrenclaves: ["%064[1]x"]
  platforms: [INTEL_QE_ID:11111111111111111111111111111111]
  environment:
    SCONE_NETWORK_SHIELD: protected
    SCONE_NETWORK_SHIELD_SERVER_1: protected
    SCONE_NETWORK_SHIELD_SERVER_1_PORT: "TCP:%[1]d"
    SCONE_NETWORK_SHIELD_SERVER_1_CLIENT_AUTH: required
    SCONE_NETWORK_SHIELD_SERVER_1_IDENTITY: "$$SCONE::cert%[1]d:crt:pem$$$$SCONE::cert%[1]d:privatekey:pkcs8:pem$$"
    SCONE_NETWORK_SHIELD_CLIENT_R: protected
    SCONE_NETWORK_SHIELD_CLIENT_R_DESTINATION: "TCP:db%[2]d:%[2]d"
`

const files = `- name: i%[1]d
  injection_files:
  - {path: /etc/my.cnf, content: "[mysqld]\ndatadir=/var/lib/mysql\n"}
  - {path: /a.sql, content: "CREATE USER u IDENTIFIED BY PASSWORD '$$SCONE::word%[1]d$$';"}
`

const secrets = `- {name: word%[1]d, kind: binary, size: 32}
- {name: key%[1]d, kind: private-key, migrate: true}
- {name: cert%[1]d, kind: x509, private_key: key%[1]d, issuer: ca, san: ["dns:db%[1]d"], common_name: db%[1]d}
`

// together is a session with n databases.
func together(tb testing.TB, n int) []*session.Session {
	tb.Helper()
	var b strings.Builder
	b.WriteString("name: shop\nversion: \"0.3.12\"\nservices:\n")
	for i := range n {
		fmt.Fprintf(&b, database, i, (i+1)%n)
	}
	b.WriteString("images:\n")
	for i := range n {
		fmt.Fprintf(&b, files, i)
	}
	b.WriteString("secrets:\n- {name: cakey, kind: private-key, migrate: true}\n- {name: ca, kind: x509-ca, private_key: cakey}\n")
	for i := range n {
		fmt.Fprintf(&b, secrets, i)
	}
	return []*session.Session{read(tb, b.String())}
}

// apart are sessions with a database each, which import one authority.
func apart(tb testing.TB, n int) []*session.Session {
	tb.Helper()
	var all []*session.Session
	var exports strings.Builder
	for i := range n {
		all = append(all, read(tb, fmt.Sprintf("name: db%[1]d\nversion: \"0.3.12\"\nservices:\n"+database, i, (i+1)%n)+
			fmt.Sprintf("images:\n"+files+"secrets:\n"+secrets+"- {name: ca, import: {session: parts, secret: ca}}\n", i)))
		fmt.Fprintf(&exports, "{session: db%d},", i)
	}
	return append(all, read(tb, "name: parts\nversion: \"0.3.12\"\nsecrets:\n- {name: cakey, kind: private-key, migrate: true}\n- {name: ca, kind: x509-ca, private_key: cakey, export: ["+exports.String()+"]}\n"))
}

func read(tb testing.TB, text string) *session.Session {
	tb.Helper()
	s, err := session.Parse("s.yml", []byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// took is the least time that looking at sessions takes.
func took(tb testing.TB, sessions []*session.Session) time.Duration {
	tb.Helper()
	least := time.Hour
	for range 3 {
		began := time.Now()
		if _, err := lint.Check(sessions, began); err != nil {
			tb.Fatal(err)
		}
		least = min(least, time.Since(began))
	}
	return least
}

// BenchmarkGrowth reports how many times longer four times as many databases take: 4 where
// the time grows as the size does, 16 where it grows as its square.
func BenchmarkGrowth(b *testing.B) {
	for name, made := range map[string]func(testing.TB, int) []*session.Session{"together": together, "apart": apart} {
		b.Run(name, func(b *testing.B) {
			few, many := made(b, 100), made(b, 400)
			for b.Loop() {
				b.ReportMetric(float64(took(b, many))/float64(took(b, few)), "times")
			}
		})
	}
}
