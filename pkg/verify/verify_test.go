package verify_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/deploy"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/verify"
)

const nonce = "00112233445566778899aabbccddeeff"

// scene is a release where everything is as promised, and what is needed to sign
// another statement.
type scene struct {
	promised *record.Release
	seen     verify.Observation
	said     *evidence.Predicate
	key      []byte
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func certify(t *testing.T) (ca, leaf *x509.Certificate) {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "confidb-ca"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, NotAfter: time.Now().Add(time.Hour)}
	ca = must[*x509.Certificate](t)(x509.ParseCertificate(must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
	below := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "db1-mariadb"}, NotAfter: time.Now().Add(time.Hour)}
	leaf = must[*x509.Certificate](t)(x509.ParseCertificate(must[[]byte](t)(x509.CreateCertificate(rand.Reader, below, ca, key.Public(), key))))
	return ca, leaf
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func newScene(t *testing.T) *scene {
	t.Helper()
	id := must[attest.PlatformID](t)(attest.ParsePlatformID("INTEL_QE_ID:" + nonce))
	promised := must[*record.Release](t)(deploy.Prepare(deploy.Plan{BootstrapSQL: "SELECT 1;",
		Name: "db1", Namespace: "shop", CASAddress: "cas.scone-system.svc", Platforms: []attest.PlatformID{id},
		Enclaves: map[string][]sgx.Measurement{deploy.EnclaveServer: {{1}}, deploy.EnclaveClient: {{2}}, deploy.EnclaveProbe: {{3}}},
	}, nil))
	stored := func(s *record.Session) verify.Fetched[*cas.StoredSession] {
		s.Hash = strings.Repeat("a", 64)
		return verify.Fetch(&cas.StoredSession{Hash: s.Hash, Text: "creator: me\n" + s.Text}, nil)
	}
	ca, leaf := certify(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{promised: promised, key: []byte(encode("PRIVATE KEY", must[[]byte](t)(x509.MarshalPKCS8PrivateKey(private))))}
	s.said = &evidence.Predicate{
		Nonce: nonce, Time: time.Now().UTC().Truncate(time.Second), Session: promised.Database.Name, Address: "a:3306", ServerName: "a", Account: "confidb_verify",
		ClientLeafSHA256: evidence.SHA256([]byte("leaf")), ServerVersion: "10.11",
		Server:      &evidence.Server{LeafPEM: encode("CERTIFICATE", leaf.Raw), LeafSHA256: evidence.SHA256(leaf.Raw), CASPKISHA256: evidence.SHA256(ca.RawSubjectPublicKeyInfo), TLSVersion: "TLS 1.3", CipherSuite: "x"},
		Limitations: []evidence.Limitation{{ID: "aria-log", Text: "not encrypted"}},
	}
	for _, id := range []string{"tls-01", "tls-02", "tls-03", "mtls-01", "mtls-02", "mtls-03", "net-01", "enc-01", "enc-02", "enc-03", "enc-06", "log-01", "acc-01", "acc-02", "file-01"} {
		s.said.Findings = append(s.said.Findings, check.Finding{ID: id, Title: id, Outcome: check.Pass})
	}
	s.seen = verify.Observation{
		Nonce: nonce, At: time.Now(),
		Platforms: verify.Fetch([]attest.PlatformID{id}, nil),
		CAS:       verify.Fetch(&cas.Attested{Findings: check.Report{{ID: "cas-quote", Title: "genuine", Outcome: check.Pass}}}, nil),
		Owner:     stored(&promised.Owner), Client: stored(&promised.Client), Database: stored(&promised.Database),
		DatabaseCA:   verify.Fetch(encode("CERTIFICATE", ca.Raw), nil),
		StatementKey: verify.Fetch(encode("PUBLIC KEY", must[[]byte](t)(x509.MarshalPKIXPublicKey(public))), nil),
		Release:      verify.Fetch(&verify.HelmRelease{Status: "deployed", Revision: 1}, nil),
		Containers:   verify.Fetch([]verify.Container{{Pod: "p", Name: "mariadb", Environment: map[string]string{"SCONE_CONFIG_ID": promised.Database.Name + "/db", "SCONE_CAS_ADDR": promised.CASAddress}}}, nil),
	}
	s.sign(t)
	return s
}

func (s *scene) sign(t *testing.T) {
	t.Helper()
	s.seen.Statement = verify.Fetch(evidence.SignStatement(s.said, s.key))
	if s.seen.Statement.Err != nil {
		t.Fatal(s.seen.Statement.Err)
	}
}

func TestEverythingAsPromised(t *testing.T) {
	s := newScene(t)
	r := verify.Appraise(s.promised, s.seen)
	if v := r.Findings.Verdict(); v != check.Affirming || r.Simulated || len(r.Limitations) != 1 {
		t.Errorf("got %s, simulated %v, %d limitations: %+v", v, r.Simulated, len(r.Limitations), r.Findings)
	}
	s.seen.CAS.Value.Simulated = true
	if !verify.Appraise(s.promised, s.seen).Simulated {
		t.Error("a simulated CAS gives a result that is not simulated")
	}
}

func TestBrokenLinks(t *testing.T) {
	unreachable := errors.New("unreachable")
	for name, c := range map[string]struct {
		change  func(*testing.T, *scene)
		finding string
		verdict check.Verdict
	}{
		"a node was added": {func(t *testing.T, s *scene) {
			id := must[attest.PlatformID](t)(attest.ParsePlatformID("INTEL_QE_ID:" + strings.Repeat("f", 32)))
			s.seen.Platforms.Value = append(s.seen.Platforms.Value, id)
		}, "platforms-current", check.Contraindicated},
		"nodes unreadable":   {func(_ *testing.T, s *scene) { s.seen.Platforms.Err = unreachable }, "platforms-current", check.None},
		"CAS unreachable":    {func(_ *testing.T, s *scene) { s.seen.CAS.Err = unreachable }, "cas-attested", check.None},
		"CAS refused":        {func(_ *testing.T, s *scene) { s.seen.CAS.Value.Findings[0].Outcome = check.Fail }, "session-database", check.Contraindicated},
		"CAS unproven":       {func(_ *testing.T, s *scene) { s.seen.CAS.Value.Findings[0].Outcome = check.Skip }, "probe-statement", check.None},
		"CAS without checks": {func(_ *testing.T, s *scene) { s.seen.CAS.Value.Findings = nil }, "session-client", check.None},
		"session changed":    {func(_ *testing.T, s *scene) { s.seen.Database.Value.Hash = strings.Repeat("b", 64) }, "session-database", check.Contraindicated},
		"session rewritten under the old hash": {func(_ *testing.T, s *scene) {
			s.seen.Client.Value.Text = strings.Replace(s.seen.Client.Value.Text, "CREATOR", "ANY", 1)
		}, "session-client", check.Contraindicated},
		"hash never recorded": {func(_ *testing.T, s *scene) { s.promised.Database.Hash = "" }, "session-database", check.None},
		"release pending":     {func(_ *testing.T, s *scene) { s.seen.Release.Value.Status = "pending-install" }, "release-deployed", check.Contraindicated},
		"another session in the pod": {func(_ *testing.T, s *scene) {
			s.seen.Containers.Value[0].Environment["SCONE_CONFIG_ID"] = "other/db"
		}, "release-session", check.Contraindicated},
		"another CAS in the pod": {func(_ *testing.T, s *scene) {
			s.seen.Containers.Value[0].Environment["SCONE_CAS_ADDR"] = "elsewhere"
		}, "release-session", check.Contraindicated},
		"no pod":            {func(_ *testing.T, s *scene) { s.seen.Containers.Value = nil }, "release-session", check.None},
		"probe did not run": {func(_ *testing.T, s *scene) { s.seen.Statement = verify.Fetch[[]byte](nil, unreachable) }, "probe-statement", check.None},
		"statement changed": {func(_ *testing.T, s *scene) { s.seen.Statement.Value[40] ^= 1 }, "probe-statement", check.Contraindicated},
		"another nonce":     {func(_ *testing.T, s *scene) { s.seen.Nonce = strings.Repeat("0", 32) }, "probe-statement", check.Contraindicated},
		"an old statement":  {func(_ *testing.T, s *scene) { s.seen.At = s.seen.At.Add(time.Hour) }, "probe-statement", check.Contraindicated},
		"another key":       {func(t *testing.T, s *scene) { s.seen.StatementKey = newScene(t).seen.StatementKey }, "probe-statement", check.Contraindicated},
		"another database":  {func(t *testing.T, s *scene) { s.said.Session = "other/db"; s.sign(t) }, "probe-statement", check.Contraindicated},
		"another CA":        {func(t *testing.T, s *scene) { s.seen.DatabaseCA = newScene(t).seen.DatabaseCA }, "statement-ca", check.Contraindicated},
		"a check that failed": {func(t *testing.T, s *scene) {
			s.said.Findings[3].Outcome = check.Fail
			s.sign(t)
		}, "mtls-01", check.Contraindicated},
		"a check left out": {func(t *testing.T, s *scene) { s.said.Findings = s.said.Findings[1:]; s.sign(t) }, "tls-01", check.None},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.change(t, s)
			r := verify.Appraise(s.promised, s.seen)
			f, ok := r.Findings.Find(c.finding)
			if !ok || f.Outcome == check.Pass {
				t.Errorf("finding %s: got %+v, want it not to pass", c.finding, f)
			}
			if v := r.Findings.Verdict(); v != c.verdict {
				t.Errorf("verdict %s, want %s", v, c.verdict)
			}
		})
	}
}
