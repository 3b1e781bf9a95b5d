package oracle

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/confidb/confidb/pkg/sgx"
)

// variant is one minted case: what is changed before and after it is made.
type variant struct {
	before, after func(*minter)
}

func mintedInputs(t testing.TB) map[string]input {
	t.Helper()
	inputs := map[string]input{}
	for _, kind := range []map[string]variant{
		statusVariants(), levelVariants(), revocationVariants(), ageVariants(), chainVariants(), quoteVariants(), documentVariants(),
	} {
		for name, v := range kind {
			if _, ok := inputs["minted/"+name]; ok {
				t.Fatalf("two cases have the name %s", name)
			}
			inputs["minted/"+name] = v.make(t)
		}
	}
	return inputs
}

func (v variant) make(t testing.TB) input {
	m := newMinter(t)
	if v.before != nil {
		v.before(m)
	}
	m.mint()
	if v.after != nil {
		v.after(m)
	}
	return m.input
}

// statusVariants are all pairs of statuses.
func statusVariants() map[string]variant {
	variants := map[string]variant{}
	for _, platform := range sgx.Statuses() {
		for _, qe := range sgx.Statuses() {
			variants[fmt.Sprintf("status/%s+%s", platform, qe)] = variant{before: func(m *minter) { m.authority.Status, m.authority.QEStatus = platform, qe }}
		}
	}
	for _, status := range sgx.Statuses() {
		variants["advisories/"+string(status)] = variant{before: func(m *minter) {
			m.authority.Status, m.authority.Advisories = status, []string{"INTEL-SA-00001", "INTEL-SA-00002"}
		}}
	}
	return variants
}

func levelVariants() map[string]variant {
	tcb := func(change func(*minter, object)) variant {
		return variant{after: func(m *minter) { m.editTCBInfo(func(o object) { change(m, o) }) }}
	}
	qe := func(change func(object)) variant { return variant{after: func(m *minter) { m.editQEIdentity(change) }} }
	component := func(tcb object) object { return tcb["sgxtcbcomponents"].([]any)[15].(object) }
	return map[string]variant{
		"level/svn-below":       tcb(func(m *minter, o object) { unreachable(m.t, o, func(tcb object) { component(tcb)["svn"] = 8 }) }),
		"level/pcesvn-below":    tcb(func(m *minter, o object) { unreachable(m.t, o, func(tcb object) { tcb["pcesvn"] = 8 }) }),
		"level/none":            tcb(func(_ *minter, o object) { firstLevel(o)["tcb"].(object)["pcesvn"] = 8 }),
		"level/above":           tcb(func(_ *minter, o object) { firstLevel(o)["tcb"].(object)["pcesvn"] = 6 }),
		"level/no-status":       tcb(func(_ *minter, o object) { delete(firstLevel(o), "tcbStatus") }),
		"level/unknown-status":  tcb(func(_ *minter, o object) { firstLevel(o)["tcbStatus"] = "Fine" }),
		"level/15-components":   tcb(fifteenComponents),
		"level/tcb-info-v2":     tcb(asVersion2),
		"level/fmspc-mismatch":  tcb(func(_ *minter, o object) { o["fmspc"] = "00606a000000" }),
		"level/pceid-mismatch":  tcb(func(_ *minter, o object) { o["pceId"] = "0001" }),
		"level/tdx-tcb-info":    tcb(func(_ *minter, o object) { o["id"] = "TDX" }),
		"qe/tdx-identity":       qe(func(o object) { o["id"] = "TD_QE" }),
		"qe/mrsigner":           qe(func(o object) { o["mrsigner"] = fmt.Sprintf("%064x", 1) }),
		"qe/isvprodid":          qe(func(o object) { o["isvprodid"] = 2 }),
		"qe/attributes":         qe(func(o object) { o["attributes"] = "15000000000000000000000000000000"; o["attributesMask"] = allOnes }),
		"qe/attributes-no-mask": qe(func(o object) { o["attributes"] = "15000000000000000000000000000000" }),
		"qe/miscselect":         qe(func(o object) { o["miscselect"] = "01000000" }),
		"qe/no-level":           qe(func(o object) { firstLevel(o)["tcb"].(object)["isvsvn"] = 9 }),
		"qe/no-status":          qe(func(o object) { delete(firstLevel(o), "tcbStatus") }),
		"qe/out-of-date-advisory": qe(func(o object) {
			firstLevel(o)["tcbStatus"] = sgx.OutOfDate
			firstLevel(o)["advisoryIDs"] = []string{"INTEL-SA-00003"}
		}),
	}
}

const allOnes = "ffffffffffffffffffffffffffffffff"

func fifteenComponents(_ *minter, o object) {
	tcb := firstLevel(o)["tcb"].(object)
	tcb["sgxtcbcomponents"] = tcb["sgxtcbcomponents"].([]any)[:15]
}

// asVersion2 gives a TCB info the form that API v3 had.
func asVersion2(_ *minter, o object) {
	delete(o, "id")
	o["version"] = 2
	tcb := object{"pcesvn": 7}
	for i := 1; i <= 16; i++ {
		tcb[fmt.Sprintf("sgxtcbcomp%02dsvn", i)] = 7
	}
	firstLevel(o)["tcb"] = tcb
}

func revocationVariants() map[string]variant {
	revoke := func(der func(*minter) []byte) variant {
		return variant{before: func(m *minter) { m.authority.Revoked = []*big.Int{m.certificate(der(m)).SerialNumber} }}
	}
	pck := func(m *minter) []byte { return derOf(certificates(m.platform.Chain)[0]) }
	return map[string]variant{
		"revoked/pck":        revoke(pck),
		"revoked/pck-ca":     revoke(func(m *minter) []byte { return m.authority.PCKCA.Certificate }),
		"revoked/tcb-signer": revoke(func(m *minter) []byte { return m.authority.TCBSigner.Certificate }),
		"revoked/another":    {before: func(m *minter) { m.authority.Revoked = []*big.Int{big.NewInt(1 << 62)} }},
		"crl/no-root":        {after: func(m *minter) { m.collateral.RootCRL = nil }},
		"crl/no-pck":         {after: func(m *minter) { m.collateral.PCKCRL = nil }},
		"crl/exchanged":      {after: func(m *minter) { m.collateral.RootCRL, m.collateral.PCKCRL = m.collateral.PCKCRL, m.collateral.RootCRL }},
		"crl/forged":         {after: func(m *minter) { m.collateral.PCKCRL = newMinter(m.t).collateralOf(mintedAt()).PCKCRL }},
		"crl/stale": {after: func(m *minter) {
			old := m.collateralOf(mintedAt().Add(-31 * day))
			m.collateral.RootCRL, m.collateral.PCKCRL = old.RootCRL, old.PCKCRL
		}},
	}
}

func ageVariants() map[string]variant {
	later := func(days int) variant {
		return variant{after: func(m *minter) { m.at = mintedAt().AddDate(0, 0, days) }}
	}
	nextUpdate := func(days, judged int) variant {
		return variant{after: func(m *minter) {
			set := func(o object) { o["nextUpdate"] = mintedAt().AddDate(0, 0, days).Format("2006-01-02T15:04:05Z") }
			m.editTCBInfo(set)
			m.editQEIdentity(set)
			m.at = mintedAt().AddDate(0, 0, judged)
			fresh := m.collateralOf(m.at)
			m.collateral.RootCRL, m.collateral.PCKCRL = fresh.RootCRL, fresh.PCKCRL
		}}
	}
	return map[string]variant{
		"age/29-days":                     later(29),
		"age/31-days":                     later(31),
		"age/clock-set-back":              later(-1),
		"age/chain-expired":               later(8 * 365),
		"age/next-update-7-of-10-days":    nextUpdate(7, 10),
		"age/next-update-90-of-60-days":   nextUpdate(90, 60),
		"age/evaluation-number-too-small": {after: func(m *minter) { m.minimum = 2 }},
		"age/evaluation-number-reached":   {after: func(m *minter) { m.minimum = 1 }},
	}
}

func chainVariants() map[string]variant {
	chain := func(change func(m *minter, parts [][]byte) [][]byte) variant {
		return variant{after: func(m *minter) {
			m.certify(sgx.PCKChain, slices.Concat(change(m, certificates(m.platform.Chain))...), nil)
		}}
	}
	return map[string]variant{
		"chain/other-edition-of-root": chain(func(m *minter, p [][]byte) [][]byte { return [][]byte{p[0], p[1], m.otherEdition()} }),
		"chain/tcb-signers-root-is-other": {after: func(m *minter) {
			m.collateral.TCBSigningChain = slices.Concat(certificates(m.collateral.TCBSigningChain)[0], m.otherEdition())
		}},
		"chain/no-root":                       chain(func(_ *minter, p [][]byte) [][]byte { return p[:2] }),
		"chain/disordered":                    chain(func(_ *minter, p [][]byte) [][]byte { return [][]byte{p[0], p[2], p[1]} }),
		"chain/text-after-root":               chain(func(_ *minter, p [][]byte) [][]byte { return append(p, []byte("more")) }),
		"chain/nul-after-root":                chain(func(_ *minter, p [][]byte) [][]byte { return append(p, []byte{0}) }),
		"chain/foreign-root":                  {after: func(m *minter) { m.root = newMinter(m.t).authority.RootPEM() }},
		"chain/documents-of-foreign-root":     {after: func(m *minter) { m.collateral = newMinter(m.t).collateralOf(mintedAt()) }},
		"chain/pck-chain-as-tcb-signer":       {after: func(m *minter) { m.collateral.TCBSigningChain = m.platform.Chain }},
		"chain/pck-ca-not-intels":             {before: func(m *minter) { m.authority.PCKCA = m.newCA("Another CA"); m.newPlatform() }},
		"chain/pck-ca-is-tcb-signer":          {before: tcbSignerAsCA},
		"chain/tcb-signer-is-pck-ca":          {before: func(m *minter) { m.authority.TCBSigner = m.authority.PCKCA }},
		"chain/pck-issued-by-the-root-itself": {before: func(m *minter) { m.authority.PCKCA = m.authority.Root; m.newPlatform() }},
	}
}

// tcbSignerAsCA lets the TCB signer, which is no CA, issue the PCK certificate.
func tcbSignerAsCA(m *minter) {
	ca := m.authority.PCKCA
	m.authority.PCKCA = m.authority.TCBSigner
	m.newPlatform()
	m.authority.PCKCA = ca
}

func quoteVariants() map[string]variant {
	certified := func(kind uint16, data func(*minter) []byte) variant {
		return variant{after: func(m *minter) { m.withPCK(); m.certify(kind, data(m), nil) }}
	}
	long := func(*minter) []byte { return make([]byte, 404) }
	return map[string]variant{
		"quote/debug":                        {before: func(m *minter) { m.report.Attributes[0] |= 2 }},
		"quote/debug-in-debug-mode":          {before: func(m *minter) { m.report.Attributes[0] |= 2; m.debug = true }},
		"quote/production-in-debug-mode":     {before: func(m *minter) { m.debug = true }},
		"quote/not-initialised":              {before: func(m *minter) { m.report.Attributes[0] = 4 }},
		"quote/type-1":                       certified(sgx.PPIDClear, long),
		"quote/type-1-as-in-intels-sample":   certified(sgx.PPIDClear, func(*minter) []byte { return make([]byte, 36) }),
		"quote/type-3":                       certified(sgx.PPIDRSA3072, long),
		"quote/type-3-without-pck":           {after: func(m *minter) { m.certify(sgx.PPIDRSA3072, long(m), nil) }},
		"quote/type-4":                       certified(sgx.PCKLeaf, func(m *minter) []byte { return certificates(m.platform.Chain)[0] }),
		"quote/type-7":                       certified(7, long),
		"quote/bytes-after":                  {after: func(m *minter) { m.quote = append(m.quote, 0, 0, 0, 0) }},
		"quote/bytes-within-signature-data":  {after: func(m *minter) { m.certify(sgx.PCKChain, m.platform.Chain, []byte{0, 0, 0, 0}) }},
		"quote/cut":                          {after: func(m *minter) { m.quote = m.quote[:len(m.quote)-1] }},
		"quote/open-enclave":                 {after: func(m *minter) { m.quote = openEnclave(m.quote) }},
		"quote/other-form-of-the-signature":  {after: func(m *minter) { m.quote = negated(m.quote) }},
		"quote/forged-body":                  {after: forgeBody},
		"quote/forged-body-when-out-of-date": {before: func(m *minter) { m.authority.Status = sgx.OutOfDate }, after: forgeBody},
		"quote/of-another-platform":          {after: func(m *minter) { other := newMinter(m.t); other.mint(); m.quote = other.quote }},
	}
}

// forgeBody changes the MRENCLAVE of a quote that is signed already.
func forgeBody(m *minter) {
	const mrenclaveAt = 48 + 64
	m.quote = bytes.Clone(m.quote)
	m.quote[mrenclaveAt] ^= 1
}

// openEnclave puts Open Enclave's header before a quote.
func openEnclave(quote []byte) []byte {
	header := []byte{1, 0, 0, 0, 2, 0, 0, 0}
	return append(binary.LittleEndian.AppendUint64(header, uint64(len(quote))), quote...)
}

// negated replaces s of the quote's signature by n − s, which is as valid.
func negated(quote []byte) []byte {
	const sAt = signatureAt + 32
	order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
	quote = bytes.Clone(quote)
	s := new(big.Int).SetBytes(quote[sAt : sAt+32])
	order.Sub(order, s).FillBytes(quote[sAt : sAt+32])
	return quote
}

func documentVariants() map[string]variant {
	return map[string]variant{
		"documents/no-tcb-info":      {after: func(m *minter) { m.collateral.TCBInfo = nil }},
		"documents/no-qe-identity":   {after: func(m *minter) { m.collateral.QEIdentity = nil }},
		"documents/no-signing-chain": {after: func(m *minter) { m.collateral.TCBSigningChain = nil }},
		"documents/exchanged": {after: func(m *minter) {
			m.collateral.TCBInfo, m.collateral.QEIdentity = m.collateral.QEIdentity, m.collateral.TCBInfo
		}},
		"documents/additional-member": {after: func(m *minter) { m.collateral.TCBInfo = withMember(m, m.collateral.TCBInfo) }},
		"documents/tampered-tcb-info": {after: func(m *minter) {
			m.collateral.TCBInfo = bytes.Replace(m.collateral.TCBInfo, []byte(`"pcesvn":7`), []byte(`"pcesvn":6`), 1)
		}},
		"documents/tampered-qe": {after: func(m *minter) {
			m.collateral.QEIdentity = bytes.Replace(m.collateral.QEIdentity, []byte(`"isvsvn":8`), []byte(`"isvsvn":7`), 1)
		}},
		"documents/signed-by-pck-ca": {before: signedByPCKCA},
	}
}

// signedByPCKCA lets the key of the PCK CA sign the documents under the real
// signer's certificate.
func signedByPCKCA(m *minter) { m.authority.TCBSigner.Key = m.authority.PCKCA.Key }

// withMember adds to the wrapper a member that nothing signs.
func withMember(m *minter, wrapper []byte) []byte {
	var members map[string]json.RawMessage
	must(m.t, json.Unmarshal(wrapper, &members))
	members["note"] = json.RawMessage("1")
	text, err := json.Marshal(members)
	must(m.t, err)
	return text
}
