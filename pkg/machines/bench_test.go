package machines_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberuntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/platform"
)

const manyNodes = 5000

// fullNode has about as much in it as one of a cloud.
func fullNode(n int) corev1.Node {
	node := machinestest.SGXNode(fmt.Sprintf("node-%04d", n))
	node.Annotations = map[string]string{}
	for i := range 25 {
		node.Labels[fmt.Sprintf("label.example.org/%d", i)] = fmt.Sprintf("value-%d", n)
		node.Annotations[fmt.Sprintf("annotation.example.org/%d", i)] = strings.Repeat("x", 60)
	}
	for i := range 50 {
		node.Status.Images = append(node.Status.Images, corev1.ContainerImage{Names: []string{fmt.Sprintf("registry.example.org/image-%d@sha256:%064d", i, n)}, SizeBytes: 1 << 20})
	}
	node.Status.NodeInfo = corev1.NodeSystemInfo{KernelVersion: "6.1.0-18-amd64", OSImage: "Debian GNU/Linux 12 (bookworm)", BootID: fmt.Sprintf("%032x", n)}
	return node
}

// large serves many nodes, in protobuf where that is asked for. Each answer is made
// once: what is measured is the client.
func large(tb testing.TB) (config *rest.Config, claims []platform.Claim) {
	tb.Helper()
	cluster := &machinestest.Cluster{}
	for n := range manyNodes {
		cluster.Nodes = append(cluster.Nodes, fullNode(n))
		id := parse(tb, fmt.Sprintf("INTEL_QE_ID:%032x", n+1))
		claims = append(claims, platform.Claim{Node: cluster.Nodes[n].Name, ID: id, Source: platform.SourceFile, Origin: "machines.yaml"})
	}
	encoder := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	answers := map[string][]byte{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/api/v1/") || !strings.Contains(r.Header.Get("Accept"), "protobuf") {
			cluster.ServeHTTP(w, r)
			return
		}
		if answers[r.URL.RequestURI()] == nil {
			recorded := httptest.NewRecorder()
			cluster.ServeHTTP(recorded, r)
			var list kuberuntime.Object = &corev1.NodeList{}
			if strings.HasSuffix(r.URL.Path, "/pods") {
				list = &corev1.PodList{}
			}
			var b strings.Builder
			if json.Unmarshal(recorded.Body.Bytes(), list) != nil || encoder.Encode(list, &b) != nil {
				http.Error(w, "the test's server is broken", http.StatusInternalServerError)
				return
			}
			answers[r.URL.RequestURI()] = []byte(b.String())
		}
		w.Header().Set("Content-Type", kuberuntime.ContentTypeProtobuf)
		w.Write(answers[r.URL.RequestURI()])
	}))
	tb.Cleanup(server.Close)
	return &rest.Config{Host: server.URL, QPS: -1}, claims
}

func clientsOf(tb testing.TB, config *rest.Config) (kubernetes.Interface, dynamic.Interface) {
	tb.Helper()
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	resources, err := dynamic.NewForConfig(config)
	if err != nil {
		tb.Fatal(err)
	}
	return clientset, resources
}

// plainList is what a program needs at least: all pages of nodes, in protobuf.
func plainList(tb testing.TB, clientset kubernetes.Interface) []corev1.Node {
	tb.Helper()
	var all []corev1.Node
	for options := (metav1.ListOptions{Limit: 500}); ; {
		page, err := clientset.CoreV1().Nodes().List(tb.Context(), options)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, page.Items...)
		if options.Continue = page.Continue; options.Continue == "" {
			return all
		}
	}
}

func discoverLarge(tb testing.TB, clientset kubernetes.Interface, resources dynamic.Interface, claims []platform.Claim) *platform.Inventory {
	tb.Helper()
	i, err := (&machines.Cluster{Clientset: clientset, Resources: resources}).Discover(tb.Context(), machines.Options{File: claims})
	if err != nil || len(i.Nodes) != manyNodes {
		tb.Fatal(err)
	}
	return i
}

// BenchmarkDiscover compares discovery, without LAS pods to read, with a plain list.
func BenchmarkDiscover(b *testing.B) {
	config, claims := large(b)
	clientset, resources := clientsOf(b, config)
	plainList(b, clientset) // fills the server's answers
	discoverLarge(b, clientset, resources, claims)
	b.Run("plain-list", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			plainList(b, clientset)
		}
	})
	b.Run("discover", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			discoverLarge(b, clientset, resources, claims)
		}
	})
}

// client-go asks for protobuf by itself, and custom resources exist as JSON only. A
// large list takes a page at a time.
func TestDiscoverAsksForProtobuf(t *testing.T) {
	node := machinestest.SGXNode("n1")
	cluster := &machinestest.Cluster{Nodes: []corev1.Node{node}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		core := strings.HasPrefix(r.URL.Path, "/api/v1/")
		if got := strings.HasPrefix(r.Header.Get("Accept"), kuberuntime.ContentTypeProtobuf); got != core || r.URL.Query().Get("limit") != "500" {
			t.Errorf("%s accepts %q", r.URL.RequestURI(), r.Header.Get("Accept"))
		}
		cluster.ServeHTTP(w, r)
	}))
	defer server.Close()
	clientset, resources := clientsOf(t, &rest.Config{Host: server.URL})
	claims := []platform.Claim{{Node: "n1", ID: parse(t, idA), Source: platform.SourceFile}}
	if _, err := (&machines.Cluster{Clientset: clientset, Resources: resources}).Discover(t.Context(), machines.Options{File: claims}); err != nil {
		t.Error(err)
	}
}

// Of a node only the facts are kept: not a tenth of what it takes itself.
func TestDiscoverKeepsFactsOnly(t *testing.T) {
	config, claims := large(t)
	clientset, resources := clientsOf(t, config)
	retained := func(get func() any) uint64 {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		kept := get()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(kept)
		return max(after.HeapAlloc, before.HeapAlloc) - before.HeapAlloc
	}
	plainList(t, clientset)
	discoverLarge(t, clientset, resources, claims)
	whole := retained(func() any { return plainList(t, clientset) })
	facts := retained(func() any { return discoverLarge(t, clientset, resources, claims) })
	t.Logf("%d nodes: whole %d KiB, facts %d KiB", manyNodes, whole>>10, facts>>10)
	if facts*10 > whole {
		t.Errorf("the facts take %d bytes, the nodes %d", facts, whole)
	}
}
