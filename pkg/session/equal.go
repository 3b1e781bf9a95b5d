package session

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

// Equal reports whether two documents mean the same. The creator and the
// predecessor do not count, nor does order where it means nothing, nor the case of
// hexadecimal digits.
func Equal(a, b *Session) bool { return bytes.Equal(a.meaning(), b.meaning()) }

// meaning is the whole session in one form, so that a field cannot be forgotten.
func (s *Session) meaning() []byte {
	n := *s
	n.Creator, n.Predecessor = "", ""
	n.NamespaceHash, n.Salt = lowerHex(s.NamespaceHash), lowerHex(s.Salt)
	n.Services = unordered(s.Services, meaningOfService)
	n.Secrets = unordered(s.Secrets, s.meaningOfSecret)
	n.Volumes = unordered(s.Volumes, s.meaningOfVolume)
	n.Images = unordered(s.Images, meaningOfImage)
	n.AccessPolicy = AccessPolicy{
		Fragment: s.AccessPolicy.Fragment,
		Read:     set(s.AccessPolicy.Read, meaningOfRule), Update: set(s.AccessPolicy.Update, meaningOfRule),
		CreateSessions: set(s.AccessPolicy.CreateSessions, meaningOfRule), ListSessions: set(s.AccessPolicy.ListSessions, meaningOfRule),
	}
	n.Security.Tolerate = set(s.Security.Tolerate, itself)
	n.Security.IgnoreAdvisories = set(s.Security.IgnoreAdvisories, itself)
	n.Security.TrustedSCONEQEPubkeys = set(s.Security.TrustedSCONEQEPubkeys, lowerHex)
	n.Security.MAA.Certificates = set(s.Security.MAA.Certificates, itself)
	// without its methods, all of which would be linked with what is turned into JSON
	type fields Session
	return inJSON(fields(n))
}

// inJSON cannot fail on a session: there is nothing in it that JSON does not have.
func inJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return []byte(err.Error())
	}
	return text
}

// unordered changes each item of a list and puts all into one order. Nil and empty
// are the same.
func unordered[T any](list []T, change func(T) T) []T {
	items, keys := changed(list, change)
	return picked(items, inOrder(keys))
}

// set is unordered, and each item counts once.
func set[T any](list []T, change func(T) T) []T {
	items, keys := changed(list, change)
	once := slices.CompactFunc(inOrder(keys), func(i, j int) bool { return bytes.Equal(keys[i], keys[j]) })
	return picked(items, once)
}

func changed[T any](list []T, change func(T) T) (items []T, keys [][]byte) {
	for _, item := range list {
		item = change(item)
		items, keys = append(items, item), append(keys, inJSON(item))
	}
	return items, keys
}

// inOrder returns the indexes of the keys in the order of these. The keys are sorted
// and not the items, so that there is one sort for items of all types.
func inOrder(keys [][]byte) []int {
	order := make([]int, len(keys))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return bytes.Compare(keys[i], keys[j]) })
	return order
}

func picked[T any](items []T, order []int) []T {
	var out []T
	for _, i := range order {
		out = append(out, items[i])
	}
	return out
}

func itself[T any](v T) T { return v }

// lowerHex ignores the case of what consists of hexadecimal digits only.
func lowerHex(text string) string {
	if strings.Trim(text, "0123456789abcdefABCDEF") != "" {
		return text
	}
	return strings.ToLower(text)
}

func meaningOfService(v Service) Service {
	v.AttestationIsList = false
	if len(v.Command) == 0 {
		v.Command = nil
	}
	if len(v.Environment) == 0 {
		v.Environment = nil
	}
	v.FSPFKey, v.FSPFTag = lowerHex(v.FSPFKey), lowerHex(v.FSPFTag)
	v.Attestation = set(v.Attestation, meaningOfVariant)
	v.Platforms = set(v.Platforms, meaningOfPlatform)
	v.PlatformSecrets = set(v.PlatformSecrets, itself)
	return v
}

func meaningOfVariant(v Variant) Variant {
	v.MRENCLAVEs = set(v.MRENCLAVEs, itself[sgx.Measurement])
	v.MRENCLAVEFragments = set(v.MRENCLAVEFragments, itself)
	return v
}

func meaningOfPlatform(id attest.PlatformID) attest.PlatformID {
	digits, isIntel := strings.CutPrefix(id.String(), "INTEL_QE_ID:")
	digits = strings.ToLower(digits)
	if isIntel {
		digits = "INTEL_QE_ID:" + digits
	}
	lower, err := attest.ParsePlatformID(digits)
	if err != nil {
		return id
	}
	return lower
}

func (s *Session) meaningOfSecret(v Secret) Secret {
	if v.Kind == Binary && v.Value != nil {
		value := lowerHex(*v.Value)
		v.Value = &value
	}
	if v.AAD != nil {
		a := *v.AAD
		a.Thumbprint = lowerHex(strings.ReplaceAll(a.Thumbprint, ":", ""))
		v.AAD = &a
	}
	// without a common name, the first alternative name takes its place
	if v.CommonName != "" {
		v.SAN = set(v.SAN, itself)
	} else if len(v.SAN) == 0 {
		v.SAN = nil
	}
	if v.Import != nil {
		i := *v.Import
		i.Peer = s.meaningOfPeer(i.Peer)
		v.Import = &i
	}
	v.Exports = set(v.Exports, s.meaningOfExport)
	return v
}

func (s *Session) meaningOfPeer(p Peer) Peer {
	if !p.Remote() && p.Session != "" {
		p.Session = s.Resolve(p.Session)
	}
	p.SessionHash = lowerHex(p.SessionHash)
	return p
}

func (s *Session) meaningOfExport(e Export) Export {
	e.Peer = s.meaningOfPeer(e.Peer)
	if e.Namespace != "" && !e.Remote() {
		e.Namespace = s.Resolve(e.Namespace)
	}
	return e
}

func (s *Session) meaningOfVolume(v Volume) Volume {
	v.FSPFKey, v.FSPFTag = lowerHex(v.FSPFKey), lowerHex(v.FSPFTag)
	v.Exports = set(v.Exports, func(e VolumeExport) VolumeExport { e.Export = s.meaningOfExport(e.Export); return e })
	if v.Import != nil {
		i := *v.Import
		i.Peer = s.meaningOfPeer(i.Peer)
		v.Import = &i
	}
	return v
}

func meaningOfImage(v Image) Image {
	v.Volumes = unordered(v.Volumes, itself)
	// two files of one path keep their order: the second may replace the first
	var paths [][]byte
	for _, f := range v.InjectionFiles {
		paths = append(paths, []byte(f.Path))
	}
	v.InjectionFiles = picked(v.InjectionFiles, inOrder(paths))
	if v.ProvideSecrets != nil {
		v.ProvideSecrets = append([]string{}, set(v.ProvideSecrets, itself)...)
	}
	return v
}

func meaningOfRule(r AccessRule) AccessRule {
	if r.Kind == AccessKeyHash {
		r.Text = lowerHex(r.Text)
	}
	r.Of = unordered(r.Of, meaningOfRule)
	return r
}
