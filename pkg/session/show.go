package session

import (
	"fmt"
	"io"
	"strings"
)

// Show writes a document as it is, unless RefuseWritten refuses it.
func Show(out io.Writer, s *Session) error {
	if err := RefuseWritten(s); err != nil {
		return err
	}
	_, err := out.Write(s.Source())
	return err
}

// ShowText shows a document that may be one that cannot be read: it may hold secrets.
func ShowText(out io.Writer, name, text string) error {
	s, err := Parse(name, []byte(text))
	if err != nil {
		return fmt.Errorf("session %q is not shown, since it may hold secrets: %w", name, err)
	}
	return Show(out, s)
}

// RefuseWritten keeps documents from being shown into which somebody wrote secrets instead
// of letting CAS generate them.
func RefuseWritten(documents ...*Session) error {
	for _, s := range documents {
		if written := WrittenSecrets(s); len(written) > 0 {
			return fmt.Errorf("session %q is not shown: the values of its secrets %s are written in it", s.Name, strings.Join(written, ", "))
		}
	}
	return nil
}
