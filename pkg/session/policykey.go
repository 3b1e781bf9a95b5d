package session

import (
	"slices"
	"strings"
)

// Keys of a document, and of a service, under which its policy stands. What is said there
// may be left to a secret.
const (
	KeySecurity     = "security"
	KeyAccessPolicy = "access_policy"
	KeyAttestation  = "attestation"
	KeyMRENCLAVEs   = "mrenclaves"
	KeyPlatforms    = "platforms"
)

// isPolicyKey reports whether a key of the document, or of a service, is of the policy.
func isPolicyKey(key string, ofService bool) bool {
	if ofService {
		return slices.Contains([]string{KeyAttestation, KeyMRENCLAVEs, KeyPlatforms}, key)
	}
	return key == KeySecurity || key == KeyAccessPolicy
}

// PolicyPlace takes a path apart: the service that it is of, such as services[0], or empty,
// and the key of the document or of that service under which it is. The key is empty for a
// place that is under none by itself, such as a whole service: any of the policy may be in it.
func PolicyPlace(path string) (service, key string) {
	first, rest, _ := strings.Cut(path, ".")
	if strings.HasPrefix(first, "services[") {
		service, first = first, rest
	}
	if end := strings.IndexAny(first, ".["); end >= 0 {
		first = first[:end]
	}
	if first == "services" {
		return service, ""
	}
	return service, first
}

// Within reports whether a path is that of a value, or leads into it.
func Within(path, value string) bool {
	rest, ok := strings.CutPrefix(path, value)
	return ok && value != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
