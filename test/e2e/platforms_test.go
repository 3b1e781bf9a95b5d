//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// setGeneration makes LAS speak as one version of SCONE does.
func setGeneration(t *testing.T, generation string) {
	t.Helper()
	run(t, "bash", "-c", `kubectl get daemonset las -n scone-system -o json | sed 's/--generation=[67]/--generation=`+generation+`/' | kubectl apply -f - 2>/dev/null`)
	run(t, "kubectl", "rollout", "status", "--namespace", "scone-system", "daemonset/las", "--timeout=90s")
}

// Up to SCONE 6 a machine is known by the key of SCONE's own quoting enclave, which
// the operator's custom resource and the log of LAS both tell. The whole job works
// with it as well.
func TestPlatformsOfSCONE6(t *testing.T) {
	setGeneration(t, "6")
	defer setGeneration(t, "7")
	out := run(t, confidb("platforms", "-o", "wide")...)
	if strings.Count(out, "scone-qe") != 3 || strings.Count(out, "las-resource,las-log") != 3 {
		t.Errorf("want three platforms, each from two sources:\n%s", out)
	}
	installed(t, "six")
	if ids := variable(t, "six", "PLATFORMS"); len(ids) != 3*64+2 || strings.Contains(ids, "INTEL") {
		t.Errorf("the sessions admit %s", ids)
	}
	remove(t, "six")
}

// Forged claims of the cluster: one source against another, and one machine's ID on two.
func TestForgedPlatforms(t *testing.T) {
	const forged = "00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"
	patch := func(node, key string) {
		t.Helper()
		run(t, "kubectl", "patch", "las", "las", "--subresource=status", "--type=merge", "--patch", `{"status":{"nodes":{"`+node+`":{"publicKey":`+key+`}}}}`)
	}
	defer patch("n1", "null")
	defer patch("n2", "null")
	if r := try(t, confidb("platforms", "-o", "session")...); r.code != 0 {
		t.Fatal(r)
	}
	patch("n1", `"`+forged+`"`)
	if r := try(t, confidb("platforms", "-o", "session")...); r.code != 1 || r.out != "" || !strings.Contains(r.err, "n1") {
		t.Errorf("two sources disagree: %v", r)
	}
	patch("n2", `"`+forged+`"`)
	if r := try(t, confidb("platforms", "-o", "session")...); r.code != 1 || r.out != "" || !strings.Contains(r.err, "n2") {
		t.Errorf("one ID on two machines: %v", r)
	}
}
