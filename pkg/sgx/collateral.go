package sgx

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// Collateral is what Intel signs about platforms. A part that is not there makes
// a verification incomplete, never wrong.
type Collateral struct {
	// TCBInfo and QEIdentity are the signed wrapper objects of PCS API v4, as received.
	TCBInfo, QEIdentity []byte
	// TCBSigningChain is PEM: the TCB signing certificate, then the root.
	TCBSigningChain []byte
	// RootCRL and PCKCRL are DER or PEM.
	RootCRL, PCKCRL []byte
	// PCKCertificate is PEM, and needed only for a quote that does not hold it.
	PCKCertificate []byte
	// PCKIssuerChain is PEM: the CA of the PCK certificate, then the root.
	PCKIssuerChain []byte
	// Forms say of each part that was not in the form in which Intel serves it how it was
	// read, such as "rootCaCrl.der as hexadecimal text".
	Forms []string
}

// file is one part of the collateral and the name of its file.
type file struct {
	name string
	part *[]byte
}

func (c *Collateral) files() []file {
	return []file{
		{"tcbInfo.json", &c.TCBInfo}, {"qeIdentity.json", &c.QEIdentity}, {"tcbSignChain.pem", &c.TCBSigningChain}, {"rootCaCrl.der", &c.RootCRL},
		{"pckCaCrl.der", &c.PCKCRL}, {"pckCert.pem", &c.PCKCertificate}, {"pckSignChain.pem", &c.PCKIssuerChain},
	}
}

// CollateralFileNames are the names of the files that CollateralFromFiles takes
// beside bundles.
func CollateralFileNames() []string {
	var names []string
	for _, f := range new(Collateral).files() {
		names = append(names, f.name)
	}
	return names
}

// CollateralFromFiles reads the form of Intel's sample data, by the names of
// CollateralFileNames, and bundles: every other file whose name ends in .json,
// with the field names of Intel's sgx_ql_qve_collateral_t. It returns one
// Collateral for each; that of the sample form comes first. Other files are ignored.
func CollateralFromFiles(files map[string][]byte) (CollateralSet, error) {
	var set CollateralSet
	sample, err := readSample(files)
	if err != nil {
		return nil, err
	}
	if sample != nil {
		set = append(set, sample)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) != ".json" || slices.Contains(CollateralFileNames(), name) {
			continue
		}
		c, err := ParseBundle(files[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		set = append(set, c)
	}
	if len(set) == 0 {
		return nil, unformed(CollateralUnreadable, collateralHint, "got none of the files %s, and no bundle", strings.Join(CollateralFileNames(), " "))
	}
	return set, nil
}

// readSample reads the files of the sample form; it returns nil without any.
func readSample(files map[string][]byte) (*Collateral, error) {
	sample := &Collateral{}
	found := false
	for _, f := range sample.files() {
		found = found || len(files[f.name]) > 0
		var err error
		if *f.part, err = sample.read(f.name, files[f.name]); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if !found {
		return nil, nil
	}
	return sample, nil
}

// read reads one part by the name of its file, and remembers how.
func (c *Collateral) read(name string, text []byte) (part []byte, err error) {
	var as string
	switch {
	case name == "tcbInfo.json":
		part, as, err = readDocument(text, "tcbInfo")
	case name == "qeIdentity.json":
		part, as, err = readDocument(text, "enclaveIdentity")
	case path.Ext(name) == ".pem":
		part, as, err = readChain(text)
	default:
		part, as, err = readCRL(text)
	}
	c.readAs(name, as)
	return part, err
}

// readAs remembers the form of a part, unless it is that in which Intel serves it.
func (c *Collateral) readAs(name, as string) {
	if as != "" && as != "PEM" {
		c.Forms = append(c.Forms, name+" as "+as)
	}
}

// CollateralSet is the collateral of several processor families.
type CollateralSet []*Collateral

// For returns the collateral whose TCB info says that it is for the platform of
// the quote, or else the first one. It only chooses: nothing is verified.
func (s CollateralSet) For(raw []byte) *Collateral {
	if len(s) == 0 {
		return &Collateral{}
	}
	if len(s) > 1 {
		if platform := claimedPlatform(raw); platform != nil {
			for _, c := range s {
				if c.claims(platform) {
					return c
				}
			}
		}
	}
	return s[0]
}

// claimedPlatform is what the PCK certificate in a quote says, unverified, or nil.
func claimedPlatform(raw []byte) *PCK {
	q, err := ParseQuote(raw)
	if err != nil {
		return nil
	}
	p, err := q.PCK()
	if err != nil {
		return nil
	}
	return p
}

// claims reports whether the TCB info says that it is for the platform, and the
// PCK CA is that of its certificate, where it is known.
func (c *Collateral) claims(p *PCK) bool {
	body, _, err := splitSigned(c.TCBInfo, "tcbInfo")
	if err != nil {
		return false
	}
	var info tcbInfo
	if json.Unmarshal(body, &info) != nil || !info.isFor(p) {
		return false
	}
	issuers, err := parseChain(c.PCKIssuerChain)
	return err != nil || issuers[0].Subject.CommonName == p.CA
}
