package manifest

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
)

// OfRecord reads what was installed: the last time, or what helm rollback went back to, by
// the digest of the manifest that Helm keeps.
func OfRecord(promised *topology.Release, digest string) (*Installed, error) {
	promise, err := Promised(promised)
	if err != nil {
		return nil, err
	}
	recorded, err := Recorded(promised.InstalledAs(digest))
	if err != nil {
		return nil, err
	}
	return NewInstalled(promise, recorded)
}

// Claim is a volume that a pod of the release uses.
type Claim struct {
	// Name is that of the PersistentVolumeClaim, and Node where the pod runs.
	Name, Node string
	// Security says as whom the pod runs; nil means as its image says.
	Security *corev1.PodSecurityContext
}

// Claims are the volumes of the pods that objects of the release made, as these objects name
// them, each once. A pod that was placed nowhere, or has ended, uses none.
func (i *Installed) Claims(pods []evidence.Pod) []Claim {
	var all []Claim
	known := map[string]bool{}
	for _, pod := range pods {
		by, _ := i.belongs(pod)
		if by == nil || pod.Finished || pod.Spec.NodeName == "" {
			continue
		}
		spec := by.specFor(pod.Name)
		for _, v := range spec.Volumes {
			if c := v.PersistentVolumeClaim; c != nil && !known[c.ClaimName] {
				known[c.ClaimName] = true
				all = append(all, Claim{c.ClaimName, pod.Spec.NodeName, spec.SecurityContext})
			}
		}
	}
	return all
}
