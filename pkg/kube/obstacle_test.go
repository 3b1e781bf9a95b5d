package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
)

// causes are messages of the API server and of the scheduler as they are.
func causes() map[string]struct {
	message, says, hint string
	bears               int
} {
	return map[string]struct {
		message, says, hint string
		bears               int
	}{
		"quota of pods":        {`create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1`, "the quota of the namespace is used up: exceeded quota: few, requested: pods=1", "kubectl describe resourcequota --namespace shop", aWhile},
		"quota of memory":      {`Error creating: pods "p" is forbidden: exceeded quota: small, requested: limits.memory=2Gi, used: limits.memory=0, limited: limits.memory=1Gi`, "limits.memory=2Gi", "resourcequota", aWhile},
		"a quota wants limits": {`Error creating: pods "p" is forbidden: failed quota: small: must specify limits.cpu for: client; limits.memory for: client`, "wants requests and limits: failed quota: small: must specify", "Set the resources", 0},
		"a limit":              {`Error creating: pods "p" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi`, "a limit of the namespace refuses the pod", "limitrange", 0},
		"PodSecurity":          {`create Pod db-0 in StatefulSet db failed error: pods "db-0" is forbidden: violates PodSecurity "restricted:latest": privileged (container "mariadb" must not set securityContext.privileged=true)`, `violates PodSecurity "restricted:latest"`, "another level", 0},
		"a webhook":            {`Error creating: admission webhook "validate.kyverno.svc-fail" denied the request: policy Pod/shop/p for resource violation`, `admission webhook "validate.kyverno.svc-fail" denied the request`, "webhook", 0},
		"a webhook is down":    {`Error creating: Internal error occurred: failed calling webhook "x": failed to call webhook: Post "https://x.y.svc": connection refused`, "does not answer", "webhookconfigurations", forever},
		"an admission policy":  {`Error creating: pods "p" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: no`, "ValidatingAdmissionPolicy 'x'", "policy", 0},
		"a priority class":     {`Error creating: pods "p" is forbidden: no PriorityClass with name high was found`, "no PriorityClass with name high", "priorityclasses", 0},
		"a runtime class":      {`Error creating: pods "p" is forbidden: pod rejected: RuntimeClass "kata" not found`, `RuntimeClass "kata" not found`, "runtimeclasses", 0},
		"a service account":    {`Error creating: pods "p" is forbidden: error looking up service account shop/db: serviceaccount "db" not found`, `serviceaccount "db" not found`, "serviceaccounts --namespace shop", aWhile},
		"something else":       {`Error creating: pods "p" is forbidden: because`, "the API server refuses the pod: because", "as it says", aWhile},
		"the store is away":    {`Error creating: etcdserver: request timed out`, "no pod is made: Error creating: etcdserver", "", forever},
	}
}

func TestRefusedPod(t *testing.T) {
	for name, c := range causes() {
		o := refusedPod("shop", c.message)
		if !strings.Contains(o.text, c.says) || !strings.Contains(o.hint, c.hint) || o.bears != c.bears || strings.Contains(o.hint, "NAMESPACE") {
			t.Errorf("%s: got %+v", name, o)
		}
	}
	if o := refusedPod("shop", strings.Repeat("x\x1b[2K\n", 3000)); len(o.text) > 700 || strings.ContainsAny(o.text, "\x1b\n") {
		t.Errorf("a long text: got %d bytes", len(o.text))
	}
}

func TestUnscheduled(t *testing.T) {
	const none = "0/3 nodes are available: "
	for message, c := range map[string]struct {
		bears int
		hint  string
	}{
		none + "3 node(s) had untolerated taint {sgx: only}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.": {aWhile, "toleration"},
		none + "1 node(s) had untolerated taint {a: }, 2 node(s) didn't match Pod's node affinity/selector. preemption: x":                     {aWhile, "nodeSelector"},
		none + "3 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: x":                                                              {aWhile, "nodeSelector"},
		none + "1 node(s) had untolerated taint(s), 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: x":                          {aMinute, "nodeSelector"},
		none + "3 node(s) had untolerated taint(s).":                                                                                           {aMinute, "toleration"},
		none + "1 node(s) were unschedulable, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]. preemption: x":                                {forever, "what is free"},
		none + "3 node(s) had volume node affinity conflict. preemption: x":                                                                    {aWhile, "volume"},
		none + "3 Insufficient sgx.intel.com/enclave. preemption: x":                                                                           {forever, "what is free"},
		none + "1 Insufficient memory, 2 node(s) had untolerated taint {a: }.":                                                                 {forever, "what is free"},
		none + "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 2 node(s) didn't match Pod's node affinity/selector.":        {forever, "what is free"},
		none + "3 node(s) were unschedulable.":                                                                                                 {forever, "what is free"},
		none + "pod has unbound immediate PersistentVolumeClaims. preemption: x":                                                               {forever, "what is free"},
		none + "3 node(s) didn't find available persistent volumes to bind.":                                                                   {forever, "what is free"},
		"no nodes available to schedule pods":                                                                                                  {forever, "what is free"},
		"":                                                                                                                                     {forever, "what is free"},
	} {
		o := unscheduled("Unschedulable", message)
		if o.bears != c.bears || !strings.Contains(o.hint, c.hint) || !strings.HasPrefix(o.text, "Unschedulable:") {
			t.Errorf("%s: got %+v, want %+v", message, o, c)
		}
	}
}

func TestWaitingLooks(t *testing.T) {
	for name, c := range map[string]struct {
		obstacles []obstacle
		ends      bool
	}{
		"nothing":                {slices.Repeat([]obstacle{{}}, 100), false},
		"a refusal":              {[]obstacle{{text: "no"}}, true},
		"what may pass":          {slices.Repeat([]obstacle{{text: "quota", bears: aWhile}}, aWhile), false},
		"what did not pass":      {slices.Repeat([]obstacle{{text: "quota", bears: aWhile}}, aWhile+1), true},
		"what passed in between": {append(slices.Repeat([]obstacle{{text: "quota", bears: aWhile}}, aWhile), obstacle{}, obstacle{text: "quota", bears: aWhile}), false},
		"what is waited for":     {slices.Repeat([]obstacle{{text: "no memory", bears: forever}}, 1000), false},
		"one after the other":    {[]obstacle{{text: "a", bears: 1}, {text: "b", bears: 1}, {text: "a", bears: 1}}, false},
	} {
		w := &waiting{}
		var err error
		for _, o := range c.obstacles {
			if err = w.look(o); err != nil {
				break
			}
		}
		if (err != nil) != c.ends {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func event(kind, name, reason, message string) *corev1.Event {
	return &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: name + "." + reason, Namespace: namespace, UID: "e1", ResourceVersion: "1"},
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name}, Type: corev1.EventTypeWarning, Reason: reason, Message: message,
		LastTimestamp: metav1.NewTime(time.Unix(1000, 0)),
	}
}

func TestObstacleOf(t *testing.T) {
	quota := causes()["quota of pods"].message
	leaving := pod("db-0")
	leaving.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	unscheduled := pod("db-0")
	unscheduled.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available: 1 node(s) had untolerated taint {a: }."}}
	starting := pod("db-0", waitingBecause("ContainerCreating", ""))
	newer := event("StatefulSet", "db", "FailedCreate", causes()["PodSecurity"].message)
	newer.Name, newer.UID, newer.LastTimestamp = "newer", "e2", metav1.NewTime(time.Unix(2000, 0))
	normal := event("StatefulSet", "db", "FailedCreate", quota)
	normal.Type = corev1.EventTypeNormal
	for name, c := range map[string]struct {
		kind, name string
		events     []*corev1.Event
		pods       []corev1.Pod
		want       string
		bears      int
	}{
		"nothing":                       {"StatefulSet", "db", nil, nil, "", 0},
		"an event of before":            {"StatefulSet", "db", []*corev1.Event{event("StatefulSet", "db", "FailedCreate", quota)}, nil, "exceeded quota", forever},
		"a Job is new":                  {"Job", "j", []*corev1.Event{event("Job", "j", "FailedCreate", quota)}, nil, "exceeded quota", aWhile},
		"the newest counts":             {"StatefulSet", "db", []*corev1.Event{newer, event("StatefulSet", "db", "FailedCreate", quota)}, nil, "violates PodSecurity", forever},
		"its ReplicaSet":                {"Deployment", "db", []*corev1.Event{event("ReplicaSet", "db-5f", "FailedCreate", quota)}, nil, "exceeded quota", forever},
		"another's ReplicaSet":          {"Deployment", "db", []*corev1.Event{event("ReplicaSet", "other-5f", "FailedCreate", quota)}, nil, "", 0},
		"of another object":             {"Job", "j", []*corev1.Event{event("Job", "k", "FailedCreate", quota)}, nil, "", 0},
		"of another kind":               {"Job", "j", []*corev1.Event{event("StatefulSet", "j", "FailedCreate", quota)}, nil, "", 0},
		"no warning":                    {"StatefulSet", "db", []*corev1.Event{normal}, nil, "", 0},
		"the pod was made at last":      {"Job", "j", []*corev1.Event{event("Job", "j", "FailedCreate", quota)}, []corev1.Pod{*starting}, "", 0},
		"an old pod is on its way out":  {"Job", "j", []*corev1.Event{event("Job", "j", "FailedCreate", quota)}, []corev1.Pod{*leaving}, "exceeded quota", forever},
		"no node":                       {"StatefulSet", "db", nil, []corev1.Pod{*unscheduled}, "untolerated taint", aWhile},
		"no image":                      {"StatefulSet", "db", nil, []corev1.Pod{*pod("db-0", waitingBecause("ImagePullBackOff", ""))}, "container mariadb cannot start: ImagePullBackOff", 0},
		"a mount that fails":            {"StatefulSet", "db", []*corev1.Event{event("Pod", "db-0", "FailedMount", `secret "x" not found`)}, []corev1.Pod{*starting}, `FailedMount: secret "x" not found`, forever},
		"a mount of a pod that is well": {"StatefulSet", "db", []*corev1.Event{event("Pod", "db-0", "FailedMount", `secret "x" not found`)}, []corev1.Pod{*readyPodOf("db-0")}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var objects []runtime.Object
			for _, e := range c.events {
				objects = append(objects, e)
			}
			cluster, _ := newFake(objects...)
			o := cluster.obstacleOf(t.Context(), &waiting{}, namespace, c.kind, c.name, c.pods)
			if o.bears != c.bears || !strings.Contains(o.text, c.want) || (o.text == "") != (c.want == "") {
				t.Errorf("got %+v", o)
			}
		})
	}
}

// TestAnEventOfNowEndsTheWait: an event that was there before may be about what was mended
// since, and counts when it comes again.
func TestAnEventOfNowEndsTheWait(t *testing.T) {
	old := event("StatefulSet", "db", "FailedCreate", causes()["PodSecurity"].message)
	cluster, clientset := newFake(statefulSet("db", 1, 0), old)
	w := &waiting{}
	if err := w.look(cluster.obstacleOf(t.Context(), w, namespace, "StatefulSet", "db", nil)); err != nil {
		t.Fatalf("an event of before: %v", err)
	}
	again := old.DeepCopy()
	again.ResourceVersion = "2"
	if err := clientset.Tracker().Update(corev1.SchemeGroupVersion.WithResource("events"), again, namespace); err != nil {
		t.Fatal(err)
	}
	var stuck *StuckError
	if err := w.look(cluster.obstacleOf(t.Context(), w, namespace, "StatefulSet", "db", nil)); !errors.As(err, &stuck) || stuck.Hint() == "" {
		t.Errorf("an event of now: got %v", err)
	}
}

func TestAwaitReadyTellsWhatIsInTheWay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c, _ := newFake(statefulSet("db", 1, 0), event("StatefulSet", "db", "FailedCreate", causes()["quota of pods"].message))
	var said []string
	err := c.AwaitReady(ctx, namespace, database(), func(text string) { said = append(said, text) })
	if want := "the quota of the namespace is used up: exceeded quota: few"; len(said) != 1 || !strings.Contains(said[0], want) || !strings.Contains(err.Error(), want) {
		t.Errorf("told %q, got %v", said, err)
	}
}

func TestAwaitReadyTellsTheLastWordsOfAnInitContainer(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	crashing := waitingBecause("CrashLoopBackOff", "back-off 10s")
	crashing.RestartCount = 1
	init := pod("db-0")
	init.Status.InitContainerStatuses = []corev1.ContainerStatus{crashing}
	c, _ := newFake(statefulSet("db", 1, 0), init)
	var said []string
	_ = c.AwaitReady(ctx, namespace, database(), func(text string) { said = append(said, text) })
	if len(said) != 1 || !strings.HasSuffix(said[0], "CrashLoopBackOff back-off 10s; container mariadb says: fake logs") {
		t.Errorf("told %q", said)
	}
}

// refuses makes the cluster make no pod of a Job, and say why.
func refuses(clientset interface {
	PrependReactor(verb, resource string, reaction clienttesting.ReactionFunc)
}, message string) {
	clientset.PrependReactor("list", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, &corev1.EventList{Items: []corev1.Event{*event("Job", "confidb-probe-x1", "FailedCreate", message)}}, nil
	})
}

// TestRunEndsWhenNoPodIsMade: the cause is told, and a refusal ends the run long before
// its time is over.
func TestRunEndsWhenNoPodIsMade(t *testing.T) {
	for _, name := range []string{"PodSecurity", "a webhook", "a limit", "a quota wants limits", "a runtime class"} {
		cluster, clientset := newFake()
		starts(clientset, func(p *corev1.Pod) { p.Labels = nil })
		refuses(clientset, causes()[name].message)
		var told []string
		d := probe()
		d.Tell = func(text string) { told = append(told, text) }
		_, err := cluster.Run(limited(t), d)
		var stuck *StuckError
		if !errors.As(err, &stuck) || !strings.HasPrefix(err.Error(), "waiting for the pod of Job shop/confidb-probe-x1: "+fmt.Sprint(stuck)) || stuck.Hint() == "" {
			t.Errorf("%s: got %v", name, err)
		}
		if len(told) != 1 || !strings.Contains(told[0], causes()[name].says) {
			t.Errorf("%s: told %q", name, told)
		}
	}
}

// TestRunSaysAtTheEndWhatWasInTheWay: what may pass is waited for.
func TestRunSaysAtTheEndWhatWasInTheWay(t *testing.T) {
	cluster, clientset := newFake()
	starts(clientset, func(p *corev1.Pod) { p.Labels = nil })
	refuses(clientset, causes()["a webhook is down"].message)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := cluster.Run(ctx, probe())
	if err == nil || !strings.Contains(err.Error(), "(an admission webhook does not answer: ") || errors.As(err, new(*StuckError)) {
		t.Errorf("got %v", err)
	}
}

// TestEventsThatMayNotBeRead: without the right to read events everything else goes on.
func TestEventsThatMayNotBeRead(t *testing.T) {
	cluster, clientset := newFake(statefulSet("db", 1, 0))
	clientset.PrependReactor("list", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, apierrors.NewForbidden(corev1.Resource("events"), "", errors.New("no"))
	})
	if o := cluster.obstacleOf(t.Context(), &waiting{}, namespace, "StatefulSet", "db", nil); o.text != "" {
		t.Errorf("got %+v", o)
	}
}
