package verify

import (
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

// judgeVolumes asks whether the session keeps the files of the database from whoever
// has the volume. A folder in the host's memory is the host's as well: it counts as
// unprotected, unless the session has a volume there.
func judgeVolumes(a *appraisal, l link, promised topology.Session) check.Report {
	parsed, err := session.Parse(promised.Name, []byte(promised.Text))
	if err != nil {
		return check.Report{skipped(l.ID, l.Title, err.Error(), "Restore the record of this release.")}
	}
	f, protected := a.onVolumes(l, parsed)
	a.volumes = append(a.volumes, protected)
	return check.Report{f}
}

// onVolumes judges where the servers among the services of a session keep their files.
func (a *appraisal) onVolumes(l link, parsed *session.Session) (f check.Finding, protected bool) {
	f = check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Pass}
	problems := lint.UnprotectedPaths(parsed)
	switch {
	case len(problems) == 0:
	case slices.Contains(a.promised.Trust.Deviations, attest.UnprotectedVolume):
		f.Outcome, f.Reason = check.Warn, strings.Join(problems, "; ")+": the policy accepts "+string(attest.UnprotectedVolume)
	default:
		f.Outcome, f.Reason = check.Fail, strings.Join(problems, "; ")
		f.Hint = "Put datadir and tmpdir on volumes of the session with files: encrypted and update_policy: rollback_protected (tmpdir: or ephemeral), as our template does."
	}
	return f, len(problems) == 0
}

// onVolume are limitations of MariaDB's own encryption: they are nobody's chance where
// the volume is protected.
func onVolume() []string {
	return []string{"clear-aria-log", "clear-temporary-tables", "clear-definitions", "clear-master-info", "stale-memory", "clear-metadata", "no-integrity", "no-rollback-protection"}
}

// limits are what is not claimed: restores that were accepted, and what the database does
// not protect.
func (a *appraisal) limits() []evidence.Limitation {
	return append(append(a.restores(), a.beforeThem()...), a.unprotected()...)
}

// unprotected is what the database does not protect: of what the probe says, that which is
// true with the volumes of the session.
func (a *appraisal) unprotected() []evidence.Limitation {
	if len(a.predicates) == 0 {
		return a.limitations
	}
	if len(a.volumes) == 0 || slices.Contains(a.volumes, false) {
		return append([]evidence.Limitation{{ID: "unprotected-volume", Text: "Whoever writes the volume runs SQL with every right and reads everything."}}, a.limitations...)
	}
	left := slices.DeleteFunc(slices.Clone(a.limitations), func(l evidence.Limitation) bool { return slices.Contains(onVolume(), l.ID) })
	return append([]evidence.Limitation{
		{ID: "rollback-after-kill", Text: "After a kill, the volume can be put back unnoticed to what it held at an earlier moment since the last tag that CAS has of it. If that was before your last verification, the next one notices (data-01)."},
		{ID: "clear-error-log", Text: "The error log is in the pod's output, in clear."},
	}, left...)
}
