package kube

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/topology"
)

// rollout is how far a workload is.
type rollout struct {
	selector        *metav1.LabelSelector
	current         bool // the controller has seen the newest specification
	wanted, updated int32
	ready           int32
}

func (r rollout) done() bool { return r.current && r.updated == r.wanted && r.ready == r.wanted }

func (c *Cluster) rollout(ctx context.Context, namespace string, w topology.Workload) (rollout, error) {
	wanted := func(replicas *int32) int32 {
		if replicas == nil {
			return 1
		}
		return *replicas
	}
	switch w.Kind {
	case "StatefulSet":
		s, err := c.clientset.AppsV1().StatefulSets(namespace).Get(ctx, w.Name, metav1.GetOptions{})
		if err != nil {
			return rollout{}, err
		}
		return rollout{s.Spec.Selector, s.Status.ObservedGeneration >= s.Generation, wanted(s.Spec.Replicas), s.Status.UpdatedReplicas, s.Status.ReadyReplicas}, nil
	case "Deployment":
		s, err := c.clientset.AppsV1().Deployments(namespace).Get(ctx, w.Name, metav1.GetOptions{})
		if err != nil {
			return rollout{}, err
		}
		return rollout{s.Spec.Selector, s.Status.ObservedGeneration >= s.Generation, wanted(s.Spec.Replicas), s.Status.UpdatedReplicas, s.Status.ReadyReplicas}, nil
	case "DaemonSet":
		s, err := c.clientset.AppsV1().DaemonSets(namespace).Get(ctx, w.Name, metav1.GetOptions{})
		if err != nil {
			return rollout{}, err
		}
		return rollout{s.Spec.Selector, s.Status.ObservedGeneration >= s.Generation, s.Status.DesiredNumberScheduled, s.Status.UpdatedNumberScheduled, s.Status.NumberReady}, nil
	}
	return rollout{}, fmt.Errorf("waiting for %s %s: want a StatefulSet, Deployment or DaemonSet", w.Kind, w.Name)
}

// pollEvery is how often the API server is asked while a workload starts.
const pollEvery = 500 * time.Millisecond

// AwaitReady waits until every pod of the workloads is ready, and none is on its way out:
// it would still use the volume and the session. It returns early
// when an enclave is refused its configuration, which does not mend itself.
// progress is told when what is waited for changes.
func (c *Cluster) AwaitReady(ctx context.Context, namespace string, workloads []topology.Workload, progress func(string)) error {
	last := ""
	for _, w := range workloads {
		obstacles := &waiting{}
		err := wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
			r, err := c.rollout(ctx, namespace, w)
			if err != nil {
				return false, err
			}
			pods, err := c.podsOf(ctx, namespace, r)
			// what a controller says of its pods may be from before one of them ended
			if done := r.done() && !slices.ContainsFunc(pods, ending) && readyOf(pods) >= r.wanted; err != nil || done {
				return done, err
			}
			in := c.obstacleOf(ctx, obstacles, namespace, w.Kind, w.Name, pods)
			if text := waitingFor(w, r, pods, in.text) + c.lastWords(ctx, pods); text != last {
				last = text
				progress(text)
			}
			if err := c.refused(ctx, pods); err != nil {
				return false, err
			}
			return false, obstacles.look(in)
		})
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s: %w", last, ctx.Err())
		}
		if err != nil {
			return fmt.Errorf("waiting for %s %s: %w", w.Kind, w.Name, err)
		}
	}
	return nil
}

// lastWords is the last line of the log of a container that failed; empty without one.
func (c *Cluster) lastWords(ctx context.Context, pods []corev1.Pod) string {
	for _, p := range pods {
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if ending(p) || !failed(s) {
				continue
			}
			output, err := c.log(ctx, &p, s.Name)
			if lines := strings.Split(tail(output), "\n"); err == nil && lines[len(lines)-1] != "" {
				return "; container " + s.Name + " says: " + said(lines[len(lines)-1])
			}
		}
	}
	return ""
}

// waitingFor says how far a workload is, and what is in the way.
func waitingFor(w topology.Workload, r rollout, pods []corev1.Pod, obstacle string) string {
	text := fmt.Sprintf("%s %s: %d of %d pods ready", w.Kind, w.Name, r.ready, r.wanted)
	for _, p := range pods {
		if !isReady(&p) {
			known := check.Said(state(&p))
			if obstacle != "" && !strings.Contains(known, obstacle) && !strings.Contains(obstacle, known) {
				known += "; " + obstacle
			}
			return text + "; pod " + p.Name + ": " + known
		}
	}
	if obstacle != "" {
		return text + "; " + obstacle
	}
	return text
}

// ending reports whether a pod is told to end.
// readyOf is how many of the pods are ready.
func readyOf(pods []corev1.Pod) (n int32) {
	for i := range pods {
		if isReady(&pods[i]) {
			n++
		}
	}
	return n
}

func ending(p corev1.Pod) bool { return p.DeletionTimestamp != nil }

func (c *Cluster) podsOf(ctx context.Context, namespace string, r rollout) ([]corev1.Pod, error) {
	pods, err := c.clientset.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(r.selector)})
	if err != nil {
		return nil, err
	}
	return pods.Items, nil
}

// RefusedError means that a program of the release cannot run as an enclave here.
type RefusedError struct{ Pod, Container, Output string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("container %s of pod %s does not start; peer says: %s", e.Container, e.Pod, e.Output)
}

// Hint says where to look.
func (e *RefusedError) Hint() string {
	return "Compare the measurements of the policy and the platform IDs ({platforms}) with what is said above; then run the same command again."
}

// attestationRefused is in what SCONE's runtime writes when CAS was reached and
// gave nothing; patience is how many restarts other failures are given.
const (
	attestationRefused = "CAS sent an attestation/configuration error"
	patience           = 3
)

// refused looks at containers that ended with a failure.
func (c *Cluster) refused(ctx context.Context, pods []corev1.Pod) error {
	for _, p := range pods {
		if ending(p) {
			continue
		}
		if err := hopeless(&p); err != nil {
			return err
		}
		for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
			if !failed(s) {
				continue
			}
			output, err := c.log(ctx, &p, s.Name)
			if err != nil {
				return nil // it has just started again
			}
			if strings.Contains(string(output), attestationRefused) || s.RestartCount >= patience {
				return &RefusedError{Pod: p.Namespace + "/" + p.Name, Container: s.Name, Output: tail(output)}
			}
		}
	}
	return nil
}

// Announce leaves an event at the workloads, for whoever looks at them with kubectl.
func (c *Cluster) Announce(ctx context.Context, namespace string, workloads []topology.Workload, reason, message string, now time.Time) error {
	kind := corev1.EventTypeNormal
	if strings.HasSuffix(reason, "RolledBack") {
		kind = corev1.EventTypeWarning
	}
	for _, w := range workloads {
		event := &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{GenerateName: "confidb-", Namespace: namespace},
			InvolvedObject: corev1.ObjectReference{APIVersion: "apps/v1", Kind: w.Kind, Name: w.Name, Namespace: namespace},
			Reason:         reason, Message: message, Type: kind, Count: 1,
			FirstTimestamp: metav1.NewTime(now), LastTimestamp: metav1.NewTime(now),
			Source: corev1.EventSource{Component: "confidb"},
		}
		if _, err := c.clientset.CoreV1().Events(namespace).Create(ctx, event, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("leaving an event at %s %s: %w", w.Kind, w.Name, err)
		}
	}
	return nil
}

// RestartStuck deletes pods of the workloads that have failed, so that what was
// mended is tried at once: a StatefulSet does not replace a pod that never was ready.
func (c *Cluster) RestartStuck(ctx context.Context, namespace string, workloads []topology.Workload) error {
	_, err := c.restart(ctx, namespace, workloads, stuck)
	return err
}

// Restart deletes all pods of the workloads, so that what is ready afterwards has started
// anew. Of a workload with several pods it deletes one after the other, first those that are
// not ready, and waits each time until all are there again: what they serve goes on. Of the
// others it waits until none is left. progress is told what is waited for.
func (c *Cluster) Restart(ctx context.Context, namespace string, workloads []topology.Workload, progress func(string)) error {
	for _, w := range workloads {
		r, err := c.rollout(ctx, namespace, w)
		if err != nil {
			return err
		}
		pods, err := c.podsOf(ctx, namespace, r)
		if err != nil {
			return err
		}
		sort.SliceStable(pods, func(i, j int) bool { return !isReady(&pods[i]) && isReady(&pods[j]) })
		for _, old := range pods {
			deleted, err := c.restart(ctx, namespace, []topology.Workload{w}, func(p *corev1.Pod) bool { return p.UID == old.UID && p.Name == old.Name })
			if err != nil {
				return err
			}
			for _, one := range deleted {
				if err := c.gone(ctx, &one); err != nil {
					return fmt.Errorf("waiting for the end of pod %s/%s: %w", namespace, one.Name, err)
				}
			}
			if r.wanted > 1 {
				if err := c.AwaitReady(ctx, namespace, []topology.Workload{w}, progress); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *Cluster) restart(ctx context.Context, namespace string, workloads []topology.Workload, chosen func(*corev1.Pod) bool) (deleted []corev1.Pod, err error) {
	for _, w := range workloads {
		r, err := c.rollout(ctx, namespace, w)
		if err != nil {
			return nil, err
		}
		pods, err := c.podsOf(ctx, namespace, r)
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			if !chosen(&p) {
				continue
			}
			if err := c.clientset.CoreV1().Pods(namespace).Delete(ctx, p.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return nil, fmt.Errorf("restarting pod %s/%s: %w", namespace, p.Name, err)
			}
			deleted = append(deleted, p)
		}
	}
	return deleted, nil
}

// RestartPods deletes pods by name and waits until they are gone.
func (c *Cluster) RestartPods(ctx context.Context, namespace string, names []string) error {
	for _, name := range names {
		old, err := c.clientset.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			err = c.clientset.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{})
		}
		if apierrors.IsNotFound(err) {
			continue
		}
		if err == nil {
			err = c.gone(ctx, old)
		}
		if err != nil {
			return fmt.Errorf("restarting pod %s/%s: %w", namespace, name, err)
		}
	}
	return nil
}

// gone waits until a pod does not exist any more, or another one has its name.
func (c *Cluster) gone(ctx context.Context, old *corev1.Pod) error {
	return wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		now, err := c.clientset.CoreV1().Pods(old.Namespace).Get(ctx, old.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return err == nil && now.UID != old.UID, err
	})
}

func stuck(p *corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses), failed)
}

// failed reports whether a container has ended with a failure and does not run well
// since then.
func failed(s corev1.ContainerStatus) bool {
	if s.Ready || s.State.Terminated != nil && s.State.Terminated.ExitCode == 0 {
		return false
	}
	return s.State.Terminated != nil || s.RestartCount > 0
}

// Nodes lists the machines on which pods of the workloads are ready.
func (c *Cluster) Nodes(ctx context.Context, namespace string, workloads []topology.Workload) ([]string, error) {
	return c.nodesOf(ctx, namespace, workloads, isReady)
}

// Occupied lists the machines on which pods of the workloads may have what CAS gave them:
// all that were placed there and have not ended, ready or not, also on their way out.
func (c *Cluster) Occupied(ctx context.Context, namespace string, workloads []topology.Workload) ([]string, error) {
	return c.nodesOf(ctx, namespace, workloads, func(p *corev1.Pod) bool { return p.Spec.NodeName != "" && !finished(p) })
}

func (c *Cluster) nodesOf(ctx context.Context, namespace string, workloads []topology.Workload, counts func(*corev1.Pod) bool) ([]string, error) {
	var names []string
	for _, w := range workloads {
		r, err := c.rollout(ctx, namespace, w)
		if err != nil {
			return nil, err
		}
		pods, err := c.podsOf(ctx, namespace, r)
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			if counts(&p) {
				names = append(names, p.Spec.NodeName)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Installed is what one release has in a cluster. Its workloads are asked for each time,
// by Workloads, and only when they are needed.
type Installed struct {
	Cluster   *Cluster
	Namespace string
	Workloads func(ctx context.Context) ([]topology.Workload, error)
	// Now is the clock of events.
	Now func() time.Time
}

// Restart is Cluster.Restart for the release.
func (i Installed) Restart(ctx context.Context, progress func(string)) error {
	workloads, err := i.Workloads(ctx)
	if err != nil {
		return err
	}
	return i.Cluster.Restart(ctx, i.Namespace, workloads, progress)
}

// AwaitReady is Cluster.AwaitReady for the release.
func (i Installed) AwaitReady(ctx context.Context, progress func(string)) error {
	workloads, err := i.Workloads(ctx)
	if err != nil {
		return err
	}
	return i.Cluster.AwaitReady(ctx, i.Namespace, workloads, progress)
}

// Announce is Cluster.Announce for the release.
func (i Installed) Announce(ctx context.Context, reason, message string) error {
	workloads, err := i.Workloads(ctx)
	if err != nil {
		return err
	}
	return i.Cluster.Announce(ctx, i.Namespace, workloads, reason, message, i.Now())
}

// Occupied is Cluster.Occupied for the release.
func (i Installed) Occupied(ctx context.Context) ([]string, error) {
	workloads, err := i.Workloads(ctx)
	if err != nil {
		return nil, err
	}
	return i.Cluster.Occupied(ctx, i.Namespace, workloads)
}

// Run starts a client beside the release; see Cluster.Run.
func (i Installed) Run(ctx context.Context, d Client) ([]byte, error) {
	d.Namespace = i.Namespace
	return i.Cluster.Run(ctx, d)
}
