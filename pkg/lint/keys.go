package lint

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/layout"
	"github.com/confidb/confidb/pkg/session"
)

func findInjectedAuthority(in *input) []hit {
	keys := in.Authorities()
	return describe(in.uses(), func(u layout.Use) bool {
		s := in.Secret(u.Secret)
		return s != nil && in.Reveals(u.Placeholder) && keys[in.KeyOf(s.Name)]
	})
}

func findExportedAuthority(in *input) []hit {
	keys := in.Authorities()
	return eachSecret(func(in *input, s session.Secret) string {
		if in.KindOf(s) != session.PrivateKey || len(s.Exports) == 0 || !keys[in.KeyOf(s.Name)] {
			return ""
		}
		return "the key " + s.Name + " with export"
	})(in)
}

// wantsKey reports whether a session uses the private key of a certificate, as far as
// the session says what it uses.
func (in *input) wantsKey(certificate string) bool {
	if in.wanted == nil {
		in.wanted = map[string]bool{}
		for _, u := range in.uses() {
			if in.Reveals(u.Placeholder) {
				in.wanted[u.Secret] = true
			}
		}
	}
	return in.wanted[certificate]
}

// carriesKey reports whether a session imports a certificate of another one whose
// private key is this secret: then the export of the key gives it along.
func (in *input) carriesKey(from *input, key string) bool {
	return slices.ContainsFunc(from.Certificates(key), func(certificate string) bool {
		return slices.ContainsFunc(in.Imports(from.Name, certificate), func(s *session.Secret) bool {
			return in.wantsKey(s.Name) || len(s.Exports) > 0 || slices.ContainsFunc(in.Images, templated)
		})
	})
}

// importProblem says why an import gives nothing, if the other session was given.
func importProblem(in *input, s session.Secret) string {
	if s.Import == nil {
		return ""
	}
	other := in.Given(s.Import.Peer)
	if other == nil {
		return ""
	}
	theirs := other.Secret(s.Import.Secret)
	switch {
	case theirs == nil:
		return fmt.Sprintf("%s from %s, which has no secret %s", s.Name, other.Name, s.Import.Secret)
	case !other.Gives(s.Import.Secret, in.Name):
		return fmt.Sprintf("%s from %s, which does not export %s here", s.Name, other.Name, s.Import.Secret)
	}
	kind := other.KindOf(*theirs)
	switch {
	case s.Kind != "" && kind != "" && s.Kind != kind && !(layout.IsCertificate(s.Kind) && layout.IsCertificate(kind)):
		return fmt.Sprintf("%s of kind %s from %s, where %s is of kind %s", s.Name, s.Kind, other.Name, s.Import.Secret, kind)
	case layout.IsCertificate(kind) && theirs.PrivateKey != "" && !other.Gives(theirs.PrivateKey, in.Name) && in.wantsKey(s.Name):
		return fmt.Sprintf("the private key of %s from %s, which does not export %s here", s.Name, other.Name, theirs.PrivateKey)
	}
	return ""
}

// findImportsInVain finds imports that give nothing: those that something uses, or the
// others.
//
//go:noinline
func findImportsInVain(inUse bool) finder {
	return func(in *input) []hit {
		used := in.usedSecrets()
		return eachSecret(func(in *input, s session.Secret) string {
			uses := used[s.Name] || len(s.Exports) > 0 || s.ExportPublic || slices.ContainsFunc(in.Images, templated)
			if uses != inUse {
				return ""
			}
			return importProblem(in, s)
		})(in)
	}
}

func exportedInVain(in *input, s session.Secret, e session.Export) string {
	other := in.Given(e.Peer)
	if other == nil || in.peer(other).carriesKey(in, s.Name) || len(other.Imports(in.Name, s.Name)) > 0 {
		return ""
	}
	return fmt.Sprintf("%s to %s, which does not import it", s.Name, other.Name)
}

// exportedOutside says where an export leads that is in none of several sessions.
func exportedOutside(in *input, s session.Secret, e session.Export) string {
	several := slices.ContainsFunc(in.All, func(o *session.Session) bool { return o.Name != in.Name })
	if !several || e.Session == "" || in.Given(e.Peer) != nil {
		return ""
	}
	return fmt.Sprintf("%s to %s, which was not given", s.Name, e.Session)
}
