package fleet

import (
	"fmt"
	"maps"
	"slices"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/platform"
)

// Choose returns those of a cluster's nodes that are judged: with SGX, or with evidence,
// which says where it is by the node's name. among, unless it is nil, are the names of
// the only ones that are wanted. Evidence of a node that there is not is an error.
func Choose(nodes []platform.Node, evidence map[string]string, among map[string]bool) ([]platform.Node, error) {
	var names []string
	var chosen []platform.Node
	for _, n := range nodes {
		names = append(names, n.Name)
		if (n.SGX || evidence[n.Name] != "") && (among == nil || among[n.Name]) {
			chosen = append(chosen, n)
		}
	}
	for _, node := range slices.Sorted(maps.Keys(evidence)) {
		if slices.Contains(names, node) {
			continue
		}
		near := document.Nearest(node, names)
		if near != "" {
			near = "; did you mean " + near + "?"
		}
		return nil, fmt.Errorf("%s: got evidence of node %q, which the cluster does not have%s", evidence[node], node, near)
	}
	return chosen, nil
}
