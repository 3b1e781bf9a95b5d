package cas_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	product "github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/lab/cas"
	"github.com/confidb/confidb/pkg/lab/enclave"
	"github.com/confidb/confidb/pkg/lab/las"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// What the product's client believes of this CAS.
func TestProductAttestsCAS(t *testing.T) {
	l := newLab(t).start(t)
	files, err := l.authority.CollateralFiles(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	trust := attest.Trust{RootCA: l.authority.RootPEM(), Collateral: files, CAS: attest.Policy{
		ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{casIdentity.MRENCLAVE}},
	}}
	nonce := [16]byte{1, 2, 3}
	contact, err := product.FetchEvidence(t.Context(), l.dial, nonce)
	if err != nil {
		t.Fatal(err)
	}
	a, err := attest.Pin{Address: "cas:8081", Backend: attest.BackendReport, Nonce: nonce, Report: contact.Report, Trust: trust}.AppraiseWithPeer(contact.PeerChain, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if v := a.Findings.Verdict(); v != check.Affirming || !a.Simulated {
		t.Errorf("verdict %s, simulated %v: %+v", v, a.Simulated, a.Findings)
	}
	if !slices.EqualFunc(a.Anchor.Chain, l.cas.Chain(), (*x509.Certificate).Equal) {
		t.Error("the evidence vouches for another chain")
	}
	if !strings.Contains(string(a.Pin.Report), `-----BEGIN CERTIFICATE-----\r\n`) || a.Anchor.Chain[0].Subject.CommonName != "cas-instance" || a.Anchor.Chain[1].Subject.CommonName != "cas" {
		t.Errorf("the chain is not instance, root with CRLF: %s", a.Pin.Report)
	}
	for path, want := range map[string]string{
		"/v1/attest?type=DCAP":                                            "nonce",
		"/v1/attest?type=DCAP&nonce=00":                                   "nonce",
		"/v1/attest?nonce=00112233445566778899aabbccddeeff":               "type",
		"/v1/attest?nonce=00112233445566778899aabbccddeeff&type=IASQuote": "type",
	} {
		l.refuses(t, tls.Certificate{}, "GET", path, "", 400, want)
	}
}

// installation is a database and its client as the product prepares them.
type installation struct {
	*topology.Release
	user tls.Certificate
}

func install(t *testing.T, l *lab) installation {
	t.Helper()
	release, err := topology.Prepare(topology.Plan{
		Name: "db1", Namespace: "shop", CASAddress: "cas", Platforms: []attest.PlatformID{attest.PlatformIDFromQEID(l.platform.QEID)},
		Enclaves:     map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}},
		BootstrapSQL: systemTables(),
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := installation{release, newUser(t, "owner")}
	client := l.client(t, i.user)
	for m := range release.Members {
		s := &release.Members[m].Session
		for _, first := range []bool{true, false} {
			did, err := deploy.EnsureSession(t.Context(), client, s)
			if err != nil || (did == deploy.Created) != first {
				t.Fatalf("session %s: %s, %v", s.Name, did, err)
			}
		}
	}
	return i
}

func as(mrenclave byte, configID string) program {
	return program{identity: enclave.Identity{MRENCLAVE: sgx.Measurement{mrenclave}}, configID: configID}
}

// files are those that a service got, by path.
func files(c *enclave.Configuration) map[string]string {
	all := map[string]string{}
	for _, f := range c.Files {
		all[f.Path] = string(f.Content)
	}
	return all
}

const folder = "/run/confidb/"

func TestWholeFlow(t *testing.T) {
	l := newLab(t).start(t)
	i := install(t, l)
	// The client first: the certificates of the database are issued on demand.
	probe := l.configures(t, as(3, i.Session(topology.Client).Name+"/probe"))
	sql := files(l.configures(t, as(2, i.Session(topology.Client).Name+"/sql")))
	database := l.configures(t, as(1, i.Session(topology.Database).Name+"/db"))
	got, server := files(probe), files(database)

	if probe.Command[0] != "confidb-probe" || probe.Environment[`\@\@CONFIDB_NONCE`] != "none" || len(probe.Environment) != 3 {
		t.Errorf("probe: command %q, environment %q", probe.Command, probe.Environment)
	}
	if f := probe.Files[0]; f.Permission != 0o400 || f.Path != folder+"target.json" {
		t.Errorf("probe: file %+v", f)
	}
	ca := got[folder+"ca.crt"]
	if ca == "" || ca != server[folder+"ca.crt"] || ca != sql[folder+"ca.crt"] {
		t.Error("the enclaves do not have one CA certificate")
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificateIn(t, ca))
	verifyKeyPair(t, roots, server[folder+"server.crt"], server[folder+"server.key"], x509.ExtKeyUsageServerAuth, "db1-mariadb.shop.svc", "db1-mariadb")
	verifyKeyPair(t, roots, got[folder+"verify.crt"], got[folder+"verify.key"], x509.ExtKeyUsageClientAuth, "", "confidb-verify")
	verifyKeyPair(t, roots, sql[folder+"app.crt"], sql[folder+"app.key"], x509.ExtKeyUsageClientAuth, "", "confidb-app")
	verifyKeyPair(t, roots, got[folder+"wrongrole.crt"], got[folder+"wrongrole.key"], x509.ExtKeyUsageServerAuth, "wrong-role.invalid", "confidb-verify")

	for _, password := range []string{got[folder+"verify.password"], after(sql[folder+"client.cnf"], "password = ")} {
		if len(password) != 64 || !strings.Contains(server[folder+"accounts.sql"], "'"+password+"'") {
			t.Errorf("a client has another password than the database")
		}
	}
	if !strings.HasPrefix(server[folder+"keys.txt"], "1;") || len(server[folder+"keys.txt"]) != 2+64+1 {
		t.Error("keys.txt is not as file_key_management reads it")
	}

	client := l.client(t, i.user)
	public, err := client.PublicValue(t.Context(), i.Session(topology.Client).Name, i.Session(topology.Client).Hash, "statement_public")
	if err != nil {
		t.Fatal(err)
	}
	if key := publicKeyIn(t, public); !key.Equal(keyIn(t, got[folder+"statement.key"]).Public()) {
		t.Error("the public key of the statements is another one")
	}
	if published, err := client.PublicValue(t.Context(), i.Session(topology.Database).Name, i.Session(topology.Database).Hash, "ca"); err != nil || published != ca {
		t.Errorf("the published CA is another one (%v)", err)
	}

	l.stop()
	for _, secret := range []string{got[folder+"verify.password"], "PRIVATE KEY", "BEGIN"} {
		if strings.Contains(l.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
	l.start(t)
	if diff := cmp.Diff(server, files(l.configures(t, as(1, i.Session(topology.Database).Name+"/db")))); diff != "" {
		t.Errorf("after a restart the database gets something else: %s", diff)
	}
	if stored, err := l.client(t, i.user).Session(t.Context(), i.Session(topology.Database).Name); err != nil || stored.Hash != i.Session(topology.Database).Hash {
		t.Errorf("after a restart: %v, %v", stored, err)
	}
}

func TestFlowRefuses(t *testing.T) {
	l := newLab(t).start(t)
	i := install(t, l)
	_, elsewhere := newMachine(t, l.authority)
	l.rejects(t, as(2, i.Session(topology.Database).Name+"/db"), "Unexpected enclave measurement (MRENCLAVE, 02")
	l.rejects(t, as(2, i.Session(topology.Client).Name+"/probe"), "Unexpected enclave measurement")
	away := as(1, i.Session(topology.Database).Name+"/db")
	away.machine = elsewhere
	l.rejects(t, away, "is not permitted by the service's platforms")
	// A stranger can neither squat beside the database nor read or change it.
	stranger := newUser(t, "stranger")
	l.refuses(t, stranger, "POST", "/session", document(i.Session(topology.Namespace).Name+"/other", ""), 403, "is not permitted")
	l.refuses(t, stranger, "POST", "/session", successor(document(i.Session(topology.Client).Name, ""), i.Session(topology.Client).Hash), 403, "is not permitted")
	l.refuses(t, stranger, "GET", "/v1/sessions/"+i.Session(topology.Database).Name, "", 403, "is not permitted")
	for _, secret := range []string{"verify_password", "ca_key", "server"} {
		l.refuses(t, i.user, "GET", "/v1/values/session="+i.Session(topology.Database).Name+",secret="+secret, "", 404, "not visible for a public client")
	}
	// Its own session may import what it likes: it gets nothing.
	l.upload(t, stranger, document("thief", "secrets: [{name: p, kind: binary, import: {session: "+i.Session(topology.Database).Name+", secret: verify_password}}]", "$$SCONE::p:hex$$"))
	l.rejects(t, honest("thief/s"), "does not have or does not export 'verify_password' to 'thief'")
}

func TestStoreIsSealed(t *testing.T) {
	l := newLab(t).start(t)
	l.upload(t, newUser(t, "owner"), document("app", "secrets: [{name: p, kind: ascii, value: in-the-clear}]"))
	second := l.config()
	if _, err := cas.Open(t.Context(), second); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second CAS on one store: got %v", err)
	}
	l.stop()
	_, elsewhere := newMachine(t, l.authority)
	for name, change := range map[string]func(*cas.Config){
		"another platform": func(c *cas.Config) { c.LAS = elsewhere },
		"another program":  func(c *cas.Config) { c.Identity.MRENCLAVE[0]++ },
		"no LAS":           func(c *cas.Config) { c.LAS = las.NewClient("127.0.0.1:1") },
		"no root":          func(c *cas.Config) { c.RootCA = nil },
	} {
		config := l.config()
		change(&config)
		if _, err := cas.Open(t.Context(), config); err == nil {
			t.Errorf("%s opens the store", name)
		}
	}
	c, err := cas.Open(t.Context(), l.config())
	if err != nil {
		t.Fatal("the refusals above have spoilt the store:", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func after(text, prefix string) string {
	_, rest, _ := strings.Cut(text, prefix)
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

func verifyKeyPair(t *testing.T, roots *x509.CertPool, certificate, key string, usage x509.ExtKeyUsage, host, name string) {
	t.Helper()
	c := certificateIn(t, certificate)
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if c.Subject.String() != "CN="+name || len(c.ExtKeyUsage) != 1 {
		t.Errorf("subject %s with usages %v, want CN=%s with one", c.Subject, c.ExtKeyUsage, name)
	}
	if _, err := tls.X509KeyPair([]byte(certificate), []byte(key)); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func block(t *testing.T, text, kind string) []byte {
	t.Helper()
	b, rest := pem.Decode([]byte(text))
	if b == nil || b.Type != kind || len(rest) > 0 {
		t.Fatalf("got %.60q, want one %s", text, kind)
	}
	return b.Bytes
}

func certificateIn(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(block(t, text, "CERTIFICATE"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func keyIn(t *testing.T, text string) crypto.Signer {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(block(t, text, "PRIVATE KEY"))
	if err != nil {
		t.Fatal(err)
	}
	return key.(crypto.Signer)
}

func publicKeyIn(t *testing.T, text string) interface{ Equal(crypto.PublicKey) bool } {
	t.Helper()
	key, err := x509.ParsePKIXPublicKey(block(t, text, "PUBLIC KEY"))
	if err != nil {
		t.Fatal(err)
	}
	return key.(interface{ Equal(crypto.PublicKey) bool })
}

// variables are V0, V1, … of document.
func variables(c *enclave.Configuration) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
		all = append(all, c.Environment[name])
	}
	return all
}

// TestStatementKeyOfEachVersion: each version of the client session signs with a key of
// its own, so a statement by an older one is refused.
func TestStatementKeyOfEachVersion(t *testing.T) {
	l := newLab(t).start(t)
	i := install(t, l)
	client, s := l.client(t, i.user), i.Session(topology.Client)
	statement := func() []byte {
		t.Helper()
		key := files(l.configures(t, as(3, s.Name+"/probe")))[folder+"statement.key"]
		line, err := evidence.SignStatement(&evidence.Predicate{
			Nonce: strings.Repeat("0a", 16), Time: time.Unix(1, 0).UTC(), Session: "db", Address: "a", ServerName: "a", Member: "a", Account: "a",
			ClientLeafSHA256: strings.Repeat("0a", 32), Findings: check.Report{{ID: "x", Title: "x"}},
		}, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	verify := func(line []byte, hash string) error {
		t.Helper()
		public, err := client.PublicValue(t.Context(), s.Name, hash, topology.SecretStatementKey)
		if err != nil {
			t.Fatal(err)
		}
		_, err = evidence.VerifyStatement(line, []byte(public), strings.Repeat("0a", 16), "db")
		return err
	}
	hash := s.Hash
	for version := range 3 {
		line := statement()
		if err := verify(line, hash); err != nil {
			t.Fatalf("version %d: %v", version, err)
		}
		hash = l.upload(t, i.user, successor(s.Text, hash))
		if err := verify(line, hash); err == nil || !strings.Contains(err.Error(), "signed with key") {
			t.Errorf("what version %d signed is accepted after an update: %v", version, err)
		}
	}
}

// systemTables is SQL that makes the tables that a session of ours names.
func systemTables() string {
	sql := ""
	for _, name := range topology.SystemTables() {
		sql += "CREATE TABLE IF NOT EXISTS " + name + " (a int);\n"
	}
	return sql
}
