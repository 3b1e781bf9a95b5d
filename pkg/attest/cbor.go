package attest

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Major types of CBOR (RFC 8949, section 3.1). Type 7, simple values and floating
// point, has no place in evidence.
const (
	cborUnsigned = iota
	cborNegative
	cborBytes
	cborText
	cborArray
	cborMap
	cborTag
)

// Bounds on what one document may make us hold.
const (
	maxCBORDepth = 8
	maxCBORItems = 1024
)

// cborItem is one data item and everything in it.
type cborItem struct {
	kind  byte       // major type
	n     uint64     // the argument: an integer, the number of a tag, or a length
	text  []byte     // of a byte or text string
	items []cborItem // of an array; of a map key, value, key, …; of a tag what it tags
}

// cborReader takes items from the front.
type cborReader struct {
	raw   []byte
	items int
}

// parseCBOR reads exactly one item. Lengths must be definite; they, integers and
// tags need not be in their shortest form. A map with two equal keys is an error,
// since two readers could see two different maps.
func parseCBOR(raw []byte) (cborItem, error) {
	r := cborReader{raw: raw}
	item, err := r.item(1)
	if err != nil {
		return cborItem{}, fmt.Errorf("CBOR at byte %d: %w", len(raw)-len(r.raw), err)
	}
	if len(r.raw) != 0 {
		return cborItem{}, fmt.Errorf("CBOR: got %d bytes after the item, want none", len(r.raw))
	}
	return item, nil
}

func (r *cborReader) item(depth int) (cborItem, error) {
	if depth > maxCBORDepth || r.items == maxCBORItems {
		return cborItem{}, fmt.Errorf("got depth %d and %d items so far, want at most depth %d and %d items", depth, r.items, maxCBORDepth, maxCBORItems)
	}
	r.items++
	item, err := r.head()
	if err != nil {
		return cborItem{}, err
	}
	switch item.kind {
	case cborUnsigned, cborNegative:
	case cborBytes, cborText:
		err = r.string(&item)
	case cborArray:
		item.items, err = r.list(item.n, depth)
	case cborMap:
		err = r.pairs(&item, depth)
	case cborTag:
		item.items, err = r.list(1, depth)
	default:
		err = errors.New("got a simple value or a floating-point number, want integers, strings, arrays, maps and tags only")
	}
	return item, err
}

// head reads the major type and the argument.
func (r *cborReader) head() (cborItem, error) {
	first, err := r.take(1)
	if err != nil {
		return cborItem{}, err
	}
	item, info := cborItem{kind: first[0] >> 5}, first[0]&0x1f
	switch {
	case info < 24:
		item.n = uint64(info)
		return item, nil
	case info > 27:
		return cborItem{}, fmt.Errorf("got additional information %d, want a definite length", info)
	}
	argument, err := r.take(1 << (info - 24))
	for _, b := range argument {
		item.n = item.n<<8 | uint64(b)
	}
	return item, err
}

func (r *cborReader) take(n uint64) ([]byte, error) {
	if n > uint64(len(r.raw)) {
		return nil, fmt.Errorf("got %d bytes more, want %d", len(r.raw), n)
	}
	taken := r.raw[:n:n]
	r.raw = r.raw[n:]
	return taken, nil
}

func (r *cborReader) string(item *cborItem) (err error) {
	item.text, err = r.take(item.n)
	if err == nil && item.kind == cborText && !utf8.Valid(item.text) {
		return errors.New("got a text string that is not UTF-8")
	}
	return err
}

// list reads n items. It holds memory for what is there, not for what n announces.
func (r *cborReader) list(n uint64, depth int) ([]cborItem, error) {
	var items []cborItem
	for range n {
		item, err := r.item(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

func (r *cborReader) pairs(item *cborItem, depth int) (err error) {
	if item.n > maxCBORItems { // so that doubling it cannot overflow
		return fmt.Errorf("got a map of %d pairs, want at most %d", item.n, maxCBORItems)
	}
	if item.items, err = r.list(2*item.n, depth); err != nil {
		return err
	}
	return item.distinctKeys()
}

func (i cborItem) distinctKeys() error {
	type key struct {
		kind byte
		n    uint64
		text string
	}
	seen := map[key]bool{}
	for n := 0; n < len(i.items); n += 2 {
		k := key{i.items[n].kind, i.items[n].n, string(i.items[n].text)}
		switch {
		case k.kind > cborText:
			return errors.New("got a map whose key is an array, a map or a tag, want integers or strings")
		case seen[k]:
			return errors.New("got a map with the same key twice")
		}
		seen[k] = true
	}
	return nil
}

// value returns what a map has under a text key, and whether it has it.
func (i cborItem) value(name string) (cborItem, bool) {
	if i.kind != cborMap {
		return cborItem{}, false
	}
	for n := 0; n < len(i.items); n += 2 {
		if k := i.items[n]; k.kind == cborText && string(k.text) == name {
			return i.items[n+1], true
		}
	}
	return cborItem{}, false
}
