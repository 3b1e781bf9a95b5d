package manifest_test

import (
	"encoding/json"
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

// rendered is a chart that may be installed. SESSION is the name of the database session.
const rendered = `
apiVersion: v1
kind: Service
metadata: {name: db1-mariadb, labels: {app: db1}}
spec:
  type: ClusterIP
  selector: {app: db1}
  ports: [{name: mysql, port: 3306, targetPort: mysql}]
---
# Source: a comment only
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db1-mariadb, labels: {app: db1}}
spec:
  replicas: 1
  serviceName: db1-mariadb
  selector: {matchLabels: {app: db1}}
  template:
    metadata: {labels: {app: db1, version: "10.11"}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 101, fsGroup: 101}
      imagePullSecrets: [{name: sconeapps}]
      initContainers:
        - name: init
          image: example/mariadb:1
          command: [sh, -ec, "mkdir /var/lib/mysql/new; mariadbd", init]
          env:
            - {name: SCONE_CONFIG_ID, value: SESSION/init}
            - {name: SCONE_CAS_ADDR, value: cas}
            - {name: SCONE_LAS_ADDR, value: "10.0.0.1"}
            - {name: SCONE_MODE, value: hw}
            - {name: SCONE_HEAP, value: 1G}
          resources: {limits: {sgx.intel.com/enclave: 1}}
          volumeMounts: [{name: data, mountPath: /var/lib/mysql}, {name: enclave, mountPath: /run/confidb}]
      containers:
        - name: mariadb
          image: example/mariadb:1
          command: [mariadbd]
          args: [--verbose]
          env:
            - {name: SCONE_CONFIG_ID, value: SESSION/db}
            - {name: SCONE_CAS_ADDR, value: cas}
            - {name: SCONE_LAS_ADDR, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
            - {name: SCONE_MODE, value: hw}
            - {name: SCONE_HEAP, value: 1G}
            - {name: OTHER, value: x}
          resources: {limits: {sgx.intel.com/enclave: 1, memory: 1Gi}}
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          ports: [{name: mysql, containerPort: 3306}]
          readinessProbe: {tcpSocket: {port: mysql}, periodSeconds: 5}
          volumeMounts: [{name: data, mountPath: /var/lib/mysql}, {name: enclave, mountPath: /run/confidb}]
      volumes: [{name: enclave, emptyDir: {medium: Memory}}]
  volumeClaimTemplates:
    - metadata: {name: data}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`

// promised is a release whose sessions are those of our own templates.
func promised(t *testing.T) *topology.Release {
	t.Helper()
	r, err := prepared()
	if err != nil {
		t.Fatal(err)
	}
	own := *r
	own.Members = slices.Clone(r.Members)
	return &own
}

// prepared makes the release once: the documents are long.
var prepared = sync.OnceValues(func() (*topology.Release, error) {
	id, err := attest.ParsePlatformID("INTEL_QE_ID:00112233445566778899aabbccddeeff")
	if err != nil {
		return nil, err
	}
	return topology.Prepare(topology.Plan{
		Name: "db1", Namespace: "shop", CASAddress: "cas", Platforms: []attest.PlatformID{id}, BootstrapSQL: systemTables(),
		Enclaves: map[string][]sgx.Measurement{topology.EnclaveServer: {{1}}, topology.EnclaveClient: {{2}}, topology.EnclaveProbe: {{3}}},
		Settings: map[string]policy.Settings{topology.EnclaveServer: {Heap: "1G", Dlopen: "0"}},
	}, nil)
})

func promise(t *testing.T) manifest.Promise {
	t.Helper()
	p, err := promisedOnce()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var promisedOnce = sync.OnceValues(func() (manifest.Promise, error) {
	r, err := prepared()
	if err != nil {
		return manifest.Promise{}, err
	}
	return manifest.Promised(r)
})

// chart is the rendered chart of a promise, with one thing replaced where old is given.
func chart(t *testing.T, p manifest.Promise, old, new string) []byte {
	t.Helper()
	text := rendered
	if old != "" {
		if !strings.Contains(text, old) {
			t.Fatalf("the chart has no %q", old)
		}
		text = strings.Replace(text, old, new, 1)
	}
	return []byte(strings.ReplaceAll(text, "SESSION", p.Database.Name))
}

// live is a release as a cluster has it.
type live struct {
	promise  manifest.Promise
	manifest manifest.Manifest
	pods     []evidence.Pod
	ends     []evidence.Endpoint
	objects  map[string]map[string]any
}

// running is the release as it exists: with everything that a cluster adds.
func running(t *testing.T) *live {
	t.Helper()
	p := promise(t)
	checked, err := p.Check(chart(t, p, "", ""))
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
	l.pods = []evidence.Pod{podOf(t, l.objects["StatefulSet/db1-mariadb"]), {Name: "other", Labels: map[string]string{"app": "web"}, Spec: corev1.PodSpec{HostNetwork: true}}}
	l.ends = []evidence.Endpoint{{Addresses: []string{"10.1.1.1"}, Ports: []int32{3306}, Pod: "db1-mariadb-0", Ready: true}}
	var defaults map[string]any
	if err := yaml.Unmarshal([]byte(objectDefaults), &defaults); err != nil {
		t.Fatal(err)
	}
	for name, more := range defaults {
		merge(l.objects[name], more.(map[string]any))
	}
	claims := l.objects["StatefulSet/db1-mariadb"]["spec"].(map[string]any)["volumeClaimTemplates"].([]any)
	merge(claims[0].(map[string]any), map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": map[string]any{"phase": "Pending"}, "metadata": map[string]any{"creationTimestamp": nil}})
	merge(claims[0].(map[string]any)["spec"].(map[string]any), map[string]any{"volumeMode": "Filesystem"})
	return l
}

// objectDefaults are what an API server of Kubernetes adds to the objects.
const objectDefaults = `
Service/db1-mariadb:
  metadata: {uid: a, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z", annotations: {meta.helm.sh/release-name: db1}, labels: {app.kubernetes.io/managed-by: Helm}}
  spec: {clusterIP: 10.96.0.9, clusterIPs: [10.96.0.9], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack, internalTrafficPolicy: Cluster, sessionAffinity: None}
  status: {loadBalancer: {}}
StatefulSet/db1-mariadb:
  metadata: {uid: b, generation: 1, annotations: {meta.helm.sh/release-name: db1}}
  spec:
    podManagementPolicy: OrderedReady
    revisionHistoryLimit: 10
    updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0}}
    persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Retain}
    template: {metadata: {annotations: {kubectl.kubernetes.io/restartedAt: now}}, spec: {dnsPolicy: ClusterFirst, restartPolicy: Always, schedulerName: default-scheduler, terminationGracePeriodSeconds: 30}}
  status: {replicas: 1}
`

// podDefaults are what a cluster adds to a pod.
const podDefaults = `
nodeName: node-1
dnsPolicy: ClusterFirst
restartPolicy: Always
schedulerName: default-scheduler
serviceAccountName: default
serviceAccount: default
terminationGracePeriodSeconds: 30
enableServiceLinks: true
preemptionPolicy: PreemptLowerPriority
priority: 0
hostname: db1-mariadb-0
subdomain: db1-mariadb
tolerations:
  - {effect: NoExecute, key: node.kubernetes.io/not-ready, operator: Exists, tolerationSeconds: 300}
  - {effect: NoExecute, key: node.kubernetes.io/unreachable, operator: Exists, tolerationSeconds: 300}
`

// podOf is the pod that the StatefulSet makes.
func podOf(t *testing.T, set map[string]any) evidence.Pod {
	t.Helper()
	template := set["spec"].(map[string]any)["template"].(map[string]any)
	text, err := json.Marshal(template["spec"])
	if err != nil {
		t.Fatal(err)
	}
	var spec corev1.PodSpec
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(podDefaults), &spec); err != nil {
		t.Fatal(err)
	}
	seconds, mode := int64(3607), int32(420)
	token := corev1.Volume{Name: "kube-api-access-abcde", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: &mode, Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: &seconds}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}}}}},
	}}}}
	claim := corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-db1-mariadb-0"}}}
	spec.Volumes = append([]corev1.Volume{claim}, append(spec.Volumes, token)...)
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			c := &list[i]
			c.TerminationMessagePath, c.TerminationMessagePolicy, c.ImagePullPolicy = "/dev/termination-log", "File", "IfNotPresent"
			c.Resources.Requests = c.Resources.Limits.DeepCopy()
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: token.Name, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true})
			for j := range c.Ports {
				c.Ports[j].Protocol = "TCP"
			}
			for j := range c.Env {
				if c.Env[j].ValueFrom != nil {
					c.Env[j].ValueFrom.FieldRef.APIVersion = "v1"
				}
			}
			if c.ReadinessProbe != nil {
				c.ReadinessProbe.TimeoutSeconds, c.ReadinessProbe.SuccessThreshold, c.ReadinessProbe.FailureThreshold = 1, 1, 3
			}
		}
	}
	return evidence.Pod{
		Name: "db1-mariadb-0", Owners: []string{"StatefulSet/db1-mariadb"}, Spec: spec, Ready: true, Addresses: []string{"10.1.1.1"},
		Labels: map[string]string{"app": "db1", "version": "10.11", "controller-revision-hash": "x", "statefulset.kubernetes.io/pod-name": "db1-mariadb-0", "injected": "by somebody"},
	}
}

func copied(t *testing.T, value map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func merge(into, more map[string]any) {
	for name, value := range more {
		inner, isMap := value.(map[string]any)
		old, has := into[name].(map[string]any)
		if isMap && has {
			merge(old, inner)
			continue
		}
		into[name] = value
	}
}

// problems are everything that is found.
func (l *live) problems(t *testing.T) []string {
	t.Helper()
	installed, err := manifest.NewInstalled(l.promise, l.manifest)
	if err != nil {
		t.Fatal(err)
	}
	count, found := installed.Pods(l.pods)
	if count == 0 {
		t.Error("no pod belongs to the release")
	}
	var all []string
	for _, p := range found {
		if refused, _ := l.promise.Refused([]manifest.Problem{p.Problem}); len(refused) > 0 {
			all = append(all, p.String())
		}
	}
	for _, o := range l.manifest.Watched() {
		text, err := json.Marshal(l.objects[o.String()])
		if err != nil {
			t.Fatal(err)
		}
		differ, err := installed.Differences(o, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range differ {
			all = append(all, o.String()+": "+d.String())
		}
	}
	for _, service := range installed.Selecting() {
		all = append(all, installed.Endpoints(service, l.ends, l.pods).Problems...)
	}
	return slices.Compact(all)
}

// db is the pod of the database, and mariadb its container.
func (l *live) db() *evidence.Pod          { return &l.pods[0] }
func (l *live) mariadb() *corev1.Container { return &l.pods[0].Spec.Containers[0] }

// systemTables is SQL that makes the tables that a session of ours names.
func systemTables() string {
	sql := ""
	for _, name := range topology.SystemTables() {
		sql += "CREATE TABLE IF NOT EXISTS " + name + " (a int);\n"
	}
	return sql
}
