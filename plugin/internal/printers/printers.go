// Package printers writes results: a table for people, one JSON or YAML document
// for programs. A simulated result says so in each of them.
package printers

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
)

// Result is what a verification ends with.
type Result struct {
	// Kind names the document: confidb.<what>/v1.
	Kind string `json:"kind"`
	// Subject is what was looked at.
	Subject   string        `json:"subject"`
	Verdict   check.Verdict `json:"verdict"`
	Simulated bool          `json:"simulated"`
	Findings  check.Report  `json:"findings"`
	// Claims are what a quote says, where one was appraised.
	*attest.Claims
	// Evidence labels what a CAS was attested by.
	Evidence *attest.EvidenceLabel `json:"evidence,omitempty"`
	// Origins says where inputs came from.
	Origins map[string]string `json:"origins,omitempty"`
	// Limitations are what is not claimed.
	Limitations []evidence.Limitation `json:"limitations,omitempty"`
}

// Formats lists the output formats; the empty one is the table.
func Formats() []string { return []string{"json", "yaml"} }

// Print writes a result in a format.
func Print(out io.Writer, format string, r Result) error {
	if format == "" {
		return table(out, r)
	}
	return Document(out, format, r)
}

// Document writes a value in one of Formats.
func Document(out io.Writer, format string, value any) error {
	if format == "yaml" {
		text, err := yaml.Marshal(value)
		if err != nil {
			return err
		}
		_, err = out.Write(text)
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// width is how many columns the table takes.
const width = 80

func table(out io.Writer, r Result) error {
	var b strings.Builder
	if r.Simulated {
		b.WriteString("SIMULATED: nothing here rests on Intel's root; no hardware protects anything.\n\n")
	}
	ids := 0
	for _, f := range r.Findings {
		ids = max(ids, len(f.ID))
	}
	for _, f := range r.Findings {
		Wrap(&b, fmt.Sprintf("%-4s %-*s ", strings.ToUpper(f.Outcome.String()), ids, f.ID), f.Title)
		if f.Outcome != check.Pass {
			detail(&b, "got", f.Got)
			detail(&b, "want", f.Want)
			detail(&b, "because", f.Reason)
			detail(&b, "next", f.Hint)
		}
	}
	if r.Evidence != nil {
		label(&b, r.Evidence)
	}
	if r.Claims != nil && r.Claims.TCB != nil {
		claims(&b, r.Claims)
	}
	if len(r.Limitations) > 0 {
		b.WriteString("\nNot protected by the database itself, whatever is said above:\n")
		for _, l := range r.Limitations {
			Wrap(&b, "  - ", l.Text)
		}
	}
	if len(r.Origins) > 0 {
		b.WriteString("\nWhere inputs came from:\n")
		for _, name := range slices.Sorted(maps.Keys(r.Origins)) {
			fmt.Fprintf(&b, "  %-17s %s\n", name, r.Origins[name])
		}
	}
	fmt.Fprintf(&b, "\n%s: %s\n", r.Subject, Words(r.Verdict, r.Simulated))
	_, err := io.WriteString(out, b.String())
	return err
}

// label writes what evidence binds.
func label(b *strings.Builder, l *attest.EvidenceLabel) {
	fmt.Fprintf(b, "\nEvidence (%s):\n", l.Backend)
	for _, line := range []struct {
		name    string
		bound   bool
		yes, no string
	}{
		{"key", l.KeyBound, "bound: the enclave vouches for the key of this CAS", "not bound: no enclave was seen to vouch for a key"},
		{"nonce", l.NonceBound, "bound: the enclave answered the nonce", "not bound: no nonce was seen to be answered"},
		{"session", l.SessionBound, "bound: the TLS peer holds that key", "not bound: the TLS peer was not seen to hold it"},
	} {
		text := line.no
		if line.bound {
			text = line.yes
		}
		Wrap(b, fmt.Sprintf("  %-10s ", line.name), text)
	}
	Wrap(b, "  freshness  ", l.Freshness)
}

// claims writes what a quote says. The PPID is left out: it is personal data of
// the machine's owner, and in the other formats for whoever asks for it.
func claims(b *strings.Builder, c *attest.Claims) {
	b.WriteString("\nWhat the quote says:\n")
	tcb, enclave, platform := c.TCB, c.Enclave, c.Platform
	for _, line := range [][2]string{
		{"TCB status", fmt.Sprintf("%s (platform %s, quoting enclave %s)", known(tcb.Status), known(tcb.PlatformStatus), known(tcb.QEStatus))},
		{"TCB date", fmt.Sprintf("%s, evaluation %d", known(tcb.Date), tcb.EvaluationDataNumber)},
		{"advisories", known(strings.Join(tcb.Advisories, " "))},
		{"MRENCLAVE", enclave.MRENCLAVE.String()},
		{"MRSIGNER", enclave.MRSIGNER.String()},
		{"product", fmt.Sprintf("ISVPRODID %d ISVSVN %d debug %v", enclave.ISVProdID, enclave.ISVSVN, enclave.Debug)},
		{"REPORTDATA", enclave.ReportData[:64] + " " + enclave.ReportData[64:]},
		{"platform ID", "INTEL_QE_ID:" + platform.QEID},
		{"FMSPC", platform.FMSPC + " (" + platform.PCKCA + ")"},
	} {
		Wrap(b, fmt.Sprintf("  %-11s ", line[0]), line[1])
	}
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

// detail writes what belongs to the finding above it.
func detail(b *strings.Builder, label, text string) {
	if text != "" {
		Wrap(b, fmt.Sprintf("     %8s ", label), text)
	}
}

// Wrap writes text after a label, in lines that begin below its first word.
func Wrap(b *strings.Builder, label, text string) {
	b.WriteString(label)
	indent := utf8.RuneCountInString(label)
	column := indent
	// what a peer wrote must not move the cursor and forge a line of ours
	for i, word := range strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		length := utf8.RuneCountInString(word)
		switch {
		case i > 0 && column+1+length > width:
			fmt.Fprintf(b, "\n%*s", indent, "")
			column = indent
		case i > 0:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += length
	}
	b.WriteByte('\n')
}
