package confidb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/plugin/confidb"
)

const (
	qe1 = "85ffc69266c833546e5dca1c676a6151"
	qe2 = "eee9e58de65548e3778f4d5e42e30345"
	id1 = "INTEL_QE_ID:" + qe1
	id2 = "INTEL_QE_ID:" + qe2
)

// twoMachines is a cluster with two machines with SGX, one of them cordoned, and
// one machine without.
func twoMachines() *machinestest.Cluster {
	c := &machinestest.Cluster{Nodes: []corev1.Node{machinestest.PlainNode("plain")}}
	c.AddSGX("node-2", "Intel QE ID: "+qe2)
	c.AddSGX("node-1", "Intel QE ID: "+qe1)
	c.Nodes[1].Spec.Unschedulable = true
	return c
}

// kubeconfig writes one for this server and makes it the only one there is.
func kubeconfig(t *testing.T, server string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: test, clusters: [{name: test, cluster: {server: %q}}], users: [{name: test, user: {}}], contexts: [{name: test, context: {cluster: test, user: test}}]}`, server)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
	t.Setenv("PLATFORMS", "")
}

// platforms runs the command.
func platforms(arguments ...string) (code int, out, errOut string) {
	streams, _, stdout, stderr := genericiooptions.NewTestIOStreams()
	code = confidb.Main(append([]string{"platforms"}, arguments...), streams)
	return code, stdout.String(), stderr.String()
}

// TestPlatformsFitsASession shows that the line is what our own parser takes.
func TestPlatformsFitsASession(t *testing.T) {
	kubeconfig(t, twoMachines().Start(t))
	_, line, _ := platforms("-o", "session")
	s, err := session.Parse("s.yml", []byte("name: s\nversion: \"0.3\"\nservices:\n- name: db\n  command: x\n  "+line))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Services[0].Platforms; len(got) != 2 || got[1].String() != id2 {
		t.Errorf("got %v", got)
	}
}

func TestPlatformsAsksManyMachinesQuickly(t *testing.T) {
	c := &machinestest.Cluster{}
	for n := range 300 {
		c.AddSGX(fmt.Sprintf("n%03d", n), fmt.Sprintf("Intel QE ID: %032x", n+1))
	}
	kubeconfig(t, c.Start(t))
	begun := time.Now()
	if code, _, errOut := platforms("-o", "session", "--timeout", "20s"); code != 0 {
		t.Errorf("after %v: exit %d\n%s", time.Since(begun), code, errOut)
	}
}
