package verbs

import (
	"fmt"
	"io"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

// ShowSession writes a document as it is, unless it holds secrets.
func ShowSession(out io.Writer, s *session.Session) error {
	if err := RefuseWrittenSecrets(s); err != nil {
		return err
	}
	_, err := out.Write(s.Source())
	return err
}

// printSession shows a document that may be one that cannot be read: it may hold secrets.
func printSession(out io.Writer, name string, text []byte) error {
	parsed, err := session.Parse(name, text)
	if err != nil {
		return fmt.Errorf("session %q is not shown, since it may hold secrets: %w", name, err)
	}
	return ShowSession(out, parsed)
}

// RefuseWrittenSecrets keeps documents from being shown that hold secrets instead of
// letting CAS generate them.
func RefuseWrittenSecrets(documents ...*session.Session) error {
	for _, s := range documents {
		if written := session.WrittenSecrets(s); len(written) > 0 {
			return fmt.Errorf("session %q is not shown: the values of its secrets %s are written in it", s.Name, strings.Join(written, ", "))
		}
	}
	return nil
}
