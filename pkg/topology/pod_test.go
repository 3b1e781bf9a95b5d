package topology_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/topology"
)

const placed = `
tolerations: [{key: sgx, operator: Exists}]
nodeSelector: {sgx: "true"}
affinity:
  nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}
  podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: host}]}
schedulerName: other
runtimeClassName: kata
priorityClassName: high
serviceAccountName: db
`

// TestPlacementOf: what decides where the database may run decides it for its clients. That
// two databases must not share a node does not concern them.
func TestPlacementOf(t *testing.T) {
	var spec corev1.PodSpec
	if err := yaml.UnmarshalStrict([]byte(placed), &spec); err != nil {
		t.Fatal(err)
	}
	got := topology.PlacementOf(&spec, &corev1.Container{})
	want := topology.Placement{
		Tolerations: spec.Tolerations, NodeSelector: map[string]string{"sgx": "true"}, NodeAffinity: spec.Affinity.NodeAffinity,
		Scheduler: "other", RuntimeClass: spec.RuntimeClassName, PriorityClass: "high", ServiceAccount: "db",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(topology.Placement{}, topology.PlacementOf(&corev1.PodSpec{}, &corev1.Container{})); diff != "" {
		t.Error(diff)
	}
}

// TestClientResources: a quota that wants an amount of something for the database wants it
// for a client, which takes little of it; a limit alone would count as a request.
func TestClientResources(t *testing.T) {
	for name, c := range map[string]struct{ database, want string }{
		"nothing":              {"{}", "{}"},
		"SGX alone":            {"limits: {sgx.intel.com/enclave: 1}", "{}"},
		"small":                {"{limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 50m, memory: 32Mi}}", "{limits: {cpu: 500m, memory: 64Mi}, requests: {cpu: 50m, memory: 32Mi}}"},
		"large":                {"{limits: {cpu: 16, memory: 64Gi}, requests: {cpu: 8, memory: 64Gi}}", "{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 100m, memory: 128Mi}}"},
		"limits only":          {"limits: {cpu: 16, memory: 64Gi}", "{limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 100m, memory: 128Mi}}"},
		"requests only":        {"requests: {memory: 64Gi}", "requests: {memory: 128Mi}"},
		"a little of the disk": {"limits: {ephemeral-storage: 2Gi}", "{limits: {ephemeral-storage: 100Mi}, requests: {ephemeral-storage: 10Mi}}"},
		"EPC and devices":      {"limits: {sgx.intel.com/enclave: 1, sgx.intel.com/epc: 512Mi, example.com/gpu: 2, hugepages-2Mi: 1Gi}", "{limits: {sgx.intel.com/epc: 512Mi}, requests: {sgx.intel.com/epc: 512Mi}}"},
	} {
		var database, want corev1.ResourceRequirements
		if err := errors.Join(yaml.UnmarshalStrict([]byte(c.database), &database), yaml.UnmarshalStrict([]byte(c.want), &want)); err != nil {
			t.Fatal(name, err)
		}
		got := topology.PlacementOf(&corev1.PodSpec{}, &corev1.Container{Resources: database}).Resources
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
