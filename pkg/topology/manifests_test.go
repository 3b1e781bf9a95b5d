package topology_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/topology"
)

const rendered = `
apiVersion: v1
kind: Service
metadata: {name: db1-mariadb}
spec: {ports: [{port: 3306}], selector: {a: b}}
---
# Source: a comment only
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db1-mariadb}
spec:
  template:
    spec:
      imagePullSecrets: [{name: sconeapps}]
      initContainers:
        - {name: init, image: i, env: [{name: SCONE_CONFIG_ID, value: ns/db/init}, {name: SCONE_CAS_ADDR, value: cas}, {name: SCONE_LAS_ADDR, value: "10.0.0.1"}], resources: {limits: {sgx.intel.com/enclave: 1}}}
      containers:
        - name: mariadb
          image: example/mariadb:1
          env:
            - {name: SCONE_CONFIG_ID, value: ns/db/db}
            - {name: SCONE_CAS_ADDR, value: cas}
            - {name: SCONE_LAS_ADDR, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
            - {name: SCONE_HEAP, value: 1G}
            - {name: OTHER, value: x}
          resources: {limits: {sgx.intel.com/enclave: 1}}
`

func TestCheckManifests(t *testing.T) {
	client, err := topology.CheckManifests([]byte(rendered), "ns/db", "cas")
	if err != nil {
		t.Fatal(err)
	}
	want := &topology.Pod{Image: "example/mariadb:1", PullSecrets: []string{"sconeapps"}, SGXResource: "sgx.intel.com/enclave",
		Environment: map[string]string{"SCONE_CAS_ADDR": "cas", "SCONE_HEAP": "1G"}}
	if diff := cmp.Diff(want, client); diff != "" {
		t.Error(diff)
	}
}

// Whatever device plugin a cluster has, a container may ask for SGX by its name.
func TestCheckManifestsOfEachSGXResource(t *testing.T) {
	for _, name := range []string{"sgx.intel.com/enclave", "sgx.intel.com/epc", "sgx.k8s.io/sgx", "sgx.k8s.io/dcap"} {
		manifests := strings.ReplaceAll(rendered, "sgx.intel.com/enclave", name)
		client, err := topology.CheckManifests([]byte(manifests), "ns/db", "cas")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if client.SGXResource != name {
			t.Errorf("a client gets %q, want %q as the database has", client.SGXResource, name)
		}
	}
	if _, err := topology.CheckManifests([]byte(strings.ReplaceAll(rendered, "sgx.intel.com/enclave", "sgx.example/enclave")), "ns/db", "cas"); err == nil {
		t.Error("a resource that nobody knows counts as SGX")
	}
}

// What only "helm test" starts is not part of the installation; other hooks are.
func TestCheckManifestsOfHooks(t *testing.T) {
	hook := func(when string) []byte {
		return []byte(rendered + "---\nkind: Pod\nmetadata: {name: hook, annotations: {helm.sh/hook: \"" + when + "\"}}\nspec: {containers: [{name: c, image: i}]}\n")
	}
	if _, err := topology.CheckManifests(hook("test"), "ns/db", "cas"); err != nil {
		t.Error(err)
	}
	for _, when := range []string{"post-install", "test,post-install"} {
		if _, err := topology.CheckManifests(hook(when), "ns/db", "cas"); err == nil {
			t.Errorf("the hook %s runs outside the session, unseen", when)
		}
	}
}

func TestCheckManifestsRefuses(t *testing.T) {
	const cron = "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: late}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: i}]}}}}}\n"
	for name, c := range map[string]struct{ old, new, want string }{
		"another session":       {"ns/db/db", "ns/other/db", "want session ns/db"},
		"a longer session name": {"ns/db/db", "ns/db2/db", "want session ns/db"},
		"no session":            {"{name: SCONE_CONFIG_ID, value: ns/db/db}", "{name: X, value: z}", "SCONE_CONFIG_ID is not set"},
		"the init container":    {"ns/db/init", "evil/init", "container init"},
		"a later setting wins":  {"- {name: OTHER, value: x}", "- {name: SCONE_CAS_ADDR, value: evil}", `got "evil", want cas`},
		"no LAS":                {"{name: SCONE_LAS_ADDR, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}", "{name: SCONE_LAS_ADDR}", "SCONE_LAS_ADDR"},
		"no SGX":                {"          resources: {limits: {sgx.intel.com/enclave: 1}}\n", "", "no SGX resource"},
		"SGX zero":              {"          resources: {limits: {sgx.intel.com/enclave: 1}}\n", "          resources: {limits: {sgx.intel.com/enclave: 0}}\n", "no SGX resource"},
		"a second workload":     {"---\n# Source", cron + "---\n# Source", "CronJob/late"},
		"no pod at all":         {"kind: StatefulSet", "kind: Something", "got no pod"},
		"not a manifest":        {"apiVersion: apps/v1", "apiVersion: [", "reading the rendered chart"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(rendered, c.old, c.new, 1)
			if text == rendered {
				t.Fatal("the test changes nothing")
			}
			_, err := topology.CheckManifests([]byte(text), "ns/db", "cas")
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			var hinted interface{ Hint() string }
			if c.want != "reading the rendered chart" && !errors.As(err, &hinted) {
				t.Errorf("%v has no hint", err)
			}
		})
	}
}

func FuzzCheckManifests(f *testing.F) {
	f.Add([]byte(rendered))
	f.Add([]byte("kind: Pod\nspec: {containers: [{name: c}]}\n---\n[]\n"))
	f.Fuzz(func(t *testing.T, manifests []byte) {
		client, err := topology.CheckManifests(manifests, "ns/db", "cas")
		if err == nil && client.SGXResource == "" {
			t.Error("a chart without SGX is admitted")
		}
	})
}
