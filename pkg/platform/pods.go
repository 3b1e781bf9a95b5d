package platform

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// lasLabel is what SCONE's charts give LAS pods; lasPrefix is how the pods are
// called that others deploy.
const (
	lasLabel  = "app.kubernetes.io/name=las"
	lasPrefix = "las"
)

// fetchPods finds the LAS pods and reads their logs.
func (o *Observation) fetchPods(ctx context.Context, clientset kubernetes.Interface, namespace string) error {
	pods, err := listPods(ctx, clientset, namespace, lasLabel, "")
	if err == nil && len(pods) == 0 {
		pods, err = listPods(ctx, clientset, namespace, "", lasPrefix)
	}
	if err != nil {
		return err
	}
	o.Pods, o.PodsListed = pods, true
	return o.fetchLogs(ctx, clientset)
}

func listPods(ctx context.Context, clientset kubernetes.Interface, namespace, selector, prefix string) ([]PodFacts, error) {
	what := "pods in " + cmp.Or(namespace, "all namespaces")
	return each(ctx, what, func(options metav1.ListOptions) ([]PodFacts, string, error) {
		options.LabelSelector = selector
		page, err := clientset.CoreV1().Pods(namespace).List(ctx, options)
		if err != nil {
			return nil, "", err
		}
		var facts []PodFacts
		for i := range page.Items {
			if pod := &page.Items[i]; strings.HasPrefix(pod.Name, prefix) && pod.Spec.NodeName != "" {
				facts = append(facts, podFacts(pod))
			}
		}
		return facts, page.Continue, nil
	})
}

// podFacts reduces a pod. Only one that runs and stays has a log that is read: a
// pod on its way out may have logged the ID of an earlier LAS.
func podFacts(pod *corev1.Pod) PodFacts {
	facts := PodFacts{Namespace: pod.Namespace, Name: pod.Name, Node: pod.Spec.NodeName, Trouble: podTrouble(pod)}
	if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
		return facts
	}
	for _, c := range pod.Spec.Containers {
		facts.containers = append(facts.containers, c.Name)
	}
	return facts
}

// podTrouble says in a few words why a pod does not run, or nothing.
func podTrouble(pod *corev1.Pod) string {
	if pod.DeletionTimestamp != nil {
		return "terminating"
	}
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Waiting != nil && s.State.Waiting.Reason != "" {
			return s.State.Waiting.Reason
		}
	}
	if pod.Status.Phase != corev1.PodRunning {
		return cmp.Or(string(pod.Status.Phase), "not started")
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status != corev1.ConditionTrue {
			return "not ready"
		}
	}
	return ""
}

func (p PodFacts) String() string { return fmt.Sprintf("%s/%s", p.Namespace, p.Name) }
