package session

import (
	"encoding/pem"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/document"
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
	// digits, or base58 as scone self show prints it) or the placeholder; empty for
	// other kinds.
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

func (d *decoder) accessPolicy(p *AccessPolicy) document.Field {
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar: d.fragment(&p.Fragment),
		document.Mapping: d.Object(document.Fields{
			"read":            document.Then(d.rules(&p.Read), d.refuseSigner(&p.Read)),
			"update":          d.rules(&p.Update),
			"create_sessions": d.rules(&p.CreateSessions),
			"list_sessions":   d.since(12, d.rules(&p.ListSessions)),
		}, nil),
	})
}

// refuseSigner is for reading: a reader signs nothing.
func (d *decoder) refuseSigner(rules *[]AccessRule) document.Reader {
	return func(n *document.Node, path string) {
		if slices.ContainsFunc(*rules, func(r AccessRule) bool { return r.Any(AccessSigner) }) {
			d.Fail(n, path, "got a signer, want none: reading is not signed")
		}
	}
}

// rules reads a list of rules, or one alone. ANY and NONE make sense alone only.
func (d *decoder) rules(into *[]AccessRule) document.Field {
	var one AccessRule
	single := document.Then(d.rule(&one), func(*document.Node, string) { *into = []AccessRule{one} })
	all := d.ByKind(map[document.Kind]document.Field{
		document.Scalar: single, document.Mapping: single, document.List: document.Each(d.Decoder, into, d.rule),
	})
	return document.Then(all, func(n *document.Node, path string) {
		if n.Kind == document.List && len(n.Content) == 0 {
			d.Fail(n, path, "got an empty list, want NONE, CREATOR or a certificate")
		}
		for _, r := range *into {
			if len(*into) > 1 && (r.Kind == AccessAny || r.Kind == AccessNone) {
				d.Fail(n, path, "got %s beside others, want it alone", r.Kind)
			}
		}
	})
}

func (d *decoder) rule(r *AccessRule) document.Field {
	read := func(n *document.Node, path string) {
		switch {
		case n.Kind == document.Mapping && len(n.Content) == 2:
			d.condition(n.Content[0], n.Content[1], path, r)
		case n.Kind == document.Scalar:
			d.principal(n, path, r)
		default:
			d.Fail(n, path, "got %s, want a word, certificate or key hash, or one of signer, require-all and require-at-least-N", document.KindOf(n))
		}
	}
	return document.Field{Read: read, Shape: func() document.Shape { return document.Shape{"$ref": "#/definitions/accessRule"} }}
}

const (
	signerKey    = "signer"
	requireAll   = "require-all"
	requireSome  = "require-at-least-"
	certificate  = "CERTIFICATE"
	publicKeyPEM = "PUBLIC KEY"
)

func (d *decoder) principal(n *document.Node, path string, r *AccessRule) {
	text := d.scalar(n, path)
	r.Text = text
	switch {
	case text == string(AccessCreator), text == string(AccessAny), text == string(AccessNone):
		*r = AccessRule{Kind: AccessKind(text)}
	case d.Matches(hex64, text):
		r.Kind = AccessKeyHash
	case d.Matches(reference, text):
		r.Kind = AccessFragment
	case isPEM(text, certificate):
		r.Kind = AccessCertificate
	default:
		d.keyHash(n, path, text, r)
	}
}

// keyHash reads the hash of a key in base58.
func (d *decoder) keyHash(n *document.Node, path, text string, r *AccessRule) {
	_, err := decodeKeyHash(text)
	switch {
	case err == nil:
		r.Kind = AccessKeyHash
	case d.Matches(`^[1-9A-HJ-NP-Za-km-z]{40,60}$`, text):
		d.Fail(n, path, "got %q, want a key hash: %v", document.Clip(text), err)
	default:
		d.Fail(n, path, "got %q, want CREATOR, ANY, NONE, a certificate (PEM), a key hash (%s, or %s) or %s", document.Clip(text), hex64Words, base58Words, referenceWords).Advice =
			document.Suggest(text, []string{"CREATOR", "ANY", "NONE"})
	}
}

func isPEM(text, kind string) bool {
	block, rest := pem.Decode([]byte(text))
	return block != nil && block.Type == kind && len(block.Bytes) > 0 && strings.TrimSpace(string(rest)) == ""
}

// condition reads a rule that has a key.
func (d *decoder) condition(key, value *document.Node, path string, r *AccessRule) {
	path = document.Member(path, key.Value)
	some, isSome := strings.CutPrefix(key.Value, requireSome)
	switch {
	case key.Value == signerKey:
		r.Kind, r.Text = AccessSigner, d.scalar(value, path)
		if !isPEM(r.Text, publicKeyPEM) && !d.Matches(reference, r.Text) {
			d.Fail(value, path, "got %s, want a public key (PEM)", document.KindOf(value))
		}
	case key.Value == requireAll:
		d.rules(&r.Of).Read(value, path)
		r.Kind, r.AtLeast = AccessThreshold, len(r.Of)
	case isSome && d.Matches(`^[1-9][0-9]{0,3}$`, some):
		d.rules(&r.Of).Read(value, path)
		r.Kind = AccessThreshold
		r.AtLeast, _ = strconv.Atoi(some) // digits, as the expression says
		if r.AtLeast > len(r.Of) {
			d.Fail(value, path, "got %d entries, want at least %d", len(r.Of), r.AtLeast)
		}
	default:
		d.Unknown(key, strings.TrimSuffix(path, "."+key.Value), []string{signerKey, requireAll, requireSome + "N"})
	}
}

// accessRuleShape is recursive, so it has a name in the schema.
func accessRuleShape() document.Shape {
	rule := document.Shape{"$ref": "#/definitions/accessRule"}
	list := document.Shape{"anyOf": []document.Shape{rule, {"type": "array", "minItems": 1, "items": rule}}}
	return document.Shape{"anyOf": []document.Shape{
		{"type": []string{"string", "number"}},
		{
			"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": false,
			"properties":        document.Shape{signerKey: document.Shape{"type": "string"}, requireAll: list},
			"patternProperties": document.Shape{"^" + requireSome + "[1-9][0-9]{0,3}$": list},
		},
	}}
}
