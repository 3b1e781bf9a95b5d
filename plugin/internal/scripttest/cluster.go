package scripttest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/machines/machinestest"
)

// machines are the file of cluster.
type machines struct {
	Nodes []struct {
		Name string `json:"name"`
		// Log is what the LAS on the node has logged; empty means that no LAS runs.
		Log string `json:"log"`
		// SGX says of a node without LAS that it has SGX all the same.
		SGX      bool              `json:"sgx"`
		Cordoned bool              `json:"cordoned"`
		Kernel   string            `json:"kernel"`
		Labels   map[string]string `json:"labels"`
	} `json:"nodes"`
	// LAS is the custom resource of LAS: a key by node.
	LAS map[string]any `json:"las"`
	// Refuse are HTTP statuses by parts of paths.
	Refuse map[string]int `json:"refuse"`
	// RefuseWatch answers 403 to whoever watches, and Hang never answers a path.
	RefuseWatch bool   `json:"refuseWatch"`
	Hang        string `json:"hang"`
}

// apiServer serves the machines of today. It has no secrets but Helm's, and nothing can be
// changed in it.
type apiServer struct {
	today atomic.Pointer[machinestest.Cluster]
	// helm are the Secrets in which Helm keeps its releases.
	helm  atomic.Pointer[corev1.SecretList]
	asked io.Writer
}

// serveCluster starts the API server at $CLUSTER, or changes the machines.
func (w *world) serveCluster(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("usage: cluster FILE")
	}
	var m machines
	if err := yaml.UnmarshalStrict([]byte(w.ReadFile(arguments[0])), &m); err != nil {
		return err
	}
	if w.cluster == nil {
		w.cluster = &apiServer{asked: w.asked["cluster"]}
		server := httptest.NewServer(w.cluster)
		w.Defer(server.Close)
		w.Setenv("CLUSTER", server.URL)
		w.Setenv("KUBECONFIG", w.MkAbs("home/kubeconfig"))
		config := fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: test, clusters: [{name: test, cluster: {server: %q}}], users: [{name: test, user: {}}], contexts: [{name: test, context: {cluster: test, user: test}}]}`, server.URL)
		if err := w.write("home", map[string][]byte{"kubeconfig": config}); err != nil {
			return err
		}
	}
	w.cluster.today.Store(m.cluster())
	return nil
}

func (m *machines) cluster() *machinestest.Cluster {
	c := &machinestest.Cluster{Refuse: m.Refuse, RefuseWatch: m.RefuseWatch, Hang: m.Hang}
	for _, n := range m.Nodes {
		node := machinestest.PlainNode(n.Name)
		if n.SGX || n.Log != "" {
			node = machinestest.SGXNode(n.Name)
		}
		if n.Log != "" {
			c.AddLAS(n.Name, n.Log)
		}
		node.Spec.Unschedulable, node.Status.NodeInfo.KernelVersion = n.Cordoned, n.Kernel
		if node.Labels == nil {
			node.Labels = map[string]string{}
		}
		maps.Copy(node.Labels, n.Labels)
		c.Nodes = append(c.Nodes, node)
	}
	if m.LAS != nil {
		c.LAS = []any{machinestest.LASResource(m.LAS)}
	}
	return c
}

func (a *apiServer) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(a.asked, r.Method, r.URL.RequestURI())
	c := a.today.Load()
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	switch {
	case err != nil:
		rw.WriteHeader(http.StatusBadRequest)
	case r.Method != http.MethodGet:
		rw.WriteHeader(http.StatusForbidden)
	case strings.HasSuffix(r.URL.Path, "/secrets"):
		rw.Header().Set("Content-Type", "application/json")
		list := &corev1.SecretList{TypeMeta: metav1.TypeMeta{Kind: "SecretList", APIVersion: "v1"}, Items: []corev1.Secret{}}
		if kept := a.helm.Load(); kept != nil && selector.Matches(labels.Set(kept.Items[0].Labels)) {
			list = kept
		}
		_ = json.NewEncoder(rw).Encode(list) // whoever asked may have left
	case r.URL.Path == "/api/v1/nodes" && !selector.Empty():
		selected(c.Nodes, selector).ServeHTTP(rw, r)
	default:
		c.ServeHTTP(rw, r)
	}
}

func selected(nodes []corev1.Node, by labels.Selector) *machinestest.Cluster {
	some := &machinestest.Cluster{}
	for _, n := range nodes {
		if by.Matches(labels.Set(n.Labels)) {
			some.Nodes = append(some.Nodes, n)
		}
	}
	return some
}
