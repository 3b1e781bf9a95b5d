package verify

import (
	"cmp"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
)

// passesOn is the check of what leads to a MaxScale, and theService is what the statement
// calls the name under which users come.
const (
	passesOn   = "hap-01"
	theService = "service"
)

// frontChecks are the checks that the statement must answer about each MaxScale.
func frontChecks() []string {
	return []string{"tls-01", "tls-02", "tls-03", "mtls-01", "mtls-02", "tls-05"}
}

// maskingChecks are those beside them where it masks.
func maskingChecks() []string { return []string{"msk-01", "msk-02", "msk-04", "msk-05"} }

// judgeFrontStatement asks whether the attested client signed a statement about what stands
// before the databases, for this run.
func judgeFrontStatement(a *appraisal, l link, _ topology.Session) check.Report {
	statement, there := a.seen.Statements[topology.ServiceFront]
	switch {
	case there:
	case a.seen.Statement.Why() != "": // why nobody was asked
		statement = a.seen.Statement
	default:
		statement = evidence.Missing[[]byte]("nobody has asked MaxScale and HAProxy")
	}
	predicate, f := a.open(l, statement, topology.ServiceFront)
	a.front = predicate
	return check.Report{f}
}

// judgeFront takes over what was found about each MaxScale of the record and about each way
// to them, and asks for what was left out. Which ways there are the cluster says: that each
// leads to a MaxScale is what is proven of it, and users take no other.
func judgeFront(a *appraisal, _ link, _ topology.Session) check.Report {
	var report check.Report
	take := func(id, subject, name string) {
		f := check.Finding{ID: id, Title: "the attested client answers " + id, Reason: "the statement does not say", Hint: "{verify} again."}
		if found := findingAbout(a.front.Findings, id, subject); found != nil {
			f = *found
		}
		f.Subject, f.Title = name, name+": "+f.Title
		report = append(report, f)
	}
	for _, m := range a.promised.Instances(topology.MaxScale) {
		checks := frontChecks()
		if a.promised.Applications.Masking != "" {
			checks = append(checks, maskingChecks()...)
		}
		for _, id := range checks {
			take(id, m.Name, m.Name)
		}
	}
	take(passesOn, theService, "service "+a.promised.Name)
	ways, f := a.ways()
	if f != nil {
		return append(report, *f)
	}
	for _, w := range ways {
		take(passesOn, w.address, w.name)
	}
	return report
}

// way is an end of the Service that users connect to, and what it is called: its pod without
// the name of the release.
type way struct{ address, name string }

// ways are all ends of that Service, or why they are not known.
func (a *appraisal) ways() ([]way, *check.Finding) {
	unknown := func(why, hint string) *check.Finding {
		f := skipped(passesOn, "HAProxy passes connections on as they are, and holds no key", why, hint)
		return &f
	}
	ends := a.seen.Endpoints[a.promised.Name]
	if problem := ends.Why(); problem != "" {
		return nil, unknown(problem, ends.Help("kubectl get endpointslices"))
	}
	var all []way
	for _, e := range ends.Value {
		name := strings.TrimPrefix(e.Pod, a.promised.Name+"-")
		if !strings.HasPrefix(name, haproxy) {
			name = haproxy + " " + cmp.Or(e.Pod, strings.Join(e.Addresses, ", "))
		}
		addresses := e.Ways()
		if len(addresses) == 0 { // a name, for which nobody was asked
			addresses = []string{""}
		}
		for _, address := range addresses {
			if w := (way{address, name}); !slices.Contains(all, w) {
				all = append(all, w)
			}
		}
	}
	if len(all) == 0 {
		return nil, unknown("the Service "+a.promised.Name+" leads nowhere", "Look at the pods of HAProxy: kubectl get pods")
	}
	return all, nil
}
