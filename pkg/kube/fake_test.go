package kube

import (
	"context"
	"os"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

const namespace = "shop"

// The fake clientset does not know lists that are streamed by a watch.
func TestMain(m *testing.M) {
	os.Setenv("KUBE_FEATURE_WatchListClient", "false")
	m.Run()
}

func newFake(objects ...runtime.Object) (*Cluster, *fake.Clientset) {
	clientset := fake.NewClientset(objects...)
	return &Cluster{clientset: clientset, namespace: namespace}, clientset
}

// allow makes the API server answer questions about rights: forbidden are those
// that are denied, as verb and resource/subresource.group.
func allow(clientset *fake.Clientset, forbidden ...string) *asked {
	a := &asked{forbidden: forbidden}
	clientset.PrependReactor("create", "selfsubjectaccessreviews", a.answer)
	return a
}

type asked struct {
	mutex     sync.Mutex
	forbidden []string
	questions []string
}

func (a *asked) answer(action clienttesting.Action) (bool, runtime.Object, error) {
	review := action.(clienttesting.CreateAction).GetObject().(*authorizationv1.SelfSubjectAccessReview).DeepCopy()
	r := review.Spec.ResourceAttributes
	question := r.Verb + " " + r.Resource
	if r.Subresource != "" {
		question += "/" + r.Subresource
	}
	if r.Group != "" {
		question += "." + r.Group
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.questions = append(a.questions, r.Namespace+": "+question)
	review.Status.Allowed = true
	for _, f := range a.forbidden {
		if f == question {
			review.Status.Allowed = false
		}
	}
	return true, review, nil
}

func labels() map[string]string { return map[string]string{"app": "db"} }

// statefulSet is one that wants so many pods, of which ready are.
func statefulSet(name string, wanted, ready int32) *appsv1.StatefulSet {
	return &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Generation: 2},
		Spec:       appsv1.StatefulSetSpec{Replicas: &wanted, Selector: &metav1.LabelSelector{MatchLabels: labels()}},
		Status:     appsv1.StatefulSetStatus{ObservedGeneration: 2, UpdatedReplicas: wanted, ReadyReplicas: ready},
	}
}

func pod(name string, statuses ...corev1.ContainerStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels()},
		Status:     corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: statuses},
	}
}

func readyPodOf(name string) *corev1.Pod {
	p := pod(name, corev1.ContainerStatus{Name: "mariadb", Ready: true})
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p
}

func waitingBecause(reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "mariadb", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

func terminated(code, restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: "mariadb", RestartCount: restarts, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
}

// limited bounds what a test waits for.
func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), forwardTimeout)
	t.Cleanup(cancel)
	return ctx
}
