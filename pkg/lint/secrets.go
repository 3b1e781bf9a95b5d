package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

func secretRules() []rule {
	return []rule{
		{Rule{
			"CDB3001", "ca-key-injected", Error, "a service gets the key of a certificate authority",
			"Who has this key can issue certificates for every name that clients of the session believe.",
			"A hole in that one service is enough to impersonate the database and every client, for as long as the CA lives.",
			"Inject the certificate only, as in $$SCONE::ca:crt$$, and let CAS issue certificates.",
		}, findInjectedAuthority},
		{Rule{
			"CDB3002", "ca-key-exported", Error, "the key of a certificate authority is exported",
			"Another session, and whoever may change it, can issue certificates.",
			"The owner of the other session impersonates the database.",
			"Export the certificate of the CA, and let this session issue the certificates that others import.",
		}, eachSecret(func(in *input, s session.Secret) string {
			if s.Kind != session.PrivateKey || !in.signs(s.Name) || len(s.Exports) == 0 {
				return ""
			}
			return "the key " + s.Name + " with export"
		})},
		{Rule{
			"CDB3003", "provides-too-much", Warning, "an image may read secrets that none of its files uses",
			"provide_secrets lists more than the injected files name.",
			"A file of the image, which the host may change if nothing protects it, names the secret and gets it.",
			"Remove the names from provide_secrets.",
		}, findProvidedTooMuch},
		{Rule{
			"CDB3004", "provides-all", Note, "an image may read all secrets of the session",
			"Without provide_secrets the files of the image may name every secret, also the key of a CA. Here all files have their content from the session, so it is a second line of defence.",
			"Who may add a file to the image, for example by an update that nobody looked at, gets every secret.",
			"Write provide_secrets with the secrets that the files name (version 0.3.11 or later).",
		}, findProvidedAll(false)},
		{Rule{
			"CDB3005", "host-template", Error, "a file of the image may name all secrets of the session",
			"The content of the file is not in the session but in the image. CAS puts secrets wherever that file names them, and without provide_secrets it may name all.",
			"Who builds or changes the image writes $$SCONE::ca_key$$ into the file and reads the key of the CA.",
			"Write the content in the session, or provide_secrets with what the file needs.",
		}, findProvidedAll(true)},
		{Rule{
			"CDB3006", "secret-in-arguments", Warning, "a secret is an argument of a command",
			"Arguments are shown in lists of processes, error messages and core dumps of the program.",
			"Whoever sees a log or /proc of the enclave's library reads the secret.",
			"Inject a file with the secret, and name the file in the command.",
		}, findInCommand},
		{Rule{
			"CDB3007", "secret-in-environment", Note, "a secret is in the environment",
			"Variables are inherited by child processes and often written to logs. SCONE's network shield needs it so.",
			"Whoever sees a log of a crash reads the secret.",
			"Inject a file with the secret if the program can read one.",
		}, findInEnvironment},
		{Rule{
			"CDB3008", "claimable-export", Error, "a secret is exported to a name that others may claim",
			"The export names a session outside of this session's namespace, and no session_hash. CAS gives the secret to whichever session has that name.",
			"Somebody creates a session of that name first, or changes the one that is there, and gets the secret.",
			"Put both sessions into one namespace that you own, as in shop-3f…/db and shop-3f…/client, or write session_hash.",
		}, findClaimableExports},
		{Rule{
			"CDB3009", "namespace-export", Warning, "a secret is exported to a whole namespace",
			"Every session below that name may import it, also those that are created later.",
			"Whoever may create a session in the namespace gets the secret.",
			"Export to the sessions that need it, by name.",
		}, eachExport(func(in *input, s session.Secret, e session.Export) string {
			if e.Namespace == "" {
				return ""
			}
			return fmt.Sprintf("%s to the namespace %s", s.Name, e.Namespace)
		})},
		{Rule{
			"CDB3010", "public-secret", Fatal, "a secret is readable by anybody",
			"export_public gives the value to whoever asks CAS, without a certificate.",
			"Anybody reads the key or password.",
			"Remove export_public, or export the certificate or public key instead.",
		}, eachSecret(func(_ *input, s session.Secret) string {
			if !s.ExportPublic || s.Value != nil || !slices.Contains(confidential(), s.Kind) {
				return ""
			}
			return fmt.Sprintf("%s of kind %s with export_public", s.Name, s.Kind)
		})},
		{Rule{
			"CDB3011", "import-without-export", Error, "a secret is imported that the other session does not export",
			"The other session was given too, and has no such export. CAS refuses the service when it starts, or the session when it is created.",
			"none known: a mistake",
			"Add the export to the other session, or correct the names.",
		}, findImportsWithoutExport},
		{Rule{
			"CDB3012", "export-without-import", Note, "a secret is exported that the other session does not import",
			"The other session was given too, and does not use the secret.",
			"A change of the other session takes a secret that it never needed.",
			"Remove the export.",
		}, findExportsWithoutImport},
		{Rule{
			"CDB3013", "ca-key-not-kept", Warning, "the key of a certificate authority is lost with every update",
			"CAS generates private keys anew when a session is updated, unless they have migrate: true in both versions. Everybody who pinned the CA is locked out then.",
			"People who get used to a CA that changes accept one that an adversary shows them.",
			"Write migrate: true for the private key of the CA.",
		}, eachSecret(func(in *input, s session.Secret) string {
			if s.Kind != session.PrivateKey || !in.signs(s.Name) || s.Migrate || !generated(s) {
				return ""
			}
			return "the key " + s.Name + " without migrate"
		})},
		{Rule{
			"CDB3014", "written-secret", Error, "a secret is written in the document",
			"Whoever may read the file, its history, or the session in CAS has the secret. CAS cannot generate it anew.",
			"The password or key is read from a repository, a backup or a chat.",
			"Remove the value: let CAS generate the secret.",
		}, findWrittenSecrets},
		{Rule{
			"CDB3015", "legacy-chain", Warning, "a certificate chain is injected in the old order",
			"The form .chain begins with the root and ends with the certificate itself. TLS wants the opposite order, which :chain has, without the certificate.",
			"none known: peers may refuse the chain, and somebody turns the check off",
			"Write $$SCONE::name:crt$$ and then $$SCONE::name:chain$$.",
		}, findLegacyChains},
		{Rule{
			"CDB3022", "short-secret", Error, "a generated password is short",
			"Fewer than 16 characters or bytes can be guessed, by somebody who has a hash of it at least.",
			"A hash that leaks, or a server without a limit of attempts, gives the password away.",
			"Leave size out (20), or write 16 or more.",
		}, eachSecret(func(_ *input, s session.Secret) string {
			if (s.Kind != session.ASCII && s.Kind != session.Binary) || !generated(s) || s.Size == 0 || s.Size >= 16 {
				return ""
			}
			return fmt.Sprintf("%s of size %d", s.Name, s.Size)
		})},
		{Rule{
			codeUnknownSecret, "unknown-secret", Fatal, "a placeholder names no secret",
			"CAS would refuse the document, or the program would get the placeholder itself as password or key.",
			"A password that is the text of a placeholder is known to everybody.",
			"Correct the name, or add the secret.",
		}, nil},
		{Rule{
			"CDB3024", "unused-secret", Note, "a secret is not used",
			"No file, variable, certificate or export of the document names it.",
			"none known: what is left over is looked after by nobody",
			"Remove the secret.",
		}, findUnused},
	}
}

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
func eachSecret(got func(*input, session.Secret) string) func(*input) []hit {
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
func eachExport(got func(*input, session.Secret, session.Export) string) func(*input) []hit {
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
func findProvidedAll(fromImage bool) func(*input) []hit {
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

func findClaimableExports(in *input) []hit {
	return eachExport(func(in *input, s session.Secret, e session.Export) string {
		if e.Session == "" || e.SessionHash != "" || !e.Remote() && in.owned(in.Resolve(e.Session)) {
			return ""
		}
		return fmt.Sprintf("%s to the session %s without session_hash", s.Name, e.Session)
	})(in)
}

// given finds another session among those that were given; nil if it is not there.
func (in *input) given(p session.Peer) *input {
	if p.Remote() || p.Session == "" {
		return nil
	}
	name := in.Resolve(p.Session)
	for _, s := range in.all {
		if s.Name == name {
			return &input{s, in.all}
		}
	}
	return nil
}

func findImportsWithoutExport(in *input) []hit {
	return eachSecret(func(in *input, s session.Secret) string {
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
	})(in)
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

func findExportsWithoutImport(in *input) []hit {
	return eachExport(func(in *input, s session.Secret, e session.Export) string {
		other := in.given(e.Peer)
		if other == nil || slices.ContainsFunc(other.Secrets, func(o session.Secret) bool {
			return o.Import != nil && o.Import.Secret == s.Name && !o.Import.Remote() && other.Resolve(o.Import.Session) == in.Name
		}) {
			return ""
		}
		return fmt.Sprintf("%s to %s, which does not import it", s.Name, other.Name)
	})(in)
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
