package flags

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/topology"
)

const goodPolicy = `kind: confidb.policy/v1
cas:
  mrenclave: [fb79b3766882160275288bd9937a3aef4e774d1f1b8c513e2bc2a1d471953f18]
  signer: {mrsigner: 195e5a6df987d6a515dd083750c1ea352283f8364d3ec9142b0d593988c6ed2d, isvprodid: 41316, min-isvsvn: 5}
enclaves:
  probe: {mrenclave: [22f619e871cb0efef29ba6eaf8ea9c70dc1c7314c17469dd3f79a7c39bb73040]}
accept-tcb: [SWHardeningNeeded]
accept-advisories: [INTEL-SA-00615]
`

// A measurement is taken from the flag, else from the policy, else from the
// environment, and never makes a policy that names a signer weaker.
func TestMeasurementOfTheCAS(t *testing.T) {
	const flag, variable = "aa", "bb"
	digits := func(two string) string { return strings.Repeat(two, 32) }
	for name, c := range map[string]struct {
		policy, flag     string
		want, wantOrigin string
		signer           bool
	}{
		"environment only":         {"kind: confidb.policy/v1\n", "", digits(variable), "$CAS_MRENCLAVE", false},
		"a policy that names none": {"", "", digits(variable), "$CAS_MRENCLAVE", false},
		"policy over environment":  {goodPolicy, "", "fb79b3766882160275288bd9937a3aef4e774d1f1b8c513e2bc2a1d471953f18", "", true},
		"flag over policy":         {goodPolicy, digits(flag), digits(flag), "--cas-mrenclave", true},
	} {
		trust := Trust{casMRENCLAVE: c.flag, LookupEnv: func(name string) (string, bool) { return digits(variable), name == "CAS_MRENCLAVE" }}
		r := &topology.Plan{Origins: map[string]string{}}
		if c.policy != "" {
			p, err := policy.Parse("policy.yaml", []byte(c.policy))
			if err != nil {
				t.Fatal(err)
			}
			trust.Policy, r.Trust.CAS = "policy.yaml", p.CAS
		}
		if err := trust.readMeasurement(r); err != nil {
			t.Fatal(err)
		}
		values := r.Trust.CAS.ReferenceValues
		if len(values.MRENCLAVEs) != 1 || values.MRENCLAVEs[0].String() != c.want || r.Origins["cas-mrenclave"] != c.wantOrigin || (values.Signer != nil) != c.signer {
			t.Errorf("%s: got %+v from %q", name, values, r.Origins["cas-mrenclave"])
		}
	}
}
