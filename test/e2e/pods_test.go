//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pods is the release that is changed behind its user's back.
const pods = "pods"

// What somebody with rights in the cluster changes is seen by the next verification,
// and install again mends what is the release's own.
func TestChangedInTheCluster(t *testing.T) {
	installed(t, pods)
	if code, report := verify(t, pods); code != 0 {
		t.Fatalf("as installed: exit %d, %v", code, report)
	}
	set, pod, claim := "statefulset/"+pods+"-mariadb", pods+"-mariadb-0", "data-"+pods+"-mariadb-0"
	session := variable(t, pods, "DBSESSION")
	patch := func(kind, text string) []string {
		return []string{"kubectl", "patch", set, "--type", kind, "--patch", text}
	}
	bare := func(name, spec string) []string {
		return []string{"bash", "-c", `kubectl apply -f - <<<"$0"`, "{apiVersion: v1, kind: Pod, metadata: {name: " + name + "}, spec: " + spec + "}"}
	}
	for _, c := range []struct {
		name   string
		change [][]string
		failed string
		inText string
		// undo is for what is not the release's own.
		undo []string
	}{
		{"K1 ephemeral container", [][]string{{"kubectl", "debug", pod, "--image=lab.local/mariadb:10.11", "--image-pull-policy=IfNotPresent", "--target=mariadb", "--profile=general", "--", "sleep", "600"}}, "release-session", "ephemeral container", nil},
		{"K2 sidecar", [][]string{patch("strategic", `{"spec":{"template":{"spec":{"shareProcessNamespace":true,"volumes":[{"name":"host","hostPath":{"path":"/"}}],"containers":[{"name":"decoy","image":"lab.local/mariadb:10.11","command":["sleep","600"],"env":[{"name":"SCONE_CONFIG_ID","value":"`+session+`/db"},{"name":"SCONE_CAS_ADDR","value":"cas.scone-system.svc"}]}]}}}}`)}, "release-objects", "decoy", nil},
		// the session's volume is one database's: the second does not start, so nobody waits for it
		{"K3 two databases", [][]string{{"kubectl", "scale", set, "--replicas=2"}, {"kubectl", "wait", "--for=create", "pod/" + pods + "-mariadb-1", "--timeout=60s"}}, "release-session", "has 2 pods, want 1", nil},
		{"K4 bare pod with the volume", [][]string{bare("thief", "{containers: [{name: c, image: lab.local/mariadb:10.11, imagePullPolicy: IfNotPresent, command: [sleep, '600'], volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, persistentVolumeClaim: {claimName: "+claim+"}}]}")}, "release-session", "mounts the volume " + claim, []string{"kubectl", "delete", "pod", "thief", "--now"}},
		{"K4 bare pod with the labels", [][]string{{"kubectl", "run", "twin", "--image=lab.local/mariadb:10.11", "--image-pull-policy=IfNotPresent", "--labels=app.kubernetes.io/name=mariadb,app.kubernetes.io/instance=" + pods + ",app.kubernetes.io/component=database", "--command", "--", "sleep", "600"}, {"kubectl", "wait", "--for=condition=Ready", "pod/twin", "--timeout=60s"}}, "release-endpoints", "no object of the release made", []string{"kubectl", "delete", "pod", "twin", "--now"}},
		{"an end elsewhere", [][]string{{"bash", "-c", `kubectl apply -f - <<<"$0"`, "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: elsewhere, labels: {kubernetes.io/service-name: " + pods + "-mariadb}}, addressType: IPv4, ports: [{name: mysql, port: 3306}], endpoints: [{addresses: [10.99.99.99]}]}"}}, "release-endpoints", "is no pod", []string{"kubectl", "delete", "endpointslice", "elsewhere"}},
		{"a Service to somewhere else", [][]string{{"kubectl", "patch", "service", pods + "-mariadb", "--patch", `{"spec":{"externalIPs":["10.99.99.99"]}}`}}, "release-objects", "externalIPs", nil},
		{"K6 Helm's record", [][]string{{"bash", "-c", helmForgets, pods}}, "release-manifest", "", nil},
		{"K7 another session", [][]string{{"kubectl", "set", "env", set, "SCONE_CONFIG_ID=evil/db"}}, "release-objects", "evil/db", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, command := range c.change {
				run(t, command...)
			}
			code, found := verify(t, pods)
			if code != 3 || !slices.Contains(found.failed(), c.failed) {
				t.Errorf("exit %d, failed %v, want %s in %+v", code, found.failed(), c.failed, found.Findings)
			}
			if i := slices.IndexFunc(found.Findings, func(f struct{ ID, Outcome, Got, Want, Reason, Hint string }) bool {
				return f.ID == c.failed && strings.Contains(f.Reason, c.inText)
			}); i < 0 {
				t.Errorf("%s does not say %q: %+v", c.failed, c.inText, found.Findings)
			}
			if c.undo != nil {
				run(t, c.undo...)
			} else if r := install(t, pods); r.code != 0 {
				t.Fatalf("install again does not mend it: %v", r)
			}
			waitFor(t, "the release to be proven again", 2*time.Minute, func() bool { code, _ := verify(t, pods); return code == 0 })
		})
	}
	run(t, "helm", "scone", "uninstall", pods)
}

// helmForgets makes Helm's newest record say that the release is another StatefulSet.
const helmForgets = `set -e
secret=$(kubectl get secrets -l owner=helm,name=$0,status=deployed -o name)
text=$(kubectl get "$secret" -o jsonpath='{.data.release}' | base64 -d | base64 -d | gunzip | sed "s/name: $0-mariadb/name: $0-decoy/g" | gzip | base64 -w0 | base64 -w0)
kubectl patch "$secret" --patch "{\"data\":{\"release\":\"$text\"}}"`

// K5: a chart whose List holds a Pod, one with a custom resource, and one with another
// heap are refused before anything is made.
func TestChartsThatHideSomething(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "chart")
	for _, part := range []string{"mariadb", "shared"} { // as our program lays them over each other
		if err := os.CopyFS(folder, os.DirFS("../../pkg/charts/"+part)); err != nil {
			t.Fatal(err)
		}
	}
	hidden := filepath.Join(folder, "templates", "hidden.yaml")
	for name, c := range map[string]struct {
		text, want string
		flags      []string
	}{
		"K5 a List":     {"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: Pod, metadata: {name: thief}, spec: {containers: [{name: c, image: i}]}}]}]\n", "Pod/thief", nil},
		"by lookup":     {"{{ if lookup \"v1\" \"Namespace\" \"\" \"kube-system\" }}\napiVersion: v1\nkind: Pod\nmetadata: {name: thief}\nspec: {containers: [{name: c, image: i}]}\n{{ end }}\n", "Pod/thief", nil},
		"an unknown":    {"apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: thing}\n", "Thing.example.org", nil},
		"another heap":  {"", "SCONE_HEAP", []string{"--set", "scone.heap=2G"}},
		"libraries":     {"", "SCONE_ALLOW_DLOPEN", []string{"--set-string", "scone.env.SCONE_ALLOW_DLOPEN=1"}},
		"a pre-install": {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install}}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}\n", "Job/hook", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(hidden, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			r := install(t, "hides", append([]string{"--chart", folder}, c.flags...)...)
			if r.code != 1 || !strings.Contains(r.err, c.want) {
				t.Errorf("want a refusal with %q, got %v", c.want, r)
			}
			if r := try(t, "helm", "status", "hides"); r.code == 0 {
				t.Error("it was installed")
			}
			if r := try(t, confidb("verify", "hides")...); !strings.Contains(r.err, "nothing is recorded") {
				t.Errorf("something was made: %v", r)
			}
		})
	}
}
