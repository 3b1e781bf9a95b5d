package printers

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/confidb/confidb/pkg/fleet"
	"github.com/confidb/confidb/pkg/outside"
	"github.com/confidb/confidb/pkg/policy"
)

// Policy is what a policy accepts and where it is weak. Nothing in it is simulated or
// not, so it has no Head.
type Policy struct {
	Kind       string            `json:"kind"`
	File       string            `json:"file"`
	Accepts    policy.Accepted   `json:"accepts"`
	Weaknesses []policy.Weakness `json:"weaknesses"`
}

// NewPolicy makes the document of a policy that was read from a file.
func NewPolicy(file string, p *policy.Policy) Policy {
	return Policy{"confidb.policy-check/v1", file, p.Accepts(), append([]policy.Weakness{}, p.Weaknesses()...)}
}

func (d Policy) head() Head { return Head{Kind: d.Kind} }

// Text says in words what is accepted.
func (d Policy) Text(p *Page) {
	p.Line("%s is a valid %s. It accepts:", d.File, policy.Kind)
	p.Section("CAS", acceptedCAS(d.Accepts)...)
	p.Section("Enclaves in sessions, by MRENCLAVE", acceptedEnclaves(d.Accepts)...)
	p.Section("Platforms", acceptedPlatforms(d.Accepts)...)
	p.Section("Deviations", acceptedDeviations(d.Accepts)...)
	p.Section("Intel's collateral", acceptedCollateral(d.Accepts)...)
	p.Gap()
	p.Line("Weaknesses: %d", len(d.Weaknesses))
	for _, w := range d.Weaknesses {
		p.Line("  %s: %s", w.Where, w.ID)
		p.Line("    %s", w.Text)
		p.Line("    hint: %s", w.Hint)
	}
}

func acceptedCAS(a policy.Accepted) []string {
	var lines []string
	or, and := "", ""
	for _, m := range a.CAS.MRENCLAVEs {
		lines = append(lines, fmt.Sprintf("%-4sMRENCLAVE %s", or, m))
		or, and = "or", "and"
	}
	if s := a.CAS.Signer; s != nil {
		lines = append(lines, fmt.Sprintf("%-4sMRSIGNER %s, ISVPRODID %d, ISVSVN at least %d", and, s.MRSIGNER, s.ISVProdID, s.MinISVSVN))
	}
	return orNone(lines)
}

func acceptedEnclaves(a policy.Accepted) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(a.Enclaves)) {
		var measurements []string
		for _, m := range a.Enclaves[name] {
			measurements = append(measurements, m.String())
		}
		for _, m := range orNone(measurements) {
			lines = append(lines, fmt.Sprintf("%-10s %s", name, m))
		}
		if s := a.Settings[name]; s != (policy.Settings{}) {
			lines = append(lines, fmt.Sprintf("%-10s heap %s, dlopen %s", "", cmp.Or(s.Heap, "any"), cmp.Or(s.Dlopen, "0")))
		}
	}
	return orNone(lines)
}

func orNone(lines []string) []string {
	if len(lines) == 0 {
		return []string{"none"}
	}
	return lines
}

func acceptedPlatforms(a policy.Accepted) []string {
	var lines []string
	for _, s := range a.TCB {
		lines = append(lines, fmt.Sprintf("%s: %s", s, fleet.Meaning(s)))
	}
	for _, advisory := range a.Advisories {
		lines = append(lines, advisory+": platforms that this advisory of Intel concerns (a warning)")
	}
	debug, ids := "refused", "any, also those that only the cluster claims"
	if a.DebugEnclave {
		debug = "ACCEPTED: the host can read their memory"
	}
	if a.RequireProvenance != "" {
		ids = "at least " + string(a.RequireProvenance)
	}
	return append(lines, "debug enclaves: "+debug, "platform IDs: "+ids)
}

func acceptedDeviations(a policy.Accepted) []string {
	var lines []string
	for _, v := range a.Deviations {
		lines = append(lines, string(v)+" (a warning)")
	}
	switch most := a.MaxOutside; {
	case most == nil:
		lines = append(lines, "clients outside of enclaves, for "+policy.Hours(outside.MaxTime)+" at most (a warning)")
	case *most != policy.Hours(0):
		lines = append(lines, "clients outside of enclaves, for "+*most+" at most (a warning)")
	}
	return orNone(lines)
}

func acceptedCollateral(a policy.Accepted) []string {
	evaluation, age, until := "any TCB evaluation", "issued at any time", "until its next update is due"
	if a.MinEvaluationNumber > 0 {
		evaluation = fmt.Sprintf("TCB evaluation %d or later", a.MinEvaluationNumber)
	}
	if a.MaxCollateralAge != nil {
		age = "issued at most " + *a.MaxCollateralAge + " ago"
	}
	if a.CollateralGrace != policy.Hours(0) {
		until = "up to " + a.CollateralGrace + " after its next update was due (a warning then)"
	}
	return []string{evaluation, age, until}
}
