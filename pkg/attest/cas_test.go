package attest_test

import (
	"testing"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
)

func TestParseNonce(t *testing.T) {
	want := [16]byte{0x00, 0x11, 0xff, 15: 1}
	for text, good := range map[string]bool{
		"0011ff00000000000000000000000001": true, "0011FF00000000000000000000000001": true,
		"": false, "0011ff000000000000000000000000": false, "0011ff0000000000000000000000000100": false, "0x11ff00000000000000000000000001": false,
	} {
		got, err := attest.ParseNonce(text)
		if (err == nil) != good {
			t.Errorf("%q: got %v", text, err)
		}
		if good && got != want {
			t.Errorf("%q: got %x", text, got)
		}
		if !good && got != [16]byte{} {
			t.Errorf("%q: got %x beside an error", text, got)
		}
	}
}

// What a report of a later version says beside the members that are known could give
// somebody rights, so it is not affirmed unless the policy names that.
func TestUnknownMembersOfAReport(t *testing.T) {
	accepted := []attest.Deviation{attest.UnknownCASData}
	for name, c := range map[string]struct {
		more       string
		deviations []attest.Deviation
		want       check.Verdict
	}{
		"none":                      {"", nil, check.Affirming},
		"the version":               {`"cas_version":"6.0.6","version":"4",`, nil, check.Affirming},
		"owners":                    {`"owner_chain":["x"],`, nil, check.None},
		"a right":                   {`"allow_backup":true,`, nil, check.None},
		"nothing in it":             {`"owners":null,`, nil, check.None},
		"other letters":             {`"Nonce":"00000000000000000000000000000000",`, nil, check.None},
		"other letters of a chain":  {`"CERT_CHAIN":"x",`, nil, check.None},
		"accepted":                  {`"owner_chain":["x"],`, accepted, check.Warning},
		"another one is accepted":   {`"owner_chain":["x"],`, []attest.Deviation{attest.Sidecar}, check.None},
		"accepted, and none":        {"", accepted, check.Affirming},
		"a known one twice":         {`"cert_chain":"x",`, accepted, check.Contraindicated},
		"an unknown one twice":      {`"a":1,"a":2,`, accepted, check.Contraindicated},
		"a known one of other kind": {`"type":{},`, accepted, check.Contraindicated},
	} {
		f := newFixture(t)
		in := f.inputs(t)
		in.Report, in.Deviations = f.later(t, "CasAttestationDataV4", "DCAPQuote", c.more), c.deviations
		a, err := attest.AppraiseCAS(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Findings.Verdict(); got != c.want {
			t.Errorf("%s: got %s, want %s: %+v", name, got, c.want, a.Findings)
		}
		if found, asked := a.Findings.Find("cas-members"); asked && found.Outcome == check.Skip && (found.Hint == "" || found.Got == "") {
			t.Errorf("%s: it does not say enough: %+v", name, found)
		}
	}
}
