package manifest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

// enclave are the variables of an enclave's container, and what gives it SGX.
const enclave = `
            - {name: SCONE_CAS_ADDR, value: cas}
            - {name: SCONE_LAS_ADDR, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
            - {name: SCONE_MODE, value: hw}
            - {name: SCONE_HEAP, value: 1G}
          resources: {limits: {sgx.intel.com/enclave: 1}}`

// tiers is a chart of three tiers. MaxScale comes first, so that it is found first.
const tiers = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db1-maxscale}
spec:
  replicas: 2
  serviceName: db1-maxscale
  selector: {matchLabels: {tier: maxscale}}
  template:
    metadata: {labels: {tier: maxscale}}
    spec:
      automountServiceAccountToken: false
      containers:
        - name: maxscale
          image: example/maxscale:24
          command: [maxscale]
          env:
            - {name: SCONE_CONFIG_ID, value: PROXY/maxscale}` + enclave + `
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db1-mariadb}
spec:
  replicas: 3
  serviceName: db1-mariadb
  selector: {matchLabels: {tier: database}}
  template:
    metadata: {labels: {tier: database}}
    spec:
      automountServiceAccountToken: false
      initContainers:
        - name: init
          image: example/mariadb:1
          command: [sh, -ec, "SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/volume-${POD_NAME} confidb-probe; SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/gate-${POD_NAME} confidb-probe; mariadbd"]
          env:
            - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: SCONE_CONFIG_ID, value: SESSION/init-$(POD_NAME)}` + enclave + `
      containers:
        - name: mariadb
          image: example/mariadb:1
          command: [mariadbd]
          env:
            - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: SCONE_CONFIG_ID, value: SESSION/db-$(POD_NAME)}` + enclave + `
---
apiVersion: v1
kind: ConfigMap
metadata: {name: db1-haproxy}
data:
  haproxy.cfg: |
    defaults
      mode tcp
      timeout connect 3s
    frontend mysql
      bind :3306
      default_backend maxscale
    backend maxscale
      option tcp-check
      tcp-check connect
      tcp-check expect rbinary ^......000A
      server a db1-maxscale-0.db1-maxscale.shop.svc:4006 check
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db1-haproxy}
spec:
  replicas: 2
  selector: {matchLabels: {tier: haproxy}}
  template:
    metadata: {labels: {tier: haproxy}}
    spec:
      automountServiceAccountToken: false
      containers:
        - name: haproxy
          image: example/haproxy:1
          command: [haproxy, -W, -db, -f, /etc/confidb/haproxy.cfg]
          volumeMounts: [{name: config, mountPath: /etc/confidb}]
      volumes: [{name: config, configMap: {name: db1-haproxy}}]
---
apiVersion: v1
kind: Service
metadata: {name: db1-maxscale}
spec: {clusterIP: None, selector: {tier: maxscale}, ports: [{port: 4006}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: evil.example, selector: {a: b}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db1-mariadb}
spec:
  podSelector: {matchLabels: {tier: database}}
  ingress: [{from: [{podSelector: {matchLabels: {tier: maxscale}}}], ports: [{port: 3306}]}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db1-mariadb}
spec: {maxUnavailable: 1, selector: {matchLabels: {tier: database}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data: {of: nobody}
`

// scalable is the promise of a release with three tiers: sessions with a service for each
// pod.
func scalable(t *testing.T) manifest.Promise {
	t.Helper()
	p, err := scalableOnce()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var scalableOnce = sync.OnceValues(func() (manifest.Promise, error) {
	service := func(name, mrenclave string) string {
		return fmt.Sprintf("  - name: %s\n    image_name: i\n    command: p\n    attestation: {mrenclave: [%q]}\n    platforms: [\"INTEL_QE_ID:00112233445566778899aabbccddeeff\"]\n", name, strings.Repeat(mrenclave, 32))
	}
	database := "name: ns/db\nversion: \"0.3.11\"\nservices:\n"
	for i := range 4 {
		for step, measured := range map[string]string{"volume": "03", "gate": "03", "init": "01", "db": "01", "cold": "01", "leave": "03", "watch": "03", "seedbed": "03", "seeding": "01", "seed": "03"} {
			database += service(fmt.Sprintf("%s-db1-mariadb-%d", step, i), measured)
		}
	}
	images := "images:\n  - name: i\n"
	r := &topology.Release{Name: "db1", Namespace: "shop", CASAddress: "cas",
		Enclaves: map[string][]sgx.Measurement{topology.EnclaveServer: {measurement(1)}, topology.EnclaveProbe: {measurement(3)}},
		Settings: map[string]policy.Settings{topology.EnclaveServer: {Heap: "1G"}},
		Members: []topology.Member{
			{Role: topology.Client, Session: topology.Session{Name: "ns/client", Text: "name: ns/client\nversion: \"0.3.11\"\nservices:\n" + service("probe", "03") + images}},
			{Role: "maxscale", Session: topology.Session{Name: "ns/maxscale", Text: "name: ns/maxscale\nversion: \"0.3.11\"\nservices:\n" + service("prepare", "03") + service("maxscale", "05") + service("keeper", "03") + images}},
			{Role: topology.Database, Session: topology.Session{Name: "ns/db", Text: database + images}},
		}}
	return manifest.Promised(r)
})

func measurement(b byte) (m sgx.Measurement) {
	for i := range m {
		m[i] = b
	}
	return m
}

func inNamespace(text string) []byte {
	return []byte(strings.NewReplacer("SESSION", "ns/db", "PROXY", "ns/maxscale").Replace(text))
}

// Three tiers may be installed, and a client is started as the database is, whichever
// enclave comes first.
func TestTiers(t *testing.T) {
	p := scalable(t)
	checked, err := p.Check(inNamespace(tiers))
	if err != nil {
		t.Fatal(err)
	}
	if checked.Client.Image != "example/mariadb:1" || len(checked.Accepted) > 0 {
		t.Errorf("got %+v", checked)
	}
	// A chart of which nothing runs under the session of the database starts clients as the
	// first enclave that may be one.
	other := strings.NewReplacer("image: example/mariadb:1\n          command: [mariadbd]", "image: example/other:1\n          command: [mariadbd]", "SESSION/db-$(POD_NAME)", "ns/client/probe").Replace(tiers)
	if checked, err := p.Check(inNamespace(other)); err != nil || checked.Client.Image != "example/other:1" {
		t.Errorf("got %+v, %v", checked, err)
	}
	var watched []string
	for _, o := range checked.Manifest.Watched() {
		watched = append(watched, o.String())
	}
	want := "StatefulSet/db1-maxscale StatefulSet/db1-mariadb ConfigMap/db1-haproxy Deployment/db1-haproxy Service/db1-maxscale Service/outside NetworkPolicy/db1-mariadb PodDisruptionBudget/db1-mariadb"
	if got := strings.Join(watched, " "); got != want {
		t.Errorf("watched are %s, want %s", got, want)
	}
}

func TestTiersAccepted(t *testing.T) {
	const config = "volumes: [{name: config, configMap: {name: db1-haproxy}}]"
	for name, c := range map[string]struct{ old, new string }{
		"four databases":      {"replicas: 3", "replicas: 4"},
		"no database now":     {"replicas: 3", "replicas: 0"},
		"databases from 1 on": {"replicas: 3", "replicas: 3\n  ordinals: {start: 1}"},
		"a mount of one file": {"mountPath: /etc/confidb}", "mountPath: /etc/confidb/haproxy.cfg, subPath: haproxy.cfg}"},
		"items":               {config, "volumes: [{name: config, configMap: {name: db1-haproxy, items: [{key: haproxy.cfg, path: haproxy.cfg}]}}]"},
		"memory":              {config, strings.Replace(config, "}]", "}, {name: run, emptyDir: {}}]", 1)},
		"one HAProxy":         {"kind: Deployment", "kind: DaemonSet"},
		"a path of the image": {"command: [haproxy,", "command: [/usr/sbin/haproxy,"},
		"a name before":       {"fieldPath: metadata.name}}}\n            - {name: SCONE_CONFIG_ID, value: SESSION/db-$(POD_NAME)}", "fieldPath: metadata.name}}}\n            - {name: A, value: db-$(POD_NAME)}\n            - {name: SCONE_CONFIG_ID, value: SESSION/$(A)}"},
	} {
		if !strings.Contains(tiers, c.old) {
			t.Fatalf("%s: the test changes nothing", name)
		}
		if _, err := scalable(t).Check(inNamespace(strings.Replace(tiers, c.old, c.new, 1))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// refusedTiers are changes of the chart, and what is said of each. No deviation makes those
// good that are named in hard.
func TestTiersRefused(t *testing.T) {
	const (
		field   = "            - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}\n"
		id      = "            - {name: SCONE_CONFIG_ID, value: SESSION/db-$(POD_NAME)}"
		config  = "volumes: [{name: config, configMap: {name: db1-haproxy}}]"
		proxy   = "            - {name: SCONE_CONFIG_ID, value: PROXY/maxscale}" + enclave
		image   = "          image: example/haproxy:1\n"
		command = "command: [haproxy, -W, -db, -f, /etc/confidb/haproxy.cfg]"
	)
	hard := func(old, new, want string) [4]string { return [4]string{old, new, want, "hard"} }
	soft := func(old, new, want string) [4]string { return [4]string{old, new, want} }
	for name, c := range map[string][4]string{
		"more databases than services":   hard("replicas: 3", "replicas: 5", `no service "init-db1-mariadb-4"`),
		"far more":                       hard("replicas: 3", "replicas: 2000000000", "that run by their names"),
		"other ordinals":                 hard("replicas: 3", "replicas: 3\n  ordinals: {start: 2}", `"db-db1-mariadb-4"`),
		"another StatefulSet":            hard("metadata: {name: db1-mariadb}\nspec:\n  replicas", "metadata: {name: db2-mariadb}\nspec:\n  replicas", `"db-db2-mariadb-0"`),
		"a Deployment":                   hard("kind: StatefulSet\nmetadata: {name: db1-mariadb}", "kind: Deployment\nmetadata: {name: db1-mariadb}", "not known before a pod runs"),
		"a name that is a label":         hard(field+id, strings.Replace(field, "metadata.name", "\"metadata.labels['x']\"", 1)+id, "not known before a pod runs"),
		"a name of a ConfigMap":          hard(field+id, "            - {name: POD_NAME, valueFrom: {configMapKeyRef: {name: m, key: k}}}\n"+id, "not known before a pod runs"),
		"no name":                        hard(field+id, id, "not known before a pod runs"),
		"a name that comes later":        hard(field+id, id+"\n"+strings.TrimSuffix(field, "\n"), "not known before a pod runs"),
		"an escaped name":                hard(id, strings.Replace(id, "$(", "$$(", 1), "not known before a pod runs"),
		"a name that is set again":       hard(field+id, field+"            - {name: POD_NAME, value: evil}\n"+id, `no service "db-evil"`),
		"the session by the name":        hard(field+id, strings.Replace(field, "POD_NAME", "SCONE_CONFIG_ID", 1)+"            - {name: X, value: z}", "SCONE_CONFIG_ID"),
		"another service of a step":      hard("/gate-${POD_NAME}", "/look-${POD_NAME}", `no service "look-db1-mariadb-0"`),
		"a first step of another":        hard("${SCONE_CONFIG_ID%/*}/volume-", "evil/volume-", "evil/volume-db1-mariadb-0"),
		"a mode between two steps":       soft("; mariadbd\"]", "; SCONE_MODE=sim mariadbd; SCONE_MODE=hw mariadbd\"]", "SCONE_MODE"),
		"a MaxScale without attestation": hard(proxy, "            - {name: X, value: z}", "MaxScale without attestation"),
		"one that is called otherwise":   hard("        - name: maxscale\n          image: example/maxscale:24\n          command: [maxscale]\n          env:\n"+proxy, "        - name: proxy\n          image: example/apps:maxscale-2.5@sha256:00\n", "MaxScale without attestation"),
		"one by its command":             hard("        - name: maxscale\n          image: example/maxscale:24\n          command: [maxscale]\n          env:\n"+proxy, "        - name: proxy\n          image: example/x\n          command: [/usr/bin/maxscale]\n", "MaxScale without attestation"),
		"a proxy of no name":             soft("        - name: maxscale\n          image: example/maxscale:24\n          command: [maxscale]\n          env:\n"+proxy, "        - {name: proxy, image: example/x}\n", "it would run without attestation"),
		"HAProxy with a Secret":          hard(config, strings.Replace(config, "}]", "}, {name: s, secret: {secretName: s}}]", 1), "has the volume s"),
		"HAProxy with a token":           hard(config, strings.Replace(config, "}]", "}, {name: s, projected: {sources: [{serviceAccountToken: {path: t}}]}}]", 1), "has the volume s"),
		"HAProxy with a claim":           hard(config, strings.Replace(config, "}]", "}, {name: s, persistentVolumeClaim: {claimName: data-db1-mariadb-0}}]", 1), "has the volume s"),
		"HAProxy with a host path":       hard(config, strings.Replace(config, "}]", "}, {name: s, hostPath: {path: /}}]", 1), "has the volume s"),
		"HAProxy with its own token":     hard("automountServiceAccountToken: false\n      containers:\n        - name: haproxy", "containers:\n        - name: haproxy", "gets a token"),
		"HAProxy with a SCONE variable":  hard(image, image+"          env: [{name: SCONE_MODE, value: hw}]\n", "has the variable SCONE_MODE"),
		"HAProxy with a secret variable": hard(image, image+"          env: [{name: P, valueFrom: {secretKeyRef: {name: s, key: k}}}]\n", "has the variable P"),
		"HAProxy with all of a Secret":   hard(image, image+"          envFrom: [{secretRef: {name: s}}]\n", "envFrom"),
		"HAProxy with a variable":        soft(image, image+"          env: [{name: P, value: x}]\n", "has the variable P"),
		"HAProxy with rights":            hard(image, image+"          securityContext: {privileged: true}\n          env: [{name: SCONE_MODE}]\n", "privileged"),
		"HAProxy that ends TLS":          hard("bind :3306", "bind :3306 ssl crt /x", "haproxy.cfg of ConfigMap db1-haproxy says"),
		"HAProxy that tells who asks":    hard(":4006 check", ":4006 check send-proxy", "send-proxy"),
		"HAProxy with an account":        hard("option tcp-check", "option mysql-check user x", "mysql-check user x"),
		"HAProxy of another mode":        hard("mode tcp", "mode http", "mode http"),
		"HAProxy without mode":           hard("      mode tcp\n", "", "nothing of mode tcp"),
		"HAProxy to somebody else":       soft("db1-maxscale-0.db1-maxscale.shop.svc", "evil.example", "not known that it passes"),
		"HAProxy to another namespace":   soft("db1-maxscale-0.db1-maxscale.shop.svc", "db1-maxscale.evil.svc", "not known that it passes"),
		"HAProxy outside":                soft("db1-maxscale-0.db1-maxscale.shop.svc", "outside", "not known that it passes"),
		"HAProxy by its image":           soft(command, "args: [-f, /x]", "would run without attestation"),
		"HAProxy in a shell":             soft(command, "command: [sh, -c, haproxy]", "would run without attestation"),
		"HAProxy of another file":        soft("-f, /etc/confidb/haproxy.cfg", "-f, /etc/haproxy/haproxy.cfg", "its argument"),
		"HAProxy of two files":           soft("-f, /etc/confidb/haproxy.cfg", "-f, /etc/confidb/haproxy.cfg, -f, /x", "its argument"),
		"HAProxy of no file":             soft(", -f, /etc/confidb/haproxy.cfg", "", "reads no configuration"),
		"HAProxy with a socket":          soft("-db, -f", "-db, -S, /run/master, -f", "its argument"),
		"HAProxy of another ConfigMap":   soft("configMap: {name: db1-haproxy}", "configMap: {name: other}", "is not in the chart"),
		"a key in the ConfigMap":         hard("data:\n  haproxy.cfg: |", "data:\n  tls.pem: \"-----BEGIN PRIVATE KEY-----\"\n  haproxy.cfg: |", "holds a key"),
		"no text in the ConfigMap":       soft("data:\n  haproxy.cfg: |", "binaryData: {x: AAAA}\ndata:\n  haproxy.cfg: |", "no text"),
		"a sidecar of HAProxy":           soft("        - name: haproxy\n", "        - {name: more, image: x}\n        - name: haproxy\n", "container haproxy: SCONE_CONFIG_ID is not set"),
		"an init of HAProxy":             soft("      containers:\n        - name: haproxy\n", "      initContainers: [{name: more, image: x}]\n      containers:\n        - name: haproxy\n", "container more: SCONE_CONFIG_ID is not set"),
		"HAProxy beside MaxScale":        soft("        - name: maxscale\n", "        - {name: h, image: x, command: [haproxy, -f, /x]}\n        - name: maxscale\n", "container h: SCONE_CONFIG_ID is not set"),
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(tiers, c[0]) {
				t.Fatal("the test changes nothing")
			}
			text := inNamespace(strings.Replace(tiers, c[0], c[1], 1))
			p := scalable(t)
			if _, err := p.Check(text); err == nil || !strings.Contains(err.Error(), c[2]) {
				t.Errorf("got %v, want it to say %q", err, c[2])
			}
			p.Deviations = attest.Deviations()
			if _, err := p.Check(text); (err == nil) == (c[3] == "hard") {
				t.Errorf("with every deviation accepted: got %v, want it to be refused: %v", err, c[3] == "hard")
			}
		})
	}
}

// standing is the chart of three tiers as a cluster has it: a pod of each number.
func standing(t *testing.T) *live {
	t.Helper()
	p := scalable(t)
	checked, err := p.Check(inNamespace(tiers))
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := manifest.Recorded(checked.Manifest.Record())
	if err != nil {
		t.Fatal(err)
	}
	l := &live{promise: p, manifest: recorded, objects: map[string]map[string]any{}}
	for _, o := range recorded {
		l.objects[o.String()] = copied(t, o.Content)
	}
	add := func(object, pod string) {
		content := l.objects[object]
		text, err := json.Marshal(content["spec"].(map[string]any)["template"])
		if err != nil {
			t.Fatal(err)
		}
		var template corev1.PodTemplateSpec
		if err := json.Unmarshal(text, &template); err != nil {
			t.Fatal(err)
		}
		owner := object
		if strings.HasPrefix(object, "Deployment/") {
			owner = "ReplicaSet/" + strings.TrimPrefix(object, "Deployment/") + "-abc"
		}
		l.pods = append(l.pods, evidence.Pod{Name: pod, Owners: []string{owner}, Spec: template.Spec, Ready: true, Labels: template.Labels})
	}
	for i := range 3 {
		add("StatefulSet/db1-mariadb", fmt.Sprintf("db1-mariadb-%d", i))
	}
	for i := range 2 {
		add("StatefulSet/db1-maxscale", fmt.Sprintf("db1-maxscale-%d", i))
		add("Deployment/db1-haproxy", fmt.Sprintf("db1-haproxy-abc-%d", i))
	}
	var defaults map[string]any
	if err := yaml.Unmarshal([]byte(`{spec: {policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {tier: maxscale}}}], ports: [{port: 3306, protocol: TCP}]}]}}`), &defaults); err != nil {
		t.Fatal(err)
	}
	merge(l.objects["NetworkPolicy/db1-mariadb"], defaults)
	merge(l.objects["PodDisruptionBudget/db1-mariadb"], map[string]any{"status": map[string]any{"expectedPods": 3}, "metadata": map[string]any{"generation": 1}})
	merge(l.objects["ConfigMap/db1-haproxy"], map[string]any{"metadata": map[string]any{"labels": map[string]any{"more": "x"}}})
	return l
}

// said are the problems of pods and objects, without those of Services' ends.
func (l *live) said(t *testing.T) []string {
	t.Helper()
	all := l.problems(t)
	return slices.DeleteFunc(all, func(text string) bool { return strings.Contains(text, "end of Service") })
}

// What runs is judged by its real name, and what says who may reach it is compared.
func TestStandingTiers(t *testing.T) {
	if found := standing(t).said(t); len(found) > 0 {
		t.Fatalf("as it was installed: %q", found)
	}
	pod := func(l *live, name string) *evidence.Pod {
		i := slices.IndexFunc(l.pods, func(p evidence.Pod) bool { return p.Name == name })
		return &l.pods[i]
	}
	for name, c := range map[string]struct {
		change func(*live)
		want   string
	}{
		"the service of another pod": {func(l *live) { pod(l, "db1-mariadb-1").Spec.Containers[0].Env[1].Value = "ns/db/db-db1-mariadb-2" }, "pod db1-mariadb-1: "},
		"a fourth database":          {func(l *live) { p := *pod(l, "db1-mariadb-1"); p.Name = "db1-mariadb-3"; l.pods = append(l.pods, p) }, "none of this name"},
		"a ninth database":           {func(l *live) { p := *pod(l, "db1-mariadb-1"); p.Name = "db1-mariadb-8"; l.pods = append(l.pods, p) }, `no service "init-db1-mariadb-8"`},
		"a MaxScale unattested":      {func(l *live) { c := &pod(l, "db1-maxscale-1").Spec.Containers[0]; c.Env = c.Env[1:] }, "MaxScale without attestation"},
		"a HAProxy with a Secret": {func(l *live) {
			s := &pod(l, "db1-haproxy-abc-1").Spec
			s.Volumes = append(slices.Clone(s.Volumes), corev1.Volume{Name: "s", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "s"}}})
		}, "has the volume s"},
		"a HAProxy with a helper": {func(l *live) {
			s := &pod(l, "db1-haproxy-abc-1").Spec
			s.Containers = append(slices.Clone(s.Containers), corev1.Container{Name: "helper", Image: "x"})
		}, "container helper"},
		"a foreign pod of the session by a variable": {func(l *live) {
			l.pods = append(l.pods, evidence.Pod{Name: "evil", Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Env: []corev1.EnvVar{{Name: "S", Value: "ns/db"}, {Name: "SCONE_CONFIG_ID", Value: "$(S)/db-db1-mariadb-0"}}}}}})
		}, "it runs under the database session"},
		"another configuration": {func(l *live) { l.set("ConfigMap/db1-haproxy", "defaults", "data", "haproxy.cfg") }, "ConfigMap/db1-haproxy: data.haproxy.cfg"},
		"a file more":           {func(l *live) { l.set("ConfigMap/db1-haproxy", "x", "data", "more") }, "data.more was added"},
		"a policy for everybody": {func(l *live) {
			l.set("NetworkPolicy/db1-mariadb", []any{map[string]any{}}, "spec", "ingress")
		}, "NetworkPolicy/db1-mariadb: spec.ingress"},
		"a policy of other pods": {func(l *live) { l.set("NetworkPolicy/db1-mariadb", "x", "spec", "podSelector", "matchLabels", "tier") }, "spec.podSelector"},
		"a policy outward":       {func(l *live) { l.set("NetworkPolicy/db1-mariadb", []any{"Egress"}, "spec", "policyTypes") }, "spec.policyTypes"},
		"a budget of none":       {func(l *live) { l.set("PodDisruptionBudget/db1-mariadb", 3.0, "spec", "maxUnavailable") }, "spec.maxUnavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			l := standing(t)
			c.change(l)
			found := strings.Join(l.said(t), "\n")
			if !strings.Contains(found, c.want) || strings.Contains(found, "defaults") {
				t.Errorf("got %q, want it to say %q", found, c.want)
			}
		})
	}
	l := standing(t)
	installed, err := manifest.NewInstalled(l.promise, l.manifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range l.manifest.Watched() {
		if found, err := installed.Differences(o, []byte("null")); err != nil || len(found) != 1 {
			t.Errorf("%s is gone: got %v, %v", o, found, err)
		}
	}
}

// Our own charts may be installed with such sessions, without any deviation; and only what a
// stand-in of SCONE's runtime needs is one.
func TestOwnCharts(t *testing.T) {
	for file, cas := range map[string]string{"replicated": "cas.scone-system.svc", "sharded": "cas.scone-system.svc", "scalable": "cas.scone-system.svc:28765"} {
		text, err := os.ReadFile("../charts/testdata/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		p := scalable(t)
		p.CASAddress, p.Settings = cas, nil
		own := strings.NewReplacer("db1-00/", "ns/", "lab.confidb.dev/enclave", "sgx.intel.com/enclave").Replace(string(text))
		checked, err := p.Check([]byte(own))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if len(checked.Accepted) > 0 || checked.Client.Image != "registry.test/mariadb@sha256:00" {
			t.Errorf("%s: got %+v", file, checked)
		}
		for old, changed := range map[string]string{
			"automountServiceAccountToken: false": "automountServiceAccountToken: true",
			"mode tcp":                            "mode http",
			"-$(POD_NAME)":                        "-$(HOSTNAME)",
			"/prepare":                            "/operate",
			"cold-${POD_NAME}":                    "cold-${HOSTNAME}",
		} {
			if _, err := p.Check([]byte(strings.ReplaceAll(own, old, changed))); err == nil && strings.Contains(own, old) {
				t.Errorf("%s: with %s it may be installed", file, changed)
			}
		}
	}
}
