package topology_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

func TestVariables(t *testing.T) {
	var ids []attest.PlatformID
	for _, text := range []string{"INTEL_QE_ID:" + strings.Repeat("f", 32), "INTEL_QE_ID:" + strings.Repeat("0", 32)} {
		id, err := attest.ParsePlatformID(text)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	r := &topology.Release{CASAddress: "cas:8081", Platforms: ids, Members: []topology.Member{
		{Role: topology.Database, Session: topology.Session{Name: "shop/it's"}}, {Role: topology.Client, Session: topology.Session{Name: "shop/client"}},
	}}
	want := []string{
		"export SCONE_CAS_ADDR='cas:8081'", `export DBSESSION='shop/it'\''s'`, "export DBCLIENT='shop/client'",
		"export PLATFORMS='INTEL_QE_ID:" + strings.Repeat("0", 32) + ",INTEL_QE_ID:" + strings.Repeat("f", 32) + "'",
	}
	for n, lines := range [][]string{want, append([]string{want[0], "export CAS_MRENCLAVE='" + strings.Repeat("0", 64) + "'"}, want[1:]...), want} {
		r.Trust.CAS.ReferenceValues.MRENCLAVEs = make([]sgx.Measurement, n)
		var got []string
		for _, v := range r.Variables() {
			got = append(got, v.Export())
		}
		if diff := cmp.Diff(lines, got); diff != "" {
			t.Errorf("with %d measurements: %s", n, diff)
		}
	}
}
