// Package envelope is about sessions as files carry them and as they are shown: several in
// a file, signed, or in objects of Kubernetes; and without the secrets that somebody wrote
// into one. It does no I/O.
package envelope

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/session"
)

// Show writes a document as it is; where somebody wrote secrets into it, with Hidden in
// their places.
func Show(out io.Writer, s *session.Session) error {
	text := s.Source()
	if written := session.WrittenSecrets(s); len(written) > 0 {
		hidden := hidden(s, len(written))
		if hidden == nil {
			return RefuseWritten(s)
		}
		text = hidden
	}
	_, err := out.Write(text)
	return err
}

// Hidden is shown in place of a secret.
const Hidden = "(not shown)"

// hidden is the document with Hidden in place of each secret that is written in it. It is
// nil if that leaves a secret in the text, or finds fewer than there are.
func hidden(s *session.Session, written int) []byte {
	whole := new(document.Problems).Read(s.Source(), document.Gate{})
	if whole == nil || len(whole.Content) != 1 {
		return nil
	}
	var secrets []string
	hide := func(n *document.Node) {
		if n == nil || n.Kind == document.Scalar && (n.Value == "" || isReference(n.Value)) {
			return
		}
		secrets = append(secrets, scalars(n)...)
		*n = document.Node{Kind: document.Scalar, Tag: "!!str", Value: Hidden, Style: document.DoubleQuoted, LineComment: n.LineComment}
	}
	hideIn(whole.Content[0], "", hide)
	text, err := document.Print(whole)
	if err != nil || len(secrets) < written || slices.ContainsFunc(secrets, func(secret string) bool { return bytes.Contains(text, []byte(secret)) }) {
		return nil
	}
	return text
}

// hideIn hides the secrets in a part of a document: the value of each secret that is not
// public by its kind, and keys and tokens wherever they are. within is the key of the part.
func hideIn(n *document.Node, within string, hide func(*document.Node)) {
	if n.Kind == document.Mapping {
		_, kind := document.Lookup(n, "kind")
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i].Value, n.Content[i+1]
			switch {
			case key == "value" && within == "secrets" && !isPublicKind(kind), key == "token" && within == "import_akv", slices.Contains(secretKeys(), key):
				hide(value)
			default:
				hideIn(value, key, hide)
			}
		}
		return
	}
	for _, c := range n.Content {
		hideIn(c, within, hide)
	}
}

func isPublicKind(kind *document.Node) bool {
	return kind != nil && slices.Contains([]session.Kind{session.PublicKey, session.X509CA, session.X509}, session.Kind(kind.Value))
}

// secretKeys are the keys of the language whose values are keys or tokens.
func secretKeys() []string {
	return []string{"fspf_key", "one_time_password_shared_secret", "service_access_token", "decryption_key", "application_secret"}
}

// isReference reports whether a value is a placeholder, which CAS fills in.
func isReference(text string) bool {
	return strings.HasPrefix(text, "$$SCONE::") && strings.HasSuffix(text, "$$")
}

// scalars are the texts of a value.
func scalars(n *document.Node) []string {
	if n.Kind == document.Scalar {
		return []string{n.Value}
	}
	var all []string
	for _, c := range n.Content {
		all = append(all, scalars(c)...)
	}
	return all
}

// ShowText shows a document that may be one that cannot be read: it may hold secrets.
func ShowText(out io.Writer, name, text string) error {
	s, err := session.Parse(name, []byte(text))
	if err != nil {
		return fmt.Errorf("session %q is not shown, since it may hold secrets: %w", name, err)
	}
	return Show(out, s)
}

// RefuseWritten keeps documents from being passed on into which somebody wrote secrets
// instead of letting CAS generate them.
func RefuseWritten(documents ...*session.Session) error {
	for _, s := range documents {
		if written := session.WrittenSecrets(s); len(written) > 0 {
			return fmt.Errorf("session %q is not shown: the values of its secrets %s are written in it", s.Name, strings.Join(written, ", "))
		}
	}
	return nil
}
