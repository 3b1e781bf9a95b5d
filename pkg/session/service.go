package session

import (
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/sgx"
)

func (d *decoder) service(s *Service) document.Field {
	var deprecated []Variant
	return d.Object(document.Fields{
		"name":                            document.Required(d.Matching(&s.Name, name, nameWords)),
		"command":                         d.command(&s.Command),
		"environment":                     d.orNull(d.environment(&s.Environment)),
		"pwd":                             d.orNull(d.Text(&s.Pwd)),
		"image_name":                      d.orNull(d.Text(&s.ImageName)),
		"fspf_path":                       d.orNull(d.Text(&s.FSPFPath)),
		"fspf_key":                        d.orNull(d.Hidden(&s.FSPFKey, either(hex64, reference), hex64Words+" or "+referenceWords)),
		"fspf_tag":                        d.orNull(d.Matching(&s.FSPFTag, hex32, hex32Words)),
		"fspf_update_policy":              document.OneOf(d.Decoder, &s.FSPFUpdatePolicy, "rollback_protected_reinitializable", "no_rollback_protection"),
		"attestation":                     d.attestation(s),
		"mrenclaves":                      d.deprecatedMeasurements(&deprecated),
		"platforms":                       d.platforms(s),
		"persistency":                     d.persistency(),
		"one_time_password_shared_secret": d.oneTimePassword(&s.OneTimePassword),
	}, func(n *document.Node, path string) {
		if len(deprecated) > 0 && len(s.Attestation) > 0 {
			key, _ := document.Lookup(n, "mrenclaves")
			d.Fail(key, document.Member(path, "mrenclaves"), "got it beside attestation, want one of them").Advice = "move the measurements to attestation.mrenclave"
		}
		s.Attestation = append(s.Attestation, deprecated...)
	})
}

// persistency is a key of older versions that CAS writes in its answers, for nothing.
func (d *decoder) persistency() document.Field {
	var word string
	return d.orNull(document.OneOf(d.Decoder, &word, "None", "none"))
}

// deprecatedMeasurements are those of the key mrenclaves: a list.
func (d *decoder) deprecatedMeasurements(into *[]Variant) document.Field {
	var v Variant
	return document.Then(d.measurementList(&v), func(*document.Node, string) { *into = []Variant{v} })
}

func (d *decoder) command(into *[]string) document.Field {
	var line string
	whole := document.Then(d.Text(&line), func(n *document.Node, path string) {
		words, err := splitCommand(line)
		if err != nil {
			d.Fail(n, path, "%v", err)
		}
		*into = words
	})
	return d.ByKind(map[document.Kind]document.Field{document.Scalar: whole, document.List: d.Texts(into)})
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

// hostPrefix begins the name of a variable that the host may set.
const hostPrefix = `\@\@`

// HostVariable reports whether a key of an environment is of the form \@\@NAME,
// which lets the host give the value of NAME.
func HostVariable(key string) (name string, ok bool) { return strings.CutPrefix(key, hostPrefix) }

func (d *decoder) environment(into *map[string]string) document.Field {
	read := func(n *document.Node, path string) {
		if n.Kind != document.Mapping {
			d.Fail(n, path, "got %s, want a mapping", document.KindOf(n))
			return
		}
		*into = map[string]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.variable(*into, n.Content[i], n.Content[i+1], path)
		}
	}
	return document.Field{Read: read, Shape: func() document.Shape {
		return document.Shape{"type": "object", "additionalProperties": document.Shape{"type": []string{"string", "number", "boolean"}}}
	}}
}

func (d *decoder) variable(into map[string]string, key, value *document.Node, path string) {
	variable := d.scalar(key, path)
	plain, _ := HostVariable(variable)
	switch _, twice := into[variable]; {
	case twice:
		d.Fail(key, path, "got the variable %q a second time", document.Clip(variable))
	case key.Kind == document.Scalar && (plain == "" || strings.ContainsAny(plain, "=\x00")):
		d.Fail(key, path, "got the variable %q, want a name without =", document.Clip(variable))
	}
	into[variable] = d.scalar(value, document.Member(path, variable))
}

// attestation is one variant, or a list of which one must match.
func (d *decoder) attestation(s *Service) document.Field {
	var one Variant
	single := func(*document.Node, string) { s.Attestation = append(s.Attestation, one) }
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar:  document.Then(d.fragment(&one.Fragment), single),
		document.Mapping: document.Then(d.variantObject(&one), single),
		document.List: document.Then(document.Each(d.Decoder, &s.Attestation, d.variant), func(n *document.Node, path string) {
			s.AttestationIsList = true
			if len(n.Content) == 0 {
				d.Fail(n, path, "got an empty list, want at least one variant")
			}
		}),
	})
}

func (d *decoder) variant(v *Variant) document.Field {
	return d.ByKind(map[document.Kind]document.Field{document.Scalar: d.fragment(&v.Fragment), document.Mapping: d.variantObject(v)})
}

func (d *decoder) variantObject(v *Variant) document.Field {
	return d.Object(document.Fields{"mrenclave": d.measurements(v), "signer": document.Pointer(&v.Signer, d.signer)}, func(n *document.Node, path string) {
		if len(n.Content) == 0 {
			d.Fail(n, path, "got no factor, want mrenclave or signer: it would admit any enclave")
		}
	})
}

// fragment reads $$SCONE::secret$$ and keeps the name of the secret.
func (d *decoder) fragment(into *string) document.Field {
	return document.Then(d.Matching(into, reference, referenceWords), func(*document.Node, string) { *into = secretOf(*into) })
}

// secretOf is the name of the secret in a reference, or empty.
func secretOf(text string) string {
	found, err := Placeholders(text)
	if err != nil || len(found) != 1 || found[0].Text != text {
		return ""
	}
	return found[0].Secret
}

func (d *decoder) measurements(v *Variant) document.Field {
	return d.ByKind(map[document.Kind]document.Field{document.Scalar: d.measurement(v), document.List: d.measurementList(v)})
}

func (d *decoder) measurementList(v *Variant) document.Field {
	var texts []string
	list := document.Each(d.Decoder, &texts, func(*string) document.Field { return d.measurement(v) })
	return document.Then(list, func(n *document.Node, path string) {
		if n.Kind == document.List && len(n.Content) == 0 {
			d.Fail(n, path, "got an empty list, want at least one measurement: it would admit any enclave")
		}
	})
}

func (d *decoder) measurement(v *Variant) document.Field {
	read := func(n *document.Node, path string) {
		text := d.scalar(n, path)
		if d.Matches(reference, text) {
			v.MRENCLAVEFragments = append(v.MRENCLAVEFragments, secretOf(text))
			return
		}
		m, err := sgx.ParseMeasurement(text)
		if err != nil {
			d.Fail(n, path, "%v", err)
			return
		}
		v.MRENCLAVEs = append(v.MRENCLAVEs, m)
	}
	return document.Field{Read: read, Shape: func() document.Shape {
		return document.Shape{"type": []string{"string", "number"}, "pattern": either(hex64, reference)}
	}}
}

func (d *decoder) signer(s *Signer) document.Field {
	return d.ByKind(map[document.Kind]document.Field{document.Scalar: d.fragment(&s.Fragment), document.Mapping: d.signerObject(s)})
}

func (d *decoder) signerObject(s *Signer) document.Field {
	var mrsigner string
	var exact uint16
	version := number(d, &exact, 0, 0xffff)
	low, high := number(d, &s.MinISVSVN, 0, 0xffff), number(d, &s.MaxISVSVN, 0, 0xffff)
	s.MaxISVSVN = 0xffff
	return d.Object(document.Fields{
		"mrsigner":   document.Required(d.Matching(&mrsigner, hex64, hex64Words)),
		"isvprodid":  number(d, &s.ISVProdID, 0, 0xffff),
		"isvsvn":     version,
		"isvsvn_min": low,
		"isvsvn_max": high,
	}, func(n *document.Node, path string) {
		if m, err := sgx.ParseMeasurement(mrsigner); err == nil {
			s.MRSIGNER = m
		}
		d.securityVersions(n, path, s, exact)
	})
}

func (d *decoder) securityVersions(n *document.Node, path string, s *Signer, exact uint16) {
	_, one := document.Lookup(n, "isvsvn")
	_, low := document.Lookup(n, "isvsvn_min")
	_, high := document.Lookup(n, "isvsvn_max")
	switch {
	case one != nil && (low != nil || high != nil):
		d.Fail(one, document.Member(path, "isvsvn"), "got it beside isvsvn_min or isvsvn_max, want one form")
	case one != nil:
		s.MinISVSVN, s.MaxISVSVN = exact, exact
	case s.MinISVSVN > s.MaxISVSVN:
		d.Fail(low, document.Member(path, "isvsvn_min"), "got %d, want at most isvsvn_max, which is %d", s.MinISVSVN, s.MaxISVSVN)
	}
}

func (d *decoder) platforms(s *Service) document.Field {
	var texts []string
	one := func(*string) document.Field {
		return document.Field{
			Read: func(n *document.Node, path string) { d.platform(n, path, s) },
			Shape: func() document.Shape {
				return document.Shape{"type": []string{"string", "number"}, "pattern": "(^INTEL_QE_ID:[0-9a-fA-F]{32}$|" + hex64 + "|" + reference + ")"}
			},
		}
	}
	both := d.ByKind(map[document.Kind]document.Field{document.Scalar: d.platformList(s), document.List: document.Each(d.Decoder, &texts, one)})
	return document.Then(both, func(n *document.Node, path string) {
		if n.Kind == document.List && len(n.Content) == 0 {
			d.Fail(n, path, "got an empty list, want at least one platform ID")
		}
	})
}

// platformList reads a reference to a list of machines.
func (d *decoder) platformList(s *Service) document.Field {
	var name string
	return document.Then(d.fragment(&name), func(n *document.Node, path string) {
		d.needs(n, path, 10)
		s.PlatformSecrets = []string{name}
	})
}

func (d *decoder) platform(n *document.Node, path string, s *Service) {
	text := d.scalar(n, path)
	if d.Matches(reference, text) {
		d.needs(n, path, 10)
		s.PlatformSecrets = append(s.PlatformSecrets, secretOf(text))
		return
	}
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		d.Fail(n, path, "%v", err)
		return
	}
	if len(s.Platforms) > 0 && s.Platforms[0].Generation() != id.Generation() {
		d.Fail(n, path, "got an ID of generation %s after one of %s: a CAS knows only one kind", id.Generation(), s.Platforms[0].Generation())
	}
	s.Platforms = append(s.Platforms, id)
}

// minOneTimePassword is the least size of the shared secret, in bytes.
const minOneTimePassword = 16

func (d *decoder) oneTimePassword(into *string) document.Field {
	const want = "at least 128 bits in base32 or " + referenceWords
	return document.Then(d.Hidden(into, either(`^[A-Za-z2-7]+=*$`, reference), want), func(n *document.Node, path string) {
		text := strings.ToUpper(strings.TrimRight(*into, "="))
		raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
		if !d.Matches(reference, *into) && (err != nil || len(raw) < minOneTimePassword) {
			d.Fail(n, path, "got %d characters, want %s", len(*into), want)
		}
	})
}
