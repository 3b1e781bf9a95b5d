package volume

import (
	"bytes"
	"errors"
)

// Policy says what must be known of a volume's age. The values are those of
// update_policy in SCONE's session language; the zero value protects from rollback.
type Policy string

// The policies.
const (
	RollbackProtected Policy = "rollback_protected"
	NoRollback        Policy = "no_rollback_protection"
	// Ephemeral begins with an empty volume each time.
	Ephemeral Policy = "ephemeral"
)

// Known is what somebody trustworthy remembers of a volume. The zero value is
// that of a volume which was never used.
type Known struct {
	Policy Policy
	// Epoch counts how often the volume was opened.
	Epoch uint64
	// Tag is that of the volume when it was last closed.
	Tag []byte
	// Open is set while it is in use, and stays if that ends without a Close.
	Open bool
}

// never reports whether the volume may never have been used.
func (k *Known) never() bool { return k.any() || k.Epoch == 0 }

// any reports whether every authentic state of the volume will do.
func (k *Known) any() bool { return k.Policy == NoRollback }

// head is what the log of a volume says of itself.
type head struct {
	epoch           uint64
	parent, tag     [TagSize]byte
	touched, closed bool
}

// ErrRolledBack means that the volume is authentic, but not the newest one.
var ErrRolledBack = errors.New("the tag of the volume is not the one that CAS has: it was put back to an earlier state")

// accepts compares the log of a volume with what is known. A volume that was
// opened, but not yet changed, is as good as the one that it was made from: its user
// was killed before anybody else knew.
func (k *Known) accepts(h head) error {
	reopened := h.epoch == k.Epoch+1 && !h.touched
	switch {
	case k.any():
		return nil
	case k.Open && (h.epoch == k.Epoch || reopened):
		return nil
	case !k.Open && h.epoch == k.Epoch && h.closed && bytes.Equal(h.tag[:], k.Tag):
		return nil
	case !k.Open && reopened && bytes.Equal(h.parent[:], k.tagOrNone()):
		return nil
	}
	return ErrRolledBack
}

// tagOrNone is zero for a volume that was never closed, as in a log that replaces none.
func (k *Known) tagOrNone() []byte {
	if k.Epoch == 0 {
		return make([]byte, TagSize)
	}
	return k.Tag
}

// begin is the first record of the log with which the volume is in use again.
func (k *Known) begin(h head) record {
	if !k.any() && h.epoch == k.Epoch+1 {
		return record{op: opBegin, epoch: h.epoch, parent: h.parent}
	}
	return record{op: opBegin, epoch: h.epoch + 1, parent: h.tag}
}
