package session

import (
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/sgx"
)

// Parse reads a document. What is wrong with it is an *Errors, whose Problems are
// of type *Error. A byte order mark at its beginning is left out of the Source.
func Parse(file string, text []byte) (*Session, error) {
	s, err := Read(file, text)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Read is Parse for whoever wants to look at what could be read of a broken document:
// with the error it returns that part, or nil where the text is not even YAML. A value
// that was refused is missing in it.
func Read(file string, text []byte) (*Session, error) { return ReadPart(file, text, nil) }

// ReadPart is Read of a part of a file: positions are those in the file.
func ReadPart(file string, text []byte, part *document.Origin) (*Session, error) {
	d := newDecoder(file)
	d.Origin = part
	whole := d.Read(text, document.Gate{})
	if whole == nil {
		return nil, d.Err()
	}
	root := whole.Content[0]
	s := &Session{file: file, source: slices.Clone(document.WithoutMark(text)), root: root, part: part}
	d.readVersion(root)
	d.session(s).Read(root, "")
	s.checkReferences(d)
	s.err = d.Err()
	return s, s.err
}

// debugMode is the toleration of enclaves that a debugger can read.
const debugMode = "debug-mode"

// newest is the minor version of the newest language, 0.3.12.
const newest = 12

// NamePattern is the form of a session's name with its namespaces, and NameWords is that
// form in words. Parts that are . or .. are not excluded by it.
const (
	NamePattern = `^(/|[A-Za-z0-9_\-.~]{1,128}(/[A-Za-z0-9_\-.~]{1,128})*)$`
	NameWords   = nameWords + " in each part between slashes"
)

const (
	hex32   = `^[0-9a-fA-F]{32}$`
	hex64   = `^[0-9a-fA-F]{64}$`
	name    = `^[A-Za-z0-9_\-.~]{1,128}$`
	version = `^0\.3(\.([0-9]|1[0-2]))?$`
	// reference is a placeholder that is the whole value.
	reference = `^\$\$SCONE::[A-Za-z0-9_\-~]{1,128}(:[a-z0-9\-:]+)?\$\$$`

	hex32Words     = "32 hexadecimal digits"
	hex64Words     = "64 hexadecimal digits"
	nameChars      = "A-Z, a-z, 0-9 and _-.~"
	nameWords      = "at most 128 of " + nameChars
	referenceWords = "$$SCONE::secret$$"
	// maxName bounds a name with its namespaces.
	maxName = 512
)

// either is an expression for one form or the other.
func either(a, b string) string { return "(" + a + "|" + b + ")" }

// readVersion comes before everything else, since it says what is known.
func (d *decoder) readVersion(root *document.Node) {
	_, value := document.Lookup(root, "version")
	if value == nil || !d.Matches(version, value.Value) {
		return // reported where it is read
	}
	d.minor, _ = strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(value.Value, "0.3"), ".")) // "" is 0.3.0
}

func (d *decoder) session(s *Session) document.Field {
	versionField := d.Matching(&s.Version, version, "0.3 to 0.3.12")
	versionField.Missing = "it is missing: CAS would read the document as language 0.1"
	return d.Object(document.Fields{
		"version":        versionField,
		"name":           document.Required(document.Then(d.Matching(&s.Name, NamePattern, NameWords), d.absolute(&s.Name))),
		"namespace_hash": d.orNull(d.since(11, d.Matching(&s.NamespaceHash, hex64, hex64Words))),
		"predecessor":    d.predecessor(&s.Predecessor),
		"salt":           d.orNull(d.since(12, d.Matching(&s.Salt, hex32, hex32Words))),
		"creator":        d.orNull(d.creator(&s.Creator)),
		"services":       d.orNull(document.Each(d.Decoder, &s.Services, d.service)),
		"secrets":        d.orNull(document.Each(d.Decoder, &s.Secrets, d.secret)),
		"secret_config":  d.Any(&s.SecretConfig),
		"volumes":        d.orNull(document.Each(d.Decoder, &s.Volumes, d.volume)),
		"images":         d.orNull(document.Each(d.Decoder, &s.Images, d.image)),
		"access_policy":  d.accessPolicy(&s.AccessPolicy),
		"security":       d.security(&s.Security),
	}, func(n *document.Node, path string) {
		if s.NamespaceHash != "" && s.Predecessor != "" {
			key, _ := document.Lookup(n, "namespace_hash")
			d.Fail(key, "namespace_hash", "got it beside predecessor: it is for new sessions only").Advice = "remove one of them"
		}
	})
}

// absolute refuses names that lead elsewhere.
func (d *decoder) absolute(name *string) document.Reader {
	return func(n *document.Node, path string) {
		parts := strings.Split(*name, "/")
		switch {
		case len(*name) > maxName:
			d.Fail(n, path, "got %d characters, want at most %d", len(*name), maxName)
		case slices.Contains(parts, ".") || slices.Contains(parts, ".."):
			d.Fail(n, path, "got %q, want no part that is . or ..", document.Clip(*name))
		}
	}
}

func (d *decoder) predecessor(into *string) document.Field {
	return d.orNull(d.Matching(into, hex64, hex64Words))
}

// orNull reads a field for which ~ is the same as nothing.
func (d *decoder) orNull(f document.Field) document.Field {
	read := func(n *document.Node, path string) {
		if !document.IsNull(n) {
			f.Read(n, path)
		}
	}
	return document.Field{Note: f.Note, Key: f.Key, Read: read, Shape: func() document.Shape { return document.Shape{"anyOf": []document.Shape{{"type": "null"}, f.Shape()}} }}
}

// creator is what CAS adds: the certificate, or the key of who signed the session.
func (d *decoder) creator(into *string) document.Field {
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar:  d.Text(into),
		document.Mapping: d.Object(document.Fields{signerKey: document.Required(d.Text(into))}, nil),
	})
}

func (d *decoder) security(s *Security) document.Field {
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar: d.fragment(&s.Fragment),
		document.Mapping: d.Object(document.Fields{
			"attestation":          d.securityAttestation(s),
			"singleton_enclaves":   d.Flag(&s.SingletonEnclaves),
			"service_access_token": d.Hidden(&s.ServiceAccessToken, `^.+$`, "a word"),
		}, nil),
	})
}

func (d *decoder) securityAttestation(s *Security) document.Field {
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar: d.fragment(&s.AttestationFragment),
		document.Mapping: d.Object(document.Fields{
			"mode":                     document.OneOf(d.Decoder, &s.Mode, "hardware", "none", "maa"),
			"url":                      d.Matching(&s.MAA.URL, `^https://[^/\s@]+/?$`, "https://TENANT.REGION.attest.azure.net"),
			"certificates":             d.Texts(&s.MAA.Certificates),
			"min_rsa_signing_key_size": number(d, &s.MAA.MinRSABits, 0, 1<<16),
			"tolerate":                 d.some(&s.Tolerate, d.tolerance),
			"ignore_advisories": d.ByKind(map[document.Kind]document.Field{
				document.Scalar: d.allAdvisories(&s.IgnoreAdvisories),
				document.List:   document.Each(d.Decoder, &s.IgnoreAdvisories, d.advisory),
			}),
			"trusted_scone_qe_pubkeys": d.some(&s.TrustedSCONEQEPubkeys, func(key *string) document.Field {
				return d.Matching(key, either(hex64, reference), hex64Words)
			}),
			"must_be_sgx_local":               d.Flag(&s.MustBeSGXLocal),
			"one_time_password_shared_secret": d.oneTimePassword(&s.OneTimePassword),
		}, func(n *document.Node, path string) { d.checkMAA(n, path, s) }),
	})
}

// checkMAA sees that what is about Microsoft's attestation goes with its mode.
func (d *decoder) checkMAA(n *document.Node, path string, s *Security) {
	if s.Mode == "maa" && s.MAA.URL == "" && !d.Under(document.Member(path, "url")) {
		d.Fail(n, document.Member(path, "url"), "it is missing: mode maa needs the address of the provider")
	}
	for _, key := range []string{"url", "certificates", "min_rsa_signing_key_size"} {
		if k, _ := document.Lookup(n, key); k != nil && s.Mode != "maa" && !d.Under(document.Member(path, "mode")) {
			d.Fail(k, document.Member(path, key), "got it without mode maa, to which it belongs")
		}
	}
}

// some reads a list, or a reference to one.
func (d *decoder) some(into *[]string, item func(*string) document.Field) document.Field {
	var one string
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar: document.Then(d.Matching(&one, reference, "a list"), func(*document.Node, string) { *into = []string{one} }),
		document.List:   document.Each(d.Decoder, into, item),
	})
}

func (d *decoder) advisory(into *string) document.Field {
	read := func(n *document.Node, path string) {
		text := d.scalar(n, path)
		*into = text
		if text == "*" || d.Matches(reference, text) {
			return
		}
		if _, err := sgx.ParseAdvisory(text); err != nil {
			d.Fail(n, path, "%v", err)
		}
	}
	return document.Field{Read: read, Shape: func() document.Shape {
		return document.Shape{"type": []string{"string", "number"}, "pattern": either(either(sgx.AdvisoryPattern, `^\*$`), reference)}
	}}
}

func (d *decoder) tolerance(into *string) document.Field {
	word := document.OneOf(d.Decoder, into, debugMode, "debug", "hyperthreading", "insecure-igpu", "software-hardening-needed", "aepic-leak",
		"insecure-configuration", "outdated-tcb", "local-attestation-trust-cas-tcb", "maa-managed-tcb")
	read := func(n *document.Node, path string) {
		if d.Matches(reference, n.Value) {
			*into = n.Value
			return
		}
		word.Read(n, path)
		if *into == "debug" { // so the reference writes it, too
			*into = debugMode
		}
	}
	return document.Field{Read: read, Shape: func() document.Shape {
		return document.Shape{"anyOf": []document.Shape{word.Shape(), {"type": "string", "pattern": reference}}}
	}}
}

// allAdvisories reads the form that accepts all advisories, or leaves it to a secret.
func (d *decoder) allAdvisories(into *[]string) document.Field {
	var one string
	return document.Then(d.Matching(&one, either(`^\*$`, reference), `a list of advisories or "*"`), func(*document.Node, string) {
		*into = []string{one}
	})
}
