// Package change says what replacing a session does, and judges whether it may be
// done: a session plan with its signatures, a plan for the machines that the sessions
// of a release admit, and the way back from one. It reads what was fetched and does no
// I/O; randomness is passed in.
package change

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/session"
)

// Change is what replacing one version of a session by another means.
type Change struct {
	diff.Diff
	// Effects are what it does to secrets, the kept ones too.
	Effects []diff.Effect `json:"effects"`
}

// New compares two versions of a session that refers to others.
func New(from, to *session.Session, others ...*session.Session) Change {
	return Change{diff.Compare(from, to, others...), append([]diff.Effect{}, diff.Impact(from, to)...)}
}

// Widens reports whether somebody gains something, or may.
func (c Change) Widens() bool { return c.Verdict == diff.Widened || c.Verdict == diff.Incomparable }

// Breaks names the secrets without which what runs now cannot go on.
func (c Change) Breaks() []string {
	var names []string
	for _, e := range c.Effects {
		if e.Breaks {
			names = append(names, e.Secret)
		}
	}
	return names
}

// refuse is a *ReissueError if the change breaks something.
func (c Change) refuse() error {
	if broken := c.Breaks(); len(broken) > 0 {
		return &ReissueError{broken}
	}
	return nil
}

// Version is a version of a session as CAS holds it, parsed once.
type Version struct {
	// Hash identifies the version: 64 hexadecimal digits that CAS computed.
	Hash string
	// Session is the document; its Source is the text that CAS has.
	Session *session.Session
}

// ReadVersion parses what CAS answered when it was asked for the session of a name.
func ReadVersion(name string, stored *session.Stored) (Version, error) {
	parsed, err := session.Parse(name, []byte(stored.Text))
	if err != nil {
		return Version{}, fmt.Errorf("reading the session that CAS holds: %w", err)
	}
	if parsed.Name != name {
		return Version{}, fmt.Errorf("reading the session that CAS holds: got session %q, want %q", parsed.Name, name)
	}
	return Version{stored.Hash, parsed}, nil
}

// Is reports whether this is the version that a hash names, in any case of digits.
func (v Version) Is(hash string) bool { return v.Hash != "" && strings.EqualFold(v.Hash, hash) }

// Text is the text that CAS has.
func (v Version) Text() string { return string(v.Session.Source()) }

// successor is a copy of a document, ready to replace this version: without the
// creator, which nobody may upload, and with this version as its predecessor.
func (v Version) successor(document *session.Session) (*session.Session, error) {
	if v.Hash == "" { // which would take the predecessor out
		return nil, fmt.Errorf("session %q: the hash of the version that CAS has is not known", document.Name)
	}
	next := *document // the copy is edited as a whole, and the document stays as it is
	if err := next.DropCreator(); err != nil {
		return nil, err
	}
	if err := next.SetPredecessor(v.Hash); err != nil {
		return nil, err
	}
	return &next, nil
}

// Update is the replacement of the version that CAS has.
type Update struct {
	// Held is what CAS has, and To the document that replaces it: with its predecessor,
	// and without creator.
	Held Version
	To   *session.Session
	Change
}

// NewUpdate works out what replacing the version that CAS has by a document does. The
// document stays as it is; it may be one that CAS has printed.
func NewUpdate(held Version, wanted *session.Session) (*Update, error) {
	to, err := held.successor(wanted)
	if err != nil {
		return nil, err
	}
	return &Update{held, to, New(held.Session, to)}, nil
}

// Same reports whether both do exactly the same, so that whoever has seen one has seen
// the other. Equal words are not enough: some say that a value changes, and not to what.
func (u *Update) Same(other *Update) bool {
	return session.Equal(u.Held.Session, other.Held.Session) && session.Equal(u.To, other.To) && reflect.DeepEqual(u.Change, other.Change)
}

// Refuse is a *ReissueError if the update would break what runs.
func (u *Update) Refuse() error { return u.refuse() }

// ReissueError means that an update would break what runs now.
type ReissueError struct{ Secrets []string }

func (e *ReissueError) Error() string {
	return fmt.Sprintf("nothing was changed: the update would replace %s, which something uses now", strings.Join(e.Secrets, ", "))
}

// Hint says how to keep them, or to go on.
func (e *ReissueError) Hint() string {
	return "Keep private keys with migrate: true in both versions, and kinds and sizes as they are. If the loss is intended: {session update FILE --allow-reissue}."
}

// MovedError means that a session is not what it was when somebody looked.
type MovedError struct {
	Name string
	// Again is the command that plans again, such as {session plan}. It is empty for
	// an update that was shown and not planned.
	Again string
}

func (e *MovedError) Error() string {
	if e.Again == "" {
		return fmt.Sprintf("session %q was changed meanwhile, so the update would do something else than was shown: nothing was changed", e.Name)
	}
	return fmt.Sprintf("session %q was changed meanwhile, so it is not the version that the plan replaces: it was left as it is", e.Name)
}

// Hint says how to go on.
func (e *MovedError) Hint() string {
	if e.Again == "" {
		return "Look at the new difference and decide again: {session diff}."
	}
	return "Look at the session and make the plan again: " + e.Again + "."
}

// NoSessionError means that there is nothing to update.
type NoSessionError struct{ Name string }

func (e *NoSessionError) Error() string {
	return fmt.Sprintf("CAS has no session %q that you may read", e.Name)
}

// Hint says how to make one.
func (e *NoSessionError) Hint() string {
	return "Check the name; {session create} makes a new session."
}
