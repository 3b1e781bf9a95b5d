//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

func TestNodesOfferSGX(t *testing.T) {
	out := run(t, "kubectl", "get", "nodes", "-l", "sgx.intel.com/capable=true",
		"-o", `jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.status.allocatable.sgx\.intel\.com/enclave}{"\n"}{end}`)
	nodes := strings.Split(strings.TrimSpace(out), "\n")
	if len(nodes) != 3 {
		t.Fatalf("got %d nodes with SGX, want 3:\n%s", len(nodes), out)
	}
	for _, node := range nodes {
		if fields := strings.Fields(node); len(fields) != 3 || fields[1] != "True" || fields[2] == "0" {
			t.Errorf("node %q: want it Ready and with enclaves", node)
		}
	}
}

// A pod of the database's image runs, has the programs, and resolves a Service.
func TestImageRunsAndNamesResolve(t *testing.T) {
	run(t, "kubectl", "run", "look", "--restart=Never", "--image=lab.local/mariadb:10.11", "--image-pull-policy=IfNotPresent",
		"--command", "--", "sh", "-c", "mariadbd --version && command -v confidb-probe && command -v confidb-lab && getent hosts kubernetes.default.svc.cluster.local")
	defer run(t, "kubectl", "delete", "pod", "look", "--now")
	run(t, "kubectl", "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/look")
	out := run(t, "kubectl", "logs", "look")
	for _, want := range []string{"MariaDB", "confidb-probe", "confidb-lab", "kubernetes.default"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

func TestHelmSpeaksToTheCluster(t *testing.T) {
	if out := run(t, "helm", "list", "--all-namespaces", "--output", "json"); strings.TrimSpace(out) != "[]" && !strings.HasPrefix(out, "[{") {
		t.Errorf("helm list: %q", out)
	}
}
