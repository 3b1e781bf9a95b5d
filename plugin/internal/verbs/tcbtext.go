package verbs

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/explain"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// tcbDocument is the result for programs.
type tcbDocument struct {
	Kind      string        `json:"kind"`
	Verdict   check.Verdict `json:"verdict"`
	Simulated bool          `json:"simulated"`
	Nodes     []tcbNode     `json:"nodes"`
	// Groups are nodes of which the same is to be said, the worst first.
	Groups []tcbGroup `json:"groups"`
}

// tcbGroup are nodes with the same status, advisories, FMSPC and evaluation.
type tcbGroup struct {
	Status  string        `json:"status"`
	Reason  string        `json:"reason"`
	Outcome check.Outcome `json:"outcome"`
	// Advisories are those of Intel without EndOfServicing.
	Advisories           []string `json:"advisories"`
	EndOfServicing       []string `json:"endOfServicing"`
	FMSPC                string   `json:"fmspc"`
	EvaluationDataNumber int      `json:"evaluationDataNumber"`
	Nodes                []string `json:"nodes"`
	Meaning              string   `json:"meaning"`
	// Do are the next steps, one a line.
	Do string `json:"do"`
	// Tolerate is null when there is nothing that a policy could accept.
	Tolerate *toleration `json:"tolerate"`

	findings check.Report // of the first node: what is not as it should be
	lost     bool         // Intel has withdrawn its trust: the keys may be known
	qe       sgx.TCBStatus
}

// toleration is what a policy and a session would have to name, and do not yet.
type toleration struct {
	Policy  policyToleration  `json:"policy"`
	Session sessionToleration `json:"session"`
}

// policyToleration has the keys of the policy.
type policyToleration struct {
	AcceptTCB        []sgx.TCBStatus `json:"accept-tcb"`
	AcceptAdvisories []string        `json:"accept-advisories"`
}

// sessionToleration has the keys of security.attestation of a session.
type sessionToleration struct {
	Tolerate         []string `json:"tolerate"`
	IgnoreAdvisories []string `json:"ignore_advisories"`
}

func newTCBDocument(nodes []tcbNode, p attest.Policy, simulated bool) (*tcbDocument, error) {
	pages, err := statusPages()
	if err != nil {
		return nil, err
	}
	d := &tcbDocument{Kind: "confidb.tcb/v1", Simulated: simulated, Nodes: nodes, Groups: []tcbGroup{}}
	var all check.Report
	at := map[string]int{}
	for i := range nodes {
		n := &nodes[i]
		all = append(all, n.Findings...)
		key := n.groupKey()
		if _, ok := at[key]; !ok {
			at[key] = len(d.Groups)
			d.Groups = append(d.Groups, newTCBGroup(n, pages, p))
		}
		d.Groups[at[key]].Nodes = append(d.Groups[at[key]].Nodes, n.Node)
	}
	d.Verdict = all.Verdict()
	slices.SortStableFunc(d.Groups, func(a, b tcbGroup) int { return cmp.Compare(a.rank(), b.rank()) })
	return d, nil
}

// rank is low for what is worst.
func (g *tcbGroup) rank() int {
	outcome := slices.Index([]check.Outcome{check.Fail, check.Skip, check.Warn, check.Pass}, g.Outcome)
	return 100*outcome - slices.Index(sgx.Statuses(), sgx.TCBStatus(g.Status)) // unknown after the rest
}

// groupKey is the same for nodes of which the same is to be said.
func (n *tcbNode) groupKey() string {
	parts := []string{n.Status, n.Reason}
	if n.Reason == "cloned evidence" {
		parts = append(parts, n.identity)
	}
	if n.Claims != nil {
		t := n.Claims.TCB
		parts = append(parts, n.Claims.Platform.FMSPC, fmt.Sprint(t.EvaluationDataNumber), string(t.PlatformStatus), string(t.QEStatus), strings.Join(t.Advisories, " "))
	}
	for _, f := range n.other() {
		code, _, _ := strings.Cut(f.Reason, ":")
		parts = append(parts, f.ID, f.Outcome.String(), code)
	}
	return strings.Join(parts, "\x00")
}

// other are the findings that did not pass, without those of status and advisories.
func (n *tcbNode) other() check.Report {
	var other check.Report
	for _, f := range n.Findings {
		if f.Outcome != check.Pass && f.ID != "tcb-status" && f.ID != "tcb-advisories" {
			other = append(other, f)
		}
	}
	return other
}

func newTCBGroup(n *tcbNode, pages map[string]explain.Page, p attest.Policy) tcbGroup {
	g := tcbGroup{Status: n.Status, Reason: n.Reason, Outcome: n.Outcome, Advisories: []string{}, EndOfServicing: []string{}, findings: n.other()}
	for _, f := range g.findings {
		code, _, _ := strings.Cut(f.Reason, ":")
		g.lost = g.lost || code == string(sgx.PCKRevoked) || code == string(sgx.PCKCARevoked)
	}
	if n.Claims != nil {
		g.FMSPC, g.EvaluationDataNumber = n.Claims.Platform.FMSPC, n.Claims.TCB.EvaluationDataNumber
		g.qe, g.lost = n.Claims.TCB.QEStatus, g.lost || n.Claims.TCB.Status == sgx.Revoked // also when nobody knows whose it is
		for _, a := range n.Claims.TCB.Advisories {
			if strings.HasPrefix(a, "INTEL-DOC-") {
				g.EndOfServicing = append(g.EndOfServicing, a)
			} else {
				g.Advisories = append(g.Advisories, a)
			}
		}
	}
	g.explain(pages)
	g.tolerate(p)
	return g
}

// statusPages are the pages of this project by their codes.
func statusPages() (map[string]explain.Page, error) {
	all, err := explain.Pages()
	if err != nil {
		return nil, err
	}
	pages := map[string]explain.Page{}
	for _, p := range all {
		pages[p.Code] = p
	}
	return pages, nil
}

// explain says what the group's state means and what to do.
func (g *tcbGroup) explain(pages map[string]explain.Page) {
	codes := []string{g.Status}
	if g.Status == string(sgx.ConfigurationAndSWHardeningNeeded) { // its own page only points to these
		codes = []string{string(sgx.ConfigurationNeeded), string(sgx.SWHardeningNeeded)}
	}
	var meaning, do []string
	for _, code := range codes {
		page, ok := pages[code]
		if !ok || code == unknown {
			continue
		}
		meaning = append(meaning, page.Meaning)
		if code != string(sgx.UpToDate) || len(g.findings) == 0 { // whose page says that nothing is to be done
			do = append(do, steps(page.Do)...)
		}
	}
	if g.Status == unknown {
		meaning = append(meaning, g.unknown())
	}
	do = append(do, g.hints()...)
	if g.qe != "" && g.qe != sgx.UpToDate && g.Status != unknown {
		do = append(do, "The quoting enclave is "+string(g.qe)+": update LAS and Intel's DCAP packages on the node.")
	}
	if len(g.EndOfServicing) > 0 {
		meaning = append(meaning, pages["INTEL-DOC-10000"].Meaning)
		do = append(do, "Plan to replace the machine: no update will come.")
	}
	if len(g.Advisories) > 0 && g.Status != unknown {
		do = append(do, "Read each advisory at security-center.intel.com; it says which BIOS, microcode or setting closes it.")
	}
	if g.lost {
		meaning = append(meaning, "The keys of this platform must be considered lost.")
		do = append(do, "Replace every secret that an enclave on this node has had.")
	}
	g.Meaning, g.Do = strings.Join(meaning, " "), strings.Join(do, "\n")
}

// steps leaves out what this command says itself: which deviations to name.
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

// unknown says what it means that the status is not known.
func (g *tcbGroup) unknown() string {
	switch g.Reason {
	case "no evidence":
		return "Nothing is known of the TCB of these nodes, and nothing good may be assumed."
	case "cloned evidence":
		return "Several nodes show the quote of one machine. It says nothing of the others, and nobody knows which they are."
	case "evidence of another machine":
		return "The quote is genuine, and of a machine that is not the one of this name."
	case "the evidence is not genuine":
		return "Nothing in the file counts: whoever made it was no SGX platform under the trusted root, or the collateral is forged."
	}
	return "The quote is genuine. What Intel says of the platform is missing in the collateral, or is for other platforms."
}

// hints are the next steps of what is not as it should be, each once.
func (g *tcbGroup) hints() []string {
	if g.Reason == "no evidence" { // the hint of the first names that node only
		return []string{"Get a quote from each node, and give it as NODE=FILE or in --quotes DIR."}
	}
	var all []string
	for _, f := range g.findings {
		if hint := sentence(f.Hint); hint != "" && !slices.Contains(all, hint) {
			all = append(all, hint)
		}
	}
	return all
}

// sentence begins with a capital, as the steps of the pages do.
func sentence(hint string) string {
	first, size := utf8.DecodeRuneInString(hint)
	if size == 0 || strings.HasPrefix(hint, "kubectl ") {
		return hint
	}
	return string(unicode.ToUpper(first)) + hint[size:]
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
func (g *tcbGroup) tolerate(p attest.Policy) {
	status := sgx.TCBStatus(g.Status)
	if g.lost || g.Status == unknown || len(g.findings.With(check.Fail)) > 0 {
		return
	}
	t := toleration{policyToleration{[]sgx.TCBStatus{}, []string{}}, sessionToleration{[]string{}, []string{}}}
	if status != sgx.UpToDate && !slices.Contains(p.AcceptTCB, status) {
		t.Policy.AcceptTCB, t.Session.Tolerate = append(t.Policy.AcceptTCB, status), sconeWords(status)
	}
	name := regexp.MustCompile(`^INTEL-(SA|DOC)-[0-9]{5}$`) // nothing else can be named, least of all a wildcard
	for _, a := range slices.Concat(g.Advisories, g.EndOfServicing) {
		if !name.MatchString(a) || slices.Contains(p.AcceptAdvisories, a) {
			continue
		}
		t.Policy.AcceptAdvisories = append(t.Policy.AcceptAdvisories, a)
		if slices.Contains(g.Advisories, a) { // SCONE documents no form for the others
			t.Session.IgnoreAdvisories = append(t.Session.IgnoreAdvisories, a)
		}
	}
	if len(t.Policy.AcceptTCB)+len(t.Policy.AcceptAdvisories) > 0 {
		g.Tolerate = &t
	}
}

func (d *tcbDocument) print(out io.Writer, format string) error {
	if format != "" {
		return printers.Encode(out, format, d)
	}
	_, err := io.WriteString(out, d.text())
	return err
}

func (d *tcbDocument) text() string {
	var b strings.Builder
	if d.Simulated {
		b.WriteString("SIMULATED: nothing here rests on Intel's root; no hardware protects anything.\n\n")
	}
	printers.Wrap(&b, "", d.summary())
	for i := range d.Groups {
		d.Groups[i].describe(&b)
	}
	fmt.Fprintf(&b, "\nfleet: %s\n", printers.Words(d.Verdict, d.Simulated))
	return b.String()
}

// summary counts the nodes by status, the best first.
func (d *tcbDocument) summary() string {
	count := map[string]int{}
	for _, n := range d.Nodes {
		count[n.Status]++
	}
	var parts []string
	for _, s := range append(sgx.Statuses(), unknown) {
		if n := count[string(s)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return nodeCount(len(d.Nodes)) + ": " + strings.Join(parts, ", ")
}

func nodeCount(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}

func (g *tcbGroup) describe(b *strings.Builder) {
	title := g.Status
	if g.Reason != "" {
		title += ": " + g.Reason
	}
	b.WriteByte('\n')
	printers.Wrap(b, "", fmt.Sprintf("%s %s (%s)", strings.ToUpper(g.Outcome.String()), title, nodeCount(len(g.Nodes))))
	part(b, "nodes", upToFive(g.Nodes))
	if g.FMSPC != "" {
		part(b, "platform", fmt.Sprintf("FMSPC %s, Intel's TCB evaluation %d", g.FMSPC, g.EvaluationDataNumber))
		part(b, "advisories", cmp.Or(strings.Join(g.Advisories, " "), "none"))
	}
	if len(g.EndOfServicing) > 0 {
		part(b, "servicing", "has ended: "+strings.Join(g.EndOfServicing, " "))
	}
	for _, f := range g.findings {
		part(b, f.Outcome.String(), f.ID+": "+f.Reason)
	}
	part(b, "means", g.Meaning)
	label := "do"
	for line := range strings.Lines(g.Do) {
		part(b, label, line)
		label = ""
	}
	g.Tolerate.describe(b)
}

// describe writes the lines as they stand in the files.
func (t *toleration) describe(b *strings.Builder) {
	if t == nil {
		return
	}
	printers.Wrap(b, "  ", "If you can live with it, add these to the lists that are in policy.yaml:")
	flow(b, "    ", "accept-tcb", t.Policy.AcceptTCB)
	flow(b, "    ", "accept-advisories", t.Policy.AcceptAdvisories)
	if len(t.Session.Tolerate)+len(t.Session.IgnoreAdvisories) == 0 {
		printers.Wrap(b, "  ", "SCONE documents no word for it in a session.")
		return
	}
	printers.Wrap(b, "  ", "and in each session that these nodes are to serve:")
	b.WriteString("    security:\n      attestation:\n")
	flow(b, "        ", "tolerate", t.Session.Tolerate)
	flow(b, "        ", "ignore_advisories", t.Session.IgnoreAdvisories)
}

// flow writes a list of YAML in brackets, which may go on below.
func flow[T ~string](b *strings.Builder, indent, key string, all []T) {
	if len(all) == 0 {
		return
	}
	var items []string
	for _, item := range all {
		items = append(items, string(item))
	}
	printers.Wrap(b, indent+key+": [", strings.Join(items, ", ")+"]")
}

// maxShown is how many nodes are named in a text.
const maxShown = 5

func upToFive(names []string) string {
	text := make([]string, 0, maxShown)
	for _, name := range names[:min(maxShown, len(names))] {
		text = append(text, shortened(name))
	}
	if more := len(names) - maxShown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(text, ", "), more)
	}
	return strings.Join(text, ", ")
}

// shortened cuts a name that does not fit on a line; documents have it in full.
func shortened(name string) string {
	const most = 60
	if len(name) > most {
		return name[:most] + "…"
	}
	return name
}

// part writes one labelled part of a paragraph.
func part(b *strings.Builder, label, text string) {
	printers.Wrap(b, fmt.Sprintf("  %-11s ", label), text)
}
