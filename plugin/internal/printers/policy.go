package printers

import (
	"fmt"
	"maps"
	"slices"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/fleet"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
)

// Policy is what a policy accepts and where it is weak. Nothing in it is simulated or
// not, so it has no Head.
type Policy struct {
	Kind       string            `json:"kind"`
	File       string            `json:"file"`
	Accepts    Accepts           `json:"accepts"`
	Weaknesses []policy.Weakness `json:"weaknesses"`
}

// Accepts is what a policy accepts; what is empty accepts nothing.
type Accepts struct {
	CAS                 AcceptedCAS                  `json:"cas"`
	Enclaves            map[string][]sgx.Measurement `json:"enclaves"`
	TCB                 []sgx.TCBStatus              `json:"tcb"`
	Advisories          []string                     `json:"advisories"`
	DebugEnclave        bool                         `json:"debugEnclave"`
	MinEvaluationNumber int                          `json:"minTCBEvaluationNumber"`
	CollateralGrace     string                       `json:"collateralGrace"`
	// RequireProvenance is empty when the cluster's word for platform IDs is enough.
	RequireProvenance attest.Provenance `json:"requireProvenance"`
	// MaxCollateralAge is null for no bound.
	MaxCollateralAge *string `json:"maxCollateralAge"`
}

// AcceptedCAS are the enclaves that a CAS may be; Signer is null without one.
type AcceptedCAS struct {
	MRENCLAVEs []sgx.Measurement       `json:"mrenclaves"`
	Signer     *attest.SignerReference `json:"signer"`
}

// NewPolicy makes the document of a policy that was read from a file.
func NewPolicy(file string, p *policy.Policy) Policy {
	d := Policy{Kind: "confidb.policy-check/v1", File: file, Weaknesses: list(p.Weaknesses()), Accepts: Accepts{
		CAS:                 AcceptedCAS{list(p.CAS.ReferenceValues.MRENCLAVEs), p.CAS.ReferenceValues.Signer},
		Enclaves:            map[string][]sgx.Measurement{},
		TCB:                 append([]sgx.TCBStatus{sgx.UpToDate}, p.CAS.AcceptTCB...),
		Advisories:          list(p.CAS.AcceptAdvisories),
		DebugEnclave:        p.CAS.AllowDebugEnclave,
		MinEvaluationNumber: p.Freshness.MinEvaluationNumber,
		CollateralGrace:     policy.Hours(p.Freshness.Grace),
		RequireProvenance:   p.RequireProvenance,
	}}
	for name, measurements := range p.Enclaves {
		d.Accepts.Enclaves[name] = list(measurements)
	}
	if p.Freshness.MaxAge > 0 {
		age := policy.Hours(p.Freshness.MaxAge)
		d.Accepts.MaxCollateralAge = &age
	}
	return d
}

// list makes a list without entries one that programs can read: [] instead of null.
func list[T any](all []T) []T { return append([]T{}, all...) }

func (d Policy) head() Head { return Head{Kind: d.Kind} }

// Text says in words what is accepted.
func (d Policy) Text(p *Page) {
	p.Line("%s is a valid %s. It accepts:", d.File, policy.Kind)
	p.Gap()
	d.Accepts.CAS.text(p)
	d.Accepts.enclaves(p)
	d.Accepts.platforms(p)
	d.Accepts.collateral(p)
	p.Gap()
	p.Line("Weaknesses: %d", len(d.Weaknesses))
	for _, w := range d.Weaknesses {
		p.Line("  %s: %s", w.Where, w.ID)
		p.Line("    %s", w.Text)
		p.Line("    hint: %s", w.Hint)
	}
}

func (c AcceptedCAS) text(p *Page) {
	p.Line("CAS")
	if len(c.MRENCLAVEs) == 0 && c.Signer == nil {
		p.Line("  none")
		return
	}
	for i, m := range c.MRENCLAVEs {
		p.Line("  %-4sMRENCLAVE %s", before(i, "or"), m)
	}
	if s := c.Signer; s != nil {
		p.Line("  %-4sMRSIGNER %s, ISVPRODID %d, ISVSVN at least %d", before(len(c.MRENCLAVEs), "and"), s.MRSIGNER, s.ISVProdID, s.MinISVSVN)
	}
}

// before is the word before all but the first.
func before(i int, word string) string {
	if i == 0 {
		return ""
	}
	return word
}

func (a Accepts) enclaves(p *Page) {
	p.Gap()
	p.Line("Enclaves in sessions, by MRENCLAVE")
	if len(a.Enclaves) == 0 {
		p.Line("  none")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Enclaves)) {
		if len(a.Enclaves[name]) == 0 {
			p.Line("  %-10s none", name)
		}
		for _, m := range a.Enclaves[name] {
			p.Line("  %-10s %s", name, m)
		}
	}
}

func (a Accepts) platforms(p *Page) {
	p.Gap()
	p.Line("Platforms")
	for _, s := range a.TCB {
		p.Line("  %s: %s", s, fleet.Meaning(s))
	}
	for _, advisory := range a.Advisories {
		p.Line("  %s: platforms that this advisory of Intel concerns (a warning)", advisory)
	}
	debug := "refused"
	if a.DebugEnclave {
		debug = "ACCEPTED: the host can read their memory"
	}
	p.Line("  debug enclaves: %s", debug)
	ids := "any, also those that only the cluster claims"
	if a.RequireProvenance != "" {
		ids = "at least " + string(a.RequireProvenance)
	}
	p.Line("  platform IDs: %s", ids)
}

func (a Accepts) collateral(p *Page) {
	evaluation := "any TCB evaluation"
	if a.MinEvaluationNumber > 0 {
		evaluation = fmt.Sprintf("TCB evaluation %d or later", a.MinEvaluationNumber)
	}
	age := "issued at any time"
	if a.MaxCollateralAge != nil {
		age = "issued at most " + *a.MaxCollateralAge + " ago"
	}
	until := "until its next update is due"
	if a.CollateralGrace != policy.Hours(0) {
		until = "up to " + a.CollateralGrace + " after its next update was due (a warning then)"
	}
	p.Gap()
	p.Line("Intel's collateral")
	for _, line := range []string{evaluation, age, until} {
		p.Line("  %s", line)
	}
}
