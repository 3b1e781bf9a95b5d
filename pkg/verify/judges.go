package verify

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/lint"
	"github.com/confidb/confidb/pkg/session"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/pkg/topology"
)

func judgePlatforms(a *appraisal, l link, _ topology.Session) check.Report {
	seen := a.seen.Platforms
	if problem := seen.Why(); problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, seen.Help("{platforms}"))}
	}
	if len(a.promised.Platforms) == 0 { // nothing equals nothing, and proves nothing
		return check.Report{skipped(l.ID, l.Title, "the record names no machine", "Restore the record of this release.")}
	}
	f := compare(l.ID, l.Title, texts(seen.Value), texts(a.promised.Platforms), "")
	if f.Outcome == check.Pass {
		f.Reason = "the platform IDs of the nodes are claims of the cluster"
	} else {
		f.Outcome, f.Reason, f.Hint = differingPlatforms(without(a.promised.Platforms, seen.Value), without(seen.Value, a.promised.Platforms), a.seen.Unidentified)
	}
	return check.Report{f}
}

// differingPlatforms says what it means that the machines are not those that the sessions
// admit. lost are admitted and were not seen, added were seen and are not admitted, and
// unidentified are nodes that may be any of them. Only a machine that is admitted and is
// no node breaks the promise: nothing runs yet where nothing is admitted, and what is
// not known now will be.
func differingPlatforms(lost, added []attest.PlatformID, unidentified []string) (o check.Outcome, reason, hint string) {
	switch {
	case len(lost) > len(unidentified):
		return check.Fail, "the sessions admit a machine that is no node of the cluster", "{platforms diff NAME} says which; {platforms plan NAME --to plan.json}, then {platforms apply NAME plan.json} let the sessions follow."
	case len(lost) > 0:
		return check.Skip, "unknown: no source names the platform ID of " + few(unidentified) + " now, and the sessions admit what may be that machine", "Wait until LAS runs there ({platforms -o wide}), and {verify} again."
	}
	return check.Skip, fmt.Sprintf("no session admits %d of the nodes yet: the database does not run there", len(added)), "If the nodes are yours, let the sessions follow: {platforms plan NAME --to plan.json}, then {platforms apply NAME plan.json}"
}

// without are the IDs of all that are not among the others.
func without(all, others []attest.PlatformID) []attest.PlatformID {
	var left []attest.PlatformID
	for _, id := range all {
		if !slices.Contains(others, id) && !slices.Contains(left, id) {
			left = append(left, id)
		}
	}
	return left
}

// few names some.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
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

// judgeCAS appraises the evidence of the CAS by what was promised: that of the
// observation does not say whom to believe.
func judgeCAS(a *appraisal, l link, _ topology.Session) check.Report {
	unproven := func(problem string) check.Report {
		return check.Report{skipped(l.ID, l.Title, problem, "{attest cas}")}
	}
	if problem := a.seen.CAS.Why(); problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, a.seen.CAS.Help("{attest cas}"))}
	}
	pin := a.seen.CAS.Value.Pin
	if pin.Backend != "" && pin.Backend != attest.BackendReport { // others leave to somebody else what is asked here
		return unproven(fmt.Sprintf("got evidence of the kind %.40q, want a report of the CAS for the nonce of this run", pin.Backend))
	}
	pin.Address, pin.Trust = a.promised.CASAddress, a.promised.Trust
	var peer []*x509.Certificate
	for _, der := range a.seen.CAS.Value.Peer {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return unproven("reading the certificates of the TLS peer: " + err.Error())
		}
		peer = append(peer, c)
	}
	appraised, err := pin.AppraiseWithPeer(peer, a.seen.At)
	if err != nil {
		return unproven(err.Error())
	}
	a.simulated = appraised.Simulated
	a.collateral = issued(appraised.Result, a.seen.At)
	return append(renewable(appraised, a.promised.Name), a.memory.Judge(appraised.Result, pin.Trust.RootCA, a.seen.At)...)
}

// issued says of which day the collateral is: it knows nothing that was found since.
func issued(r *sgx.Result, at time.Time) string {
	if r == nil {
		return ""
	}
	for _, v := range r.Validities {
		if v.Part == "tcb-info" {
			return fmt.Sprintf("%s, %d days before this run", v.From.UTC().Format(time.DateOnly), int(at.Sub(v.From).Hours())/24)
		}
	}
	return ""
}

// renewable makes hints about collateral that is not current say how this release is
// judged by newer one: what is recorded stays as it is.
func renewable(appraised *attest.Appraisal, name string) check.Report {
	findings := slices.Clone(appraised.Findings)
	fetch := "{collateral fetch --to collateral}"
	if r := appraised.Result; r != nil && r.Platform != nil {
		fetch = fmt.Sprintf("{collateral fetch --fmspc %x --ca %s --to collateral}", r.Platform.FMSPC, platformCA(r.Platform.CA))
	}
	for i := range findings {
		if strings.Contains(findings[i].Hint, "{collateral fetch}") {
			findings[i].Hint = fetch + ", then {verify " + name + " --collateral collateral}"
		}
	}
	return findings
}

// platformCA is what {collateral fetch} calls the CA of a platform's certificate.
func platformCA(name string) string {
	if strings.Contains(name, "Platform") {
		return "platform"
	}
	return "processor"
}

// judgeStored asks whether CAS still holds what was uploaded.
func judgeStored(a *appraisal, l link, promised topology.Session) check.Report {
	title := fmt.Sprintf("session %s in CAS is the one that was created", promised.Name)
	return check.Report{stored(l.ID, title, promised, a.seen.Sessions[promised.Name])}
}

func stored(id, title string, promised topology.Session, seen evidence.Fetched[session.Stored]) check.Finding {
	get := "{session get " + promised.Name + "}"
	if promised.Hash == "" {
		return skipped(id, title, "the hash of what was created is not recorded", "{install} again: it continues where it stopped.")
	}
	if problem := seen.Why(); problem != "" {
		return skipped(id, title, problem, seen.Help(get))
	}
	f := compare(id, title, strings.ToLower(seen.Value.Hash), strings.ToLower(promised.Hash), get+" shows what CAS holds now; find out who changed it.")
	if f.Outcome != check.Pass {
		return f
	}
	ours, err := session.Parse(promised.Name, []byte(promised.Text))
	if err != nil {
		return skipped(id, title, "reading the recorded session: "+err.Error(), "Restore the record of this release.")
	}
	theirs, err := session.Parse(promised.Name, []byte(seen.Value.Text))
	if err != nil || !session.Equal(ours, theirs) {
		f.Outcome, f.Reason, f.Hint = check.Fail, "the hash is the same and the document is not", get
	}
	return f
}

// judgeStrength asks whether the session demands what the proof rests on.
func judgeStrength(a *appraisal, l link, promised topology.Session) check.Report {
	parsed, others, err := a.promised.Parsed(promised.Name)
	if err != nil {
		return check.Report{skipped(l.ID, l.Title, err.Error(), "Restore the record of this release.")}
	}
	findings := lint.Strength(parsed, others...)
	for i := range findings {
		findings[i].ID = strings.TrimSuffix(l.ID, "session-policy") + findings[i].ID
	}
	return findings
}

func judgeRelease(a *appraisal, l link, _ topology.Session) check.Report {
	if problem := a.seen.Release.Why(); problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, a.seen.Release.Help("helm status shows what Helm knows."))}
	}
	return check.Report{compare(l.ID, l.Title, a.seen.Release.Value.Status, "deployed", "{install} again: it continues where it stopped.")}
}
