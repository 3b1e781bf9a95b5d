package sgx_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/confidb/confidb/pkg/sgx"
)

func TestParseAdvisory(t *testing.T) {
	for text, good := range map[string]bool{
		"INTEL-SA-00615": true, "INTEL-DOC-10000": true, "INTEL-SA-99999": true,
		"": false, "INTEL-SA-": false, "INTEL-SA-0615": false, "INTEL-SA-006150": false, "INTEL-SA-0061x": false,
		"intel-sa-00615": false, " INTEL-SA-00615": false, "INTEL-SA-00615\n": false, "INTEL-SA-*": false, "*": false,
		"INTEL-SA-INTEL-DOC-00615": false, "INTEL-CVE-00615": false, "INTEL-SA-00615,INTEL-SA-00657": false, "INTEL-SA-٠٠٦١٥": false,
	} {
		id, err := sgx.ParseAdvisory(text)
		if good != (err == nil) {
			t.Errorf("%q: got %v", text, err)
		}
		if good && id != text {
			t.Errorf("%q is read as %q", text, id)
		}
		if !good && (id != "" || !strings.Contains(err.Error(), "want an ID such as INTEL-SA-00615")) {
			t.Errorf("%q: got %q and %v", text, id, err)
		}
	}
}

// The pattern, which editors get, and the parser say the same.
func FuzzParseAdvisory(f *testing.F) {
	for _, text := range []string{"INTEL-SA-00615", "INTEL-DOC-10000", "INTEL-SA-0061", "INTEL-SA-00615\n", "INTEL-"} {
		f.Add(text)
	}
	form := regexp.MustCompile(sgx.AdvisoryPattern)
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := sgx.ParseAdvisory(text); (err == nil) != form.MatchString(text) {
			t.Errorf("%q: got %v, the pattern matches: %v", text, err, form.MatchString(text))
		}
	})
}
