package lint

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/session"
)

func accessRules() []rule {
	return []rule{
		{Rule{
			"CDB4001", "read-any", Error, "anybody may read the session",
			"The measurements, platforms, file contents and names of the session are public, and with them everything that is written in it.",
			"Somebody learns what exactly to attack, and reads values that were written in the document.",
			"Write CREATOR, a certificate or a key hash.",
		}, findAny("read", func(p session.AccessPolicy) []session.AccessRule { return p.Read })},
		{Rule{
			"CDB4002", "update-any", Fatal, "anybody may change the session",
			"Who may change a session decides which program gets its secrets.",
			"Somebody adds the measurement of a program of his own and gets the keys of the database.",
			"Write CREATOR, a certificate or a key hash, or require-all of several.",
		}, findAny("update", func(p session.AccessPolicy) []session.AccessRule { return p.Update })},
		{Rule{
			"CDB4003", "create-any", Error, "anybody may create sessions in the namespace",
			"Others claim names below this session, also those to which secrets are exported.",
			"Somebody creates the session to which a secret is exported, before you do.",
			"Write NONE, CREATOR, a certificate or a key hash.",
		}, findAny("create_sessions", func(p session.AccessPolicy) []session.AccessRule { return p.CreateSessions })},
		{Rule{
			"CDB4004", "list-any", Warning, "anybody may list the sessions of the namespace",
			"Names that nobody can guess are shown.",
			"Somebody learns the names of sessions and asks CAS for them.",
			"Write NONE, CREATOR, a certificate or a key hash.",
		}, findAny("list_sessions", func(p session.AccessPolicy) []session.AccessRule { return p.ListSessions })},
		{Rule{
			"CDB4005", "one-person-updates", Note, "one person alone may change the session",
			"CREATOR, which is the default, and each single key or certificate can replace the measurement and the platforms.",
			"Whoever steals that one key, or compels its holder, gets the keys of the database.",
			"Write require-all or require-at-least-2 with the keys of several people.",
		}, findLonelyUpdate},
		{Rule{
			"CDB4006", "threshold-of-one", Error, "a threshold is met by one person",
			"require-at-least-1, require-all of one, or the same key more than once look like several people and are one.",
			"Whoever steals that one key does what should need several.",
			"Write require-at-least-2 or more, with different keys.",
		}, findWeakThreshold},
		{Rule{
			"CDB4007", "create-default", Note, "who may create sessions below this one is not said",
			"It is then whoever may update the session.",
			"none known: the right is wider than many expect",
			"Write create_sessions: NONE unless the session is a namespace.",
		}, func(in *input) []hit {
			if in.AccessPolicy.Fragment != "" || in.Has("access_policy.create_sessions") {
				return nil
			}
			return []hit{{path: "access_policy.create_sessions", got: "no create_sessions"}}
		}},
	}
}

func findAny(key string, list func(session.AccessPolicy) []session.AccessRule) func(*input) []hit {
	return func(in *input) []hit {
		if !slices.ContainsFunc(list(in.AccessPolicy), func(r session.AccessRule) bool { return r.Any(session.AccessAny) }) {
			return nil
		}
		return []hit{{path: "access_policy." + key, got: key + ": ANY"}}
	}
}

// people are the single keys, certificates and signers in rules.
func people(rules []session.AccessRule) []session.AccessRule {
	var all []session.AccessRule
	for _, r := range rules {
		if r.Kind == session.AccessThreshold {
			all = append(all, people(r.Of)...)
		} else {
			all = append(all, r)
		}
	}
	return all
}

// permits reports whether one person alone meets a rule.
func permits(r, person session.AccessRule) bool {
	if r.Kind != session.AccessThreshold {
		return r.Kind == session.AccessAny || r.Kind != session.AccessNone && r.Kind == person.Kind && r.Text == person.Text
	}
	met := 0
	for _, o := range r.Of {
		if permits(o, person) {
			met++
		}
	}
	return met >= r.AtLeast
}

// metByOne reports whether some single person meets a rule. Two keys of one person
// cannot be told from those of two.
func metByOne(r session.AccessRule) bool {
	return slices.ContainsFunc(people([]session.AccessRule{r}), func(p session.AccessRule) bool { return permits(r, p) })
}

func findLonelyUpdate(in *input) []hit {
	if in.AccessPolicy.Fragment != "" {
		return nil
	}
	const path = "access_policy.update"
	if len(in.AccessPolicy.Update) == 0 {
		return []hit{{path: path, got: "no update, so CREATOR"}}
	}
	var hits []hit
	for i, r := range in.AccessPolicy.Update {
		if r.Kind != session.AccessThreshold && r.Kind != session.AccessNone && r.Kind != session.AccessAny {
			hits = append(hits, hit{path: fmt.Sprintf("%s[%d]", path, i), got: "update: " + string(r.Kind)})
		}
	}
	return hits
}

func findWeakThreshold(in *input) []hit {
	var hits []hit
	p := in.AccessPolicy
	for _, list := range []struct {
		key   string
		rules []session.AccessRule
	}{{"read", p.Read}, {"update", p.Update}, {"create_sessions", p.CreateSessions}, {"list_sessions", p.ListSessions}} {
		for i, r := range list.rules {
			if r.Kind == session.AccessThreshold && metByOne(r) {
				hits = append(hits, hit{path: fmt.Sprintf("access_policy.%s[%d]", list.key, i), got: fmt.Sprintf("%s: %d of %d, which one key meets", list.key, r.AtLeast, len(r.Of))})
			}
		}
	}
	return hits
}
