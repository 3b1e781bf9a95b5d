package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// confidential are the kinds whose value nobody may see.
func confidential() []session.Kind {
	return []session.Kind{session.PrivateKey, session.ASCII, session.Binary, session.AADToken, session.PGPKey, session.JWT}
}

// generated reports whether CAS makes the value.
func generated(s session.Secret) bool {
	return s.Value == nil && s.Fragment == nil && s.Import == nil && s.ImportAKV == nil
}

func secretPath(i int) string { return fmt.Sprintf("secrets[%d]", i) }

// eachSecret applies got to all secrets; empty means no problem.
//
//go:noinline
func eachSecret(got func(*input, session.Secret) string) finder {
	return func(in *input) []hit {
		var hits []hit
		for i, s := range in.Secrets {
			if text := got(in, s); text != "" {
				hits = append(hits, hit{path: secretPath(i), got: text})
			}
		}
		return hits
	}
}

// eachExport applies got to all exports of secrets; empty means no problem.
//
//go:noinline
func eachExport(got func(*input, session.Secret, session.Export) string) finder {
	return func(in *input) []hit {
		var hits []hit
		for i, s := range in.Secrets {
			for j, e := range s.Exports {
				if text := got(in, s, e); text != "" {
					hits = append(hits, hit{path: in.exportPath(i, j), got: text})
				}
			}
		}
		return hits
	}
}

// exportPath is where an export is: a list has several, another form is one.
func (in *input) exportPath(i, j int) string {
	if path := fmt.Sprintf("%s.export[%d]", secretPath(i), j); in.Has(path) {
		return path
	}
	return secretPath(i) + ".export"
}

// signs reports whether a secret is the private key of a certificate authority.
func (in *input) signs(key string) bool {
	return slices.ContainsFunc(in.Secrets, func(s session.Secret) bool { return s.Kind == session.X509CA && s.PrivateKey == key })
}

func exportedAuthority(in *input, s session.Secret) string {
	if s.Kind != session.PrivateKey || !in.signs(s.Name) || len(s.Exports) == 0 {
		return ""
	}
	return "the key " + s.Name + " with export"
}

func lostAuthority(in *input, s session.Secret) string {
	if s.Kind != session.PrivateKey || !in.signs(s.Name) || s.Migrate || !generated(s) {
		return ""
	}
	return "the key " + s.Name + " without migrate"
}

func public(_ *input, s session.Secret) string {
	if !s.ExportPublic || s.Value != nil || !slices.Contains(confidential(), s.Kind) {
		return ""
	}
	return fmt.Sprintf("%s of kind %s with export_public", s.Name, s.Kind)
}

func short(_ *input, s session.Secret) string {
	if (s.Kind != session.ASCII && s.Kind != session.Binary) || !generated(s) || s.Size == 0 || s.Size >= 16 {
		return ""
	}
	return fmt.Sprintf("%s of size %d", s.Name, s.Size)
}

// use is a placeholder in the document.
type use struct {
	path string
	session.Placeholder
}

func usesIn(text, path string) []use {
	found, err := session.Placeholders(text)
	if err != nil {
		return nil // the parser has refused such a document
	}
	var all []use
	for _, p := range found {
		all = append(all, use{path, p})
	}
	return all
}

func (in *input) commandUses() []use {
	var all []use
	for i, s := range in.Services {
		for _, word := range s.Command {
			all = append(all, usesIn(word, service(i)+".command")...)
		}
	}
	return all
}

func (in *input) environmentUses() []use {
	var all []use
	for i, s := range in.Services {
		for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
			all = append(all, usesIn(s.Environment[name], service(i)+".environment."+name)...)
		}
	}
	return all
}

func fileUses(i int, image session.Image) []use {
	var all []use
	for j, f := range image.InjectionFiles {
		if f.Content != nil {
			all = append(all, usesIn(*f.Content, fmt.Sprintf("images[%d].injection_files[%d].content", i, j))...)
		}
	}
	return all
}

// uses are the placeholders of everything that a service sees.
func (in *input) uses() []use {
	all := slices.Concat(in.commandUses(), in.environmentUses())
	for i, image := range in.Images {
		all = append(all, fileUses(i, image)...)
	}
	return all
}

// reveals reports whether a placeholder gives what nobody may see. Of a certificate
// that is its private key; what an import holds that leaves its kind to the exporter
// counts as secret.
func (in *input) reveals(p session.Placeholder) bool {
	first := ""
	if len(p.Encodings) > 0 {
		first = p.Encodings[0]
	}
	s := in.secret(p.Secret)
	switch {
	case s == nil || s.Kind == session.PublicKey || s.Kind == session.ConfigFragment:
		return false
	case s.Kind == session.X509 || s.Kind == session.X509CA:
		return slices.Contains([]string{"privatekey", ".key", "pkcs12-with-private-key"}, first)
	case s.Kind == "":
		return !slices.Contains([]string{"crt", ".crt", "chain", ".chain", "spki"}, first)
	}
	return true
}

// describe makes hits of uses, one for each path and secret.
func describe(uses []use, wanted func(use) bool) []hit {
	var hits []hit
	seen := map[string]bool{}
	for _, u := range uses {
		if key := u.path + " " + u.Text; wanted(u) && !seen[key] {
			seen[key] = true
			hits = append(hits, hit{path: u.path, got: u.Text})
		}
	}
	return hits
}

func findInjectedAuthority(in *input) []hit {
	return describe(in.uses(), func(u use) bool {
		s := in.secret(u.Secret)
		return s != nil && in.reveals(u.Placeholder) && (s.Kind == session.X509CA || in.signs(s.Name))
	})
}

func findInCommand(in *input) []hit {
	return describe(in.commandUses(), func(u use) bool { return in.reveals(u.Placeholder) })
}

func findInEnvironment(in *input) []hit {
	return describe(in.environmentUses(), func(u use) bool { return in.reveals(u.Placeholder) })
}

func findLegacyChains(in *input) []hit {
	return describe(in.uses(), func(u use) bool { return slices.Contains(u.Encodings, ".chain") })
}

// templated reports whether an image has a file whose content is not in the session.
func templated(image session.Image) bool {
	return slices.ContainsFunc(image.InjectionFiles, func(f session.InjectionFile) bool { return f.Content == nil })
}

func named(uses []use) map[string]bool {
	names := map[string]bool{}
	for _, u := range uses {
		names[u.Secret] = true
	}
	return names
}

func findProvidedTooMuch(in *input) []hit {
	var hits []hit
	for i, image := range in.Images {
		names := named(fileUses(i, image))
		for _, secret := range image.ProvideSecrets {
			if !names[secret] && !templated(image) {
				hits = append(hits, hit{path: fmt.Sprintf("images[%d].provide_secrets", i), got: fmt.Sprintf("image %s: provide_secrets with %s", image.Name, secret)})
			}
		}
	}
	return hits
}

// findProvidedAll finds images without provide_secrets: those with a file that the
// session does not hold, or the others.
//
//go:noinline
func findProvidedAll(fromImage bool) finder {
	return func(in *input) []hit {
		var hits []hit
		for i, image := range in.Images {
			unused := len(in.Secrets) - len(named(fileUses(i, image)))
			if image.ProvideSecrets == nil && len(image.InjectionFiles) > 0 && templated(image) == fromImage && unused > 0 {
				hits = append(hits, hit{path: fmt.Sprintf("images[%d]", i), got: fmt.Sprintf("image %s without provide_secrets: it uses %d of %d secrets", image.Name, len(in.Secrets)-unused, len(in.Secrets))})
			}
		}
		return hits
	}
}

// owned reports whether only who owns this session's namespace, or the session,
// may create a session of that name.
func (in *input) owned(name string) bool {
	namespace := in.Name
	if i := strings.LastIndexByte(in.Name, '/'); i > 0 {
		namespace = in.Name[:i]
	}
	return strings.HasPrefix(name, namespace+"/")
}

func claimable(in *input, s session.Secret, e session.Export) string {
	if e.Session == "" || e.SessionHash != "" || !e.Remote() && in.owned(in.Resolve(e.Session)) {
		return ""
	}
	return fmt.Sprintf("%s to the session %s without session_hash", s.Name, e.Session)
}

func toNamespace(_ *input, s session.Secret, e session.Export) string {
	if e.Namespace == "" {
		return ""
	}
	return fmt.Sprintf("%s to the namespace %s", s.Name, e.Namespace)
}

// given finds another session among those that were given; nil if it is not there.
func (in *input) given(p session.Peer) *input {
	if p.Remote() || p.Session == "" {
		return nil
	}
	name := in.Resolve(p.Session)
	for _, s := range in.all {
		if s.Name == name {
			return &input{Session: s, all: in.all}
		}
	}
	return nil
}

func importedInVain(in *input, s session.Secret) string {
	if s.Import == nil {
		return ""
	}
	other := in.given(s.Import.Peer)
	switch {
	case other == nil:
		return ""
	case other.secret(s.Import.Secret) == nil:
		return fmt.Sprintf("%s from %s, which has no secret %s", s.Name, other.Name, s.Import.Secret)
	case !other.gives(s.Import.Secret, in.Name):
		return fmt.Sprintf("%s from %s, which does not export %s here", s.Name, other.Name, s.Import.Secret)
	}
	return ""
}

// gives reports whether a secret is exported to a session.
func (in *input) gives(secret, name string) bool {
	return slices.ContainsFunc(in.secret(secret).Exports, func(e session.Export) bool {
		if e.Namespace != "" {
			return e.Namespace == "/" || strings.HasPrefix(name, in.Resolve(e.Namespace)+"/")
		}
		return !e.Remote() && in.Resolve(e.Session) == name
	})
}

func exportedInVain(in *input, s session.Secret, e session.Export) string {
	other := in.given(e.Peer)
	if other == nil || slices.ContainsFunc(other.Secrets, func(o session.Secret) bool {
		return o.Import != nil && o.Import.Secret == s.Name && !o.Import.Remote() && other.Resolve(o.Import.Session) == in.Name
	}) {
		return ""
	}
	return fmt.Sprintf("%s to %s, which does not import it", s.Name, other.Name)
}

// findWrittenSecrets leaves the keys of volumes to a rule of their own.
func findWrittenSecrets(in *input) []hit {
	var hits []hit
	for _, written := range session.WrittenSecrets(in.Session) {
		if path := in.writtenPath(written); !strings.HasPrefix(path, "volumes") {
			hits = append(hits, hit{path: path, got: written + " with its value"})
		}
	}
	return hits
}

// writtenPath turns the name of a secret, or volumes.NAME.key, into a path.
func (in *input) writtenPath(written string) string {
	for i, s := range in.Secrets {
		if written == s.Name {
			return secretPath(i) + ".value"
		}
		if rest, ok := strings.CutPrefix(written, "secrets."+s.Name+"."); ok {
			return secretPath(i) + "." + rest
		}
	}
	for i, s := range in.Services {
		if rest, ok := strings.CutPrefix(written, "services."+s.Name+"."); ok {
			return service(i) + "." + rest
		}
	}
	return written
}

// findUnused says nothing where a file of the image may name any secret.
func findUnused(in *input) []hit {
	if slices.ContainsFunc(in.Images, templated) {
		return nil
	}
	used := in.usedSecrets()
	return eachSecret(func(_ *input, s session.Secret) string {
		if used[s.Name] || len(s.Exports) > 0 || s.ExportPublic {
			return ""
		}
		return "the secret " + s.Name
	})(in)
}

func (in *input) usedSecrets() map[string]bool {
	used := named(in.uses())
	texts := append(in.Fragments(), in.Security.OneTimePassword, in.Security.ServiceAccessToken)
	for _, s := range in.Services {
		texts = append(texts, s.Pwd, s.FSPFKey, s.OneTimePassword)
	}
	for _, v := range in.Volumes {
		texts = append(texts, v.FSPFKey)
	}
	for _, s := range in.Secrets {
		used[s.PrivateKey], used[s.Issuer] = true, true
		if s.ImportAKV != nil {
			texts = append(texts, s.ImportAKV.Token, s.ImportAKV.DecryptionKey)
		}
	}
	for _, text := range texts {
		for _, u := range usesIn(text, "") {
			used[u.Secret] = true
		}
	}
	return used
}
