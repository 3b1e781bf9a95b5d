package lint

import (
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/session"
)

//go:noinline
func findAny(key string, list func(session.AccessPolicy) []session.AccessRule) finder {
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

func findUnsaidCreators(in *input) []hit {
	if in.AccessPolicy.Fragment != "" || in.Has("access_policy.create_sessions") {
		return nil
	}
	return []hit{{path: "access_policy.create_sessions", got: "no create_sessions"}}
}
