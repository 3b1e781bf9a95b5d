package fleet

import (
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/explain"
	"github.com/confidb/confidb/pkg/sgx"
)

// Meaning says in a few words what a platform of a status is like. Each but the best
// is a warning where a policy accepts it.
func Meaning(s sgx.TCBStatus) string {
	switch s {
	case sgx.UpToDate:
		return "nothing is known against the platform"
	case sgx.SWHardeningNeeded:
		return "the enclave's software must work around a weakness of the CPU (a warning)"
	case sgx.ConfigurationNeeded:
		return "the platform is set up in a way that is weaker than Intel advises (a warning)"
	case sgx.ConfigurationAndSWHardeningNeeded:
		return "weaker set up than Intel advises, and software must work around a weakness (a warning)"
	case sgx.OutOfDate:
		return "microcode or firmware with published weaknesses (a warning)"
	case sgx.OutOfDateConfigurationNeeded:
		return "microcode or firmware with published weaknesses, and a weak set-up (a warning)"
	}
	return "not known to this version"
}

// Toleration is what a policy and a session would have to name, and do not yet.
type Toleration struct {
	Policy  PolicyToleration  `json:"policy"`
	Session SessionToleration `json:"session"`
}

// PolicyToleration has the keys of the policy.
type PolicyToleration struct {
	AcceptTCB        []sgx.TCBStatus `json:"accept-tcb"`
	AcceptAdvisories []string        `json:"accept-advisories"`
}

// SessionToleration has the keys of security.attestation of a session.
type SessionToleration struct {
	Tolerate         []string `json:"tolerate"`
	IgnoreAdvisories []string `json:"ignore_advisories"`
}

// sconeWords are those of a session for a status of Intel's.
func sconeWords(s sgx.TCBStatus) []string {
	switch s {
	case sgx.SWHardeningNeeded:
		return []string{"software-hardening-needed"}
	case sgx.ConfigurationNeeded:
		return []string{"insecure-configuration"}
	case sgx.ConfigurationAndSWHardeningNeeded:
		return []string{"insecure-configuration", "software-hardening-needed"}
	case sgx.OutOfDate:
		return []string{"outdated-tcb"}
	case sgx.OutOfDateConfigurationNeeded:
		return []string{"outdated-tcb", "insecure-configuration"}
	}
	return []string{}
}

// tolerate names what the group needs and the policy does not accept. Where anything
// else fails there is nothing: no toleration would make such a node acceptable.
func (g *Group) tolerate(p attest.Policy) *Toleration {
	status := sgx.TCBStatus(g.Status)
	if g.lost || status == sgx.Revoked || g.Status == Unknown || len(g.Open.With(check.Fail)) > 0 {
		return nil
	}
	t := &Toleration{PolicyToleration{[]sgx.TCBStatus{}, []string{}}, SessionToleration{[]string{}, []string{}}}
	if status != sgx.UpToDate && !slices.Contains(p.AcceptTCB, status) {
		t.Policy.AcceptTCB, t.Session.Tolerate = append(t.Policy.AcceptTCB, status), sconeWords(status)
	}
	for _, a := range slices.Concat(g.Advisories, g.EndOfServicing) {
		if _, err := sgx.ParseAdvisory(a); err != nil || slices.Contains(p.AcceptAdvisories, a) {
			continue // nothing else can be named, least of all a wildcard
		}
		t.Policy.AcceptAdvisories = append(t.Policy.AcceptAdvisories, a)
		if slices.Contains(g.Advisories, a) { // SCONE documents no form for the others
			t.Session.IgnoreAdvisories = append(t.Session.IgnoreAdvisories, a)
		}
	}
	if len(t.Policy.AcceptTCB)+len(t.Policy.AcceptAdvisories) == 0 {
		return nil
	}
	return t
}

// pages are those of this program by their codes.
type pages map[string]explain.Page

func readPages() (pages, error) {
	all, err := explain.Pages()
	if err != nil {
		return nil, err
	}
	p := pages{}
	for _, page := range all {
		p[page.Code] = page
	}
	return p, nil
}

// explain says what the group's state means and what to do.
func (g *Group) explain(p pages) {
	meaning, do := g.state(p)
	do = append(do, g.hints()...)
	if g.qe != "" && g.qe != sgx.UpToDate && g.Status != Unknown {
		do = append(do, "The quoting enclave is "+string(g.qe)+": update LAS and Intel's DCAP packages on the node.")
	}
	if len(g.EndOfServicing) > 0 {
		meaning = append(meaning, p["INTEL-DOC-10000"].Meaning)
		do = append(do, "Plan to replace the machine: no update will come.")
	}
	if len(g.Advisories) > 0 && g.Status != Unknown {
		do = append(do, "Read each advisory at security-center.intel.com; it says which BIOS, microcode or setting closes it.")
	}
	if g.lost {
		meaning = append(meaning, "The keys of this platform must be considered lost.")
		do = append(do, "Replace every secret that an enclave on this node has had.")
	}
	g.Meaning, g.Do = strings.Join(meaning, " "), strings.Join(do, "\n")
}

// state says what the status means and what to do about it.
func (g *Group) state(p pages) (meaning, do []string) {
	if g.Status == Unknown {
		return []string{whyUnknown(g.Reason)}, nil
	}
	codes := []string{g.Status}
	if g.Status == string(sgx.ConfigurationAndSWHardeningNeeded) { // its own page only points to these
		codes = []string{string(sgx.ConfigurationNeeded), string(sgx.SWHardeningNeeded)}
	}
	for _, code := range codes {
		page, ok := p[code]
		if !ok {
			continue
		}
		meaning = append(meaning, page.Meaning)
		if code != string(sgx.UpToDate) || len(g.Open) == 0 { // whose page says that nothing is to be done
			do = append(do, steps(page.Do)...)
		}
	}
	return meaning, do
}

// steps leaves out what is said here already: which deviations to name.
func steps(do string) []string {
	var lines []string
	for line := range strings.Lines(do) {
		line = strings.TrimSpace(line)
		if !strings.Contains(line, "accept-") && line != "kubectl confidb tcb" {
			lines = append(lines, line)
		}
	}
	return lines
}

// whyUnknown says what it means that the status is not known.
func whyUnknown(reason string) string {
	switch reason {
	case noEvidence:
		return "Nothing is known of the TCB of these nodes, and nothing good may be assumed."
	case cloned:
		return "Several nodes show the quote of one machine. It says nothing of the others, and nobody knows which they are."
	case anotherMachine:
		return "The quote is genuine, and of a machine that is not the one of this name."
	case notRead:
		return "The file is something else than a quote of an SGX enclave, or is cut off. It says nothing of the node, good or bad."
	case notGenuine:
		return "Nothing in the file counts: whoever made it was no SGX platform under the trusted root, or the collateral is forged."
	}
	return "The quote is genuine. What Intel says of the platform is missing in the collateral, or is for other platforms."
}

// hints are the next steps of what is not as it should be, each once.
func (g *Group) hints() []string {
	if g.Reason == noEvidence { // the hint of the first names that node only
		return []string{"Get a quote from each node, and give it as NODE=FILE or in the folder of quotes."}
	}
	var all []string
	for _, f := range g.Open {
		if f.Hint != "" && !slices.Contains(all, f.Hint) {
			all = append(all, f.Hint)
		}
	}
	return all
}
