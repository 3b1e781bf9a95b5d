package session

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads a document. What is wrong with it is an *Errors, whose Problems are
// of type *Error.
func Parse(file string, text []byte) (*Session, error) {
	d := newDecoder(file)
	document := d.document(text)
	if document == nil {
		return nil, d.err()
	}
	root := document.Content[0]
	s := &Session{file: file, source: slices.Clone(text), root: root}
	d.readVersion(root)
	d.session(s).read(root, "")
	s.checkReferences(d)
	if err := d.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// newest is the minor version of the newest language, 0.3.12.
const newest = 12

const (
	hex32   = `^[0-9a-fA-F]{32}$`
	hex64   = `^[0-9a-fA-F]{64}$`
	name    = `^[A-Za-z0-9_\-.~]{1,128}$`
	names   = `^(/|[A-Za-z0-9_\-.~]{1,128}(/[A-Za-z0-9_\-.~]{1,128})*)$`
	version = `^0\.3(\.([0-9]|1[0-2]))?$`
	// reference is a placeholder that is the whole value.
	reference = `^\$\$SCONE::[A-Za-z0-9_\-~]{1,128}(:[a-z0-9\-:]+)?\$\$$`

	hex32Words     = "32 hexadecimal digits"
	hex64Words     = "64 hexadecimal digits"
	nameChars      = "A-Z, a-z, 0-9 and _-.~"
	nameWords      = "at most 128 of " + nameChars
	namesWords     = nameWords + " in each part between slashes"
	referenceWords = "$$SCONE::secret$$"
	// maxName bounds a name with its namespaces.
	maxName = 512
)

// either is an expression for one form or the other.
func either(a, b string) string { return "(" + a + "|" + b + ")" }

// readVersion comes before everything else, since it says what is known.
func (d *decoder) readVersion(root *yaml.Node) {
	_, value := lookup(root, "version")
	if value == nil || !d.matches(version, value.Value) {
		return // reported where it is read
	}
	d.minor, _ = strconv.Atoi(strings.TrimPrefix(strings.TrimPrefix(value.Value, "0.3"), ".")) // "" is 0.3.0
}

// lookup finds a key of a mapping.
func lookup(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

func (d *decoder) session(s *Session) field {
	versionField := d.matching(&s.Version, version, "0.3 to 0.3.12")
	versionField.missing = "it is missing: CAS would read the document as language 0.1"
	return d.object(fields{
		"version":        versionField,
		"name":           required(then(d.matching(&s.Name, names, namesWords), d.absolute(&s.Name))),
		"namespace_hash": since(11, d.matching(&s.NamespaceHash, hex64, hex64Words)),
		"predecessor":    d.predecessor(&s.Predecessor),
		"salt":           since(12, d.matching(&s.Salt, hex32, hex32Words)),
		"creator":        d.text(&s.Creator),
		"services":       each(d, &s.Services, d.service),
		"secrets":        each(d, &s.Secrets, d.secret),
		"secret_config":  d.value(&s.SecretConfig),
		"volumes":        each(d, &s.Volumes, d.volume),
		"images":         each(d, &s.Images, d.image),
		"access_policy":  d.accessPolicy(&s.AccessPolicy),
		"security":       d.security(&s.Security),
	}, func(n *yaml.Node, path string) {
		if s.NamespaceHash != "" && s.Predecessor != "" {
			key, _ := lookup(n, "namespace_hash")
			d.fail(key, "namespace_hash", "got it beside predecessor: it is for new sessions only").Advice = "remove one of them"
		}
	})
}

// absolute refuses names that lead elsewhere.
func (d *decoder) absolute(name *string) reader {
	return func(n *yaml.Node, path string) {
		parts := strings.Split(*name, "/")
		switch {
		case len(*name) > maxName:
			d.fail(n, path, "got %d characters, want at most %d", len(*name), maxName)
		case slices.Contains(parts, ".") || slices.Contains(parts, ".."):
			d.fail(n, path, "got %q, want no part that is . or ..", clip(*name))
		}
	}
}

func (d *decoder) predecessor(into *string) field {
	hash := d.matching(into, hex64, hex64Words)
	read := func(n *yaml.Node, path string) {
		if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
			return // ~ means none
		}
		hash.read(n, path)
	}
	return field{read: read, shape: fixed(shape{"anyOf": []shape{{"type": "null"}, hash.shape()}})}
}

func (d *decoder) security(s *Security) field {
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode: d.fragment(&s.Fragment),
		yaml.MappingNode: d.object(fields{
			"attestation":          d.securityAttestation(s),
			"singleton_enclaves":   d.flag(&s.SingletonEnclaves),
			"service_access_token": d.hidden(&s.ServiceAccessToken, `^.+$`, "a word"),
		}, nil),
	})
}

func (d *decoder) securityAttestation(s *Security) field {
	advisory := either(`^INTEL-(SA|DOC)-[0-9]{5}$`, reference)
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode: d.fragment(&s.AttestationFragment),
		yaml.MappingNode: d.object(fields{
			"mode":     oneOf(d, &s.Mode, "hardware", "none", "maa"),
			"tolerate": each(d, &s.Tolerate, d.tolerance),
			"ignore_advisories": d.byKind(map[yaml.Kind]field{
				yaml.ScalarNode: d.allAdvisories(&s.IgnoreAdvisories),
				yaml.SequenceNode: each(d, &s.IgnoreAdvisories, func(id *string) field {
					return d.matching(id, advisory, "an ID such as INTEL-SA-00615")
				}),
			}),
			"trusted_scone_qe_pubkeys": each(d, &s.TrustedSCONEQEPubkeys, func(key *string) field {
				return d.matching(key, either(hex64, reference), hex64Words)
			}),
			"must_be_sgx_local":               d.flag(&s.MustBeSGXLocal),
			"one_time_password_shared_secret": d.oneTimePassword(&s.OneTimePassword),
		}, nil),
	})
}

func (d *decoder) tolerance(into *string) field {
	word := oneOf(d, into, "debug-mode", "hyperthreading", "insecure-igpu", "software-hardening-needed", "aepic-leak",
		"insecure-configuration", "outdated-tcb", "local-attestation-trust-cas-tcb", "maa-managed-tcb")
	read := func(n *yaml.Node, path string) {
		if d.matches(reference, n.Value) {
			*into = n.Value
			return
		}
		word.read(n, path)
	}
	return field{read: read, shape: fixed(shape{"anyOf": []shape{word.shape(), {"type": "string", "pattern": reference}}})}
}

// allAdvisories reads the form that accepts all advisories, or leaves it to a secret.
func (d *decoder) allAdvisories(into *[]string) field {
	var one string
	return then(d.matching(&one, either(`^\*$`, reference), `a list of advisories or "*"`), func(*yaml.Node, string) {
		*into = []string{one}
	})
}
