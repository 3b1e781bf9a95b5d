package session

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/document"
)

func (d *decoder) secret(s *Secret) document.Field {
	aad, jwt := &AADCredentials{}, &JWTClaims{}
	known := document.Fields{
		"name":          document.Required(d.Matching(&s.Name, name, nameWords)),
		"kind":          d.kind(&s.Kind),
		"size":          number(d, &s.Size, 1, 1<<16),
		"value":         d.Any(&s.Fragment), // which of the two it is depends on kind; see checkValue
		"key_type":      document.OneOf(d.Decoder, &s.KeyType, "P-256", "P-384", "Ed25519", "RSA-2048", "RSA-3072"),
		"private_key":   d.Text(&s.PrivateKey),
		"issuer":        d.Text(&s.Issuer),
		"common_name":   d.Text(&s.CommonName),
		"endpoint":      document.OneOf(d.Decoder, &s.Endpoint, "server", "client"),
		"san":           d.since(10, d.alternativeNames(&s.SAN)),
		"dns":           d.dns(&s.SAN),
		"valid_for":     d.duration(&s.ValidFor),
		"migrate":       document.Then(d.Flag(&s.Migrate), func(*document.Node, string) { s.renew = !s.Migrate }),
		"import":        document.Pointer(&s.Import, d.importFrom),
		"import_akv":    document.Pointer(&s.ImportAKV, d.importAKV),
		"export":        d.exports(&s.Exports),
		"export_public": d.Flag(&s.ExportPublic),
	}
	maps.Copy(known, d.aadFields(aad))
	maps.Copy(known, d.jwtFields(jwt))
	return d.Object(known, func(n *document.Node, path string) {
		d.checkValue(n, path, s)
		d.checkSource(n, path, s)
		d.checkSecret(n, path, s)
		d.checkTokens(n, path, s, aad, jwt)
	})
}

// Renews reports whether migrate: false is written: whoever wrote it wants a key of its
// own for each version.
func (s Secret) Renews() bool { return s.renew }

func (d *decoder) kind(into *Kind) document.Field {
	kind := document.OneOf(d.Decoder, into, ASCII, Binary, PrivateKey, PublicKey, X509CA, X509, ConfigFragment, AADToken, PGPKey, JWT)
	return document.Then(kind, func(n *document.Node, path string) {
		d.needs(n, path, map[Kind]int{PublicKey: 11, ConfigFragment: 10}[*into])
	})
}

// checkValue reads the value again: only a config-fragment may be anything, and
// the text of the others is what is written, not what YAML takes it for.
func (d *decoder) checkValue(n *document.Node, path string, s *Secret) {
	_, value := document.Lookup(n, "value")
	if value == nil || s.Kind == ConfigFragment {
		return
	}
	s.Fragment = nil
	d.OptionalText(&s.Value).Read(value, document.Member(path, "value"))
}

// checkSource sees that the value comes from one place.
func (d *decoder) checkSource(n *document.Node, path string, s *Secret) {
	var sources []string
	for _, key := range []string{"import", "import_akv", "value"} {
		if k, _ := document.Lookup(n, key); k != nil {
			sources = append(sources, key)
		}
	}
	_, kind := document.Lookup(n, "kind")
	switch {
	case len(sources) > 1:
		d.Fail(n, path, "got both %s, want one of them", strings.Join(sources, " and "))
	case kind == nil && s.Import == nil && s.ImportAKV == nil && !d.Misspelt(document.Member(path, "kind")):
		d.Fail(n, document.Member(path, "kind"), "it is missing")
	case s.Kind == ConfigFragment && len(sources) == 0:
		d.Fail(n, document.Member(path, "value"), "it is missing: CAS does not generate a config-fragment")
	case slices.Contains([]Kind{X509, X509CA, PublicKey}, s.Kind) && len(sources) == 0 && s.PrivateKey == "" && !d.Misspelt(document.Member(path, "private_key")):
		d.Fail(n, document.Member(path, "private_key"), "it is missing")
	}
}

// checkSecret finds keys that do not belong to the kind.
func (d *decoder) checkSecret(n *document.Node, path string, s *Secret) {
	if d.Under(document.Member(path, "kind")) {
		return // whose kind is not known, such as that of a template
	}
	for _, rule := range []struct {
		keys  []string
		kinds []Kind
		words string
	}{
		{[]string{"size"}, []Kind{ASCII, Binary}, "only ascii and binary secrets have a size"},
		{[]string{"key_type"}, []Kind{PrivateKey, PGPKey}, "only a private key has a type"},
		{[]string{"issuer", "common_name", "valid_for"}, []Kind{X509, X509CA}, "only certificates have it"},
		{[]string{"endpoint", "san", "dns"}, []Kind{X509, X509CA}, "only certificates have it"},
	} {
		for _, key := range rule.keys {
			if k, _ := document.Lookup(n, key); k != nil && s.Kind != "" && !slices.Contains(rule.kinds, s.Kind) {
				d.Fail(k, document.Member(path, key), "%s", rule.words)
			}
		}
	}
	if k, _ := document.Lookup(n, "dns"); k != nil && s.Endpoint == "client" {
		d.Fail(k, document.Member(path, "dns"), "got it with endpoint client, want san")
	}
}

func (d *decoder) alternativeNames(into *[]string) document.Field {
	name := func(s *string) document.Field { return d.Matching(s, `^(dns|ip):.+$`, "dns:NAME or ip:ADDRESS") }
	var one string
	return d.ByKind(map[document.Kind]document.Field{
		document.Scalar: document.Then(name(&one), func(*document.Node, string) { *into = []string{one} }),
		document.List:   document.Each(d.Decoder, into, name),
	})
}

// dns reads the older form of san: names without prefix.
func (d *decoder) dns(into *[]string) document.Field {
	var one string
	var all []string
	both := d.ByKind(map[document.Kind]document.Field{document.Scalar: d.Text(&one), document.List: d.Texts(&all)})
	return document.Then(both, func(n *document.Node, path string) {
		if n.Kind == document.Scalar {
			all = []string{one}
		}
		for _, s := range all {
			*into = append(*into, "dns:"+s)
		}
	})
}

func (d *decoder) duration(into *time.Duration) document.Field {
	var text string
	return document.Then(d.Text(&text), func(n *document.Node, path string) {
		v, err := parseDuration(text)
		if err != nil {
			d.Fail(n, path, "%v", err)
		}
		*into = v
	})
}

// parseDuration reads a sum of numbers with units, such as 90 days, 59d or 1h 30m.
func parseDuration(text string) (time.Duration, error) {
	const want = "got %q, want a time such as 90 days, 1 year or 1h 30m"
	parts := regexp.MustCompile(`(\d{1,6})\s*([A-Za-z]+)\s*`)
	if rest := parts.ReplaceAllString(text, ""); rest != "" || text == "" {
		return 0, fmt.Errorf(want, document.Clip(text))
	}
	var sum time.Duration
	for _, part := range parts.FindAllStringSubmatch(text, -1) {
		number, err := strconv.Atoi(part[1])
		if err != nil {
			return 0, fmt.Errorf(want, document.Clip(text))
		}
		unit, ok := units()[part[2]]
		if !ok {
			return 0, fmt.Errorf(want, document.Clip(text))
		}
		if number > int(200*units()["year"]/unit) {
			return 0, fmt.Errorf("got %q, want at most 200 years", document.Clip(text))
		}
		sum += time.Duration(number) * unit
	}
	return sum, nil
}

func units() map[string]time.Duration {
	all := map[string]time.Duration{}
	const day = 24 * time.Hour
	for unit, words := range map[time.Duration]string{
		time.Second: "s sec secs second seconds", time.Minute: "m min mins minute minutes", time.Hour: "h hr hrs hour hours",
		day: "d day days", 7 * day: "w week weeks", 2_630_016 * time.Second: "M month months", 31_557_600 * time.Second: "y year years",
	} {
		for _, word := range strings.Fields(words) {
			all[word] = unit
		}
	}
	return all
}

func (d *decoder) importAKV(i *AKVImport) document.Field {
	const any = `^(?s:.+)$`
	return d.Object(document.Fields{
		"vault":          document.Required(d.Text(&i.Vault)),
		"secret_name":    d.Text(&i.SecretName),
		"token":          d.Hidden(&i.Token, any, "a token"),
		"decryption_key": d.Hidden(&i.DecryptionKey, any, "a key"),
	}, nil)
}
