// Package verify tells the story of a proof: it takes everything that was fetched
// about a release and appraises it link by link. It fetches nothing itself, and
// what could not be fetched is a Skip, never a pass.
package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/cas"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/record"
	"github.com/confidb/confidb/pkg/session"
)

// Fetched is a value, or the error that kept it from being fetched.
type Fetched[T any] struct {
	Value T
	Err   error
}

// Fetch makes a Fetched of what a function returned.
func Fetch[T any](value T, err error) Fetched[T] { return Fetched[T]{value, err} }

// HelmRelease is what Helm says of the release.
type HelmRelease struct {
	// Status is Helm's word, such as deployed.
	Status string
	// Revision counts from 1.
	Revision int
}

// Container is one container of a running pod of the release.
type Container struct {
	// Pod and Name say which one it is.
	Pod, Name string
	// Environment are the variables that its specification sets to a fixed value.
	Environment map[string]string
	// Init marks a container that ran before the others.
	Init bool
}

// Observation is everything that was fetched about a release.
type Observation struct {
	// Nonce was given to the probe of this run.
	Nonce string
	// At is when the fetching ended.
	At time.Time

	Platforms               Fetched[[]attest.PlatformID]
	CAS                     Fetched[*cas.Attested]
	Owner, Client, Database Fetched[*cas.StoredSession]
	// DatabaseCA and StatementKey are PEM texts that the attested CAS exports.
	DatabaseCA, StatementKey Fetched[string]
	Release                  Fetched[*HelmRelease]
	Containers               Fetched[[]Container]
	// Statement is the signed envelope that the probe printed.
	Statement Fetched[[]byte]
}

// Result is the appraisal of an Observation.
type Result struct {
	// Findings are in the order of the chain.
	Findings check.Report
	// Simulated is true unless everything rests on Intel's root.
	Simulated bool
	// Limitations are what the database does not protect, whatever the findings say.
	Limitations []evidence.Limitation
	// Origins says where the inputs of the installation came from.
	Origins map[string]string
}

// Appraise judges what was fetched against what was promised.
func Appraise(promised *record.Release, seen Observation) Result {
	result := Result{Simulated: true, Origins: promised.Origins}
	add := func(findings ...check.Finding) { result.Findings = append(result.Findings, findings...) }

	add(platforms(promised, seen.Platforms))
	if seen.CAS.Err != nil {
		add(skipped("cas-attested", "the CAS is a genuine, current enclave that the policy accepts", seen.CAS.Err, "kubectl confidb attest cas"))
	} else {
		add(seen.CAS.Value.Findings...)
		result.Simulated = seen.CAS.Value.Simulated
	}
	trusted := seen.CAS.Err == nil && seen.CAS.Value.Findings.Verdict().Accepted()
	if !trusted {
		// what an untrusted CAS says is worth nothing
		distrust := fmt.Errorf("the CAS is not proven, so its answers prove nothing")
		seen.Owner.Err, seen.Client.Err, seen.Database.Err = distrust, distrust, distrust
		seen.DatabaseCA.Err, seen.StatementKey.Err = distrust, distrust
	}
	if promised.Owner.Name != "" {
		add(sessionUnchanged("session-namespace", promised.Owner, seen.Owner))
	}
	add(sessionUnchanged("session-client", promised.Client, seen.Client))
	add(sessionUnchanged("session-database", promised.Database, seen.Database))
	add(sessionStrength("client", promised.Client)...)
	add(sessionStrength("database", promised.Database)...)
	add(releaseDeployed(seen.Release))
	add(releaseUnderSession(promised, seen.Containers))
	findings, limitations := statement(promised, seen)
	add(findings...)
	result.Limitations = limitations
	return result
}

func skipped(id, title string, err error, hint string) check.Finding {
	return check.Finding{ID: id, Title: title, Outcome: check.Skip, Reason: err.Error(), Hint: hint}
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

func platforms(promised *record.Release, seen Fetched[[]attest.PlatformID]) check.Finding {
	const id, title = "platforms-current", "the sessions admit exactly the SGX nodes that the cluster has"
	if seen.Err != nil {
		return skipped(id, title, seen.Err, "kubectl confidb platforms")
	}
	var got, want []string
	for _, p := range seen.Value {
		got = append(got, canonical(p.String()))
	}
	for _, p := range promised.Platforms {
		want = append(want, canonical(p))
	}
	slices.Sort(got)
	slices.Sort(want)
	f := compare(id, title, strings.Join(slices.Compact(got), " "), strings.Join(slices.Compact(want), " "),
		"kubectl confidb platforms diff NAME says what changed; kubectl confidb platforms plan lets the sessions follow")
	if f.Outcome == check.Pass {
		f.Reason = "the platform IDs of the nodes are claims of the cluster"
	}
	return f
}

// canonical makes platform IDs comparable: the case of hexadecimal digits means nothing.
func canonical(id string) string { return strings.ToUpper(id) }

func sessionUnchanged(id string, promised record.Session, seen Fetched[*cas.StoredSession]) check.Finding {
	title := fmt.Sprintf("session %s in CAS is the one that was created", promised.Name)
	if promised.Hash == "" {
		return skipped(id, title, fmt.Errorf("the hash of what was created is not recorded"), "kubectl confidb install again: it continues where it stopped")
	}
	if seen.Err != nil {
		return skipped(id, title, seen.Err, "kubectl confidb session get "+promised.Name)
	}
	f := compare(id, title, strings.ToLower(seen.Value.Hash), strings.ToLower(promised.Hash),
		"kubectl confidb session get "+promised.Name+" shows what CAS holds now; find out who changed it")
	if f.Outcome != check.Pass {
		return f
	}
	ours, err := session.Parse(promised.Name, []byte(promised.Text))
	if err != nil {
		return skipped(id, title, fmt.Errorf("reading the recorded session: %w", err), "restore the record of this release")
	}
	theirs, err := session.Parse(promised.Name, []byte(seen.Value.Text))
	if err != nil || !session.Equal(ours, theirs) {
		f.Outcome, f.Reason, f.Hint = check.Fail, "the hash is the same and the document is not", "kubectl confidb session get "+promised.Name
	}
	return f
}

// sessionStrength asks whether the session demands what the proof rests on.
func sessionStrength(which string, promised record.Session) []check.Finding {
	parsed, err := session.Parse(promised.Name, []byte(promised.Text))
	if err != nil {
		return []check.Finding{skipped(which+"-session-policy", "the "+which+" session demands attested enclaves on listed platforms", err, "restore the record of this release")}
	}
	findings := lint.Strength(parsed)
	for i := range findings {
		findings[i].ID = which + "-" + findings[i].ID
	}
	return findings
}

func releaseDeployed(seen Fetched[*HelmRelease]) check.Finding {
	const id, title = "release-deployed", "the Helm release is deployed"
	if seen.Err != nil {
		return skipped(id, title, seen.Err, "helm status shows what Helm knows")
	}
	return compare(id, title, seen.Value.Status, "deployed", "kubectl confidb install again: it continues where it stopped")
}

func releaseUnderSession(promised *record.Release, seen Fetched[[]Container]) check.Finding {
	const id, title = "release-session", "every pod of the release runs under the database session and this CAS"
	if seen.Err != nil {
		return skipped(id, title, seen.Err, "kubectl get pods")
	}
	if len(seen.Value) == 0 {
		return skipped(id, title, fmt.Errorf("the release has no pod"), "kubectl get pods,events")
	}
	f := check.Finding{ID: id, Title: title, Outcome: check.Pass, Reason: "what a pod's specification says is a claim of the cluster; the certificate below is the proof"}
	for _, c := range seen.Value {
		for _, v := range []struct{ name, got, want string }{
			{"SCONE_CONFIG_ID", serviceless(c.Environment["SCONE_CONFIG_ID"], promised.Database.Name), promised.Database.Name},
			{"SCONE_CAS_ADDR", c.Environment["SCONE_CAS_ADDR"], promised.CASAddress},
		} {
			if v.got != v.want {
				f.Outcome, f.Got, f.Want = check.Fail, v.got, v.want
				f.Reason = fmt.Sprintf("container %s of pod %s has another %s", c.Name, c.Pod, v.name)
				f.Hint = "helm upgrade or kubectl edit changed it: install again with confidb"
				return f
			}
		}
	}
	return f
}

// serviceless cuts the service from a SCONE_CONFIG_ID of the session.
func serviceless(configID, session string) string {
	if rest, ok := strings.CutPrefix(configID, session+"/"); ok && !strings.Contains(rest, "/") {
		return session
	}
	return configID
}
