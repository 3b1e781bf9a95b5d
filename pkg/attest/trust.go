package attest

import "time"

// Trust is what the user said about whom to believe. It comes from flags, files
// or the environment, never from the cluster. The zero value believes nobody.
type Trust struct {
	// CAS says which enclave the CAS must be.
	CAS Policy `json:"cas"`
	// Freshness bounds the age of the collateral.
	Freshness Freshness `json:"freshness"`
	// RequireProvenance is how well platform IDs must be known; empty asks for nothing.
	RequireProvenance Provenance `json:"requireProvenance,omitempty"`
	// Deviations are what the user can live with beside that, by name; none is accepted
	// that is not named.
	Deviations []Deviation `json:"deviations,omitempty"`
	// MaxOutside is for how long at most a client may be let in outside of enclaves: 0 for
	// not at all. Nil leaves it to what the program allows.
	MaxOutside *time.Duration `json:"maxOutside,omitempty"`
	// RootCA is a PEM certificate that replaces Intel's root. Only a lab has one;
	// whatever is appraised under it is simulated. Empty means Intel's.
	RootCA []byte `json:"rootCA,omitempty"`
	// Collateral holds Intel's signed data by file name, as sgx.CollateralFromFiles takes it.
	Collateral map[string][]byte `json:"collateral"`
}

// Deviation names something that a release may do less well than it should.
type Deviation string

// UnprotectedVolume accepts a database whose files others can write.
const UnprotectedVolume Deviation = "unprotected-volume"

// Pin is the evidence of a CAS, so that it can be appraised again at every use.
type Pin struct {
	Kind string `json:"kind"`
	// Address is how the CAS is reached: name.namespace.svc or host:port.
	Address string `json:"address"`
	// Backend is how the evidence was got; empty means BackendReport.
	Backend Backend `json:"backend,omitempty"`
	// Nonce was sent with the request for Report, where there was one.
	Nonce [16]byte `json:"nonce"`
	// Report is the evidence exactly as received, in the form that Backend has.
	Report []byte `json:"report"`
	// FetchedAt is when the report was received.
	FetchedAt time.Time `json:"fetchedAt"`
	Trust     Trust     `json:"trust"`
}
