package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// TestReader: it reads one volume, and is no enclave.
func TestReader(t *testing.T) {
	user, group := int64(999), int64(998)
	d := probe()
	d.Nodes = []string{"node-1"}
	d.How.Placement.Tolerations = []corev1.Toleration{{Key: "sgx"}}
	d.How.Placement.Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("100m"), "sgx.intel.com/enclave": resource.MustParse("1")}
	d.Reader = &Reader{Claim: "data-db1", Script: "cat", Nonce: "n", Security: &corev1.PodSecurityContext{RunAsUser: &user, FSGroup: &group, SupplementalGroups: []int64{5}}}
	spec := d.job().Spec.Template.Spec
	c := spec.Containers[0]
	if diff := cmp.Diff([]string{"sh", "-c", "cat", "reader", "/run/reader/control", "/run/volume", "n"}, c.Command); diff != "" {
		t.Error(diff)
	}
	if len(c.Env) != 0 || len(c.Resources.Limits) != 0 || len(c.Resources.Requests) != 1 {
		t.Errorf("it is started as an enclave: %v, %v", c.Env, c.Resources)
	}
	claims := 0
	for _, v := range spec.Volumes {
		if p := v.PersistentVolumeClaim; p != nil {
			claims++
			if p.ClaimName != "data-db1" || !p.ReadOnly {
				t.Errorf("claim %+v", p)
			}
		}
	}
	for _, m := range c.VolumeMounts {
		if m.MountPath == "/run/volume" && !m.ReadOnly {
			t.Error("it can write on the volume")
		}
	}
	s := spec.SecurityContext
	if claims != 1 || len(spec.Volumes) != 2 || s.FSGroup != nil || *s.RunAsUser != user {
		t.Errorf("volumes %+v, security %+v", spec.Volumes, s)
	}
	if diff := cmp.Diff([]int64{5, group}, s.SupplementalGroups); diff != "" {
		t.Error(diff)
	}
	if o := c.SecurityContext; !*o.ReadOnlyRootFilesystem || *o.AllowPrivilegeEscalation || len(o.Capabilities.Drop) != 1 {
		t.Errorf("security of the container %+v", o)
	}
	if len(spec.Tolerations) != 1 || spec.Affinity == nil {
		t.Errorf("it is not placed as the database: %+v, %+v", spec.Tolerations, spec.Affinity)
	}
	if d.Reader.Security.SupplementalGroups[0] != 5 || len(d.Reader.Security.SupplementalGroups) != 1 {
		t.Error("the caller's settings were changed")
	}
	d.Reader.Security = nil
	if s := d.job().Spec.Template.Spec.SecurityContext; *s.RunAsUser != clientUser || s.FSGroup != nil {
		t.Errorf("security %+v", s)
	}
}
