package sgx

import (
	"fmt"
	"strings"
)

// AdvisoryPattern is the form of the IDs of Intel's advisories (SA) and documents (DOC)
// that its TCB info names, as a regular expression.
const AdvisoryPattern = `^INTEL-(SA|DOC)-[0-9]{5}$`

// ParseAdvisory reads the ID of an advisory, such as INTEL-SA-00615. It is what Intel
// writes and nothing near it: there are no wildcards, and the case of letters counts.
func ParseAdvisory(text string) (string, error) {
	digits, ok := strings.CutPrefix(text, "INTEL-SA-")
	if !ok {
		digits, ok = strings.CutPrefix(text, "INTEL-DOC-")
	}
	if !ok || len(digits) != 5 || strings.Trim(digits, "0123456789") != "" {
		return "", fmt.Errorf("got %.80q, want an ID such as INTEL-SA-00615", text)
	}
	return text, nil
}
