package machines_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/rest"
	clienttesting "k8s.io/client-go/testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/platform"
)

const (
	qeA  = "85ffc69266c833546e5dca1c676a6151"
	qeB  = "eee9e58de65548e3778f4d5e42e30345"
	idA  = "INTEL_QE_ID:" + qeA
	idB  = "INTEL_QE_ID:" + qeB
	keyA = "2C45C8294D491808AA9B2A6BCA01B8E185FFC69266C833546E5DCA1C676A6151"
	keyB = "126C8098408FEB2002F5EB8B9E6C2AE26197E3617875633C5BD4EB4454278C34"
)

func parse(t testing.TB, text string) attest.PlatformID {
	t.Helper()
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func texts(ids []attest.PlatformID) []string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, id.String())
	}
	return texts
}

const lineA = "2026-02-23T10:07:36.762576Z  INFO Intel QE ID: " + qeA

func line6(key string) string {
	return "[10000:INFO@25.03.2021/10:53:17] STARTER: SCONE QE has public key " + key
}

// fill returns lines of this many bytes in all.
func fill(size int) string { return strings.Repeat("\n", size%2) + strings.Repeat("-\n", size/2) }

func discover(t *testing.T, c *machinestest.Cluster, o machines.Options) (*platform.Inventory, error) {
	t.Helper()
	config := &rest.Config{Host: c.Start(t), QPS: -1}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	resources, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cluster := &machines.Cluster{Clientset: clientset, Resources: resources}
	return cluster.Discover(ctx, o)
}

func wantIDs(t *testing.T, i *platform.Inventory, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, texts(i.IDs())); diff != "" {
		t.Error(diff)
	}
}

func wantError(t *testing.T, i *platform.Inventory, err error, want ...string) {
	t.Helper()
	if err == nil || i != nil {
		t.Fatalf("got %+v and %v, want an error only", i, err)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("want %q in: %v", w, err)
		}
	}
}

func TestDiscoverLogs(t *testing.T) {
	for name, c := range map[string]struct {
		line, want string
	}{
		"SCONE 7":                 {lineA, idA},
		"SCONE 6":                 {line6(keyA), keyA},
		"started twice":           {line6(keyA) + "\n" + line6(keyA), keyA},
		"a start after 1 MiB":     {strings.Repeat("served\n", 400_000) + line6(keyA), keyA},
		"a start before 1 MiB":    {line6(keyB) + "\n" + strings.Repeat("served\n", 400_000), keyB},
		"upper case is the same":  {"Intel QE ID: " + strings.ToUpper(qeA), idA},
		"CLI output, also a form": {"Intel QE ID:            " + qeA, idA},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := &machinestest.Cluster{Nodes: []corev1.Node{machinestest.PlainNode("plain")}}
			cluster.AddSGX("n1", c.line)
			i, err := discover(t, cluster, machines.Options{})
			if c.want == "" {
				wantError(t, i, err, "the log of its LAS pod names none")
				return
			}
			wantIDs(t, i, err, c.want)
			if n := i.Nodes[0]; !n.Usable || n.Provenance != attest.Claimed || n.LASPods[0] != "scone-system/las-n1" || n.Resources[0] != "sgx.intel.com/enclave=8/8" {
				t.Errorf("got %+v", n)
			}
			if i.WithoutSGX() != 1 {
				t.Errorf("got %d nodes without SGX, want 1", i.WithoutSGX())
			}
		})
	}
}

// TestDiscoverRefusesLogs: whoever gets text into the log of a LAS gets no machine admitted.
func TestDiscoverRefusesLogs(t *testing.T) {
	for name, c := range map[string]struct{ log, want string }{
		"two IDs":                     {lineA + "\nIntel QE ID: " + qeB, `two different platform IDs on node "n1"`},
		"two IDs, far apart":          {line6(keyB) + "\n" + strings.Repeat("served\n", 400_000) + line6(keyA), `two different platform IDs on node "n1"`},
		"two wordings":                {lineA + "\n" + line6(keyA), `two different platform IDs on node "n1"`},
		"within another text":         {"refused client: Intel QE ID: " + qeA, "in a form that LAS does not use"},
		"within another text as well": {lineA + "\n2026-02-23T10:07:36Z  WARN client sent Intel QE ID: " + qeB, "in a form that LAS does not use"},
		"digits behind it":            {lineA + "\n" + lineA + "ff", "in a form that LAS does not use"},
		"cut by the limit":            {fill(1<<20-len("starting\n")-len(lineA)) + lineA + "00\nnothing else", "in a form that LAS does not use"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := &machinestest.Cluster{}
			cluster.AddSGX("n1", c.log)
			i, err := discover(t, cluster, machines.Options{})
			wantError(t, i, err, c.want)
		})
	}
}

func TestDiscoverReadsAllContainers(t *testing.T) {
	c := &machinestest.Cluster{}
	c.AddSGX("n1", "nothing here")
	c.Pods[0].Spec.Containers = append(c.Pods[0].Spec.Containers, corev1.Container{Name: "starter"})
	c.Logs["scone-system/las-n1/starter"] = lineA
	i, err := discover(t, c, machines.Options{})
	wantIDs(t, i, err, idA)
	c.Logs["scone-system/las-n1/las"] = line6(keyA)
	i, err = discover(t, c, machines.Options{})
	wantError(t, i, err, `two different platform IDs on node "n1"`)
}

func TestDiscoverFindsLASPods(t *testing.T) {
	c := &machinestest.Cluster{}
	c.AddSGX("n1", lineA)
	c.Pods[0].Labels = nil
	c.AddLAS("n1", lineA)
	c.Pods[1].Name, c.Pods[1].Labels = "database-0", nil
	i, err := discover(t, c, machines.Options{})
	wantIDs(t, i, err, idA)
	if diff := cmp.Diff([]string{"scone-system/las-n1"}, i.Nodes[0].LASPods); diff != "" {
		t.Error(diff)
	}
	i, err = discover(t, c, machines.Options{LASNamespace: "elsewhere"})
	wantError(t, i, err, "n1 (no LAS pod)")
	i, err = discover(t, c, machines.Options{LASNamespace: "scone-system"})
	wantIDs(t, i, err, idA)
}

func TestDiscoverPassesOverPodsThatDoNotCount(t *testing.T) {
	now := metav1.Now()
	for name, change := range map[string]func(*corev1.Pod){
		"terminating": func(p *corev1.Pod) { p.DeletionTimestamp = &now },
		"failed":      func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed },
		"unscheduled": func(p *corev1.Pod) { p.Spec.NodeName = "" },
		"pending":     func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending },
	} {
		t.Run(name, func(t *testing.T) {
			c := &machinestest.Cluster{}
			c.AddSGX("n1", lineA)
			old := machinestest.LASPod("n1")
			old.Name = "las-old"
			change(&old)
			c.Pods = append(c.Pods, old)
			c.Logs["scone-system/las-old/las"] = "Intel QE ID: " + qeB
			i, err := discover(t, c, machines.Options{})
			wantIDs(t, i, err, idA)
			if !i.Nodes[0].Usable {
				t.Errorf("got %+v", i.Nodes[0])
			}
		})
	}
}

func TestDiscoverSaysWhyANodeIsNotUsable(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*machinestest.Cluster)
		want   string
	}{
		"not ready":    {func(c *machinestest.Cluster) { c.Nodes[1].Status.Conditions[0].Status = corev1.ConditionUnknown }, "not Ready"},
		"no condition": {func(c *machinestest.Cluster) { c.Nodes[1].Status.Conditions = nil }, "not Ready"},
		"cordoned":     {func(c *machinestest.Cluster) { c.Nodes[1].Spec.Unschedulable = true }, "cordoned"},
		"device plugin gone": {func(c *machinestest.Cluster) {
			zero := corev1.ResourceList{"sgx.intel.com/enclave": resource.MustParse("0")}
			c.Nodes[1].Labels, c.Nodes[1].Status.Capacity, c.Nodes[1].Status.Allocatable = nil, zero, zero
		}, "no allocatable SGX resource"},
		"only a label": {func(c *machinestest.Cluster) {
			c.Nodes[1].Labels = map[string]string{"las.scontain.com/ok": "true"}
			c.Nodes[1].Status.Capacity, c.Nodes[1].Status.Allocatable = nil, nil
		}, "no allocatable SGX resource"},
		"LAS not ready": {func(c *machinestest.Cluster) { c.Pods[1].Status.Conditions[0].Status = corev1.ConditionFalse }, "LAS pod not running (not ready)"},
		"LAS crashes": {func(c *machinestest.Cluster) {
			c.Pods[1].Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
		}, "LAS pod not running (CrashLoopBackOff)"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := &machinestest.Cluster{}
			cluster.AddSGX("n1", lineA)
			cluster.AddSGX("n2", "Intel QE ID: "+qeB)
			c.change(cluster)
			i, err := discover(t, cluster, machines.Options{})
			wantIDs(t, i, err, idA, idB) // n2 comes back, and must be admitted then
			if n := i.Nodes[1]; n.Usable || n.Reason != c.want {
				t.Errorf("got %+v, want %q", n, c.want)
			}
		})
	}
}

func TestSGXResources(t *testing.T) {
	for _, name := range []corev1.ResourceName{"sgx.intel.com/enclave", "sgx.intel.com/epc", "sgx.k8s.io/sgx", "sgx.k8s.io/dcap"} {
		c := &machinestest.Cluster{}
		c.AddSGX("n1", lineA)
		one := corev1.ResourceList{name: resource.MustParse("1")}
		c.Nodes[0].Labels, c.Nodes[0].Status.Capacity, c.Nodes[0].Status.Allocatable = map[string]string{"sgx.intel.com/capable": "false"}, one, one
		i, err := discover(t, c, machines.Options{})
		wantIDs(t, i, err, idA)
		if !i.Nodes[0].Usable {
			t.Errorf("%s: got %+v", name, i.Nodes[0])
		}
	}
}

func TestDiscoverResource(t *testing.T) {
	keys := func(n1 any) []any { return []any{machinestest.LASResource(map[string]any{"n1": n1})} }
	for name, c := range map[string]struct {
		las     []any
		warning string
	}{
		"agrees":           {keys(strings.ToLower(keyA)), ""},
		"no kind":          {nil, ""},
		"none":             {[]any{}, ""},
		"no status":        {[]any{map[string]any{"apiVersion": "base.scone.cloud/v1beta1", "kind": "LAS", "metadata": map[string]any{"name": "las"}}}, ""},
		"null":             {keys(nil), ""},
		"empty":            {keys(""), ""},
		"the word null":    {keys("null"), `LAS/las: node "n1": publicKey: platform ID: got "null"`},
		"no text":          {keys(true), "publicKey: got true, want text"},
		"32 digits":        {keys(qeA), "publicKey: platform ID"},
		"a node that left": {[]any{machinestest.LASResource(map[string]any{"gone": keyB})}, `node "gone", which the cluster does not have`},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := &machinestest.Cluster{LAS: c.las}
			cluster.AddSGX("n1", line6(keyA))
			i, err := discover(t, cluster, machines.Options{})
			if err != nil || len(i.IDs()) != 1 || i.IDs()[0] != parse(t, keyA) {
				t.Fatalf("got %+v and %v", i, err)
			}
			if got := strings.Join(i.Warnings, "\n"); (c.warning == "") != (got == "") || !strings.Contains(got, c.warning) {
				t.Errorf("got warnings %q, want %q", got, c.warning)
			}
		})
	}
	cluster := &machinestest.Cluster{LAS: keys(keyB)}
	cluster.AddSGX("n1", line6(keyA))
	i, err := discover(t, cluster, machines.Options{})
	wantError(t, i, err, `sources disagree about node "n1"`, "LAS/las says "+keyB, "pod scone-system/las-n1 says "+keyA)
	cluster = &machinestest.Cluster{LAS: keys(nil), Nodes: []corev1.Node{machinestest.SGXNode("n1")}}
	cluster.AddLAS("n1", "a LAS that says nothing")
	i, err = discover(t, cluster, machines.Options{})
	wantError(t, i, err, "SGX node without platform ID: n1: the log of its LAS pod names none")
}

func TestDiscoverRefused(t *testing.T) {
	for name, c := range map[string]struct {
		refuse   map[string]int
		las      bool
		warnings int // -1: an error
		want     string
	}{
		"nodes":                {map[string]int{"/nodes": 403}, true, -1, "listing nodes: "},
		"LAS, logs answer":     {map[string]int{"/las": 403}, true, 1, "listing LAS custom resources"},
		"pods, LAS answers":    {map[string]int{"/pods": 403}, true, 1, "listing pods in all namespaces"},
		"logs, LAS answers":    {map[string]int{"/log": 403}, true, 1, "reading the log of pod scone-system/las-n1"},
		"logs, nobody answers": {map[string]int{"/log": 403}, false, -1, "a source was refused: reading the log of pod"},
		"pods, nobody answers": {map[string]int{"/pods": 403}, false, -1, "a source was refused: listing pods"},
		"both":                 {map[string]int{"/pods": 403, "/las": 403}, true, -1, "listing LAS custom resources"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := &machinestest.Cluster{}
			cluster.AddSGX("n1", line6(keyA))
			if cluster.Refuse = c.refuse; c.refuse["/las"] != 0 { // the pod's name contains it, too
				cluster.Refuse = map[string]int{"/v1beta1/las": 403, "/pods": c.refuse["/pods"]}
				if c.refuse["/pods"] == 0 {
					delete(cluster.Refuse, "/pods")
				}
			}
			if c.las {
				cluster.LAS = []any{machinestest.LASResource(map[string]any{"n1": keyA})}
			}
			i, err := discover(t, cluster, machines.Options{})
			if c.warnings < 0 {
				wantError(t, i, err, c.want)
				var forbidden *platform.ForbiddenError
				var hinted interface{ Hint() string }
				if !errors.As(err, &forbidden) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), platform.ClusterRole()) {
					t.Errorf("no hint with the role: %v", err)
				}
				return
			}
			wantIDs(t, i, err, keyA)
			if len(i.Warnings) != c.warnings || !strings.Contains(i.Warnings[0], c.want) {
				t.Errorf("got %q, want %q", i.Warnings, c.want)
			}
		})
	}
}

func TestDiscoverFails(t *testing.T) {
	for name, c := range map[string]struct {
		refuse map[string]int
		want   string
	}{
		"nodes":  {map[string]int{"/nodes": 500}, "listing nodes: "},
		"LAS":    {map[string]int{"/v1beta1/las": 500}, "listing LAS custom resources"},
		"pods":   {map[string]int{"/api/v1/pods": 500}, "listing pods in all namespaces"},
		"a log":  {map[string]int{"/log": 500}, "SGX node without platform ID: n1: reading the log of container las"},
		"absent": {map[string]int{"/nodes": 404}, "listing nodes: "},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := &machinestest.Cluster{Refuse: c.refuse}
			cluster.AddSGX("n1", lineA)
			i, err := discover(t, cluster, machines.Options{})
			wantError(t, i, err, c.want)
		})
	}
}

func TestDiscoverEndsInTime(t *testing.T) {
	cluster := &machinestest.Cluster{Hang: "/log"}
	for n := range 50 {
		cluster.AddSGX(fmt.Sprintf("n%02d", n), lineA)
	}
	config := &rest.Config{Host: cluster.Start(t), QPS: -1}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	i, err := (&machines.Cluster{Clientset: clientset}).Discover(ctx, machines.Options{})
	wantError(t, i, err, "reading the logs of LAS pods")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
	if busiest := cluster.Busiest(); busiest > 8 {
		t.Errorf("%d logs at once, want 8 at most", busiest)
	}
}

func TestDiscoverManyNodes(t *testing.T) {
	const many = 5000
	c := &machinestest.Cluster{LAS: []any{}}
	keys := map[string]any{}
	for n := range many {
		name := fmt.Sprintf("n%04d", n)
		c.Nodes = append(c.Nodes, machinestest.SGXNode(name))
		c.Pods = append(c.Pods, machinestest.LASPod(name))
		c.Pods[n].Status.Phase = corev1.PodPending // no logs: 5,000 requests take too long here
		keys[name] = fmt.Sprintf("%064x", n+1)
	}
	c.LAS = []any{machinestest.LASResource(keys)}
	i, err := discover(t, c, machines.Options{})
	if err != nil || len(i.IDs()) != many {
		t.Fatalf("got %v", err)
	}
	pages := 0
	for _, r := range c.Requests() {
		if strings.HasPrefix(r, "/api/v1/nodes?") {
			pages++
			if !strings.Contains(r, "limit=500") {
				t.Errorf("%s: want pages of 500", r)
			}
		}
	}
	if pages != many/500 {
		t.Errorf("got %d pages, want %d", pages, many/500)
	}
}

func TestDiscoverManyLogs(t *testing.T) {
	c := &machinestest.Cluster{}
	for n := range 100 {
		c.AddSGX(fmt.Sprintf("n%03d", n), fmt.Sprintf("Intel QE ID: %032x", n+1))
	}
	i, err := discover(t, c, machines.Options{})
	if err != nil || len(i.IDs()) != 100 || i.Nodes[41].ID.String() != fmt.Sprintf("INTEL_QE_ID:%032x", 42) {
		t.Errorf("got %v", err)
	}
	c.Refuse = map[string]int{"/log": 403}
	before := len(c.Requests())
	i, err = discover(t, c, machines.Options{})
	wantError(t, i, err, "a source was refused")
	if asked := len(c.Requests()) - before; asked > 50 {
		t.Errorf("asked %d times although the first answer was no", asked)
	}
}

func TestDiscoverFile(t *testing.T) {
	claims, err := platform.ParseFile("nodes.txt", []byte("n1 "+idA+"\nn2 "+idB+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := &machinestest.Cluster{}
	c.AddSGX("n1", lineA)
	c.AddSGX("n2", "a LAS that says nothing")
	i, err := discover(t, c, machines.Options{File: claims})
	wantIDs(t, i, err, idA, idB)
	if i.Nodes[1].Provenance != attest.Declared || len(i.Nodes[0].Sources) != 2 {
		t.Errorf("got %+v", i.Nodes)
	}
	c.Logs["scone-system/las-n2/las"] = line6(keyA)
	i, err = discover(t, c, machines.Options{File: claims})
	wantError(t, i, err, `sources disagree about node "n2"`, "nodes.txt:2 says "+idB)
}

func TestDiscoverListDoesNotAskTheCluster(t *testing.T) {
	i, err := machines.Find(t.Context(), nil, machines.Options{IDs: []attest.PlatformID{parse(t, idA)}})
	wantIDs(t, i, err, idA)
}

// TestListAgain uses the fakes of client-go: a list that expires half way begins again.
func TestListAgain(t *testing.T) {
	node1, node2 := machinestest.SGXNode("n1"), machinestest.SGXNode("n2")
	clientset := fake.NewClientset()
	expired := 0
	clientset.PrependReactor("list", "nodes", func(action clienttesting.Action) (bool, runtime.Object, error) {
		page := &corev1.NodeList{}
		switch options := action.(clienttesting.ListActionImpl).ListOptions; {
		case options.Continue == "":
			page.Items, page.Continue = []corev1.Node{node1}, "more"
		case expired == 0:
			expired++
			return true, nil, apierrors.NewResourceExpired("too slow")
		default:
			page.Items = []corev1.Node{node2}
		}
		return true, page, nil
	})
	las := &unstructured.Unstructured{Object: machinestest.LASResource(map[string]any{"n1": keyA, "n2": keyB})}
	gvr := schema.GroupVersionResource{Group: "base.scone.cloud", Version: "v1beta1", Resource: "las"}
	resources := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{gvr: "LASList"})
	if err := resources.Tracker().Create(gvr, las, ""); err != nil {
		t.Fatal(err)
	}
	i, err := (&machines.Cluster{Clientset: clientset, Resources: resources}).Discover(t.Context(), machines.Options{})
	wantIDs(t, i, err, keyB, keyA)
	if len(i.Nodes) != 2 || expired != 1 {
		t.Errorf("got %d nodes, want 2", len(i.Nodes))
	}
}
