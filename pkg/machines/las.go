package machines

import (
	"context"
	"fmt"
	"maps"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

// lasResource is the custom resource of SCONE's operator; it is cluster-scoped.
func lasResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "base.scone.cloud", Version: "v1beta1", Resource: "las"}
}

// nodeKey is what a LAS custom resource says about a node. Key is nil if it says
// nothing, as it does from SCONE 7 on.
type nodeKey struct {
	resource, node string
	key            any
}

// fetchResources reads status.nodes[].publicKey of the LAS custom resources. A
// cluster without SCONE's operator has none.
func (c *Cluster) fetchResources(ctx context.Context, seen *platform.Observation) error {
	keys, err := each(ctx, "LAS custom resources (las.base.scone.cloud)", func(options metav1.ListOptions) ([]nodeKey, string, error) {
		page, err := c.Resources.Resource(lasResource()).List(ctx, options)
		if apierrors.IsNotFound(err) {
			return nil, "", nil
		}
		if err != nil {
			return nil, "", err
		}
		var keys []nodeKey
		for i := range page.Items {
			keys = append(keys, nodeKeys(&page.Items[i])...)
		}
		return keys, page.GetContinue(), nil
	})
	for _, k := range keys {
		addKey(seen, k)
	}
	return err
}

func nodeKeys(las *unstructured.Unstructured) []nodeKey {
	nodes, _, err := unstructured.NestedMap(las.Object, "status", "nodes")
	if err != nil {
		return nil // no map of nodes: another version says nothing to us
	}
	var keys []nodeKey
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		status, _ := nodes[name].(map[string]any)
		keys = append(keys, nodeKey{las.GetName(), name, status["publicKey"]})
	}
	return keys
}

// addKey notes what a resource says of a node: a claim, or a value that is no ID.
func addKey(seen *platform.Observation, k nodeKey) {
	if k.key == nil || k.key == "" {
		return
	}
	origin := "LAS/" + k.resource
	text, ok := k.key.(string)
	if !ok {
		seen.Unreadable = append(seen.Unreadable, fmt.Sprintf("%s: node %q: publicKey: got %.80v, want text", origin, k.node, k.key))
		return
	}
	id, err := attest.ParsePlatformID(text)
	if err != nil {
		seen.Unreadable = append(seen.Unreadable, fmt.Sprintf("%s: node %q: publicKey: %v", origin, k.node, err))
		return
	}
	seen.Claims = append(seen.Claims, platform.Claim{Node: k.node, ID: id, Source: platform.SourceResource, Origin: origin})
}
