// Package attest holds the words of remote attestation (RFC 9334) as they are
// used here, and appraises evidence against a policy: which platform, which
// enclave, which state of the TCB. It does no I/O, and the zero Policy accepts
// nothing.
package attest

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// Generation is the kind of a PlatformID. The zero value is none.
type Generation string

const (
	// SCONEQE is the public key of the SCONE quoting enclave, up to SCONE 6.
	SCONEQE Generation = "scone-qe"
	// IntelQEID is the ID of Intel's quoting enclave, from SCONE 7.
	IntelQEID Generation = "intel-qe-id"
)

// PlatformID is a machine's identity in services[].platforms of a session. The
// zero value identifies none. Two are of the same machine if they are ==: whatever
// case of digits was read, there is one form of each.
type PlatformID struct {
	generation Generation
	text       string // in the case in which LAS prints it
}

const intelPrefix = "INTEL_QE_ID:"

// ParsePlatformID reads 64 hexadecimal digits, or INTEL_QE_ID: and 32 of them, in
// upper or lower case. LAS logs the first in upper case and the second in lower case,
// and so does String.
func ParsePlatformID(text string) (PlatformID, error) {
	digits, isIntel := strings.CutPrefix(text, intelPrefix)
	generation, want := SCONEQE, 64
	if isIntel {
		generation, want = IntelQEID, 32
	}
	if len(digits) != want || !regexp.MustCompile(`^[0-9A-Fa-f]+$`).MatchString(digits) {
		return PlatformID{}, fmt.Errorf("platform ID: got %.80q, want 64 hexadecimal digits (SCONE up to 6) or %s and 32 of them (from SCONE 7)", text, intelPrefix)
	}
	if isIntel {
		return PlatformID{generation, intelPrefix + strings.ToLower(digits)}, nil
	}
	return PlatformID{generation, strings.ToUpper(digits)}, nil
}

// PlatformIDFromQEID makes the platform ID of SCONE 7 from the QE ID of a quote.
func PlatformIDFromQEID(id [16]byte) PlatformID {
	return PlatformID{IntelQEID, intelPrefix + hex.EncodeToString(id[:])}
}

// String returns the form that a session has; the zero value is empty.
func (p PlatformID) String() string { return p.text }

// shown is how many digits ShortID keeps at each end.
const shown = 8

// ShortID is the beginning and end of the digits of an ID that is written out, for tables
// and lines. Which generation it is of can no longer be seen, and need not: a cluster has
// only one.
func ShortID(id string) string {
	digits := strings.TrimPrefix(id, intelPrefix)
	if len(digits) <= 2*shown+1 {
		return digits
	}
	return digits[:shown] + "…" + digits[len(digits)-shown:]
}

// Generation tells which kind of ID this is.
func (p PlatformID) Generation() Generation { return p.generation }

// Equal reports whether both identify the same machine, as == does. Libraries that
// compare values look for it.
func (p PlatformID) Equal(q PlatformID) bool { return p == q }

// Compare orders IDs: first those of SCONE's quoting enclave, then those of Intel's.
func (p PlatformID) Compare(q PlatformID) int { return strings.Compare(p.text, q.text) }

// MarshalText returns what String does.
func (p PlatformID) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// UnmarshalText reads what ParsePlatformID reads.
func (p *PlatformID) UnmarshalText(text []byte) error {
	parsed, err := ParsePlatformID(string(text))
	if err != nil {
		return err
	}
	*p = parsed
	return nil
}

// Provenance is how a PlatformID is known. The zero value is not known at all.
type Provenance string

const (
	// Quoted means that the ID is in a verified quote of the machine.
	Quoted Provenance = "quoted"
	// Declared means that the user says so.
	Declared Provenance = "declared"
	// Claimed means that the cluster says so, which nobody proved.
	Claimed Provenance = "claimed"
)
