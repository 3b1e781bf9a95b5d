package platform

import (
	"regexp"

	"github.com/confidb/confidb/pkg/attest"
)

// logPatterns match the two wordings of LAS: up to SCONE 6, and from 7 on. There
// the log has the bare digits, to which a session needs the prefix.
func logPatterns() map[*regexp.Regexp]string {
	return map[*regexp.Regexp]string{
		regexp.MustCompile(`public key\s+([0-9A-Fa-f]{64})\b`):   "",
		regexp.MustCompile(`Intel QE ID:\s*([0-9A-Fa-f]{32})\b`): "INTEL_QE_ID:",
	}
}

// ParseLog returns the platform IDs that a LAS wrote to its log: the last one of
// each of the two wordings, because every start writes it again. More than one ID
// means that the log contradicts itself.
func ParseLog(log []byte) []attest.PlatformID {
	var ids []attest.PlatformID
	for pattern, prefix := range logPatterns() {
		matches := pattern.FindAllSubmatch(log, -1)
		if len(matches) == 0 {
			continue
		}
		if id, err := attest.ParsePlatformID(prefix + string(matches[len(matches)-1][1])); err == nil {
			ids = append(ids, id)
		}
	}
	return distinct(ids)
}
