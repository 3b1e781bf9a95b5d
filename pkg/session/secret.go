package session

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

func (d *decoder) secret(n *yaml.Node, path string) Secret {
	s := Secret{}
	var kind string
	d.object(n, path, map[string]field{
		"name":          d.matching(&s.Name, name, "at most 128 of "+nameChars),
		"kind":          d.oneOf(&kind, string(ASCII), string(Binary), string(PrivateKey), string(PublicKey), string(X509CA), string(X509)),
		"size":          d.number(&s.Size, 1, 1<<16),
		"value":         func(n *yaml.Node, path string) { value := d.scalar(n, path); s.Value = &value },
		"key_type":      d.oneOf(&s.KeyType, "P-256", "P-384", "Ed25519", "RSA-2048", "RSA-3072"),
		"private_key":   d.text(&s.PrivateKey),
		"issuer":        d.text(&s.Issuer),
		"common_name":   d.text(&s.CommonName),
		"endpoint":      d.oneOf(&s.Endpoint, "server", "client"),
		"san":           d.alternativeNames(&s.SAN),
		"dns":           d.dns(&s.SAN),
		"valid_for":     d.duration(&s.ValidFor),
		"migrate":       d.flag(&s.Migrate),
		"import":        func(n *yaml.Node, path string) { s.Import = d.importFrom(n, path) },
		"export":        d.exports(&s.Exports),
		"export_public": d.flag(&s.ExportPublic),
	})
	s.Kind = Kind(kind)
	d.checkSecret(n, path, &s)
	return s
}

// checkSecret finds keys that do not go together.
func (d *decoder) checkSecret(n *yaml.Node, path string, s *Secret) {
	switch {
	case s.Name == "":
		d.fail(n, join(path, "name"), "it is missing")
	case s.Kind == "" && s.Import == nil:
		d.fail(n, join(path, "kind"), "it is missing")
	case s.Import != nil && s.Value != nil:
		d.fail(n, path, "got both import and value, want one of them")
	case s.Size != 0 && s.Kind != ASCII && s.Kind != Binary:
		d.fail(n, join(path, "size"), "only ascii and binary secrets have a size")
	case s.Kind == X509 && s.Import == nil && s.Value == nil && s.PrivateKey == "",
		s.Kind == X509CA && s.Import == nil && s.Value == nil && s.PrivateKey == "",
		s.Kind == PublicKey && s.Import == nil && s.Value == nil && s.PrivateKey == "":
		d.fail(n, join(path, "private_key"), "it is missing")
	}
}

func (d *decoder) alternativeNames(into *[]string) field {
	return func(n *yaml.Node, path string) {
		d.texts(into)(n, path)
		for _, s := range *into {
			if !regexp.MustCompile(`^(dns|ip):.+$`).MatchString(s) {
				d.fail(n, path, "got %q, want dns:NAME or ip:ADDRESS", clip(s))
			}
		}
	}
}

// dns reads the older form of san: names without prefix.
func (d *decoder) dns(into *[]string) field {
	return func(n *yaml.Node, path string) {
		var all []string
		if n.Kind == yaml.ScalarNode {
			all = []string{d.scalar(n, path)}
		} else {
			d.texts(&all)(n, path)
		}
		for _, s := range all {
			*into = append(*into, "dns:"+s)
		}
	}
}

func (d *decoder) duration(into *time.Duration) field {
	return func(n *yaml.Node, path string) {
		v, err := parseDuration(d.scalar(n, path))
		if err != nil {
			d.fail(n, path, "%v", err)
		}
		*into = v
	}
}

// parseDuration reads a sum of numbers with units, such as 90 days, 59d or 1h 30m.
func parseDuration(text string) (time.Duration, error) {
	const want = "got %q, want a time such as 90 days, 1 year or 1h 30m"
	parts := regexp.MustCompile(`(\d{1,6})\s*([A-Za-z]+)\s*`)
	if rest := parts.ReplaceAllString(text, ""); rest != "" || text == "" {
		return 0, fmt.Errorf(want, clip(text))
	}
	var sum time.Duration
	for _, part := range parts.FindAllStringSubmatch(text, -1) {
		number, err := strconv.Atoi(part[1])
		if err != nil {
			return 0, fmt.Errorf(want, clip(text))
		}
		unit, ok := units()[part[2]]
		if !ok {
			return 0, fmt.Errorf(want, clip(text))
		}
		if number > int(200*units()["year"]/unit) {
			return 0, fmt.Errorf("got %q, want at most 200 years", clip(text))
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

func (d *decoder) importFrom(n *yaml.Node, path string) *Import {
	i := &Import{}
	d.object(n, path, map[string]field{
		"session": d.text(&i.Session),
		"secret":  d.matching(&i.Secret, name, "at most 128 of "+nameChars),
	})
	if i.Session == "" || i.Secret == "" {
		d.fail(n, path, "want session and secret")
	}
	return i
}

func (d *decoder) exports(into *[]Export) field {
	one := func(n *yaml.Node, path string) Export {
		e := Export{}
		d.object(n, path, map[string]field{
			"session":      d.text(&e.Session),
			"session_hash": d.matching(&e.SessionHash, hex64, "64 hexadecimal digits"),
			"namespace":    d.text(&e.Namespace),
		})
		if (e.Session == "") == (e.Namespace == "") {
			d.fail(n, path, "want either session or namespace")
		}
		return e
	}
	return func(n *yaml.Node, path string) {
		if n.Kind == yaml.SequenceNode {
			each(d, into, one)(n, path)
			return
		}
		*into = append(*into, one(n, path))
	}
}

// Resolve makes a reference to another session absolute: ../client beside
// ns/db is ns/client, and ./child below it is ns/db/child.
func (s *Session) Resolve(reference string) string {
	switch {
	case strings.HasPrefix(reference, "./"):
		return s.Name + reference[1:]
	case strings.HasPrefix(reference, "../"):
		parent := s.Name[:max(0, strings.LastIndex(s.Name, "/"))]
		return strings.TrimPrefix(parent+reference[2:], "/")
	}
	return reference
}

// checkReferences finds names that lead nowhere.
func (s *Session) checkReferences(d *decoder, n *yaml.Node) error {
	kinds := map[string]Kind{}
	for _, secret := range s.Secrets {
		if _, twice := kinds[secret.Name]; twice {
			return s.reference(d, n, "secrets", "the secret %q is there twice", secret.Name)
		}
		kinds[secret.Name] = secret.Kind
	}
	for _, secret := range s.Secrets {
		if k, ok := kinds[secret.PrivateKey]; secret.PrivateKey != "" && (!ok || k != PrivateKey) {
			return s.reference(d, n, "secrets", "secret %q: private_key %q is no secret of kind private-key", secret.Name, clip(secret.PrivateKey))
		}
		if k, ok := kinds[secret.Issuer]; secret.Issuer != "" && (!ok || k != X509CA) {
			return s.reference(d, n, "secrets", "secret %q: issuer %q is no secret of kind x509-ca", secret.Name, clip(secret.Issuer))
		}
	}
	images := map[string]bool{}
	for _, image := range s.Images {
		images[image.Name] = true
		for _, file := range image.InjectionFiles {
			if file.Content == nil {
				continue
			}
			if err := s.checkContent(d, n, "images", "file "+clip(file.Path), kinds, *file.Content); err != nil {
				return err
			}
		}
	}
	for _, service := range s.Services {
		texts := slices.Clone(service.Command)
		for _, name := range slices.Sorted(maps.Keys(service.Environment)) {
			texts = append(texts, service.Environment[name])
		}
		for _, text := range texts {
			if err := s.checkContent(d, n, "services", "service "+service.Name, kinds, text); err != nil {
				return err
			}
		}
		if service.ImageName != "" && !images[service.ImageName] {
			return s.reference(d, n, "services", "service %q: image_name %q is not among the images", service.Name, clip(service.ImageName))
		}
	}
	return nil
}

// checkContent finds placeholders in a text that name no secret. key is where the
// text is in the document, owner what it belongs to.
func (s *Session) checkContent(d *decoder, n *yaml.Node, key, owner string, kinds map[string]Kind, text string) error {
	placeholders, err := Placeholders(text)
	if err != nil {
		return s.reference(d, n, key, "%s: %v", owner, err)
	}
	for _, p := range placeholders {
		if _, ok := kinds[p.Secret]; !ok {
			return s.reference(d, n, key, "%s: %s names no secret of this session", owner, p.Text)
		}
	}
	return nil
}

func (s *Session) reference(d *decoder, n *yaml.Node, path, format string, arguments ...any) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == path {
			n = n.Content[i]
			break
		}
	}
	d.fail(n, path, format, arguments...)
	return d.err
}

// Placeholder is $$SCONE::secret:encoding$$ in a text.
type Placeholder struct {
	// Text is the whole placeholder.
	Text string
	// Secret is the name of the secret.
	Secret string
	// Encodings are applied in order, such as privatekey, pem. The older forms
	// .hex, .key, .crt and .chain keep their dot.
	Encodings []string
	// EscapeJSON means that the value is put into a JSON string.
	EscapeJSON bool
}

// Placeholders finds the placeholders of a text. One that begins and does not end
// properly is an error.
func Placeholders(text string) ([]Placeholder, error) {
	form := regexp.MustCompile(`^\$\$SCONE::([A-Za-z0-9_\-~]{1,128})((?:\.(?:hex|key|crt|chain))?)((?::[a-z0-9\-]+)*)((?:\|escape\(json\))?)(?::?\$\$)`)
	var found []Placeholder
	for {
		at := strings.Index(text, "$$SCONE:")
		if at < 0 {
			return found, nil
		}
		text = text[at:]
		match := form.FindStringSubmatch(text)
		if match == nil {
			return nil, fmt.Errorf("got %q, want $$SCONE::secret$$ or $$SCONE::secret:encoding$$", clip(text[:min(len(text), 60)]))
		}
		p := Placeholder{Text: match[0], Secret: match[1], EscapeJSON: match[4] != ""}
		if match[2] != "" {
			p.Encodings = append(p.Encodings, match[2])
		}
		if match[3] != "" {
			p.Encodings = append(p.Encodings, strings.Split(match[3][1:], ":")...)
		}
		found = append(found, p)
		text = text[len(match[0]):]
	}
}

// Expand replaces each placeholder of a text by what value returns for it.
func Expand(text string, value func(Placeholder) (string, error)) (string, error) {
	placeholders, err := Placeholders(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, p := range placeholders {
		before, after, _ := strings.Cut(text, p.Text)
		v, err := value(p)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.Text, err)
		}
		out.WriteString(before)
		out.WriteString(v)
		text = after
	}
	out.WriteString(text)
	return out.String(), nil
}

// Equal reports whether two documents mean the same. The creator and the
// predecessor do not count, nor does order where it means nothing, nor the case of
// hexadecimal digits.
func Equal(a, b *Session) bool {
	return slices.Equal(a.meaning(), b.meaning())
}

// meaning writes every property of a session as a line, sorted.
func (s *Session) meaning() []string {
	lines := []string{"version " + s.Version, "name " + s.Name, "namespace " + strings.ToLower(s.NamespaceHash), "salt " + strings.ToLower(s.Salt)}
	add := func(format string, arguments ...any) { lines = append(lines, fmt.Sprintf(format, arguments...)) }
	for _, v := range s.Services {
		add("service %q command %q pwd %q image %q environment %q", v.Name, v.Command, v.Pwd, v.ImageName, fmt.Sprint(v.Environment))
		for _, variant := range v.Attestation {
			add("service %q variant %s", v.Name, variant.meaning())
		}
		for _, id := range v.Platforms {
			add("service %q platform %s", v.Name, strings.ToUpper(id.String()))
		}
	}
	for _, v := range s.Secrets {
		value, source := "generated", "here"
		if v.Value != nil {
			value = fmt.Sprintf("%q", *v.Value)
		}
		if v.Import != nil {
			source = fmt.Sprintf("%q %q", s.Resolve(v.Import.Session), v.Import.Secret)
		}
		add("secret %q %s %d %s %q %q %q %q %q %q %s %v %v from %s", v.Name, v.Kind, v.Size, value, v.KeyType, v.PrivateKey, v.Issuer, v.CommonName, v.Endpoint, sorted(v.SAN), v.ValidFor, v.Migrate, v.ExportPublic, source)
		for _, e := range v.Exports {
			add("secret %q to %q %s %q", v.Name, s.Resolve(e.Session), strings.ToLower(e.SessionHash), s.Resolve(e.Namespace))
		}
	}
	for _, v := range s.Images {
		add("image %q provides %q %v", v.Name, sorted(v.ProvideSecrets), v.ProvideSecrets == nil)
		for _, f := range v.InjectionFiles {
			content := "of the image"
			if f.Content != nil {
				content = fmt.Sprintf("%q", *f.Content)
			}
			add("image %q file %q %s %s", v.Name, f.Path, f.Permission, content)
		}
	}
	p := s.AccessPolicy
	add("access read %q update %q create %q", sorted(p.Read), sorted(p.Update), sorted(p.CreateSessions))
	v := s.Security
	add("security %q %q %q %v", v.Mode, sorted(v.Tolerate), sorted(v.IgnoreAdvisories), v.MustBeSGXLocal)
	slices.Sort(lines)
	return lines
}

func (v Variant) meaning() string {
	var all []string
	for _, m := range v.MRENCLAVEs {
		all = append(all, m.String())
	}
	if v.Signer == nil {
		return fmt.Sprint(sorted(all))
	}
	return fmt.Sprint(sorted(all), *v.Signer)
}

func sorted(texts []string) []string {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return texts
}
