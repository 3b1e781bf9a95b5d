package kube

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttesting "k8s.io/client-go/testing"

	"github.com/confidb/confidb/pkg/topology"
)

func database() []topology.Workload { return []topology.Workload{{Kind: "StatefulSet", Name: "db"}} }

func TestRollout(t *testing.T) {
	three, selector := int32(3), &metav1.LabelSelector{MatchLabels: labels()}
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Namespace: namespace, Generation: 2}
	}
	old := statefulSet("old", 1, 1)
	old.Status.ObservedGeneration = 1
	byDefault := statefulSet("default", 1, 1)
	byDefault.Spec.Replicas = nil
	halfway := statefulSet("halfway", 2, 2)
	halfway.Status.UpdatedReplicas = 1
	c, _ := newFake(statefulSet("db", 2, 2), statefulSet("starting", 2, 1), old, byDefault, halfway,
		&appsv1.Deployment{ObjectMeta: meta("proxy"), Spec: appsv1.DeploymentSpec{Replicas: &three, Selector: selector}, Status: appsv1.DeploymentStatus{ObservedGeneration: 2, UpdatedReplicas: 3, ReadyReplicas: 3}},
		&appsv1.DaemonSet{ObjectMeta: meta("las"), Spec: appsv1.DaemonSetSpec{Selector: selector}, Status: appsv1.DaemonSetStatus{ObservedGeneration: 2, DesiredNumberScheduled: 4, UpdatedNumberScheduled: 4, NumberReady: 3}},
	)
	for w, want := range map[topology.Workload]bool{
		{Kind: "StatefulSet", Name: "db"}: true, {Kind: "StatefulSet", Name: "starting"}: false, {Kind: "StatefulSet", Name: "old"}: false,
		{Kind: "StatefulSet", Name: "default"}: true, {Kind: "StatefulSet", Name: "halfway"}: false,
		{Kind: "Deployment", Name: "proxy"}: true, {Kind: "DaemonSet", Name: "las"}: false,
	} {
		if r, err := c.rollout(t.Context(), namespace, w); err != nil || r.done() != want {
			t.Errorf("%v: got %+v, %v, want done %v", w, r, err, want)
		}
	}
	for _, kind := range []string{"StatefulSet", "Deployment", "DaemonSet"} {
		if _, err := c.rollout(t.Context(), namespace, topology.Workload{Kind: kind, Name: "none"}); !apierrors.IsNotFound(err) {
			t.Errorf("%s: got %v", kind, err)
		}
	}
	if _, err := c.rollout(t.Context(), namespace, topology.Workload{Kind: "Job", Name: "x"}); err == nil || !strings.Contains(err.Error(), "Job x: want a StatefulSet, Deployment or DaemonSet") {
		t.Errorf("got %v", err)
	}
}

func TestAwaitReady(t *testing.T) {
	c, _ := newFake(statefulSet("db", 1, 1), readyPodOf("db-0"))
	err := c.AwaitReady(limited(t), namespace, database(), func(text string) { t.Errorf("there is nothing to wait for: %s", text) })
	if err != nil {
		t.Error(err)
	}
	if err := c.AwaitReady(limited(t), namespace, nil, nil); err != nil {
		t.Errorf("no workload: %v", err)
	}
}

// The database becomes ready after the first look; the same state is said once.
func TestAwaitReadyWaits(t *testing.T) {
	c, clientset := newFake(statefulSet("db", 1, 0), pod("db-0", waitingBecause("ContainerCreating", "")))
	looks := 0
	clientset.PrependReactor("get", "statefulsets", func(clienttesting.Action) (bool, runtime.Object, error) {
		if looks++; looks < 3 {
			return true, statefulSet("db", 1, 0), nil
		}
		if err := clientset.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), readyPodOf("db-0"), namespace); err != nil {
			t.Error(err)
		}
		return true, statefulSet("db", 1, 1), nil
	})
	var said []string
	if err := c.AwaitReady(limited(t), namespace, database(), func(text string) { said = append(said, text) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"StatefulSet db: 0 of 1 pods ready; pod db-0: ContainerCreating"}, said); diff != "" {
		t.Error(diff)
	}
}

// A pod that is to end still has the volume and the session: what is looked at next would
// find it.
func TestAwaitReadyWaitsForTheLastOne(t *testing.T) {
	leaving := readyPodOf("db-1")
	leaving.DeletionTimestamp, leaving.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"x"}
	c, clientset := newFake(statefulSet("db", 1, 1), readyPodOf("db-0"), leaving)
	var said []string
	err := c.AwaitReady(limited(t), namespace, database(), func(text string) {
		said = append(said, text)
		if err := clientset.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), namespace, "db-1"); err != nil {
			t.Error(err)
		}
	})
	if diff := cmp.Diff([]string{"StatefulSet db: 1 of 1 pods ready; pod db-1: told to end"}, said); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestAwaitReadyEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c, _ := newFake(statefulSet("db", 1, 0), pod("db-0", waitingBecause("ContainerCreating", "")))
	err := c.AwaitReady(ctx, namespace, database(), func(string) {})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "waiting for StatefulSet db: 0 of 1 pods ready; pod db-0: ContainerCreating: ") {
		t.Errorf("got %v", err)
	}
}

func TestAwaitReadyGivesUp(t *testing.T) {
	init := pod("db-0")
	init.Status.InitContainerStatuses = []corev1.ContainerStatus{terminated(1, patience)}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want string
	}{
		"failures that do not end": {pod("db-0", terminated(1, patience)), "container mariadb of pod shop/db-0 does not start; peer says: fake logs"},
		"an init container":        {init, "container mariadb of pod shop/db-0 does not start; peer says: fake logs"},
		"an image that is none":    {pod("db-0", waitingBecause("ImagePullBackOff", "")), "container mariadb cannot start: ImagePullBackOff"},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, _ := newFake(statefulSet("db", 1, 0), c.pod)
			err := cluster.AwaitReady(limited(t), namespace, database(), func(string) {})
			if err == nil || err.Error() != "waiting for StatefulSet db: "+c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	c, _ := newFake()
	if err := c.AwaitReady(limited(t), namespace, database(), func(string) {}); !apierrors.IsNotFound(errors.Unwrap(err)) {
		t.Errorf("no workload: got %v", err)
	}
}

func TestRefused(t *testing.T) {
	completed := terminated(0, 0)
	ready := terminated(0, patience)
	ready.Ready = true
	for name, c := range map[string]struct {
		status  corev1.ContainerStatus
		refused bool
	}{
		"a first failure":              {terminated(1, 0), false}, // its log shows no refusal of CAS
		"a restart":                    {waitingBecause("CrashLoopBackOff", ""), false},
		"as many as one puts up with":  {terminated(1, patience), true},
		"one less":                     {terminated(1, patience-1), false},
		"it completed":                 {completed, false},
		"it is ready after many tries": {ready, false},
		"it waits for a machine":       {waitingBecause("ContainerCreating", ""), false},
	} {
		cluster, _ := newFake()
		err := cluster.refused(t.Context(), []corev1.Pod{*readyPodOf("other"), *pod("db-0", c.status)})
		var refused *RefusedError
		if errors.As(err, &refused) != c.refused || !c.refused && err != nil {
			t.Errorf("%s: got %v", name, err)
		}
		if refused != nil && (refused.Container != "mariadb" || refused.Hint() == "") {
			t.Errorf("%s: got %+v", name, refused)
		}
	}
}

// A pod on its way out says nothing about the one that follows.
func TestRefusedLeavesOutDeletedPods(t *testing.T) {
	leaving := pod("db-0", terminated(1, patience))
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	cluster, _ := newFake()
	if err := cluster.refused(t.Context(), []corev1.Pod{*leaving}); err != nil {
		t.Error(err)
	}
}

func TestNodes(t *testing.T) {
	on := func(p *corev1.Pod, node string) *corev1.Pod {
		p.Spec.NodeName = node
		return p
	}
	c, _ := newFake(statefulSet("db", 4, 3), on(readyPodOf("db-0"), "b"), on(readyPodOf("db-1"), "a"), on(readyPodOf("db-2"), "b"), on(pod("db-3"), "c"))
	got, err := c.Nodes(t.Context(), namespace, database())
	if diff := cmp.Diff([]string{"a", "b"}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := c.Nodes(t.Context(), namespace, []topology.Workload{{Kind: "StatefulSet", Name: "none"}}); !apierrors.IsNotFound(err) {
		t.Errorf("no such workload: got %v", err)
	}
}

// TestOccupied: a pod that is not ready, or on its way out, still has its secrets.
func TestOccupied(t *testing.T) {
	on := func(p *corev1.Pod, node string, change func(*corev1.Pod)) *corev1.Pod {
		p.Spec.NodeName = node
		change(p)
		return p
	}
	as := func(phase corev1.PodPhase) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Status.Phase = phase }
	}
	c, _ := newFake(statefulSet("db", 6, 1),
		on(readyPodOf("db-0"), "ready", func(*corev1.Pod) {}), on(pod("db-1"), "not-ready", as(corev1.PodRunning)), on(pod("db-2"), "pending", as(corev1.PodPending)),
		on(readyPodOf("db-3"), "leaving", func(p *corev1.Pod) {
			p.DeletionTimestamp, p.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"x"}
		}),
		on(pod("db-4"), "ended", as(corev1.PodSucceeded)), on(pod("db-5"), "", as(corev1.PodPending)))
	got, err := c.Occupied(t.Context(), namespace, database())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"leaving", "not-ready", "pending", "ready"}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := c.Occupied(t.Context(), namespace, []topology.Workload{{Kind: "StatefulSet", Name: "none"}}); !apierrors.IsNotFound(err) {
		t.Errorf("no such workload: got %v", err)
	}
}

func TestWaitingFor(t *testing.T) {
	unscheduled := pod("db-0")
	unscheduled.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes:\n\tno SGX"}}
	leaving := readyPodOf("db-0")
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	for name, c := range map[string]struct {
		pods []corev1.Pod
		want string
	}{
		"no pod yet":         {nil, ""},
		"all are ready":      {[]corev1.Pod{*readyPodOf("db-0")}, ""},
		"the first is ready": {[]corev1.Pod{*readyPodOf("db-0"), *pod("db-1", waitingBecause("ErrImagePull", "no such image"))}, "; pod db-1: ErrImagePull no such image"},
		"no machine":         {[]corev1.Pod{*unscheduled}, "; pod db-0: Unschedulable: 0/3 nodes: no SGX"},
		"a phase":            {[]corev1.Pod{*pod("db-0")}, "; pod db-0: Pending"},
		"initializing":       {[]corev1.Pod{*pod("db-0", waitingBecause("PodInitializing", ""))}, "; pod db-0: Pending"},
		"on its way out":     {[]corev1.Pod{*leaving}, "; pod db-0: told to end"},
		"escape sequences":   {[]corev1.Pod{*pod("db-0", waitingBecause("Bad", "\x1b[2Jerror:\r\x7fforged\nhint: run this"))}, "; pod db-0: Bad error: forged hint: run this"},
	} {
		t.Run(name, func(t *testing.T) {
			got := waitingFor(database()[0], rollout{wanted: 3, ready: 1}, c.pods, "")
			if diff := cmp.Diff("StatefulSet db: 1 of 3 pods ready"+c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRestartStuck(t *testing.T) {
	crashed := waitingBecause("CrashLoopBackOff", "")
	crashed.RestartCount = 1
	c, clientset := newFake(statefulSet("db", 4, 1), readyPodOf("db-0"), pod("db-1", crashed), pod("db-2", waitingBecause("ContainerCreating", "")), pod("db-3", terminated(1, 0)))
	if err := c.RestartStuck(t.Context(), namespace, database()); err != nil {
		t.Fatal(err)
	}
	left, err := clientset.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range left.Items {
		names = append(names, p.Name)
	}
	if diff := cmp.Diff([]string{"db-0", "db-2"}, names); diff != "" {
		t.Error(diff)
	}
}

// TestInstalled: each question is about the workloads of now, and none is asked where they
// are not known.
func TestInstalled(t *testing.T) {
	c, clientset := newFake(statefulSet("db", 1, 1), readyPodOf("db-0"))
	asked := 0
	now := func() time.Time { return time.Unix(1, 0) }
	i := Installed{c, namespace, func(context.Context) ([]topology.Workload, error) { asked++; return database(), nil }, now}
	if err := i.AwaitReady(limited(t), func(string) {}); err != nil {
		t.Error(err)
	}
	if err := i.Announce(limited(t), "PlatformsUpdated", "text"); err != nil {
		t.Error(err)
	}
	if _, err := i.Occupied(limited(t)); err != nil {
		t.Error(err)
	}
	if err := i.Restart(limited(t), nil); err != nil {
		t.Error(err)
	}
	if asked != 4 {
		t.Errorf("asked for the workloads %d times, want 4", asked)
	}
	events, err := clientset.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(events.Items) != 1 || events.Items[0].InvolvedObject.Name != "db" {
		t.Errorf("got the events %v, want one at db", events.Items)
	}
	pods, err := clientset.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) > 0 {
		t.Errorf("got %d pods, want none after the restart", len(pods.Items))
	}
}

func TestInstalledWithoutWorkloads(t *testing.T) {
	c, clientset := newFake()
	gone := errors.New("no such release")
	i := Installed{c, namespace, func(context.Context) ([]topology.Workload, error) { return nil, gone }, time.Now}
	_, err := i.Occupied(t.Context())
	for what, err := range map[string]error{
		"restart": i.Restart(t.Context(), nil), "await": i.AwaitReady(t.Context(), nil), "announce": i.Announce(t.Context(), "a", "b"), "occupied": err,
	} {
		if !errors.Is(err, gone) {
			t.Errorf("%s: got %v, want %v", what, err, gone)
		}
	}
	if actions := clientset.Actions(); len(actions) > 0 {
		t.Errorf("the cluster was asked: %v", actions)
	}
}

// TestRestartOneByOne: of several pods the next is deleted only when all are there again, and
// those that are not ready go first, so that what a change has broken is mended before
// anything that serves is touched.
func TestRestartOneByOne(t *testing.T) {
	set := statefulSet("db", 3, 2)
	broken := readyPodOf("db-2")
	broken.Status.Conditions[0].Status = corev1.ConditionFalse
	c, clientset := newFake(set, readyPodOf("db-0"), readyPodOf("db-1"), broken)
	var deleted []string
	var missing *corev1.Pod
	asked := 0
	clientset.PrependReactor("delete", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		name := action.(clienttesting.DeleteAction).GetName()
		pods, err := clientset.Tracker().List(corev1.SchemeGroupVersion.WithResource("pods"), corev1.SchemeGroupVersion.WithKind("Pod"), namespace)
		if err != nil {
			t.Fatal(err)
		}
		ready := 0
		for _, p := range pods.(*corev1.PodList).Items {
			if isReady(&p) {
				ready++
			}
		}
		if want := map[bool]int{true: 2, false: 3}[len(deleted) == 0]; ready != want {
			t.Errorf("%s is deleted while %d are ready, want %d", name, ready, want)
		}
		deleted = append(deleted, name)
		// its controller: what it says of its pods is late, and the pod later
		again := readyPodOf(name)
		again.UID = types.UID("again " + name)
		if err := clientset.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), namespace, name); err != nil {
			t.Fatal(err)
		}
		set := statefulSet("db", 3, 3)
		if err := clientset.Tracker().Update(appsv1.SchemeGroupVersion.WithResource("statefulsets"), set, namespace); err != nil {
			t.Fatal(err)
		}
		missing, asked = again, 0
		return true, nil, nil
	})
	clientset.PrependReactor("list", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		if asked++; missing != nil && asked > 2 {
			if err := clientset.Tracker().Add(missing); err != nil {
				t.Error(err)
			}
			missing = nil
		}
		return false, nil, nil
	})
	if err := c.Restart(limited(t), namespace, database(), func(string) {}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"db-2", "db-0", "db-1"}; !slices.Equal(deleted, want) {
		t.Errorf("deleted %q, want %q", deleted, want)
	}
}
