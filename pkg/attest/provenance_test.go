package attest_test

import (
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/attest"
)

func TestParseProvenance(t *testing.T) {
	for text, want := range map[string]attest.Provenance{
		"quoted": attest.Quoted, "declared": attest.Declared, "claimed": attest.Claimed,
		"": "", "Quoted": "", "quoted ": "", "certain": "", "unknown": "",
	} {
		p, err := attest.ParseProvenance(text)
		if p != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q and %v, want %q", text, p, err, want)
		}
		if err != nil && !strings.Contains(err.Error(), "want quoted, declared or claimed") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
