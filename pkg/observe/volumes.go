package observe

import (
	"context"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/atrest"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/kube"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/topology"
)

// ParseLevel reads how much is looked at: standard, or full, which reads the volumes from
// outside the enclaves, too.
func ParseLevel(text string) (full bool, err error) {
	switch text {
	case "standard", "full":
		return text == "full", nil
	}
	return false, fmt.Errorf("got %q, want standard or full", text)
}

// readerLifetime bounds one run of the reader: 20,000 tables take minutes.
const readerLifetime = 10 * time.Minute

// readVolumes has each volume of the release's pods read in clear, beside the pod that uses
// it. Which those are comes from the record, and the names of the pods from the cluster.
func (o Observer) readVolumes(ctx context.Context, promised *topology.Release, seen *evidence.Observation) {
	seen.Full, seen.Volumes = true, map[string]evidence.Fetched[[]byte]{}
	installed, err := manifest.OfRecord(promised, seen.Release.Value.Digest)
	if err != nil || seen.Pods.Why() != "" || seen.Nonce == "" {
		return // whoever judges finds no volume then
	}
	for _, claim := range installed.Claims(seen.Pods.Value) {
		o.step("reading the volume %s from outside the enclave", claim.Name)
		seen.Volumes[claim.Name] = got(o.Cluster.Run(ctx, kube.Client{
			Name: "confidb-reader", Namespace: promised.Namespace, How: promised.Pod, Nodes: []string{claim.Node}, Lifetime: readerLifetime,
			Tell:   func(text string) { o.step("the reader does not start yet: %s", text) },
			Reader: &kube.Reader{Claim: claim.Name, Security: claim.Security, Script: atrest.Script(), Nonce: seen.Nonce},
		}))
	}
}
