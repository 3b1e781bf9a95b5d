package platform_test

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/platform"
)

func TestClusterRole(t *testing.T) {
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict([]byte(platform.ClusterRole()), &role); err != nil {
		t.Fatal(err)
	}
	if role.Kind != "ClusterRole" || role.Name == "" || len(role.Rules) != len(platform.Rights(false)) {
		t.Errorf("got %+v", role)
	}
}

func FuzzParseLog(f *testing.F) {
	f.Add([]byte("2026-02-23T10:07:36.762576Z  INFO Intel QE ID: " + qeA))
	f.Add([]byte("STARTER: SCONE QE has public key " + keyA + "\nSTARTER: SCONE QE has public key " + keyB))
	f.Add([]byte("public key " + strings.ToLower(keyA) + "\nIntel QE ID: " + strings.ToUpper(qeA)))
	f.Add([]byte("Intel QE ID: null\npublic key \n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		ids := platform.ParseLog(log)
		if len(ids) > 2 {
			t.Fatalf("got %v", ids)
		}
		for _, id := range ids {
			if _, err := attest.ParsePlatformID(id.String()); err != nil || !strings.Contains(strings.ToLower(string(log)), strings.ToLower(strings.TrimPrefix(id.String(), "INTEL_QE_ID:"))) {
				t.Fatalf("got %v, %v", id, err)
			}
		}
	})
}
