package session

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/check"
)

// Weaknesses asks whether a session demands what a proof rests on. Each finding
// passes when the session is as strict as it should be.
func Weaknesses(s *Session) []check.Finding {
	return []check.Finding{
		ask("session-attestation", "every service demands an attested enclave of known measurement or signer", "set attestation.mrenclave or signer for each service, and mode hardware", s.unattested()),
		ask("session-platforms", "every service demands a listed platform", "set platforms for each service", s.unplaced()),
		ask("session-tolerations", "no weak state of a platform is tolerated", "remove tolerate and ignore_advisories", s.tolerated()),
		ask("session-ca-key", "the keys of certificate authorities never leave CAS", "let CAS generate the key, do not export or inject it", s.exposedAuthorities()),
		ask("session-secrets", "no secret is written in the session", "remove value: let CAS generate it", WrittenSecrets(s)),
		ask("session-access", "only named keys may read or change the session", "use CREATOR, NONE or a certificate", s.openAccess()),
	}
}

func ask(id, title, hint string, problems []string) check.Finding {
	if len(problems) == 0 {
		return check.Finding{ID: id, Title: title, Outcome: check.Pass}
	}
	return check.Finding{ID: id, Title: title, Outcome: check.Fail, Reason: strings.Join(problems, "; "), Hint: hint}
}

func (s *Session) unattested() []string {
	var problems []string
	if s.Security.Mode != "" && s.Security.Mode != "hardware" {
		problems = append(problems, "attestation mode is "+s.Security.Mode)
	}
	for _, v := range s.Services {
		if len(v.Attestation) == 0 {
			problems = append(problems, fmt.Sprintf("service %s has no attestation", v.Name))
		}
	}
	return problems
}

func (s *Session) unplaced() []string {
	var problems []string
	if s.Security.MustBeSGXLocal {
		problems = append(problems, "must_be_sgx_local makes platforms ineffective")
	}
	for _, v := range s.Services {
		if len(v.Platforms)+len(v.PlatformSecrets) == 0 {
			problems = append(problems, fmt.Sprintf("service %s may run anywhere", v.Name))
		}
	}
	return problems
}

func (s *Session) tolerated() []string {
	return slices.Concat(s.Security.Tolerate, s.Security.IgnoreAdvisories)
}

// exposedAuthorities finds keys of certificate authorities that somebody else may
// have: written down, imported, exported, or put into a file.
func (s *Session) exposedAuthorities() []string {
	var problems []string
	keys := map[string]bool{}
	for _, v := range s.Secrets {
		if v.Kind == X509CA && v.Import == nil {
			keys[v.PrivateKey], keys[v.Name] = true, true
			if v.Value != nil {
				problems = append(problems, v.Name+" is written in the session")
			}
		}
	}
	for _, v := range s.Secrets {
		if v.Kind == PrivateKey && keys[v.Name] && (v.Value != nil || v.Import != nil || len(v.Exports) > 0 || v.ExportPublic) {
			problems = append(problems, v.Name+" is written, imported or exported")
		}
	}
	for _, text := range s.texts() {
		placeholders, err := Placeholders(text)
		if err != nil {
			problems = append(problems, err.Error())
		}
		for _, p := range placeholders {
			if keys[p.Secret] && !publicEncoding(p) {
				problems = append(problems, p.Text+" gives the key to a service")
			}
		}
	}
	return problems
}

// publicEncoding reports whether a placeholder of a CA can only give its
// certificate. The key alone, and forms that include it, are not public.
func publicEncoding(p Placeholder) bool {
	return len(p.Encodings) > 0 && slices.Contains([]string{"crt", ".crt", "chain"}, p.Encodings[0])
}

// texts are all values into which CAS puts secrets.
func (s *Session) texts() []string {
	var all []string
	for _, v := range s.Services {
		all = append(all, v.Command...)
		for _, value := range v.Environment {
			all = append(all, value)
		}
	}
	for _, i := range s.Images {
		for _, f := range i.InjectionFiles {
			if f.Content != nil {
				all = append(all, *f.Content)
			}
		}
	}
	return all
}

// WrittenSecrets names the secrets whose values are in the document itself.
func WrittenSecrets(s *Session) []string {
	var problems []string
	for _, v := range s.Secrets {
		if v.Value != nil && !slices.Contains([]Kind{PublicKey, X509CA, X509}, v.Kind) {
			problems = append(problems, v.Name)
		}
	}
	return append(problems, s.writtenElsewhere()...)
}

func (s *Session) openAccess() []string {
	var problems []string
	for what, who := range map[string][]AccessRule{"read": s.AccessPolicy.Read, "update": s.AccessPolicy.Update, "create_sessions": s.AccessPolicy.CreateSessions, "list_sessions": s.AccessPolicy.ListSessions} {
		if slices.ContainsFunc(who, func(r AccessRule) bool { return r.Any(AccessAny) }) {
			problems = append(problems, "anyone may "+what)
		}
	}
	slices.Sort(problems)
	return problems
}
