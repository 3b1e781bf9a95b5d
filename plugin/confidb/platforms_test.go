package confidb_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/platform"
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

func TestPlatforms(t *testing.T) {
	kubeconfig(t, twoMachines().Start(t))
	const remark = "1 of 3 nodes have no SGX (-o wide lists them)\n"
	for name, c := range map[string]struct{ format, out, errOut string }{
		"table": {"", `NODE    PLATFORM ID                                   PROVENANCE  STATE
node-1  INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151  claimed     usable
node-2  INTEL_QE_ID:eee9e58de65548e3778f4d5e42e30345  claimed     cordoned
`, remark},
		"wide": {"wide", `NODE    PLATFORM ID                                   GENERATION   PROVENANCE  STATE     SOURCE   LAS POD                  SGX RESOURCE               TCB
node-1  INTEL_QE_ID:85ffc69266c833546e5dca1c676a6151  intel-qe-id  claimed     usable    las-log  scone-system/las-node-1  sgx.intel.com/enclave=8/8  <none>
node-2  INTEL_QE_ID:eee9e58de65548e3778f4d5e42e30345  intel-qe-id  claimed     cordoned  las-log  scone-system/las-node-2  sgx.intel.com/enclave=8/8  <none>
plain   <none>                                        <none>       <none>      no SGX    <none>   <none>                   <none>                     <none>
`, ""},
		"name":           {"name", "node/node-1\nnode/node-2\n", ""},
		"session":        {"session", "platforms: [" + id1 + "," + id2 + "]\n", ""},
		"jsonpath":       {`jsonpath={range .items[*]}{.name} {.platformID}{"\n"}{end}`, "node-1 " + id1 + "\nnode-2 " + id2 + "\n", ""},
		"go-template":    {`go-template={{range .items}}{{.name}}={{.usable}} {{end}}{{.withoutSGX}}`, "node-1=true node-2=false 1", ""},
		"custom-columns": {"custom-columns=NODE:.name,WHY:.reason", "NODE    WHY\nnode-1  <none>\nnode-2  cordoned\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := platforms("-o", c.format)
			if diff := cmp.Diff(c.out, out) + cmp.Diff(c.errOut, errOut); code != 0 || diff != "" {
				t.Errorf("exit %d\n%s", code, diff)
			}
		})
	}
}

func TestPlatformsDocument(t *testing.T) {
	kubeconfig(t, twoMachines().Start(t))
	want := map[string]any{
		"kind": "confidb.platforms/v1", "origin": "cluster", "simulated": false, "platforms": []any{id1, id2}, "withoutSGX": 1.0, "warnings": []any{},
		"items": []any{
			map[string]any{"name": "node-1", "sgx": true, "usable": true, "reason": "", "platformID": id1, "generation": "intel-qe-id", "provenance": "claimed",
				"sources": []any{"las-log"}, "lasPods": []any{"scone-system/las-node-1"}, "sgxResources": []any{"sgx.intel.com/enclave=8/8"},
				"quote": nil, "kernelVersion": "", "osImage": "", "bootID": ""},
			map[string]any{"name": "node-2", "sgx": true, "usable": false, "reason": "cordoned", "platformID": id2, "generation": "intel-qe-id", "provenance": "claimed",
				"sources": []any{"las-log"}, "lasPods": []any{"scone-system/las-node-2"}, "sgxResources": []any{"sgx.intel.com/enclave=8/8"},
				"quote": nil, "kernelVersion": "", "osImage": "", "bootID": ""},
		},
	}
	for format, unmarshal := range map[string]func([]byte, any) error{
		"json": json.Unmarshal,
		"yaml": func(text []byte, into any) error { return yaml.Unmarshal(text, into) },
	} {
		code, out, errOut := platforms("-o", format)
		var got map[string]any
		if err := unmarshal([]byte(out), &got); err != nil || code != 0 || errOut != "" {
			t.Fatalf("%s: exit %d, %v, %s in %s", format, code, err, errOut, out)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
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

func TestPlatformsRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change    func(*machinestest.Cluster)
		arguments []string
		code      int
		want      []string
		table     bool
	}{
		"nodes are forbidden": {func(c *machinestest.Cluster) { c.Refuse = map[string]int{"/nodes": 403} }, nil, 1,
			[]string{"error: listing nodes: ", "hint: ask an administrator", platform.ClusterRole()}, false},
		"logs are forbidden": {func(c *machinestest.Cluster) { c.Refuse = map[string]int{"/log": 403} }, nil, 1,
			[]string{"SGX node without platform ID: node-1", "a source was refused: reading the log of pod scone-system/las-node-", platform.ClusterRole()}, true},
		"no SGX": {func(c *machinestest.Cluster) { c.Nodes = c.Nodes[:1] }, nil, 1,
			[]string{"empty: none of the cluster's 1 nodes has SGX"}, false},
		"a contradiction": {func(c *machinestest.Cluster) {
			c.LAS = []any{machinestest.LASResource(map[string]any{"node-1": qe1 + qe1})}
		}, nil, 1, []string{`sources disagree about node "node-1"`, "hint: kubectl confidb platforms -o wide"}, true},
		"a contradiction, json": {func(c *machinestest.Cluster) {
			c.LAS = []any{machinestest.LASResource(map[string]any{"node-1": qe1 + qe1})}
		}, []string{"-o", "json"}, 1, []string{`sources disagree about node "node-1"`}, false},
		"one ID twice, session": {func(c *machinestest.Cluster) {
			c.Logs["scone-system/las-node-1/las"] = "Intel QE ID: " + qe2
		}, []string{"-o", "session"}, 1, []string{"one platform ID on 2 nodes: node-1, node-2: " + id2}, false},
		"an unknown format":    {nil, []string{"-o", "xml"}, 2, []string{`-o: got "xml", want wide, json`}, false},
		"an empty template":    {nil, []string{"-o", "jsonpath="}, 2, []string{"error: -o: "}, false},
		"a broken template":    {nil, []string{"-o", "go-template={{"}, 2, []string{"error: -o: "}, false},
		"an argument":          {nil, []string{"node-1"}, 2, []string{"got 1 arguments"}, false},
		"a bad ID":             {nil, []string{"--platform", qe1}, 1, []string{"--platform: item 1: platform ID: got"}, false},
		"an empty list":        {nil, []string{"--platform", "[]"}, 1, []string{"--platform: list of platform IDs: it is empty"}, false},
		"mixed generations":    {nil, []string{"--platform", id1, "--platform", qe1 + qe2}, 1, []string{"--platform: platform IDs: mixed generations"}, false},
		"a list and a file":    {nil, []string{"--platform", id1, "--platforms-file", "f"}, 2, []string{"want only one"}, false},
		"no such file":         {nil, []string{"--platforms-file", "/does/not/exist"}, 1, []string{"--platforms-file: ", "no such file"}, false},
		"another namespace":    {nil, []string{"--las-namespace", "default"}, 1, []string{"empty: no SGX node has a platform ID: node-1 (no LAS pod)"}, true},
		"a list has no names":  {nil, []string{"--platform", id1, "-o", "name"}, 2, []string{"names no nodes"}, false},
		"an unknown flag":      {nil, []string{"--no-such-flag"}, 2, []string{"unknown flag"}, false},
		"a cluster that hangs": {func(c *machinestest.Cluster) { c.Hang = "/nodes" }, []string{"--timeout", "100ms"}, 124, []string{"listing nodes: "}, false},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := twoMachines()
			if c.change != nil {
				c.change(cluster)
			}
			kubeconfig(t, cluster.Start(t))
			code, out, errOut := platforms(c.arguments...)
			if code != c.code || strings.HasPrefix(out, "NODE ") != c.table || !c.table && out != "" {
				t.Errorf("exit %d, want %d\n%s%s", code, c.code, out, errOut)
			}
			for _, want := range c.want {
				if !strings.Contains(errOut, want) {
					t.Errorf("want %q in:\n%s", want, errOut)
				}
			}
		})
	}
}

func TestPlatformsWarns(t *testing.T) {
	cluster := twoMachines()
	cluster.Refuse = map[string]int{"/v1beta1/las": 403}
	kubeconfig(t, cluster.Start(t))
	code, out, errOut := platforms("-o", "session")
	if code != 0 || !strings.HasPrefix(out, "platforms: [INTEL") || !strings.HasPrefix(errOut, "warning: left out a source that was refused: listing LAS custom resources") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
}

func TestPlatformsOfTheUser(t *testing.T) {
	cluster := twoMachines()
	kubeconfig(t, cluster.Start(t))
	t.Setenv("PLATFORMS", "platforms: ["+id2+","+id1+"]")
	want := "platforms: [" + id1 + "," + id2 + "]\n"
	code, out, errOut := platforms("-o", "session")
	if code != 0 || out != want || errOut != "the platform IDs are from $PLATFORMS; the cluster was not asked\n" {
		t.Errorf("$PLATFORMS: exit %d\n%s%s", code, out, errOut)
	}
	code, out, errOut = platforms("-o", "jsonpath={.origin} {.items[0].provenance} {.items[0].usable}", "--platform", id1)
	if code != 0 || out != "--platform declared false" || !strings.Contains(errOut, "--platform") {
		t.Errorf("--platform: exit %d\n%s%s", code, out, errOut)
	}
	code, out, _ = platforms("--platform", id1+","+id2)
	if code != 0 || !strings.Contains(out, "<none>  "+id1+"  declared    not bound to a\n") {
		t.Errorf("table: exit %d\n%s", code, out)
	}
	if asked := cluster.Requests(); len(asked) != 0 {
		t.Errorf("asked the cluster %q", asked)
	}
	t.Setenv("PLATFORMS", "null")
	if code, out, errOut := platforms(); code != 1 || out != "" || !strings.Contains(errOut, "error: $PLATFORMS: item 1") {
		t.Errorf("null: exit %d\n%s%s", code, out, errOut)
	}
}

func TestPlatformsFile(t *testing.T) {
	kubeconfig(t, twoMachines().Start(t))
	t.Setenv("PLATFORMS", id2) // the flag wins
	path := filepath.Join(t.TempDir(), "nodes.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("node-1: " + id1 + "\n")
	code, out, errOut := platforms("--platforms-file", path, "-o", "custom-columns=P:.provenance,S:.sources")
	if code != 0 || out != "P         S\ndeclared  [file las-log]\nclaimed   [las-log]\n" || errOut != "" {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	write("node-1: " + id1 + "\nnode-3: " + id2 + "\n")
	code, _, errOut = platforms("--platforms-file", path)
	if code != 1 || !strings.Contains(errOut, path+`:2: a platform ID for node "node-3", which the cluster does not have`) {
		t.Errorf("exit %d\n%s", code, errOut)
	}
	write("node-1: null\n")
	code, out, errOut = platforms("--platforms-file", path)
	if code != 1 || out != "" || !strings.HasPrefix(errOut, "error: "+path+`:1:9: node "node-1": platform ID: got "null"`) {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
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
