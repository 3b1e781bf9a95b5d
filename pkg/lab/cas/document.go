package cas

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// maxSecrets bounds how many keys one upload can make CAS generate.
const maxSecrets = 256

// Attestation modes of a session.
const (
	modeNone = "none"
	modeMAA  = "maa"
)

// checkDocument finds what the language admits and this CAS does not.
func checkDocument(s *session.Session) error {
	switch {
	case s.Creator != "":
		return errors.New("creator: CAS adds it, nobody may write it")
	case len(s.Secrets) > maxSecrets:
		return fmt.Errorf("secrets: got %d, want at most %d", len(s.Secrets), maxSecrets)
	case !properName(s.Name):
		return fmt.Errorf("name: got %.80q, want no empty part, no '.' and no '..' between slashes", s.Name)
	}
	if missing := unsupported(s); len(missing) > 0 {
		return fmt.Errorf("this CAS cannot do %s", strings.Join(missing, ", "))
	}
	for _, declared := range s.Secrets {
		if err := checkPublic(declared); err != nil {
			return fmt.Errorf("secret '%s': %w", declared.Name, err)
		}
	}
	return errors.Join(checkServices(s), checkTexts(s), checkVolumes(s))
}

// unsupported names what a session demands and this CAS would not do: leaving it
// out silently could admit somebody.
func unsupported(s *session.Session) []string {
	all := s.Fragments()
	add := func(is bool, what string) {
		if is && !slices.Contains(all, what) {
			all = append(all, what)
		}
	}
	for _, v := range s.Volumes {
		add(v.Files == "authenticated-only", "volumes that are authenticated only")
		add(v.FSPFKey != "" || v.FSPFTag != "", "volumes with fspf_key or fspf_tag")
		add(len(v.Exports) > 0 || v.Import != nil, "exports and imports of volumes")
	}
	add(s.SecretConfig != nil, "secret_config")
	add(s.Security.OneTimePassword != "" || s.Security.ServiceAccessToken != "", "one-time passwords and access tokens")
	add(s.Security.SingletonEnclaves, "singleton_enclaves")
	add(len(s.Security.TrustedSCONEQEPubkeys) > 0, "trusted_scone_qe_pubkeys")
	for _, service := range s.Services {
		add(service.OneTimePassword != "", "one-time passwords and access tokens")
		add(service.FSPFPath+service.FSPFKey+service.FSPFTag+service.FSPFUpdatePolicy != "", "fspf_path and what belongs to it")
	}
	for _, declared := range s.Secrets {
		add(declared.Kind != "" && !slices.Contains(kinds(), declared.Kind), "secrets of kind "+string(declared.Kind))
		add(declared.ImportAKV != nil, "import_akv")
		add(declared.Import != nil && (declared.Import.Remote() || declared.Import.SessionHash != ""), "imports from another CAS or by session_hash")
		add(slices.ContainsFunc(declared.Exports, func(e session.Export) bool { return e.Remote() }), "exports to another CAS")
	}
	return all
}

// properName refuses names that lead elsewhere when somebody cleans them as paths.
func properName(name string) bool {
	return !slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool {
		return part == "" || part == "." || part == ".."
	})
}

// checkPublic keeps what an enclave must protect from being published. An import
// without kind could turn out to be anything.
func checkPublic(declared session.Secret) error {
	public := []session.Kind{session.PublicKey, session.X509, session.X509CA}
	switch {
	case !declared.ExportPublic || slices.Contains(public, declared.Kind):
		return nil
	case declared.Kind == session.PrivateKey:
		return errors.New("export_public: a private key cannot be public")
	case declared.Import != nil:
		return errors.New("export_public: only certificates and public keys of other sessions can be made public")
	}
	return nil
}

func checkServices(s *session.Session) error {
	seen := map[string]bool{}
	for _, service := range s.Services {
		switch {
		case seen[service.Name]:
			return fmt.Errorf("service '%s' is there twice", service.Name)
		case len(service.Attestation) == 0 && s.Security.Mode != modeNone:
			return fmt.Errorf("service '%s': attestation is missing: without it any enclave would get its secrets", service.Name)
		}
		seen[service.Name] = true
	}
	return nil
}

// checkTexts reads each text that CAS fills in.
func checkTexts(s *session.Session) error {
	for _, service := range s.Services {
		for _, text := range serviceTexts(service) {
			if err := checkText(s, text, nil); err != nil {
				return fmt.Errorf("service '%s': %w", service.Name, err)
			}
		}
	}
	for _, image := range s.Images {
		if err := checkImage(s, image); err != nil {
			return fmt.Errorf("image '%s': %w", image.Name, err)
		}
	}
	return nil
}

func serviceTexts(service session.Service) []string {
	texts := slices.Clone(service.Command)
	for _, value := range service.Environment {
		texts = append(texts, value)
	}
	return texts
}

func checkImage(s *session.Session, image session.Image) error {
	for _, name := range image.ProvideSecrets {
		if _, ok := secretOf(s, name); !ok {
			return fmt.Errorf("provide_secrets: '%.80s' is no secret of this session", name)
		}
	}
	for _, file := range image.InjectionFiles {
		if file.Content == nil {
			continue
		}
		if err := checkText(s, *file.Content, image.ProvideSecrets); err != nil {
			return fmt.Errorf("file %.200s: %w", file.Path, err)
		}
	}
	return nil
}

// checkText finds placeholders that no secret can fill, or none that is provided.
// A nil list provides all secrets.
func checkText(s *session.Session, text string, provided []string) error {
	placeholders, err := session.Placeholders(text)
	if err != nil {
		return err
	}
	for _, p := range placeholders {
		declared, ok := secretOf(s, p.Secret)
		switch {
		case !ok:
			return fmt.Errorf("%s names no secret of this session", p.Text)
		case provided != nil && !slices.Contains(provided, p.Secret):
			return fmt.Errorf("%s: provide_secrets does not list '%s'", p.Text, p.Secret)
		}
		if err := knownEncoding(declared.Kind, p); err != nil {
			return err
		}
	}
	return nil
}
