package session

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

// Error says what is wrong at one place of a document.
type Error struct {
	File         string
	Line, Column int
	// Path leads to the place, such as services[0].platforms[1].
	Path string
	// Problem says what was got and what was wanted.
	Problem string
	hint    string
}

func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s", e.File, e.Line, e.Column, e.Path, e.Problem)
}

// Hint names the nearest known word, if there is one.
func (e *Error) Hint() string { return e.hint }

// maxDocument bounds a document, in bytes.
const maxDocument = 1 << 20

// Parse reads a document. The first thing that is wrong with it is an *Error.
func Parse(file string, text []byte) (*Session, error) {
	node, err := parseYAML(file, text)
	if err != nil {
		return nil, err
	}
	d := &decoder{file: file}
	s := d.session(node)
	if d.err != nil {
		return nil, d.err
	}
	if err := s.checkReferences(d, node); err != nil {
		return nil, err
	}
	return s, nil
}

func parseYAML(file string, text []byte) (*yaml.Node, error) {
	if len(text) > maxDocument {
		return nil, &Error{File: file, Line: 1, Column: 1, Problem: fmt.Sprintf("got %d bytes, want at most %d", len(text), maxDocument)}
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		line := 1
		if found := regexp.MustCompile(`line (\d+)`).FindStringSubmatch(err.Error()); found != nil {
			line, _ = strconv.Atoi(found[1]) // digits, as the expression says
		}
		return nil, &Error{File: file, Line: line, Column: 1, Problem: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if len(document.Content) != 1 {
		return nil, &Error{File: file, Line: 1, Column: 1, Problem: "the document is empty"}
	}
	return document.Content[0], nil
}

// decoder walks a document and keeps the first error.
type decoder struct {
	file string
	err  *Error
}

func (d *decoder) fail(n *yaml.Node, path, format string, arguments ...any) {
	if d.err == nil {
		d.err = &Error{File: d.file, Line: n.Line, Column: n.Column, Path: path, Problem: fmt.Sprintf(format, arguments...)}
	}
}

// field reads the value of one key.
type field func(value *yaml.Node, path string)

// object reads a mapping: each key must be known and be there once.
func (d *decoder) object(n *yaml.Node, path string, fields map[string]field) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "got %s, want a mapping", kindOf(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, known := fields[key.Value]
		switch {
		case !known:
			d.fail(key, path, "got the unknown key %q", clip(key.Value))
			d.suggest(key.Value, fields)
			return
		case seen[key.Value]:
			d.fail(key, path, "got the key %q a second time", key.Value)
			return
		}
		seen[key.Value] = true
		read(value, join(path, key.Value))
	}
}

func (d *decoder) suggest(key string, fields map[string]field) {
	best, distance := "", 4
	for _, known := range sortedKeys(fields) {
		if e := editDistance(key, known); e < distance {
			best, distance = known, e
		}
	}
	if best != "" && d.err.hint == "" {
		d.err.hint = fmt.Sprintf("write %q", best)
	}
}

func sortedKeys(fields map[string]field) []string {
	var keys []string
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// editDistance counts the insertions, deletions and replacements between two words.
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias, which sessions do not use"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return fmt.Sprintf("%q", clip(n.Value))
}

func clip(text string) string {
	if len(text) > 60 {
		return text[:60] + "…"
	}
	return text
}

func (d *decoder) list(n *yaml.Node, path string, item field) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "got %s, want a list", kindOf(n))
		return
	}
	for i, c := range n.Content {
		item(c, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *decoder) scalar(n *yaml.Node, path string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.fail(n, path, "got %s, want a value", kindOf(n))
	}
	return n.Value
}

func (d *decoder) text(into *string) field {
	return func(n *yaml.Node, path string) { *into = d.scalar(n, path) }
}

func (d *decoder) texts(into *[]string) field {
	return func(n *yaml.Node, path string) {
		d.list(n, path, func(n *yaml.Node, path string) { *into = append(*into, d.scalar(n, path)) })
	}
}

func (d *decoder) matching(into *string, expression, want string) field {
	return func(n *yaml.Node, path string) {
		*into = d.scalar(n, path)
		if !regexp.MustCompile(expression).MatchString(*into) {
			d.fail(n, path, "got %q, want %s", clip(*into), want)
		}
	}
}

func (d *decoder) oneOf(into *string, words ...string) field {
	return func(n *yaml.Node, path string) {
		*into = d.scalar(n, path)
		if !slices.Contains(words, *into) {
			d.fail(n, path, "got %q, want %s", clip(*into), strings.Join(words, ", "))
		}
	}
}

func (d *decoder) flag(into *bool) field {
	return func(n *yaml.Node, path string) {
		if err := n.Decode(into); err != nil || n.Tag != "!!bool" {
			d.fail(n, path, "got %s, want true or false", kindOf(n))
		}
	}
}

func (d *decoder) number(into *int, low, high int) field {
	return func(n *yaml.Node, path string) {
		v, err := strconv.Atoi(d.scalar(n, path))
		if err != nil || v < low || v > high {
			d.fail(n, path, "got %s, want a number from %d to %d", kindOf(n), low, high)
		}
		*into = v
	}
}

const (
	hex32   = `^[0-9a-fA-F]{32}$`
	hex64   = `^[0-9a-fA-F]{64}$`
	name    = `^[A-Za-z0-9_\-.~]{1,128}$`
	names   = `^(/|[A-Za-z0-9_\-.~]{1,128}(/[A-Za-z0-9_\-.~]{1,128})*)$`
	version = `^0\.3(\.([0-9]|1[0-2]))?$`
)

const nameChars = "A-Z, a-z, 0-9 and _-.~"

func (d *decoder) session(n *yaml.Node) *Session {
	s := &Session{}
	d.object(n, "", map[string]field{
		"version":        d.matching(&s.Version, version, "0.3 to 0.3.12"),
		"name":           d.matching(&s.Name, names, "at most 128 of "+nameChars+" in each part between slashes"),
		"namespace_hash": d.matching(&s.NamespaceHash, hex64, "64 hexadecimal digits"),
		"predecessor":    d.predecessor(&s.Predecessor),
		"salt":           d.matching(&s.Salt, hex32, "32 hexadecimal digits"),
		"creator":        d.text(&s.Creator),
		"services":       each(d, &s.Services, d.service),
		"secrets":        each(d, &s.Secrets, d.secret),
		"images":         each(d, &s.Images, d.image),
		"access_policy":  func(n *yaml.Node, path string) { s.AccessPolicy = d.accessPolicy(n, path) },
		"security":       func(n *yaml.Node, path string) { s.Security = d.security(n, path) },
	})
	if s.Version == "" {
		d.fail(n, "version", "it is missing: CAS would read the document as language 0.1")
	}
	if s.Name == "" {
		d.fail(n, "name", "it is missing")
	}
	return s
}

// each reads a list of mappings.
func each[T any](d *decoder, into *[]T, read func(*yaml.Node, string) T) field {
	return func(n *yaml.Node, path string) {
		d.list(n, path, func(n *yaml.Node, path string) { *into = append(*into, read(n, path)) })
	}
}

func (d *decoder) predecessor(into *string) field {
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
			return // ~ means none
		}
		d.matching(into, hex64, "64 hexadecimal digits")(n, path)
	}
}

func (d *decoder) service(n *yaml.Node, path string) Service {
	s := Service{}
	d.object(n, path, map[string]field{
		"name":        d.matching(&s.Name, name, "at most 128 of "+nameChars),
		"command":     d.command(&s.Command),
		"environment": d.environment(&s.Environment),
		"pwd":         d.text(&s.Pwd),
		"image_name":  d.text(&s.ImageName),
		"attestation": d.attestation(&s.Attestation),
		"mrenclaves": func(n *yaml.Node, path string) {
			s.Attestation = append(s.Attestation, Variant{MRENCLAVEs: d.measurements(n, path)})
		},
		"platforms": d.platforms(&s.Platforms),
	})
	if s.Name == "" {
		d.fail(n, join(path, "name"), "it is missing")
	}
	return s
}

func (d *decoder) command(into *[]string) field {
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.SequenceNode {
			d.texts(into)(n, path)
			return
		}
		words, err := splitCommand(d.scalar(n, path))
		if err != nil {
			d.fail(n, path, "%v", err)
		}
		*into = words
	}
}

// splitCommand splits at white space; single and double quotes keep words together.
func splitCommand(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	inside := false
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inside = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if inside {
				words = append(words, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("got an open quote %c", quote)
	}
	if inside {
		words = append(words, word.String())
	}
	return words, nil
}

func (d *decoder) environment(into *map[string]string) field {
	return func(n *yaml.Node, path string) {
		if n.Kind != yaml.MappingNode {
			d.fail(n, path, "got %s, want a mapping", kindOf(n))
			return
		}
		*into = map[string]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := d.scalar(n.Content[i], path)
			if _, twice := (*into)[key]; twice {
				d.fail(n.Content[i], path, "got the variable %q a second time", clip(key))
			}
			(*into)[key] = d.scalar(n.Content[i+1], join(path, key))
		}
	}
}

func (d *decoder) attestation(into *[]Variant) field {
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.SequenceNode { // a list means OR
			each(d, into, d.variant)(n, path)
			return
		}
		*into = append(*into, d.variant(n, path))
	}
}

func (d *decoder) variant(n *yaml.Node, path string) Variant {
	v := Variant{}
	d.object(n, path, map[string]field{
		"mrenclave": func(n *yaml.Node, path string) { v.MRENCLAVEs = d.measurements(n, path) },
		"signer":    func(n *yaml.Node, path string) { v.Signer = d.signer(n, path) },
	})
	if len(v.MRENCLAVEs) == 0 && v.Signer == nil {
		d.fail(n, path, "got no factor, want mrenclave or signer: it would admit any enclave")
	}
	return v
}

func (d *decoder) measurements(n *yaml.Node, path string) []sgx.Measurement {
	var all []sgx.Measurement
	one := func(n *yaml.Node, path string) {
		m, err := sgx.ParseMeasurement(d.scalar(n, path))
		if err != nil {
			d.fail(n, path, "%v", err)
		}
		all = append(all, m)
	}
	if n.Kind == yaml.SequenceNode {
		d.list(n, path, one)
	} else {
		one(n, path)
	}
	return all
}

func (d *decoder) signer(n *yaml.Node, path string) *Signer {
	var mrsigner string
	product, exact, low, high := 0, -1, 0, 0xffff
	d.object(n, path, map[string]field{
		"mrsigner":   d.matching(&mrsigner, hex64, "64 hexadecimal digits"),
		"isvprodid":  d.number(&product, 0, 0xffff),
		"isvsvn":     d.number(&exact, 0, 0xffff),
		"isvsvn_min": d.number(&low, 0, 0xffff),
		"isvsvn_max": d.number(&high, 0, 0xffff),
	})
	if exact >= 0 {
		low, high = exact, exact
	}
	m, err := sgx.ParseMeasurement(mrsigner)
	if err != nil {
		d.fail(n, join(path, "mrsigner"), "%v", err)
	}
	return &Signer{MRSIGNER: m, ISVProdID: uint16(product), MinISVSVN: uint16(low), MaxISVSVN: uint16(high)}
}

func (d *decoder) platforms(into *[]attest.PlatformID) field {
	return func(n *yaml.Node, path string) {
		d.list(n, path, func(n *yaml.Node, path string) {
			id, err := attest.ParsePlatformID(d.scalar(n, path))
			if err != nil {
				d.fail(n, path, "%v", err)
			}
			if len(*into) > 0 && (*into)[0].Generation() != id.Generation() {
				d.fail(n, path, "got an ID of generation %s after one of %s: a CAS knows only one kind", id.Generation(), (*into)[0].Generation())
			}
			*into = append(*into, id)
		})
		if len(*into) == 0 {
			d.fail(n, path, "got an empty list, want at least one platform ID")
		}
	}
}

func (d *decoder) image(n *yaml.Node, path string) Image {
	i := Image{}
	d.object(n, path, map[string]field{
		"name":            d.matching(&i.Name, name, "at most 128 of "+nameChars),
		"injection_files": each(d, &i.InjectionFiles, d.injectionFile),
		"provide_secrets": d.texts(&i.ProvideSecrets),
	})
	return i
}

// defaultPermission is what CAS gives a file without a permission of its own.
const defaultPermission fs.FileMode = 0o700

func (d *decoder) injectionFile(n *yaml.Node, path string) InjectionFile {
	f := InjectionFile{Permission: defaultPermission}
	if n.Kind == yaml.ScalarNode {
		f.Path = d.scalar(n, path)
	} else {
		d.object(n, path, map[string]field{
			"path":    d.text(&f.Path),
			"content": func(n *yaml.Node, path string) { content := d.scalar(n, path); f.Content = &content },
			"permission": func(n *yaml.Node, path string) {
				mode, err := strconv.ParseUint(strings.TrimPrefix(d.scalar(n, path), "0o"), 8, 9)
				if err != nil {
					d.fail(n, path, "got %s, want an octal mode such as 0o400", kindOf(n))
				}
				f.Permission = fs.FileMode(mode)
			},
		})
	}
	if !strings.HasPrefix(f.Path, "/") {
		d.fail(n, join(path, "path"), "got %q, want an absolute path", clip(f.Path))
	}
	return f
}

func (d *decoder) accessPolicy(n *yaml.Node, path string) AccessPolicy {
	p := AccessPolicy{}
	d.object(n, path, map[string]field{
		"read":            d.principals(&p.Read),
		"update":          d.principals(&p.Update),
		"create_sessions": d.principals(&p.CreateSessions),
	})
	return p
}

func (d *decoder) principals(into *[]string) field {
	return func(n *yaml.Node, path string) {
		d.texts(into)(n, path)
		for _, alone := range []string{"ANY", "NONE"} {
			if len(*into) > 1 && slices.Contains(*into, alone) {
				d.fail(n, path, "got %s beside others, want it alone", alone)
			}
		}
		if len(*into) == 0 {
			d.fail(n, path, "got an empty list, want NONE, CREATOR or a certificate")
		}
	}
}

func (d *decoder) security(n *yaml.Node, path string) Security {
	s := Security{}
	d.object(n, path, map[string]field{"attestation": func(n *yaml.Node, path string) {
		d.object(n, path, map[string]field{
			"mode": d.oneOf(&s.Mode, "hardware", "none", "maa"),
			"tolerate": func(n *yaml.Node, path string) {
				d.list(n, path, func(n *yaml.Node, path string) {
					var word string
					d.oneOf(&word, "debug-mode", "hyperthreading", "insecure-igpu", "software-hardening-needed", "aepic-leak", "insecure-configuration", "outdated-tcb", "local-attestation-trust-cas-tcb", "maa-managed-tcb")(n, path)
					s.Tolerate = append(s.Tolerate, word)
				})
			},
			"ignore_advisories": func(n *yaml.Node, path string) {
				if n.Kind == yaml.ScalarNode && n.Value == "*" {
					s.IgnoreAdvisories = []string{"*"}
					return
				}
				d.list(n, path, func(n *yaml.Node, path string) {
					var id string
					d.matching(&id, `^INTEL-(SA|DOC)-[0-9]{5}$`, "an ID such as INTEL-SA-00615")(n, path)
					s.IgnoreAdvisories = append(s.IgnoreAdvisories, id)
				})
			},
			"must_be_sgx_local": d.flag(&s.MustBeSGXLocal),
		})
	}})
	return s
}
