package policy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
)

const (
	casMeasured   = "fb79b3766882160275288bd9937a3aef4e774d1f1b8c513e2bc2a1d471953f18"
	probeMeasured = "22f619e871cb0efef29ba6eaf8ea9c70dc1c7314c17469dd3f79a7c39bb73040"
	signedBy      = "195e5a6df987d6a515dd083750c1ea352283f8364d3ec9142b0d593988c6ed2d"
)

// strict is a policy with all keys in which nothing is weak.
const strict = `kind: confidb.policy/v1
cas:
  mrenclave: [` + casMeasured + `]
  signer: {mrsigner: ` + signedBy + `, isvprodid: 41316, min-isvsvn: 5}
enclaves:
  probe: {mrenclave: [` + probeMeasured + `]}
accept-tcb: [SWHardeningNeeded]
accept-advisories: [INTEL-SA-00615]
allow-debug-enclave: false
min-tcb-evaluation-number: 17
collateral-grace: 24h
max-collateral-age: 168h
require-provenance: quoted
`

func measurement(t *testing.T, text string) sgx.Measurement {
	t.Helper()
	m, err := sgx.ParseMeasurement(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func parsed(t *testing.T, text string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// edited replaces one thing in the strict policy.
func edited(t *testing.T, old, new string) string {
	t.Helper()
	if strings.Count(strict, old) != 1 {
		t.Fatalf("%q is there %d times", old, strings.Count(strict, old))
	}
	return strings.Replace(strict, old, new, 1)
}

func TestParse(t *testing.T) {
	want := &policy.Policy{
		CAS: attest.Policy{
			ReferenceValues: attest.ReferenceValues{
				MRENCLAVEs: []sgx.Measurement{measurement(t, casMeasured)},
				Signer:     &attest.SignerReference{MRSIGNER: measurement(t, signedBy), ISVProdID: 41316, MinISVSVN: 5},
			},
			AcceptTCB:        []sgx.TCBStatus{sgx.SWHardeningNeeded},
			AcceptAdvisories: []string{"INTEL-SA-00615"},
		},
		Enclaves:  map[string][]sgx.Measurement{"probe": {measurement(t, probeMeasured)}},
		Freshness: attest.Freshness{MinEvaluationNumber: 17, Grace: 24 * time.Hour, MaxAge: 168 * time.Hour},

		RequireProvenance: attest.Quoted,
	}
	if diff := cmp.Diff(want, parsed(t, strict), cmpopts.IgnoreUnexported(policy.Policy{})); diff != "" {
		t.Error(diff)
	}
}

// What is not said accepts nothing, also where a key has nothing under it.
func TestNothingIsAcceptedByDefault(t *testing.T) {
	for _, text := range []string{
		"kind: confidb.policy/v1\n",
		"# a comment\n---\nkind: 'confidb.policy/v1'\n...\n",
		"\ufeffkind: confidb.policy/v1\ncas:\nenclaves:\naccept-tcb:\n#- OutOfDate\naccept-advisories:\n",
		"kind: confidb.policy/v1\ncas: {}\nenclaves: {}\naccept-tcb: []\naccept-advisories: []\ncollateral-grace: 0\n",
		"kind: confidb.policy/v1\ncas: {mrenclave: }\n",
	} {
		want := &policy.Policy{Enclaves: map[string][]sgx.Measurement{}}
		if diff := cmp.Diff(want, parsed(t, text), cmpopts.IgnoreUnexported(policy.Policy{})); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestParseForms(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		good func(*policy.Policy) bool
	}{
		"a single measurement": {edited(t, "["+casMeasured+"]", casMeasured), func(p *policy.Policy) bool { return len(p.CAS.ReferenceValues.MRENCLAVEs) == 1 }},
		"upper case":           {edited(t, casMeasured, strings.ToUpper(casMeasured)), func(p *policy.Policy) bool { return len(p.CAS.ReferenceValues.MRENCLAVEs) == 1 }},
		"digits only":          {edited(t, casMeasured, strings.Repeat("01", 32)), func(p *policy.Policy) bool { return p.CAS.ReferenceValues.MRENCLAVEs[0][31] == 1 }},
		"a float of YAML":      {edited(t, casMeasured, "12e"+strings.Repeat("0", 61)), func(p *policy.Policy) bool { return p.CAS.ReferenceValues.MRENCLAVEs[0][0] == 0x12 }},
		"a comma at the end":   {edited(t, "["+casMeasured+"]", "["+casMeasured+", ]"), func(p *policy.Policy) bool { return len(p.CAS.ReferenceValues.MRENCLAVEs) == 1 }},
		"two measurements":     {edited(t, "["+casMeasured+"]", "["+casMeasured+", "+signedBy+"]"), func(p *policy.Policy) bool { return len(p.CAS.ReferenceValues.MRENCLAVEs) == 2 }},
		"a number in hex":      {edited(t, "41316", "0xa164"), func(p *policy.Policy) bool { return p.CAS.ReferenceValues.Signer.ISVProdID == 41316 }},
		"a deviation": {strict + "accept-deviations: [unprotected-volume]\n", func(p *policy.Policy) bool {
			return slices.Equal(p.Deviations, []attest.Deviation{"unprotected-volume"})
		}},
		"no deviation":          {strict + "accept-deviations: []\n", func(p *policy.Policy) bool { return len(p.Deviations) == 0 }},
		"clients outside":       {strict + "max-outside-enclave: 8h\n", func(p *policy.Policy) bool { return *p.MaxOutside == 8*time.Hour && *p.Accepts().MaxOutside == "8h" }},
		"no clients outside":    {strict + "max-outside-enclave: 0h\n", func(p *policy.Policy) bool { return *p.MaxOutside == 0 }},
		"not said of clients":   {strict, func(p *policy.Policy) bool { return p.MaxOutside == nil }},
		"debug":                 {edited(t, "enclave: false", "enclave: true"), func(p *policy.Policy) bool { return p.CAS.AllowDebugEnclave }},
		"the longest grace":     {edited(t, "24h", "2160h"), func(p *policy.Policy) bool { return p.Freshness.Grace == 90*24*time.Hour }},
		"an enclave of nothing": {edited(t, "{mrenclave: ["+probeMeasured+"]}", ""), func(p *policy.Policy) bool { _, ok := p.Enclaves["probe"]; return ok && p.Enclaves["probe"] == nil }},
		"a dot in a name":       {edited(t, "probe:", "mariadb-10.11:"), func(p *policy.Policy) bool { return len(p.Enclaves["mariadb-10.11"]) == 1 }},
		"a document of a page":  {strict + "#" + strings.Repeat(" ", 1<<20-len(strict)-1), func(p *policy.Policy) bool { return p.Freshness.MinEvaluationNumber == 17 }},
		"other line ends":       {strings.ReplaceAll(strict, "\n", "\r\n"), func(p *policy.Policy) bool { return p.Freshness.MinEvaluationNumber == 17 }},
	} {
		if p := parsed(t, c.text); !c.good(p) {
			t.Errorf("%s: got %+v", name, p)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const statuses = "want SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDate, OutOfDateConfigurationNeeded"
	const keys = "want accept-advisories, accept-deviations, accept-tcb, allow-debug-enclave, cas, collateral-grace, enclaves, kind, max-collateral-age, max-outside-enclave, min-tcb-evaluation-number, require-provenance"
	const alias = "write each value out, or put text that begins with * or & between quotes: YAML takes it for an alias or anchor, which are not allowed here"
	const pattern = ": a pattern would also accept what Intel finds tomorrow"
	const let = "want a Go duration from 0h, for none, to 24h"
	const grace, age = "want a Go duration from 0h to 2160h (90 days)", "want a Go duration above 0, such as 168h; leave the key out for no bound"
	signer := "{mrsigner: " + signedBy + ", isvprodid: 41316, min-isvsvn: 5}"
	for name, c := range map[string]struct{ text, want, hint string }{
		"an empty file":              {"", "1:1: got an empty document, want kind: confidb.policy/v1", "{policy example} prints one to begin with"},
		"a comment only":             {"# policy\n", "1:1: got an empty document", "{policy example} prints one to begin with"},
		"an empty document":          {"---\n", "1:1: got an empty document", "{policy example} prints one to begin with"},
		"too much":                   {strict + strings.Repeat("#", 1<<20), "1:1: got 1049", ""},
		"a byte that is not UTF-8":   {edited(t, "probe", "pröb\xff"), "6:7: got the byte 0xff, want UTF-8", "save the file as UTF-8"},
		"UTF-16":                     {"\xff\xfek\x00", "1:1: got the byte 0xff", "save the file as UTF-8"},
		"a control character":        {edited(t, "probe", "pr\x1bobe"), "6:5: got the invisible character U+001B", "remove it"},
		"text in another direction":  {edited(t, "[INTEL-SA-00615]", "[] # \u202e"), "8:25: got the invisible character U+202E", "remove it"},
		"two documents":              {strict + "---\nkind: x\n", "14:1: got a second document, want one in a file", "remove it, or put it into a file of its own"},
		"an empty second document":   {strict + "---\n", "14:1: got a second document", "remove it, or put it into a file of its own"},
		"a second that is not YAML":  {strict + "---\nx: [\n\n", "16:1: got text that is not YAML", "look at this line"},
		"YAML that is none":          {edited(t, "enclaves:", "enclaves: : x"), "5:1: got text that is not YAML: mapping values are not allowed", "look at this line"},
		"an alias of nothing":        {edited(t, "[SWHardeningNeeded]", "[*all]"), "7:14: got text that is not YAML: unknown anchor 'all'", alias},
		"a bare star":                {edited(t, "[SWHardeningNeeded]", "[*]"), "7:1: got text that is not YAML", alias},
		"an alias":                   {edited(t, "["+probeMeasured+"]", "[&m "+probeMeasured+", *m]"), "6:23: got the anchor &m, want a value without one\np.yaml:6:92: got the alias *m, want the value itself", "remove it"},
		"an alias as a key":          {edited(t, "accept-tcb: [", "? &a accept-tcb\n: ["), "7:3: got the anchor &a", "remove it: there are no aliases"},
		"a merge":                    {edited(t, "accept-tcb:", "<<: {}\naccept-tcb:"), "7:1: got the merge <<, want the keys themselves", "write the keys out"},
		"a tag":                      {edited(t, casMeasured, "!!binary "+casMeasured), `3:15: got the tag "!!binary", want a value without one`, "remove it"},
		"a tag that says it":         {edited(t, "number: 17", "number: !!int 17"), `10:28: got the tag "!!int", want a value without one`, "remove it"},
		"a list":                     {"- kind\n", "1:1: got a list, want a mapping with kind: confidb.policy/v1", ""},
		"a word":                     {"policy\n", `1:1: got "policy", want a mapping`, ""},
		"no kind":                    {"cas: {}\nx: y\n", `1:1: kind: got nothing, want "confidb.policy/v1"`, "begin the file with kind: confidb.policy/v1"},
		"another kind":               {edited(t, "policy/v1", "policy/v2"), `1:7: kind: got "confidb.policy/v2", want "confidb.policy/v1"`, `write "confidb.policy/v1"`},
		"a kind that is a list":      {"x: y\nkind: [a]\n", `2:7: kind: got a list, want "confidb.policy/v1"`, ""},
		"an unknown key":             {edited(t, "accept-tcb", "accept_tcb"), `7:1: got the unknown key "accept_tcb"`, `write "accept-tcb"`},
		"a key like no other":        {edited(t, "accept-tcb", "trust"), `7:1: got the unknown key "trust", ` + keys, ""},
		"an unknown key of the CAS":  {edited(t, "  mrenclave", "  mrenclaves"), `3:3: cas: got the unknown key "mrenclaves"`, `write "mrenclave"`},
		"one of a signer":            {edited(t, "isvprodid", "isvProdId2"), `4:88: cas.signer: got the unknown key "isvProdId2"`, `write "isvprodid"`},
		"one of an enclave":          {edited(t, "{mrenclave", "{mrsigner: x, mrenclave"), `6:11: enclaves.probe: got the unknown key "mrsigner"`, `write "signer"`},
		"a key twice":                {edited(t, "accept-advisories: [INTEL-SA-00615]", "accept-tcb: [OutOfDate]"), `8:1: got the key "accept-tcb" a second time, want it once`, "keep one of them"},
		"a kind twice":               {strict + "kind: confidb.policy/v2\n", `14:1: got the key "kind" a second time`, "keep one of them"},
		"an enclave twice":           {edited(t, "accept-tcb", "  probe: {}\naccept-tcb"), `7:3: enclaves: got the key "probe" a second time`, "keep one of them"},
		"a key that is a list":       {edited(t, "accept-tcb", "[a]: b\naccept-tcb"), "7:1: got a list as a key, want a word", ""},
		"a name with a space":        {edited(t, "probe", "the probe"), `6:3: enclaves: got the name "the probe", want 1 to 128 of`, ""},
		"a name of nothing":          {edited(t, "probe", `""`), `6:3: enclaves: got the name "", want 1 to 128 of`, ""},
		"a name that moves the line": {edited(t, "probe", `"\x1b[1A"`), `6:3: enclaves: got the name "\x1b[1A"`, ""},
		"a CAS that is a list":       {"kind: confidb.policy/v1\ncas: [x]\n", "2:6: cas: got a list, want a mapping", ""},
		"a CAS that is a word":       {"kind: confidb.policy/v1\ncas: x\n", `2:6: cas: got "x", want a mapping`, ""},
		"enclaves in a list":         {"kind: confidb.policy/v1\nenclaves: [x]\n", "2:11: enclaves: got a list, want a mapping", ""},
		"an enclave that is a word":  {"kind: confidb.policy/v1\nenclaves: {x: " + casMeasured + "}\n", `2:15: enclaves.x: got "` + casMeasured + `", want a mapping`, ""},
		"a short measurement":        {edited(t, probeMeasured, "22f6"), `6:23: enclaves.probe.mrenclave[0]: got "22f6" (4 characters), want 64 hexadecimal digits`, ""},
		"a single short one":         {edited(t, "["+casMeasured+"]", "22f6"), `3:14: cas.mrenclave: got "22f6" (4 characters)`, ""},
		"a long measurement":         {edited(t, casMeasured, casMeasured+"00"), `3:15: cas.mrenclave[0]: got "` + casMeasured + `00" (66 characters)`, ""},
		"letters that are no digits": {edited(t, casMeasured, strings.Repeat("z", 64)), `3:15: cas.mrenclave[0]: got "zz`, ""},
		"zeros":                      {edited(t, casMeasured, strings.Repeat("0", 64)), "3:15: cas.mrenclave[0]: got zeros only, want 64 hexadecimal digits", ""},
		"a null among measurements":  {edited(t, casMeasured, "~"), "3:15: cas.mrenclave[0]: got nothing, want 64 hexadecimal digits", ""},
		"a mapping of measurements":  {edited(t, "["+casMeasured+"]", "{a: b}"), "3:14: cas.mrenclave: got a mapping, want a list", ""},
		"a name with a dot":          {edited(t, "probe: {mrenclave: ["+probeMeasured, "a.b: {mrenclave: [x"), `6:21: enclaves."a.b".mrenclave[0]: got "x"`, ""},
		"a signer of nothing":        {edited(t, signer, ""), "4:10: cas.signer: got nothing, want a mapping", ""},
		"a signer of nobody":         {edited(t, "mrsigner: "+signedBy+", ", ""), "4:11: cas.signer.mrsigner: got nothing, want 64 hexadecimal digits", ""},
		"a signer of zeros":          {edited(t, signedBy, strings.Repeat("0", 64)), "4:22: cas.signer.mrsigner: got zeros only", ""},
		"a short signer":             {edited(t, signedBy, "00"), `4:22: cas.signer.mrsigner: got "00" (2 characters)`, ""},
		"a signer alone":             {edited(t, "mrenclave: ["+probeMeasured+"]", "signer: "+signer), "6:11: enclaves.probe: got a signer without measurement, want mrenclave: our sessions name measurements", "add mrenclave: SCONE_HASH=1 prints it where the image is built"},
		"a big product":              {edited(t, "41316", "65536"), `4:99: cas.signer.isvprodid: got "65536", want a number from 0 to 65535`, ""},
		"a negative version":         {edited(t, "min-isvsvn: 5", "min-isvsvn: -1"), `4:118: cas.signer.min-isvsvn: got "-1", want a number from 0 to 65535`, ""},
		"half a version":             {edited(t, "min-isvsvn: 5", "min-isvsvn: 5.5"), `4:118: cas.signer.min-isvsvn: got "5.5"`, ""},
		"an octal version":           {edited(t, "min-isvsvn: 5", "min-isvsvn: 010"), `4:118: cas.signer.min-isvsvn: got "010"`, ""},
		"a version in quotes":        {edited(t, "min-isvsvn: 5", "min-isvsvn: '5'"), `4:118: cas.signer.min-isvsvn: got "5"`, "write it without quotes"},
		"a version of nothing":       {edited(t, "min-isvsvn: 5", "min-isvsvn: "), "4:118: cas.signer.min-isvsvn: got nothing", ""},
		"an evaluation that is far":  {edited(t, "number: 17", "number: 2147483648"), `10:28: min-tcb-evaluation-number: got "2147483648", want a number from 0 to 2147483647`, ""},
		"an evaluation in a list":    {edited(t, "number: 17", "number: [17]"), "10:28: min-tcb-evaluation-number: got a list, want a number", ""},
		"a status of nobody":         {edited(t, "[SWHardeningNeeded]", "[ConfigurationNeeded, SWHardenedNeeded]"), `7:35: accept-tcb[1]: got "SWHardenedNeeded", ` + statuses, `write "SWHardeningNeeded"`},
		"a status in lower case":     {edited(t, "[SWHardeningNeeded]", "[outofdate]"), `7:14: accept-tcb[0]: got "outofdate", ` + statuses, `write "OutOfDate"`},
		"UpToDate":                   {edited(t, "[SWHardeningNeeded]", "[UpToDate]"), `7:14: accept-tcb[0]: got "UpToDate", which needs no tolerance, ` + statuses, "remove it: UpToDate is always accepted"},
		"Revoked":                    {edited(t, "[SWHardeningNeeded]", "[Revoked]"), `7:14: accept-tcb[0]: got "Revoked", which can never be accepted, ` + statuses, "remove it, and take the machine out of use: its keys prove nothing any more"},
		"an empty status":            {edited(t, "[SWHardeningNeeded]", `[""]`), `7:14: accept-tcb[0]: got "", ` + statuses, ""},
		"a null status":              {edited(t, "[SWHardeningNeeded]", `[null]`), "7:14: accept-tcb[0]: got nothing, want the name of a status", ""},
		"a status without list":      {edited(t, "[SWHardeningNeeded]", "OutOfDate"), `7:13: accept-tcb: got "OutOfDate", want a list`, `write ["OutOfDate"]`},
		"a star for statuses":        {edited(t, "[SWHardeningNeeded]", `"*"`), `7:13: accept-tcb: got the pattern "*", want the name of a status` + pattern, "name each one that you can live with"},
		"a star among statuses":      {edited(t, "[SWHardeningNeeded]", `["*"]`), `7:14: accept-tcb[0]: got the pattern "*"`, "name each one that you can live with"},
		"all advisories":             {edited(t, "[INTEL-SA-00615]", "[all]"), `8:21: accept-advisories[0]: got the pattern "all", want an ID such as INTEL-SA-00615` + pattern, "name each one that you can live with"},
		"a star for advisories":      {edited(t, "[INTEL-SA-00615]", "'*'"), `8:20: accept-advisories: got the pattern "*"`, "name each one that you can live with"},
		"some advisories":            {edited(t, "[INTEL-SA-00615]", "[INTEL-SA-00615, INTEL-SA-006*]"), `8:37: accept-advisories[1]: got the pattern "INTEL-SA-006*"`, "name each one that you can live with"},
		"an advisory in lower case":  {edited(t, "[INTEL-SA-00615]", "[intel-sa-00615]"), `8:21: accept-advisories[0]: got "intel-sa-00615", want an ID such as INTEL-SA-00615`, `write "INTEL-SA-00615"`},
		"an advisory of another":     {edited(t, "[INTEL-SA-00615]", "[CVE-2022-21123]"), `8:21: accept-advisories[0]: got "CVE-2022-21123"`, ""},
		"an advisory too long":       {edited(t, "[INTEL-SA-00615]", `["INTEL-SA-00615\n"]`), `8:21: accept-advisories[0]: got "INTEL-SA-00615\n"`, ""},
		"a null advisory":            {edited(t, "[INTEL-SA-00615]", "[~]"), "8:21: accept-advisories[0]: got nothing, want an ID such as INTEL-SA-00615", ""},
		"an advisory in a list":      {edited(t, "[INTEL-SA-00615]", "[[INTEL-SA-00615]]"), "8:21: accept-advisories[0]: got a list, want an ID", ""},
		"a deviation of no name":     {strict + "accept-deviations: [unprotected-volumes]\n", `14:21: accept-deviations[0]: got "unprotected-volumes", want unprotected-volume`, `write "unprotected-volume"`},
		"all deviations":             {strict + "accept-deviations: ['*']\n", `14:21: accept-deviations[0]: got the pattern "*", want the name of a deviation`, "name each one that you can live with"},
		"debug perhaps":              {edited(t, "enclave: false", "enclave: perhaps"), `9:22: allow-debug-enclave: got "perhaps", want true or false`, ""},
		"debug yes":                  {edited(t, "enclave: false", "enclave: yes"), `9:22: allow-debug-enclave: got "yes", want true or false`, ""},
		"debug in quotes":            {edited(t, "enclave: false", "enclave: 'true'"), `9:22: allow-debug-enclave: got "true", want true or false`, "write it without quotes"},
		"debug of nothing":           {edited(t, "enclave: false", "enclave:"), "9:21: allow-debug-enclave: got nothing, want true or false", ""},
		"a client for too long":      {strict + "max-outside-enclave: 24h1m\n", `14:22: max-outside-enclave: got "24h1m", ` + let, ""},
		"a client for less than 0":   {strict + "max-outside-enclave: -1h\n", `14:22: max-outside-enclave: got "-1h", ` + let, ""},
		"a client for who knows":     {strict + "max-outside-enclave:\n", "14:21: max-outside-enclave: got nothing, " + let, ""},
		"a grace in days":            {edited(t, "24h", "7d"), `11:19: collateral-grace: got "7d", ` + grace, "write 168h: Go's durations have no days"},
		"a grace without unit":       {edited(t, "24h", "24"), `11:19: collateral-grace: got "24", ` + grace, ""},
		"a grace too long":           {edited(t, "24h", "2160h0m1s"), `11:19: collateral-grace: got "2160h0m1s", ` + grace, ""},
		"a grace below nothing":      {edited(t, "24h", "-1h"), `11:19: collateral-grace: got "-1h", ` + grace, ""},
		"a grace of nothing":         {edited(t, "24h", "~"), "11:19: collateral-grace: got nothing, " + grace, ""},
		"an unknown provenance":      {edited(t, "provenance: quoted", "provenance: claimed"), `13:21: require-provenance: got "claimed", want quoted or declared`, ""},
		"a provenance misspelt":      {edited(t, "provenance: quoted", "provenance: qouted"), `13:21: require-provenance: got "qouted", want quoted or declared`, `write "quoted"`},
		"no age at all":              {edited(t, "168h", "0h"), `12:21: max-collateral-age: got "0h", ` + age, ""},
		"an age of nothing":          {edited(t, "168h", ""), "12:20: max-collateral-age: got nothing, " + age, ""},
		"an age in words":            {edited(t, "168h", "a week"), `12:21: max-collateral-age: got "a week", ` + age, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.Parse("p.yaml", []byte(c.text))
			var e *policy.Errors
			if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "p.yaml:"+c.want) {
				t.Fatalf("got  %v\nwant p.yaml:%s", err, c.want)
			}
			if hint := e.Problems[0].Hint(); !strings.HasPrefix(hint, c.hint) || (hint == "") != (c.hint == "") {
				t.Errorf("got hint %q, want %q", hint, c.hint)
			}
		})
	}
}

func TestAllProblemsAreTold(t *testing.T) {
	const text = `kind: confidb.policy/v1
cas:
  mrenclave: [00, 11]
  signer: {isvprodid: x}
enclave: {}
accept-tcb: [Revoked, SWHardeningNeeded]
`
	_, err := policy.Parse("p.yaml", []byte(text))
	var e *policy.Errors
	if !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	var places []string
	for _, p := range e.Problems {
		places = append(places, fmt.Sprintf("%d:%d %s", p.Line, p.Column, p.Path))
	}
	want := []string{"3:15 cas.mrenclave[0]", "3:19 cas.mrenclave[1]", "4:11 cas.signer.mrsigner", "4:23 cas.signer.isvprodid", "5:1 ", "6:14 accept-tcb[0]"}
	if diff := cmp.Diff(want, places); diff != "" {
		t.Error(diff)
	}
	if want := "5:1: write \"enclaves\"\n6:14: remove it"; !strings.HasPrefix(e.Hint(), want) {
		t.Errorf("got hint %q, want %q", e.Hint(), want)
	}
	if got := strings.Count(err.Error(), "\n"); got != 5 {
		t.Errorf("got %d line ends in %q", got, err)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	for n, more := range map[int]string{10: "", 11: "\nand 1 more", 5000: "\nand 4990 more"} {
		_, err := policy.Parse("p.yaml", []byte("kind: confidb.policy/v1\naccept-tcb:\n"+strings.Repeat("- Revoked\n", n)))
		var e *policy.Errors
		if !errors.As(err, &e) || len(e.Problems) != 10 {
			t.Fatalf("%d: got %v", n, err)
		}
		if !strings.HasSuffix(err.Error(), "OutOfDateConfigurationNeeded"+more) {
			t.Errorf("%d: got %q", n, err)
		}
	}
}

func TestDeepAndWideDocuments(t *testing.T) {
	for name, text := range map[string]string{
		"lists":    strings.Repeat("[", 1<<20),
		"mappings": strings.Repeat("{a: ", 1<<18),
		"keys":     strings.Repeat("? ", 1<<19),
		"entries":  strings.Repeat("- ", 1<<19),
		"closed":   "kind: confidb.policy/v1\ncas: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"a key":    "kind: confidb.policy/v1\n" + strings.Repeat("x", 1<<19) + ": y\n",
	} {
		if _, err := policy.Parse("p.yaml", []byte(text)); err == nil || len(err.Error()) > 4096 {
			t.Errorf("%s: got %.200v", name, err)
		}
	}
}

func TestWeaknesses(t *testing.T) {
	if found := parsed(t, strict).Weaknesses(); len(found) > 0 {
		t.Fatalf("the strict policy has %+v", found)
	}
	signer := "\n  signer: {mrsigner: " + signedBy + ", isvprodid: 41316, min-isvsvn: 5}"
	for name, c := range map[string]struct{ text, want, inText string }{
		"signer only":                 {edited(t, "  mrenclave: ["+casMeasured+"]\n", ""), "p.yaml:3:3 cas-signer-only", "product 41316"},
		"signer only, an empty list":  {edited(t, casMeasured, ""), "p.yaml:4:3 cas-signer-only", ""},
		"no CAS":                      {edited(t, "cas:\n  mrenclave: ["+casMeasured+"]"+signer+"\n", ""), "p.yaml:1:1 cas-unnamed", "on the command line or in $CAS_MRENCLAVE"},
		"a CAS of nothing":            {edited(t, "\n  mrenclave: ["+casMeasured+"]"+signer, ""), "p.yaml:2:1 cas-unnamed", ""},
		"no floor":                    {edited(t, ", min-isvsvn: 5", ""), "p.yaml:4:3 signer-without-floor", "every security version"},
		"a floor of 0":                {edited(t, "min-isvsvn: 5", "min-isvsvn: 0"), "p.yaml:4:106 signer-without-floor", ""},
		"an unprotected volume":       {strict + "accept-deviations: [unprotected-volume]\n", "p.yaml:14:21 unprotected-volume-accepted", "runs SQL with every right and reads everything"},
		"debug":                       {edited(t, "enclave: false", "enclave: true"), "p.yaml:9:1 debug-enclave-allowed", "DEBUG ENCLAVES ARE ACCEPTED"},
		"out of date":                 {edited(t, "[SWHardeningNeeded]", "[SWHardeningNeeded, OutOfDate]"), "p.yaml:7:33 out-of-date-accepted", "OutOfDate is accepted"},
		"out of date and badly set":   {edited(t, "[SWHardeningNeeded]", "[OutOfDateConfigurationNeeded]"), "p.yaml:7:14 out-of-date-accepted", "OutOfDateConfigurationNeeded is accepted"},
		"servicing ends":              {edited(t, "[INTEL-SA-00615]", "[INTEL-DOC-10000]"), "p.yaml:8:21 end-of-servicing-accepted", "INTEL-DOC-10000"},
		"servicing has ended":         {edited(t, "[INTEL-SA-00615]", "[INTEL-SA-00615, INTEL-DOC-10001]"), "p.yaml:8:37 end-of-servicing-accepted", "INTEL-DOC-10001"},
		"enclaves not given":          {edited(t, "enclaves:\n  probe: {mrenclave: ["+probeMeasured+"]}\n", ""), "p.yaml:1:1 no-enclaves", ""},
		"enclaves of nothing":         {edited(t, "\n  probe: {mrenclave: ["+probeMeasured+"]}", ""), "p.yaml:5:1 no-enclaves", ""},
		"an enclave of nothing":       {edited(t, "mrenclave: ["+probeMeasured+"]", ""), "p.yaml:6:3 enclave-without-measurement", "of probe"},
		"an enclave of an empty list": {edited(t, "["+probeMeasured+"]", "[]"), "p.yaml:6:3 enclave-without-measurement", ""},
		"an enclave's signer":         {edited(t, "["+probeMeasured+"]", "["+probeMeasured+"], signer: {mrsigner: "+signedBy+"}"), "p.yaml:6:90 enclave-signer-unused", "of probe"},
		"two enclaves alike":          {edited(t, "accept-tcb", "  a.b:\n    mrenclave:\n      - "+casMeasured[:62]+"00\n      - "+probeMeasured+"\naccept-tcb"), "p.yaml:6:23 measurement-shared", "of probe is the one of a.b"},
		"an enclave like the CAS":     {edited(t, "["+probeMeasured+"]", casMeasured), "p.yaml:6:22 measurement-shared", "of probe is the one of the CAS"},
		"a long grace":                {edited(t, "24h", "721h"), "p.yaml:11:1 long-grace", "721h after"},
	} {
		t.Run(name, func(t *testing.T) {
			found := parsed(t, c.text).Weaknesses()
			if len(found) != 1 || found[0].Where+" "+found[0].ID != c.want || !strings.Contains(found[0].Text, c.inText) || found[0].Hint == "" {
				t.Errorf("got %+v, want %s with %q", found, c.want, c.inText)
			}
		})
	}
}

func TestNotWeak(t *testing.T) {
	for name, text := range map[string]string{
		"a CAS without signer":     edited(t, "\n  signer: {mrsigner: "+signedBy+", isvprodid: 41316, min-isvsvn: 5}", ""),
		"a floor of 1":             edited(t, "min-isvsvn: 5", "min-isvsvn: 1"),
		"other statuses":           edited(t, "[SWHardeningNeeded]", "[ConfigurationNeeded, ConfigurationAndSWHardeningNeeded]"),
		"other documents of Intel": edited(t, "[INTEL-SA-00615]", "[INTEL-DOC-10002]"),
		"30 days":                  edited(t, "24h", "720h"),
		"one enclave twice":        edited(t, "["+probeMeasured+"]", "["+probeMeasured+", "+probeMeasured+"]"),
	} {
		if found := parsed(t, text).Weaknesses(); len(found) > 0 {
			t.Errorf("%s: got %+v", name, found)
		}
	}
}

// A policy that was not read from a file has weaknesses too, but no places.
func TestWeaknessesWithoutDocument(t *testing.T) {
	p := policy.Policy{CAS: attest.Policy{AllowDebugEnclave: true, AcceptTCB: []sgx.TCBStatus{sgx.OutOfDate}}}
	var ids []string
	for _, w := range p.Weaknesses() {
		ids = append(ids, w.ID+w.Where)
	}
	if diff := cmp.Diff([]string{"cas-unnamed", "debug-enclave-allowed", "out-of-date-accepted", "no-enclaves"}, ids); diff != "" {
		t.Error(diff)
	}
}

func TestHours(t *testing.T) {
	for text, d := range map[string]time.Duration{"0s": 0, "168h": 168 * time.Hour, "1h30m": 90 * time.Minute, "10m": 10 * time.Minute, "1h0m1s": time.Hour + time.Second, "20h": 20 * time.Hour, "30s": 30 * time.Second} {
		if got := policy.Hours(d); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
		if back, err := time.ParseDuration(policy.Hours(d)); err != nil || back != d {
			t.Errorf("%q reads as %s, %v", text, back, err)
		}
	}
}

func TestExample(t *testing.T) {
	p := parsed(t, policy.Example())
	if found := p.Weaknesses(); len(found) > 0 {
		t.Errorf("the example is weak: %+v", found)
	}
	if p.CAS.ReferenceValues.Signer == nil || len(p.Enclaves) != 3 || len(p.CAS.AcceptTCB) == 0 || len(p.CAS.AcceptAdvisories) == 0 || p.Freshness.MinEvaluationNumber == 0 || p.Freshness.MaxAge == 0 {
		t.Errorf("the example leaves out something: %+v", p)
	}
}

// TestFiles reads documents that were valid before this package was.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.yaml"))
	if err != nil || len(files) < 3 {
		t.Fatalf("found %q, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Parse(file, text)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range []string{"mariadbd", "mariadb", "probe"} {
			if len(p.Enclaves[name]) != 1 {
				t.Errorf("%s: %s has %v", file, name, p.Enclaves[name])
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(strict))
	f.Add([]byte(policy.Example()))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policy.Parse("p.yaml", text)
		if err != nil {
			checkErrors(t, err)
			return
		}
		for _, s := range p.CAS.AcceptTCB {
			if s == sgx.Revoked || s == sgx.UpToDate || !slices.Contains(sgx.Statuses(), s) {
				t.Errorf("the status %q is accepted", s)
			}
		}
		for _, a := range p.CAS.AcceptAdvisories {
			if len(a) != len("INTEL-SA-00615") && len(a) != len("INTEL-DOC-10000") || strings.Trim(a, "INTELSADOC-0123456789") != "" {
				t.Errorf("the advisory %q is accepted", a)
			}
		}
		if s := p.CAS.ReferenceValues.Signer; s != nil && s.MRSIGNER == (sgx.Measurement{}) {
			t.Error("a signer of nobody is accepted")
		}
		for name, all := range p.Enclaves {
			if name == "" || slices.Contains(all, sgx.Measurement{}) {
				t.Errorf("the enclave %q is accepted with %v", name, all)
			}
		}
		if p.Freshness.Grace < 0 || p.Freshness.Grace > 90*24*time.Hour || p.Freshness.MaxAge < 0 || p.Freshness.MinEvaluationNumber < 0 {
			t.Errorf("got %+v", p)
		}
		for _, w := range p.Weaknesses() {
			if !strings.HasPrefix(w.Where, "p.yaml:") {
				t.Errorf("%s has no place", w.ID)
			}
		}
	})
}

func checkErrors(t *testing.T, err error) {
	t.Helper()
	var e *policy.Errors
	if !errors.As(err, &e) || len(e.Problems) == 0 || len(e.Problems) > 10 {
		t.Fatalf("got %#v", err)
	}
	for _, p := range e.Problems {
		if p.Line < 1 || p.Column < 1 || p.Problem == "" || strings.ContainsAny(p.Error()+p.Hint(), "\x1b\r\n\x07") {
			t.Errorf("got %q", p)
		}
	}
}
