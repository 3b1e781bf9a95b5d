package forms

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
)

// encoding is one form that a whole text may have.
type encoding struct {
	name   string
	decode func(text []byte) (inner []byte, ok bool)
}

// encodings are in the order in which they are tried: the narrower one first, as
// hexadecimal digits are Base64 as well.
func encodings() []encoding {
	return []encoding{
		{"PEM", fromPEM}, {"a data URL", fromDataURL}, {"percent-encoding", fromPercent}, {`text with \n for its line breaks`, fromEscapes},
		{"hexadecimal text", fromHex}, {"a listing of bytes", fromDump}, {"a listing of bytes", fromNumbers}, {"Base64", fromBase64},
	}
}

// fromPEM takes the only block out of its armour.
func fromPEM(text []byte) ([]byte, bool) {
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 {
		return nil, false
	}
	return block.Bytes, true
}

// fromDataURL reads RFC 2397 with Base64.
func fromDataURL(text []byte) ([]byte, bool) {
	head, data, ok := bytes.Cut(text, []byte(";base64,"))
	if !ok || !bytes.HasPrefix(head, []byte("data:")) {
		return nil, false
	}
	return fromBase64(data)
}

// fromPercent reads RFC 3986 §2.1. A plus is a digit of Base64, and stays.
func fromPercent(text []byte) ([]byte, bool) {
	if !bytes.ContainsRune(text, '%') {
		return nil, false
	}
	inner, err := url.PathUnescape(string(text))
	return []byte(inner), err == nil
}

// fromEscapes reads a text of several lines that stands in one, as in a file with
// environment variables.
func fromEscapes(text []byte) ([]byte, bool) {
	if !bytes.Contains(text, []byte(`\n`)) || bytes.ContainsRune(text, '\n') {
		return nil, false
	}
	return []byte(strings.NewReplacer(`\r`, "", `\n`, "\n").Replace(string(text))), true
}

// fromHex reads digits in pairs, which may have blanks or colons between them, and 0x
// or \x before them all or before each.
func fromHex(text []byte) ([]byte, bool) {
	digits := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case isBlank(c) || c == ':':
		case (c == '0' || c == '\\') && i+1 < len(text) && text[i+1]|0x20 == 'x':
			i++
		default:
			digits = append(digits, c)
		}
	}
	n, err := hex.Decode(digits, digits)
	return digits[:n], err == nil && n > 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// fromDump reads the output of xxd, hexdump -C and od -A x -t x1. The lines must follow
// each other without a gap; where the program left out equal lines and wrote a star, they
// are known.
func fromDump(text []byte) ([]byte, bool) {
	var inner, last []byte
	star := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimRight(line, "\r\n ")
		if line == "*" {
			star = true
			continue
		}
		place, digits, ok := dumped(line)
		if star && ok {
			inner, ok = repeated(inner, last, place)
		}
		if !ok || place != len(inner) {
			return nil, false
		}
		inner, last, star = append(inner, digits...), digits, false
	}
	return inner, len(inner) > 0 && !star
}

// repeated adds equal lines up to a place.
func repeated(inner, line []byte, place int) ([]byte, bool) {
	missing := place - len(inner)
	if len(line) == 0 || missing < 0 || missing > maxListed || missing%len(line) != 0 {
		return nil, false
	}
	return append(inner, bytes.Repeat(line, missing/len(line))...), true
}

// dumped returns the place and the bytes of one line.
func dumped(line string) (place int, digits []byte, ok bool) {
	at, rest, _ := strings.Cut(line, " ")
	name, colon := strings.CutSuffix(at, ":")
	number, err := strconv.ParseUint(name, 16, 24)
	if err != nil || len(name) < 6 {
		return 0, nil, false
	}
	rest = strings.TrimLeft(rest, " ")
	if colon { // xxd: two blanks, then ASCII
		rest, _, _ = strings.Cut(rest, "  ")
	} else {
		rest, _, _ = strings.Cut(rest, "|")
	}
	digits, err = hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
	return int(number), digits, err == nil
}

// maxListed bounds what equal lines stand for, in bytes.
const maxListed = 64 << 10

// fromNumbers reads an array of C, Go, Rust or Python: numbers from 0 to 255, or
// hexadecimal with 0x, with commas between them, in any brackets.
func fromNumbers(text []byte) ([]byte, bool) {
	list := string(text)
	if i := strings.LastIndexAny(list, "{[("); i >= 0 {
		list = list[i+1:]
	}
	list = strings.TrimRight(list, "}]); \r\n\t,")
	var inner []byte
	for number := range strings.SplitSeq(list, ",") {
		value, err := strconv.ParseUint(strings.TrimSpace(number), 0, 8)
		if err != nil {
			return nil, false
		}
		inner = append(inner, byte(value))
	}
	return inner, len(inner) > 1
}

// fromBase64 reads RFC 4648 §4 and §5, with line breaks and with or without padding.
func fromBase64(text []byte) ([]byte, bool) {
	digits := make([]byte, 0, len(text))
	for _, c := range text {
		switch {
		case isBlank(c):
		case c == '-':
			digits = append(digits, '+')
		case c == '_':
			digits = append(digits, '/')
		default:
			digits = append(digits, c)
		}
	}
	digits = bytes.TrimRight(digits, "=")
	inner := make([]byte, base64.RawStdEncoding.DecodedLen(len(digits)))
	n, err := base64.RawStdEncoding.Decode(inner, digits)
	return inner[:n], err == nil && n > 0
}

// fromUTF16 reads what a shell of Windows writes into files. Without its mark it is not
// told from bytes.
func fromUTF16(text []byte) ([]byte, bool) {
	var order binary.ByteOrder
	switch {
	case len(text)%2 != 0:
		return nil, false
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return nil, false
	}
	units := make([]uint16, 0, len(text)/2)
	for i := 2; i < len(text); i += 2 {
		units = append(units, order.Uint16(text[i:]))
	}
	inner := []byte(string(utf16.Decode(units)))
	return inner, printable(inner)
}
