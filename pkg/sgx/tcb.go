package sgx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"time"
)

// TCBStatus is Intel's word for the state of a platform or quoting enclave.
type TCBStatus string

// The statuses of PCS API v4.
const (
	UpToDate                          TCBStatus = "UpToDate"
	SWHardeningNeeded                 TCBStatus = "SWHardeningNeeded"
	ConfigurationNeeded               TCBStatus = "ConfigurationNeeded"
	ConfigurationAndSWHardeningNeeded TCBStatus = "ConfigurationAndSWHardeningNeeded"
	OutOfDate                         TCBStatus = "OutOfDate"
	OutOfDateConfigurationNeeded      TCBStatus = "OutOfDateConfigurationNeeded"
	Revoked                           TCBStatus = "Revoked"
)

// Statuses lists every TCBStatus.
func Statuses() []TCBStatus {
	return []TCBStatus{UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDate, OutOfDateConfigurationNeeded, Revoked}
}

// UnmarshalText refuses words that Intel does not use.
func (s *TCBStatus) UnmarshalText(text []byte) error {
	if !slices.Contains(Statuses(), TCBStatus(text)) {
		return fmt.Errorf("TCB status: got %q, want one of %v", clip(string(text)), Statuses())
	}
	*s = TCBStatus(text)
	return nil
}

// mergeStatus combines the platform's and the quoting enclave's status as Intel's
// quote verification library does.
func mergeStatus(platform, qe TCBStatus) TCBStatus {
	switch {
	case platform == Revoked || qe == Revoked:
		return Revoked
	case qe == UpToDate:
		return platform
	}
	// Intel's library takes every other status of a quoting enclave as out of date.
	switch platform {
	case UpToDate, SWHardeningNeeded:
		return OutOfDate
	case ConfigurationNeeded, ConfigurationAndSWHardeningNeeded:
		return OutOfDateConfigurationNeeded
	}
	return platform
}

// hexBytes is a fixed-length hexadecimal field of Intel's documents.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil {
		return fmt.Errorf("got %q, want hexadecimal digits", clip(string(text)))
	}
	*h = raw
	return nil
}

// signed are the fields of every signed document.
type signed struct {
	ID                      string    `json:"id"`
	Version                 int       `json:"version"`
	IssueDate               time.Time `json:"issueDate"`
	NextUpdate              time.Time `json:"nextUpdate"`
	TCBEvaluationDataNumber int       `json:"tcbEvaluationDataNumber"`
}

type tcbInfo struct {
	signed
	FMSPC  hexBytes        `json:"fmspc"`
	PCEID  hexBytes        `json:"pceId"`
	Type   int             `json:"tcbType"`
	Levels []platformLevel `json:"tcbLevels"`
}

type platformLevel struct {
	TCB platformSVNs `json:"tcb"`
	level
}

// platformSVNs are the least security versions of one level.
type platformSVNs struct {
	components []uint8
	pcesvn     uint16
}

// UnmarshalJSON reads both forms: a list of components (version 3), or a member
// for each (version 2).
func (s *platformSVNs) UnmarshalJSON(text []byte) error {
	var members struct {
		Components []struct {
			SVN uint8 `json:"svn"`
		} `json:"sgxtcbcomponents"`
		PCESVN *uint16 `json:"pcesvn"`
	}
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	if members.PCESVN == nil {
		return errors.New("a TCB level has no pcesvn")
	}
	s.pcesvn = *members.PCESVN
	for _, c := range members.Components {
		s.components = append(s.components, c.SVN)
	}
	if members.Components != nil {
		return nil
	}
	var flat map[string]json.Number
	if err := json.Unmarshal(text, &flat); err != nil {
		return err
	}
	for i := 1; i <= 16; i++ {
		svn, err := strconv.ParseUint(flat[fmt.Sprintf("sgxtcbcomp%02dsvn", i)].String(), 10, 8)
		if err != nil {
			return fmt.Errorf("TCB component %d: %w", i, err)
		}
		s.components = append(s.components, uint8(svn))
	}
	return nil
}

type level struct {
	Date       time.Time `json:"tcbDate"`
	Status     TCBStatus `json:"tcbStatus"`
	Advisories []string  `json:"advisoryIDs"`
}

// isFor reports whether the document is about the family of the platform.
func (t *tcbInfo) isFor(p *PCK) bool {
	return bytes.Equal(t.FMSPC, p.FMSPC[:]) && bytes.Equal(t.PCEID, p.PCEID[:])
}

// match returns the first level that the platform reaches.
func (t *tcbInfo) match(p *PCK) (level, bool) {
	for _, l := range t.Levels {
		if len(l.TCB.components) == len(p.TCBSVNs) && l.reached(p) {
			return l.level, true
		}
	}
	return level{}, false
}

func (l *platformLevel) reached(p *PCK) bool {
	for i, svn := range l.TCB.components {
		if p.TCBSVNs[i] < svn {
			return false
		}
	}
	return p.PCESVN >= l.TCB.pcesvn
}

type qeIdentity struct {
	signed
	MiscSelect     hexBytes  `json:"miscselect"`
	MiscSelectMask hexBytes  `json:"miscselectMask"`
	Attributes     hexBytes  `json:"attributes"`
	AttributesMask hexBytes  `json:"attributesMask"`
	MRSIGNER       hexBytes  `json:"mrsigner"`
	ISVProdID      uint16    `json:"isvprodid"`
	Levels         []qeLevel `json:"tcbLevels"`
}

type qeLevel struct {
	TCB struct {
		ISVSVN uint16 `json:"isvsvn"`
	} `json:"tcb"`
	level
}

// describes reports whether the quoting enclave is the one of the document.
func (q *qeIdentity) describes(r *ReportBody) error {
	misc := []byte{byte(r.MiscSelect), byte(r.MiscSelect >> 8), byte(r.MiscSelect >> 16), byte(r.MiscSelect >> 24)}
	switch {
	case !maskedEqual(misc, q.MiscSelect, q.MiscSelectMask):
		return refuse(QEIdentityMismatch, "quoting enclave: got miscselect %08x, want %x", r.MiscSelect, []byte(q.MiscSelect))
	case !maskedEqual(r.Attributes[:], q.Attributes, q.AttributesMask):
		return refuse(QEIdentityMismatch, "quoting enclave: got attributes %x, want %x under mask %x", r.Attributes, []byte(q.Attributes), []byte(q.AttributesMask))
	case !bytes.Equal(r.MRSIGNER[:], q.MRSIGNER):
		return refuse(QEIdentityMismatch, "quoting enclave: got MRSIGNER %s, want %x", r.MRSIGNER, []byte(q.MRSIGNER))
	case r.ISVProdID != q.ISVProdID:
		return refuse(QEIdentityMismatch, "quoting enclave: got ISVPRODID %d, want %d", r.ISVProdID, q.ISVProdID)
	}
	return nil
}

func maskedEqual(got, want, mask []byte) bool {
	if len(got) != len(want) || len(got) != len(mask) {
		return false
	}
	for i := range got {
		if got[i]&mask[i] != want[i] {
			return false
		}
	}
	return true
}

func (q *qeIdentity) match(svn uint16) (level, bool) {
	for _, l := range q.Levels {
		if svn >= l.TCB.ISVSVN {
			return l.level, true
		}
	}
	return level{}, false
}

// maxDocument bounds one signed document, in bytes.
const maxDocument = 1 << 20

// openSigned verifies the signature over the exact bytes of the member body of a
// wrapper object, and reads them. Intel signs JSON without blanks, and its library writes
// it so again before it verifies; what a tool has put onto several lines is therefore
// genuine if it is without the blanks between its tokens, which mean nothing.
func openSigned(wrapper []byte, member string, key *ecdsa.PublicKey, into any) error {
	body, signature, err := splitSigned(wrapper, member)
	if err != nil {
		return err
	}
	if !verifyRaw(key, body, signature) && !verifyRaw(key, compact(body), signature) {
		return errors.New("the signature does not match")
	}
	return json.Unmarshal(body, into)
}

// compact leaves out blanks that are in no string. What is no JSON is returned empty.
func compact(body []byte) []byte {
	var without bytes.Buffer
	if json.Compact(&without, body) != nil {
		return nil
	}
	return without.Bytes()
}

// splitSigned returns the exact bytes of the member body, and the signature.
func splitSigned(wrapper []byte, member string) (body, signature []byte, err error) {
	if len(wrapper) > maxDocument {
		return nil, nil, fmt.Errorf("got %d bytes, want at most %d", len(wrapper), maxDocument)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(wrapper, &fields); err != nil {
		return nil, nil, err
	}
	if body = fields[member]; len(fields) != 2 || len(body) == 0 {
		return nil, nil, fmt.Errorf("got %d members, want %s and signature", len(fields), member)
	}
	var text hexBytes
	if err := json.Unmarshal(fields["signature"], &text); err != nil {
		return nil, nil, fmt.Errorf("reading the signature: %w", err)
	}
	return body, text, nil
}

// verifyRaw checks a P-256 signature over SHA-256(message) given as r ‖ s.
func verifyRaw(key *ecdsa.PublicKey, message, signature []byte) bool {
	if len(signature) != 64 {
		return false
	}
	digest := sha256.Sum256(message)
	return ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}
