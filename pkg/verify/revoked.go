package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/session"
)

// Revocation is what was fetched to show that a machine is no longer admitted.
type Revocation struct {
	// ID is the machine's, and Node its name in the cluster.
	ID   attest.PlatformID
	Node string
	// Sessions are those of the release, as the attested CAS holds them.
	Sessions []*session.Session
	// Nodes are the names of those on which pods of the release run.
	Nodes evidence.Fetched[[]string]
	// Start is how a start of the attested client on the node ended.
	Start Start
}

// Start is how a start of the attested client ended. The zero value means that nothing
// is known of it.
type Start struct {
	// Ran means that the client got its secrets, and ended well.
	Ran bool
	// Output is what a client wrote that ended with a failure.
	Output string
	// Problem says why nothing is known.
	Problem string
}

// Revoked judges whether a machine is no longer admitted. That the sessions do not name
// it is the proof; the others are the word of the cluster and of the node, and can only
// accuse.
func Revoked(r Revocation) check.Report {
	var findings check.Report
	for _, s := range r.Sessions {
		findings = append(findings, notAdmitted(s, r.ID))
	}
	if len(r.Sessions) == 0 {
		findings = append(findings, check.Finding{
			ID: "platform-not-admitted", Title: "no service admits the machine", Reason: "the release has no session", Hint: "{verify}",
		})
	}
	return append(findings, idle(r), refused(r))
}

// notAdmitted is the proof: CAS gives nothing to a machine that the session does not
// name, and the session is read from the attested CAS.
func notAdmitted(held *session.Session, id attest.PlatformID) check.Finding {
	f := check.Finding{ID: "platform-not-admitted", Title: fmt.Sprintf("no service of session %s admits the machine", held.Name), Outcome: check.Pass}
	for _, v := range held.Services {
		if got := admits(v, id); got != "" {
			f.Outcome, f.Got, f.Reason, f.Hint = check.Fail, got, "", "{platforms plan}, then {platforms apply}"
			return f
		}
		if reason, hint := undecided(v, id); reason != "" && f.Outcome == check.Pass {
			f.Outcome, f.Reason, f.Hint = check.Skip, reason, hint
		}
	}
	return f
}

// admits says how a service admits the machine; it is empty if it is not seen to.
func admits(v session.Service, id attest.PlatformID) string {
	switch {
	case len(v.Platforms) == 0 && len(v.PlatformSecrets) == 0:
		return "service " + v.Name + " may run anywhere"
	case slices.Contains(v.Platforms, id):
		return "service " + v.Name + " admits it"
	}
	return ""
}

// undecided says why it is not known whether a service admits the machine.
func undecided(v session.Service, id attest.PlatformID) (reason, hint string) {
	switch {
	case slices.ContainsFunc(v.Platforms, func(p attest.PlatformID) bool { return p.Generation() != id.Generation() }):
		return "service " + v.Name + " names machines by IDs of another generation, of which this one has its own", "Give the ID of that generation: {platforms revoked NAME NODE --id ID}."
	case len(v.PlatformSecrets) > 0:
		return "further platforms of service " + v.Name + " are in a secret", "Write them into the session."
	}
	return "", ""
}

// idle asks for pods that run on with what they got before the machine left: CAS takes
// nothing back.
func idle(r Revocation) check.Finding {
	f := check.Finding{ID: "platform-idle", Title: "no pod of the release runs on the node", Outcome: check.Pass}
	switch why := r.Nodes.Why(); {
	case why != "":
		f.Outcome, f.Reason, f.Hint = check.Skip, why, "kubectl get pods -o wide"
	case slices.Contains(r.Nodes.Value, r.Node):
		f.Outcome, f.Reason, f.Hint = check.Fail, "a pod there still has the secrets that it got", "kubectl drain "+r.Node+"; rotate what the machine must not know"
	}
	return f
}

// notPermitted is how CAS refuses a machine, in what SCONE's runtime writes.
const notPermitted = "not permitted"

// refused shows that the refusal reaches the machine. What a pod says is the word of the
// node that runs it: this finding can accuse, and proves nothing alone.
func refused(r Revocation) check.Finding {
	f := check.Finding{ID: "platform-refused", Title: "a start of the attested client on the node is refused", Hint: "kubectl describe node " + r.Node}
	switch s := r.Start; {
	case s.Ran:
		f.Outcome, f.Reason = check.Fail, "it got its secrets and ran"
		f.Hint = "Find out which machine the node is: {platforms}. Its ID may have changed, or belong to another node."
	case strings.Contains(s.Output, notPermitted):
		f.Outcome, f.Hint, f.Reason = check.Pass, "", "the pod says: "+s.Output
	case s.Problem != "":
		f.Reason = s.Problem
	default:
		f.Reason = "it is not known how it ended"
	}
	return f
}
