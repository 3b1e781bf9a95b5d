// Package policy holds the user's appraisal policy as a document: which enclaves
// are expected, which deviations are tolerated by name, and how old Intel's
// collateral may be. It reads the document with positions and says where a policy
// is legal but weak. It knows no cluster and does no I/O.
package policy

import (
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/sgx"
)

// Error says what is wrong at one place of a policy, and Errors everything.
type (
	Error  = document.Error
	Errors = document.Errors
)

// Kind is the kind of the document.
const Kind = "confidb.policy/v1"

// Policy is a parsed document. The zero value accepts no enclave and no deviation,
// and uses collateral until its next update is due.
type Policy struct {
	// CAS is how the evidence of a CAS is appraised. Its tolerances are those of
	// the whole document.
	CAS attest.Policy
	// Enclaves are the accepted measurements by the enclave's name. An enclave
	// without any is accepted nowhere.
	Enclaves map[string][]sgx.Measurement
	// Settings are those with which measurements were taken, by the enclave's name.
	Settings map[string]Settings
	// Freshness bounds the age of Intel's collateral.
	Freshness attest.Freshness
	// RequireProvenance is how well platform IDs must be known: attest.Quoted,
	// attest.Declared, or empty for any.
	RequireProvenance attest.Provenance
	// Deviations are what else the user can live with.
	Deviations []attest.Deviation
	// MaxOutside is for how long at most a client may be let in outside of enclaves: 0 for
	// not at all. Nil is not said.
	MaxOutside *time.Duration

	places map[string]string // "file:line:column" of what the document has, by path
}

// where is the place of a path in the document, or of the nearest thing above it.
func (p *Policy) where(paths ...string) string {
	for _, path := range paths {
		if place, ok := p.places[path]; ok {
			return place
		}
	}
	return p.places[""]
}
