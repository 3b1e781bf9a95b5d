package forms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/confidb/confidb/pkg/forms"
)

// wanted is what tests look for: no text, with long runs of equal bytes, as quotes have.
func wanted() []byte {
	return append(append([]byte{3, 0, 2, 0, 0xff, '|', '*', '-'}, make([]byte, 90)...), 0xfb, 0xef, 0xbe, 0x7f, 1, 2, 3)
}

func is(raw []byte) bool { return bytes.Equal(raw, wanted()) }

func xxd(raw []byte, columns int) string {
	var out strings.Builder
	for at := 0; at < len(raw); at += columns {
		line := raw[at:min(at+columns, len(raw))]
		var digits strings.Builder
		for i, c := range line {
			fmt.Fprintf(&digits, "%02x", c)
			if i%2 == 1 {
				digits.WriteByte(' ')
			}
		}
		fmt.Fprintf(&out, "%08x: %-*s %s\n", at, (columns+1)/2*5, digits.String(), ascii(line))
	}
	return out.String()
}

func ascii(line []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, string(line))
}

func numbers(raw []byte, format string) string {
	var all []string
	for _, c := range raw {
		all = append(all, fmt.Sprintf(format, c))
	}
	return strings.Join(all, ", ")
}

func windows(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

func wrapped(text string, columns int) string {
	var out strings.Builder
	for at := 0; at < len(text); at += columns {
		out.WriteString(text[at:min(at+columns, len(text))] + "\r\n")
	}
	return out.String()
}

func inJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestFind(t *testing.T) {
	raw := wanted()
	std, digits := base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw)
	armour := string(pem.EncodeToMemory(&pem.Block{Type: "SGX QUOTE", Bytes: raw}))
	var list []int
	for _, c := range raw {
		list = append(list, int(c))
	}
	for name, c := range map[string]struct{ text, as string }{
		"as it stands":            {string(raw), ""},
		"Base64":                  {std, "Base64"},
		"Base64 on lines":         {wrapped(std, 76), "Base64"},
		"Base64 without padding":  {strings.TrimRight(std, "="), "Base64"},
		"base64url":               {base64.RawURLEncoding.EncodeToString(raw) + "\n", "Base64"},
		"a NUL at the end":        {std + "\x00", "a NUL at its end, Base64"},
		"digits":                  {digits + "\n", "hexadecimal text"},
		"digits in upper case":    {"0X" + strings.ToUpper(digits), "hexadecimal text"},
		"digits with colons":      {strings.ReplaceAll(numbers(raw, "%02x"), ", ", ":"), "hexadecimal text"},
		"digits as in C strings":  {strings.ReplaceAll(numbers(raw, `\x%02x`), ", ", ""), "hexadecimal text"},
		"digits on lines":         {wrapped(digits, 64), "hexadecimal text"},
		"digits of Windows":       {windows(digits + "\r\n"), "UTF-16, hexadecimal text"},
		"a byte order mark":       {"\ufeff" + std, "Base64"},
		"PEM":                     {armour, "PEM"},
		"PEM in one line":         {strings.ReplaceAll(armour, "\n", `\n`), `text with \n for its line breaks, PEM`},
		"PEM in a header":         {url.PathEscape(armour), "percent-encoding, PEM"},
		"a data URL":              {"data:application/octet-stream;base64," + std, "a data URL"},
		"xxd":                     {xxd(raw, 16), "a listing of bytes"},
		"xxd with other columns":  {xxd(raw, 20), "a listing of bytes"},
		"hexdump -C":              {hex.Dump(raw), "a listing of bytes"},
		"hexdump -C with a star":  {starred(hex.Dump(raw)), "a listing of bytes"},
		"an array of C":           {"static const uint8_t quote[] = {\n  " + numbers(raw, "0x%02x") + ",\n};\n", "a listing of bytes"},
		"an array of Rust":        {"[" + numbers(raw, "%d") + "]", "an array of numbers"},
		"a member":                {inJSON(map[string]any{"quote": std, "n": 1}), "the member quote of JSON, Base64"},
		"a member of a member":    {inJSON(map[string]any{"sgx": map[string]any{"evidence": []any{nil, map[string]any{"raw": "0x" + digits}}}}), "the member sgx.evidence[1].raw of JSON, hexadecimal text"},
		"a member as numbers":     {inJSON(map[string]any{"quote": list}), "the member quote of JSON, an array of numbers"},
		"a Buffer of JavaScript":  {inJSON(map[string]any{"type": "Buffer", "data": list}), "the member data of JSON, an array of numbers"},
		"JSON in JSON":            {inJSON(map[string]any{"body": inJSON(map[string]any{"q": std})}), "the member body of JSON, the member q of JSON, Base64"},
		"a string of JSON":        {inJSON(digits), "a text in JSON, hexadecimal text"},
		"the same member twice":   {`{"quote":"` + std + `","also":"` + digits + `"}`, "the member quote of JSON, Base64"},
		"Base64 of JSON":          {base64.StdEncoding.EncodeToString([]byte(inJSON(map[string]any{"q": digits}))), "Base64, the member q of JSON, hexadecimal text"},
		"several documents":       {`{"log":1}` + "\n" + inJSON(map[string]any{"q": std}) + "\n", "the member q of JSON, Base64"},
		"a bracket is no array":   {" [" + inJSON(std) + "] ", "the member [0] of JSON, Base64"},
		"a number before a quote": {`[1, "` + std + `"]`, "the member [1] of JSON, Base64"},
	} {
		t.Run(name, func(t *testing.T) {
			one, all, ok := forms.One([]byte(c.text), is)
			if !ok || one.As != c.as {
				t.Errorf("got %q of %d, want %q", one.As, len(all), c.as)
			}
		})
	}
}

// starred leaves out equal lines, as hexdump does.
func starred(dump string) string {
	var out []string
	var last string
	for _, line := range strings.Split(strings.TrimRight(dump, "\n"), "\n") {
		digits := line[9:]
		switch {
		case digits != last:
			out = append(out, line)
		case out[len(out)-1] != "*":
			out = append(out, "*")
		}
		last = digits
	}
	return strings.Join(out, "\n") + "\n"
}

func TestNothingIsFound(t *testing.T) {
	std, digits := base64.StdEncoding.EncodeToString(wanted()), hex.EncodeToString(wanted())
	for name, text := range map[string]string{
		"nothing":                "",
		"blanks":                 " \n\t",
		"a NUL":                  "\x00\x00",
		"half of it":             digits[:60],
		"an odd digit":           digits + "0",
		"a digit of no alphabet": std + "!",
		"a document cut off":     `{"quote":"` + std + `"`,
		"something after it":     `{"quote":"` + std + `"} and more`,
		"a listing with a gap":   strings.Replace(hex.Dump(wanted()), "00000010", "00000020", 1),
		"a star at the end":      strings.SplitAfter(hex.Dump(wanted()), "\n")[0] + "*\n",
		"a star of nothing":      "*\n00000010  00\n",
		"a star too far":         "00000000  00\n*\n00ffffff  00\n",
		"a number of 256":        "[256, 1]",
		"too deep":               deep(std, 20),
		"too many forms":         strings.Repeat(`"`, 1) + nested(std, 8),
	} {
		if all := forms.Find([]byte(text), is); all != nil {
			t.Errorf("%s: got %+v", name, all)
		}
	}
}

func deep(text string, levels int) string {
	return strings.Repeat("[", levels) + `"` + text + `"` + strings.Repeat("]", levels)
}

func nested(text string, times int) string {
	for range times {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return text
}

// With two different ones nobody knows which is meant.
func TestTwoAreTold(t *testing.T) {
	text := []byte(`{"a":"AAAA","b":{"c":"000001"}}`)
	_, all, ok := forms.One(text, func(raw []byte) bool { return len(raw) == 3 && raw[0] == 0 })
	if ok || len(all) != 2 || all[0].As != "the member a of JSON, Base64" || all[1].As != "the member b.c of JSON, hexadecimal text" {
		t.Errorf("got %+v", all)
	}
}

func TestMembers(t *testing.T) {
	got, err := forms.Members([]byte(" {\"a\": [1, 2] ,\"b\":{}}\n"))
	if err != nil || string(got["a"]) != "[1, 2]" || len(got) != 2 {
		t.Errorf("got %q and %v", got, err)
	}
	for _, text := range []string{"", "[]", "1", `{"a":1,"a":1}`, `{"a":1`, `{"a":1} x`, `{"a"}`, `{"a":}`} {
		if got, err := forms.Members([]byte(text)); err == nil {
			t.Errorf("%s: got %v", text, got)
		}
	}
}

// Whatever is found is accepted, and is found in each form of it again.
func FuzzFind(f *testing.F) {
	for _, text := range []string{"AAAA", "00", `{"a":["AAAA",[1,2]]}`, "-----BEGIN A-----\nAAAA\n-----END A-----\n", "00000000: 0000  ..\n*\n", "%30%30", "\xff\xfe0\x000\x00", "{0x00, 0x01}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		accept := func(raw []byte) bool { return len(raw) > 0 && raw[0] == 0 }
		for _, found := range forms.Find(text, accept) {
			if !accept(found.Bytes) || len(found.As) > 4096 {
				t.Errorf("got %+v", found)
			}
		}
		if len(text) == 0 || len(text) > 1<<12 {
			return
		}
		same := func(raw []byte) bool { return bytes.Equal(raw, text) }
		for _, form := range []string{base64.RawURLEncoding.EncodeToString(text), "0x" + hex.EncodeToString(text), hex.Dump(text), xxd(text, 16), inJSON(map[string][]byte{"quote": text})} {
			if one, _, ok := forms.One([]byte(form), same); !ok || !bytes.Equal(one.Bytes, text) {
				t.Errorf("%q is not found in %.80q", text, form)
			}
		}
	})
}

// What is not JSON to its end is no JSON: two readers would take it for two things.
func TestWhatFollowsJSON(t *testing.T) {
	document := inJSON(map[string]any{"q": base64.StdEncoding.EncodeToString(wanted())})
	if _, _, ok := forms.One([]byte(document), is); !ok {
		t.Fatal("the document itself is not read")
	}
	for _, more := range []string{"}", "]", "4", `"x"`, "null", ",", ":", "{", "x", "}" + document, document + "4"} {
		for _, text := range []string{document + more, document + "\n" + more} {
			if one, _, ok := forms.One([]byte(text), is); ok {
				t.Errorf("with %q after it, it is read as %s", more, one.As)
			}
		}
	}
	if _, _, ok := forms.One([]byte("4"+document), is); ok {
		t.Error("with a number before it, it is read")
	}
}
