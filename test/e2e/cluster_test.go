//go:build e2e

// Package e2e tests the whole on a real cluster: the embedded lab, which the tests
// start and the caller stops (make lab-down).
package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lab is where the embedded lab keeps what it writes.
const lab = "../../.lab"

func TestMain(m *testing.M) {
	up := exec.Command("../../scripts/lab-up")
	up.Stdout, up.Stderr = os.Stderr, os.Stderr
	if err := up.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "starting the lab:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// run executes a program of the lab as a user does who has sourced .lab/env.
func run(t *testing.T, timeout time.Duration, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	environment, err := filepath.Abs(filepath.Join(lab, "env"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, "bash", append([]string{"-c", `. "$0" && exec "$@"`, environment}, arguments...)...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(arguments, " "), err, out, stderr.String())
	}
	return string(out)
}

func TestNodesOfferSGX(t *testing.T) {
	out := run(t, time.Minute, "kubectl", "get", "nodes", "-l", "sgx.intel.com/capable=true",
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
	run(t, time.Minute, "kubectl", "run", "look", "--restart=Never", "--image=lab.local/mariadb:10.11", "--image-pull-policy=IfNotPresent",
		"--command", "--", "sh", "-c", "mariadbd --version && command -v confidb-probe && command -v confidb-lab && getent hosts kubernetes.default.svc.cluster.local")
	defer run(t, time.Minute, "kubectl", "delete", "pod", "look", "--now")
	run(t, 2*time.Minute, "kubectl", "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/look")
	out := run(t, time.Minute, "kubectl", "logs", "look")
	for _, want := range []string{"MariaDB", "confidb-probe", "confidb-lab", "kubernetes.default"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

func TestHelmSpeaksToTheCluster(t *testing.T) {
	if out := run(t, time.Minute, "helm", "list", "--all-namespaces", "--output", "json"); strings.TrimSpace(out) != "[]" && !strings.HasPrefix(out, "[{") {
		t.Errorf("helm list: %q", out)
	}
}
