package printers

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/confidb/confidb/pkg/fleet"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// TCB is what Intel knows of a fleet's machines.
type TCB struct {
	Head
	fleet.Report
}

// NewTCB makes the document of a report.
func NewTCB(r *fleet.Report, simulated bool) TCB {
	d := TCB{Head{"confidb.tcb/v1", simulated}, fleet.Report{Verdict: r.Verdict, Nodes: slices.Clone(r.Nodes), Groups: slices.Clone(r.Groups)}}
	for i := range d.Nodes {
		d.Nodes[i].Findings = cli.Kubectl.Findings(d.Nodes[i].Findings)
	}
	for i := range d.Groups {
		d.Groups[i].Do = cli.Kubectl.Say(d.Groups[i].Do)
	}
	return d
}

// Text counts the nodes and writes a paragraph for each group.
func (d TCB) Text(p *Page) {
	p.Wrap("", Count(len(d.Nodes), "node")+": "+d.Statuses())
	for i := range d.Groups {
		p.group(&d.Groups[i])
	}
	p.Verdict("fleet", d.Verdict, d.Simulated)
}

func (p *Page) group(g *fleet.Group) {
	title, platform, advisories, servicing := g.Status, "", "", ""
	if g.Reason != "" {
		title += ": " + g.Reason
	}
	if g.FMSPC != "" {
		platform = fmt.Sprintf("FMSPC %s, Intel's TCB evaluation %d", g.FMSPC, g.EvaluationDataNumber)
		advisories = cmp.Or(strings.Join(g.Advisories, " "), "none")
	}
	if len(g.EndOfServicing) > 0 {
		servicing = "has ended: " + strings.Join(g.EndOfServicing, " ")
	}
	parts := []string{"nodes", fleet.Some(g.Nodes), "platform", platform, "advisories", advisories, "servicing", servicing}
	for _, f := range g.Open {
		parts = append(parts, f.Outcome.String(), f.ID+": "+f.Reason)
	}
	parts = append(parts, "means", g.Meaning)
	label := "do"
	for line := range strings.Lines(g.Do) {
		parts = append(parts, label, line)
		label = ""
	}
	p.Gap()
	p.Wrap("", fmt.Sprintf("%s %s (%s)", strings.ToUpper(g.Outcome.String()), title, Count(len(g.Nodes), "node")))
	p.Parts("  %-11s ", parts...)
	if g.Tolerate != nil {
		p.toleration(g.Tolerate)
	}
}

// toleration writes the lines as they stand in the files.
func (p *Page) toleration(t *fleet.Toleration) {
	p.Wrap("  ", "If you can live with it, add these to the lists that are in policy.yaml:")
	flow(p, "    ", "accept-tcb", t.Policy.AcceptTCB)
	flow(p, "    ", "accept-advisories", t.Policy.AcceptAdvisories)
	if len(t.Session.Tolerate)+len(t.Session.IgnoreAdvisories) == 0 {
		p.Wrap("  ", "SCONE documents no word for it in a session.")
		return
	}
	p.Wrap("  ", "and in each session that these nodes are to serve:")
	p.Line("    security:")
	p.Line("      attestation:")
	flow(p, "        ", "tolerate", t.Session.Tolerate)
	flow(p, "        ", "ignore_advisories", t.Session.IgnoreAdvisories)
}

// flow writes a list of YAML in brackets, which may go on below.
func flow[T ~string](p *Page, indent, key string, all []T) {
	if len(all) == 0 {
		return
	}
	var items []string
	for _, item := range all {
		items = append(items, string(item))
	}
	p.Wrap(indent+key+": [", strings.Join(items, ", ")+"]")
}
