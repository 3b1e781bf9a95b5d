// Package diff says what a change of a session means: which enclaves, machines,
// people and sessions gain or lose what, and what the change does to keys and
// certificates. It is pure, and does not know the CAS that would enforce it.
package diff

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/session"
)

// Kind is what a change does to the power of somebody.
type Kind string

// The kinds of a change.
const (
	// Gain lets somebody do or see more.
	Gain Kind = "gain"
	// Loss lets somebody do or see less.
	Loss Kind = "loss"
	// Other does something that is neither more nor less, such as another command.
	Other Kind = "other"
)

// Change is one difference by its meaning.
type Change struct {
	Kind Kind `json:"kind"`
	// Who gains, loses or changes: service db, people who may update, session ../client.
	Who string `json:"who"`
	// What is a clause that goes on after Who.
	What string `json:"what"`
	// Path is the place in the new document, of a loss in the old one.
	Path string `json:"path"`
}

// Verdict is the relation of the new document to the old one.
type Verdict string

// The verdicts.
const (
	// Equal means that nothing changes.
	Equal Verdict = "equal"
	// Widened means that some gain and nobody loses.
	Widened Verdict = "widened"
	// Narrowed means that some lose and nobody gains.
	Narrowed Verdict = "narrowed"
	// Incomparable means both, or a change that is neither.
	Incomparable Verdict = "incomparable"
)

// Diff is what a change means.
type Diff struct {
	Verdict Verdict  `json:"verdict"`
	Changes []Change `json:"changes"`
}

// Compare says what changes from one document to another. What it cannot weigh is a
// change of the kind Other, so nothing is narrower by mistake.
//
// References of the policy to secrets are followed, in the document itself and in the
// others. What one leads to that is not known may be anything: unless both documents
// leave the same to the same secret, that is a change of the kind Other.
func Compare(from, to *session.Session, others ...*session.Session) Diff {
	return CompareIn(from, to, others, others)
}

// CompareIn is Compare for documents of two sets: the references of each are followed among
// the sessions of its own.
func CompareIn(from, to *session.Session, oldSet, newSet []*session.Session) Diff {
	before, openBefore := applied(from, oldSet)
	now, open := applied(to, newSet)
	c := &comparison{from: before, to: now}
	c.added, c.removed = without(c.to.secrets, c.from.secrets), without(c.from.secrets, c.to.secrets)
	c.document()
	c.unclear(openBefore, open)
	c.security()
	c.services()
	c.secrets()
	c.volumes()
	c.images()
	c.access()
	if len(c.changes) == 0 && !session.Equal(from, to) && !session.Equal(before.Session, now.Session) {
		c.add(Other, "the session", "changes in a way that is not known here", "")
	}
	return Diff{Weigh(c.changes), append([]Change{}, c.changes...)}
}

type comparison struct {
	from, to       *view
	added, removed []string // names of secrets that only one of them has
	changes        []Change
}

func (c *comparison) add(kind Kind, who, what, path string) {
	c.changes = append(c.changes, Change{kind, who, what, path})
}

// Weigh is the verdict of changes.
func Weigh(changes []Change) Verdict {
	has := func(kind Kind) bool {
		return slices.ContainsFunc(changes, func(x Change) bool { return x.Kind == kind })
	}
	switch gain, loss := has(Gain), has(Loss); {
	case len(changes) == 0:
		return Equal
	case has(Other) || gain && loss:
		return Incomparable
	case gain:
		return Widened
	}
	return Narrowed
}

// set says what of two sets is only in one of them.
func (c *comparison) set(who, path string, from, to []string, gained, lost string) {
	for _, x := range without(to, from) {
		c.add(Gain, who, fmt.Sprintf(gained, x), path)
	}
	for _, x := range without(from, to) {
		c.add(Loss, who, fmt.Sprintf(lost, x), path)
	}
}

// without are those of all that are not among the others.
func without(all, others []string) []string {
	among := make(map[string]bool, len(others))
	for _, x := range others {
		among[x] = true
	}
	var left []string
	for _, x := range all {
		if !among[x] {
			left = append(left, x)
		}
	}
	return left
}

// changed is for what can only be equal or not.
func (c *comparison) changed(equal bool, who, what, path string) {
	if !equal {
		c.add(Other, who, what, path)
	}
}

// lock is for a condition that keeps some out: without it more get in.
func (c *comparison) lock(from, to, who, what, path string) {
	switch {
	case from == to:
	case from == "":
		c.add(Loss, who, "must now fulfil "+what, path)
	case to == "":
		c.add(Gain, who, "no longer must fulfil "+what, path)
	default:
		c.add(Other, who, "must fulfil another "+what, path)
	}
}

// named pairs what has the same name in both documents.
func named[T any](from, to []T, name func(T) string, both func(i int, old, new T), added func(i int, new T), removed func(i int, old T)) {
	before, now := byName(from, name), byName(to, name)
	for i, x := range to {
		if j, was := before[name(x)]; was {
			both(i, from[j], x)
		} else {
			added(i, x)
		}
	}
	for i, x := range from {
		if _, is := now[name(x)]; !is {
			removed(i, x)
		}
	}
}

// byName is the index of the first of each name.
func byName[T any](all []T, name func(T) string) map[string]int {
	index := make(map[string]int, len(all))
	for i, x := range all {
		if _, twice := index[name(x)]; !twice {
			index[name(x)] = i
		}
	}
	return index
}

func (c *comparison) document() {
	c.changed(c.from.Version == c.to.Version, "the session", fmt.Sprintf("is written in language %s instead of %s", c.to.Version, c.from.Version), "version")
	c.changed(c.from.Name == c.to.Name, "the session", fmt.Sprintf("is %q instead of %q: another session", c.to.Name, c.from.Name), "name")
	c.changed(same(c.from.NamespaceHash, c.to.NamespaceHash), "the session", "is made under another version of its namespace", "namespace_hash")
	c.changed(same(c.from.Salt, c.to.Salt), "the session", "has another salt", "salt")
	c.changed(equalAny(c.from.SecretConfig, c.to.SecretConfig), "the session", "has another secret_config", "secret_config")
}
