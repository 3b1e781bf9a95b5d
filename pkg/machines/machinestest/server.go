// Package machinestest is an API server for tests: as much of Kubernetes as
// discovery reads, served from the test's own objects.
package machinestest

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Cluster is what the server serves. Set its fields before the first request.
type Cluster struct {
	Nodes []corev1.Node
	Pods  []corev1.Pod
	// Logs are by namespace/pod/container.
	Logs map[string]string
	// LAS are custom resources; nil means that there is no such kind.
	LAS []any
	// Refuse answers paths that contain a key with an HTTP status, such as 403.
	Refuse map[string]int

	// RefuseWatch answers 403 to whoever wants to watch.
	RefuseWatch bool

	// Hang makes requests whose path ends so wait until the client gives up.
	Hang string

	world    sync.RWMutex // the fields above, once there are requests
	watchers []chan watchEvent
	watching chan struct{} // gets one of each new watcher

	mu            sync.Mutex
	requests      []string
	busy, busiest int
}

// Start serves the cluster until the test ends and returns the URL.
func (c *Cluster) Start(t testing.TB) string {
	t.Helper()
	c.watching = make(chan struct{}, 1000)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return server.URL
}

// Requests returns the requests so far, as paths with queries.
func (c *Cluster) Requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.requests...)
}

// Busiest returns how many requests were answered at once at most.
func (c *Cluster) Busiest() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busiest
}

func (c *Cluster) begin(r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r.URL.RequestURI())
	c.busy++
	c.busiest = max(c.busiest, c.busy)
}

func (c *Cluster) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
}

// ServeHTTP answers as an API server does.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.begin(r)
	defer c.end()
	if !r.URL.Query().Has("watch") {
		c.world.RLock()
		defer c.world.RUnlock()
	}
	if c.Hang != "" && strings.HasSuffix(r.URL.Path, c.Hang) {
		<-r.Context().Done()
		return
	}
	for part, status := range c.Refuse {
		if strings.Contains(r.URL.Path, part) {
			refuse(w, status, r.URL.Path)
			return
		}
	}
	switch path := r.URL.Path; {
	case path == "/api/v1/nodes" && r.URL.Query().Has("watch"):
		c.watch(w, r)
	case path == "/api/v1/nodes":
		list(w, r, "v1", "NodeList", c.Nodes)
	case strings.HasSuffix(path, "/log"):
		c.log(w, r)
	case strings.HasPrefix(path, "/api/v1/") && strings.HasSuffix(path, "/pods"):
		list(w, r, "v1", "PodList", c.selected(r))
	case path == "/apis/base.scone.cloud/v1beta1/las" && c.LAS != nil:
		list(w, r, "base.scone.cloud/v1beta1", "LASList", c.LAS)
	default:
		refuse(w, http.StatusNotFound, path)
	}
}

func (c *Cluster) selected(r *http.Request) []corev1.Pod {
	_, rest, _ := strings.Cut(r.URL.Path, "/namespaces/")
	namespace, _, _ := strings.Cut(rest, "/")
	key, value, labelled := strings.Cut(r.URL.Query().Get("labelSelector"), "=")
	var pods []corev1.Pod
	for _, p := range c.Pods {
		if (namespace == "" || p.Namespace == namespace) && (!labelled || p.Labels[key] == value) {
			pods = append(pods, p)
		}
	}
	return pods
}

// log answers /api/v1/namespaces/NAMESPACE/pods/NAME/log.
func (c *Cluster) log(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	query := r.URL.Query()
	text, ok := c.Logs[parts[4]+"/"+parts[6]+"/"+query.Get("container")]
	if !ok {
		refuse(w, http.StatusBadRequest, r.URL.Path)
		return
	}
	if tail, err := strconv.Atoi(query.Get("tailLines")); err == nil {
		lines := strings.SplitAfter(text, "\n")
		text = strings.Join(lines[max(0, len(lines)-1-tail):], "")
	}
	if limit, err := strconv.Atoi(query.Get("limitBytes")); err == nil && limit < len(text) {
		text = text[:limit]
	}
	w.Write([]byte(text))
}

// watchEvent is one of a watch, as the API server sends it.
type watchEvent struct {
	Type   string      `json:"type"`
	Object corev1.Node `json:"object"`
}

// Change changes the fields while the server runs, and tells those who watch nodes.
func (c *Cluster) Change(change func()) {
	c.world.Lock()
	defer c.world.Unlock()
	before := map[string]corev1.Node{}
	for _, n := range c.Nodes {
		before[n.Name] = *n.DeepCopy()
	}
	change()
	var events []watchEvent
	for _, n := range c.Nodes {
		old, had := before[n.Name]
		delete(before, n.Name)
		switch {
		case !had:
			events = append(events, watchEvent{"ADDED", n})
		case !reflect.DeepEqual(old, n):
			events = append(events, watchEvent{"MODIFIED", n})
		}
	}
	for _, n := range before {
		events = append(events, watchEvent{"DELETED", n})
	}
	for _, watcher := range c.watchers {
		for _, e := range events {
			e.Object.ResourceVersion = "2"
			watcher <- e
		}
	}
}

// Watched waits until somebody watches the nodes, so that no change is missed.
func (c *Cluster) Watched(t testing.TB) {
	t.Helper()
	select {
	case <-c.watching:
	case <-time.After(time.Minute):
		t.Fatal("nobody watches the nodes")
	}
}

// watch streams what Change changes. It wants to be preceded by a list, as API
// servers do that do not send initial events.
func (c *Cluster) watch(w http.ResponseWriter, r *http.Request) {
	switch {
	case c.RefuseWatch:
		refuse(w, http.StatusForbidden, r.URL.Path)
		return
	case r.URL.Query().Has("sendInitialEvents"):
		refuse(w, http.StatusUnprocessableEntity, r.URL.Path)
		return
	}
	events := make(chan watchEvent, 1000)
	c.world.Lock()
	c.watchers = append(c.watchers, events)
	c.world.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	flush()
	c.watching <- struct{}{}
	for {
		select {
		case <-r.Context().Done():
			return
		case e := <-events:
			e.Object.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}
			if json.NewEncoder(w).Encode(e) != nil || flush() != nil {
				return
			}
		}
	}
}

// list answers a page of objects; the token to continue is the next index.
func list[T any](w http.ResponseWriter, r *http.Request, version, kind string, items []T) {
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	to := min(len(items), from+cmp.Or(limit, len(items)))
	metadata := map[string]any{"resourceVersion": "1"}
	if to < len(items) {
		metadata["continue"] = strconv.Itoa(to)
	}
	answer(w, http.StatusOK, map[string]any{"apiVersion": version, "kind": kind, "metadata": metadata, "items": append([]T{}, items[from:to]...)})
}

func refuse(w http.ResponseWriter, status int, what string) {
	reasons := map[int]metav1.StatusReason{403: metav1.StatusReasonForbidden, 404: metav1.StatusReasonNotFound, 410: metav1.StatusReasonExpired, 422: metav1.StatusReasonInvalid, 500: metav1.StatusReasonInternalError}
	answer(w, status, metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: int32(status),
		Reason: reasons[status], Message: "the test's cluster answers " + strconv.Itoa(status) + " to " + what,
	})
}

func answer(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(document)
}

// SGXNode returns a usable node with SGX.
func SGXNode(name string) corev1.Node {
	one := corev1.ResourceList{"sgx.intel.com/enclave": resource.MustParse("8")}
	return corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"sgx.intel.com/capable": "true"}},
		Status: corev1.NodeStatus{
			Capacity: one, Allocatable: one,
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
}

// PlainNode returns a node without SGX.
func PlainNode(name string) corev1.Node {
	node := SGXNode(name)
	node.Labels, node.Status.Capacity, node.Status.Allocatable = nil, nil, nil
	return node
}

// LASPod returns a running LAS pod of scone-system on a node, with one container las.
func LASPod(node string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "las-" + node, Namespace: "scone-system", Labels: map[string]string{"app.kubernetes.io/name": "las"}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "las"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

// AddSGX adds a node with SGX and a LAS pod that logs this line.
func (c *Cluster) AddSGX(node, line string) {
	c.Nodes = append(c.Nodes, SGXNode(node))
	c.AddLAS(node, line)
}

// AddLAS adds a LAS pod that logs this line.
func (c *Cluster) AddLAS(node, line string) {
	c.Pods = append(c.Pods, LASPod(node))
	if c.Logs == nil {
		c.Logs = map[string]string{}
	}
	c.Logs["scone-system/las-"+node+"/las"] = "starting\n" + line + "\n"
}

// LASResource returns a LAS custom resource with these keys by node.
func LASResource(keys map[string]any) map[string]any {
	nodes := map[string]any{}
	for node, key := range keys {
		nodes[node] = map[string]any{"isReady": true, "publicKey": key}
	}
	return map[string]any{"apiVersion": "base.scone.cloud/v1beta1", "kind": "LAS", "metadata": map[string]any{"name": "las"}, "status": map[string]any{"nodes": nodes}}
}
