// Package verify tells the story of a proof: it takes everything that was fetched
// about a release and appraises it link by link. It fetches nothing itself, and
// what could not be fetched is a Skip, never a pass. The links are a table; what to
// look at and whom to believe comes from what was promised, never from what was seen.
package verify

import (
	"maps"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
	"github.com/confidb/confidb/pkg/witness"
)

// Result is the appraisal of an Observation.
type Result struct {
	// Findings are in the order of the chain.
	Findings check.Report
	// Simulated is true unless everything rests on Intel's root.
	Simulated bool
	// Limitations are what the database does not protect, whatever the findings say.
	Limitations []evidence.Limitation
	// Line is what the user knows of the marks in the database from now on; nil means that
	// nothing new was learned.
	Line *witness.Line
	// Origins says where the inputs of the installation came from, and of which day the
	// collateral is. It is never nil.
	Origins map[string]string
	// Guests are the clients of the user's own: those that may come in, then those that are
	// locked out.
	Guests []Guest
	// Path is the way to several databases, with how each part of it ended.
	Path Path
}

// Appraise judges what was fetched against what was promised. memory is what earlier
// runs have seen, which must not go back.
func Appraise(promised *topology.Release, memory attest.Memory, seen evidence.Observation) Result {
	a := &appraisal{promised: promised.Remembering(), memory: memory, seen: seen, simulated: true, unmet: map[string]string{}, predicates: map[string]*evidence.Predicate{}}
	var findings check.Report
	for _, l := range links() {
		findings = append(findings, a.follow(l)...)
	}
	origins := map[string]string{}
	maps.Copy(origins, promised.Origins)
	if a.collateral != "" {
		origins["collateral of"] = a.collateral
	}
	return Result{Findings: findings, Simulated: a.simulated, Limitations: a.limits(), Line: a.line, Origins: origins, Guests: a.guestList(findings), Path: a.path(findings)}
}

// appraisal is what the judges of one run look at, and what they leave for later ones.
type appraisal struct {
	promised *topology.Release
	memory   attest.Memory
	seen     evidence.Observation

	// unmet says of each link that is not accepted what that means for those that need it.
	unmet       map[string]string
	simulated   bool                           // set by the CAS
	instance    topology.Instance              // the database that is judged, for links of each
	predicates  map[string]*evidence.Predicate // by instance, set by a statement that counts
	front       *evidence.Predicate            // what was seen before several databases, if that counts
	limitations []evidence.Limitation
	line        *witness.Line // what is known of marks from now on
	volumes     []bool        // of each session of a database, whether its files are protected
	objects     *objects      // read once
	collateral  string        // when Intel issued it; set by the CAS
}

// follow judges a link, for each of its members if it is about members.
func (a *appraisal) follow(l link) check.Report {
	if l.In != "" && l.In != a.promised.Architecture || l.Several && !a.several() {
		return nil
	}
	if l.Each {
		return a.followEach(l)
	}
	var findings check.Report
	for _, m := range a.members(l) {
		findings = append(findings, a.judge(l, m)...)
	}
	if len(findings) == 0 && !l.Optional {
		findings = check.Report{skipped(l.ID, l.Title, "the record of this release has no such session", "Restore the record of this release.")}
	}
	if !findings.Verdict().Accepted() {
		a.unmet[l.ID] = l.Unmet
	}
	return findings
}

// members are the sessions for which a link is judged: one that is empty for a link
// that is not about members.
func (a *appraisal) members(l link) []topology.Session {
	if l.Of == "" {
		return []topology.Session{{}}
	}
	var sessions []topology.Session
	for _, m := range a.promised.Members {
		if m.Role == l.Of || l.Of == topology.AnyApplication && m.Role.Application() != "" {
			sessions = append(sessions, m.Session)
		}
	}
	return sessions
}

func (a *appraisal) judge(l link, member topology.Session) check.Report {
	for _, need := range l.Needs {
		if reason, unmet := a.unmetBy(need); unmet {
			return check.Report{skipped(l.ID, l.Title, reason, "See "+need+".")}
		}
	}
	return l.Judge(a, l, member)
}

func skipped(id, title, problem, hint string) check.Finding {
	return check.Finding{ID: id, Title: title, Outcome: check.Skip, Reason: problem, Hint: hint}
}

// compare makes a finding that passes when got equals want.
func compare(id, title, got, want, hint string) check.Finding {
	f := check.Finding{ID: id, Title: title, Got: got, Want: want, Outcome: check.Pass}
	if got != want {
		f.Outcome, f.Hint = check.Fail, hint
		f.Reason = "the two differ"
	}
	return f
}
