package session

import (
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/nearest"
)

// AccessPolicy says who may do what. An empty list means CREATOR; for
// CreateSessions it means the same as Update, for ListSessions the same as Read.
type AccessPolicy struct {
	// Fragment is the config-fragment that holds the whole policy, or empty. Then
	// the lists are empty and mean nothing.
	Fragment                                   string
	Read, Update, CreateSessions, ListSessions []AccessRule
}

// AccessKind is what an AccessRule asks for.
type AccessKind string

// What a rule can ask for.
const (
	AccessCreator     AccessKind = "CREATOR"
	AccessAny         AccessKind = "ANY"
	AccessNone        AccessKind = "NONE"
	AccessCertificate AccessKind = "certificate"
	AccessKeyHash     AccessKind = "key hash"
	AccessFragment    AccessKind = "fragment"
	AccessSigner      AccessKind = "signer"
	// AccessThreshold is require-all and require-at-least-N.
	AccessThreshold AccessKind = "threshold"
)

// AccessRule is one entry of an access policy. The zero rule permits nobody.
type AccessRule struct {
	Kind AccessKind
	// Text is the certificate or public key (PEM), the key hash (64 hexadecimal
	// digits) or the placeholder; empty for other kinds.
	Text string
	// AtLeast is how many rules of Of must hold, for a threshold.
	AtLeast int
	Of      []AccessRule
}

// Any reports whether some rule, however deep, is of a kind.
func (r AccessRule) Any(kind AccessKind) bool {
	return r.Kind == kind || slices.ContainsFunc(r.Of, func(o AccessRule) bool { return o.Any(kind) })
}

// String is what an error or report calls the rule; it shows no certificate.
func (r AccessRule) String() string {
	switch r.Kind {
	case AccessKeyHash, AccessFragment:
		return r.Text
	case AccessThreshold:
		return fmt.Sprintf("%d of %v", r.AtLeast, r.Of)
	}
	return string(r.Kind)
}

func (d *decoder) accessPolicy(p *AccessPolicy) field {
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode: d.fragment(&p.Fragment),
		yaml.MappingNode: d.object(fields{
			"read":            then(d.rules(&p.Read), d.refuseSigner(&p.Read)),
			"update":          d.rules(&p.Update),
			"create_sessions": d.rules(&p.CreateSessions),
			"list_sessions":   since(12, d.rules(&p.ListSessions)),
		}, nil),
	})
}

// refuseSigner is for reading: a reader signs nothing.
func (d *decoder) refuseSigner(rules *[]AccessRule) reader {
	return func(n *yaml.Node, path string) {
		if slices.ContainsFunc(*rules, func(r AccessRule) bool { return r.Any(AccessSigner) }) {
			d.fail(n, path, "got a signer, want none: reading is not signed")
		}
	}
}

// rules reads a list of rules. ANY and NONE make sense alone only.
func (d *decoder) rules(into *[]AccessRule) field {
	return then(each(d, into, d.rule), func(n *yaml.Node, path string) {
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			d.fail(n, path, "got an empty list, want NONE, CREATOR or a certificate")
		}
		for _, r := range *into {
			if len(*into) > 1 && (r.Kind == AccessAny || r.Kind == AccessNone) {
				d.fail(n, path, "got %s beside others, want it alone", r.Kind)
			}
		}
	})
}

func (d *decoder) rule(r *AccessRule) field {
	read := func(n *yaml.Node, path string) {
		switch {
		case n.Kind == yaml.MappingNode && len(n.Content) == 2:
			d.condition(n.Content[0], n.Content[1], path, r)
		case n.Kind == yaml.ScalarNode:
			d.principal(n, path, r)
		default:
			d.fail(n, path, "got %s, want a word, certificate or key hash, or one of signer, require-all and require-at-least-N", kindOf(n))
		}
	}
	return field{read: read, shape: fixed(shape{"$ref": "#/definitions/accessRule"})}
}

const (
	signerKey    = "signer"
	requireAll   = "require-all"
	requireSome  = "require-at-least-"
	certificate  = "CERTIFICATE"
	publicKeyPEM = "PUBLIC KEY"
)

func (d *decoder) principal(n *yaml.Node, path string, r *AccessRule) {
	text := d.scalar(n, path)
	r.Text = text
	switch {
	case text == string(AccessCreator), text == string(AccessAny), text == string(AccessNone):
		*r = AccessRule{Kind: AccessKind(text)}
	case d.matches(hex64, text):
		r.Kind = AccessKeyHash
	case d.matches(reference, text):
		r.Kind = AccessFragment
	case isPEM(text, certificate):
		r.Kind = AccessCertificate
	default:
		e := d.fail(n, path, "got %q, want CREATOR, ANY, NONE, a certificate (PEM), a key hash (%s) or %s", clip(text), hex64Words, referenceWords)
		if near := nearest.Word(text, []string{"CREATOR", "ANY", "NONE"}); near != "" {
			e.Advice = fmt.Sprintf("write %q", near)
		}
	}
}

func isPEM(text, kind string) bool {
	block, rest := pem.Decode([]byte(text))
	return block != nil && block.Type == kind && len(block.Bytes) > 0 && strings.TrimSpace(string(rest)) == ""
}

// condition reads a rule that has a key.
func (d *decoder) condition(key, value *yaml.Node, path string, r *AccessRule) {
	path = join(path, key.Value)
	some, isSome := strings.CutPrefix(key.Value, requireSome)
	switch {
	case key.Value == signerKey:
		r.Kind, r.Text = AccessSigner, d.scalar(value, path)
		if !isPEM(r.Text, publicKeyPEM) && !d.matches(reference, r.Text) {
			d.fail(value, path, "got %s, want a public key (PEM)", kindOf(value))
		}
	case key.Value == requireAll:
		d.rules(&r.Of).read(value, path)
		r.Kind, r.AtLeast = AccessThreshold, len(r.Of)
	case isSome && d.matches(`^[1-9][0-9]{0,3}$`, some):
		d.rules(&r.Of).read(value, path)
		r.Kind = AccessThreshold
		r.AtLeast, _ = strconv.Atoi(some) // digits, as the expression says
		if r.AtLeast > len(r.Of) {
			d.fail(value, path, "got %d entries, want at least %d", len(r.Of), r.AtLeast)
		}
	default:
		d.unknown(key, strings.TrimSuffix(path, "."+key.Value), fields{signerKey: {}, requireAll: {}, requireSome + "N": {}})
	}
}

// accessRuleShape is recursive, so it has a name in the schema.
func accessRuleShape() shape {
	list := shape{"type": "array", "minItems": 1, "items": shape{"$ref": "#/definitions/accessRule"}}
	return shape{"anyOf": []shape{
		{"type": []string{"string", "number"}},
		{
			"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
			"properties":        shape{signerKey: shape{"type": "string"}, requireAll: list},
			"patternProperties": shape{"^" + requireSome + "[1-9][0-9]{0,3}$": list},
		},
	}}
}
