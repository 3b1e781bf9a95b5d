package diff

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

func same(a, b string) bool { return strings.EqualFold(a, b) }

func equalAny(a, b any) bool { return reflect.DeepEqual(a, b) }

func (c *comparison) security() {
	a, b := c.from.Security, c.to.Security
	const who, at = "every service", "security.attestation"
	c.changed(a.Fragment == b.Fragment && a.AttestationFragment == b.AttestationFragment, who, "is attested as another fragment says", "security")
	c.mode(mode(a), mode(b))
	c.set(who, at+".tolerate", a.Tolerate, b.Tolerate, "may run where %s", "may no longer run where %s")
	c.advisories(a.IgnoreAdvisories, b.IgnoreAdvisories)
	c.set(who, at+".trusted_scone_qe_pubkeys", lower(a.TrustedSCONEQEPubkeys), lower(b.TrustedSCONEQEPubkeys), "may be vouched for by the quoting enclave %s", "is no longer believed the quoting enclave %s")
	c.changed(equalAny(a.MAA, b.MAA), who, "is attested by another provider of Microsoft's, or one that others may vouch for", at+".url")
	c.changed(a.MustBeSGXLocal == b.MustBeSGXLocal, who, fmt.Sprintf("has must_be_sgx_local %v, which makes its platforms count or not", b.MustBeSGXLocal), at+".must_be_sgx_local")
	c.lock(a.OneTimePassword, b.OneTimePassword, who, "a one-time password", at)
	c.lock(a.ServiceAccessToken, b.ServiceAccessToken, who, "a service access token", "security.service_access_token")
	c.lock(truth(a.SingletonEnclaves), truth(b.SingletonEnclaves), who, "singleton_enclaves: one start for each enclave", "security.singleton_enclaves")
}

func truth(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func mode(s session.Security) string {
	if s.Mode == "" {
		return "hardware"
	}
	return s.Mode
}

func (c *comparison) mode(from, to string) {
	const who, at = "every service", "security.attestation.mode"
	switch {
	case from == to:
	case to == "none":
		c.add(Gain, who, "is no longer attested: whoever reaches CAS gets the secrets", at)
	case from == "none":
		c.add(Loss, who, "is attested now", at)
	default:
		c.add(Other, who, fmt.Sprintf("is attested by %s instead of %s", to, from), at)
	}
}

// advisories compares lists in which * is everything.
func (c *comparison) advisories(from, to []string) {
	const who, at = "every service", "security.attestation.ignore_advisories"
	fromAll, toAll := slices.Contains(from, "*"), slices.Contains(to, "*")
	switch {
	case fromAll && toAll:
	case toAll:
		c.add(Gain, who, "may run on platforms with any advisory, also those that Intel publishes tomorrow", at)
	case fromAll:
		c.add(Loss, who, "may no longer run on platforms with any advisory, only with: "+list(to), at)
	default:
		c.set(who, at, from, to, "may run on platforms with %s", "may no longer run on platforms with %s")
	}
}

func lower(all []string) []string {
	var texts []string
	for _, x := range all {
		texts = append(texts, strings.ToLower(x))
	}
	return texts
}

func list(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

func (c *comparison) services() {
	named(c.from.Services, c.to.Services, func(s session.Service) string { return s.Name },
		func(i int, old, new session.Service) { c.service(fmt.Sprintf("services[%d]", i), old, new) },
		func(i int, new session.Service) {
			c.add(Gain, "service "+new.Name, fmt.Sprintf("is new: enclaves %s on %s get the secrets %s", list(enclaveTexts(new)), machines(new), list(c.to.reach(new))), fmt.Sprintf("services[%d]", i))
		},
		func(i int, old session.Service) {
			c.add(Loss, "service "+old.Name, "is gone", fmt.Sprintf("services[%d]", i))
		})
}

func (c *comparison) service(at string, a, b session.Service) {
	who := "service " + a.Name
	c.enclaves(who, at+".attestation", a, b)
	c.platforms(who, at+".platforms", a, b)
	c.reaches(who, at, a, b)
	c.lock(a.OneTimePassword, b.OneTimePassword, who, "a one-time password", at)
	c.changed(slices.Equal(a.Command, b.Command), who, fmt.Sprintf("runs %q instead of %q", b.Command, a.Command), at+".command")
	c.changed(maps.Equal(a.Environment, b.Environment), who, "has another environment: "+names(a.Environment, b.Environment), at+".environment")
	c.changed(a.Pwd == b.Pwd, who, fmt.Sprintf("begins in %q", b.Pwd), at+".pwd")
	c.changed(a.ImageName == b.ImageName, who, fmt.Sprintf("uses the image %q", b.ImageName), at+".image_name")
	files := func(s session.Service) [4]string {
		return [4]string{s.FSPFPath, strings.ToLower(s.FSPFKey), strings.ToLower(s.FSPFTag), s.FSPFUpdatePolicy}
	}
	c.changed(files(a) == files(b), who, "has another protected file system, or protects it otherwise", at+".fspf_path")
}

// names of the variables that differ; their values may be secret.
func names(a, b map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(merged(a, b))) {
		x, was := a[name]
		y, is := b[name]
		switch {
		case !was:
			all = append(all, name+" is new")
		case !is:
			all = append(all, name+" is gone")
		case x != y:
			all = append(all, name+" has another value")
		}
	}
	return strings.Join(all, ", ")
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(b)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, a)
	return all
}

// enclave is one set of enclaves that a variant accepts: one measurement or any, of
// one signer or any.
type enclave struct {
	measurement string // hexadecimal digits, a placeholder, or empty for any
	fragment    string
	signer      *session.Signer
}

func enclaves(s session.Service) []enclave {
	var all []enclave
	for _, v := range s.Attestation {
		measurements := slices.Clone(v.MRENCLAVEFragments)
		for _, m := range v.MRENCLAVEs {
			measurements = append(measurements, m.String())
		}
		if len(measurements) == 0 {
			measurements = []string{""}
		}
		for _, m := range measurements {
			all = append(all, enclave{m, v.Fragment, v.Signer})
		}
	}
	return all
}

// covers reports whether every enclave that b accepts is one that a accepts.
func (a enclave) covers(b enclave) bool {
	return a.fragment == b.fragment && (a.measurement == "" || a.measurement == b.measurement) && signerCovers(a.signer, b.signer)
}

func signerCovers(a, b *session.Signer) bool {
	if a == nil || b == nil {
		return a == nil
	}
	return a.Fragment == b.Fragment && a.MRSIGNER == b.MRSIGNER && a.ISVProdID == b.ISVProdID && a.MinISVSVN <= b.MinISVSVN && a.MaxISVSVN >= b.MaxISVSVN
}

func (a enclave) String() string {
	var parts []string
	if a.fragment != "" {
		parts = append(parts, "as the secret "+a.fragment+" says")
	}
	if a.measurement != "" {
		parts = append(parts, "MRENCLAVE "+a.measurement)
	}
	if s := a.signer; s != nil && s.Fragment != "" {
		parts = append(parts, "signer as the secret "+s.Fragment+" says")
	} else if s != nil {
		parts = append(parts, fmt.Sprintf("MRSIGNER %s product %d version %d to %d", s.MRSIGNER, s.ISVProdID, s.MinISVSVN, s.MaxISVSVN))
	}
	if len(parts) == 0 {
		return "any at all"
	}
	return strings.Join(parts, " and ")
}

func enclaveTexts(s session.Service) []string {
	var all []string
	for _, e := range enclaves(s) {
		all = append(all, e.String())
	}
	return all
}

func (c *comparison) enclaves(who, at string, a, b session.Service) {
	from, to := enclaves(a), enclaves(b)
	covered := func(by []enclave, e enclave) bool {
		return slices.ContainsFunc(by, func(o enclave) bool { return o.covers(e) })
	}
	for _, e := range to {
		if !covered(from, e) {
			c.add(Gain, who, "admits the enclave "+e.String(), at)
		}
	}
	for _, e := range from {
		if !covered(to, e) {
			c.add(Loss, who, "no longer admits the enclave "+e.String(), at)
		}
	}
}

// machinesOf are the platforms of a service; none means any.
func machinesOf(s session.Service) []string {
	var all []string
	for _, id := range s.Platforms {
		all = append(all, id.String())
	}
	for _, secret := range s.PlatformSecrets {
		all = append(all, "$$SCONE::"+secret+"$$")
	}
	return all
}

func machines(s session.Service) string {
	if all := machinesOf(s); len(all) > 0 {
		return strings.Join(all, ", ")
	}
	return "any machine"
}

func (c *comparison) platforms(who, at string, a, b session.Service) {
	from, to := machinesOf(a), machinesOf(b)
	switch {
	case len(from) == 0 && len(to) == 0:
	case len(to) == 0:
		c.add(Gain, who, "may run on any machine", at)
	case len(from) == 0:
		c.add(Loss, who, "may only run on "+list(to), at)
	default:
		c.set(who, at, from, to, "may run on %s", "may no longer run on %s")
	}
}
