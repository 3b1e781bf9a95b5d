package haproxy_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/haproxy"
)

const passing = `# comment of the file
global
  log stdout format raw local0
  maxconn 1000   # words
	hard-stop-after 25s

resolvers cluster
  parse-resolv-conf
  hold valid 5s
defaults
  mode tcp
  log global
  option tcplog
  timeout connect 3s
  retries 2
frontend mysql
  bind :3306 v4v6
  default_backend maxscale
backend maxscale
  balance leastconn
  option tcp-check
  tcp-check connect
  tcp-check expect rbinary ^......000A
  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions init-addr none resolvers cluster
  server maxscale-0 db1-maxscale-0.db1-maxscale.shop.svc:4006 check
`

func behind(host string) bool { return strings.HasPrefix(host, "db1-maxscale-") }

func TestPassingOn(t *testing.T) {
	for name, text := range map[string]string{
		"as it is":                 passing,
		"a check that logs in not": strings.Replace(passing, "option tcp-check", "option mysql-check", 1),
		"a listen section":         passing + "listen other\n  bind 0.0.0.0:3307 name b\n  mode tcp\n  server-template m 2 db1-maxscale-1:4006 check backup\n",
	} {
		if got := haproxy.Judge(text, behind); len(got) > 0 {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// Each line that is added, or put in the place of another, is a problem of its kind.
func TestWhatDoesMore(t *testing.T) {
	for line, known := range map[string]bool{
		"  bind :3306 ssl crt /etc/x.pem":   true,
		"  bind :3307 accept-proxy":         true,
		"  bind :3307 crt-list /x":          true,
		"  bind :3307 \"ssl\"":              true,
		"  bind :3307 s\"\"sl":              false,
		"  bind :3307 $MORE":                false,
		"  bind :3307 ss\\l":                false,
		"  bind :3307\u00a0x":               false,
		"  bind /run/socket":                false,
		"  bind :3307 x#y":                  false,
		"  bind :3307 process 1":            false,
		"  bind":                            false,
		"  mode http":                       true,
		"  mode tcp http":                   true,
		"  option mysql-check user haproxy": true,
		"  option ssl-hello-chk":            true,
		"  option httpchk":                  false,
		"  no option tcplog":                false,
		"  option tcplog clf":               false,
		"  server a db1-maxscale-0:4006 check ssl verify none": true,
		"  server a db1-maxscale-0:4006 check SSL":             true,
		"  server a db1-maxscale-0:4006 send-proxy-v2":         true,
		"  server a db1-maxscale-0:4006 check-send-proxy":      true,
		"  server a db1-maxscale-0:4006 check addr 10.0.0.1":   false,
		"  server a db1-maxscale-0 check":                      false,
		"  server a evil.example:4006 check":                   false,
		"  server-template a 3 evil.example:4006":              false,
		"  server a":                            false,
		"  server a db1-maxscale-0:4006 inter":  false,
		"  default-server ca-file /x":           true,
		"  default-server track other":          false,
		"  tcp-check send-binary 00":            false,
		"  tcp-check connect port 1":            false,
		"  tcp-request content lua.x":           false,
		"  use_backend other if TRUE":           false,
		"  filter spoe engine x":                false,
		"  stick-table type ip size 1k peers p": false,
		"  http-request set-header a b":         false,
		"  stats enable":                        false,
		"peers p":                               false,
		"program p":                             false,
		"  command /bin/sh":                     false,
		"crt-store":                             true,
		".if 1":                                 false,
		"unknown":                               false,
	} {
		got := haproxy.Judge(passing+line+"\n", behind)
		if len(got) != 1 || got[0].Known != known {
			t.Errorf("%s: got %+v, want one problem, known %v", line, got, known)
		}
	}
	for name, text := range map[string]string{
		"no mode":         strings.Replace(passing, "  mode tcp\n", "", 1),
		"mode elsewhere":  strings.Replace(strings.Replace(passing, "  mode tcp\n", "", 1), "frontend mysql\n", "frontend mysql\n  mode tcp\n", 1),
		"admin":           strings.Replace(passing, "global\n", "global\n  stats socket /run/admin.sock level admin\n", 1),
		"lua":             strings.Replace(passing, "global\n", "global\n  lua-load /x\n", 1),
		"its environment": strings.Replace(passing, "global\n", "global\n  setenv A ssl\n", 1),
		"nothing":         "",
		"no section":      "mode tcp\n",
	} {
		if got := haproxy.Judge(text, behind); len(got) == 0 {
			t.Errorf("%s: no problem", name)
		}
	}
}

// Whatever is inserted as words, what has ssl, crt or send-proxy as one is refused for good,
// and no text makes it panic.
func FuzzJudge(f *testing.F) {
	for _, seed := range []string{"bind :1 ssl", "# ssl", "server a b:1 send-proxy", "\x00", "option", "'", "tcp-check expect rbinary"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, more string) {
		got := haproxy.Judge(passing+more+"\n", behind)
		for line := range strings.Lines(more) {
			line = strings.TrimSuffix(line, "\n")
			words := strings.Fields(line)
			refused := len(words) > 1 && !strings.Contains(line, "#") && (words[len(words)-1] == "ssl" || words[len(words)-1] == "send-proxy")
			if refused && len(got) == 0 {
				t.Errorf("%q is taken", line)
			}
		}
	})
}
