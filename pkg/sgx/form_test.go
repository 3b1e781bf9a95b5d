package sgx_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// wantForm fails unless an error says that an input is in no form that is read.
func wantForm(t *testing.T, err error, code sgx.Code, said string) {
	t.Helper()
	var form *sgx.FormError
	var refusal *sgx.Refusal
	if !errors.As(err, &form) || !errors.As(err, &refusal) || refusal.Code != code || !strings.Contains(err.Error(), said) || form.Hint() == "" || form.ExitCode() != 2 {
		t.Errorf("got %v, want %s with %q", err, code, said)
	}
}

// The wrappers are those of the tools that are named, with our quote in them.
func TestReadQuote(t *testing.T) {
	m := mint(t, nil)
	std, digits := base64.StdEncoding.EncodeToString(m.quote), hex.EncodeToString(m.quote)
	for name, c := range map[string]struct{ text, as string }{
		"the bytes":               {string(m.quote), ""},
		"with bytes after":        {string(m.quote) + "\x00\x00", ""},
		"Open Enclave":            {string(openEnclave(m.quote)), ""},
		"Open Enclave in Base64":  {base64.StdEncoding.EncodeToString(openEnclave(m.quote)), "Base64"},
		"base64 -w0":              {std, "Base64"},
		"a request to MAA":        {`{"runtimeData":{"data":"AAAA","dataType":"Binary"},"quote":"` + base64.RawURLEncoding.EncodeToString(m.quote) + `"}`, "the member quote of JSON, Base64"},
		"a sample of MAA":         {`{"Type":2,"MrEnclaveHex":"` + zeros(32) + `","QuoteHex":"` + strings.ToUpper(digits) + `","EnclaveHeldDataHex":"00"}`, "the member QuoteHex of JSON, hexadecimal text"},
		"a node of CCF":           {`{"quotes":[{"node_id":"` + zeros(32) + `","format":"OE_SGX_v1","raw":"` + std + `","endorsements":"AAAA"}]}`, "the member quotes[0].raw of JSON, Base64"},
		"dstack":                  {`{"quote":"` + digits + `","event_log":"[]","report_data":"` + zeros(64) + `"}`, "the member quote of JSON, hexadecimal text"},
		"dstack with 0x":          {`{"quote": "0x` + digits + `"}`, "the member quote of JSON, hexadecimal text"},
		"MarbleRun":               {`{"status":"success","data":{"Cert":"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n","Quote":"` + std + `"}}`, "the member data.Quote of JSON, Base64"},
		"Intel Trust Authority":   {`{"sgx":{"quote":"` + std + `","user_data":"AAAA"},"policy_ids":[]}`, "the member sgx.quote of JSON, Base64"},
		"evidence of CoCo in it":  {`{"tee":"sgx","evidence":"{\"quote\":\"` + std + `\"}"}`, "the member evidence of JSON, the member quote of JSON, Base64"},
		"PEM":                     {string(pem.EncodeToMemory(&pem.Block{Type: "SGX QUOTE", Bytes: m.quote})), "PEM"},
		"hexdump -C":              {starred(hex.Dump(m.quote)), "a listing of bytes"},
		"beside its collateral":   {`{"tcb_info":"{}","quote":"` + std + `"}`, "the member quote of JSON, Base64"},
		"the same quote in twice": {`{"raw":"` + std + `","hex":"` + digits + `"}`, "the member raw of JSON, Base64"},
	} {
		raw, as, err := sgx.ReadQuote([]byte(c.text))
		if err != nil || as != c.as {
			t.Errorf("%s: got %q and %v, want %q", name, as, err, c.as)
			continue
		}
		if q, err := sgx.ParseQuote(raw); err != nil || q.Report.MRENCLAVE != (sgx.Measurement{1}) {
			t.Errorf("%s: got %+v and %v", name, q, err)
		}
	}
}

// starred leaves out equal lines, as hexdump does.
func starred(dump string) string {
	var out []string
	last := ""
	for line := range strings.Lines(dump) {
		switch {
		case line[9:] != last:
			out = append(out, line)
		case out[len(out)-1] != "*\n":
			out = append(out, "*\n")
		}
		last = line[9:]
	}
	return strings.Join(out, "")
}

func TestWhatIsNoQuote(t *testing.T) {
	m, other := mint(t, nil), mint(t, nil)
	std := base64.StdEncoding.EncodeToString
	begins := func(size int, first ...byte) []byte { return append(first, make([]byte, size)...) }
	epid := begins(1100, 2, 0, 0, 0)
	epid[48+48] = 5
	oldEPID := bytes.Clone(epid[:432])
	oldEPID[0] = 1
	intel := bytes.Clone(m.quote)
	intel[0] = 4
	for name, c := range map[string]struct {
		text []byte
		code sgx.Code
		said string
	}{
		"nothing":                    {nil, sgx.QuoteUnreadable, "the file is empty, want an SGX quote of version 3 as one of: "},
		"blanks":                     {[]byte(" \n"), sgx.QuoteUnreadable, "the file is empty"},
		"a page":                     {[]byte("<!DOCTYPE html><html></html>"), sgx.QuoteUnreadable, "a page of a web server"},
		"a token":                    {[]byte("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.AAAA"), sgx.QuoteUnreadable, "it is a token (JWT)"},
		"a certificate":              {m.root, sgx.QuoteUnreadable, `PEM with a "CERTIFICATE"`},
		"a report":                   {make([]byte, 432), sgx.QuoteUnreadable, "a report of an enclave without a quote"},
		"JSON without one":           {[]byte(`{"quote":"AAAA"}`), sgx.QuoteUnreadable, "JSON in which no member is a quote"},
		"Base64 of something":        {[]byte(std(bytes.Repeat([]byte{7, 0}, 99))), sgx.QuoteUnreadable, "it is Base64 of 198 bytes that are no quote (they begin with 07000700"},
		"bytes":                      {bytes.Repeat([]byte{0xff, 1}, 300), sgx.QuoteUnreadable, "600 bytes that are no quote (they begin with ff01ff01"},
		"half a quote":               {m.quote[:500], sgx.QuoteUnreadable, "the signature data is longer than the quote"},
		"half a quote in Base64":     {[]byte(std(m.quote[:501])), sgx.QuoteUnreadable, "the signature data is longer"},
		"two quotes":                 {[]byte(`{"a":"` + std(m.quote) + `","b":["` + std(other.quote) + `"]}`), sgx.QuoteUnreadable, "holds 2 quotes (the member a of JSON, Base64; the member b[0] of JSON, Base64), want one"},
		"TDX":                        {begins(700, 4, 0, 2, 0, 0x81), sgx.QuoteUnsupported, "a quote of a TDX virtual machine (version 4)"},
		"TDX of version 5 in digits": {[]byte(hex.EncodeToString(begins(700, 5, 0, 2, 0, 0x81))), sgx.QuoteUnsupported, "a TDX virtual machine (version 5)"},
		"TDX of dstack":              {[]byte(`{"quote":"` + hex.EncodeToString(begins(700, 4, 0, 2, 0, 0x81)) + `"}`), sgx.QuoteUnsupported, "a TDX virtual machine"},
		"SGX of version 4":           {intel, sgx.QuoteUnsupported, "an SGX quote of version 4"},
		"SGX of version 5":           {begins(700, 5, 0, 2, 0), sgx.QuoteUnsupported, "an SGX quote of version 5"},
		"EPID":                       {epid, sgx.QuoteUnsupported, "an EPID quote (version 2)"},
		"EPID in a report of IAS":    {[]byte(`{"id":"1","isvEnclaveQuoteStatus":"OK","isvEnclaveQuoteBody":"` + std(oldEPID) + `"}`), sgx.QuoteUnsupported, "an EPID quote (version 1)"},
		"another vendor":             {slices.Concat(m.quote[:12], make([]byte, 16), m.quote[28:]), sgx.QuoteUnsupported, "quoting enclave's vendor"},
		"too long":                   {make([]byte, 4<<20+1), sgx.QuoteUnreadable, "want at most"},
	} {
		raw, _, err := sgx.ReadQuote(c.text)
		if raw != nil {
			t.Errorf("%s: got %d bytes", name, len(raw))
		}
		t.Run(name, func(t *testing.T) { wantForm(t, err, c.code, c.said) })
	}
}

// inForms are collateral of a quote in the forms of other tools: single files under the
// names of Intel's sample data, or bundles.
func inForms(t *testing.T, m minted) map[string]map[string][]byte {
	t.Helper()
	text := map[string]string{}
	for name, content := range m.files {
		text[name] = string(content)
	}
	rootCRL, pckCRL := hex.EncodeToString(m.files["rootCaCrl.der"]), hex.EncodeToString(m.files["pckCaCrl.der"])
	chain := func(name string) string { return text[name] }
	full := map[string]any{
		"version": 3, "tee_type": 0, "pck_crl_issuer_chain": string(m.authority.PCKCA.PEM()) + string(m.root), "root_ca_crl": rootCRL, "pck_crl": pckCRL,
		"tcb_info_issuer_chain": chain("tcbSignChain.pem"), "tcb_info": text[tcbFile], "qe_identity_issuer_chain": chain("tcbSignChain.pem"), "qe_identity": text[qeFile],
	}
	bundle := func(change func(map[string]any)) map[string][]byte {
		fields := maps.Clone(full)
		change(fields)
		out, err := json.Marshal(fields)
		must(t, err)
		return map[string][]byte{"b.json": out}
	}
	file := func(name string, content []byte) map[string][]byte {
		files := maps.Clone(m.files)
		files[name] = content
		return files
	}
	der := func(chain string) (all []byte) {
		for rest := []byte(chain); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				return all
			}
			all = append(all, block.Bytes...)
		}
	}
	numbers := func(raw []byte) (list []int) {
		for _, c := range raw {
			list = append(list, int(c))
		}
		return list
	}
	inner := func(file, member string) (body json.RawMessage, signature string) {
		var wrapper map[string]json.RawMessage
		must(t, json.Unmarshal(m.files[file], &wrapper))
		must(t, json.Unmarshal(wrapper["signature"], &signature))
		return wrapper[member], signature
	}
	apart := func(fields map[string]any) {
		for field, of := range map[string][2]string{"tcb_info": {tcbFile, "tcbInfo"}, "qe_identity": {qeFile, "enclaveIdentity"}} {
			body, signature := inner(of[0], of[1])
			fields[field], fields[field+"_signature"] = string(body), signature
		}
	}
	indent := func(content []byte) []byte {
		var out bytes.Buffer
		must(t, json.Indent(&out, content, "\t", "    "))
		return out.Bytes()
	}
	return map[string]map[string][]byte{
		"Intel's structure": bundle(func(map[string]any) {}),
		"documents as objects": bundle(func(f map[string]any) {
			f["tcb_info"] = json.RawMessage(text[tcbFile])
			f["qe_identity"] = json.RawMessage(text[qeFile])
		}),
		"signatures apart": bundle(apart),
		"signatures as numbers": bundle(func(f map[string]any) {
			apart(f)
			_, s := inner(tcbFile, "tcbInfo")
			raw, _ := hex.DecodeString(s)
			f["tcb_info_signature"] = numbers(raw)
		}),
		"signatures in Base64": bundle(func(f map[string]any) {
			apart(f)
			_, s := inner(qeFile, "enclaveIdentity")
			raw, _ := hex.DecodeString(s)
			f["qe_identity_signature"] = raw
		}),
		"the body in its member": bundle(func(f map[string]any) { apart(f); f["tcb_info"] = fmt.Sprintf(`{"tcbInfo":%s}`, f["tcb_info"]) }),
		"a signature twice": bundle(func(f map[string]any) {
			_, s := inner(tcbFile, "tcbInfo")
			f["tcb_info_signature"] = strings.ToUpper(s)
		}),
		"NULs of C strings": bundle(func(f map[string]any) {
			for k, v := range f {
				if s, ok := v.(string); ok {
					f[k] = s + "\x00"
				}
			}
		}),
		"names of JavaScript": bundle(func(f map[string]any) {
			renamed(f, "tcb_info_issuer_chain", "tcbInfoIssuerChain")
			renamed(f, "root_ca_crl", "rootCaCrl")
			renamed(f, "tcb_info", "tcbInfo")
		}),
		"names of C#":       bundle(func(f map[string]any) { renamed(f, "pck_crl", "PckCrl"); renamed(f, "qe_identity", "QeIdentity") }),
		"chains of headers": bundle(func(f map[string]any) { f["tcb_info_issuer_chain"] = url.PathEscape(chain("tcbSignChain.pem")) }),
		"lists in PEM": bundle(func(f map[string]any) {
			f["pck_crl"] = string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: m.files["pckCaCrl.der"]}))
		}),
		"lists in Base64": bundle(func(f map[string]any) { f["root_ca_crl"] = m.files["rootCaCrl.der"] }),
		"lists as numbers": bundle(func(f map[string]any) {
			f["root_ca_crl"] = numbers(m.files["rootCaCrl.der"])
			f["pck_crl"] = numbers(m.files["pckCaCrl.der"])
		}),
		"in a member":                {"b.json": []byte(`{"quote":"AAAA","collateral":` + string(bundle(func(map[string]any) {})["b.json"]) + `}`)},
		"in a text":                  {"b.json": []byte(`{"body":` + quoted(t, string(bundle(func(map[string]any) {})["b.json"])) + `}`)},
		"a list in digits":           file("rootCaCrl.der", []byte(rootCRL+"\n")),
		"a list in PEM":              file("pckCaCrl.der", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: m.files["pckCaCrl.der"]})),
		"a chain of a header":        file("tcbSignChain.pem", []byte(url.PathEscape(chain("tcbSignChain.pem")))),
		"a chain in DER":             file("tcbSignChain.pem", der(chain("tcbSignChain.pem"))),
		"a chain with a NUL":         file("tcbSignChain.pem", append(bytes.Clone(m.files["tcbSignChain.pem"]), 0)),
		"a chain of Windows":         file("tcbSignChain.pem", append([]byte("\ufeff"), bytes.ReplaceAll(m.files["tcbSignChain.pem"], []byte("\n"), []byte("\r\n"))...)),
		"jq's TCB info":              file(tcbFile, indent(m.files[tcbFile])),
		"jq's QE identity":           file(qeFile, indent(m.files[qeFile])),
		"TCB info with a mark":       file(tcbFile, append([]byte("\ufeff"), m.files[tcbFile]...)),
		"TCB info with a NUL":        file(tcbFile, append(bytes.Clone(m.files[tcbFile]), 0)),
		"TCB info as a text of JSON": file(tcbFile, []byte(quoted(t, text[tcbFile]))),
	}
}

func renamed(fields map[string]any, from, to string) {
	fields[to] = fields[from]
	delete(fields, from)
}

func quoted(t *testing.T, text string) string {
	t.Helper()
	out, err := json.Marshal(text)
	must(t, err)
	return string(out)
}

// Each form of collateral says the same of a quote.
func TestCollateralInForms(t *testing.T) {
	m := mint(t, nil)
	plain, err := m.verify()
	must(t, err)
	for name, files := range inForms(t, m) {
		t.Run(name, func(t *testing.T) {
			n := m
			n.files = files
			r, err := n.verify()
			if err != nil || r.Status != plain.Status || r.Findings.Verdict() != check.Affirming || len(r.Validities) != len(plain.Validities) {
				t.Fatalf("got %v, %+v", err, r)
			}
			set, err := sgx.CollateralFromFiles(files)
			must(t, err)
			form, said := r.Findings.Find("collateral-form")
			if told := len(set[0].Forms) > 0; told != said || said && !strings.HasSuffix(form.Title, ": "+strings.Join(set[0].Forms, "; ")) {
				t.Errorf("got %q of %q", form.Title, set[0].Forms)
			}
		})
	}
}

func TestFormsAreSaid(t *testing.T) {
	m := mint(t, nil)
	all := inForms(t, m)
	for name, want := range map[string]string{
		"Intel's structure": "", "signatures apart": "", "lists in PEM": "", "jq's TCB info": "", "a list in PEM": "",
		"a list in digits":           "rootCaCrl.der as hexadecimal text",
		"a chain in DER":             "tcbSignChain.pem as DER",
		"chains of headers":          "tcb_info_issuer_chain as percent-encoding",
		"lists in Base64":            "root_ca_crl as Base64",
		"in a member":                "the bundle as the member collateral of JSON",
		"TCB info as a text of JSON": "tcbInfo.json as a text in JSON",
	} {
		set, err := sgx.CollateralFromFiles(all[name])
		must(t, err)
		if got := strings.Join(set[0].Forms, "; "); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// What cannot be read is no forgery; and what is forged stays so in every form.
func TestCollateralInNoForm(t *testing.T) {
	m := mint(t, nil)
	forms := inForms(t, m)
	edited := func(name string, change func(map[string]json.RawMessage)) []byte {
		fields := map[string]json.RawMessage{}
		must(t, json.Unmarshal(forms[name]["b.json"], &fields))
		change(fields)
		out, err := json.Marshal(fields)
		must(t, err)
		return out
	}
	bundle := string(forms["Intel's structure"]["b.json"])
	for name, c := range map[string]struct {
		files map[string][]byte
		said  string
	}{
		"nothing":           {map[string][]byte{"b.json": nil}, "EOF"},
		"another document":  {map[string][]byte{"b.json": []byte(`{"sgx":true}`)}, "without any field of sgx_ql_qve_collateral"},
		"two bundles":       {map[string][]byte{"b.json": []byte(`{"a":` + bundle + `,"b":` + string(forms["signatures apart"]["b.json"]) + `}`)}, "got 2 bundles"},
		"a field twice":     {map[string][]byte{"b.json": edited("Intel's structure", func(f map[string]json.RawMessage) { f["tcbInfo"] = f["tcb_info"] })}, "tcb_info is there twice"},
		"a slip of the pen": {map[string][]byte{"b.json": edited("Intel's structure", func(f map[string]json.RawMessage) { f["tcb_inf0"] = f["tcb_info"]; delete(f, "tcb_info") })}, `"tcb_inf0", want "tcb_info"`},
		"no signature":      {map[string][]byte{"b.json": edited("signatures apart", func(f map[string]json.RawMessage) { delete(f, "tcb_info_signature") })}, "tcb_info: it has no signature"},
		"two signatures":    {map[string][]byte{"b.json": edited("Intel's structure", func(f map[string]json.RawMessage) { f["tcb_info_signature"] = []byte(`"` + zeros(64) + `"`) })}, "another one beside it"},
		"TDX":               {map[string][]byte{"b.json": edited("Intel's structure", func(f map[string]json.RawMessage) { f["tee_type"] = []byte("129") })}, "collateral of TDX"},
		"a list":            {map[string][]byte{"b.json": edited("Intel's structure", func(f map[string]json.RawMessage) { f["pck_crl"] = []byte(`"a list"`) })}, "not a certificate revocation list, want it as one of: "},
		"a chain":           {map[string][]byte{"tcbSignChain.pem": []byte("chain")}, "not certificates in PEM or DER"},
		"a page":            {map[string][]byte{"tcbInfo.json": []byte("<html>")}, "not a JSON object with the members tcbInfo and signature"},
		"no collateral":     {map[string][]byte{"readme.txt": nil}, "got none of the files"},
	} {
		_, err := sgx.CollateralFromFiles(c.files)
		t.Run(name, func(t *testing.T) { wantForm(t, err, sgx.CollateralUnreadable, c.said) })
	}
	forged := m
	forged.files = maps.Clone(m.files)
	forged.files[tcbFile] = bytes.Replace(m.files[tcbFile], []byte(`"pcesvn":7`), []byte(`"pcesvn":6`), 1)
	for name, files := range inForms(t, forged) {
		n := forged
		n.files = files
		_, err := n.verify()
		var refusal *sgx.Refusal
		var form *sgx.FormError
		if !errors.As(err, &refusal) || refusal.Code != sgx.TCBInfoInvalid || errors.As(err, &form) {
			t.Errorf("forged, %s: got %v", name, err)
		}
	}
}

// Blanks between the tokens of a signed document change nothing; in a string they do.
func FuzzBlanksInDocuments(f *testing.F) {
	m := mint(f, nil)
	f.Add(20, byte(' '))
	f.Add(60, byte('\n'))
	f.Add(5, byte('x'))
	f.Fuzz(func(t *testing.T, at int, c byte) {
		text := m.files[tcbFile]
		if at < 0 || at > len(text) {
			return
		}
		n := m
		n.files = maps.Clone(m.files)
		n.files[tcbFile] = slices.Concat(text[:at], []byte{c}, text[at:])
		r, err := n.verify()
		var before, after bytes.Buffer
		same := json.Compact(&before, text) == nil && json.Compact(&after, n.files[tcbFile]) == nil && bytes.Equal(before.Bytes(), after.Bytes())
		if accepted := err == nil && r.Findings.Verdict() == check.Affirming; accepted && !same && strings.TrimSpace(string(rune(c))) != "" && c != 0 {
			t.Errorf("%q at %d was accepted", c, at)
		} else if !accepted && same {
			t.Errorf("a blank at %d was refused: %v", at, err)
		}
	})
}

// A quote is read only as what can be parsed, and never with a panic.
func FuzzReadQuote(f *testing.F) {
	m := mint(f, nil)
	f.Add(m.quote)
	f.Add([]byte(base64.StdEncoding.EncodeToString(m.quote)))
	f.Add([]byte(`{"quote":"` + hex.EncodeToString(m.quote) + `"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		raw, _, err := sgx.ReadQuote(text)
		if err != nil {
			wantRefusal(t, err)
			return
		}
		if _, err := sgx.ParseQuote(raw); err != nil {
			t.Errorf("got %v", err)
		}
	})
}
