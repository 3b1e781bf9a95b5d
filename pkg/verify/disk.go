package verify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/confidb/confidb/pkg/atrest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/manifest"
	"github.com/confidb/confidb/pkg/topology"
)

// judgeDisk judges what a reader outside the enclaves has seen of the volumes, if one was
// asked for. It sees what the host lets it see, so a failure is one, and a pass is the
// host's word.
func judgeDisk(a *appraisal, l link, _ topology.Session) check.Report {
	if !a.seen.Full {
		return nil
	}
	installed, _, problem := a.installed()
	if problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, recordHint)}
	}
	if problem := a.seen.Pods.Why(); problem != "" {
		return check.Report{skipped(l.ID, l.Title, problem, cmp.Or(a.seen.Pods.Hint, "kubectl get pods"))}
	}
	claims := installed.Claims(a.seen.Pods.Value)
	if len(claims) == 0 {
		return check.Report{skipped(l.ID, l.Title, "no pod of the release uses a volume that could be read", "kubectl get pods,persistentvolumeclaims")}
	}
	protected := len(a.volumes) > 0 && !slices.Contains(a.volumes, false)
	var seen onDisk
	for _, claim := range claims {
		seen.add(claim, a.seen.Volumes[claim.Name], a.seen.Nonce, protected)
	}
	return check.Report{seen.finding(l, len(claims), protected)}
}

// onDisk is what the readers of all volumes have found.
type onDisk struct {
	atrest.Report
	// missing are volumes that were not read, and hint is what mends that.
	missing []string
	hint    string
}

func (d *onDisk) add(claim manifest.Claim, read evidence.Fetched[[]byte], nonce string, protected bool) {
	if problem := read.Why(); problem != "" {
		d.missing, d.hint = append(d.missing, claim.Name+": "+problem), cmp.Or(d.hint, read.Hint)
		return
	}
	found, err := atrest.Appraise(read.Value, nonce, protected)
	if err == nil && found.Files == 0 {
		err = errors.New("the reader saw no file")
	}
	if err != nil {
		d.missing = append(d.missing, claim.Name+": "+err.Error())
		return
	}
	d.Files, d.Samples, d.Tolerated, d.Named = d.Files+found.Files, d.Samples+found.Samples, d.Tolerated+found.Tolerated, d.Named+found.Named
	for _, name := range found.Clear {
		d.Clear = append(d.Clear, claim.Name+"/"+name)
	}
	for _, name := range found.Unread {
		d.Unread = append(d.Unread, claim.Name+"/"+name)
	}
}

func (d *onDisk) finding(l link, volumes int, protected bool) check.Finding {
	f := check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Pass}
	switch {
	case len(d.Clear) > 0:
		f.Outcome, f.Reason = check.Fail, said(d.Clear)
		f.Hint = "Whoever has the volume reads these files. Find out how they came there; {explain disk-01} says what to do about each kind."
	case len(d.missing) > 0:
		f.Outcome, f.Reason, f.Hint = check.Skip, said(d.missing), cmp.Or(d.hint, "{verify} again, and look at the reader's pod if it does not start: kubectl get pods,events")
	case len(d.Unread) > 0:
		f.Outcome, f.Reason, f.Hint = check.Skip, "it cannot be said of: "+said(d.Unread), "Look at these files on the volume; {verify} again if they were being written."
	default:
		f.Reason = d.passed(volumes, protected)
	}
	return f
}

// passed says what was looked at, and what that is worth.
func (d *onDisk) passed(volumes int, protected bool) string {
	text := fmt.Sprintf("%d files on %d volumes, %d samples of them; a reader outside the enclave sees what the host lets it see", d.Files, volumes, d.Samples)
	switch {
	case d.Named > 0:
		text += fmt.Sprintf("; %d names of files are in clear, and their contents are not", d.Named)
	case !protected:
		text += fmt.Sprintf("; %d files are of kinds that MariaDB never encrypts", d.Tolerated)
	}
	return text
}
