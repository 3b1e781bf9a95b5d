package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	clienttesting "k8s.io/client-go/testing"

	"github.com/confidb/confidb/pkg/evidence"
)

func TestPods(t *testing.T) {
	own := readyPodOf("db-0")
	own.OwnerReferences = []metav1.OwnerReference{{Kind: "StatefulSet", Name: "db"}}
	own.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger"}}}
	own.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "fd00::1"}}
	own.Status.Phase = corev1.PodRunning
	now := metav1.Now()
	ending := readyPodOf("db-1")
	ending.DeletionTimestamp, ending.Finalizers = &now, []string{"x"}
	ended := readyPodOf("db-2")
	ended.Status.Phase = corev1.PodFailed
	elsewhere := own.DeepCopy()
	elsewhere.Namespace = "default"
	c, _ := newFake(own, ending, ended, elsewhere)
	got, err := c.Pods(t.Context(), namespace)
	if err != nil || len(got) != 3 {
		t.Fatalf("got %+v, %v", got, err)
	}
	want := evidence.Pod{Name: "db-0", Labels: own.Labels, Owners: []string{"StatefulSet/db"}, Spec: own.Spec, Ready: true, Addresses: []string{"10.0.0.1", "fd00::1"}}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
	if !got[1].Ending || got[1].Ready || got[1].Finished || !got[2].Finished {
		t.Errorf("got %+v and %+v", got[1], got[2])
	}
}

// A namespace with more pods than one answer holds is read to its end.
func TestPages(t *testing.T) {
	c, clientset := newFake()
	asked := 0
	clientset.PrependReactor("list", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		asked++
		list := &corev1.PodList{Items: []corev1.Pod{*readyPodOf(fmt.Sprintf("db-%d", asked))}}
		if asked < 3 {
			list.Continue = "more"
		}
		return true, list, nil
	})
	got, err := c.Pods(t.Context(), namespace)
	if err != nil || len(got) != 3 || asked != 3 {
		t.Errorf("got %d pods in %d answers, %v", len(got), asked, err)
	}
}

func TestObject(t *testing.T) {
	c, _ := newFake(statefulSet("db", 2, 1), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: namespace}, Spec: corev1.ServiceSpec{ExternalIPs: []string{"1.2.3.4"}}})
	text, err := c.Object(t.Context(), namespace, "StatefulSet", "db")
	var set appsv1.StatefulSet
	if err != nil || json.Unmarshal(text, &set) != nil || *set.Spec.Replicas != 2 {
		t.Errorf("got %s, %v", text, err)
	}
	if text, err := c.Object(t.Context(), namespace, "Service", "db"); err != nil || !strings.Contains(string(text), "1.2.3.4") {
		t.Errorf("got %s, %v", text, err)
	}
	for _, kind := range []string{"StatefulSet", "Deployment", "DaemonSet", "ReplicaSet", "ReplicationController", "CronJob", "Service", "ConfigMap", "NetworkPolicy", "PodDisruptionBudget"} {
		if text, err := c.Object(t.Context(), namespace, kind, "none"); err != nil || string(text) != "null" {
			t.Errorf("%s that does not exist: got %s, %v", kind, text, err)
		}
	}
	if _, err := c.Object(t.Context(), namespace, "Secret", "db"); err == nil {
		t.Error("a Secret was read")
	}
}

func TestEndpoints(t *testing.T) {
	yes, no, port := true, false, int32(3306)
	slice := func(name, service string, ends ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
			Ports:      []discoveryv1.EndpointPort{{Port: &port}, {}}, Endpoints: ends,
		}
	}
	c, _ := newFake(
		slice("a", "db", discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}, TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "db-0"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}}),
		slice("b", "db", discoveryv1.Endpoint{Addresses: []string{"6.6.6.6"}}, discoveryv1.Endpoint{Addresses: []string{"7.7.7.7"}, TargetRef: &corev1.ObjectReference{Kind: "Node", Name: "db-0"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}}),
		slice("c", "other", discoveryv1.Endpoint{Addresses: []string{"8.8.8.8"}}),
	)
	got, err := c.Endpoints(t.Context(), namespace, "db")
	want := []evidence.Endpoint{
		{Addresses: []string{"10.0.0.1"}, Ports: []int32{3306}, Pod: "db-0"},
		{Addresses: []string{"6.6.6.6"}, Ports: []int32{3306}, Ready: true},
		{Addresses: []string{"7.7.7.7"}, Ports: []int32{3306}, Ready: true},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// A right that is missing is named with the role that has it.
func TestForbidden(t *testing.T) {
	c, clientset := newFake()
	for _, resource := range []string{"pods", "services", "endpointslices", "statefulsets"} {
		clientset.PrependReactor("*", resource, func(clienttesting.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: resource}, "", errors.New("no"))
		})
	}
	ask := map[string]func() error{
		"pods":           func() error { _, err := c.Pods(t.Context(), namespace); return err },
		"services":       func() error { _, err := c.Object(t.Context(), namespace, "Service", "db"); return err },
		"statefulsets":   func() error { _, err := c.Object(t.Context(), namespace, "StatefulSet", "db"); return err },
		"endpointslices": func() error { _, err := c.Endpoints(t.Context(), namespace, "db"); return err },
	}
	for resource, question := range ask {
		got := evidence.Got(0, question())
		if !strings.Contains(got.Problem, resource) || !strings.Contains(got.Hint, "kind: Role") || !strings.Contains(got.Hint, "resources: ["+resource+"]") || !strings.Contains(got.Hint, "namespace: "+namespace) {
			t.Errorf("%s: got %+v", resource, got)
		}
	}
}

func TestReplace(t *testing.T) {
	live := statefulSet("db", 2, 1)
	live.Labels, live.Annotations = map[string]string{"managed-by": "Helm"}, map[string]string{"meta.helm.sh/release-name": "db"}
	live.Spec.Template.Spec.Containers = []corev1.Container{{Name: "mariadb", Env: []corev1.EnvVar{{Name: "SCONE_CONFIG_ID", Value: "evil"}}}, {Name: "sidecar"}}
	live.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: namespace}, Spec: corev1.ServiceSpec{
		ClusterIP: "10.0.0.9", ClusterIPs: []string{"10.0.0.9"}, ExternalIPs: []string{"6.6.6.6"}, Selector: map[string]string{"app": "evil"}, Type: corev1.ServiceTypeNodePort,
		Ports: []corev1.ServicePort{{Port: 3306, NodePort: 30001}},
	}}
	three := intstr.FromInt32(3)
	c, clientset := newFake(live, service, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: namespace}, Data: map[string]string{"a": "evil", "more": "x"}},
		&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: namespace}, Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{}}}},
		&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "db", Namespace: namespace}, Spec: policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &three}, Status: policyv1.PodDisruptionBudgetStatus{ExpectedPods: 3}})
	for kind, want := range map[string]string{"ConfigMap": `"data":{"a":"b"}`, "NetworkPolicy": `"policyTypes":["Ingress"]`, "PodDisruptionBudget": `"maxUnavailable":1`} {
		object := `{"metadata":{"name":"db"},"spec":{` + want + `}}`
		if kind == "ConfigMap" {
			object = `{"metadata":{"name":"db"},` + want + `}`
		}
		if err := c.Replace(t.Context(), namespace, kind, []byte(object)); err != nil {
			t.Fatal(err)
		}
		text, err := c.Object(t.Context(), namespace, kind, "db")
		if err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), "evil") || strings.Contains(string(text), `"ingress"`) {
			t.Errorf("%s: got %s, %v, want %s alone", kind, text, err, want)
		}
	}
	if budget, err := clientset.PolicyV1().PodDisruptionBudgets(namespace).Get(t.Context(), "db", metav1.GetOptions{}); err != nil || budget.Status.ExpectedPods != 3 {
		t.Errorf("what a cluster counts is gone: %+v, %v", budget, err)
	}
	if err := c.Replace(t.Context(), namespace, "StatefulSet", []byte(`{"metadata":{"name":"db","labels":{"app":"db"}},"spec":{"replicas":1,"template":{"spec":{"containers":[{"name":"mariadb"}]}}}}`)); err != nil {
		t.Fatal(err)
	}
	set, err := clientset.AppsV1().StatefulSets(namespace).Get(t.Context(), "db", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if *set.Spec.Replicas != 1 || len(set.Spec.Template.Spec.Containers) != 1 || len(set.Spec.Template.Spec.Containers[0].Env) != 0 {
		t.Errorf("got %+v", set.Spec)
	}
	if set.Labels["managed-by"] != "Helm" || set.Labels["app"] != "db" || set.Annotations["meta.helm.sh/release-name"] != "db" || len(set.Spec.VolumeClaimTemplates) != 1 {
		t.Errorf("what belongs to the cluster is gone: %+v", set)
	}
	if err := c.Replace(t.Context(), namespace, "Service", []byte(`{"metadata":{"name":"db"},"spec":{"selector":{"app":"db"},"type":"NodePort","ports":[{"port":3306}]}}`)); err != nil {
		t.Fatal(err)
	}
	got, err := clientset.CoreV1().Services(namespace).Get(t.Context(), "db", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := corev1.ServiceSpec{ClusterIP: "10.0.0.9", ClusterIPs: []string{"10.0.0.9"}, Selector: map[string]string{"app": "db"}, Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 3306, NodePort: 30001}}}
	if diff := cmp.Diff(want, got.Spec); diff != "" {
		t.Error(diff)
	}
	for kind, text := range map[string]string{"StatefulSet": `{"metadata":{"name":"none"}}`, "Service": "{", "Secret": `{"metadata":{"name":"db"}}`} {
		if err := c.Replace(t.Context(), namespace, kind, []byte(text)); err == nil {
			t.Errorf("%s %s: no error", kind, text)
		}
	}
}

func TestRestartPods(t *testing.T) {
	c, clientset := newFake(readyPodOf("db-0"), readyPodOf("db-1"))
	if err := c.RestartPods(t.Context(), namespace, []string{"db-0", "gone"}); err != nil {
		t.Fatal(err)
	}
	left, err := clientset.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(left.Items) != 1 || left.Items[0].Name != "db-1" {
		t.Errorf("got %v, %v", left, err)
	}
}
