package diff

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

func (c *comparison) secrets() {
	name := func(s session.Secret) string { return s.Name }
	named(c.from.Secrets, c.to.Secrets, name, func(i int, old, new session.Secret) { c.secret(fmt.Sprintf("secrets[%d]", i), old, new) },
		func(i int, new session.Secret) {
			at := fmt.Sprintf("secrets[%d]", i)
			c.add(Gain, "the session", "has a new secret "+new.Name, at)
			c.secret(at, session.Secret{Name: new.Name}, onlyShared(new))
		},
		func(i int, old session.Secret) {
			at := fmt.Sprintf("secrets[%d]", i)
			c.add(Loss, "the session", "no longer has the secret "+old.Name, at)
			c.secret(at, onlyShared(old), session.Secret{Name: old.Name})
		})
}

// onlyShared leaves of a secret who else gets it.
func onlyShared(s session.Secret) session.Secret {
	return session.Secret{Name: s.Name, Exports: s.Exports, ExportPublic: s.ExportPublic}
}

func (c *comparison) secret(at string, a, b session.Secret) {
	c.exports("the secret "+a.Name, at+".export", exportsOf(c.from.Session, a.Exports), exportsOf(c.to.Session, b.Exports))
	switch who := "everybody"; {
	case b.ExportPublic && !a.ExportPublic:
		c.add(Gain, who, "can read the public part of "+a.Name, at+".export_public")
	case a.ExportPublic && !b.ExportPublic:
		c.add(Loss, who, "can no longer read the public part of "+a.Name, at+".export_public")
	}
	x, y := source(c.from.Session, a), source(c.to.Session, b)
	if c.followed(a, b) { // the value is compared where it is used
		x.Value, x.Fragment, y.Value, y.Fragment = nil, nil, nil, nil
	}
	c.changed(reflect.DeepEqual(x, y), "the secret "+a.Name, "comes from elsewhere, or is made otherwise", at)
}

// source is how the value of a secret comes about.
func source(s *session.Session, v session.Secret) session.Secret {
	v.Exports, v.ExportPublic = nil, false
	if v.Import != nil {
		i := *v.Import
		i.Peer = resolved(s, i.Peer)
		v.Import = &i
	}
	v.SAN = slices.Clone(v.SAN)
	if v.CommonName != "" {
		slices.Sort(v.SAN)
	}
	if len(v.SAN) == 0 {
		v.SAN = nil
	}
	return v
}

func resolved(s *session.Session, p session.Peer) session.Peer {
	if !p.Remote() && p.Session != "" {
		p.Session = s.Resolve(p.Session)
	}
	p.SessionHash = strings.ToLower(p.SessionHash)
	return p
}

func exportsOf(s *session.Session, exports []session.Export) []session.Export {
	var all []session.Export
	for _, e := range exports {
		e.Peer = resolved(s, e.Peer)
		if e.Namespace != "" && !e.Remote() {
			e.Namespace = s.Resolve(e.Namespace)
		}
		all = append(all, e)
	}
	return all
}

// coversExport reports whether whoever gets something by b gets it by a.
func coversExport(a, b session.Export) bool {
	switch {
	case a.CASURL != b.CASURL || a.CASKey != b.CASKey || a.CASSoftwareKey != b.CASSoftwareKey:
		return false
	case a.Namespace != "":
		return within(a.Namespace, b.Namespace) || b.Namespace == "" && within(a.Namespace, b.Session)
	case b.Namespace != "":
		return false
	}
	return a.Session == b.Session && (a.SessionHash == "" || a.SessionHash == b.SessionHash)
}

// within reports whether a session or namespace is in a namespace.
func within(namespace, name string) bool {
	return name != "" && (name == namespace || strings.HasPrefix(name, strings.TrimSuffix(namespace, "/")+"/"))
}

func exportText(e session.Export) string {
	text := "session " + e.Session
	if e.Namespace != "" {
		text = "every session in " + e.Namespace
	}
	if e.SessionHash != "" {
		text += " in the version " + e.SessionHash
	}
	if e.Remote() {
		text += " of another CAS " + e.CASURL
	}
	return text
}

func (c *comparison) exports(what, at string, from, to []session.Export) {
	covered := func(by []session.Export, e session.Export) bool {
		return slices.ContainsFunc(by, func(o session.Export) bool { return coversExport(o, e) })
	}
	for _, e := range to {
		if !covered(from, e) {
			c.add(Gain, exportText(e), "gets "+what, at)
		}
	}
	for _, e := range from {
		if !covered(to, e) {
			c.add(Loss, exportText(e), "no longer gets "+what, at)
		}
	}
}

func (c *comparison) volumes() {
	name := func(v session.Volume) string { return v.Name }
	named(c.from.Volumes, c.to.Volumes, name, func(i int, old, new session.Volume) { c.volume(fmt.Sprintf("volumes[%d]", i), old, new) },
		func(i int, new session.Volume) {
			c.add(Gain, "the session", "has a new volume "+new.Name, fmt.Sprintf("volumes[%d]", i))
			c.volume(fmt.Sprintf("volumes[%d]", i), session.Volume{Name: new.Name}, session.Volume{Name: new.Name, Exports: new.Exports})
		},
		func(i int, old session.Volume) {
			c.add(Loss, "the session", "no longer has the volume "+old.Name, fmt.Sprintf("volumes[%d]", i))
		})
}

func (c *comparison) volume(at string, a, b session.Volume) {
	who := "the volume " + a.Name
	exports := func(s *session.Session, v session.Volume) []session.Export {
		var all []session.Export
		for _, e := range v.Exports {
			all = append(all, e.Export)
		}
		return exportsOf(s, all)
	}
	c.exports(who, at+".export", exports(c.from.Session, a), exports(c.to.Session, b))
	c.ranked(who, at+".files", "files", a.Files, b.Files, "authenticated-only", "", "encrypted")
	origin := func(s *session.Session, v session.Volume) any {
		if v.Import == nil {
			return nil
		}
		return [2]any{resolved(s, v.Import.Peer), v.Import.Volume}
	}
	c.changed(same(a.FSPFKey, b.FSPFKey) && same(a.FSPFTag, b.FSPFTag), who, "has another key or tag", at)
	c.changed(reflect.DeepEqual(origin(c.from.Session, a), origin(c.to.Session, b)), who, "comes from elsewhere", at+".import")
	rules := func(s *session.Session, v session.Volume) map[string]string {
		all := map[string]string{}
		for i, e := range exports(s, v) {
			all[exportText(e)] = fmt.Sprintf("%q %q", v.Exports[i].UpdatePolicy, v.Exports[i].VolumeAlias)
		}
		return all
	}
	from, to := rules(c.from.Session, a), rules(c.to.Session, b)
	for _, name := range slices.Sorted(maps.Keys(to)) {
		old, was := from[name]
		c.changed(!was || old == to[name], name, "gets "+who+" under another name or rule", at+".export")
	}
}

// ranked compares words that protect more or less, the weakest first. Of a word that
// is not among them it is not known.
func (c *comparison) ranked(who, at, key, from, to string, weakestFirst ...string) {
	old, new := slices.Index(weakestFirst, from), slices.Index(weakestFirst, to)
	what := fmt.Sprintf("%s: %q instead of %q", key, to, from)
	switch {
	case from == to:
	case old < 0 || new < 0:
		c.add(Other, who, "is protected otherwise: "+what, at)
	case new < old:
		c.add(Gain, "whoever has the disk of "+who, "can do more: "+what, at)
	default:
		c.add(Loss, "whoever has the disk of "+who, "can do less: "+what, at)
	}
}

func (c *comparison) images() {
	name := func(i session.Image) string { return i.Name }
	named(c.from.Images, c.to.Images, name, func(i int, old, new session.Image) { c.image(fmt.Sprintf("images[%d]", i), old, new) },
		func(i int, new session.Image) {
			c.add(Gain, "the session", "has a new image "+new.Name, fmt.Sprintf("images[%d]", i))
		},
		func(i int, old session.Image) {
			c.add(Loss, "the session", "no longer has the image "+old.Name, fmt.Sprintf("images[%d]", i))
		})
}

func (c *comparison) image(at string, a, b session.Image) {
	who := "image " + a.Name
	c.provides(who, at+".provide_secrets", a, b)
	file := func(f session.InjectionFile) string { return f.Path }
	named(a.InjectionFiles, b.InjectionFiles, file, func(i int, old, new session.InjectionFile) {
		equal := reflect.DeepEqual(old.Content, new.Content) && old.Permission == new.Permission
		c.changed(equal, who, "has another content or mode of "+new.Path, fmt.Sprintf("%s.injection_files[%d]", at, i))
	}, func(i int, new session.InjectionFile) {
		c.add(Other, who, "has a new file "+new.Path, fmt.Sprintf("%s.injection_files[%d]", at, i))
	}, func(i int, old session.InjectionFile) {
		c.add(Other, who, "no longer has the file "+old.Path, fmt.Sprintf("%s.injection_files[%d]", at, i))
	})
	named(a.Volumes, b.Volumes, func(v session.ImageVolume) string { return v.Path }, func(i int, old, new session.ImageVolume) {
		path := fmt.Sprintf("%s.volumes[%d]", at, i)
		c.changed(old.Name == new.Name, who, fmt.Sprintf("has the volume %s at %s", new.Name, new.Path), path)
		c.ranked("the volume "+new.Name, path+".update_policy", "update_policy", old.UpdatePolicy, new.UpdatePolicy, "no_rollback_protection", "", "rollback_protected")
	}, func(i int, new session.ImageVolume) {
		c.add(Other, who, fmt.Sprintf("has the volume %s at %s", new.Name, new.Path), fmt.Sprintf("%s.volumes[%d]", at, i))
	}, func(i int, old session.ImageVolume) {
		c.add(Other, who, fmt.Sprintf("no longer has the volume %s at %s", old.Name, old.Path), fmt.Sprintf("%s.volumes[%d]", at, i))
	})
}

func (c *comparison) provides(who, at string, a, b session.Image) {
	all := func(i session.Image) bool { return i.ProvideSecrets == nil }
	switch {
	case all(a) && all(b):
	case all(b):
		c.add(Gain, who, "may use every secret", at)
	case all(a):
		c.add(Loss, who, "may only use the secrets "+list(b.ProvideSecrets), at)
	default:
		c.set(who, at, a.ProvideSecrets, b.ProvideSecrets, "may use the secret %s", "may no longer use the secret %s")
	}
}
