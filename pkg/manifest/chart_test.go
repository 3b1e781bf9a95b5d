package manifest_test

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/topology"
)

func TestCheck(t *testing.T) {
	p := promise(t)
	checked, err := p.Check(chart(t, p, "", ""))
	if err != nil {
		t.Fatal(err)
	}
	want := topology.Pod{Image: "example/mariadb:1", PullSecrets: []string{"sconeapps"}, SGXResource: "sgx.intel.com/enclave",
		Environment: map[string]string{"SCONE_CAS_ADDR": "cas", "SCONE_MODE": "hw", "SCONE_HEAP": "1G"},
		Placement: topology.Placement{Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"memory": resource.MustParse("1Gi")}, Requests: corev1.ResourceList{"memory": resource.MustParse("128Mi")},
		}}}
	if diff := cmp.Diff(want, checked.Client); diff != "" {
		t.Error(diff)
	}
	if got := checked.Manifest.Workloads(); !slices.Equal(got, []topology.Workload{{Kind: "StatefulSet", Name: "db1-mariadb"}}) {
		t.Errorf("got the workloads %v", got)
	}
}

// Whatever device plugin a cluster has, a container may ask for SGX by its name.
func TestCheckOfEachSGXResource(t *testing.T) {
	p := promise(t)
	if _, err := p.Check([]byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")); err == nil || !strings.Contains(err.Error(), "got no pod") {
		t.Errorf("without a pod: %v", err)
	}
	named := func(name string) []byte {
		return []byte(strings.ReplaceAll(string(chart(t, p, "", "")), "sgx.intel.com/enclave", name))
	}
	for _, name := range []string{"sgx.intel.com/enclave", "sgx.intel.com/epc", "sgx.k8s.io/sgx", "sgx.k8s.io/dcap"} {
		checked, err := p.Check(named(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if checked.Client.SGXResource != name {
			t.Errorf("a client gets %q, want %q as the database has", checked.Client.SGXResource, name)
		}
	}
	if _, err := p.Check(named("sgx.example/enclave")); err == nil {
		t.Error("a resource that nobody knows counts as SGX")
	}
}

// What only "helm test" starts is not part of the installation; other hooks are.
func TestCheckOfHooks(t *testing.T) {
	p := promise(t)
	hook := func(when string) []byte {
		return append(chart(t, p, "", ""), []byte("---\napiVersion: v1\nkind: Pod\nmetadata: {name: hook, annotations: {helm.sh/hook: \""+when+"\"}}\nspec: {containers: [{name: c, image: i}]}\n")...)
	}
	for _, when := range []string{"test", "test-success", "test, test-failure"} {
		if _, err := p.Check(hook(when)); err != nil {
			t.Error(err)
		}
	}
	for _, when := range []string{"post-install", "test,post-install", "pre-install", "pre-upgrade", "testing", ""} {
		if _, err := p.Check(hook(when)); err == nil {
			t.Errorf("the hook %q runs outside the session, unseen", when)
		}
	}
}

const (
	barePod = "apiVersion: v1\nkind: Pod\nmetadata: {name: bare}\nspec: {containers: [{name: c, image: i}]}\n"
	cronJob = "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: late}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: i}]}}}}}\n"
)

// list wraps an object into Lists.
func list(kind, object string) string {
	return "apiVersion: v1\nkind: " + kind + "\nitems:\n- " + strings.ReplaceAll(strings.TrimSuffix(object, "\n"), "\n", "\n  ") + "\n"
}

func TestCheckRefuses(t *testing.T) {
	const (
		env     = "            - {name: OTHER, value: x}\n"
		limits  = "          resources: {limits: {sgx.intel.com/enclave: 1, memory: 1Gi}}\n"
		comment = "---\n# Source"
		volume  = "      volumes: [{name: enclave, emptyDir: {medium: Memory}}]"
		token   = "      automountServiceAccountToken: false"
		rights  = "securityContext: {allowPrivilegeEscalation: false,"
		probe   = "readinessProbe: {tcpSocket: {port: mysql},"
		sets    = "            - {name: "
	)
	for name, c := range map[string]struct{ old, new, want string }{
		"another session":              {"SESSION/db", "ns/other/db", "want session"},
		"a longer session name":        {"SESSION/db", "SESSION2/db", "want session"},
		"a service that is not":        {"SESSION/db", "SESSION/mariadb", `has no service "mariadb"`},
		"a path as service":            {"SESSION/db", "SESSION/db/db", "has no service"},
		"no service":                   {"SESSION/db", "SESSION/", "has no service"},
		"no session":                   {"{name: SCONE_CONFIG_ID, value: SESSION/db}", "{name: X, value: z}", "SCONE_CONFIG_ID is not set"},
		"an empty session":             {"{name: SCONE_CONFIG_ID, value: SESSION/db}", "{name: SCONE_CONFIG_ID}", "SCONE_CONFIG_ID: got"},
		"a session by reference":       {"{name: SCONE_CONFIG_ID, value: SESSION/db}", "{name: SCONE_CONFIG_ID, valueFrom: {configMapKeyRef: {name: m, key: k}}}", "SCONE_CONFIG_ID"},
		"a session by field":           {"{name: SCONE_CONFIG_ID, value: SESSION/db}", "{name: SCONE_CONFIG_ID, valueFrom: {fieldRef: {fieldPath: \"metadata.annotations['x']\"}}}", "SCONE_CONFIG_ID"},
		"another base session":         {env, sets + "BASE_SCONE_CONFIG_ID, value: evil}\n", "BASE_SCONE_CONFIG_ID"},
		"the init container":           {"SESSION/init", "evil/init", "container init"},
		"a later setting wins":         {env, sets + "SCONE_CAS_ADDR, value: evil}\n", `got "evil", want cas`},
		"a CAS by reference":           {env, sets + "SCONE_CAS_ADDR, valueFrom: {secretKeyRef: {name: s, key: k}}}\n", "SCONE_CAS_ADDR"},
		"no LAS":                       {"{name: SCONE_LAS_ADDR, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}", "{name: SCONE_LAS_ADDR}", "SCONE_LAS_ADDR"},
		"a LAS of a label":             {"fieldPath: status.hostIP", "fieldPath: \"metadata.labels['las']\"", "SCONE_LAS_ADDR"},
		"no SGX":                       {limits, "", "no SGX resource"},
		"SGX zero":                     {limits, strings.Replace(limits, "enclave: 1", "enclave: 0", 1), "no SGX resource"},
		"no mode":                      {"            - {name: SCONE_MODE, value: hw}\n", "", "SCONE_MODE: got nothing, want hw"},
		"mode auto":                    {"SCONE_MODE, value: hw", "SCONE_MODE, value: auto", `SCONE_MODE: got "auto"`},
		"mode sim":                     {"SCONE_MODE, value: hw", "SCONE_MODE, value: sim", "SCONE_MODE"},
		"mode in capitals":             {"SCONE_MODE, value: hw", "SCONE_MODE, value: HW", "SCONE_MODE"},
		"a mode that is cut":           {env, sets + "SCONE_MODE}\n", "SCONE_MODE"},
		"another heap":                 {"SCONE_HEAP, value: 1G", "SCONE_HEAP, value: 2G", "SCONE_HEAP: got"},
		"no heap":                      {"            - {name: SCONE_HEAP, value: 1G}\n", "", `SCONE_HEAP: got "64M"`},
		"no number as heap":            {"SCONE_HEAP, value: 1G", "SCONE_HEAP, value: big", "SCONE_HEAP"},
		"libraries":                    {env, sets + "SCONE_ALLOW_DLOPEN, value: \"1\"}\n", "SCONE_ALLOW_DLOPEN"},
		"libraries of nobody":          {env, sets + "SCONE_ALLOW_DLOPEN, value: \"2\"}\n", "SCONE_ALLOW_DLOPEN"},
		"libraries in words":           {env, sets + "SCONE_ALLOW_DLOPEN, value: \"yes\"}\n", "SCONE_ALLOW_DLOPEN"},
		"LD_PRELOAD":                   {env, sets + "LD_PRELOAD, value: /x.so}\n", "LD_PRELOAD"},
		"LD_LIBRARY_PATH":              {env, sets + "LD_LIBRARY_PATH, value: /x}\n", "LD_LIBRARY_PATH"},
		"LD_AUDIT, empty":              {env, sets + "LD_AUDIT}\n", "LD_AUDIT"},
		"GLIBC_TUNABLES":               {env, sets + "GLIBC_TUNABLES, value: x}\n", "GLIBC_TUNABLES"},
		"BASH_ENV":                     {env, sets + "BASH_ENV, value: /x}\n", "BASH_ENV"},
		"PATH":                         {env, sets + "PATH, value: /data}\n", "PATH"},
		"LD_PRELOAD by reference":      {env, sets + "LD_PRELOAD, valueFrom: {configMapKeyRef: {name: m, key: k}}}\n", "LD_PRELOAD"},
		"an unknown SCONE setting":     {env, sets + "SCONE_MAGIC, value: x}\n", "SCONE_MAGIC"},
		"a variable of a Secret":       {env, sets + "X, valueFrom: {secretKeyRef: {name: s, key: k}}}\n", "X takes its value from an object"},
		"envFrom":                      {limits, limits + "          envFrom: [{configMapRef: {name: m}}]\n", "envFrom"},
		"envFrom a Secret":             {limits, limits + "          envFrom: [{secretRef: {name: m}}]\n", "a Secret"},
		"a host path":                  {volume, strings.Replace(volume, "}]", "}, {name: h, hostPath: {path: /}}]", 1), `volume h is "/" of the node`},
		"a volume of NFS":              {volume, strings.Replace(volume, "}]", "}, {name: h, nfs: {server: s, path: /}}]", 1), "volume h"},
		"a volume of CSI":              {volume, strings.Replace(volume, "}]", "}, {name: h, csi: {driver: d}}]", 1), "volume h"},
		"host network":                 {token, "      hostNetwork: true", "hostNetwork"},
		"host processes":               {token, "      hostPID: true", "hostPID"},
		"host IPC":                     {token, "      hostIPC: true", "hostIPC"},
		"shared processes":             {token, "      shareProcessNamespace: true", "shareProcessNamespace"},
		"privileged":                   {rights, "securityContext: {privileged: true,", "privileged"},
		"capabilities":                 {"capabilities: {drop: [ALL]}", "capabilities: {drop: [ALL], add: [SYS_ADMIN]}", "SYS_ADMIN"},
		"all of proc":                  {rights, "securityContext: {procMount: Unmasked,", "procMount"},
		"a sidecar":                    {"        - name: mariadb\n", "        - {name: exporter, image: e}\n        - name: mariadb\n", "container exporter: SCONE_CONFIG_ID is not set"},
		"an ephemeral container":       {token, "      ephemeralContainers: [{name: e, image: e}]", "ephemeral container"},
		"heap of a probe":              {probe, "readinessProbe: {exec: {command: [sh, -c, \"SCONE_HEAP=32M mysqladmin ping\"]},", "readinessProbe: SCONE_HEAP"},
		"session of a probe":           {probe, "readinessProbe: {exec: {command: [env, SCONE_CONFIG_ID=evil/db, mariadb]},", "readinessProbe: SCONE_CONFIG_ID"},
		"service of a probe":           {probe, "readinessProbe: {exec: {command: [sh, -c, 'export SCONE_CONFIG_ID=\"SESSION/probe\"; mysqladmin']},", `has no service "probe"`},
		"a service cut to":             {probe, "readinessProbe: {exec: {command: [sh, -c, 'SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/look mariadb']},", `has no service "look"`},
		"a session cut to":             {probe, "readinessProbe: {exec: {command: [sh, -c, 'SCONE_CONFIG_ID=${SCONE_CONFIG_ID%%/*}/db mariadb']},", "cannot be read to its end"},
		"unreadable probe":             {probe, "readinessProbe: {exec: {command: [sh, -c, 'export SCONE_HEAP=$(cat /x); mysqladmin']},", "cannot be read to its end"},
		"a library of a probe":         {probe, "readinessProbe: {exec: {command: [env, LD_PRELOAD=/x, mysqladmin]},", "LD_PRELOAD"},
		"a library of a hook":          {"          ports: [{name: mysql", "          lifecycle: {postStart: {exec: {command: [sh, -c, 'LD_PRELOAD=/x ls']}}}\n          ports: [{name: mysql", "postStart: LD_PRELOAD"},
		"a command that simulates":     {"command: [mariadbd]", "command: [sh, -c, 'export SCONE_MODE=sim; exec mariadbd']", "command: SCONE_MODE"},
		"a mode that is taken away":    {"command: [mariadbd]", "command: [sh, -c, 'unset OTHER SCONE_MODE; exec mariadbd']", "changes SCONE_MODE"},
		"a mode that env takes away":   {"command: [mariadbd]", "command: [env, -u, SCONE_MODE, mariadbd]", "changes SCONE_MODE"},
		"the same in one word":         {"command: [mariadbd]", "command: [env, --unset=SCONE_MODE, mariadbd]", "changes SCONE_MODE"},
		"a mode that is not handed on": {"command: [mariadbd]", "command: [sh, -c, 'export -n SCONE_MODE; mariadbd']", "changes SCONE_MODE"},
		"a mode that is printed":       {"command: [mariadbd]", "command: [bash, -c, 'printf -v SCONE_MODE sim; mariadbd']", "changes SCONE_MODE"},
		"a mode that is read":          {"command: [mariadbd]", "command: [sh, -c, 'read -r A SCONE_MODE < /x; mariadbd']", "changes SCONE_MODE"},
		"a mode made longer":           {"command: [mariadbd]", "command: [bash, -c, 'SCONE_MODE+=x; mariadbd']", "changes SCONE_MODE"},
		"a library if there is none":   {"command: [mariadbd]", "command: [sh, -c, ': ${LD_PRELOAD:=/x}; export LD_PRELOAD; mariadbd']", "changes LD_PRELOAD"},
		"no variables at all":          {"command: [mariadbd]", "command: [env, -i, mariadbd]", "without the variables"},
		"no variables but one":         {"command: [mariadbd]", "command: [sh, -c, 'env - A=b mariadbd']", "without the variables"},
		"a command from a variable":    {"command: [mariadbd]\n          args: [--verbose]\n          env:", "command: [sh, -c, $(SCRIPT)]\n          env:\n            - {name: SCRIPT, value: 'export SCONE_MODE=sim; mariadbd'}", "SCONE_MODE"},
		"an init that loads":           {"mkdir /var/lib/mysql/new;", "export SCONE_ALLOW_DLOPEN=2;", "command: SCONE_ALLOW_DLOPEN"},
		"arguments that load":          {"args: [--verbose]", "args: ['SCONE_ALLOW_DLOPEN=1']", "SCONE_ALLOW_DLOPEN"},
		"a second workload":            {comment, "---\n" + cronJob + comment, "CronJob/late"},
		"K5: a List":                   {comment, "---\n" + list("List", barePod) + comment, "Pod/bare"},
		"a List of Lists":              {comment, "---\n" + list("List", list("List", barePod)) + comment, "Pod/bare"},
		"a PodList":                    {comment, "---\n" + list("PodList", barePod) + comment, "Pod/bare"},
		"a PodList without kinds":      {comment, "---\n" + list("PodList", "metadata: {name: bare}\nspec: {containers: [{name: c, image: i}]}\n") + comment, "Pod/bare"},
		"Lists without end":            {comment, "---\n" + strings.Repeat("{apiVersion: v1, kind: List, items: [", 10) + strings.Repeat("]}", 10) + "\n" + comment, "deep"},
		"a custom resource":            {comment, "---\napiVersion: db.example/v1\nkind: Cluster\nmetadata: {name: c}\n" + comment, "kind Cluster.db.example"},
		"a StatefulSet of others":      {comment, "---\napiVersion: apps.kruise.io/v1\nkind: StatefulSet\nmetadata: {name: c}\n" + comment, "kind StatefulSet.apps.kruise.io"},
		"a webhook":                    {comment, "---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: c}\n" + comment, "MutatingWebhookConfiguration.admissionregistration.k8s.io"},
		"ends of a Service":            {comment, "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: c}\n" + comment, "EndpointSlice.discovery.k8s.io"},
		"another namespace":            {"metadata: {name: db1-mariadb, labels: {app: db1}}\nspec:\n  replicas", "metadata: {name: db1-mariadb, namespace: evil, labels: {app: db1}}\nspec:\n  replicas", `got "evil", want "shop"`},
		"a hidden document":            {comment, "--- {apiVersion: v1, kind: Pod, metadata: {name: bare}}\n" + comment, "document separator"},
		"a second document":            {comment, "...\n" + barePod + comment, "document inside a document"},
		"an object of no kind":         {"kind: Service\n", "", "without kind"},
		"a List at the top":            {comment, "---\n[]\n" + comment, "want an object"},
		"not a manifest":               {"apiVersion: apps/v1", "apiVersion: [", "reading the rendered chart"},
	} {
		t.Run(name, func(t *testing.T) {
			p := promise(t)
			text := rendered
			// what is said of an enclave's container is changed in the last one, the database's
			at := max(strings.LastIndex(text, c.old), 0)
			if strings.Count(text, c.old) == 0 {
				t.Fatal("the test changes nothing")
			}
			text = text[:at] + c.new + text[at+len(c.old):]
			if c.old == "apiVersion: apps/v1" || strings.HasPrefix(c.old, "kind: Service") {
				text = strings.Replace(rendered, c.old, c.new, 1)
			}
			_, err := p.Check([]byte(strings.ReplaceAll(text, "SESSION", p.Database.Name)))
			if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(c.want, "SESSION", p.Database.Name)) {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			var refused *manifest.ManifestError
			if errors.As(err, &refused) && refused.Hint() == "" {
				t.Errorf("%v has no hint", err)
			}
		})
	}
}

// Each deviation that a chart may have is accepted by its own name only.
func TestDeviationsOfCharts(t *testing.T) {
	const env = "            - {name: OTHER, value: x}\n"
	for name, c := range map[attest.Deviation]struct{ old, new string }{
		attest.PrivilegedPod:      {"capabilities: {drop: [ALL]}", "capabilities: {add: [SYS_ADMIN]}"},
		attest.HostPath:           {"emptyDir: {medium: Memory}", "hostPath: {path: /dev/fuse}"},
		attest.HostNamespaces:     {"      automountServiceAccountToken: false", "      hostNetwork: true"},
		attest.SharedProcesses:    {"      automountServiceAccountToken: false", "      shareProcessNamespace: true"},
		attest.OtherVolume:        {"emptyDir: {medium: Memory}", "csi: {driver: d}"},
		attest.SconeMode:          {"- {name: SCONE_MODE, value: hw}", "- {name: SCONE_MODE, value: auto}"},
		attest.LoaderEnvironment:  {env, env + "            - {name: LD_DEBUG, value: all}\n"},
		attest.RuntimeEnvironment: {env, env + "            - {name: SCONE_MAGIC, value: all}\n"},
		attest.UnreadEnvironment:  {env, env + "            - {name: X, valueFrom: {secretKeyRef: {name: s, key: k}}}\n"},
		attest.Sidecar:            {"        - name: mariadb\n", "        - {name: exporter, image: e}\n        - name: mariadb\n"},
	} {
		p := promise(t)
		text := chart(t, p, c.old, c.new)
		var refused *manifest.ManifestError
		if _, err := p.Check(text); !errors.As(err, &refused) || refused.Deviation != name || !strings.Contains(refused.Hint(), string(name)) {
			t.Errorf("%s: got %v", name, err)
		}
		p.Deviations = slices.DeleteFunc(attest.Deviations(), func(other attest.Deviation) bool { return other == name })
		if _, err := p.Check(text); err == nil {
			t.Errorf("%s is accepted by another name", name)
		}
		p.Deviations = []attest.Deviation{name}
		checked, err := p.Check(text)
		if err != nil || len(checked.Accepted) != 1 || !strings.Contains(checked.Accepted[0], string(name)) {
			t.Errorf("%s: got %v, %+v", name, err, checked)
		}
	}
	p := promise(t)
	p.Settings = nil
	text := chart(t, p, env, env+"            - {name: SCONE_ALLOW_DLOPEN, value: \"2\"}\n")
	if _, err := p.Check(text); err == nil {
		t.Error("libraries are loaded although nothing says so")
	}
	p.Deviations = []attest.Deviation{attest.AllowDlopen}
	if _, err := p.Check(text); err != nil {
		t.Error(err)
	}
	p.Deviations, p.Settings = nil, map[string]policy.Settings{topology.EnclaveServer: {Dlopen: "2"}}
	both := strings.ReplaceAll(string(chart(t, p, "", "")), "            - {name: SCONE_MODE, value: hw}\n", "            - {name: SCONE_MODE, value: hw}\n            - {name: SCONE_ALLOW_DLOPEN, value: \"2\"}\n")
	if _, err := p.Check([]byte(both)); err != nil {
		t.Errorf("the setting beside the measurement: %v", err)
	}
}

// Kinds are allowed by their whole name.
func TestAllowedKinds(t *testing.T) {
	p := promise(t)
	text := append(chart(t, p, "", ""), []byte("---\napiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: m}\n")...)
	for _, wrong := range []string{"", "ServiceMonitor", "servicemonitor.monitoring.coreos.com", "*", "ServiceMonitor.example"} {
		p.AllowedKinds = []string{wrong}
		if _, err := p.Check(text); err == nil {
			t.Errorf("allowed by %q", wrong)
		}
	}
	p.AllowedKinds = []string{"ServiceMonitor.monitoring.coreos.com"}
	if _, err := p.Check(text); err != nil {
		t.Error(err)
	}
	p.AllowedKinds = []string{"Pod", "CronJob.batch"}
	if _, err := p.Check(append(chart(t, p, "", ""), []byte("---\n"+barePod)...)); err == nil {
		t.Error("a kind that is judged can be taken out of it")
	}
}

// The vendor's image gets the bare session, and completes it; its probe has a smaller
// heap, with which another program was measured.
func TestVendorsCommands(t *testing.T) {
	p := promise(t)
	bare := strings.NewReplacer("SESSION/db", "SESSION", "{name: OTHER, value: x}", "{name: BASE_SCONE_CONFIG_ID, value: SESSION}",
		"readinessProbe: {tcpSocket: {port: mysql},", `readinessProbe: {exec: {command: [sh, -c, 'export SCONE_HEAP=1024M; export SCONE_CONFIG_ID="$BASE_SCONE_CONFIG_ID/db"; mysqladmin']},`).Replace(rendered)
	if _, err := p.Check([]byte(strings.ReplaceAll(bare, "SESSION", p.Database.Name))); err != nil {
		t.Error(err)
	}
}

// Our own chart goes from one service of the session to another.
func TestOwnCommands(t *testing.T) {
	p := promise(t)
	own := strings.Replace(rendered, "mkdir /var/lib/mysql/new; mariadbd", "look() { SCONE_CONFIG_ID=${SCONE_CONFIG_ID%/*}/db \\\"$@\\\"; }; look mariadbd", 1)
	if _, err := p.Check([]byte(strings.ReplaceAll(own, "SESSION", p.Database.Name))); err != nil {
		t.Error(err)
	}
}

func TestDigest(t *testing.T) {
	p := promise(t)
	read := func(text string) manifest.Manifest {
		m, err := manifest.Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	text := string(chart(t, p, "", ""))
	first := read(text).Digest()
	if len(first) != 64 || read(text).Digest() != first {
		t.Errorf("got %q, and another the next time", first)
	}
	parts := strings.SplitN(text, "\n---\n", 3)
	if got := read(parts[2] + "\n---\n# turned\n---\n" + parts[0]).Digest(); got != first {
		t.Error("the order of the objects and comments count")
	}
	if read(strings.Replace(text, "1Gi", "2Gi", 1)).Digest() == first {
		t.Error("a change does not count")
	}
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: hunter2}\ndata: {b: aHVudGVyMg==}\n"
	m := read(secret)
	record := m.Record()
	if kept := string(record.Objects[0]); strings.Contains(kept, "hunter2") || strings.Contains(kept, "aHVu") || record.Digest != m.Digest() {
		t.Errorf("the record has %s", kept)
	}
	if read(strings.Replace(secret, "hunter2", "hunter3", 1)).Digest() == record.Digest {
		t.Error("what a Secret holds does not count")
	}
}

func TestCheckSessions(t *testing.T) {
	for name, c := range map[string]struct {
		role topology.Role
		edit func(string) string
		want string
	}{
		"mode none": {topology.Database, func(s string) string { return s + "security: {attestation: {mode: none}}\n" }, "mode is none"},
		"debug":     {topology.Database, func(s string) string { return s + "security: {attestation: {tolerate: [debug-mode]}}\n" }, "debug-mode"},
		"a client without probe": {topology.Client, func(s string) string {
			return strings.Replace(s, "- name: probe\n    image_name", "- name: other\n    image_name", 1)
		}, "no service probe"},
		"mode none of clients": {topology.Client, func(s string) string { return s + "security: {attestation: {mode: none}}\n" }, "mode is none"},
		"as it is":             {topology.Client, func(s string) string { return s + "\n" }, ""},
	} {
		r := promised(t)
		s := r.Session(c.role)
		changed := c.edit(s.Text)
		if changed == s.Text {
			t.Fatalf("%s: the test changes nothing", name)
		}
		s.Text = changed
		r.SetSession(c.role, s)
		err := manifest.CheckSessions(r)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(rendered))
	f.Add([]byte("apiVersion: v1\nkind: Pod\nspec: {containers: [{name: c}]}\n---\n[]\n"))
	p := manifest.Promise{Namespace: "shop", CASAddress: "cas", Database: manifest.Session{Name: "SESSION"}}
	f.Fuzz(func(t *testing.T, text []byte) {
		checked, err := p.Check(text)
		if err != nil {
			return
		}
		if checked.Client.SGXResource == "" {
			t.Error("a chart without SGX is admitted")
		}
		again, err := manifest.Recorded(checked.Manifest.Record())
		if err != nil || len(again) != len(checked.Manifest) {
			t.Errorf("the record is read as %d objects of %d: %v", len(again), len(checked.Manifest), err)
		}
	})
}

// Our own chart may be installed with our own sessions, and as the lab has it.
func TestOwnChart(t *testing.T) {
	p := promise(t)
	for _, file := range []string{"required", "everything"} {
		text, err := os.ReadFile("../charts/testdata/" + file + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`name: SCONE_CONFIG_ID\n +value: "?([^"\n]*)/`).FindSubmatch(text)
		cas := regexp.MustCompile(`name: SCONE_CAS_ADDR\n +value: "?([^"\n]*)"?\n`).FindSubmatch(text)
		if found == nil || cas == nil {
			t.Fatalf("%s: no session or CAS in it", file)
		}
		p.CASAddress, p.Settings = string(cas[1]), nil
		own := bytes.ReplaceAll(text, found[1], []byte(p.Database.Name))
		own = bytes.ReplaceAll(own, []byte("lab.confidb.dev/enclave"), []byte("sgx.intel.com/enclave"))
		p.Deviations = nil
		if file == "everything" {
			p.Deviations = attest.Deviations()
		}
		if _, err := p.Check(own); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Members are read as an API server reads them: what it does not know cannot hide what it does.
func TestCheckReadsMembersExactly(t *testing.T) {
	p := promise(t)
	const pod = "      automountServiceAccountToken: false\n"
	for name, c := range map[string]struct{ old, new, want string }{
		"a letter that folds":     {"      volumes:", "      containerſ: []\n      volumes:", ""},
		"hidden by small letters": {pod, "      hostPID: true\n      hostpid: false\n", "hostPID"},
		"hidden by a long s":      {pod, "      shareProcessNamespace: true\n      shareProcessNameſpace: false\n", "shareProcessNamespace"},
		"in capitals, alone":      {pod, "      HOSTPID: true\n", ""},
	} {
		_, err := p.Check(chart(t, p, c.old, c.new))
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want it to mention %q", name, err, c.want)
		}
	}
	hidden := strings.Replace(string(chart(t, p, "", "")), "      containers:\n", "      containers: [{name: evil, image: evil}]\n      containerſ:\n", 1)
	if _, err := p.Check([]byte(hidden)); err == nil || !strings.Contains(err.Error(), "evil") {
		t.Errorf("containers behind others: got %v", err)
	}
}

// What a command says of variables without changing them is no problem.
func TestCommandsThatChangeNothing(t *testing.T) {
	p := promise(t)
	for _, command := range []string{"unset LD_LIBRARY_PATH OTHER; exec mariadbd", "env A=b mariadbd", "echo $SCONE_MODE; mariadbd", "test -n ${SCONE_MODE:-hw}; mariadbd", "cat - | read -r LINE; mariadbd", "env A=b cat -", "mariadbd -u root", "echo $$(OTHER)"} {
		if _, err := p.Check(chart(t, p, "command: [mariadbd]", "command: [sh, -c, '"+command+"']")); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
}
