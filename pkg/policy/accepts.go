package policy

import (
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
)

// Accepted is what a policy accepts, for programs; what is empty accepts nothing. It is a
// member of documents of the kind confidb.policy-check/v1.
type Accepted struct {
	// CAS are the enclaves that a CAS may be.
	CAS                 attest.ReferenceValues       `json:"cas"`
	Enclaves            map[string][]sgx.Measurement `json:"enclaves"`
	Settings            map[string]Settings          `json:"settings,omitempty"`
	TCB                 []sgx.TCBStatus              `json:"tcb"`
	Advisories          []string                     `json:"advisories"`
	DebugEnclave        bool                         `json:"debugEnclave"`
	Deviations          []attest.Deviation           `json:"deviations"`
	MinEvaluationNumber int                          `json:"minTCBEvaluationNumber"`
	CollateralGrace     string                       `json:"collateralGrace"`
	// MaxOutside is for how long at most a client may be let in outside of enclaves; null
	// for no bound of the policy's.
	MaxOutside *string `json:"maxOutsideEnclave"`
	// RequireProvenance is empty when the cluster's word for platform IDs is enough.
	RequireProvenance attest.Provenance `json:"requireProvenance"`
	// MaxCollateralAge is null for no bound.
	MaxCollateralAge *string `json:"maxCollateralAge"`
}

// Accepts returns what the policy accepts.
func (p *Policy) Accepts() Accepted {
	a := Accepted{
		CAS:                 attest.ReferenceValues{MRENCLAVEs: list(p.CAS.ReferenceValues.MRENCLAVEs), Signer: p.CAS.ReferenceValues.Signer},
		Enclaves:            map[string][]sgx.Measurement{},
		Settings:            p.Settings,
		TCB:                 append([]sgx.TCBStatus{sgx.UpToDate}, p.CAS.AcceptTCB...),
		Advisories:          list(p.CAS.AcceptAdvisories),
		DebugEnclave:        p.CAS.AllowDebugEnclave,
		Deviations:          list(p.Deviations),
		MinEvaluationNumber: p.Freshness.MinEvaluationNumber,
		CollateralGrace:     Hours(p.Freshness.Grace),
		RequireProvenance:   p.RequireProvenance,
	}
	for name, measurements := range p.Enclaves {
		a.Enclaves[name] = list(measurements)
	}
	if p.MaxOutside != nil {
		most := Hours(*p.MaxOutside)
		a.MaxOutside = &most
	}
	if p.Freshness.MaxAge > 0 {
		age := Hours(p.Freshness.MaxAge)
		a.MaxCollateralAge = &age
	}
	return a
}

// list makes a list without entries one that programs can read: [] instead of null.
func list[T any](all []T) []T { return append([]T{}, all...) }
