//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/cas"
)

const casResource = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: cas.services.scone.cloud, labels: {app.kubernetes.io/managed-by: confidb-lab}}
spec:
  group: services.scone.cloud
  scope: Namespaced
  names: {kind: CAS, plural: cas, singular: cas, listKind: CASList}
  versions:
    - name: v1beta1
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// operator does the one thing of SCONE's operator that is looked at: it asks the CAS
// for a report with the nonce of the custom resource. lie changes what it writes.
func operator(t *testing.T, lie func(nonce string, report []byte) (string, []byte)) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	address := forward(t, "--namespace", "scone-system", "service/cas", ":8081")
	dial := func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
	ended := make(chan struct{})
	t.Cleanup(func() { stop(); <-ended })
	go func() {
		defer close(ended)
		answered := ""
		for line := range watched(t, ctx) {
			nonce := strings.TrimSpace(line)
			raw, err := hex.DecodeString(nonce)
			if err != nil || len(raw) != 16 || nonce == answered {
				continue // also the change of the status that we made
			}
			answered = nonce
			contact, err := cas.FetchEvidence(ctx, dial, [16]byte(raw))
			if err != nil {
				t.Errorf("the operator asks the CAS: %v", err)
				return
			}
			said, report := lie(nonce, contact.Report)
			status, err := json.Marshal(map[string]any{"status": map[string]any{"phase": "HEALTHY", "nonce": said, "dcapReport": string(report)}})
			if err != nil {
				t.Error(err)
				return
			}
			if text, err := command(t, ctx, "kubectl", "patch", "cas.services.scone.cloud", "cas", "--namespace", "scone-system", "--subresource=status", "--type=merge", "--patch", string(status)).CombinedOutput(); err != nil && ctx.Err() == nil { // the test may have seen it already, and ended
				t.Errorf("the operator writes the status: %v\n%s", err, text)
				return
			}
		}
	}()
}

// watched are the nonces of the custom resource, one after the other. A watch that the API
// server ends, as it may at any time, is begun anew.
func watched(t *testing.T, ctx context.Context) iter.Seq[string] {
	return func(yield func(string) bool) {
		for ctx.Err() == nil {
			watch := command(t, ctx, "kubectl", "get", "cas.services.scone.cloud", "cas", "--namespace", "scone-system", "--watch", "--output", `jsonpath={.spec.nonce}{"\n"}`)
			out, err := watch.StdoutPipe()
			if err == nil {
				err = watch.Start()
			}
			if err != nil {
				if ctx.Err() == nil {
					t.Error(err)
				}
				return
			}
			more := true
			for lines := bufio.NewScanner(out); more && lines.Scan(); {
				more = yield(lines.Text())
			}
			if !more {
				watch.Process.Kill()
			}
			if watch.Wait(); !more { // it was killed, or the watch has ended
				return
			}
		}
	}
}

// SCONE's operator hands over a report that answers our nonce, or is caught lying.
func TestAttestThroughTheCustomResource(t *testing.T) {
	manifest := filepath.Join(t.TempDir(), "crd.yaml")
	if err := os.WriteFile(manifest, []byte(casResource), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "kubectl", "apply", "-f", manifest)
	defer run(t, "kubectl", "delete", "-f", manifest)
	run(t, "kubectl", "wait", "--for=condition=Established", "--timeout=30s", "crd/cas.services.scone.cloud")
	attest := func(more ...string) result {
		return try(t, append(append(confidb("attest", "cas", "--evidence", "custom-resource", "--accept-simulated", "-o", "json"), labFlags(t)[:6]...), more...)...) // whom to trust
	}
	resource := func() {
		t.Helper()
		if r := try(t, "bash", "-c", `kubectl delete cas.services.scone.cloud cas -n scone-system --ignore-not-found && echo '{"apiVersion": "services.scone.cloud/v1beta1", "kind": "CAS", "metadata": {"name": "cas", "namespace": "scone-system"}}' | kubectl create -f -`); r.code != 0 {
			t.Fatal(r)
		}
	}
	if r := attest(); r.code != 1 || !strings.Contains(r.err, "not found") {
		t.Errorf("without a resource: %v", r)
	}
	resource()
	if r := attest("--timeout", "5s"); r.code != 124 || !strings.Contains(r.err, "has no phase") {
		t.Errorf("without an operator: %v", r)
	}
	for name, c := range map[string]struct {
		lie  func(nonce string, report []byte) (string, []byte)
		code int
		want string
	}{
		"honest":        {func(n string, r []byte) (string, []byte) { return n, r }, 0, `"nonceBound": true`},
		"another nonce": {func(n string, r []byte) (string, []byte) { return n, relabelled(r, n) }, 3, `"cas-nonce"`},
		"another chain": {func(n string, r []byte) (string, []byte) {
			return n, []byte(strings.Replace(string(r), `\r\n`, `\n`, 1))
		}, 3, `"cas-binding"`},
		"it is not a report": {func(n string, r []byte) (string, []byte) { return n, []byte("dcap") }, 3, `"cas-quote"`},
	} {
		t.Run(name, func(t *testing.T) {
			resource()
			operator(t, c.lie)
			r := attest("--timeout", "60s")
			if r.code != c.code || !strings.Contains(r.out, c.want) {
				t.Errorf("want exit %d and %s: %v", c.code, c.want, r)
			}
		})
	}
}

// relabelled replaces the nonce in a report by another one.
func relabelled(report []byte, nonce string) []byte {
	return []byte(strings.Replace(string(report), nonce, fmt.Sprintf("%032x", 1), 1))
}
