package topology

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// ParseAuditor reads who may read sessions: one certificate in PEM, or a key hash of 64
// hexadecimal digits, perhaps with colons. The certificate is returned in one form.
func ParseAuditor(text string) (string, error) {
	hash := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
	if regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(hash) {
		return hash, nil
	}
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || strings.TrimSpace(string(rest)) != "" {
		return "", fmt.Errorf("auditor: got %.40q, want one certificate in PEM, or a fingerprint of 64 hexadecimal digits", text)
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return "", fmt.Errorf("auditor: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})), nil
}

// readers is how our templates say that only the creator reads a session.
const readers = "\n  read:\n    - CREATOR\n"

// withAuditors lets the auditors read a session, and nobody else. Only the list of readers
// is changed, and it must be that of our templates.
func withAuditors(name, text string, auditors []string) (string, error) {
	if len(auditors) == 0 {
		return text, nil
	}
	if strings.Count(text, readers) != 1 {
		return "", &AuditorsError{Name: name}
	}
	var list strings.Builder
	list.WriteString(readers)
	for _, a := range auditors {
		quoted, err := json.Marshal(a) // which is YAML as well
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&list, "    - %s\n", quoted)
	}
	made := strings.Replace(text, readers, list.String(), 1)
	before, err := session.Parse(name, []byte(text))
	if err != nil {
		return "", err
	}
	after, err := session.Parse(name, []byte(made))
	if err != nil {
		return "", err
	}
	got := after.AccessPolicy.Read
	if len(got) != 1+len(auditors) || !slices.ContainsFunc(got, func(r session.AccessRule) bool { return r.Kind == session.AccessCreator }) {
		return "", &AuditorsError{Name: name}
	}
	after.AccessPolicy.Read = before.AccessPolicy.Read
	if !session.Equal(before, after) {
		return "", &AuditorsError{Name: name}
	}
	return made, nil
}

// AuditorsError means that a template does not have the list of readers of ours.
type AuditorsError struct{ Name string }

func (e *AuditorsError) Error() string {
	return fmt.Sprintf("session %s: want the readers of our templates, CREATOR alone, to which auditors are added", e.Name)
}

// Hint says how to go on.
func (e *AuditorsError) Hint() string {
	return "Write the auditors under access_policy.read of your template yourself."
}
