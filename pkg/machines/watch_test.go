package machines_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/confidb/confidb/pkg/machines"
	"github.com/confidb/confidb/pkg/machines/machinestest"
	"github.com/confidb/confidb/pkg/platform"
)

// Lengths by which the clock of a test tells timers apart.
const (
	settle = 2 * time.Second
	most   = 30 * time.Second
	every  = 5 * time.Minute
)

// timer is one that was started, and how to end it.
type timer struct {
	after time.Duration
	fire  chan<- time.Time
}

// watching is a Watch under a clock that stands still.
type watching struct {
	t      *testing.T
	nodes  *fake.Clientset
	timers chan timer
	looks  chan struct{}
	ended  chan error
	stop   func()
}

func startWatching(t *testing.T, fails error, prepare func(*fake.Clientset)) *watching {
	t.Helper()
	node := machinestest.SGXNode("n1")
	w := &watching{t, fake.NewClientset(&node), make(chan timer, 100), make(chan struct{}), make(chan error, 1), nil}
	if prepare != nil {
		prepare(w.nodes)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.stop = cancel
	t.Cleanup(cancel)
	pace := machines.Pace{Settle: settle, Most: most, Every: every, After: func(d time.Duration) <-chan time.Time {
		c := make(chan time.Time, 1)
		w.timers <- timer{d, c}
		return c
	}}
	go func() {
		w.ended <- (&machines.Cluster{Clientset: w.nodes}).Watch(ctx, pace, func(ctx context.Context) error {
			if fails != nil {
				return fails
			}
			select {
			case w.looks <- struct{}{}:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
	}()
	return w
}

// timer waits for one of this length to be started.
func (w *watching) timer(length time.Duration) timer {
	w.t.Helper()
	select {
	case timer := <-w.timers:
		if timer.after != length {
			w.t.Fatalf("got a timer of %v, want %v", timer.after, length)
		}
		return timer
	case <-time.After(time.Minute):
		w.t.Fatalf("no timer of %v was started", length)
	}
	return timer{}
}

func (w *watching) looked() {
	w.t.Helper()
	select {
	case <-w.looks:
	case err := <-w.ended:
		w.t.Fatalf("it ended: %v", err)
	case <-time.After(time.Minute):
		w.t.Fatal("it did not look")
	}
}

// quiet fails if it looks although the timers that are left have not ended.
func (w *watching) quiet() {
	w.t.Helper()
	select {
	case <-w.looks:
		w.t.Fatal("it looked too early")
	default:
	}
}

func (w *watching) change(name string, change func(*corev1.Node)) {
	w.t.Helper()
	node := machinestest.SGXNode(name)
	change(&node)
	if _, err := w.nodes.CoreV1().Nodes().Update(w.t.Context(), &node, metav1.UpdateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watching) over() error {
	w.t.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(time.Minute):
		w.t.Fatal("it does not end")
	}
	return nil
}

func TestWatchLooksWhenNodesSettled(t *testing.T) {
	w := startWatching(t, nil, nil)
	w.looked()
	w.timer(every)
	w.change("n1", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	first := w.timer(settle)
	w.timer(most)
	w.change("n1", func(n *corev1.Node) { n.Status.NodeInfo.BootID = "another" })
	second := w.timer(settle)
	first.fire <- time.Time{} // nobody waits for it any more
	w.quiet()
	second.fire <- time.Time{}
	w.looked()
	w.timer(every)
	if err := w.nodes.CoreV1().Nodes().Delete(t.Context(), "n1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.timer(settle).fire <- time.Time{}
	w.looked()
	w.stop()
	if err := w.over(); err != nil {
		t.Errorf("the end that was wished for is no error: %v", err)
	}
}

func TestWatchSeesNewNodes(t *testing.T) {
	w := startWatching(t, nil, nil)
	w.looked()
	w.timer(every)
	node := machinestest.SGXNode("n2")
	if _, err := w.nodes.CoreV1().Nodes().Create(t.Context(), &node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.timer(settle)
	w.timer(most).fire <- time.Time{} // also when nodes never keep still
	w.looked()
}

func TestWatchLooksNowAndThen(t *testing.T) {
	w := startWatching(t, nil, nil)
	w.looked()
	w.timer(every).fire <- time.Time{}
	w.looked()
}

// A heartbeat is followed by a change, whose timer is the only one.
func TestWatchIgnoresHeartbeats(t *testing.T) {
	w := startWatching(t, nil, nil)
	w.looked()
	w.timer(every)
	w.change("n1", func(n *corev1.Node) {
		n.Status.Conditions[0].LastHeartbeatTime = metav1.NewTime(time.Unix(1, 0))
		n.Annotations = map[string]string{"a": "b"}
	})
	w.change("n1", func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse })
	w.timer(settle)
	w.timer(most)
	select {
	case timer := <-w.timers:
		t.Errorf("a heartbeat started a timer of %v", timer.after)
	default:
	}
}

func TestWatchEnds(t *testing.T) {
	refusal := apierrors.NewForbidden(schema.GroupResource{Resource: "nodes"}, "", errors.New("no"))
	refuse := func(c *fake.Clientset) {
		c.PrependWatchReactor("nodes", func(clienttesting.Action) (bool, watch.Interface, error) { return true, nil, refusal })
	}
	w := startWatching(t, nil, refuse)
	err := w.over()
	var forbidden *platform.ForbiddenError
	if !errors.As(err, &forbidden) || !strings.Contains(forbidden.Hint(), "  resources: [nodes]\n  verbs: [list, watch]\n") || strings.Contains(platform.ClusterRole(), "watch") {
		t.Errorf("got %v, want the role that is missing", err)
	}
	broken := func(c *fake.Clientset) {
		c.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, errors.New("no route") })
	}
	w = startWatching(t, nil, broken)
	if err := w.over(); err == nil || !strings.Contains(err.Error(), "no route") {
		t.Errorf("got %v", err)
	}
	mine := errors.New("mine")
	w = startWatching(t, mine, nil)
	if err := w.over(); !errors.Is(err, mine) {
		t.Errorf("got %v, want that of the look", err)
	}
}

func TestWatchEndsInTime(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	node := machinestest.SGXNode("n1")
	err := (&machines.Cluster{Clientset: fake.NewClientset(&node)}).Watch(ctx, machines.NewPace(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
