package verify_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/accounts"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/mariadb"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/verify"
	"github.com/confidb/confidb/pkg/witness"
)

const nonce = "00112233445566778899aabbccddeeff"

// lastMark is what the user's last verification has left.
var lastMark = witness.Mark{Number: 7, Digest: strings.Repeat("7", 64)}

// scene is a release where everything is as promised, and what is needed to sign
// another statement.
type scene struct {
	promised *topology.Release
	memory   attest.Memory
	seen     evidence.Observation
	said     *evidence.Predicate
	// about is what is said of each of several databases; nil for one.
	about map[string]*evidence.Predicate
	key   []byte
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

// measured is the CAS that the release is promised to run with.
var measured = sgx.Measurement{7}

// minted is a CAS that answers this run: its evidence, and whom to believe.
func minted(t *testing.T, at time.Time) (evidence.CAS, attest.Trust) {
	t.Helper()
	authority := must[*sgxmint.Authority](t)(sgxmint.NewAuthority(at))
	platform := must[*sgxmint.Platform](t)(sgxmint.NewPlatform(authority, at))
	leaf := selfSigned(t, at)
	body := sgx.ReportBody{MRENCLAVE: measured, MRSIGNER: sgx.Measurement{8}, ISVSVN: 5, Attributes: [16]byte{5}}
	report := must[[]byte](t)(platform.CASReport(body, [16]byte{1}, []byte(encode("CERTIFICATE", leaf))))
	trust := attest.Trust{
		CAS: attest.Policy{ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{measured}}}, RootCA: authority.RootPEM(),
		Collateral: must[map[string][]byte](t)(authority.CollateralFiles(at)),
	}
	return evidence.CAS{Pin: attest.Pin{Backend: attest.BackendReport, Nonce: [16]byte{1}, Report: report}, Peer: [][]byte{leaf}}, trust
}

// selfSigned is the TLS certificate of a CAS.
func selfSigned(t *testing.T, at time.Time) []byte {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{attest.CASName}, NotBefore: at.Add(-time.Hour), NotAfter: at.Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	return must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
}

// prepared is a release with one client of the user's own, as its record has it: made once.
var prepared = sync.OnceValues(func() ([]byte, error) { return prepare(topology.Single) })

// preparedSeveral is one of several databases.
var preparedSeveral = sync.OnceValues(func() ([]byte, error) { return prepare(topology.Replicated) })

// preparedSharded is one of several databases that know nothing of each other.
var preparedSharded = sync.OnceValues(func() ([]byte, error) { return prepare(topology.Sharded) })

func prepare(architecture topology.Architecture) ([]byte, error) {
	id, err := attest.ParsePlatformID("INTEL_QE_ID:" + nonce)
	if err != nil {
		return nil, err
	}
	release, err := topology.Prepare(topology.Plan{Architecture: architecture, BootstrapSQL: systemTables(),
		Name: "db1", Namespace: "shop", CASAddress: "cas.scone-system.svc", Platforms: []attest.PlatformID{id},
		Enclaves:     map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}, topology.EnclaveMaxScale: {{4}}},
		Applications: topology.Applications{Accounts: accounts.Example()}.With(topology.Application{Name: "tokenizer", MRENCLAVEs: []sgx.Measurement{{9}}, Command: []string{"/tokenizer"}, Files: topology.GivenByDefault()}),
	}, nil)
	if err != nil {
		return nil, err
	}
	return json.Marshal(release)
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return newSceneOf(t, prepared)
}

func newSceneOf(t *testing.T, prepared func() ([]byte, error)) *scene {
	t.Helper()
	id := must[attest.PlatformID](t)(attest.ParsePlatformID("INTEL_QE_ID:" + nonce))
	at := time.Now()
	cas, trust := minted(t, at)
	promised := &topology.Release{}
	if err := json.Unmarshal(must[[]byte](t)(prepared()), promised); err != nil {
		t.Fatal(err)
	}
	promised.Trust = trust
	record(t, promised)
	stored := map[string]evidence.Fetched[session.Stored]{}
	for i := range promised.Members {
		m := &promised.Members[i].Session
		m.Hash = strings.Repeat("a", 64)
		stored[m.Name] = evidence.Got(session.Stored{Hash: m.Hash, Text: "creator: me\n" + m.Text}, nil)
	}
	database := promised.Session(topology.Database).Name
	ca, leaf := certify(t)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{promised: promised, key: []byte(encode("PRIVATE KEY", must[[]byte](t)(x509.MarshalPKCS8PrivateKey(private))))}
	s.said = &evidence.Predicate{
		Nonce: nonce, Time: at.UTC().Truncate(time.Second), Session: database, Address: "db1-mariadb.shop.svc:3306", ServerName: "db1-mariadb.shop.svc", Member: "database", Account: "confidb_verify",
		ClientLeafSHA256: evidence.SHA256([]byte("leaf")), ServerVersion: "10.11",
		Server:      &evidence.Server{LeafPEM: encode("CERTIFICATE", leaf.Raw), LeafSHA256: evidence.SHA256(leaf.Raw), CASPKISHA256: evidence.SHA256(ca.RawSubjectPublicKeyInfo), TLSVersion: "TLS 1.3", CipherSuite: "x"},
		Witness:     &witness.Seen{Verifier: nonce, Asked: lastMark.Digest, Read: true, Found: true, Oldest: 1, Written: witness.Mark{Number: 8, Digest: strings.Repeat("8", 64)}},
		Limitations: []evidence.Limitation{{ID: "clear-aria-log", Text: "not encrypted"}, {ID: "no-integrity", Text: "none"}, {ID: "self-report", Text: "its own word"}},
	}
	for _, id := range verify.Required() {
		if !slices.Contains(perAccount, id) {
			s.said.Findings = append(s.said.Findings, check.Finding{ID: id, Title: id, Outcome: check.Pass})
		}
	}
	s.said.Findings = append(s.said.Findings, triedAs(`"tokenizer"@"%"`, perAccount...)...)
	s.seen = evidence.Observation{
		Nonce: nonce, At: at, Demand: witness.Demand{Verifier: nonce, Line: witness.Line{Last: lastMark, At: at.Add(-time.Hour)}}, Platforms: evidence.Got([]attest.PlatformID{id}, nil), CAS: evidence.Got(cas, nil), Sessions: stored,
		DatabaseCA:   evidence.Got(encode("CERTIFICATE", ca.Raw), nil),
		StatementKey: evidence.Got(encode("PUBLIC KEY", must[[]byte](t)(x509.MarshalPKIXPublicKey(public))), nil),
		Release:      evidence.Got(evidence.HelmRelease{Status: "deployed", Revision: 1, Digest: promised.Installed.Digest}, nil),
	}
	s.run(t)
	s.sign(t)
	s.onDisk(t, secret(1))
	return s
}

// perAccount are the checks of each account whose client is admitted.
var perAccount = []string{"mtls-07", "mtls-08", "mtls-09"}

// triedAs are findings about an account, which pass.
func triedAs(account string, ids ...string) check.Report {
	var all check.Report
	for _, id := range ids {
		all = append(all, check.Finding{ID: id, Title: id + ": " + account, Subject: account, Outcome: check.Pass, Reason: "1 refused"})
	}
	return all
}

// installed is what Helm was given: SESSION is the database session.
const installed = `
apiVersion: v1
kind: Service
metadata: {name: db1-mariadb}
spec: {selector: {app: db1}, ports: [{port: 3306}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db1-mariadb}
spec:
  selector: {matchLabels: {app: db1}}
  template:
    metadata: {labels: {app: db1}}
    spec:
      containers:
        - name: mariadb
          image: example/mariadb:1
          env: [{name: SCONE_CONFIG_ID, value: SESSION/db}, {name: SCONE_CAS_ADDR, value: cas.scone-system.svc}, {name: SCONE_LAS_ADDR, value: las}, {name: SCONE_MODE, value: hw}]
          resources: {limits: {sgx.intel.com/enclave: 1}}
          volumeMounts: [{name: data, mountPath: /var/lib/mysql}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data-db1}}]
`

// record writes down what is installed.
func record(t *testing.T, promised *topology.Release) manifest.Manifest {
	t.Helper()
	text := strings.ReplaceAll(installed, "SESSION", promised.Session(topology.Database).Name)
	m := must[manifest.Manifest](t)(manifest.Read([]byte(text)))
	promised.Installed = m.Record()
	return m
}

// run makes what is installed exist.
func (s *scene) run(t *testing.T) {
	t.Helper()
	m := must[manifest.Manifest](t)(manifest.Recorded(s.promised.Installed))
	s.seen.Objects = map[string]evidence.Fetched[json.RawMessage]{}
	for _, o := range m {
		s.seen.Objects[o.String()] = evidence.Got(json.RawMessage(o.JSON()), nil)
	}
	var set appsv1.StatefulSet
	if err := json.Unmarshal(s.seen.Objects["StatefulSet/db1-mariadb"].Value, &set); err != nil {
		t.Fatal(err)
	}
	s.seen.Pods = evidence.Got([]evidence.Pod{{
		Name: "db1-mariadb-0", Labels: set.Spec.Template.Labels, Owners: []string{"StatefulSet/db1-mariadb"}, Spec: set.Spec.Template.Spec, Ready: true, Addresses: []string{"10.0.0.1"},
	}}, nil)
	s.seen.Pods.Value[0].Spec.NodeName = "node-1"
	s.seen.Endpoints = map[string]evidence.Fetched[[]evidence.Endpoint]{
		"db1-mariadb": evidence.Got([]evidence.Endpoint{{Addresses: []string{"10.0.0.1"}, Ports: []int32{3306}, Pod: "db1-mariadb-0", Ready: true}}, nil),
	}
}

// mariadb is the container of the database.
func (s *scene) mariadb() *corev1.Container { return &s.seen.Pods.Value[0].Spec.Containers[0] }

// stored changes what CAS holds of a member's session.
func (s *scene) stored(role topology.Role, change func(*session.Stored)) {
	name := s.promised.Session(role).Name
	held := s.seen.Sessions[name]
	change(&held.Value)
	s.seen.Sessions[name] = held
}

func (s *scene) sign(t *testing.T) {
	t.Helper()
	for name, said := range s.about {
		s.seen.Statements[name] = evidence.Got(evidence.SignStatement(said, s.key))
	}
	if s.about != nil {
		return
	}
	s.seen.Statement = evidence.Got(evidence.SignStatement(s.said, s.key))
	if problem := s.seen.Statement.Why(); problem != "" {
		t.Fatal(problem)
	}
}

func TestEverythingAsPromised(t *testing.T) {
	s := newScene(t)
	r := verify.Appraise(s.promised, attest.Memory{}, s.seen)
	if v := r.Findings.Verdict(); v != check.Affirming {
		t.Errorf("got %s: %+v", v, r.Findings)
	}
	if !r.Simulated {
		t.Error("a CAS under a minted root gives a result that is not simulated")
	}
	wantLimitations(t, r, "rollback-after-kill", "clear-error-log", "self-report")
}

// TestAppraisedAgainFromAFile: an observation holds evidence, so what was written down
// is judged as it was at first, and by whoever reads it.
func TestAppraisedAgainFromAFile(t *testing.T) {
	s := newScene(t)
	text := must[[]byte](t)(json.Marshal(s.seen))
	var read evidence.Observation
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	first, again := verify.Appraise(s.promised, attest.Memory{}, s.seen), verify.Appraise(s.promised, attest.Memory{}, read)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("-at once +from the file:\n%s", diff)
	}
	stricter := *s.promised
	stricter.Trust.CAS.ReferenceValues.MRENCLAVEs = []sgx.Measurement{{9}}
	if v := verify.Appraise(&stricter, attest.Memory{}, read).Findings.Verdict(); v != check.Contraindicated {
		t.Errorf("under a policy that does not list this CAS: got %s", v)
	}
	read.CAS.Value.Pin.Trust = attest.Trust{} // what is looked at does not say whom to believe
	if v := verify.Appraise(s.promised, attest.Memory{}, read).Findings.Verdict(); v != check.Affirming {
		t.Errorf("with another policy in the observation: got %s", v)
	}
}

// TestOneTableOfChecks: what the probe asks is what a statement must answer, so a statement
// without any one of them proves nothing.
func TestOneTableOfChecks(t *testing.T) {
	if diff := cmp.Diff(mariadb.Checks(), verify.Required()); diff != "" {
		t.Errorf("-asked by the probe +required of it:\n%s", diff)
	}
	if diff := cmp.Diff(mariadb.ReplicationChecks(), verify.RequiredBeside()); diff != "" {
		t.Errorf("of one of several: -asked by the probe +required of it:\n%s", diff)
	}
	s := newScene(t)
	all := s.said.Findings
	for i, left := range all {
		s.said.Findings = slices.Delete(slices.Clone(all), i, i+1)
		s.sign(t)
		r := verify.Appraise(s.promised, attest.Memory{}, s.seen)
		if f, _ := r.Findings.Find(left.ID); r.Findings.Verdict() != check.None || f.Outcome != check.Skip {
			t.Errorf("without %s: got %s (%+v), want none", left.ID, r.Findings.Verdict(), f)
		}
	}
}

func withoutHash(s topology.Session) topology.Session { s.Hash = ""; return s }

// pinnedChain is the certificate of the CAS without evidence.
func pinnedChain(s *scene) []byte {
	return []byte(encode("CERTIFICATE", s.seen.CAS.Value.Peer[0]))
}

func TestBrokenLinks(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*testing.T, *scene)
		finding string
		verdict check.Verdict
	}{
		"a node was added": {func(t *testing.T, s *scene) {
			id := must[attest.PlatformID](t)(attest.ParsePlatformID("INTEL_QE_ID:" + strings.Repeat("f", 32)))
			s.seen.Platforms.Value = append(s.seen.Platforms.Value, id)
		}, "platforms-current", check.None},
		"a node is gone": {func(_ *testing.T, s *scene) { s.seen.Platforms.Value = nil }, "platforms-current", check.Contraindicated},
		"a node was exchanged": {func(t *testing.T, s *scene) {
			s.seen.Platforms.Value = []attest.PlatformID{must[attest.PlatformID](t)(attest.ParsePlatformID("INTEL_QE_ID:" + strings.Repeat("f", 32)))}
		}, "platforms-current", check.Contraindicated},
		"LAS of a node restarts": {func(_ *testing.T, s *scene) {
			s.seen.Platforms.Value, s.seen.Unidentified = nil, []string{"n1"}
		}, "platforms-current", check.None},
		"LAS of a node restarts, and another node is gone": {func(t *testing.T, s *scene) {
			s.promised.Platforms = append(s.promised.Platforms, must[attest.PlatformID](t)(attest.ParsePlatformID("INTEL_QE_ID:"+strings.Repeat("f", 32))))
			s.seen.Platforms.Value, s.seen.Unidentified = nil, []string{"n1"}
		}, "platforms-current", check.Contraindicated},
		"no machine promised, and none seen": {func(_ *testing.T, s *scene) {
			s.promised.Platforms, s.seen.Platforms = nil, evidence.Got([]attest.PlatformID(nil), nil)
		}, "platforms-current", check.None},
		"reached by a name that is no Service of the chart": {func(_ *testing.T, s *scene) { s.promised.Host = "elsewhere.shop.svc" }, "release-endpoints", check.None},
		"Helm went back to an earlier manifest": {func(_ *testing.T, s *scene) {
			before := s.promised.Installed
			s.promised.Earlier, s.promised.Installed.Digest = []topology.Installed{before}, strings.Repeat("0", 64)
		}, "release-manifest", check.Warning},
		"nodes unreadable": {func(_ *testing.T, s *scene) { s.seen.Platforms = evidence.Missing[[]attest.PlatformID]("unreachable") }, "platforms-current", check.None},
		"CAS unreachable":  {func(_ *testing.T, s *scene) { s.seen.CAS = evidence.Missing[evidence.CAS]("unreachable") }, "cas-attested", check.None},
		"CAS refused":      {func(_ *testing.T, s *scene) { s.promised.Trust.CAS.ReferenceValues.MRENCLAVEs[0][0]++ }, "session-database", check.Contraindicated},
		"CAS unproven": {func(_ *testing.T, s *scene) {
			s.seen.CAS.Value.Pin.Backend, s.seen.CAS.Value.Pin.Report = attest.BackendPinned, pinnedChain(s)
		}, "probe-statement", check.None},
		"CAS never asked":               {func(_ *testing.T, s *scene) { s.seen.CAS = evidence.Fetched[evidence.CAS]{} }, "session-client", check.None},
		"sessions never asked":          {func(_ *testing.T, s *scene) { s.seen.Sessions = nil }, "session-client", check.None},
		"nothing observed":              {func(_ *testing.T, s *scene) { s.seen = evidence.Observation{At: s.seen.At} }, "platforms-current", check.None},
		"a relayed CAS":                 {func(t *testing.T, s *scene) { s.seen.CAS.Value.Peer = [][]byte{selfSigned(t, s.seen.At)} }, "cas-tls-peer", check.Contraindicated},
		"no TLS peer":                   {func(_ *testing.T, s *scene) { s.seen.CAS.Value.Peer = nil }, "cas-tls-peer", check.Contraindicated},
		"a peer that is no certificate": {func(_ *testing.T, s *scene) { s.seen.CAS.Value.Peer = [][]byte{{1}} }, "cas-attested", check.None},
		"another nonce of the CAS":      {func(_ *testing.T, s *scene) { s.seen.CAS.Value.Pin.Nonce[0]++ }, "cas-nonce", check.Contraindicated},
		"an edited report":              {func(_ *testing.T, s *scene) { s.seen.CAS.Value.Pin.Report[60] ^= 1 }, "cas-quote", check.Contraindicated},
		"a clock set back":              {func(_ *testing.T, s *scene) { s.memory.Latest = s.seen.At.Add(time.Hour) }, "clock", check.None},
		"session changed": {func(_ *testing.T, s *scene) {
			s.stored(topology.Database, func(held *session.Stored) { held.Hash = strings.Repeat("b", 64) })
		}, "session-database", check.Contraindicated},
		"session rewritten under the old hash": {func(_ *testing.T, s *scene) {
			s.stored(topology.Client, func(held *session.Stored) { held.Text = strings.Replace(held.Text, "CREATOR", "ANY", 1) })
		}, "session-client", check.Contraindicated},
		"hash never recorded": {func(_ *testing.T, s *scene) {
			s.promised.SetSession(topology.Database, withoutHash(s.promised.Session(topology.Database)))
		}, "session-database", check.None},
		"release pending": {func(_ *testing.T, s *scene) { s.seen.Release.Value.Status = "pending-install" }, "release-deployed", check.Contraindicated},
		"another session in the pod": {func(_ *testing.T, s *scene) {
			s.mariadb().Env[0].Value = "other/db"
		}, "release-session", check.Contraindicated},
		"another CAS in the pod": {func(_ *testing.T, s *scene) {
			s.mariadb().Env[1].Value = "elsewhere"
		}, "release-session", check.Contraindicated},
		"no pod": {func(_ *testing.T, s *scene) {
			s.seen.Pods.Value, s.seen.Endpoints["db1-mariadb"] = nil, evidence.Got([]evidence.Endpoint{}, nil)
		}, "release-session", check.None},
		"probe did not run":                         {func(_ *testing.T, s *scene) { s.seen.Statement = evidence.Missing[[]byte]("unreachable") }, "probe-statement", check.None},
		"statement changed":                         {func(_ *testing.T, s *scene) { s.seen.Statement.Value[40] ^= 1 }, "probe-statement", check.Contraindicated},
		"another nonce":                             {func(_ *testing.T, s *scene) { s.seen.Nonce = strings.Repeat("0", 32) }, "probe-statement", check.Contraindicated},
		"a certificate of the CAS that has expired": {func(_ *testing.T, s *scene) { s.seen.At = s.seen.At.Add(25 * time.Hour) }, "cas-tls-peer", check.None},
		"a clock that is ahead":                     {func(_ *testing.T, s *scene) { s.seen.At = s.seen.At.Add(11 * time.Minute) }, "probe-statement", check.None},
		"a clock that is behind":                    {func(_ *testing.T, s *scene) { s.seen.At = s.seen.At.Add(-11 * time.Minute) }, "probe-statement", check.None},
		"another address":                           {func(t *testing.T, s *scene) { s.said.Address = "elsewhere:3306"; s.sign(t) }, "probe-statement", check.Contraindicated},
		"another port":                              {func(t *testing.T, s *scene) { s.said.Address = "db1-mariadb.shop.svc:3307"; s.sign(t) }, "probe-statement", check.Contraindicated},
		"another member":                            {func(t *testing.T, s *scene) { s.said.Member = "another"; s.sign(t) }, "probe-statement", check.Contraindicated},
		"another server name":                       {func(t *testing.T, s *scene) { s.said.ServerName = "elsewhere"; s.sign(t) }, "probe-statement", check.Contraindicated},
		"another account":                           {func(t *testing.T, s *scene) { s.said.Account = "confidb_app"; s.sign(t) }, "probe-statement", check.Contraindicated},
		"about another member":                      {func(t *testing.T, s *scene) { s.said.Session = "other/db"; s.sign(t) }, "probe-statement", check.Contraindicated},
		"another key":                               {func(t *testing.T, s *scene) { s.seen.StatementKey = newScene(t).seen.StatementKey }, "probe-statement", check.Contraindicated},
		"another database":                          {func(t *testing.T, s *scene) { s.said.Session = "other/db"; s.sign(t) }, "probe-statement", check.Contraindicated},
		"another CA":                                {func(t *testing.T, s *scene) { s.seen.DatabaseCA = newScene(t).seen.DatabaseCA }, "statement-ca", check.Contraindicated},
		"a check that failed": {func(t *testing.T, s *scene) {
			i := slices.IndexFunc(s.said.Findings, func(f check.Finding) bool { return f.ID == "mtls-01" })
			s.said.Findings[i].Outcome = check.Fail
			s.sign(t)
		}, "mtls-01", check.Contraindicated},
		"a check left out": {func(t *testing.T, s *scene) { s.said.Findings = s.said.Findings[1:]; s.sign(t) }, "tls-01", check.None},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			c.change(t, s)
			r := verify.Appraise(s.promised, s.memory, s.seen)
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

// systemTables is SQL that makes the tables that a session of ours names.
func systemTables() string {
	sql := ""
	for _, name := range topology.SystemTables() {
		sql += "CREATE TABLE IF NOT EXISTS " + name + " (a int);\n"
	}
	return sql
}
