package printers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/verify"
)

// Result is what a verification ends with.
type Result struct {
	Head
	// Subject is what was looked at.
	Subject  string        `json:"subject"`
	Verdict  check.Verdict `json:"verdict"`
	Findings check.Report  `json:"findings"`
	// Claims are what a quote says, where one was appraised.
	*attest.Claims
	// Evidence labels what a CAS was attested by.
	Evidence *attest.EvidenceLabel `json:"evidence,omitempty"`
	// Guests are the user's own clients, where a release was verified.
	Guests []verify.Guest `json:"guests,omitempty"`
	// Path is the way to several databases, where a release was verified.
	Path verify.Path `json:"path,omitempty"`
	// Origins says where inputs came from.
	Origins map[string]string `json:"origins,omitempty"`
	// Limitations are what is not claimed.
	Limitations []evidence.Limitation `json:"limitations,omitempty"`
}

// Text writes the findings, what they rest on, and the verdict.
func (r Result) Text(p *Page) {
	for _, g := range r.Path.Groups(r.Findings) {
		if g.Title != "" {
			p.Section(g.Title)
		}
		p.Findings(g.Findings)
	}
	if drawing := r.Path.Drawing(); drawing != nil {
		p.Section("The path, by what this run has seen:", drawing...)
	}
	for _, g := range r.Guests {
		title, said := g.Said()
		p.Section(title)
		p.Parts("  %-9s ", said...)
	}
	if r.Evidence != nil {
		p.label(r.Evidence)
	}
	if r.Claims != nil && r.Claims.TCB != nil {
		p.claims(r.Claims)
	}
	if len(r.Limitations) > 0 {
		p.Section("Not protected by the database itself, whatever is said above:")
		for _, l := range r.Limitations {
			p.Wrap("  - ", l.Text)
		}
	}
	if len(r.Origins) > 0 {
		p.Section("Where inputs came from:")
		for _, name := range slices.Sorted(maps.Keys(r.Origins)) {
			p.Line("  %-17s %s", name, r.Origins[name])
		}
	}
	p.Verdict(r.Subject, r.Verdict, r.Simulated)
}

// Findings writes a paragraph for each finding, with what was seen unless it passed.
func (p *Page) Findings(findings check.Report) {
	ids := 0
	for _, f := range findings {
		ids = max(ids, len(f.ID))
	}
	for _, f := range findings {
		p.Wrap(fmt.Sprintf("%-4s %-*s ", strings.ToUpper(f.Outcome.String()), ids, f.ID), f.Title)
		if f.Outcome == check.Pass {
			continue
		}
		p.Parts("     %8s ", "got", f.Got, "want", f.Want, "because", f.Reason, "next", f.Hint)
	}
}

// Verdict writes the last line. The word affirming never stands alone for a simulated
// result.
func (p *Page) Verdict(subject string, v check.Verdict, simulated bool) {
	p.text.WriteByte('\n')
	p.Line("%s: %s", subject, Words(v, simulated))
}

// label writes what evidence binds.
func (p *Page) label(l *attest.EvidenceLabel) {
	key := "not bound: no enclave was seen to vouch for a key"
	nonce := "not bound: no nonce was seen to be answered"
	session := "not bound: the TLS peer was not seen to hold it"
	if l.KeyBound {
		key = "bound: the enclave vouches for the key of this CAS"
	}
	if l.NonceBound {
		nonce = "bound: the enclave answered the nonce"
	}
	if l.SessionBound {
		session = "bound: the TLS peer holds that key"
	}
	p.Section(fmt.Sprintf("Evidence (%s):", l.Backend))
	p.Parts("  %-10s ", "key", key, "nonce", nonce, "session", session, "freshness", l.Freshness)
}

// claims writes what a quote says. The PPID is left out: it is personal data of
// the machine's owner, and in the other formats for whoever asks for it.
func (p *Page) claims(c *attest.Claims) {
	tcb, enclave, platform := c.TCB, c.Enclave, c.Platform
	p.Section("What the quote says:")
	p.Parts("  %-11s ",
		"TCB status", fmt.Sprintf("%s (platform %s, quoting enclave %s)", known(tcb.Status), known(tcb.PlatformStatus), known(tcb.QEStatus)),
		"TCB date", fmt.Sprintf("%s, evaluation %d", known(tcb.Date), tcb.EvaluationDataNumber),
		"advisories", known(strings.Join(tcb.Advisories, " ")),
		"MRENCLAVE", enclave.MRENCLAVE.String(),
		"MRSIGNER", enclave.MRSIGNER.String(),
		"product", fmt.Sprintf("ISVPRODID %d ISVSVN %d debug %v", enclave.ISVProdID, enclave.ISVSVN, enclave.Debug),
		"REPORTDATA", enclave.ReportData[:64]+" "+enclave.ReportData[64:],
		"platform ID", "INTEL_QE_ID:"+platform.QEID,
		"FMSPC", platform.FMSPC+" ("+platform.PCKCA+")")
}

// known writes a word for what is empty.
func known[T ~string](text T) string {
	if text == "" {
		return "none known"
	}
	return string(text)
}

// Words says a verdict; the word affirming never stands alone for a simulated one.
func Words(v check.Verdict, simulated bool) string {
	if simulated {
		return string(v) + " (simulated)"
	}
	return string(v)
}
