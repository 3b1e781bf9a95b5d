package machines

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/confidb/confidb/pkg/platform"
)

// Pace says when a watcher looks again. The zero Pace is unusable.
type Pace struct {
	// Settle is how long nodes must have kept still, so that a rollout is looked at
	// once; Most is how long a change waits at most when they never do.
	Settle, Most time.Duration
	// Every is how long it takes until everything is looked at without a change of
	// nodes: an update of LAS changes none.
	Every time.Duration
	// After is time.After, or the clock of a test.
	After func(time.Duration) <-chan time.Time
}

// NewPace returns the pace at which people watch a cluster.
func NewPace() Pace {
	return Pace{Settle: 2 * time.Second, Most: 30 * time.Second, Every: 5 * time.Minute, After: time.After}
}

// Watch calls look at once, and again when what is known of the nodes has changed
// and settled. It ends with ctx, which is no error, or when look fails or the cluster
// refuses to be watched. What nodes report all the time, such as heartbeats, is no
// change, and only what matters here is kept of them.
func (c *Cluster) Watch(ctx context.Context, pace Pace, look func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	changed := make(chan struct{}, 1)
	ended, err := c.watchNodes(ctx, stop, func() {
		select {
		case changed <- struct{}{}:
		default: // there is one that nobody has seen yet
		}
	})
	if err != nil {
		return err
	}
	defer func() { stop(nil); <-ended }()
	for {
		if err := look(ctx); err != nil {
			return endOf(ctx, err)
		}
		if !pace.wait(ctx, changed) {
			return endOf(ctx, nil)
		}
	}
}

// endOf makes no error of the end that somebody wished for.
func endOf(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case cause == nil:
		return err
	case errors.Is(cause, context.Canceled):
		return nil
	default:
		return cause
	}
}

// wait returns when it is time to look, or false at the end of ctx.
func (p Pace) wait(ctx context.Context, changed <-chan struct{}) bool {
	var settled, most <-chan time.Time
	every := p.After(p.Every)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-changed:
			settled = p.After(p.Settle)
			if most == nil {
				most = p.After(p.Most)
			}
		case <-settled:
			return true
		case <-most:
			return true
		case <-every:
			return true
		}
	}
}

// watchNodes lists the nodes, calls changed at each change from then on, and stops
// the context when the cluster does not allow it. ended is closed when it is over.
func (c *Cluster) watchNodes(ctx context.Context, stop context.CancelCauseFunc, changed func()) (ended <-chan struct{}, err error) {
	nodes := c.Clientset.CoreV1().Nodes()
	informer := cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return nodes.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return nodes.Watch(ctx, o)
		},
	}, c.Clientset), &corev1.Node{}, 0, cache.Indexers{})
	failed := func(_ context.Context, _ *cache.Reflector, err error) {
		switch {
		case apierrors.IsForbidden(err):
			stop(&platform.ForbiddenError{Doing: "watching nodes", Watch: true, Err: err})
		case !informer.HasSynced():
			stop(fmt.Errorf("watching nodes: %w", err))
		} // later, a watch that ended is begun again
	}
	events := cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(_ any, initial bool) {
			if !initial {
				changed()
			}
		},
		UpdateFunc: func(before, after any) {
			if !reflect.DeepEqual(factsOf(before), factsOf(after)) {
				changed()
			}
		},
		DeleteFunc: func(any) { changed() },
	}
	if err := errors.Join(informer.SetTransform(trim), informer.SetWatchErrorHandlerWithContext(failed)); err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	if _, err := informer.AddEventHandler(events); err != nil {
		return nil, fmt.Errorf("watching nodes: %w", err)
	}
	over := make(chan struct{})
	go func() { defer close(over); informer.RunWithContext(ctx) }()
	cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) // or the end of ctx, which the caller sees
	return over, nil
}

// watched is what is kept of a node: its name, by which the store finds it, and the
// facts. Everything else of it is garbage at once.
type watched struct {
	metav1.ObjectMeta
	facts platform.NodeFacts
}

// trim makes a watched of a node. What it does not know passes unchanged.
func trim(object any) (any, error) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	return &watched{metav1.ObjectMeta{Name: node.Name, ResourceVersion: node.ResourceVersion}, nodeFacts(node)}, nil
}

func factsOf(object any) platform.NodeFacts {
	if w, ok := object.(*watched); ok {
		return w.facts
	}
	return platform.NodeFacts{}
}
