package masking

import (
	"errors"
	"fmt"

	"github.com/confidb/confidb/pkg/lab/maxscale/wire"
)

// maskable reports whether values of a type are masked: CHAR, VARCHAR, BINARY, VARBINARY,
// the BLOBs and TEXTs, ENUM and SET. All others stay as they are.
func maskable(t wire.Type) bool {
	switch t {
	case 0x0f, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe:
		return true
	}
	return false
}

// errLarge closes the session.
var errLarge = errors.New("masking: a row of 16 MiB or more in a result that has to be masked (large_payload=abort)")

// Answer masks the rows of one answer, which may have several sets of them.
type Answer struct {
	s      *Session
	binary bool
	types  []wire.Type
	rules  []*rule // by column; nil: not masked
	masked bool
	parts  bool // the row goes on from the packet before
}

// Columns begins a set of rows.
func (a *Answer) Columns(n int) {
	a.types, a.rules, a.masked, a.parts = make([]wire.Type, 0, min(n, 1<<12)), nil, false, false
}

// Column takes the definition of the next column.
func (a *Answer) Column(c wire.Column) {
	var found *rule
	for i := range a.s.rules {
		exact, folded := a.s.rules[i].covers(c)
		if exact {
			found = &a.s.rules[i]
			break
		}
		if folded {
			a.s.unmeasured("?15: a column whose name is a rule's in other letters")
		}
	}
	if found != nil && !maskable(c.Type) {
		if a.s.f.WarnTypeMismatch {
			a.s.f.Log("warning", fmt.Sprintf("The rule for column '%s' matches a column of type %d, which cannot be masked.", found.column, c.Type))
		}
		found = nil
	}
	if found != nil && found.obfuscate {
		a.s.unmeasured("?14: obfuscate")
	}
	a.types, a.rules, a.masked = append(a.types, c.Type), append(a.rules, found), a.masked || found != nil
}

// Row masks a row in place; its length stays. A row of several packets comes in parts,
// whole is false for each of them.
func (a *Answer) Row(row []byte, whole bool) error {
	if !a.masked {
		return nil
	}
	if !whole {
		if a.s.f.AbortLarge {
			return errLarge
		}
		return nil
	}
	var values []wire.Value
	var err error
	if a.binary {
		values, err = wire.BinaryRow(row, a.types)
	} else {
		values, err = wire.TextRow(row, len(a.types))
	}
	if err != nil {
		return fmt.Errorf("masking: %w", err)
	}
	for i, v := range values {
		if r := a.rules[i]; r != nil && !v.Null {
			a.mask(r, row[v.Start:v.End])
		}
	}
	return nil
}

// mask replaces a value, or what matches in it.
func (a *Answer) mask(r *rule, value []byte) {
	if r.match == nil {
		r.write(value)
		return
	}
	found := r.match.FindAllIndex(value, 2)
	if len(found) == 0 {
		a.s.f.Log("error", "PCRE2 Error message: 'no match'.")
		return
	}
	if len(found) > 1 {
		a.s.unmeasured("?15: 'match' hits more than once; only the first is masked")
	}
	r.write(value[found[0][0]:found[0][1]])
}

// write puts the replacement in the place of a text: the value if it is as long, else what
// fills it.
func (r *rule) write(text []byte) {
	switch {
	case r.obfuscate:
		for i := range text {
			text[i] = 'A' + (text[i]*7+byte(i)*13)%26
		}
	case len(r.value) == len(text):
		copy(text, r.value)
	default:
		for i := range text {
			text[i] = r.fill[i%len(r.fill)]
		}
	}
}
