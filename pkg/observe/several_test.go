package observe_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/witness"
)

// Each of several databases is asked by a probe of its own, with one nonce; and those that
// follow are asked once more, for the mark that the only other one has taken.
func TestSeveralAreAsked(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	const old, left = hash, "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"
	round := func(mark string) (all []string) {
		for n := range 3 {
			all = append(all, fmt.Sprintf("c/probe-db1-mariadb-%d %s", n, mark))
		}
		return all
	}
	for name, c := range map[string]struct {
		written []int
		want    []string
	}{
		"one is the primary": {[]int{1}, append(round(old), "c/front ", "c/probe-db1-mariadb-0 "+left, "c/probe-db1-mariadb-2 "+left)},
		"none is":            {nil, append(round(old), "c/front ")},
		"two are":            {[]int{0, 1}, append(round(old), "c/front ")},
	} {
		s := newScene(t)
		s.promised.Architecture, s.promised.Databases = topology.Replicated, 3
		text, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: shown})))
		if err != nil {
			t.Fatal(err)
		}
		s.Answers["/v1/values/session=c,session_hash="+hash+",secret="+topology.SecretStatementKey] = `{"value":` + string(text) + `}`
		var asked sync.Mutex
		var got, nonces []string
		s.cluster.say = func(client kube.Client) ([]byte, error) {
			asked.Lock()
			defer asked.Unlock()
			service, mark, nonce := client.Environment["SCONE_CONFIG_ID"], client.Environment["CONFIDB_MARK"], client.Environment["CONFIDB_NONCE"]
			got, nonces = append(got, service+" "+mark), append(nonces, nonce)
			seen := &witness.Seen{Verifier: demand.Verifier, Asked: mark, Read: true}
			if slices.ContainsFunc(c.written, func(n int) bool { return strings.HasSuffix(service, fmt.Sprint("-", n)) }) {
				seen.Written = witness.Mark{Number: 9, Digest: left}
			}
			return evidence.SignStatement(&evidence.Predicate{Nonce: nonce, Time: s.now.UTC().Truncate(time.Second), Session: "d", Member: "m", Address: "a:1", ServerName: "n", Account: "x",
				ClientLeafSHA256: hash, ServerVersion: "10.11", Witness: seen, Findings: check.Report{{ID: "x", Title: "x", Outcome: check.Pass}}}, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
		}
		o := s.observer()
		o.Demand = demand
		seen := o.Observe(t.Context(), s.promised)
		if s.promised.Architecture = topology.Sharded; len(c.written) == 1 {
			before := got
			o.Demand.Line, got = witness.Line{Shards: map[string]witness.Line{"mariadb-1": demand.Line}}, nil
			o.Observe(t.Context(), s.promised)
			slices.Sort(got)
			if want := []string{"c/front ", "c/probe-db1-mariadb-0 ", "c/probe-db1-mariadb-1 " + old, "c/probe-db1-mariadb-2 "}; !slices.Equal(got, want) {
				t.Errorf("shards were asked %q, want %q", got, want)
			}
			got, nonces = before, nonces[:len(before)]
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if len(slices.Compact(nonces)) != 1 || nonces[0] != seen.Nonce || len(seen.Statements) != 4 {
			t.Errorf("%s: nonces %q and %d statements, want one nonce and four", name, nonces, len(seen.Statements))
		}
		for of, statement := range seen.Statements {
			if problem := statement.Why(); problem != "" {
				t.Errorf("%s: %s: %s", name, of, problem)
			}
		}
	}
}
