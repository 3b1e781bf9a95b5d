// Package haproxy reads the configuration of a HAProxy that shall pass connections on and
// do nothing else: it ends no TLS, holds no key, and tells servers nothing. It is judged by
// what is known of the language (haproxy.org, configuration manual, 2.4 to 3.2); whatever
// else is said is named.
package haproxy

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is a line that a HAProxy which only passes on would not have.
type Problem struct {
	// Text says what was found. It holds words of the configuration.
	Text string
	// Known is false for a line of which it is not known what it does, and true for one that
	// has a part in TLS, in accounts, or in a protocol above TCP.
	Known bool
}

// directives are those of a HAProxy that passes on what it gets, by section.
func directives() map[string][]string {
	proxy := []string{"mode", "log", "option", "timeout", "retries", "maxconn", "fullconn", "balance", "hash-type", "bind", "default_backend", "tcp-check", "default-server", "server", "server-template"}
	return map[string][]string{
		"global":    {"log", "log-tag", "maxconn", "nbthread", "hard-stop-after", "ulimit-n", "user", "group", "pidfile"},
		"resolvers": {"parse-resolv-conf", "nameserver", "hold", "resolve_retries", "timeout", "accepted_payload_size"},
		"defaults":  proxy, "frontend": proxy, "backend": proxy, "listen": proxy,
	}
}

// options are what may follow "option".
func options() []string {
	return []string{"tcplog", "dontlognull", "dontlog-normal", "logasap", "log-health-checks", "tcp-check", "mysql-check", "redispatch", "tcpka", "clitcpka", "srvtcpka", "splice-auto"}
}

// parameters are what may stand behind the addresses of bind and server, alone or with a
// value.
func parameters() (alone, valued []string) {
	return []string{"check", "backup", "v4v6", "v6only"}, []string{
		"inter", "fastinter", "downinter", "fall", "rise", "weight", "maxconn", "minconn", "slowstart", "on-marked-down", "on-marked-up", "on-error", "error-limit", "observe",
		"init-addr", "resolvers", "resolve-prefer", "name", "id", "backlog", "port",
	}
}

// Judge reads a configuration: each line must be one of which it is known what it does, and
// none may be about TLS. behind says whether a host is one to which connections may go; the
// problems are in the order of the lines.
func Judge(text string, behind func(host string) bool) []Problem {
	var problems []Problem
	section, tcp := "", false
	for line := range strings.Lines(text) {
		words, plain := split(line)
		if plain && len(words) == 0 {
			continue
		}
		if found := above(words); found != "" {
			problems = append(problems, Problem{fmt.Sprintf("%.100q: want mode tcp, and nothing of TLS, the PROXY protocol or accounts", found), true})
			continue
		}
		if plain && directives()[words[0]] != nil {
			section = words[0]
			continue
		}
		tcp = tcp || section == "defaults" && slices.Equal(words, []string{"mode", "tcp"})
		if !plain || !passes(section, words, behind) {
			problems = append(problems, Problem{fmt.Sprintf("%.100q, of which it is not known that it passes connections on", strings.TrimSpace(line)), false})
		}
	}
	if !tcp {
		problems = append(problems, Problem{"nothing of mode tcp under defaults", true})
	}
	return problems
}

// split are the words of a line. It is not plain if HAProxy could read others: by quotes,
// variables, and what is no ASCII.
func split(line string) (words []string, plain bool) {
	line, _, _ = strings.Cut(" "+strings.ReplaceAll(strings.TrimRight(line, "\n"), "\t", " "), " #")
	plain = !strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r >= 0x7f || strings.ContainsRune(`"'\$#`, r) })
	return strings.Fields(line), plain
}

// above finds words by which a HAProxy has a part in TLS, or in what is above TCP.
func above(words []string) string {
	for i, word := range words {
		word = strings.Trim(strings.ToLower(word), `"'\`)
		switch {
		case slices.Contains([]string{"ssl", "check-ssl", "no-ssl", "key", "accept-proxy"}, word), strings.Contains(word, "send-proxy"):
			return word
		case slices.ContainsFunc([]string{"ssl-", "crt", "ca-", "lua-", "jwt"}, func(prefix string) bool { return strings.HasPrefix(word, prefix) }):
			return word
		case word == "mysql-check" && i+1 < len(words), word == "mode" && i == 0 && !slices.Equal(words, []string{"mode", "tcp"}):
			return strings.Join(words, " ")
		}
	}
	return ""
}

// passes reports whether a line of a section does what is known.
func passes(section string, words []string, behind func(string) bool) bool {
	if !slices.Contains(directives()[section], words[0]) {
		return false
	}
	switch words[0] {
	case "option":
		return len(words) == 2 && slices.Contains(options(), words[1])
	case "tcp-check":
		return slices.Equal(words[1:], []string{"connect"}) || len(words) == 4 && words[1] == "expect" && slices.Contains([]string{"rbinary", "binary"}, words[2])
	case "bind":
		return len(words) > 1 && !strings.ContainsAny(words[1], "/@") && known(words[2:])
	case "default-server":
		return known(words[1:])
	case "server":
		return len(words) > 2 && goes(words[2], behind) && known(words[3:])
	case "server-template":
		return len(words) > 3 && goes(words[3], behind) && known(words[4:])
	}
	return true
}

// goes reports whether an address with a port is one to which connections may go.
func goes(address string, behind func(string) bool) bool {
	host, port, _ := strings.Cut(address, ":")
	return port != "" && strings.Trim(port, "0123456789") == "" && behind(host)
}

// known reports whether parameters of bind and server are all known.
func known(words []string) bool {
	alone, valued := parameters()
	for i := 0; i < len(words); i++ {
		switch {
		case slices.Contains(alone, words[i]):
		case slices.Contains(valued, words[i]) && i+1 < len(words):
			i++
		default:
			return false
		}
	}
	return true
}
