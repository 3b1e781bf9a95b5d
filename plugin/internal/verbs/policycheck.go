package verbs

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/policy"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/printers"
)

// PolicyCheck are the options of checking a policy file.
type PolicyCheck struct {
	// File is the policy; - is standard input.
	File string
	// Output is json or yaml; empty means text.
	Output string
	// Strict makes weaknesses the exit code of something contraindicated.
	Strict bool
}

// Run prints what a policy accepts and where it is weak.
func (o PolicyCheck) Run(streams genericiooptions.IOStreams) error {
	name, text, err := o.read(streams.In)
	if err != nil {
		return fmt.Errorf("reading the policy: %w", err)
	}
	p, err := policy.Parse(name, text)
	if err != nil {
		return err
	}
	document := newPolicyDocument(name, p)
	if err := document.print(streams.Out, o.Output); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	if o.Strict && len(document.Weaknesses) > 0 {
		return &cli.VerdictError{Code: cli.Contraindicated}
	}
	return nil
}

func (o PolicyCheck) read(in io.Reader) (name string, text []byte, err error) {
	if o.File == "-" {
		text, err = io.ReadAll(io.LimitReader(in, maxInput))
		return "standard input", text, err
	}
	text, err = readBounded(o.File)
	return o.File, text, err
}

// policyDocument is the result for programs.
type policyDocument struct {
	Kind       string            `json:"kind"`
	File       string            `json:"file"`
	Accepts    acceptsDocument   `json:"accepts"`
	Weaknesses []policy.Weakness `json:"weaknesses"`
}

// acceptsDocument is what a policy accepts; what is empty accepts nothing.
type acceptsDocument struct {
	CAS                 casDocument                  `json:"cas"`
	Enclaves            map[string][]sgx.Measurement `json:"enclaves"`
	TCB                 []sgx.TCBStatus              `json:"tcb"`
	Advisories          []string                     `json:"advisories"`
	DebugEnclave        bool                         `json:"debugEnclave"`
	MinEvaluationNumber int                          `json:"minTCBEvaluationNumber"`
	CollateralGrace     string                       `json:"collateralGrace"`
	// RequireProvenance is empty when the cluster's word for platform IDs is enough.
	RequireProvenance attest.Provenance `json:"requireProvenance"`
	// MaxCollateralAge is null for no bound.
	MaxCollateralAge *string `json:"maxCollateralAge"`
}

type casDocument struct {
	MRENCLAVEs []sgx.Measurement       `json:"mrenclaves"`
	Signer     *attest.SignerReference `json:"signer"`
}

func newPolicyDocument(file string, p *policy.Policy) policyDocument {
	d := policyDocument{Kind: "confidb.policy-check/v1", File: file, Weaknesses: list(p.Weaknesses()), Accepts: acceptsDocument{
		CAS:                 casDocument{list(p.CAS.ReferenceValues.MRENCLAVEs), p.CAS.ReferenceValues.Signer},
		Enclaves:            map[string][]sgx.Measurement{},
		TCB:                 append([]sgx.TCBStatus{sgx.UpToDate}, p.CAS.AcceptTCB...),
		Advisories:          list(p.CAS.AcceptAdvisories),
		DebugEnclave:        p.CAS.AllowDebugEnclave,
		MinEvaluationNumber: p.Freshness.MinEvaluationNumber,
		CollateralGrace:     policy.Hours(p.Freshness.Grace),
		RequireProvenance:   p.RequireProvenance,
	}}
	for name, measurements := range p.Enclaves {
		d.Accepts.Enclaves[name] = list(measurements)
	}
	if p.Freshness.MaxAge > 0 {
		age := policy.Hours(p.Freshness.MaxAge)
		d.Accepts.MaxCollateralAge = &age
	}
	return d
}

// list makes a list without entries one that programs can read: [] instead of null.
func list[T any](all []T) []T { return append([]T{}, all...) }

func (d policyDocument) print(out io.Writer, format string) error {
	if format != "" {
		return printers.Encode(out, format, d)
	}
	_, err := io.WriteString(out, d.text())
	return err
}

func (d policyDocument) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is a valid %s. It accepts:\n\n", d.File, policy.Kind)
	d.Accepts.CAS.describe(&b)
	d.Accepts.describeEnclaves(&b)
	d.Accepts.describePlatforms(&b)
	d.Accepts.describeCollateral(&b)
	d.describeWeaknesses(&b)
	return b.String()
}

func (c casDocument) describe(b *strings.Builder) {
	b.WriteString("CAS\n")
	if len(c.MRENCLAVEs) == 0 && c.Signer == nil {
		b.WriteString("  none\n")
		return
	}
	for i, m := range c.MRENCLAVEs {
		fmt.Fprintf(b, "  %-4sMRENCLAVE %s\n", before(i, "or"), m)
	}
	if s := c.Signer; s != nil {
		fmt.Fprintf(b, "  %-4sMRSIGNER %s, ISVPRODID %d, ISVSVN at least %d\n", before(len(c.MRENCLAVEs), "and"), s.MRSIGNER, s.ISVProdID, s.MinISVSVN)
	}
}

// before is the word before all but the first.
func before(i int, word string) string {
	if i == 0 {
		return ""
	}
	return word
}

func (a acceptsDocument) describeEnclaves(b *strings.Builder) {
	b.WriteString("\nEnclaves in sessions, by MRENCLAVE\n")
	if len(a.Enclaves) == 0 {
		b.WriteString("  none\n")
	}
	for _, name := range slices.Sorted(maps.Keys(a.Enclaves)) {
		if len(a.Enclaves[name]) == 0 {
			fmt.Fprintf(b, "  %-10s none\n", name)
		}
		for _, m := range a.Enclaves[name] {
			fmt.Fprintf(b, "  %-10s %s\n", name, m)
		}
	}
}

func (a acceptsDocument) describePlatforms(b *strings.Builder) {
	b.WriteString("\nPlatforms\n")
	for _, s := range a.TCB {
		fmt.Fprintf(b, "  %s: %s\n", s, meaning(s))
	}
	for _, advisory := range a.Advisories {
		fmt.Fprintf(b, "  %s: platforms that this advisory of Intel concerns (a warning)\n", advisory)
	}
	debug := "refused"
	if a.DebugEnclave {
		debug = "ACCEPTED: the host can read their memory"
	}
	fmt.Fprintf(b, "  debug enclaves: %s\n", debug)
	ids := "any, also those that only the cluster claims"
	if a.RequireProvenance != "" {
		ids = "at least " + string(a.RequireProvenance)
	}
	fmt.Fprintf(b, "  platform IDs: %s\n", ids)
}

// meaning says what a platform of a status is like. Each but the best is a warning.
func meaning(s sgx.TCBStatus) string {
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

func (a acceptsDocument) describeCollateral(b *strings.Builder) {
	b.WriteString("\nIntel's collateral\n")
	evaluation := "any TCB evaluation"
	if a.MinEvaluationNumber > 0 {
		evaluation = fmt.Sprintf("TCB evaluation %d or later", a.MinEvaluationNumber)
	}
	age := "issued at any time"
	if a.MaxCollateralAge != nil {
		age = "issued at most " + *a.MaxCollateralAge + " ago"
	}
	until := "until its next update is due"
	if a.CollateralGrace != policy.Hours(0) {
		until = "up to " + a.CollateralGrace + " after its next update was due (a warning then)"
	}
	fmt.Fprintf(b, "  %s\n  %s\n  %s\n", evaluation, age, until)
}

func (d policyDocument) describeWeaknesses(b *strings.Builder) {
	fmt.Fprintf(b, "\nWeaknesses: %d\n", len(d.Weaknesses))
	for _, w := range d.Weaknesses {
		fmt.Fprintf(b, "  %s: %s\n    %s\n    hint: %s\n", w.Where, w.ID, w.Text, w.Hint)
	}
}
