package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/layout"
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

func lostAuthority(in *input, s session.Secret) string {
	if s.Kind != session.PrivateKey || !in.Signs(s.Name) || s.Migrate || !generated(s) {
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

func (in *input) commandUses() []layout.Use {
	var all []layout.Use
	for i, s := range in.Services {
		for _, word := range s.Command {
			all = append(all, layout.UsesIn(word, service(i)+".command")...)
		}
	}
	return all
}

func (in *input) environmentUses() []layout.Use {
	var all []layout.Use
	for i, s := range in.Services {
		for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
			all = append(all, layout.UsesIn(s.Environment[name], service(i)+".environment."+name)...)
		}
	}
	return all
}

// uses are the placeholders of everything that a service sees, and of the parts of a
// policy that are secrets.
func (in *input) uses() []layout.Use {
	if in.seen != nil {
		return in.seen
	}
	all := slices.Concat(in.commandUses(), in.environmentUses())
	for i, image := range in.Images {
		all = append(all, layout.FileUses(i, image)...)
	}
	for i, s := range in.Secrets {
		for _, l := range leaves("", s.Fragment) {
			all = append(all, layout.UsesIn(l.text, secretPath(i)+".value")...)
		}
	}
	in.seen = all
	return all
}

// describe makes hits of uses, one for each path and secret.
func describe(uses []layout.Use, wanted func(layout.Use) bool) []hit {
	var hits []hit
	seen := map[string]bool{}
	for _, u := range uses {
		if key := u.Path + " " + u.Text; wanted(u) && !seen[key] {
			seen[key] = true
			hits = append(hits, hit{path: u.Path, got: u.Text})
		}
	}
	return hits
}

func findInCommand(in *input) []hit {
	return describe(in.commandUses(), func(u layout.Use) bool { return in.Reveals(u.Placeholder) })
}

func findInEnvironment(in *input) []hit {
	return describe(in.environmentUses(), func(u layout.Use) bool { return in.Reveals(u.Placeholder) })
}

func findLegacyChains(in *input) []hit {
	return describe(in.uses(), func(u layout.Use) bool { return slices.Contains(u.Encodings, ".chain") })
}

// templated reports whether an image has a file whose content is not in the session.
func templated(image session.Image) bool {
	return slices.ContainsFunc(image.InjectionFiles, func(f session.InjectionFile) bool { return f.Content == nil })
}

func named(uses []layout.Use) map[string]bool {
	names := map[string]bool{}
	for _, u := range uses {
		names[u.Secret] = true
	}
	return names
}

func findProvidedTooMuch(in *input) []hit {
	var hits []hit
	for i, image := range in.Images {
		names := named(layout.FileUses(i, image))
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
			unused := len(in.Secrets) - len(named(layout.FileUses(i, image)))
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
		for _, u := range layout.UsesIn(text, "") {
			used[u.Secret] = true
		}
	}
	return used
}
