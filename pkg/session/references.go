package session

import (
	"fmt"
	"maps"
	"slices"
	"sort"

	"github.com/confidb/confidb/pkg/document"
)

// use is a text of a document that may hold placeholders.
type use struct{ path, text string }

// uses are all texts into which CAS puts secrets.
func (s *Session) uses() []use {
	var all []use
	add := func(text, path string, arguments ...any) {
		all = append(all, use{fmt.Sprintf(path, arguments...), text})
	}
	for i, v := range s.Services {
		for _, word := range v.Command {
			add(word, "services[%d].command", i)
		}
		for _, name := range slices.Sorted(maps.Keys(v.Environment)) {
			add(v.Environment[name], "services[%d].environment.%s", i, name)
		}
		add(v.Pwd, "services[%d].pwd", i)
		add(v.FSPFKey, "services[%d].fspf_key", i)
		add(v.OneTimePassword, "services[%d].one_time_password_shared_secret", i)
	}
	for i, v := range s.Images {
		for j, f := range v.InjectionFiles {
			if f.Content != nil {
				add(*f.Content, "images[%d].injection_files[%d].content", i, j)
			}
		}
	}
	for i, v := range s.Volumes {
		add(v.FSPFKey, "volumes[%d].fspf_key", i)
	}
	for i, v := range s.Secrets {
		if v.ImportAKV != nil {
			add(v.ImportAKV.Token, "secrets[%d].import_akv.token", i)
			add(v.ImportAKV.DecryptionKey, "secrets[%d].import_akv.decryption_key", i)
		}
	}
	return append(all, s.fragments()...)
}

// Fragments are the placeholders that stand for a part of the policy itself:
// measurements, platforms, access rules and what attestation demands. What they
// say cannot be known from the document.
func (s *Session) Fragments() []string {
	var all []string
	for _, u := range s.fragments() {
		all = append(all, fmt.Sprintf("%s: %s", u.path, u.text))
	}
	return all
}

func (s *Session) fragments() []use {
	var all []use
	add := func(path string, secrets ...string) {
		for _, secret := range secrets {
			if secret != "" {
				all = append(all, use{path, "$$SCONE::" + secret + "$$"})
			}
		}
	}
	for i, v := range s.Services {
		at := fmt.Sprintf("services[%d]", i)
		add(at+".platforms", v.PlatformSecrets...)
		for _, variant := range v.Attestation {
			add(at+".attestation", variant.Fragment)
			add(at+".attestation", variant.MRENCLAVEFragments...)
			if variant.Signer != nil {
				add(at+".attestation", variant.Signer.Fragment)
			}
		}
	}
	add("security", s.Security.Fragment)
	add("security.attestation", s.Security.AttestationFragment)
	for key, list := range map[string][]string{"tolerate": s.Security.Tolerate, "ignore_advisories": s.Security.IgnoreAdvisories, "trusted_scone_qe_pubkeys": s.Security.TrustedSCONEQEPubkeys} {
		for _, text := range list {
			add("security.attestation."+key, secretOf(text))
		}
	}
	add("access_policy", s.AccessPolicy.Fragment)
	for key, list := range map[string][]AccessRule{"read": s.AccessPolicy.Read, "update": s.AccessPolicy.Update, "create_sessions": s.AccessPolicy.CreateSessions, "list_sessions": s.AccessPolicy.ListSessions} {
		add("access_policy."+key, ruleSecrets(list)...)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].path < all[j].path })
	return all
}

func ruleSecrets(rules []AccessRule) []string {
	var all []string
	for _, r := range rules {
		all = append(all, secretOf(r.Text))
		all = append(all, ruleSecrets(r.Of)...)
	}
	return all
}

// checkReferences finds names that lead nowhere. Where the section that should
// have the name is broken itself, it says nothing.
func (s *Session) checkReferences(d *decoder) {
	d.unique(s, "services", len(s.Services), func(i int) string { return s.Services[i].Name })
	d.unique(s, "secrets", len(s.Secrets), func(i int) string { return s.Secrets[i].Name })
	d.unique(s, "images", len(s.Images), func(i int) string { return s.Images[i].Name })
	d.unique(s, "volumes", len(s.Volumes), func(i int) string { return s.Volumes[i].Name })
	if !d.Under("secrets") {
		s.checkSecretNames(d)
	}
	if !d.Under("images") {
		s.checkImageNames(d)
	}
}

func (d *decoder) unique(s *Session, section string, count int, name func(int) string) {
	seen := map[string]bool{}
	for i := range count {
		if seen[name(i)] && name(i) != "" {
			d.failAt(s, fmt.Sprintf("%s[%d].name", section, i), "%q is there twice", document.Clip(name(i)))
		}
		seen[name(i)] = true
	}
}

func (s *Session) checkImageNames(d *decoder) {
	for i, service := range s.Services {
		if service.ImageName != "" && !slices.ContainsFunc(s.Images, func(v Image) bool { return v.Name == service.ImageName }) {
			d.failAt(s, fmt.Sprintf("services[%d].image_name", i), "%q is not among the images", document.Clip(service.ImageName))
		}
	}
}

func (s *Session) checkSecretNames(d *decoder) {
	kinds := map[string]Kind{}
	for _, secret := range s.Secrets {
		kinds[secret.Name] = secret.Kind
	}
	is := func(name string, want Kind) bool {
		kind, ok := kinds[name]
		return name == "" || ok && (kind == want || kind == "") // an import may leave the kind to the exporter
	}
	for i, secret := range s.Secrets {
		if secret.JWT != nil && !is(secret.JWT.Signer, PrivateKey) {
			d.failAt(s, fmt.Sprintf("secrets[%d].%s", i, signerKey), "%q is no secret of kind private-key", document.Clip(secret.JWT.Signer))
		}
		if !is(secret.PrivateKey, PrivateKey) {
			d.failAt(s, fmt.Sprintf("secrets[%d].private_key", i), "%s is no secret of kind private-key", d.nameOf(secret.PrivateKey))
		}
		if !is(secret.Issuer, X509CA) {
			d.failAt(s, fmt.Sprintf("secrets[%d].issuer", i), "%q is no secret of kind x509-ca", document.Clip(secret.Issuer))
		}
	}
	for _, u := range s.uses() {
		s.checkText(d, u, kinds)
	}
}

// nameOf is a name in quotes. What cannot be one may be the secret itself.
func (d *decoder) nameOf(text string) string {
	if !d.Matches(name, text) {
		return "what stands there (not shown)"
	}
	return fmt.Sprintf("%q", document.Clip(text))
}

// checkText finds placeholders in a text that name no secret.
func (s *Session) checkText(d *decoder, u use, kinds map[string]Kind) {
	placeholders, err := Placeholders(u.text)
	if err != nil {
		d.failAt(s, u.path, "%v", err)
		return
	}
	for _, p := range placeholders {
		if _, ok := kinds[p.Secret]; !ok {
			d.failAt(s, u.path, "%s names no secret of this session", p.Text)
		}
	}
}

func (d *decoder) failAt(s *Session, path, format string, arguments ...any) {
	line, column := s.place(path)
	d.At(line, column, path, format, arguments...)
}

// WrittenSecrets names the secrets whose values are in the document itself.
func WrittenSecrets(s *Session) []string {
	var problems []string
	for _, v := range s.Secrets {
		if v.Value != nil && !slices.Contains([]Kind{PublicKey, X509CA, X509}, v.Kind) {
			problems = append(problems, v.Name)
		}
		if a := v.AAD; a != nil && (a.ApplicationSecret != "" && secretOf(a.ApplicationSecret) == "" || a.PrivateKey != "" && secretOf(a.PrivateKey) == "") {
			problems = append(problems, v.Name)
		}
	}
	return append(problems, s.writtenElsewhere()...)
}

// writtenElsewhere are the keys and tokens in the document that are no secrets of
// the list of secrets, and no placeholders, by their paths.
func (s *Session) writtenElsewhere() []string {
	var all []string
	add := func(text, path string, arguments ...any) {
		if text != "" && secretOf(text) == "" {
			all = append(all, fmt.Sprintf(path, arguments...))
		}
	}
	for _, v := range s.Services {
		add(v.FSPFKey, "services.%s.fspf_key", v.Name)
		add(v.OneTimePassword, "services.%s.one_time_password_shared_secret", v.Name)
	}
	for _, v := range s.Volumes {
		add(v.FSPFKey, "volumes.%s.fspf_key", v.Name)
	}
	for _, v := range s.Secrets {
		if v.ImportAKV != nil {
			add(v.ImportAKV.Token, "secrets.%s.import_akv.token", v.Name)
			add(v.ImportAKV.DecryptionKey, "secrets.%s.import_akv.decryption_key", v.Name)
		}
	}
	add(s.Security.OneTimePassword, "security.attestation.one_time_password_shared_secret")
	add(s.Security.ServiceAccessToken, "security.service_access_token")
	return all
}
