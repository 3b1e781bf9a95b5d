package sgx_test

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

var mintedAt = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// minted is a platform with its collateral, and what they are verified with.
type minted struct {
	sgx.Options
	t         testing.TB
	authority *sgxmint.Authority
	platform  *sgxmint.Platform
	root      []byte // PEM
	files     map[string][]byte
	quote     []byte
}

func mint(t testing.TB, change func(*sgxmint.Authority, *sgxmint.Platform)) minted {
	t.Helper()
	a, err := sgxmint.NewAuthority(mintedAt)
	must(t, err)
	p, err := sgxmint.NewPlatform(a, mintedAt)
	must(t, err)
	if change != nil {
		change(a, p)
	}
	m := minted{Options: sgx.Options{Time: mintedAt}, t: t, authority: a, platform: p, root: a.RootPEM()}
	m.files = m.filesOf(mintedAt)
	m.requote(sgx.ReportBody{MRENCLAVE: sgx.Measurement{1}, Attributes: [16]byte{5}})
	return m
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (m *minted) filesOf(at time.Time) map[string][]byte {
	files, err := m.authority.CollateralFiles(at)
	must(m.t, err)
	return files
}

func (m *minted) requote(report sgx.ReportBody) {
	quote, err := m.platform.Quote(report)
	must(m.t, err)
	m.quote = quote
}

// replatform makes the platform anew, under the PCK CA that the authority has now.
func (m *minted) replatform() {
	p, err := sgxmint.NewPlatform(m.authority, mintedAt)
	must(m.t, err)
	m.platform = p
	m.requote(sgx.ReportBody{MRENCLAVE: sgx.Measurement{1}, Attributes: [16]byte{5}})
}

func (m *minted) issuer(name string, parent *sgxmint.Issuer, ca bool) sgxmint.Issuer {
	i, err := sgxmint.NewIssuer(name, parent, ca, mintedAt)
	must(m.t, err)
	return i
}

func (m *minted) verify() (*sgx.Result, error) {
	set, err := sgx.CollateralFromFiles(m.files)
	if err != nil {
		return nil, err
	}
	if m.Roots, err = sgx.RootFromPEM(m.root); err != nil {
		return nil, err
	}
	return sgx.Verify(m.quote, set[0], m.Options)
}

// object is a JSON object of Intel's documents.
type object = map[string]any

const tcbFile, qeFile = "tcbInfo.json", "qeIdentity.json"

// edit changes a document and signs it again.
func (m *minted) edit(file string, change func(object)) {
	member := map[string]string{tcbFile: "tcbInfo", qeFile: "enclaveIdentity"}[file]
	var wrapper map[string]object
	if err := json.Unmarshal(m.files[file], &wrapper); err != nil && wrapper[member] == nil {
		m.t.Fatal(err) // the signature is no object, and is replaced
	}
	change(wrapper[member])
	text, err := json.Marshal(wrapper[member])
	must(m.t, err)
	m.files[file], err = m.authority.Sign(member, text)
	must(m.t, err)
}

// firstLevel is the only level of a minted document.
func firstLevel(document object) object { return document["tcbLevels"].([]any)[0].(object) }

// levelAbove puts before the only level one that is up to date and asks for more;
// the platform or quoting enclave that does not reach it is out of date.
func levelAbove(document object, ask func(tcb object)) {
	has := firstLevel(document)
	text, _ := json.Marshal(has)
	var above object
	_ = json.Unmarshal(text, &above)
	ask(above["tcb"].(object))
	has["tcbStatus"] = sgx.OutOfDate
	document["tcbLevels"] = []any{above, has}
}

// split returns each certificate of a PEM text as a text.
func split(text []byte) [][]byte {
	var parts [][]byte
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return parts
		}
		parts, text = append(parts, pem.EncodeToMemory(block)), rest
	}
}

func serial(t testing.TB, text []byte) *big.Int {
	t.Helper()
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	return c.SerialNumber
}

// Offsets into a quote (Intel SGX ECDSA Quote Library Reference, appendix A).
const (
	mrenclaveAt       = 48 + 64
	signatureLengthAt = 432
	signatureAt       = signatureLengthAt + 4
	qeReportAt        = signatureAt + 64 + 64
	authenticationAt  = qeReportAt + 384 + 64
)

// certify replaces the certification data, which nothing signs.
func (m *minted) certify(kind uint16, data []byte) {
	end := authenticationAt + 2 + int(binary.LittleEndian.Uint16(m.quote[authenticationAt:]))
	quote := binary.LittleEndian.AppendUint16(bytes.Clone(m.quote[:end]), kind)
	quote = binary.LittleEndian.AppendUint32(quote, uint32(len(data)))
	quote = append(quote, data...)
	binary.LittleEndian.PutUint32(quote[signatureLengthAt:], uint32(len(quote)-signatureAt))
	m.quote = quote
}

// withPCK gives the PCK certificate and its issuers beside the quote.
func (m *minted) withPCK() {
	chain := split(m.platform.Chain)
	m.files["pckCert.pem"], m.files["pckSignChain.pem"] = chain[0], slices.Concat(chain[1:]...)
}

// openEnclave puts Open Enclave's header before a quote.
func openEnclave(quote []byte) []byte {
	header := []byte{1, 0, 0, 0, 2, 0, 0, 0}
	return append(binary.LittleEndian.AppendUint64(header, uint64(len(quote))), quote...)
}

// Intel's quote verification library knows of a quoting enclave that is up to date,
// revoked, or else out of date (facts §2.8). The three columns are these.
func mergeTable() map[sgx.TCBStatus][3]sgx.TCBStatus {
	const toDate, hardening, configuration, both, old, oldConfiguration, revoked = "UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded", "Revoked"
	return map[sgx.TCBStatus][3]sgx.TCBStatus{
		toDate:           {toDate, old, revoked},
		hardening:        {hardening, old, revoked},
		configuration:    {configuration, oldConfiguration, revoked},
		both:             {both, oldConfiguration, revoked},
		old:              {old, old, revoked},
		oldConfiguration: {oldConfiguration, oldConfiguration, revoked},
		revoked:          {revoked, revoked, revoked},
	}
}

func TestEveryPairOfStatuses(t *testing.T) {
	table := mergeTable()
	if len(table) != len(sgx.Statuses()) {
		t.Fatalf("the table has %d statuses, the package %d", len(table), len(sgx.Statuses()))
	}
	for platform, row := range table {
		for _, qe := range sgx.Statuses() {
			want := row[1]
			switch qe {
			case sgx.UpToDate:
				want = row[0]
			case sgx.Revoked:
				want = row[2]
			}
			m := mint(t, func(a *sgxmint.Authority, _ *sgxmint.Platform) { a.Status, a.QEStatus = platform, qe })
			r, err := m.verify()
			must(t, err)
			if r.Status != want || r.PlatformStatus != platform || r.QEStatus != qe {
				t.Errorf("%s and %s: got %s of %s and %s, want %s", platform, qe, r.Status, r.PlatformStatus, r.QEStatus, want)
			}
			if !r.Simulated || r.Findings.Verdict() != check.Affirming {
				t.Errorf("%s and %s: simulated %v, verdict %s", platform, qe, r.Simulated, r.Findings.Verdict())
			}
		}
	}
}

// Of 17 security versions, each alone keeps a platform from a level.
func TestEverySecurityVersionCounts(t *testing.T) {
	for n := range 17 {
		for asked, want := range map[int]sgx.TCBStatus{6: sgx.UpToDate, 7: sgx.UpToDate, 8: sgx.OutOfDate} {
			m := mint(t, nil)
			m.edit(tcbFile, func(o object) {
				levelAbove(o, func(tcb object) {
					if n == 16 {
						tcb["pcesvn"] = asked
						return
					}
					tcb["sgxtcbcomponents"].([]any)[n].(object)["svn"] = asked
				})
			})
			r, err := m.verify()
			must(t, err)
			if r.Status != want {
				t.Errorf("component %d: the platform has 7, the level asks for %d: got %s, want %s", n+1, asked, r.Status, want)
			}
		}
	}
}

// change makes a case from a minted one.
type change func(*minted)

// accepted is a case of which nothing is in doubt.
type accepted struct {
	change     change
	status     sgx.TCBStatus
	advisories []string
}

func acceptedCases() map[string]accepted {
	tcb := func(status sgx.TCBStatus, change func(object)) accepted {
		return accepted{func(m *minted) { m.edit(tcbFile, change) }, status, nil}
	}
	qe := func(status sgx.TCBStatus, change func(object)) accepted {
		return accepted{func(m *minted) { m.edit(qeFile, change) }, status, nil}
	}
	certified := func(kind uint16, data func(*minted) []byte) accepted {
		return accepted{func(m *minted) { m.withPCK(); m.certify(kind, data(m)) }, sgx.UpToDate, nil}
	}
	ppid := func(*minted) []byte { return make([]byte, 404) }
	return map[string]accepted{
		"as minted":                      {func(*minted) {}, sgx.UpToDate, nil},
		"PCESVN above the level":         tcb(sgx.UpToDate, func(o object) { firstLevel(o)["tcb"].(object)["pcesvn"] = 6 }),
		"PCESVN below the level":         tcb(sgx.OutOfDate, func(o object) { levelAbove(o, func(tcb object) { tcb["pcesvn"] = 8 }) }),
		"the first level counts":         tcb(sgx.SWHardeningNeeded, twoEqualLevels),
		"QE below the level":             qe(sgx.OutOfDate, func(o object) { levelAbove(o, func(tcb object) { tcb["isvsvn"] = 9 }) }),
		"QE at the level":                qe(sgx.UpToDate, func(o object) { levelAbove(o, func(tcb object) { tcb["isvsvn"] = 8 }) }),
		"QE attributes masked out":       qe(sgx.UpToDate, func(o object) { o["attributesMask"], o["attributes"] = zeros(16), zeros(16) }),
		"other members of the documents": qe(sgx.UpToDate, func(o object) { o["somethingNew"] = 1 }),
		"advisories of both levels": {func(m *minted) {
			m.edit(tcbFile, advisories("INTEL-SA-00001", "INTEL-DOC-10000"))
			m.edit(qeFile, advisories("INTEL-SA-00002", "INTEL-SA-00001", "INTEL-DOC-10001"))
		}, sgx.UpToDate, []string{"INTEL-SA-00001", "INTEL-DOC-10000", "INTEL-SA-00002", "INTEL-DOC-10001"}},
		"advisories of the QE":   {func(m *minted) { m.edit(qeFile, advisories("INTEL-DOC-10001")) }, sgx.UpToDate, []string{"INTEL-DOC-10001"}},
		"certification type 1":   certified(sgx.PPIDClear, ppid),
		"certification type 2":   certified(sgx.PPIDRSA2048, ppid),
		"certification type 3":   certified(sgx.PPIDRSA3072, ppid),
		"certification type 4":   certified(sgx.PCKLeaf, func(m *minted) []byte { return split(m.platform.Chain)[0] }),
		"type 5 and NUL":         certified(sgx.PCKChain, func(m *minted) []byte { return append(bytes.Clone(m.platform.Chain), 0) }),
		"spare PCK certificate":  {(*minted).withPCK, sgx.UpToDate, nil},
		"report of Open Enclave": {func(m *minted) { m.quote = openEnclave(m.quote) }, sgx.UpToDate, nil},
		"bytes after the quote":  {func(m *minted) { m.quote = append(m.quote, 1, 2, 3) }, sgx.UpToDate, nil},
		"debug enclave":          {func(m *minted) { m.requote(sgx.ReportBody{Attributes: [16]byte{7}}) }, sgx.UpToDate, nil},
		"other edition of the root in the quote": {func(m *minted) {
			chain := split(m.platform.Chain)
			m.certify(sgx.PCKChain, slices.Concat(chain[0], chain[1], m.otherEdition()))
		}, sgx.UpToDate, nil},
		"other edition of the root in the signing chain": {func(m *minted) {
			m.files["tcbSignChain.pem"] = slices.Concat(m.authority.TCBSigner.PEM(), m.otherEdition())
		}, sgx.UpToDate, nil},
		"other edition of the root trusted": {func(m *minted) { m.root = m.otherEdition() }, sgx.UpToDate, nil},
		"processor CA":                      {func(m *minted) { m.underCA("Intel SGX PCK Processor CA", &m.authority.Root) }, sgx.UpToDate, nil},
		"another serial number revoked": {func(m *minted) {
			m.authority.Revoked = []*big.Int{big.NewInt(1 << 62)}
			m.files = m.filesOf(mintedAt)
		}, sgx.UpToDate, nil},
	}
}

func (m *minted) otherEdition() []byte {
	edition, err := m.authority.Root.OtherEdition()
	must(m.t, err)
	return edition.PEM()
}

func zeros(n int) string { return strings.Repeat("00", n) }

func advisories(ids ...string) func(object) {
	return func(o object) { firstLevel(o)["advisoryIDs"] = ids }
}

// twoEqualLevels leaves it to the order which of two levels counts.
func twoEqualLevels(o object) {
	levelAbove(o, func(object) {})
	firstLevel(o)["tcbStatus"] = sgx.SWHardeningNeeded
}

// underCA lets a PCK CA of some name certify the platform anew.
func (m *minted) underCA(name string, parent *sgxmint.Issuer) {
	m.authority.PCKCA = m.issuer(name, parent, true)
	m.replatform()
	m.files = m.filesOf(mintedAt)
}

func TestAccepted(t *testing.T) {
	for name, c := range acceptedCases() {
		t.Run(name, func(t *testing.T) {
			m := mint(t, nil)
			c.change(&m)
			r, err := m.verify()
			must(t, err)
			if r.Status != c.status || r.Findings.Verdict() != check.Affirming || !r.Simulated {
				t.Errorf("got %s, simulated %v, %+v; want %s", r.Status, r.Simulated, r.Findings, c.status)
			}
			if diff := cmp.Diff(c.advisories, r.Advisories); diff != "" {
				t.Errorf("advisories (-want +got):\n%s", diff)
			}
			_, trailing := r.Findings.Find("quote-trailing-bytes")
			if want := name == "bytes after the quote"; trailing != want || (r.Quote.TrailingBytes == 3) != want {
				t.Errorf("%d bytes after the quote, finding %v", r.Quote.TrailingBytes, trailing)
			}
			if want := name == "debug enclave"; r.Quote.Report.Debug() != want {
				t.Errorf("Debug() = %v", !want)
			}
		})
	}
}

// doubtful is a case that is judged and not proven. said has the outcome and the
// code of every finding that is no pass, in order.
type doubtful struct {
	change           change
	said             []string
	status           sgx.TCBStatus
	platformsIsKnown bool
}

func doubtfulCases() map[string]doubtful {
	const known = true
	without := func(file string) change { return func(m *minted) { delete(m.files, file) } }
	at := func(later time.Duration) change { return func(m *minted) { m.Time = mintedAt.Add(later) } }
	made := func(later time.Duration, file string) change {
		return func(m *minted) { m.files[file] = m.filesOf(mintedAt.Add(later))[file] }
	}
	tcb := func(change func(object)) change { return func(m *minted) { m.edit(tcbFile, change) } }
	qe := func(change func(object)) change { return func(m *minted) { m.edit(qeFile, change) } }
	revoke := func(of func(*minted) []byte) change {
		return func(m *minted) {
			m.authority.Revoked = []*big.Int{serial(m.t, of(m))}
			m.files = m.filesOf(mintedAt)
		}
	}
	pck := func(m *minted) []byte { return m.platform.Chain }
	return map[string]doubtful{
		"no signing chain": {without("tcbSignChain.pem"), []string{"skip no-tcb-signing-chain", "skip no-tcb-signing-chain", "skip no-tcb-signing-chain"}, "", !known},
		"no TCB info":      {without(tcbFile), []string{"skip no-tcb-info"}, "", !known},
		"no QE identity":   {without(qeFile), []string{"skip no-qe-identity"}, "", known},
		"no root CRL":      {without("rootCaCrl.der"), []string{"skip no-root-crl"}, sgx.UpToDate, known},
		"no PCK CRL":       {without("pckCaCrl.der"), []string{"skip no-pck-crl"}, sgx.UpToDate, known},

		"everything out of date": {at(31 * day), []string{"fail tcb-info-expired", "fail qe-identity-expired", "fail root-crl-expired", "fail pck-crl-expired"}, sgx.UpToDate, known},
		"the last second":        {at(30*day + time.Second), []string{"fail tcb-info-expired", "fail qe-identity-expired", "fail root-crl-expired", "fail pck-crl-expired"}, sgx.UpToDate, known},
		"chains expired": {at(8 * 365 * day), []string{"fail pck-chain-expired", "fail tcb-signing-chain-expired", "fail tcb-info-expired", "fail qe-identity-expired",
			"fail root-crl-expired", "fail pck-crl-expired"}, sgx.UpToDate, known},
		"clock set back": {at(-2 * time.Hour), []string{"skip pck-chain-not-yet-valid", "skip tcb-signing-chain-not-yet-valid", "skip tcb-info-not-yet-valid", "skip qe-identity-not-yet-valid",
			"skip root-crl-not-yet-valid", "skip pck-crl-not-yet-valid"}, sgx.UpToDate, known},
		"grace does not save a chain": {func(m *minted) { m.Time, m.Grace = mintedAt.AddDate(7, 0, 1), 10*365*day }, []string{"fail pck-chain-expired", "fail tcb-signing-chain-expired",
			"warn tcb-info-expired", "warn qe-identity-expired", "warn root-crl-expired", "warn pck-crl-expired"}, sgx.UpToDate, known},
		"within the grace": {func(m *minted) { m.Time, m.Grace = mintedAt.Add(31*day), day }, []string{"warn tcb-info-expired", "warn qe-identity-expired", "warn root-crl-expired", "warn pck-crl-expired"}, sgx.UpToDate, known},
		"after the grace": {func(m *minted) { m.Time, m.Grace = mintedAt.Add(31*day+time.Second), day },
			[]string{"fail tcb-info-expired", "fail qe-identity-expired", "fail root-crl-expired", "fail pck-crl-expired"}, sgx.UpToDate, known},
		"stale TCB info":        {made(-31*day, tcbFile), []string{"fail tcb-info-expired"}, sgx.UpToDate, known},
		"stale QE identity":     {made(-31*day, qeFile), []string{"fail qe-identity-expired"}, sgx.UpToDate, known},
		"stale root CRL":        {made(-31*day, "rootCaCrl.der"), []string{"fail root-crl-expired"}, sgx.UpToDate, known},
		"stale PCK CRL":         {made(-31*day, "pckCaCrl.der"), []string{"fail pck-crl-expired"}, sgx.UpToDate, known},
		"TCB info of tomorrow":  {made(day, tcbFile), []string{"skip tcb-info-not-yet-valid"}, sgx.UpToDate, known},
		"identity of tomorrow":  {made(day, qeFile), []string{"skip qe-identity-not-yet-valid"}, sgx.UpToDate, known},
		"root CRL of tomorrow":  {made(day, "rootCaCrl.der"), []string{"skip root-crl-not-yet-valid"}, sgx.UpToDate, known},
		"PCK CRL of tomorrow":   {made(day, "pckCaCrl.der"), []string{"skip pck-crl-not-yet-valid"}, sgx.UpToDate, known},
		"older than wanted":     {func(m *minted) { m.Time, m.MaxAge = mintedAt.Add(2*day), day }, []string{"fail tcb-info-too-old", "fail qe-identity-too-old"}, sgx.UpToDate, known},
		"an earlier evaluation": {func(m *minted) { m.MinEvaluationDataNumber = 2 }, []string{"fail tcb-evaluation-number-too-low"}, sgx.UpToDate, known},
		"an earlier evaluation of the QE": {func(m *minted) {
			m.edit(tcbFile, func(o object) { o["tcbEvaluationDataNumber"] = 2 })
			m.MinEvaluationDataNumber = 2
		}, []string{"fail tcb-evaluation-number-too-low"}, sgx.UpToDate, known},

		"PCK revoked":        {revoke(pck), []string{"fail pck-revoked"}, sgx.UpToDate, known},
		"PCK CA revoked":     {revoke(func(m *minted) []byte { return m.authority.PCKCA.PEM() }), []string{"fail pck-ca-revoked"}, sgx.UpToDate, known},
		"TCB signer revoked": {revoke(func(m *minted) []byte { return m.authority.TCBSigner.PEM() }), []string{"fail tcb-signer-revoked"}, sgx.UpToDate, known},
		"PCK revoked on a list within its grace": {func(m *minted) { revoke(pck)(m); m.Time, m.Grace = mintedAt.Add(31*day), day },
			[]string{"warn tcb-info-expired", "warn qe-identity-expired", "warn root-crl-expired", "fail pck-revoked"}, sgx.UpToDate, known},
		"lists exchanged": {func(m *minted) {
			m.files["rootCaCrl.der"], m.files["pckCaCrl.der"] = m.files["pckCaCrl.der"], m.files["rootCaCrl.der"]
		}, []string{"fail root-crl-foreign", "fail pck-crl-foreign"}, sgx.UpToDate, known},
		"list of the other PCK CA": {func(m *minted) {
			list := m.files["pckCaCrl.der"]
			m.underCA("Intel SGX PCK Processor CA", &m.authority.Root)
			m.files["pckCaCrl.der"] = list
		}, []string{"fail pck-crl-foreign"}, sgx.UpToDate, known},

		"TCB info of another FMSPC": {tcb(func(o object) { o["fmspc"] = "00606a000000" }), []string{"fail tcb-info-mismatch"}, "", !known},
		"TCB info of another PCEID": {tcb(func(o object) { o["pceId"] = "0001" }), []string{"fail tcb-info-mismatch"}, "", !known},
		"TCB info of TDX":           {tcb(func(o object) { o["id"] = "TDX" }), []string{"fail tcb-info-mismatch"}, "", !known},
		"TCB info of nothing":       {tcb(func(o object) { delete(o, "id") }), []string{"fail tcb-info-mismatch"}, "", !known},
		"TCB info of version 2":     {tcb(asVersion2), []string{"skip tcb-info-version-2"}, sgx.UpToDate, known},
		"version 2 with the id TDX": {tcb(func(o object) { asVersion2(o); o["id"] = "TDX" }), []string{"skip tcb-info-version-2", "fail tcb-info-mismatch"}, "", !known},
		"no level of the platform":  {tcb(func(o object) { firstLevel(o)["tcb"].(object)["pcesvn"] = 8 }), []string{"fail tcb-not-supported"}, "", !known},
		"no levels at all":          {tcb(func(o object) { o["tcbLevels"] = []any{} }), []string{"fail tcb-not-supported"}, "", !known},
		"level of 15 components":    {tcb(fifteenComponents), []string{"fail tcb-not-supported"}, "", !known},
		"no level of a revoked QE": {func(m *minted) {
			tcb(func(o object) { o["tcbLevels"] = []any{} })(m)
			qe(func(o object) { firstLevel(o)["tcbStatus"] = sgx.Revoked })(m)
		}, []string{"fail tcb-not-supported"}, sgx.Revoked, !known},
		"identity of a TDX QE":      {qe(func(o object) { o["id"] = "TD_QE" }), []string{"fail qe-identity-foreign"}, "", known},
		"identity of QvE":           {qe(func(o object) { o["id"] = "QVE" }), []string{"fail qe-identity-foreign"}, "", known},
		"identity of version 1":     {qe(func(o object) { o["version"] = 1 }), []string{"fail qe-identity-foreign"}, "", known},
		"no level of the QE":        {qe(func(o object) { firstLevel(o)["tcb"].(object)["isvsvn"] = 9 }), []string{"fail qe-not-supported"}, "", known},
		"no levels of any QE":       {qe(func(o object) { o["tcbLevels"] = []any{} }), []string{"fail qe-not-supported"}, "", known},
		"list that nobody signed":   {func(m *minted) { m.files["pckCaCrl.der"] = nil; m.files["rootCaCrl.der"] = nil }, []string{"skip no-root-crl", "skip no-pck-crl"}, sgx.UpToDate, known},
		"neither list nor document": {func(m *minted) { m.files = map[string][]byte{"tcbSignChain.pem": m.files["tcbSignChain.pem"]} }, []string{"skip no-tcb-info", "skip no-root-crl", "skip no-pck-crl", "skip no-qe-identity"}, "", !known},
	}
}

// asVersion2 gives a TCB info the form that API v3 had.
func asVersion2(o object) {
	delete(o, "id")
	o["version"] = 2
	tcb := object{"pcesvn": 7}
	for i := 1; i <= 16; i++ {
		tcb[fmt.Sprintf("sgxtcbcomp%02dsvn", i)] = 7
	}
	firstLevel(o)["tcb"] = tcb
}

func fifteenComponents(o object) {
	tcb := firstLevel(o)["tcb"].(object)
	tcb["sgxtcbcomponents"] = tcb["sgxtcbcomponents"].([]any)[:15]
}

func TestDoubtful(t *testing.T) {
	for name, c := range doubtfulCases() {
		t.Run(name, func(t *testing.T) {
			m := mint(t, nil)
			c.change(&m)
			r, err := m.verify()
			if err != nil {
				t.Fatalf("nothing is forged, so it must be judged: %v", err)
			}
			if diff := cmp.Diff(c.said, notPassed(t, r.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if r.Status != c.status || (r.PlatformStatus != "") != c.platformsIsKnown || r.Quote.Report.MRENCLAVE[0] != 1 {
				t.Errorf("got %q, platform %q, MRENCLAVE %s; want %q", r.Status, r.PlatformStatus, r.Quote.Report.MRENCLAVE, c.status)
			}
			if v := r.Findings.Verdict(); v == check.Affirming || (v == check.Warning) != onlyWarnings(c.said) {
				t.Errorf("verdict %s", v)
			}
		})
	}
}

// notPassed are the outcomes and codes of what is no pass; each must say what to do.
func notPassed(t *testing.T, findings check.Report) []string {
	t.Helper()
	var said []string
	for _, f := range findings {
		if f.Outcome == check.Pass {
			continue
		}
		code, text, _ := strings.Cut(f.Reason, ": ")
		if text == "" || f.Hint == "" && f.Outcome != check.Warn {
			t.Errorf("%s: got reason %q and hint %q", f.ID, f.Reason, f.Hint)
		}
		if code == string(sgx.TCBInfoVersion2) && !strings.Contains(f.Reason, "API v4") {
			t.Errorf("%s: got %q, want the name of the API that has version 3", f.ID, f.Reason)
		}
		said = append(said, f.Outcome.String()+" "+code)
	}
	return said
}

func onlyWarnings(said []string) bool {
	return !slices.ContainsFunc(said, func(s string) bool { return !strings.HasPrefix(s, "warn ") })
}

// refused is a case of which nothing counts.
type refused struct {
	change change
	code   sgx.Code
}

func refusedCases() map[string]refused {
	cases := map[string]refused{}
	for _, some := range []map[string]refused{refusedQuotes(), refusedPCKChains(), refusedSigningChains(), refusedDocuments(), refusedLists()} {
		maps.Copy(cases, some)
	}
	return cases
}

func refusedQuotes() map[string]refused {
	put := func(at int, value ...byte) change {
		return func(m *minted) { copy(m.quote[at:], value) }
	}
	flip := func(at int) change { return func(m *minted) { m.quote[at] ^= 1 } }
	certified := func(kind uint16) change { return func(m *minted) { m.certify(kind, make([]byte, 404)) } }
	return map[string]refused{
		"version 4 of SGX":           {put(0, 4), sgx.QuoteUnsupported},
		"version 4 of TDX":           {put(0, 4, 0, 2, 0, 0x81), sgx.QuoteUnsupported},
		"version 5":                  {put(0, 5), sgx.QuoteUnsupported},
		"version 2":                  {put(0, 2), sgx.QuoteUnreadable},
		"attestation key type 3":     {put(2, 3), sgx.QuoteUnsupported},
		"version 3 of TDX":           {put(4, 0x81), sgx.QuoteUnsupported},
		"another vendor":             {flip(12), sgx.QuoteUnsupported},
		"body changed":               {flip(mrenclaveAt), sgx.QuoteSignatureInvalid},
		"debug bit cleared":          {func(m *minted) { m.requote(sgx.ReportBody{Attributes: [16]byte{7}}); m.quote[48+48] ^= 2 }, sgx.QuoteSignatureInvalid},
		"signature changed":          {flip(signatureAt), sgx.QuoteSignatureInvalid},
		"signature of zeros":         {func(m *minted) { clear(m.quote[signatureAt : signatureAt+64]) }, sgx.QuoteSignatureInvalid},
		"QE report changed":          {flip(qeReportAt), sgx.QEReportInvalid},
		"QE signature of zeros":      {func(m *minted) { clear(m.quote[qeReportAt+384 : authenticationAt]) }, sgx.QEReportInvalid},
		"attestation key changed":    {flip(signatureAt + 64), sgx.AttestationKeyUnbound},
		"QE binding wrong":           {flip(authenticationAt + 2), sgx.AttestationKeyUnbound},
		"QE report of another PCK":   {func(m *minted) { m.platform.PCK = mint(m.t, nil).platform.PCK; m.requote(sgx.ReportBody{}) }, sgx.QEReportInvalid},
		"chain of another platform":  {chainOfAnother, sgx.QEReportInvalid},
		"type 1 without PCK":         {certified(sgx.PPIDClear), sgx.QuoteWithoutPCK},
		"type 2 without PCK":         {certified(sgx.PPIDRSA2048), sgx.QuoteWithoutPCK},
		"type 3 without PCK":         {certified(sgx.PPIDRSA3072), sgx.QuoteWithoutPCK},
		"type 4 without issuers":     {func(m *minted) { m.certify(sgx.PCKLeaf, split(m.platform.Chain)[0]) }, sgx.QuoteWithoutPCK},
		"type 0":                     {certified(0), sgx.QuoteUnsupported},
		"type 6":                     {certified(6), sgx.QuoteUnsupported},
		"type 7":                     {certified(7), sgx.QuoteUnsupported},
		"empty":                      {func(m *minted) { m.quote = nil }, sgx.QuoteUnreadable},
		"cut":                        {func(m *minted) { m.quote = m.quote[:len(m.quote)-1] }, sgx.QuoteUnreadable},
		"too long":                   {func(m *minted) { m.quote = append(m.quote, make([]byte, 1<<20)...) }, sgx.QuoteUnreadable},
		"more after Open Enclave":    {func(m *minted) { m.quote = append(openEnclave(m.quote), 0) }, sgx.QuoteUnreadable},
		"less after Open Enclave":    {func(m *minted) { m.quote = openEnclave(m.quote); m.quote = m.quote[:len(m.quote)-1] }, sgx.QuoteUnreadable},
		"bytes in the signature":     {bytesInside, sgx.QuoteUnreadable},
		"authentication data longer": {put(authenticationAt, 0xff, 0xff), sgx.QuoteUnreadable},
	}
}

// chainOfAnother gives a quote the certificates of another platform of the same CA.
func chainOfAnother(m *minted) {
	quote := m.quote
	m.replatform()
	m.quote = quote
	m.certify(sgx.PCKChain, m.platform.Chain)
}

// bytesInside puts bytes between the certification data and the end of the signature data.
func bytesInside(m *minted) {
	m.quote = append(m.quote, 0)
	binary.LittleEndian.PutUint32(m.quote[signatureLengthAt:], uint32(len(m.quote)-signatureAt))
}

func refusedPCKChains() map[string]refused {
	chain := func(change func(parts [][]byte) [][]byte) change {
		return func(m *minted) { m.certify(sgx.PCKChain, slices.Concat(change(split(m.platform.Chain))...)) }
	}
	leaf := func(make func(*minted) sgxmint.Issuer) change {
		return func(m *minted) {
			i := make(m)
			m.platform.PCK, m.platform.Chain = i.Key, slices.Concat(i.PEM(), m.authority.PCKCA.PEM(), m.authority.Root.PEM())
			m.requote(sgx.ReportBody{})
		}
	}
	const pck = "Intel SGX PCK Certificate"
	return map[string]refused{
		"another root trusted": {func(m *minted) { m.root = mint(m.t, nil).root }, sgx.RootUntrusted},
		"root that is none":    {func(m *minted) { m.root = []byte("root") }, sgx.RootCertificateUnusable},
		"root not self-signed": {func(m *minted) { m.root = m.authority.TCBSigner.PEM() }, sgx.RootCertificateUnusable},
		"no root":              {chain(func(p [][]byte) [][]byte { return p[:2] }), sgx.PCKChainInvalid},
		"leaf alone":           {chain(func(p [][]byte) [][]byte { return p[:1] }), sgx.PCKChainInvalid},
		"no certificate":       {chain(func([][]byte) [][]byte { return nil }), sgx.PCKChainInvalid},
		"disordered":           {chain(func(p [][]byte) [][]byte { return [][]byte{p[0], p[2], p[1]} }), sgx.PCKChainInvalid},
		"CA twice":             {chain(func(p [][]byte) [][]byte { return [][]byte{p[0], p[1], p[1], p[2]} }), sgx.PCKChainInvalid},
		"text after the root":  {chain(func(p [][]byte) [][]byte { return append(p, []byte("more")) }), sgx.PCKChainInvalid},
		"a key after the root": {chain(func(p [][]byte) [][]byte { return append(p, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"})) }), sgx.PCKChainInvalid},
		"PCK CA of other name": {func(m *minted) { m.underCA("Another CA", &m.authority.Root) }, sgx.PCKChainInvalid},
		"PCK CA that is none": {func(m *minted) {
			m.authority.PCKCA = m.issuer("Intel SGX PCK Platform CA", &m.authority.Root, false)
			m.replatform()
		}, sgx.PCKChainInvalid},
		"PCK CA of the signer":  {func(m *minted) { m.underCA("Intel SGX PCK Platform CA", &m.authority.TCBSigner) }, sgx.PCKChainInvalid},
		"PCK of the TCB signer": {func(m *minted) { m.authority.PCKCA = m.authority.TCBSigner; m.replatform() }, sgx.PCKChainInvalid},
		"PCK of the root":       {func(m *minted) { m.authority.PCKCA = m.authority.Root; m.replatform() }, sgx.PCKChainInvalid},
		"PCK of a forged CA":    {forgedCA, sgx.PCKChainInvalid},
		"PCK that is a CA":      {leaf(func(m *minted) sgxmint.Issuer { return m.issuer(pck, &m.authority.PCKCA, true) }), sgx.PCKChainInvalid},
		"PCK of other name":     {leaf(func(m *minted) sgxmint.Issuer { return m.issuer("Another", &m.authority.PCKCA, false) }), sgx.PCKChainInvalid},
		"TCB signer as PCK":     {leaf(func(m *minted) sgxmint.Issuer { return m.authority.TCBSigner }), sgx.PCKChainInvalid},
		"PCK without extension": {leaf(func(m *minted) sgxmint.Issuer { return m.issuer(pck, &m.authority.PCKCA, false) }), sgx.PCKExtensionUnreadable},
		"spare PCK of another": {func(m *minted) {
			m.withPCK()
			m.files["pckCert.pem"] = split(mint(m.t, nil).platform.Chain)[0]
		}, sgx.PCKChainInvalid},
		"spare issuers of another": {func(m *minted) {
			m.withPCK()
			m.files["pckSignChain.pem"] = slices.Concat(split(mint(m.t, nil).platform.Chain)[1:]...)
		}, sgx.RootUntrusted},
	}
}

// forgedCA certifies the platform by a CA of the same name with another key, and
// shows the real CA's certificate.
func forgedCA(m *minted) {
	real := m.authority.PCKCA
	m.authority.PCKCA = m.issuer("Intel SGX PCK Platform CA", &m.authority.Root, true)
	m.replatform()
	m.authority.PCKCA = real
	m.certify(sgx.PCKChain, slices.Concat(split(m.platform.Chain)[0], real.PEM(), m.root))
}

func refusedSigningChains() map[string]refused {
	const name = "Intel SGX TCB Signing"
	// by lets another signer sign the documents, with the certificates after it.
	by := func(signer func(*minted) sgxmint.Issuer, after func(*minted) [][]byte) change {
		return func(m *minted) {
			m.authority.TCBSigner = signer(m)
			m.files = m.filesOf(mintedAt)
			m.files["tcbSignChain.pem"] = slices.Concat(append([][]byte{m.authority.TCBSigner.PEM()}, after(m)...)...)
		}
	}
	root := func(m *minted) [][]byte { return [][]byte{m.root} }
	ca := func(m *minted) [][]byte { return [][]byte{m.authority.PCKCA.PEM()} }
	both := func(m *minted) [][]byte { return append(ca(m), m.root) }
	underCA := func(m *minted) sgxmint.Issuer { return m.issuer(name, &m.authority.PCKCA, false) }
	return map[string]refused{
		"signing chain of another root": {func(m *minted) { m.files["tcbSignChain.pem"] = mint(m.t, nil).files["tcbSignChain.pem"] }, sgx.RootUntrusted},
		"PCK chain as signing chain":    {func(m *minted) { m.files["tcbSignChain.pem"] = m.platform.Chain }, sgx.TCBSigningChainInvalid},
		"signer that is a CA":           {by(func(m *minted) sgxmint.Issuer { return m.issuer(name, &m.authority.Root, true) }, root), sgx.TCBSigningChainInvalid},
		"PCK CA as signer":              {by(func(m *minted) sgxmint.Issuer { return m.authority.PCKCA }, root), sgx.TCBSigningChainInvalid},
		"signer of other name":          {by(func(m *minted) sgxmint.Issuer { return m.issuer("Another", &m.authority.Root, false) }, root), sgx.TCBSigningChainInvalid},
		"signer of the PCK CA":          {by(underCA, both), sgx.TCBSigningChainInvalid},
		"signer of the PCK CA, alone":   {by(underCA, ca), sgx.RootUntrusted},
		"signer of the PCK CA, hidden":  {by(underCA, root), sgx.TCBSigningChainInvalid},
		"signer that signed itself":     {by(func(m *minted) sgxmint.Issuer { return m.issuer(name, nil, false) }, root), sgx.TCBSigningChainInvalid},
		"signer alone":                  {by(func(m *minted) sgxmint.Issuer { return m.authority.TCBSigner }, func(*minted) [][]byte { return nil }), sgx.TCBSigningChainInvalid},
		"signing chain that is none":    {func(m *minted) { m.files["tcbSignChain.pem"] = []byte("chain") }, sgx.CollateralUnreadable},
	}
}

func refusedDocuments() map[string]refused {
	replace := func(file, old, with string) change {
		return func(m *minted) { m.files[file] = bytes.Replace(m.files[file], []byte(old), []byte(with), 1) }
	}
	foreign := func(file string) change {
		return func(m *minted) { m.files[file] = mint(m.t, nil).files[file] }
	}
	tcb := func(change func(object)) change { return func(m *minted) { m.edit(tcbFile, change) } }
	qe := func(change func(object)) change { return func(m *minted) { m.edit(qeFile, change) } }
	return map[string]refused{
		"TCB info of another authority":    {foreign(tcbFile), sgx.TCBInfoInvalid},
		"QE identity of another authority": {foreign(qeFile), sgx.QEIdentityInvalid},
		"TCB info changed":                 {replace(tcbFile, `"pcesvn":7`, `"pcesvn":6`), sgx.TCBInfoInvalid},
		"QE identity changed":              {replace(qeFile, `"isvsvn":8`, `"isvsvn":7`), sgx.QEIdentityInvalid},
		"a blank in a string":              {replace(tcbFile, `"tcbStatus":"`, `"tcbStatus":" `), sgx.TCBInfoInvalid},
		"a number written otherwise":       {replace(tcbFile, `"pcesvn":7`, `"pcesvn":7.0`), sgx.TCBInfoInvalid},
		"an escape in a string":            {replace(tcbFile, `"UpToDate"`, `"\u0055pToDate"`), sgx.TCBInfoInvalid},
		"another member":                   {replace(tcbFile, `{"tcbInfo"`, `{"note":1,"tcbInfo"`), sgx.TCBInfoInvalid},
		"no signature":                     {replace(tcbFile, `"signature"`, `"Signature"`), sgx.TCBInfoInvalid},
		"short signature":                  {replace(qeFile, `"signature":"`, `"signature":"","x":"`), sgx.QEIdentityInvalid},
		"documents exchanged":              {func(m *minted) { m.files[tcbFile], m.files[qeFile] = m.files[qeFile], m.files[tcbFile] }, sgx.TCBInfoInvalid},
		"signed by the PCK CA":             {func(m *minted) { m.authority.TCBSigner.Key = m.authority.PCKCA.Key; m.edit(qeFile, func(object) {}) }, sgx.QEIdentityInvalid},
		"TCB info of version 1":            {tcb(func(o object) { o["version"] = 1 }), sgx.TCBInfoInvalid},
		"TCB info of version 4":            {tcb(func(o object) { o["version"] = 4 }), sgx.TCBInfoInvalid},
		"unknown status":                   {tcb(func(o object) { firstLevel(o)["tcbStatus"] = "Fine" }), sgx.TCBInfoInvalid},
		"no status":                        {tcb(func(o object) { delete(firstLevel(o), "tcbStatus") }), sgx.TCBInfoInvalid},
		"no PCESVN":                        {tcb(func(o object) { delete(firstLevel(o)["tcb"].(object), "pcesvn") }), sgx.TCBInfoInvalid},
		"date without end":                 {tcb(func(o object) { o["issueDate"] = strings.Repeat("2", 1<<19) }), sgx.TCBInfoInvalid},
		"SVN of 256":                       {tcb(func(o object) { firstLevel(o)["tcb"].(object)["sgxtcbcomponents"].([]any)[0].(object)["svn"] = 256 }), sgx.TCBInfoInvalid},
		"unknown status of the QE":         {qe(func(o object) { firstLevel(o)["tcbStatus"] = "Fine" }), sgx.QEIdentityInvalid},
		"no status of the QE":              {qe(func(o object) { delete(firstLevel(o), "tcbStatus") }), sgx.QEIdentityInvalid},
		"QE of another signer":             {qe(func(o object) { o["mrsigner"] = zeros(32) }), sgx.QEIdentityMismatch},
		"QE of another product":            {qe(func(o object) { o["isvprodid"] = 2 }), sgx.QEIdentityMismatch},
		"QE of other attributes":           {qe(func(o object) { o["attributes"] = "13" + zeros(15) }), sgx.QEIdentityMismatch},
		"QE of short attributes":           {qe(func(o object) { o["attributes"], o["attributesMask"] = "11", "ff" }), sgx.QEIdentityMismatch},
		"QE of other miscselect":           {qe(func(o object) { o["miscselect"] = "01000000" }), sgx.QEIdentityMismatch},
		"bundle of nothing":                {func(m *minted) { m.files = map[string][]byte{"bundle.json": []byte("{}")} }, sgx.CollateralUnreadable},
		"no file":                          {func(m *minted) { m.files = nil }, sgx.CollateralUnreadable},
	}
}

func refusedLists() map[string]refused {
	cases := map[string]refused{}
	for file, code := range map[string]sgx.Code{"rootCaCrl.der": sgx.RootCRLInvalid, "pckCaCrl.der": sgx.PCKCRLInvalid} {
		cases[file+" of another key"] = refused{func(m *minted) { m.files[file] = mint(m.t, nil).files[file] }, code}
		cases[file+" with a byte after"] = refused{func(m *minted) { m.files[file] = append(m.files[file], 0) }, code}
		cases[file+" changed"] = refused{func(m *minted) { m.files[file][len(m.files[file])-1] ^= 1 }, code}
		cases[file+" that is none"] = refused{func(m *minted) { m.files[file] = []byte("list") }, sgx.CollateralUnreadable}
		cases[file+" of a stranger"] = refused{func(m *minted) {
			stranger := *m.authority
			stranger.PCKCA, stranger.Root = m.issuer("Another", nil, true), m.issuer("Another", nil, true)
			files, err := stranger.CollateralFiles(mintedAt)
			must(m.t, err)
			m.files[file] = files[file]
		}, code}
		cases[file+" in the name of a stranger"] = refused{func(m *minted) {
			stranger, name := *m.authority, m.issuer("Another", nil, true).Certificate
			stranger.PCKCA.Certificate, stranger.Root.Certificate = name, name
			files, err := stranger.CollateralFiles(mintedAt)
			must(m.t, err)
			m.files[file] = files[file]
		}, code}
	}
	return cases
}

func TestRefused(t *testing.T) {
	for name, c := range refusedCases() {
		t.Run(name, func(t *testing.T) {
			m := mint(t, nil)
			c.change(&m)
			r, err := m.verify()
			var refusal *sgx.Refusal
			if !errors.As(err, &refusal) || refusal.Code != c.code || r != nil {
				t.Fatalf("got %v and %+v, want %s", err, r, c.code)
			}
			if n := len(err.Error()); n > 1100 {
				t.Errorf("the error has %d bytes", n)
			}
		})
	}
}

// Every reason is met by a minted case: no public quote has most of them.
func TestEveryCodeIsMet(t *testing.T) {
	met := map[string]bool{}
	for _, c := range refusedCases() {
		met[string(c.code)] = true
	}
	for _, c := range doubtfulCases() {
		for _, said := range c.said {
			_, code, _ := strings.Cut(said, " ")
			met[code] = true
		}
	}
	for _, code := range sgx.Codes() {
		if !met[string(code)] {
			t.Errorf("no case meets %s", code)
		}
		delete(met, string(code))
	}
	if len(met) > 0 {
		t.Errorf("Codes() lacks %v", slices.Sorted(maps.Keys(met)))
	}
}

// Whoever verified may reuse the memory at once, even when the quote was refused
// before the collateral was needed. The race detector sees it (make race).
func TestNoBufferIsReadLater(t *testing.T) {
	m := mint(t, nil)
	for range 50 {
		n := m
		n.files = map[string][]byte{}
		for name, content := range m.files {
			n.files[name] = bytes.Clone(content)
		}
		n.quote = nil
		if _, err := n.verify(); err == nil {
			t.Fatal("no quote was verified")
		}
		for name, content := range n.files {
			copy(content, m.files[name]) // the same again, so that whoever still reads goes on
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	m := mint(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.verify(); err != nil {
			b.Fatal(err)
		}
	}
}
