// Package sgx reads and verifies SGX quotes (ECDSA, version 3) and the collateral
// that Intel signs about platforms. It does no I/O, keeps no state, and decides
// nothing about which enclave or status is acceptable: that is pkg/attest.
//
// Formats: Intel SGX ECDSA Quote Library Reference (quote, QE report), Intel SGX
// PCK Certificate and CRL Profile (certificates), Intel PCS API v4 (TCB info, QE
// identity).
package sgx

import (
	"encoding/hex"
	"fmt"
)

// Measurement is an MRENCLAVE (what runs) or an MRSIGNER (who signed it).
type Measurement [32]byte

// ParseMeasurement reads 64 hexadecimal digits of either case.
func ParseMeasurement(text string) (Measurement, error) {
	var m Measurement
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(m) {
		return m, fmt.Errorf("measurement: got %q (%d characters), want %d hexadecimal digits", clip(text), len(text), 2*len(m))
	}
	copy(m[:], raw)
	return m, nil
}

// clip keeps an error message short.
func clip(text string) string {
	if len(text) > 80 {
		return text[:80] + "…"
	}
	return text
}

// String returns 64 lower-case hexadecimal digits.
func (m Measurement) String() string { return hex.EncodeToString(m[:]) }

// MarshalText returns 64 lower-case hexadecimal digits.
func (m Measurement) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what ParseMeasurement reads.
func (m *Measurement) UnmarshalText(text []byte) error {
	parsed, err := ParseMeasurement(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}
