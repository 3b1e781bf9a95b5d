package masking

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/document"
)

// Bounds on a document; what is more is hardly meant.
const (
	maxRules    = 500
	maxAccounts = 500
	maxName     = 64 // characters of MariaDB's names
	maxUser     = 128
	maxText     = 1000 // bytes of an expression or replacement
)

type decoder struct{ *document.Decoder }

// json sees that a text is JSON, as MaxScale reads nothing else, and returns it for the
// reader of documents, which takes no tabs between values. JSON has them nowhere else.
func (d decoder) json(text []byte) ([]byte, bool) {
	text = document.WithoutMark(text)
	if len(text) > document.MaxText || len(bytes.TrimSpace(text)) == 0 {
		return text, true // refused by the reader
	}
	in := json.NewDecoder(bytes.NewReader(text))
	var whole json.RawMessage
	err := in.Decode(&whole)
	at := in.InputOffset()
	if err == nil {
		if _, err = in.Token(); errors.Is(err, io.EOF) {
			return bytes.ReplaceAll(text, []byte("\t"), []byte(" ")), true
		}
		err = errors.New("something follows the JSON object")
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset - 1
	case errors.Is(err, io.ErrUnexpectedEOF):
		at = int64(len(text))
	}
	before := text[:min(max(at, 0), int64(len(text)))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	d.At(line, column, "", "got what is no JSON (%v), which is all that MaxScale reads", err)
	return nil, false
}

func (d decoder) rules(into *Rules) document.Field {
	return d.Object(document.Fields{
		"rules": document.Required(document.Then(document.Each(d.Decoder, &into.All, d.rule), func(n *document.Node, path string) {
			switch {
			case len(into.All) == 0:
				d.Fail(n, path, "got no rule: MaxScale would start, and mask nothing")
			case len(into.All) > maxRules:
				d.Fail(n, path, "got %d rules, want at most %d", len(into.All), maxRules)
			default:
				d.apart(n, path, into.All)
			}
		})),
	}, nil)
}

func (d decoder) rule(into *Rule) document.Field {
	return d.Object(document.Fields{
		"replace":    d.column(into, true),
		"obfuscate":  d.column(into, false),
		"with":       d.with(into),
		"applies_to": d.accounts(&into.AppliesTo),
		"exempted":   d.accounts(&into.Exempted),
	}, func(n *document.Node, path string) {
		into.Line = n.Line
		_, replace := document.Lookup(n, "replace")
		obfuscated, obfuscate := document.Lookup(n, "obfuscate")
		withKey, with := document.Lookup(n, "with")
		switch {
		case replace == nil && obfuscate == nil:
			if !d.Misspelt(document.Member(path, "replace")) && !d.Misspelt(document.Member(path, "obfuscate")) {
				d.Fail(n, path, "got neither replace nor obfuscate: it would mask nothing")
			}
		case replace != nil && obfuscate != nil:
			d.Fail(obfuscated, document.Member(path, "obfuscate"), "got replace and obfuscate, want one of them")
		case replace != nil && with == nil && !d.Misspelt(document.Member(path, "with")):
			d.Fail(n, document.Member(path, "with"), "it is missing")
		case obfuscate != nil && with != nil:
			d.Fail(withKey, document.Member(path, "with"), "got it beside obfuscate, which takes none")
		}
	})
}

// column reads what a rule is about.
func (d decoder) column(into *Rule, replace bool) document.Field {
	known := document.Fields{
		"database": d.name(&into.Column.Database),
		"table":    d.name(&into.Column.Table),
		"column":   document.Required(d.name(&into.Column.Name)),
	}
	if replace {
		known["match"] = d.match(&into.Match)
	}
	return d.Object(known, func(*document.Node, string) { into.Obfuscate = !replace })
}

// text reads a string. MaxScale takes no number for one.
func (d decoder) text(into *string, most int, check func(text string) string) document.Field {
	read := func(n *document.Node, path string) {
		if n.Kind != document.Scalar || n.Tag != "!!str" {
			d.Fail(n, path, "got %s, want a text in quotes", document.KindOf(n))
			return
		}
		*into = n.Value
		problem := ""
		switch {
		case n.Value == "":
			problem = "that is not empty"
		case len(n.Value) > most:
			problem = "that is shorter"
		case strings.ContainsFunc(n.Value, document.Invisible):
			problem = "of characters that can be seen"
		case strings.Contains(n.Value, "$$SCONE") || strings.Contains(n.Value, "{{"):
			problem = "without $$SCONE and {{, which mean something else to those who read the session"
		default:
			problem = check(n.Value)
		}
		if problem != "" {
			d.Fail(n, path, "got %q, want a text %s", document.Clip(n.Value), problem)
		}
	}
	return document.Field{Read: read, Shape: func() document.Shape { return document.Shape{"type": "string", "minLength": 1} }}
}

func (d decoder) name(into *string) document.Field {
	return d.text(into, 4*maxName, func(text string) string {
		switch {
		case utf8.RuneCountInString(text) > maxName:
			return "of at most 64 characters, as a name of MariaDB's"
		case strings.TrimSpace(text) != text:
			return "without white space at its ends"
		case strings.ContainsAny(text, "%*"):
			return "that is a name: % and * stand for nothing here"
		case strings.HasPrefix(strings.ToLower(text), "confidb_"):
			return "that does not begin with confidb_: those names are of the session's own tables, which no rule of yours may touch"
		}
		return ""
	})
}

// match reads an expression. MaxScale's are PCRE2; what only those know is refused, as
// nothing here could tell what it hits.
func (d decoder) match(into *string) document.Field {
	return d.text(into, maxText, func(text string) string {
		form, err := regexp.Compile(text)
		switch {
		case err != nil:
			return "that is a regular expression of RE2 too (" + strings.TrimPrefix(err.Error(), "error parsing regexp: ") + ")"
		case form.MatchString(""):
			return "that does not hit nothing at all: nothing would be masked"
		}
		return ""
	})
}

// with reads what a value is replaced with.
func (d decoder) with(into *Rule) document.Field {
	fill := func(text string) string {
		if strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return "of ASCII: MaxScale cuts it between bytes"
		}
		return ""
	}
	return d.Object(document.Fields{
		"value": d.text(&into.Value, maxText, func(string) string { return "" }),
		"fill": document.Field{Read: d.text(&into.Fill, maxText, fill).Read, Shape: d.text(&into.Fill, maxText, fill).Shape,
			Missing: "it is missing: values of another length than that of value need it"},
	}, nil)
}

// accounts reads a list of them.
func (d decoder) accounts(into *[]Account) document.Field {
	return document.Then(document.Each(d.Decoder, into, d.account), func(n *document.Node, path string) {
		switch {
		case n.Kind == document.List && len(n.Content) == 0:
			d.Fail(n, path, "got no account; leave the key out")
		case len(*into) > maxAccounts:
			d.Fail(n, path, "got %d accounts, want at most %d", len(*into), maxAccounts)
		}
	})
}

func (d decoder) account(into *Account) document.Field {
	var text string
	return d.text(&text, maxText, func(text string) (problem string) {
		*into, problem = parseAccount(text)
		return problem
	})
}

// parseAccount reads 'user'@'host', with quotes or without; without a host it is any.
func parseAccount(text string) (a Account, problem string) {
	const form = "as 'user'@'host'"
	user, rest, ok := part(text)
	host := everywhere
	if ok && rest != "" {
		if rest, ok = strings.CutPrefix(rest, "@"); ok {
			host, rest, ok = part(rest)
			ok = ok && rest == ""
		}
	}
	switch {
	case !ok || host == "":
		return Account{}, form
	case user == "":
		return Account{}, form + ", with a user: what MaxScale takes for anybody is not known"
	case strings.Contains(user, "%"):
		return Account{}, form + ", without % in the user: only a host may have it"
	case strings.Contains(host, "_"):
		return Account{}, form + ", without _ in the host: write % for what it may be"
	case utf8.RuneCountInString(user) > maxUser:
		return Account{}, "whose user has at most 128 characters"
	}
	return Account{user, host}, ""
}

// part takes a user or host off the front, with its quotes or up to an @.
func part(text string) (name, rest string, ok bool) {
	if text != "" && strings.IndexByte("'\"`", text[0]) >= 0 {
		end := strings.IndexByte(text[1:], text[0])
		if end < 0 {
			return "", "", false
		}
		return text[1 : 1+end], text[2+end:], true
	}
	end := strings.IndexByte(text, '@')
	if end < 0 {
		end = len(text)
	}
	name, rest = text[:end], text[end:]
	return name, rest, !strings.ContainsAny(name, "'\"` ")
}

// apart sees that no column of one user has two rules: which of them MaxScale obeys is not
// known.
func (d decoder) apart(n *document.Node, path string, all []Rule) {
	for i, a := range all {
		for j, b := range all[:i] {
			if a.Column.Name != "" && a.Column.meets(b.Column) && !strangers(a, b) {
				d.Fail(n.Content[i], document.Item(path, i), "got %s, which %s is about as well, for the same users", document.Clip(a.Column.String()), document.Item(path, j))
				break
			}
		}
	}
}

// meets reports whether two may be one column. MariaDB takes names of columns in any
// letters.
func (c Column) meets(other Column) bool {
	same := func(a, b string) bool { return a == "" || b == "" || strings.EqualFold(a, b) }
	return strings.EqualFold(c.Name, other.Name) && same(c.Table, other.Table) && same(c.Database, other.Database)
}

// strangers reports whether no user is masked by both of two rules.
func strangers(a, b Rule) bool {
	if len(a.AppliesTo) == 0 {
		a, b = b, a
	}
	if len(a.AppliesTo) == 0 {
		return false
	}
	for _, one := range a.AppliesTo {
		if a.Meets(one.User) != Never && b.Meets(one.User) != Never {
			return false
		}
	}
	return true
}
