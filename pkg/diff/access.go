package diff

import (
	"crypto/sha256"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/session"
)

func (c *comparison) access() {
	a, b := c.from.AccessPolicy, c.to.AccessPolicy
	if a.Fragment != "" || b.Fragment != "" {
		c.changed(a.Fragment == b.Fragment, "people", "may do what another fragment says", "access_policy")
		return
	}
	for _, what := range []struct {
		name     string
		from, to []session.AccessRule
	}{
		{"read", orCreator(a.Read), orCreator(b.Read)},
		{"update", orCreator(a.Update), orCreator(b.Update)},
		{"create_sessions", either(a.CreateSessions, orCreator(a.Update)), either(b.CreateSessions, orCreator(b.Update))},
		{"list_sessions", either(a.ListSessions, orCreator(a.Read)), either(b.ListSessions, orCreator(b.Read))},
	} {
		c.rules(what.name, what.from, what.to)
	}
}

func orCreator(rules []session.AccessRule) []session.AccessRule {
	return either(rules, []session.AccessRule{{Kind: session.AccessCreator}})
}

func either(rules, otherwise []session.AccessRule) []session.AccessRule {
	if len(rules) > 0 {
		return rules
	}
	return otherwise
}

// maxPeople bounds for how many people all groups are tried.
const maxPeople = 12

// rules tries every group of people: those who get in now and did not before, and
// the other way round. The smallest groups are said.
func (c *comparison) rules(action string, from, to []session.AccessRule) {
	at := "access_policy." + action
	var people []string
	for _, r := range slices.Concat(from, to) {
		people = appendPeople(people, r)
	}
	if len(people) > maxPeople {
		c.changed(fmt.Sprint(from) == fmt.Sprint(to), "people", "may "+action+" by other rules, which are too many to compare", at)
		return
	}
	admitted := func(rules []session.AccessRule, group uint) bool {
		return slices.ContainsFunc(rules, func(r session.AccessRule) bool { return admits(r, people, group) })
	}
	for _, group := range smallest(len(people), func(g uint) bool { return admitted(to, g) && !admitted(from, g) }) {
		c.add(Gain, groupText(people, group), "may now "+action, at)
	}
	for _, group := range smallest(len(people), func(g uint) bool { return admitted(from, g) && !admitted(to, g) }) {
		c.add(Loss, groupText(people, group), "may no longer "+action, at)
	}
}

func appendPeople(people []string, r session.AccessRule) []string {
	if r.Kind == session.AccessThreshold {
		for _, o := range r.Of {
			people = appendPeople(people, o)
		}
		return people
	}
	if p := person(r); r.Kind != session.AccessAny && r.Kind != session.AccessNone && !slices.Contains(people, p) {
		people = append(people, p)
	}
	return people
}

// person names whoever fulfils a rule, in a line.
func person(r session.AccessRule) string {
	switch r.Kind {
	case session.AccessCertificate, session.AccessSigner:
		sum := sha256.Sum256([]byte(strings.Join(strings.Fields(r.Text), "\n")))
		return fmt.Sprintf("the %s with SHA-256 %x", r.Kind, sum[:8])
	case session.AccessKeyHash:
		return "the key " + hexLower(r.Text)
	case session.AccessFragment:
		return "whoever " + r.Text + " names"
	}
	return string(r.Kind)
}

// admits reports whether a group, a set of bits, fulfils a rule.
func admits(r session.AccessRule, people []string, group uint) bool {
	switch r.Kind {
	case session.AccessAny:
		return true
	case session.AccessNone:
		return false
	case session.AccessThreshold:
		count := 0
		for _, o := range r.Of {
			if admits(o, people, group) {
				count++
			}
		}
		return count >= r.AtLeast
	}
	return group&(1<<slices.Index(people, person(r))) != 0
}

// smallest are the groups with a property of which no smaller part has it.
func smallest(people int, has func(group uint) bool) []uint {
	var found []uint
	groups := make([]uint, 1<<people)
	for i := range groups {
		groups[i] = uint(i)
	}
	slices.SortStableFunc(groups, func(a, b uint) int { return bits.OnesCount(a) - bits.OnesCount(b) })
	for _, g := range groups {
		part := func(f uint) bool { return g&f == f }
		if !slices.ContainsFunc(found, part) && has(g) {
			found = append(found, g)
		}
	}
	return found
}

func groupText(people []string, group uint) string {
	var members []string
	for i, p := range people {
		if group&(1<<i) != 0 {
			members = append(members, p)
		}
	}
	if len(members) == 0 {
		return "anyone"
	}
	return strings.Join(members, " together with ")
}

// hexLower ignores the case of hexadecimal digits; in base58 it counts.
func hexLower(hash string) string {
	if len(hash) == 64 {
		return strings.ToLower(hash)
	}
	return hash
}
