// Package leaks finds passwords and private keys that are written in texts: commands,
// variables, SQL and files of settings. What it says of one never holds its value.
package leaks

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Reader finds secrets that are written in a text. What it says of one never holds its
// value.
type Reader struct {
	key, sql, function, url, dsn, header, assigned, listed, element, numbered *regexp.Regexp
}

// NewReader returns a reader of texts.
func NewReader() Reader { return reader() }

// reader is made once: a set has many sessions.
var reader = sync.OnceValue(func() Reader {
	return Reader{
		key:      regexp.MustCompile(`-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----(?:\s|\\[nr])*([^\s\\]{0,64})`),
		sql:      regexp.MustCompile(`(?is)\bIDENTIFIED\s+BY\s+\\?('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")`),
		function: regexp.MustCompile(`(?is)\bPASSWORD\s*\(\s*('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")\s*\)`),
		url:      regexp.MustCompile(`\b[a-zA-Z][a-zA-Z0-9+.\-]*://[^\s/:@'"]*:([^\s/@'"]+)@`),
		dsn:      regexp.MustCompile(`(?:^|[\s'"=])[A-Za-z0-9_.\-]+:([^\s:@/'"]+)@(?:tcp|unix|)\(`),
		header:   regexp.MustCompile(`(?i)\bauthorization\\?["']?\s*[:=]\s*\\?["']?(?:bearer|basic)\s+([^\s"'\\]{8,})`),
		assigned: regexp.MustCompile(`(?:^|[\s,;{&?"'<\[(\-])([A-Za-z_][A-Za-z0-9_.\-]*)\\?["'` + "`" + `]?[ \t]*(?::=|[:=])`),
		listed:   regexp.MustCompile(`\bname["']?\s*[:=]\s*["']?([A-Za-z_][A-Za-z0-9_.\-]*)["']?\s*,?\s*["']?value["']?\s*[:=]\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;&}'"]+)`),
		element:  regexp.MustCompile(`<([A-Za-z_][A-Za-z0-9_.\-]*)>([^<>]+)</`),
		numbered: regexp.MustCompile(`^[0-9]+;([0-9A-Fa-f]{32,64})$`),
	}
})

// In says which secrets are written in a text, each kind of name once.
func (l Reader) In(text string) []string {
	var found []string
	add := func(what string) {
		if !slices.Contains(found, what) {
			found = append(found, what)
		}
	}
	for _, match := range l.key.FindAllStringSubmatch(text, -1) {
		if !refers(match[3]) && match[3] != "" && !strings.HasPrefix(match[3], "-----END") {
			add("a private key")
		}
	}
	for _, form := range []*regexp.Regexp{l.sql, l.function} {
		for _, match := range form.FindAllStringSubmatch(text, -1) {
			if Literal("password", match[1]) {
				add("a password in SQL")
			}
		}
	}
	for _, form := range []*regexp.Regexp{l.url, l.dsn, l.header} {
		for _, match := range form.FindAllStringSubmatch(text, -1) {
			if Literal("password", match[1]) {
				add(map[bool]string{true: "a credential of HTTP", false: "a password in an address"}[form == l.header])
			}
		}
	}
	for _, form := range []*regexp.Regexp{l.listed, l.element} {
		for _, match := range form.FindAllStringSubmatch(text, -1) {
			if SecretName(match[1]) && Literal(match[1], match[2]) {
				add("the value of " + clip(match[1]))
			}
		}
	}
	text = strings.ReplaceAll(text, `\"`, `"`) // JSON in JSON
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' || strings.HasPrefix(line, "-- ") || strings.HasPrefix(line, "//") {
			continue
		}
		if l.numbered.MatchString(line) {
			add("an encryption key")
		}
		for _, match := range l.assignments(line) {
			if Literal(match[0], match[1]) {
				add("the value of " + clip(match[0]))
			}
		}
	}
	return found
}

// assignments are the names of secrets in a line, and their values. Each part of the line
// is read once or twice, however long it is.
func (l Reader) assignments(line string) [][2]string {
	var all [][2]string
	until := 0
	for _, match := range l.assigned.FindAllStringSubmatchIndex(line, -1) {
		name := line[match[2]:match[3]]
		if match[2] < until || !SecretName(name) {
			continue
		}
		value := assigned(line[match[1]:])
		until = match[1] + len(value)
		all = append(all, [2]string{name, value})
	}
	return all
}

// assigned is the value with which a text begins: a quoted text, or a word.
func assigned(text string) string {
	text = strings.TrimLeft(text, " \t")
	if text == "" {
		return ""
	}
	if quote := text[0]; quote == '"' || quote == '\'' {
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case quote:
				return text[:i+1]
			}
		}
		return ""
	}
	if end := strings.IndexAny(text, " \t,;&}'\""); end >= 0 {
		return text[:end]
	}
	return text
}

func clip(name string) string { return fmt.Sprintf("%.60s", name) }

// apart puts a mark between the words of a name such as dbPassword.
func apart(name string) string {
	var out strings.Builder
	for i, c := range name {
		if i > 0 && c >= 'A' && c <= 'Z' && (name[i-1] >= 'a' && name[i-1] <= 'z' || name[i-1] >= '0' && name[i-1] <= '9') {
			out.WriteByte('_')
		}
		out.WriteRune(c)
	}
	return out.String()
}

// SecretName reports whether a name is that of a value which nobody may see: it ends in
// a word for one. Names of files, sizes and rules end in other words.
func SecretName(name string) bool {
	words := strings.FieldsFunc(strings.ToLower(apart(name)), func(r rune) bool { return r == '_' || r == '-' || r == '.' })
	for len(words) > 1 && strings.Trim(words[len(words)-1], "0123456789") == "" {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return false
	}
	last := strings.TrimRight(words[len(words)-1], "0123456789")
	for _, word := range []string{"password", "passwd", "passphrase", "secret", "apikey", "privatekey", "secretkey", "filekey"} {
		if strings.HasSuffix(last, word) {
			return true
		}
	}
	before := ""
	if len(words) > 1 {
		before = words[len(words)-2]
	}
	switch last {
	case "token", "pass", "credentials", "credential":
		return true
	case "pwd", "pw":
		return before != "" && before != "old"
	case "auth":
		return before == "sst"
	case "key":
		return slices.Contains([]string{"api", "private", "secret", "access", "encryption", "decryption", "master", "signing", "hmac", "auth", "aes", "shared", "account"}, before)
	}
	return false
}

// Literal reports whether a value is written where a secret belongs: it is not empty, no
// placeholder or variable, no file, no switch and no call.
func Literal(name, value string) bool {
	value = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), `\`))
	value = strings.TrimSpace(strings.Trim(value, "'\"`"))
	lower := strings.ToLower(value)
	switch {
	case value == "" || value == "#" || refers(value) || strings.Trim(value, "*xX.-_") == "":
		return false
	case slices.Contains([]string{"null", "none", "nil", "~", "|", ">", "|-", ">-"}, lower):
		return false
	case slices.Contains([]string{"yes", "no", "true", "false", "on", "off", "0", "1"}, lower):
		return !regexp.MustCompile(`(?i)random|allow|empty|expired|enable|require|use|skip|show|check|valid|disable|hide|no_`).MatchString(name) && !slices.Contains([]string{"yes", "no", "true", "false", "on", "off"}, lower)
	case regexp.MustCompile(`^(file:|FILE:)?(~|\.{0,2})(/[A-Za-z0-9._\-]+){2,}$`).MatchString(value), strings.HasPrefix(lower, "file:"):
		return false
	case slices.Contains([]string{".pem", ".key", ".crt", ".txt", ".enc", ".p12", ".json"}, path.Ext(lower)):
		return false
	case regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*[\[(]`).MatchString(value):
		return false
	}
	return true
}

// refers reports whether a value is a placeholder, a variable or a hole of a template.
func refers(value string) bool {
	return strings.Contains(value, "$$SCONE:") || strings.HasPrefix(value, "SCONE::") || strings.HasPrefix(value, "Z-") && strings.HasSuffix(value, "-Z") || strings.Contains(value, "@@") || strings.Contains(value, "{{") ||
		regexp.MustCompile(`^\$(\{?[A-Za-z_]|\()`).MatchString(value) || regexp.MustCompile(`^<[^>]*>$|^%[A-Za-z_]+%$|^%[sv]$`).MatchString(value)
}

// Arguments finds passwords that stand in the options of a command.
func Arguments(command []string) []string {
	if len(command) == 0 {
		return nil
	}
	var words []string
	for _, word := range command { // of a shell, one word is a whole command
		words = append(words, strings.Fields(word)...)
	}
	ours := slices.ContainsFunc(words, func(word string) bool {
		return regexp.MustCompile(`^(mysql|mariadb)[a-z\-]*$|^(maria|xtra)backup$`).MatchString(path.Base(strings.Trim(word, `'"`)))
	})
	var found []string
	for i, word := range words {
		word = strings.Trim(word, `'"`)
		next := ""
		if i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			next = words[i+1]
		}
		name, isOption := strings.CutPrefix(word, "--")
		switch {
		case ours && len(word) > 2 && strings.HasPrefix(word, "-p") && Literal("password", word[2:]):
			found = append(found, "the value of -p")
		case ours && word == "password" && Literal("password", next):
			found = append(found, "the argument of password")
		case !ours && word == "-p" && path.Base(command[0]) == "maxctrl" && Literal("password", next):
			found = append(found, "the value of -p")
		case !ours && isOption && !strings.Contains(name, "=") && SecretName(name) && Literal(name, next):
			found = append(found, "the value of --"+clip(name))
		case path.Base(command[0]) == "curl" && (word == "-u" || word == "--user") && strings.Contains(next, ":"):
			if _, password, _ := strings.Cut(next, ":"); Literal("password", password) {
				found = append(found, "the value of "+word)
			}
		}
	}
	return found
}
