package verify

import (
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/outside"
	"github.com/confidb/confidb/pkg/topology"
)

const guestsOutside = "guests-outside"

// judgeOutside compares the certificates that the database trusts beside the session's CA
// with those of the clients outside of enclaves, and names each of these, with its end.
// The server tells nobody whom it trusts, so it is read from the session.
func judgeOutside(a *appraisal, l link, _ topology.Session) check.Report {
	parsed, _, err := a.promised.Parsed(a.promised.Session(topology.Database).Name)
	if err != nil {
		return check.Report{skipped(l.ID, l.Title, err.Error(), "Restore the record of this release.")}
	}
	trusted, err := topology.TrustedClients(parsed)
	if err != nil {
		return check.Report{skipped(l.ID, l.Title, err.Error(), "Let the session name the file with its CA as our template does: {session template database}.")}
	}
	switch {
	case trusted == a.promised.Applications.OutsideTrusted():
	case a.promised.Changing != nil:
		return check.Report{skipped(l.ID, l.Title, "a change of clients has not come to its end", "Run again whichever was interrupted: {client add}, {client update}, {client remove} or {install}.")}
	default:
		return check.Report{{ID: l.ID, Title: l.Title, Outcome: check.Fail, Reason: "beside its CA the database trusts other certificates than those of the clients that are recorded: whoever has their keys may come in",
			Hint: "Find out who changed the session of the database."}}
	}
	if len(a.promised.Applications.Outside) == 0 {
		return check.Report{{ID: l.ID, Title: l.Title, Outcome: check.Pass}}
	}
	var report check.Report
	for _, c := range a.promised.Applications.Outside {
		report = append(report, a.letOut(l, c))
	}
	return report
}

// letOut judges one client outside of enclaves. It never passes, and one that has ended fails:
// who came in before may still be there, and what the end rests on is the clock of the
// database's machine.
func (a *appraisal) letOut(l link, c outside.Client) check.Finding {
	until := c.Ends().UTC().Format(time.RFC3339)
	f := check.Finding{ID: l.ID, Subject: c.Name, Title: "the client " + c.Name + " runs in an enclave", Outcome: check.Warn, Got: "outside of enclaves until " + until, Want: "in an enclave",
		Reason: fmt.Sprintf("whoever has its key and password comes in until %s; why it was let in: %s", until, check.Said(c.Reason)), Hint: "When its work is done: {client remove}, which ends its connections as well."}
	account, err := a.promised.Applications.OutsideAccount(c.Name)
	if err == nil {
		err = c.Check(account.OutsideName())
	}
	leaf, _ := c.Leaf(account.OutsideName())
	switch most := a.promised.Trust.MaxOutside; {
	case err != nil:
		f.Outcome, f.Reason, f.Hint = check.Fail, "what it logs in with is not as this program makes it: "+err.Error(), "Send it away: {client remove}."
	case most != nil && *most <= 0:
		f.Outcome, f.Reason, f.Hint = check.Fail, "the policy allows no client outside of enclaves", "Send it away: {client remove}."
	case most != nil && outside.Lasts(leaf) > *most:
		f.Outcome, f.Reason, f.Hint = check.Fail, fmt.Sprintf("it was let in for %s, and the policy allows %s", outside.Lasts(leaf), *most), "Send it away, and let it in for less: {client remove}, then {client add}."
	case c.Ended(a.seen.At):
		f.Outcome, f.Got = check.Fail, "outside of enclaves, ended "+until
		f.Reason = "it has ended, and its account is still there: connections from before go on until they are closed or the database restarts, and a machine whose clock is set back lets it in again"
		f.Hint = "Take its account back, which ends its connections: {client remove}."
	}
	return f
}
