package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/topology"
)

// What mends a release that is not as it was installed.
const reinstall = "Find out who changed it; {install} again shows what differs, and sets it back."

// claim is what a pass about pods and objects rests on.
const claim = "what the cluster says of its objects is a claim of the cluster; the certificate below is the proof"

// installed are the objects of the record. problem says why there are none.
func (a *appraisal) installed() (i *manifest.Installed, recorded manifest.Manifest, problem string) {
	if a.objects == nil {
		i, recorded, problem := a.readInstalled()
		a.objects = &objects{i, recorded, problem}
	}
	return a.objects.installed, a.objects.recorded, a.objects.problem
}

// objects are those of the record, as they were read.
type objects struct {
	installed *manifest.Installed
	recorded  manifest.Manifest
	problem   string
}

func (a *appraisal) readInstalled() (i *manifest.Installed, recorded manifest.Manifest, problem string) {
	promise, err := manifest.Promised(a.promised)
	if err != nil {
		return nil, nil, err.Error()
	}
	recorded, err = manifest.Recorded(a.promised.InstalledAs(a.seen.Release.Value.Digest))
	if err == nil && len(recorded) == 0 {
		return nil, nil, "the record does not say what was installed"
	}
	if err == nil {
		i, err = manifest.NewInstalled(promise, recorded)
	}
	if err != nil {
		return nil, nil, err.Error()
	}
	return i, recorded, ""
}

// recordHint is what to do about a record that does not say enough.
const recordHint = "{install} again writes down what is installed."

// judgeManifest asks whether Helm has what was installed with this record.
func judgeManifest(a *appraisal, l link, _ topology.Session) check.Report {
	seen := a.seen.Release
	switch {
	case a.promised.Installed.Digest == "":
		return check.Report{skipped(l.ID, l.Title, "the record does not say what was installed", recordHint)}
	case seen.Why() != "":
		return check.Report{skipped(l.ID, l.Title, seen.Why(), cmp.Or(seen.Hint, "helm status shows what Helm knows."))}
	case seen.Value.Digest == "":
		return check.Report{skipped(l.ID, l.Title, "the manifest that Helm keeps cannot be read", "helm get manifest shows it.")}
	}
	f := compare(l.ID, l.Title, seen.Value.Digest, a.promised.InstalledAs(a.seen.Release.Value.Digest).Digest, reinstall)
	if f.Outcome == check.Pass && seen.Value.Digest != a.promised.Installed.Digest {
		f.Outcome, f.Reason, f.Hint = check.Warn, "it is one that was installed before the last: somebody went back to it", reinstall
	}
	return check.Report{f}
}

// judgePods looks at every pod of the namespace that is a part of the release, or
// could be taken for one.
func judgePods(a *appraisal, l link, _ topology.Session) check.Report {
	installed, _, problem := a.installed()
	if problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, recordHint)}
	}
	seen := a.seen.Pods
	if problem := seen.Why(); problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, cmp.Or(seen.Hint, "kubectl get pods"))}
	}
	count, problems := installed.Pods(seen.Value)
	if count == 0 {
		return check.Report{skipped(l.ID, l.Title, "the release has no pod", "kubectl get pods,events")}
	}
	f := check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Pass, Reason: claim}
	var failed, ending, accepted []string
	for _, p := range problems {
		refused, _ := installed.Refused([]manifest.Problem{p.Problem})
		switch {
		case len(refused) == 0:
			accepted = append(accepted, p.String()+" (the policy accepts "+string(p.Deviation)+")")
		case p.Ending:
			ending = append(ending, p.String())
		default:
			failed = append(failed, p.String())
		}
	}
	switch {
	case len(failed) > 0:
		f.Outcome, f.Reason, f.Hint = check.Fail, said(failed), reinstall
	case len(ending) > 0:
		f.Outcome, f.Reason, f.Hint = check.Skip, "it is told to end: "+said(ending), "{verify} again when it has ended."
	case len(accepted) > 0:
		f.Outcome, f.Reason = check.Warn, said(accepted)
	}
	return check.Report{f}
}

// maxSaid is how many problems one finding names.
const maxSaid = 5

// said makes one text of problems, which are named by others.
func said(problems []string) string {
	problems = slices.Compact(slices.Clone(problems))
	more := ""
	if len(problems) > maxSaid {
		problems, more = problems[:maxSaid], fmt.Sprintf("; and %d more", len(problems)-maxSaid)
	}
	return check.Said(strings.Join(problems, "; ")) + more
}

// judgeObjects compares what makes the pods, and the Services, with what was installed.
func judgeObjects(a *appraisal, l link, _ topology.Session) check.Report {
	installed, recorded, problem := a.installed()
	if problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, recordHint)}
	}
	f := check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Pass, Reason: claim}
	var differ []string
	gone := 0
	for _, o := range recorded.Watched() {
		seen := a.seen.Objects[o.String()]
		if problem := seen.Why(); problem != "" {
			f = skipped(l.ID, l.Title, o.String()+": "+problem, cmp.Or(seen.Hint, "kubectl get "+strings.ToLower(o.Kind)+" "+o.Name))
			continue
		}
		if string(seen.Value) == "null" {
			gone++
		}
		found, err := installed.Differences(o, seen.Value)
		if err != nil {
			f = skipped(l.ID, l.Title, err.Error(), recordHint)
			continue
		}
		for _, d := range found {
			differ = append(differ, o.String()+": "+d.String())
		}
	}
	switch {
	case gone == len(recorded.Watched()):
		f = skipped(l.ID, l.Title, "nothing of the release exists", "{install} again makes it.")
	case len(differ) > 0:
		f = check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Fail, Reason: said(differ), Hint: reinstall}
	}
	return check.Report{f}
}

// judgeEndpoints asks who is behind the Services of the release. The probe looks at one
// database, which is all there is only if there is one.
func judgeEndpoints(a *appraisal, l link, _ topology.Session) check.Report {
	installed, _, problem := a.installed()
	if problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, recordHint)}
	}
	if problem := a.seen.Pods.Why(); problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, cmp.Or(a.seen.Pods.Hint, "kubectl get pods"))}
	}
	pods := slices.Concat(a.seen.Pods.Value, a.seen.PodsBefore.Value)
	f := check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Pass, Reason: claim}
	host, _, _ := strings.Cut(a.promised.Host, ".")
	if !slices.Contains(installed.Selecting(), host) {
		f = skipped(l.ID, l.Title, fmt.Sprintf("the database is reached as %s, which is no Service of the release that selects pods, so it is not known who else is behind that name", a.promised.Host), "Install the release with the name of a Service of its chart.")
	}
	var failed []string
	for _, service := range installed.Selecting() {
		ends := a.seen.Endpoints[service]
		if problem := ends.Why(); problem != "" {
			f = skipped(l.ID, l.Title, problem, cmp.Or(ends.Hint, "kubectl get endpointslices"))
			continue
		}
		behind := installed.Endpoints(service, ends.Value, pods)
		failed = append(failed, behind.Problems...)
		switch {
		case behind.Ready == 0:
			f = skipped(l.ID, l.Title, "no pod behind Service "+service+" is ready", "kubectl get pods,events")
		case service == host && behind.Want != 1 && !a.several():
			f = skipped(l.ID, l.Title, fmt.Sprintf("%d databases may be behind Service %s, and the probe looked at one of them", max(behind.Ready, behind.Want), service), "Install one release for each database.")
		}
	}
	if len(failed) > 0 {
		return check.Report{{ID: l.ID, Title: l.Title, Outcome: check.Fail, Reason: said(failed), Hint: reinstall}}
	}
	return check.Report{f}
}
