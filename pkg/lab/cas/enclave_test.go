package cas_test

import (
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/sgx"
)

// quoting makes quotes of a report body that LAS would not make.
func quoting(t *testing.T, p *sgxmint.Platform, change func(*sgx.ReportBody)) func([64]byte) []byte {
	return func(data [64]byte) []byte {
		body := sgx.ReportBody{MRENCLAVE: mrenclave, MRSIGNER: sgx.Measurement{8}, ISVProdID: 3, ISVSVN: 5, Attributes: [16]byte{5}, ReportData: data}
		change(&body)
		quote, err := p.Quote(body)
		if err != nil {
			t.Fatal(err)
		}
		return quote
	}
}

func debug(b *sgx.ReportBody)         { b.Attributes[0] |= 2 }
func uninitialized(b *sgx.ReportBody) { b.Attributes[0] = 4 }

// quoteCase is one enclave and what comes of it. An empty want means admission.
type quoteCase struct {
	prepare func(*testing.T, *lab, *program)
	more    string // of the session
	want    string
}

func status(s sgx.TCBStatus, advisories ...string) func(*testing.T, *lab, *program) {
	return func(_ *testing.T, l *lab, _ *program) { l.authority.Status, l.authority.Advisories = s, advisories }
}

func body(change func(*sgx.ReportBody)) func(*testing.T, *lab, *program) {
	return func(t *testing.T, l *lab, p *program) { p.quote = quoting(t, l.platform, change) }
}

func forging(change func(*enclave.Request)) func(*testing.T, *lab, *program) {
	return func(_ *testing.T, _ *lab, p *program) { p.forge = change }
}

func security(text string) string { return "security: {attestation: {" + text + "}}" }

func TestEnclaves(t *testing.T) {
	nothing := func(*testing.T, *lab, *program) {}
	const binding = "does not bind the challenge, the enclave's key and the service"
	for name, c := range map[string]quoteCase{
		"an honest enclave": {nothing, "", ""},
		"another program":   {func(_ *testing.T, _ *lab, p *program) { p.identity.MRENCLAVE[0] = 7 }, "", fmt.Sprintf("Unexpected enclave measurement (MRENCLAVE, 07%062d) - Expected %s", 0, mrenclave)},
		// relays and replays
		"a relayed quote": {forging(func(r *enclave.Request) {
			own, _ := ecdh.X25519().GenerateKey(rand.Reader)
			r.PublicKey = own.PublicKey().Bytes()
		}), "", binding},
		"an old challenge":     {func(_ *testing.T, _ *lab, p *program) { p.challenge = make([]byte, 32) }, "", binding},
		"a quote for another":  {forging(func(r *enclave.Request) { r.ConfigID = "app/other" }), "", binding},
		"no key":               {forging(func(r *enclave.Request) { r.PublicKey = nil }), "", "The enclave's key has 0 bytes"},
		"a key of small order": {func(_ *testing.T, _ *lab, p *program) { p.publicKey = make([]byte, 32) }, "", "The enclave's key cannot be used"},
		// quotes
		"no quote":       {forging(func(r *enclave.Request) { r.Quote = nil }), "", "DCAP quote verification failed"},
		"a flipped bit":  {forging(func(r *enclave.Request) { r.Quote[48+64] ^= 1 }), "", "signature does not match"},
		"a foreign root": {func(t *testing.T, _ *lab, p *program) { _, p.machine = newMachine(t, newLab(t).authority) }, "", "not the trusted root"},
		// collateral
		"no revocation list":    {func(_ *testing.T, l *lab, _ *program) { l.collateral = dropping("pckCaCrl.der") }, "", "Not proven: the PCK certificate is not revoked"},
		"no root revocations":   {func(_ *testing.T, l *lab, _ *program) { l.collateral = dropping("rootCaCrl.der") }, "", "Not proven: neither the PCK CA"},
		"no TCB info":           {func(_ *testing.T, l *lab, _ *program) { l.collateral = dropping("tcbInfo.json") }, "", "no-tcb-info"},
		"stale collateral":      {func(_ *testing.T, l *lab, _ *program) { l.age = 31 * 24 * time.Hour }, "", "Not proven: the TCB info is current"},
		"a revoked platform":    {revoke, "", "is revoked"},
		"collateral of no form": {func(_ *testing.T, l *lab, _ *program) { l.collateral = breaking }, "", "The collateral of this CAS cannot be used"},
		// debug and initialization
		"a debug enclave":           {body(debug), "", "debug mode"},
		"a tolerated debug enclave": {body(debug), security("tolerate: [debug-mode]"), ""},
		"not initialized":           {body(uninitialized), security("tolerate: [debug-mode]"), "is not initialized"},
		// the state of the platform
		"hardening needed":               {status(sgx.SWHardeningNeeded), "", "TCB status SWHardeningNeeded is not tolerated by the session - Expected tolerate: software-hardening-needed"},
		"tolerated hardening":            {status(sgx.SWHardeningNeeded), security("tolerate: [software-hardening-needed]"), ""},
		"configuration needed":           {status(sgx.ConfigurationNeeded), security("tolerate: [software-hardening-needed, outdated-tcb]"), "insecure-configuration"},
		"tolerated configuration":        {status(sgx.ConfigurationNeeded), security("tolerate: [insecure-configuration]"), ""},
		"both needed, one tolerated":     {status(sgx.ConfigurationAndSWHardeningNeeded), security("tolerate: [insecure-configuration]"), "software-hardening-needed"},
		"both needed, both tolerated":    {status(sgx.ConfigurationAndSWHardeningNeeded), security("tolerate: [software-hardening-needed, insecure-configuration]"), ""},
		"out of date":                    {status(sgx.OutOfDate), security("tolerate: [software-hardening-needed, insecure-configuration]"), "outdated-tcb"},
		"tolerated out of date":          {status(sgx.OutOfDate), security("tolerate: [outdated-tcb]"), ""},
		"out of date and configuration":  {status(sgx.OutOfDateConfigurationNeeded), security("tolerate: [outdated-tcb]"), "Expected tolerate: outdated-tcb, insecure-configuration"},
		"tolerated both":                 {status(sgx.OutOfDateConfigurationNeeded), security("tolerate: [outdated-tcb, insecure-configuration]"), ""},
		"a revoked TCB":                  {status(sgx.Revoked), security("tolerate: [outdated-tcb, insecure-configuration, software-hardening-needed, debug-mode]"), "TCB status Revoked is never tolerated"},
		"an old quoting enclave":         {func(_ *testing.T, l *lab, _ *program) { l.authority.QEStatus = sgx.OutOfDate }, "", "TCB status OutOfDate is not tolerated"},
		"an advisory":                    {status(sgx.UpToDate, "INTEL-SA-00615", "INTEL-SA-00657"), security("ignore_advisories: [INTEL-SA-00615]"), "Advisory INTEL-SA-00657 is not among"},
		"ignored advisories":             {status(sgx.UpToDate, "INTEL-SA-00615", "INTEL-SA-00657"), security("ignore_advisories: [INTEL-SA-00615, INTEL-SA-00657]"), ""},
		"all advisories ignored":         {status(sgx.UpToDate, "INTEL-SA-00615"), security("ignore_advisories: '*'"), ""},
		"a wildcard tolerates no status": {status(sgx.SWHardeningNeeded, "INTEL-SA-00615"), security("ignore_advisories: '*'"), "SWHardeningNeeded"},
		// modes
		"no attestation wanted":  {forging(func(r *enclave.Request) { r.Quote = nil }), security("mode: none"), ""},
		"an unsupported mode":    {nothing, security("mode: maa, url: 'https://own.region.attest.azure.net'"), "mode maa is not supported"},
		"only local attestation": {nothing, security("must_be_sgx_local: true"), "must_be_sgx_local"},
		// names
		"an unknown session":              {func(_ *testing.T, _ *lab, p *program) { p.configID = "nobody/s" }, "", "Session 'nobody' does not exist"},
		"an unknown service":              {func(_ *testing.T, _ *lab, p *program) { p.configID = "app/t" }, "", "Service 't' does not exist in session 'app'"},
		"an unknown service without mode": {func(_ *testing.T, _ *lab, p *program) { p.configID = "app/t" }, security("mode: none"), "Service 't' does not exist"},
		"no service":                      {func(_ *testing.T, _ *lab, p *program) { p.configID = "app" }, "", "want session/service"},
		"a probe for sessions":            {forging(func(r *enclave.Request) { r.ConfigID, r.Quote = "nobody/s", nil }), "", "Failed to verify DCAP report"},
	} {
		t.Run(name, func(t *testing.T) {
			l, p := newLab(t), honest("app/s")
			c.prepare(t, l, &p)
			l.start(t)
			l.upload(t, newUser(t, "owner"), document("app", c.more+"\nsecrets: [{name: p, kind: ascii}]", "$$SCONE::p$$"))
			if c.want != "" {
				l.rejects(t, p, c.want)
				return
			}
			got := l.configures(t, p)
			if len(got.Environment["V0"]) != 20 || !slices.Equal(got.Command, []string{"run", "it"}) || !strings.Contains(l.log.String(), `enclave "app/s": configured`) {
				t.Errorf("got %+v, log %s", got, &l.log)
			}
		})
	}
}

func dropping(file string) func(map[string][]byte) {
	return func(files map[string][]byte) { delete(files, file) }
}

func breaking(files map[string][]byte) {
	clear(files)
	files["bundle.json"] = []byte("{")
}

func revoke(t *testing.T, l *lab, _ *program) {
	pck, _, found := strings.Cut(string(l.platform.Chain), "-----END CERTIFICATE-----\n")
	if !found {
		t.Fatal("the platform has no PCK certificate")
	}
	serial := certificateIn(t, pck+"-----END CERTIFICATE-----\n").SerialNumber
	l.authority.Revoked = []*big.Int{serial}
}

func TestFactors(t *testing.T) {
	l := newLab(t).start(t)
	signer := fmt.Sprintf("signer: {mrsigner: %s, isvprodid: 3, ", sgx.Measurement{8})
	for i, c := range []struct{ attestation, want string }{
		{"mrenclave: [" + sgx.Measurement{1}.String() + ", " + mrenclave.String() + "]", ""},
		{"mrenclave: [" + sgx.Measurement{1}.String() + ", " + sgx.Measurement{3}.String() + "]", "Error 2 of 2: Unexpected enclave measurement (MRENCLAVE, 02"},
		{signer + "isvsvn: 5}", ""},
		{signer + "isvsvn: 4}", "Unexpected security version (ISVSVN, 5) - Expected 4 to 4"},
		{signer + "isvsvn_min: 6}", "Unexpected security version (ISVSVN, 5) - Expected 6"},
		{signer + "isvsvn_max: 4}", "Unexpected security version"},
		{signer + "isvsvn_min: 5, isvsvn_max: 5}", ""},
		{strings.Replace(signer, "isvprodid: 3", "isvprodid: 4", 1) + "isvsvn: 5}", "Unexpected product ID (ISVPRODID, 3) - Expected 4"},
		{fmt.Sprintf("signer: {mrsigner: %s, isvprodid: 3}", sgx.Measurement{9}), "Unexpected enclave signer (MRSIGNER, 08"},
		// factors of one variant are all needed
		{"mrenclave: [" + sgx.Measurement{1}.String() + "], " + signer + "isvsvn: 5}", "Unexpected enclave measurement"},
		{"mrenclave: [" + mrenclave.String() + "], " + signer + "isvsvn: 6}", "Unexpected security version"},
	} {
		name := fmt.Sprintf("app%d", i)
		l.upload(t, newUser(t, "owner"), fmt.Sprintf("version: '0.3'\nname: %s\nservices: [{name: s, attestation: {%s}}]\n", name, c.attestation))
		if c.want == "" {
			l.configures(t, honest(name+"/s"))
		} else {
			l.rejects(t, honest(name+"/s"), c.want)
		}
	}
	// of several variants one is enough
	l.upload(t, newUser(t, "owner"), fmt.Sprintf("version: '0.3'\nname: either\nservices: [{name: s, attestation: [{mrenclave: [%s]}, {%sisvsvn: 5}}]}]\n", sgx.Measurement{1}, signer))
	l.configures(t, honest("either/s"))
}

func TestPlatforms(t *testing.T) {
	l := newLab(t).start(t)
	other, elsewhere := newMachine(t, l.authority)
	for i, ids := range []func([16]byte) string{
		func(id [16]byte) string { return attest.PlatformIDFromQEID(id).String() },
		func(id [16]byte) string { return las.SCONEKey(id) },
		func(id [16]byte) string { return strings.ToLower(las.SCONEKey(id)) },
	} {
		here, both := fmt.Sprintf("here%d", i), fmt.Sprintf("both%d", i)
		for name, list := range map[string]string{here: ids(l.platform.QEID), both: ids(other.QEID) + ", " + ids(l.platform.QEID)} {
			l.upload(t, newUser(t, "owner"), fmt.Sprintf("version: '0.3'\nname: %s\nservices: [{name: s, attestation: {mrenclave: [%s]}, platforms: [%s]}]\n", name, mrenclave, list))
			l.configures(t, honest(name+"/s"))
		}
		away := honest(here + "/s")
		away.machine = elsewhere
		id := ids(other.QEID)
		if i == 2 {
			id = strings.ToUpper(id)
		}
		l.rejects(t, away, "Platform "+id+" is not permitted by the service's platforms")
		away.configID = both + "/s"
		l.configures(t, away)
	}
}

func TestEnclavePortIsBounded(t *testing.T) {
	l := newLab(t).start(t)
	for _, message := range []string{"nonsense\n", "{\"configID\":1}\n"} {
		connection, err := net.Dial("tcp", l.enclaves)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		connection.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.WriteString(connection, message); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(connection)
		if err != nil || !strings.Contains(string(text), "The request cannot be read") {
			t.Errorf("%q: got %q, %v", message, text, err)
		}
	}
	connection, err := net.Dial("tcp", l.enclaves)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(30 * time.Second))
	// Writing fails or is swallowed when CAS has read enough; it must not answer.
	connection.Write(make([]byte, enclave.MaxMessage+1))
	text, _ := io.ReadAll(connection)
	if strings.Count(string(text), "\n") > 1 {
		t.Errorf("CAS answers a message without end: %q", text)
	}
}

// A challenge that CAS sent on one connection is worth nothing on another.
func TestReplay(t *testing.T) {
	l := newLab(t).start(t)
	l.upload(t, newUser(t, "owner"), document("app", ""))
	var captured *enclave.Request
	p := honest("app/s")
	p.forge = func(r *enclave.Request) {
		captured = &enclave.Request{ConfigID: r.ConfigID, PublicKey: r.PublicKey, Quote: r.Quote}
	}
	l.configures(t, p)
	p.forge = func(r *enclave.Request) { *r = *captured }
	l.rejects(t, p, "The quote was not made for this request")
}
