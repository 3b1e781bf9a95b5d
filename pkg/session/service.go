package session

import (
	"encoding/base32"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

func (d *decoder) service(s *Service) field {
	var deprecated []Variant
	return d.object(fields{
		"name":                            required(d.matching(&s.Name, name, nameWords)),
		"command":                         d.command(&s.Command),
		"environment":                     d.environment(&s.Environment),
		"pwd":                             d.text(&s.Pwd),
		"image_name":                      d.text(&s.ImageName),
		"fspf_path":                       d.text(&s.FSPFPath),
		"fspf_key":                        d.hidden(&s.FSPFKey, either(hex64, reference), hex64Words+" or "+referenceWords),
		"fspf_tag":                        d.matching(&s.FSPFTag, hex32, hex32Words),
		"fspf_update_policy":              oneOf(d, &s.FSPFUpdatePolicy, "rollback_protected_reinitializable", "no_rollback_protection"),
		"attestation":                     d.attestation(s),
		"mrenclaves":                      d.deprecatedMeasurements(&deprecated),
		"platforms":                       d.platforms(s),
		"one_time_password_shared_secret": d.oneTimePassword(&s.OneTimePassword),
	}, func(n *yaml.Node, path string) {
		if len(deprecated) > 0 && len(s.Attestation) > 0 {
			key, _ := lookup(n, "mrenclaves")
			d.fail(key, join(path, "mrenclaves"), "got it beside attestation, want one of them").Advice = "move the measurements to attestation.mrenclave"
		}
		s.Attestation = append(s.Attestation, deprecated...)
	})
}

// deprecatedMeasurements are those of the key mrenclaves: a list.
func (d *decoder) deprecatedMeasurements(into *[]Variant) field {
	var v Variant
	return then(d.measurementList(&v), func(*yaml.Node, string) { *into = []Variant{v} })
}

func (d *decoder) command(into *[]string) field {
	var line string
	whole := then(d.text(&line), func(n *yaml.Node, path string) {
		words, err := splitCommand(line)
		if err != nil {
			d.fail(n, path, "%v", err)
		}
		*into = words
	})
	both := d.byKind(map[yaml.Kind]field{yaml.ScalarNode: whole, yaml.SequenceNode: d.texts(into)})
	return then(both, func(n *yaml.Node, path string) {
		for _, word := range *into {
			if d.matches(`@@[0-9]`, word) {
				d.needs(n, path, 8)
			}
		}
	})
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

func (d *decoder) environment(into *map[string]string) field {
	read := func(n *yaml.Node, path string) {
		if n.Kind != yaml.MappingNode {
			d.fail(n, path, "got %s, want a mapping", kindOf(n))
			return
		}
		*into = map[string]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.variable(*into, n.Content[i], n.Content[i+1], path)
		}
	}
	return field{read: read, shape: fixed(shape{"type": "object", "additionalProperties": shape{"type": []string{"string", "number", "boolean"}}})}
}

func (d *decoder) variable(into map[string]string, key, value *yaml.Node, path string) {
	variable := d.scalar(key, path)
	plain, _ := HostVariable(variable)
	switch _, twice := into[variable]; {
	case twice:
		d.fail(key, path, "got the variable %q a second time", clip(variable))
	case key.Kind == yaml.ScalarNode && (plain == "" || strings.ContainsAny(plain, "=\x00")):
		d.fail(key, path, "got the variable %q, want a name without =", clip(variable))
	}
	into[variable] = d.scalar(value, join(path, variable))
}

// attestation is one variant, or a list of which one must match.
func (d *decoder) attestation(s *Service) field {
	var one Variant
	single := func(*yaml.Node, string) { s.Attestation = append(s.Attestation, one) }
	return d.byKind(map[yaml.Kind]field{
		yaml.ScalarNode:  then(d.fragment(&one.Fragment), single),
		yaml.MappingNode: then(d.variantObject(&one), single),
		yaml.SequenceNode: then(each(d, &s.Attestation, d.variant), func(n *yaml.Node, path string) {
			s.AttestationIsList = true
			if len(n.Content) == 0 {
				d.fail(n, path, "got an empty list, want at least one variant")
			}
		}),
	})
}

func (d *decoder) variant(v *Variant) field {
	return d.byKind(map[yaml.Kind]field{yaml.ScalarNode: d.fragment(&v.Fragment), yaml.MappingNode: d.variantObject(v)})
}

func (d *decoder) variantObject(v *Variant) field {
	return d.object(fields{"mrenclave": d.measurements(v), "signer": pointer(&v.Signer, d.signer)}, func(n *yaml.Node, path string) {
		if len(n.Content) == 0 {
			d.fail(n, path, "got no factor, want mrenclave or signer: it would admit any enclave")
		}
	})
}

// fragment reads $$SCONE::secret$$ and keeps the name of the secret.
func (d *decoder) fragment(into *string) field {
	return then(d.matching(into, reference, referenceWords), func(*yaml.Node, string) { *into = secretOf(*into) })
}

// secretOf is the name of the secret in a reference, or empty.
func secretOf(text string) string {
	found, err := Placeholders(text)
	if err != nil || len(found) != 1 || found[0].Text != text {
		return ""
	}
	return found[0].Secret
}

func (d *decoder) measurements(v *Variant) field {
	return d.byKind(map[yaml.Kind]field{yaml.ScalarNode: d.measurement(v), yaml.SequenceNode: d.measurementList(v)})
}

func (d *decoder) measurementList(v *Variant) field {
	var texts []string
	list := each(d, &texts, func(*string) field { return d.measurement(v) })
	return then(list, func(n *yaml.Node, path string) {
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			d.fail(n, path, "got an empty list, want at least one measurement: it would admit any enclave")
		}
	})
}

func (d *decoder) measurement(v *Variant) field {
	read := func(n *yaml.Node, path string) {
		text := d.scalar(n, path)
		if d.matches(reference, text) {
			v.MRENCLAVEFragments = append(v.MRENCLAVEFragments, secretOf(text))
			return
		}
		m, err := sgx.ParseMeasurement(text)
		if err != nil {
			d.fail(n, path, "%v", err)
			return
		}
		v.MRENCLAVEs = append(v.MRENCLAVEs, m)
	}
	return field{read: read, shape: fixed(shape{"type": []string{"string", "number"}, "pattern": either(hex64, reference)})}
}

func (d *decoder) signer(s *Signer) field {
	return d.byKind(map[yaml.Kind]field{yaml.ScalarNode: d.fragment(&s.Fragment), yaml.MappingNode: d.signerObject(s)})
}

func (d *decoder) signerObject(s *Signer) field {
	var mrsigner string
	var exact uint16
	version := number(d, &exact, 0, 0xffff)
	low, high := number(d, &s.MinISVSVN, 0, 0xffff), number(d, &s.MaxISVSVN, 0, 0xffff)
	s.MaxISVSVN = 0xffff
	return d.object(fields{
		"mrsigner":   required(d.matching(&mrsigner, hex64, hex64Words)),
		"isvprodid":  number(d, &s.ISVProdID, 0, 0xffff),
		"isvsvn":     version,
		"isvsvn_min": low,
		"isvsvn_max": high,
	}, func(n *yaml.Node, path string) {
		if m, err := sgx.ParseMeasurement(mrsigner); err == nil {
			s.MRSIGNER = m
		}
		d.securityVersions(n, path, s, exact)
	})
}

func (d *decoder) securityVersions(n *yaml.Node, path string, s *Signer, exact uint16) {
	_, one := lookup(n, "isvsvn")
	_, low := lookup(n, "isvsvn_min")
	_, high := lookup(n, "isvsvn_max")
	switch {
	case one != nil && (low != nil || high != nil):
		d.fail(one, join(path, "isvsvn"), "got it beside isvsvn_min or isvsvn_max, want one form")
	case one != nil:
		s.MinISVSVN, s.MaxISVSVN = exact, exact
	case s.MinISVSVN > s.MaxISVSVN:
		d.fail(low, join(path, "isvsvn_min"), "got %d, want at most isvsvn_max, which is %d", s.MinISVSVN, s.MaxISVSVN)
	}
}

func (d *decoder) platforms(s *Service) field {
	var texts []string
	list := each(d, &texts, func(*string) field {
		return field{
			read:  func(n *yaml.Node, path string) { d.platform(n, path, s) },
			shape: fixed(shape{"type": []string{"string", "number"}, "pattern": "(^INTEL_QE_ID:[0-9a-fA-F]{32}$|" + hex64 + "|" + reference + ")"}),
		}
	})
	return then(list, func(n *yaml.Node, path string) {
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			d.fail(n, path, "got an empty list, want at least one platform ID")
		}
	})
}

func (d *decoder) platform(n *yaml.Node, path string, s *Service) {
	text := d.scalar(n, path)
	if d.matches(reference, text) {
		d.needs(n, path, 10)
		s.PlatformSecrets = append(s.PlatformSecrets, secretOf(text))
		return
	}
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		d.fail(n, path, "%v", err)
		return
	}
	if len(s.Platforms) > 0 && s.Platforms[0].Generation() != id.Generation() {
		d.fail(n, path, "got an ID of generation %s after one of %s: a CAS knows only one kind", id.Generation(), s.Platforms[0].Generation())
	}
	s.Platforms = append(s.Platforms, id)
}

// minOneTimePassword is the least size of the shared secret, in bytes.
const minOneTimePassword = 16

func (d *decoder) oneTimePassword(into *string) field {
	const want = "at least 128 bits in base32 or " + referenceWords
	return then(d.hidden(into, either(`^[A-Za-z2-7]+=*$`, reference), want), func(n *yaml.Node, path string) {
		text := strings.ToUpper(strings.TrimRight(*into, "="))
		raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
		if !d.matches(reference, *into) && (err != nil || len(raw) < minOneTimePassword) {
			d.fail(n, path, "got %d characters, want %s", len(*into), want)
		}
	})
}
