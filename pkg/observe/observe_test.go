package observe_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/internal/castest"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/observe"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/witness"
)

var errAway = errors.New("it is away")

const (
	manifests = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db1-mariadb}\nspec: {template: {spec: {containers: [{name: mariadb}]}}}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: db1-mariadb}\n"
	hash      = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
)

// store keeps nothing but the user's key.
type store struct{ identity tls.Certificate }

func (store) Memory() (attest.Memory, error)                { return attest.Memory{}, nil }
func (store) Learn(func(attest.Memory) attest.Memory) error { return nil }
func (store) Pin(string) (*attest.Pin, error)               { return nil, fs.ErrNotExist }
func (store) SavePin(*attest.Pin) error                     { return errors.New("a pin was kept") }
func (s store) Identity(time.Time) (tls.Certificate, error) { return s.identity, nil }

// cluster has one database and runs one probe.
type cluster struct {
	pods, object, ends, nodes, run error
	asked                          []string
	workloads                      []topology.Workload
	ran                            kube.Client
	known                          []evidence.Pod // nil means one
	// say is what a probe prints, of which several run at once; nil means nothing of worth.
	say func(kube.Client) ([]byte, error)
}

func (c *cluster) Pods(_ context.Context, namespace string) ([]evidence.Pod, error) {
	c.asked = append(c.asked, "pods of "+namespace)
	if c.known != nil {
		return c.known, c.pods
	}
	return []evidence.Pod{{Name: "p"}}, c.pods
}

func (c *cluster) Object(_ context.Context, namespace, kind, name string) (json.RawMessage, error) {
	c.asked = append(c.asked, namespace+"/"+kind+"/"+name)
	return json.RawMessage("{}"), c.object
}

func (c *cluster) Endpoints(_ context.Context, namespace, service string) ([]evidence.Endpoint, error) {
	c.asked = append(c.asked, "ends of "+namespace+"/"+service)
	return nil, c.ends
}

func (c *cluster) Nodes(_ context.Context, _ string, workloads []topology.Workload) ([]string, error) {
	c.workloads = workloads
	return []string{"node-1"}, c.nodes
}

func (c *cluster) Run(_ context.Context, client kube.Client) ([]byte, error) {
	if c.say != nil {
		return c.say(client)
	}
	c.ran = client
	if client.Reader != nil {
		c.asked = append(c.asked, "run "+client.Name)
	}
	return []byte("[SCONE] starting\n{\"payloadType\":\"application/vnd.in-toto+json\"}\n"), c.run
}

// scene is a release where everything answers.
type scene struct {
	*castest.CAS
	now       time.Time
	promised  *topology.Release
	cluster   *cluster
	platforms error
	helm      error
	manifests string
	steps     []string
	identity  tls.Certificate
}

func newScene(t *testing.T) *scene {
	t.Helper()
	now := time.Now()
	s := &scene{CAS: castest.New(t, now), now: now, cluster: &cluster{}, manifests: manifests}
	s.promised = &topology.Release{Name: "db1", Namespace: "shop", CASAddress: "cas.scone-system.svc", Trust: s.Trust, Members: []topology.Member{
		{Role: topology.Client, Session: topology.Session{Name: "c", Hash: hash}},
		{Role: topology.Database, Session: topology.Session{Name: "d", Hash: hash}},
	}}
	installed, err := manifest.Read([]byte(manifests))
	if err != nil {
		t.Fatal(err)
	}
	s.promised.Installed = installed.Record()
	for _, name := range []string{"c", "d"} {
		s.Answers["/v1/sessions/"+name] = fmt.Sprintf(`{"hash":%q,"session":"name: %s"}`, hash, name)
	}
	s.Answers["/v1/values/session=d,session_hash="+hash+",secret="+topology.SecretCA] = `{"value":"CA"}`
	s.Answers["/v1/values/session=c,session_hash="+hash+",secret="+topology.SecretStatementKey] = `{"value":"KEY"}`
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s.identity = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return s
}

func (s *scene) observer() observe.Observer {
	return observe.Observer{
		Platforms: func(context.Context) ([]attest.PlatformID, []string, error) {
			return make([]attest.PlatformID, 2), []string{"n3"}, s.platforms
		},
		Desk: contact.Desk{Store: store{s.identity}, Now: func() time.Time { return s.now }, Dial: s.Dial},
		Helm: func(_ context.Context, name string) (evidence.HelmRelease, []byte, error) {
			return evidence.HelmRelease{Status: "deployed of " + name, Revision: 3}, []byte(s.manifests), s.helm
		},
		Cluster: s.cluster,
		Step:    func(format string, arguments ...any) { s.steps = append(s.steps, fmt.Sprintf(format, arguments...)) },
	}
}

// problems are why there is no value, by what was to be fetched; those without are left out.
func problems(seen evidence.Observation) map[string]string {
	all := map[string]string{
		"platforms": seen.Platforms.Why(), "CAS": seen.CAS.Why(), "CA": seen.DatabaseCA.Why(), "key": seen.StatementKey.Why(),
		"release": seen.Release.Why(), "pods": seen.Pods.Why(), "set": seen.Objects["StatefulSet/db1-mariadb"].Why(), "service": seen.Objects["Service/db1-mariadb"].Why(),
		"ends": seen.Endpoints["db1-mariadb"].Why(), "statement": seen.Statement.Why(),
	}
	for _, name := range []string{"c", "d"} {
		all["session "+name] = seen.Sessions[name].Why()
	}
	for what, problem := range all {
		if problem == "" {
			delete(all, what)
		}
	}
	return all
}

func TestEverythingIsFetched(t *testing.T) {
	s := newScene(t)
	seen := s.observer().Observe(t.Context(), s.promised)
	if left := problems(seen); len(left) > 0 {
		t.Fatalf("not fetched: %v", left)
	}
	if !seen.At.Equal(s.now) {
		t.Errorf("the time is %s, want %s", seen.At, s.now)
	}
	if seen.Sessions["d"].Value.Text != "name: d" {
		t.Errorf("got the session %q", seen.Sessions["d"].Value.Text)
	}
	if got := seen.DatabaseCA.Value + " " + seen.StatementKey.Value; got != "CA KEY" {
		t.Errorf("got the public values %s", got)
	}
	if got := string(seen.Statement.Value); got != "{\"payloadType\":\"application/vnd.in-toto+json\"}\n" {
		t.Errorf("got the statement %q", got)
	}
	if got := seen.Release.Value.Status; got != "deployed of db1" {
		t.Errorf("Helm was asked for another release: %s", got)
	}
	if diff := cmp.Diff([]topology.Workload{{Kind: "StatefulSet", Name: "db1-mariadb"}}, s.cluster.workloads); diff != "" {
		t.Errorf("the workloads (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ends of shop/db1-mariadb", "pods of shop", "pods of shop", "shop/Service/db1-mariadb", "shop/StatefulSet/db1-mariadb"}, slices.Sorted(slices.Values(s.cluster.asked))); diff != "" {
		t.Errorf("what was asked (-want +got):\n%s", diff)
	}
	if seen.Release.Value.Digest != s.promised.Installed.Digest {
		t.Errorf("the digest of Helm's manifest is %s, want %s", seen.Release.Value.Digest, s.promised.Installed.Digest)
	}
	if len(s.steps) != 4 {
		t.Errorf("got the steps %q", s.steps)
	}
	if n := s.Open(); n != 0 {
		t.Errorf("%d ways to the CAS are still open", n)
	}
	if _, err := json.Marshal(seen); err != nil {
		t.Errorf("it cannot be written down: %v", err)
	}
}

// demand is that of somebody who has verified before.
var demand = witness.Demand{Verifier: hash[:32], Line: witness.Line{Last: witness.Mark{Number: 3, Digest: hash}}}

// TestTheProbe: what is run comes from what was promised, and the nonce is fresh.
func TestTheProbe(t *testing.T) {
	s := newScene(t)
	o := s.observer()
	o.Demand = demand
	first := o.Observe(t.Context(), s.promised)
	if diff := cmp.Diff(demand, first.Demand); diff != "" {
		t.Errorf("what was demanded (-want +got):\n%s", diff)
	}
	ran := s.cluster.ran
	if diff := cmp.Diff(map[string]string{"SCONE_CONFIG_ID": "c/" + topology.ServiceProbe, "CONFIDB_NONCE": first.Nonce,
		"CONFIDB_VERIFIER": demand.Verifier, "CONFIDB_MARK": demand.Line.Last.Digest}, ran.Environment); diff != "" {
		t.Errorf("the environment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"node-1"}, ran.Nodes); diff != "" {
		t.Errorf("the machines (-want +got):\n%s", diff)
	}
	if ran.Namespace != "shop" || ran.Program != topology.ProgramProbe {
		t.Errorf("ran %s in %s", ran.Program, ran.Namespace)
	}
	second := s.observer().Observe(t.Context(), s.promised)
	if len(first.Nonce) != 32 || first.Nonce == second.Nonce {
		t.Errorf("the nonces are %q and %q", first.Nonce, second.Nonce)
	}
}

func TestWhatCannotBeFetched(t *testing.T) {
	everythingOfCAS := []string{"CAS", "session c", "session d", "CA", "key"}
	for name, c := range map[string]struct {
		change func(*scene, *observe.Observer)
		want   []string // what is missing then
	}{
		"the machines":     {func(s *scene, _ *observe.Observer) { s.platforms = errAway }, []string{"platforms"}},
		"a way to the CAS": {func(_ *scene, o *observe.Observer) { o.Desk.Dial = nowhere }, everythingOfCAS},
		"a session":        {func(s *scene, _ *observe.Observer) { delete(s.Answers, "/v1/sessions/d") }, []string{"session d"}},
		"public values":    {func(s *scene, _ *observe.Observer) { clear(s.Answers) }, everythingOfCAS[1:]},
		"the Helm release": {func(s *scene, _ *observe.Observer) { s.helm = errAway }, []string{"release"}},
		"its manifests":    {func(s *scene, _ *observe.Observer) { s.manifests = "a: [" }, nil},
		"its pods":         {func(s *scene, _ *observe.Observer) { s.cluster.pods = errAway }, []string{"pods"}},
		"its objects":      {func(s *scene, _ *observe.Observer) { s.cluster.object = errAway }, []string{"set", "service"}},
		"its ends":         {func(s *scene, _ *observe.Observer) { s.cluster.ends = errAway }, []string{"ends"}},
		"its machines":     {func(s *scene, _ *observe.Observer) { s.cluster.nodes = errAway }, nil},
		"the probe":        {func(s *scene, _ *observe.Observer) { s.cluster.run = errAway }, []string{"statement"}},
		"a nonce":          {func(_ *scene, o *observe.Observer) { o.Rand = iotest.ErrReader(errAway) }, []string{"statement"}},
		"anything to tell": {func(_ *scene, o *observe.Observer) { o.Step = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			o := s.observer()
			c.change(s, &o)
			missing := problems(o.Observe(t.Context(), s.promised))
			want := map[string]bool{}
			for _, what := range c.want {
				want[what] = true
			}
			got := map[string]bool{}
			for what := range missing {
				got[what] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what is missing (-want +got):\n%s\n%v", diff, missing)
			}
			if n := s.Open(); n != 0 {
				t.Errorf("%d ways to the CAS are still open", n)
			}
		})
	}
}

func nowhere(context.Context, string) (cas.Dialer, func(), error) { return nil, nil, errAway }

// TestARefusedCASIsNotAsked: its evidence is kept, so that it can be judged, and nothing
// is sent to it.
func TestARefusedCASIsNotAsked(t *testing.T) {
	s := newScene(t)
	s.promised.Trust.CAS.ReferenceValues.MRENCLAVEs = nil
	seen := s.observer().Observe(t.Context(), s.promised)
	if asked := s.Asked(); len(asked) > 0 {
		t.Errorf("it was asked for %q", asked)
	}
	if problem := seen.CAS.Why(); problem != "" {
		t.Errorf("its evidence is missing: %s", problem)
	}
	if n := len(seen.CAS.Value.Peer); n != 1 {
		t.Errorf("got %d certificates of the peer, want one", n)
	}
	for what, problem := range problems(seen) {
		if !strings.Contains(problem, "is not proven") {
			t.Errorf("%s is missing because %s", what, problem)
		}
	}
	if n := len(problems(seen)); n != 4 {
		t.Errorf("%d things are missing, want both sessions and both values", n)
	}
}

func TestAnExpiredContext(t *testing.T) {
	s := newScene(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	seen := s.observer().Observe(ctx, s.promised)
	if problem := seen.CAS.Why(); !strings.Contains(problem, context.DeadlineExceeded.Error()) {
		t.Errorf("got %q", problem)
	}
	if asked := s.Asked(); len(asked) > 0 {
		t.Errorf("the CAS was asked for %q", asked)
	}
}

// TestNoSecretIsObserved: an observation may be shown and kept anywhere.
func TestNoSecretIsObserved(t *testing.T) {
	s := newScene(t)
	raw, err := s.identity.PrivateKey.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	key := new(big.Int).SetBytes(raw).String() // as JSON would have it
	for name, change := range map[string]func(){"as promised": func() {}, "with a refused CAS": func() { s.promised.Trust.CAS.ReferenceValues.MRENCLAVEs = nil }} {
		change()
		text, err := json.Marshal(s.observer().Observe(t.Context(), s.promised))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), key) {
			t.Errorf("%s: the user's private key is in it", name)
		}
	}
}

// TestSessionsOfManyClients are read side by side: the CAS answers none of them before eight
// are asked for.
func TestSessionsOfManyClients(t *testing.T) {
	s := newScene(t)
	for i := range 20 {
		name := fmt.Sprintf("client%d", i)
		s.promised.Members = append(s.promised.Members, topology.Member{Role: topology.ApplicationRole(name), Session: topology.Session{Name: name, Hash: hash}})
		s.Answers["/v1/sessions/"+name] = fmt.Sprintf(`{"hash":%q,"session":"name: %s"}`, hash, name)
	}
	var asked atomic.Int32
	enough := make(chan struct{})
	s.Hold = func(path string) {
		if strings.HasPrefix(path, "/v1/sessions/") && asked.Add(1) == 8 {
			close(enough)
		}
		select {
		case <-enough:
		case <-time.After(20 * time.Second):
			t.Error("the CAS is asked for one session after the other")
		}
	}
	seen := s.observer().Observe(t.Context(), s.promised)
	for _, m := range s.promised.Members {
		if got := seen.Sessions[m.Session.Name]; got.Value.Text != "name: "+m.Session.Name {
			t.Errorf("session %s: got %+v", m.Session.Name, got)
		}
	}
}
