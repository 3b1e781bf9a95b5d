// Package verify tells the story of a proof: it takes everything that was fetched
// about a release and appraises it link by link. It fetches nothing itself, and
// what could not be fetched is a Skip, never a pass.
package verify

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/topology"
)

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

// Appraise judges what was fetched against what was promised. memory is what earlier
// runs have seen, which must not go back.
func Appraise(promised *topology.Release, memory attest.Memory, seen evidence.Observation) Result {
	result := Result{Simulated: true, Origins: promised.Origins}
	add := func(findings ...check.Finding) { result.Findings = append(result.Findings, findings...) }

	add(platforms(promised, seen.Platforms))
	cas := appraiseCAS(promised, memory, seen)
	add(cas.Findings...)
	result.Simulated = cas.Simulated
	if !cas.Findings.Verdict().Accepted() { // what an untrusted CAS says is worth nothing
		const distrust = "the CAS is not proven, so its answers prove nothing"
		seen.Sessions = map[string]evidence.Fetched[session.Stored]{}
		for _, m := range promised.Members {
			seen.Sessions[m.Session.Name] = evidence.Missing[session.Stored](distrust)
		}
		seen.DatabaseCA, seen.StatementKey = evidence.Missing[string](distrust), evidence.Missing[string](distrust)
	}
	held := func(role topology.Role) (topology.Session, evidence.Fetched[session.Stored]) {
		s := promised.Session(role)
		return s, seen.Sessions[s.Name]
	}
	if owner, stored := held(topology.Namespace); owner.Name != "" {
		add(sessionUnchanged("session-namespace", owner, stored))
	}
	client, stored := held(topology.Client)
	add(sessionUnchanged("session-client", client, stored))
	database, stored := held(topology.Database)
	add(sessionUnchanged("session-database", database, stored))
	for _, m := range promised.Members {
		if m.Role != topology.Namespace {
			add(sessionStrength(string(m.Role), m.Session)...)
		}
	}
	add(releaseDeployed(seen.Release))
	add(releaseUnderSession(promised, seen.Containers))
	findings, limitations := statement(promised, seen)
	add(findings...)
	result.Limitations = limitations
	return result
}

// appraiseCAS appraises the evidence of the CAS by what was promised: that of the
// observation does not say whom to believe.
func appraiseCAS(promised *topology.Release, memory attest.Memory, seen evidence.Observation) *attest.Appraisal {
	unproven := func(problem string) *attest.Appraisal {
		return &attest.Appraisal{Simulated: true, Findings: check.Report{
			skipped("cas-attested", "the CAS is a genuine, current enclave that the policy accepts", problem, "kubectl confidb attest cas"),
		}}
	}
	if problem := seen.CAS.Why(); problem != "" {
		return unproven(problem)
	}
	pin := seen.CAS.Value.Pin
	pin.Address, pin.Trust = promised.CASAddress, promised.Trust
	var peer []*x509.Certificate
	for _, der := range seen.CAS.Value.Peer {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return unproven("reading the certificates of the TLS peer: " + err.Error())
		}
		peer = append(peer, c)
	}
	a, err := pin.AppraiseWithPeer(peer, seen.At)
	if err != nil {
		return unproven(err.Error())
	}
	a.Findings = append(a.Findings, memory.Judge(a.Result, pin.Trust.RootCA, seen.At)...)
	return a
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

func platforms(promised *topology.Release, seen evidence.Fetched[[]attest.PlatformID]) check.Finding {
	const id, title = "platforms-current", "the sessions admit exactly the SGX nodes that the cluster has"
	if problem := seen.Why(); problem != "" {
		return skipped(id, title, problem, "kubectl confidb platforms")
	}
	got, want := texts(seen.Value), texts(promised.Platforms)
	f := compare(id, title, got, want,
		"kubectl confidb platforms diff NAME says what changed; kubectl confidb platforms plan lets the sessions follow")
	if f.Outcome == check.Pass {
		f.Reason = "the platform IDs of the nodes are claims of the cluster"
	}
	return f
}

// texts writes each ID once, sorted.
func texts(ids []attest.PlatformID) string {
	var all []string
	for _, id := range ids {
		all = append(all, id.String())
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

func sessionUnchanged(id string, promised topology.Session, seen evidence.Fetched[session.Stored]) check.Finding {
	title := fmt.Sprintf("session %s in CAS is the one that was created", promised.Name)
	if promised.Hash == "" {
		return skipped(id, title, "the hash of what was created is not recorded", "kubectl confidb install again: it continues where it stopped")
	}
	if problem := seen.Why(); problem != "" {
		return skipped(id, title, problem, "kubectl confidb session get "+promised.Name)
	}
	f := compare(id, title, strings.ToLower(seen.Value.Hash), strings.ToLower(promised.Hash),
		"kubectl confidb session get "+promised.Name+" shows what CAS holds now; find out who changed it")
	if f.Outcome != check.Pass {
		return f
	}
	ours, err := session.Parse(promised.Name, []byte(promised.Text))
	if err != nil {
		return skipped(id, title, "reading the recorded session: "+err.Error(), "restore the record of this release")
	}
	theirs, err := session.Parse(promised.Name, []byte(seen.Value.Text))
	if err != nil || !session.Equal(ours, theirs) {
		f.Outcome, f.Reason, f.Hint = check.Fail, "the hash is the same and the document is not", "kubectl confidb session get "+promised.Name
	}
	return f
}

// sessionStrength asks whether the session demands what the proof rests on.
func sessionStrength(which string, promised topology.Session) []check.Finding {
	parsed, err := session.Parse(promised.Name, []byte(promised.Text))
	if err != nil {
		return []check.Finding{skipped(which+"-session-policy", "the "+which+" session demands attested enclaves on listed platforms", err.Error(), "restore the record of this release")}
	}
	findings := lint.Strength(parsed)
	for i := range findings {
		findings[i].ID = which + "-" + findings[i].ID
	}
	return findings
}

func releaseDeployed(seen evidence.Fetched[evidence.HelmRelease]) check.Finding {
	const id, title = "release-deployed", "the Helm release is deployed"
	if problem := seen.Why(); problem != "" {
		return skipped(id, title, problem, "helm status shows what Helm knows")
	}
	return compare(id, title, seen.Value.Status, "deployed", "kubectl confidb install again: it continues where it stopped")
}

func releaseUnderSession(promised *topology.Release, seen evidence.Fetched[[]evidence.Container]) check.Finding {
	const id, title = "release-session", "every pod of the release runs under the database session and this CAS"
	if problem := seen.Why(); problem != "" {
		return skipped(id, title, problem, "kubectl get pods")
	}
	if len(seen.Value) == 0 {
		return skipped(id, title, "the release has no pod", "kubectl get pods,events")
	}
	f := check.Finding{ID: id, Title: title, Outcome: check.Pass, Reason: "what a pod's specification says is a claim of the cluster; the certificate below is the proof"}
	for _, c := range seen.Value {
		for _, v := range []struct{ name, got, want string }{
			{"SCONE_CONFIG_ID", serviceless(c.Environment["SCONE_CONFIG_ID"], promised.Session(topology.Database).Name), promised.Session(topology.Database).Name},
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
