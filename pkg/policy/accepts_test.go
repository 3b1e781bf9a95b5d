package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/confidb/confidb/pkg/policy"
)

func TestAccepts(t *testing.T) {
	for title, c := range map[string]struct{ text, want string }{
		"nothing": {"kind: confidb.policy/v1\n", `{"cas":{"mrenclaves":[],"signer":null},"enclaves":{},"tcb":["UpToDate"],"advisories":[],"debugEnclave":false,"deviations":[],` +
			`"minTCBEvaluationNumber":0,"collateralGrace":"0s","maxOutsideEnclave":null,"requireProvenance":"","maxCollateralAge":null}`},
		"everything": {strict, `{"cas":{"mrenclaves":["` + casMeasured + `"],"signer":{"mrsigner":"` + signedBy + `","isvprodid":41316,"minISVSVN":5}},` +
			`"enclaves":{"probe":["` + probeMeasured + `"]},"tcb":["UpToDate","SWHardeningNeeded"],"advisories":["INTEL-SA-00615"],"debugEnclave":false,"deviations":[],` +
			`"minTCBEvaluationNumber":17,"collateralGrace":"24h","maxOutsideEnclave":null,"requireProvenance":"quoted","maxCollateralAge":"168h"}`},
		"debug enclaves": {"kind: confidb.policy/v1\nallow-debug-enclave: true\nenclaves: {a: {}}\n", `{"cas":{"mrenclaves":[],"signer":null},"enclaves":{"a":[]},"tcb":["UpToDate"],"advisories":[],` +
			`"debugEnclave":true,"deviations":[],"minTCBEvaluationNumber":0,"collateralGrace":"0s","maxOutsideEnclave":null,"requireProvenance":"","maxCollateralAge":null}`},
	} {
		got, err := json.Marshal(parsed(t, c.text).Accepts())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s: %s", title, diff)
		}
	}
	if got := (&policy.Policy{}).Accepts(); len(got.TCB) != 1 || got.DebugEnclave {
		t.Errorf("the zero policy accepts %+v", got)
	}
}
