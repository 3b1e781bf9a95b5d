package machines

import (
	"cmp"
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/confidb/confidb/pkg/platform"
)

// lasLabel is what SCONE's charts give LAS pods; lasPrefix is how the pods are
// called that others deploy.
const (
	lasLabel  = "app.kubernetes.io/name=las"
	lasPrefix = "las"
)

// lasPod is a LAS pod, and the containers whose logs are read.
type lasPod struct {
	platform.PodFacts
	containers []string
}

// fetchPods finds the LAS pods and reads their logs.
func (c *Cluster) fetchPods(ctx context.Context, seen *platform.Observation, namespace string) error {
	pods, err := c.listPods(ctx, namespace, lasLabel, "")
	if err == nil && len(pods) == 0 {
		pods, err = c.listPods(ctx, namespace, "", lasPrefix)
	}
	if err != nil {
		return err
	}
	seen.PodsListed = true
	for _, p := range pods {
		seen.Pods = append(seen.Pods, p.PodFacts)
	}
	return c.fetchLogs(ctx, seen, pods)
}

func (c *Cluster) listPods(ctx context.Context, namespace, selector, prefix string) ([]lasPod, error) {
	what := "pods in " + cmp.Or(namespace, "all namespaces")
	return each(ctx, what, func(options metav1.ListOptions) ([]lasPod, string, error) {
		options.LabelSelector = selector
		page, err := c.Clientset.CoreV1().Pods(namespace).List(ctx, options)
		if err != nil {
			return nil, "", err
		}
		var facts []lasPod
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
func podFacts(pod *corev1.Pod) lasPod {
	facts := lasPod{PodFacts: platform.PodFacts{Namespace: pod.Namespace, Name: pod.Name, Node: pod.Spec.NodeName, Trouble: podTrouble(pod)}}
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
