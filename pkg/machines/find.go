// Package machines reads from a cluster which machines with SGX it has, and what its
// sources say of their platform IDs: nodes, the LAS custom resource, and the logs of
// LAS pods. It decides nothing: what the sources mean is decided by package platform.
package machines

import (
	"context"
	"fmt"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

// Options say where to look besides the cluster, where in the cluster, and what must
// be known. The zero Options look everywhere in the cluster.
type Options struct {
	// IDs are a plain list of the user's. If there are any they are the answer,
	// and the cluster is not asked.
	IDs []attest.PlatformID
	// File are the entries of a file of the user's; they are compared with what
	// the cluster says.
	File []platform.Claim
	// Quotes are what verified quotes of nodes say; they must agree with the rest.
	Quotes []platform.Quote
	// Simulated is true if they do not rest on Intel's root.
	Simulated bool
	// LASNamespace restricts the search for LAS pods; empty means all namespaces.
	LASNamespace string
	// Origin is where the IDs come from, in the user's words.
	Origin string
	// Require refuses IDs that are known less well; empty refuses none.
	Require attest.Provenance
}

// Cluster is one whose machines are asked for.
type Cluster struct {
	// Clientset reads what Kubernetes itself has.
	Clientset kubernetes.Interface
	// Resources reads custom resources, which exist as JSON only. If it is nil, the
	// LAS custom resource is not read.
	Resources dynamic.Interface
}

// New returns the cluster behind getter. It does not talk to it.
func New(getter genericclioptions.RESTClientGetter) (*Cluster, error) {
	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // discovery bounds its own concurrency; the default takes minutes for many nodes
	resources, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	clientset, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return &Cluster{Clientset: clientset, Resources: resources}, nil
}

// Find returns the machines with SGX that the user or the cluster behind getter
// names, if they are known as well as o requires. A list of the user's needs no
// cluster. Sources that contradict each other are a *platform.InconsistentError, unless
// all that is wrong is tolerated by its kind: then it is in the Problems of the inventory.
func Find(ctx context.Context, getter genericclioptions.RESTClientGetter, o Options, tolerated ...platform.ProblemKind) (*platform.Inventory, error) {
	found, err := find(ctx, getter, o)
	found, err = platform.Tolerate(found, err, tolerated...)
	if err != nil {
		return nil, err
	}
	if err := platform.Require(found, o.Require); err != nil {
		return nil, err
	}
	return found, nil
}

// Identify is Find, with the platform IDs, and the names of the nodes whose ID is not known.
func Identify(ctx context.Context, getter genericclioptions.RESTClientGetter, o Options) (ids []attest.PlatformID, unidentified []string, err error) {
	found, err := Find(ctx, getter, o)
	if err != nil {
		return nil, nil, err
	}
	return found.IDs(), found.Unidentified(), nil
}

// FindNodes returns the nodes of the cluster behind getter. Sources that contradict each
// other are in the Problems of the inventory; that no node has SGX is an error.
func FindNodes(ctx context.Context, getter genericclioptions.RESTClientGetter) (*platform.Inventory, error) {
	found, err := find(ctx, getter, Options{Origin: "cluster"})
	seen, other := platform.Tolerate(found, err, platform.ProblemKinds()...)
	if other == nil && seen.WithoutSGX() < len(seen.Nodes) {
		return seen, nil
	}
	return found, err
}

func find(ctx context.Context, getter genericclioptions.RESTClientGetter, o Options) (*platform.Inventory, error) {
	if len(o.IDs) > 0 {
		declared, err := platform.Declare(o.IDs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.Origin, err)
		}
		return declared, nil
	}
	cluster, err := New(getter)
	if err != nil {
		return nil, err
	}
	return cluster.Discover(ctx, o)
}

// Discover returns the machines with SGX and their platform IDs. If the sources
// contradict each other or say too little the error is a *platform.InconsistentError;
// if the cluster refused to be read it has the hint with the missing role.
func (c *Cluster) Discover(ctx context.Context, o Options) (*platform.Inventory, error) {
	seen, err := c.Fetch(ctx, o)
	if err != nil {
		return nil, err
	}
	return seen.Appraise()
}
