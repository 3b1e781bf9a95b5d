package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/session"
)

// Strength asks whether a session demands what a proof rests on. Each finding
// passes when the session is as strict as it should be, and fails otherwise. Unlike
// the problems of Check, nothing suppresses them.
//
// Where the policy names secrets, their values count: those of the session itself and of
// the others. A finding for which one would have to be known that is not is skipped.
func Strength(s *session.Session, others ...*session.Session) []check.Finding {
	e, references, err := s.Effective(others)
	open := unknown(references, err)
	return []check.Finding{
		ask("session-attestation", "every service demands an attested enclave of known measurement or signer", "set attestation.mrenclave or signer for each service, and mode hardware", unattested(e), open(session.KeySecurity, session.KeyAttestation, session.KeyMRENCLAVEs)),
		ask("session-platforms", "every service demands a listed platform", "set platforms for each service", unplaced(e), open(session.KeySecurity, session.KeyPlatforms)),
		ask("session-tolerations", "no weak state of a platform is tolerated", "remove tolerate and ignore_advisories", tolerated(e), open(session.KeySecurity)),
		ask("session-ca-key", "the keys of certificate authorities never leave CAS", "let CAS generate the key, do not export or inject it", exposedAuthorities(s, others), nil),
		ask("session-secrets", "no secret is written in the session", "remove value: let CAS generate it", session.WrittenSecrets(s), nil),
		ask("session-access", "only named keys may read or change the session", "use CREATOR, NONE or a certificate", openAccess(e), open(session.KeyAccessPolicy)),
	}
}

// unknown returns what is not known of parts of a policy, by the keys of the document or of
// a service under which they stand. A place that is in none of them may be anything: it is in every part.
func unknown(references []session.Reference, err error) func(keys ...string) []string {
	places := session.Unknowns(references, err)
	return func(keys ...string) (all []string) {
		for _, u := range places {
			if _, key := session.PolicyPlace(u.Path); key == "" || slices.Contains(keys, key) {
				all = append(all, strings.TrimPrefix(u.Path+" is not known: "+u.Why, " "))
			}
		}
		return all
	}
}

func ask(id, title, hint string, problems, open []string) check.Finding {
	switch {
	case len(problems)+len(open) == 0:
		return check.Finding{ID: id, Title: title, Outcome: check.Pass}
	case len(problems) == 0:
		return check.Finding{ID: id, Title: title, Outcome: check.Skip, Reason: strings.Join(open, "; "), Hint: "write the value in the session, or in one that is looked at with it"}
	}
	return check.Finding{ID: id, Title: title, Outcome: check.Fail, Reason: strings.Join(problems, "; "), Hint: hint}
}

func unattested(s *session.Session) []string {
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

func unplaced(s *session.Session) []string {
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

func tolerated(s *session.Session) []string {
	all := slices.Concat(s.Security.Tolerate, s.Security.IgnoreAdvisories)
	return slices.DeleteFunc(all, func(t string) bool { return secretIn(t) != "" }) // which is not known
}

// exposedAuthorities finds keys of certificate authorities that somebody else may
// have: written down, imported, exported, or put into a file.
func exposedAuthorities(s *session.Session, others []*session.Session) []string {
	var problems []string
	keys := map[string]bool{}
	for _, v := range s.Secrets {
		if v.Kind == session.X509CA && v.Import == nil {
			keys[v.PrivateKey], keys[v.Name] = true, true
			if v.Value != nil {
				problems = append(problems, v.Name+" is written in the session")
			}
		}
	}
	for _, v := range s.Secrets {
		if v.Kind == session.PrivateKey && keys[v.Name] && (v.Value != nil || v.Import != nil || len(v.Exports) > 0 || v.ExportPublic) {
			problems = append(problems, v.Name+" is written, imported or exported")
		}
	}
	for _, text := range injectedTexts(s) {
		placeholders, err := session.Placeholders(text)
		if err != nil {
			problems = append(problems, err.Error())
		}
		for _, p := range placeholders {
			if keys[p.Secret] && !publicEncoding(p) {
				problems = append(problems, p.Text+" gives the key to a service")
			}
		}
	}
	in := newInput(s, append(slices.Clone(others), s))
	for _, h := range findInjectedAuthority(in) { // through a certificate that has the same key
		if text := h.got + " gives the key to a service"; !slices.Contains(problems, text) {
			problems = append(problems, text)
		}
	}
	for _, h := range findExportedAuthority(in) {
		if key, _ := strings.CutSuffix(strings.TrimPrefix(h.got, "the key "), " with export"); !keys[key] {
			problems = append(problems, key+" is the key of a certificate authority, and exported")
		}
	}
	return problems
}

// publicEncoding reports whether a placeholder of a CA can only give its
// certificate. The key alone, and forms that include it, are not public.
func publicEncoding(p session.Placeholder) bool {
	return len(p.Encodings) > 0 && slices.Contains([]string{"crt", ".crt", "chain"}, p.Encodings[0])
}

// injectedTexts are all values into which CAS puts secrets.
func injectedTexts(s *session.Session) []string {
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

func openAccess(s *session.Session) []string {
	var problems []string
	for what, who := range map[string][]session.AccessRule{"read": s.AccessPolicy.Read, "update": s.AccessPolicy.Update, "create_sessions": s.AccessPolicy.CreateSessions, "list_sessions": s.AccessPolicy.ListSessions} {
		if slices.ContainsFunc(who, func(r session.AccessRule) bool { return r.Any(session.AccessAny) }) {
			problems = append(problems, "anyone may "+what)
		}
	}
	slices.Sort(problems)
	return problems
}
