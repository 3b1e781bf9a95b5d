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
	return slices.ContainsFunc(in.uses(), func(u layout.Use) bool { return u.Secret == certificate && in.Reveals(u.Placeholder) })
}

// carriesKey reports whether a session imports a certificate of another one whose
// private key is this secret: then the export of the key gives it along.
func (in *input) carriesKey(from *input, key string) bool {
	return slices.ContainsFunc(in.Secrets, func(s session.Secret) bool {
		if s.Import == nil || s.Import.Remote() || in.Resolve(s.Import.Session) != from.Name {
			return false
		}
		theirs := from.Secret(s.Import.Secret)
		if theirs == nil || theirs.PrivateKey != key {
			return false
		}
		return in.wantsKey(s.Name) || len(s.Exports) > 0 || slices.ContainsFunc(in.Images, templated)
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
	if other == nil || (&input{Set: other}).carriesKey(in, s.Name) || slices.ContainsFunc(other.Secrets, func(o session.Secret) bool {
		return o.Import != nil && o.Import.Secret == s.Name && !o.Import.Remote() && other.Resolve(o.Import.Session) == in.Name
	}) {
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
