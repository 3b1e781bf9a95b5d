package change

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/diff"
	"github.com/confidb/confidb/pkg/document"
	"github.com/confidb/confidb/pkg/session"
)

// Sets is what replacing the sessions of one set by those of another means.
type Sets struct {
	Verdict diff.Verdict `json:"verdict"`
	// Sessions are those that both have, in the order of the new set.
	Sessions []Named `json:"sessions"`
	// Added and Missing are the names of those that only the new set has, and only the old.
	Added   []string `json:"added"`
	Missing []string `json:"missing"`
}

// Named is the change of the session of a name.
type Named struct {
	Name string `json:"name"`
	Change
}

// Widens reports whether somebody gains something, or may.
func (s Sets) Widens() bool { return s.Verdict == diff.Widened || s.Verdict == diff.Incomparable }

// Between compares two sets of sessions, which refer to each other and to the rest: each
// with that of the same name, or one with one, whatever they are called. An added session
// gives somebody something. CAS would keep one that is missing, and the new set does not say
// as what: that is neither more nor less. A name that is in a set twice is an error.
func Between(from, to, rest []*session.Session) (Sets, error) {
	s := Sets{Sessions: []Named{}, Added: []string{}, Missing: []string{}}
	before, err := byName(from)
	if err != nil {
		return s, err
	}
	now, err := byName(to)
	if err != nil {
		return s, err
	}
	if len(from) == 1 && len(to) == 1 {
		before[to[0].Name], now[from[0].Name] = from[0], to[0]
	}
	oldSet, newSet := slices.Concat(from, rest), slices.Concat(to, rest)
	var all []diff.Change
	for _, one := range to {
		earlier := before[one.Name]
		if earlier == nil {
			s.Added = append(s.Added, document.Unblank(one.Name))
			all = append(all, diff.Change{Kind: diff.Gain})
			continue
		}
		c := unblanked(Change{diff.CompareIn(earlier, one, oldSet, newSet), append([]diff.Effect{}, diff.Impact(earlier, one)...)})
		s.Sessions, all = append(s.Sessions, Named{document.Unblank(one.Name), c}), append(all, c.Changes...)
	}
	for _, one := range from {
		if now[one.Name] == nil {
			s.Missing = append(s.Missing, document.Unblank(one.Name))
			all = append(all, diff.Change{Kind: diff.Other})
		}
	}
	s.Verdict = diff.Weigh(all)
	return s, nil
}

func byName(all []*session.Session) (map[string]*session.Session, error) {
	named := map[string]*session.Session{}
	for _, s := range all {
		if other := named[s.Name]; other != nil {
			return nil, fmt.Errorf("got the session %q twice: %s and %s", document.Unblank(s.Name), other.Where("name"), s.Where("name"))
		}
		named[s.Name] = s
	}
	return named, nil
}

// unblanked writes what stands for a value of a template as it is written there.
func unblanked(c Change) Change {
	for i := range c.Changes {
		for _, text := range []*string{&c.Changes[i].Who, &c.Changes[i].What, &c.Changes[i].Path} {
			*text = document.Unblank(*text)
		}
	}
	for i := range c.Effects {
		c.Effects[i].Secret, c.Effects[i].Why = document.Unblank(c.Effects[i].Secret), document.Unblank(c.Effects[i].Why)
		for j, who := range c.Effects[i].Hit {
			c.Effects[i].Hit[j] = document.Unblank(who)
		}
	}
	return c
}
