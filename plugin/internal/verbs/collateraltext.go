package verbs

import (
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/printers"
)

func day(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// collateralDocument is the result for programs.
type collateralDocument struct {
	Kind      string           `json:"kind"`
	Bundles   []bundleDocument `json:"bundles"`
	Verdict   check.Verdict    `json:"verdict"`
	Simulated bool             `json:"simulated"`
}

// bundleDocument is one bundle. What is not known is empty or zero.
type bundleDocument struct {
	File                   string             `json:"file"`
	FMSPC                  string             `json:"fmspc"`
	PCEID                  string             `json:"pceID"`
	CA                     string             `json:"ca"`
	EvaluationDataNumber   int                `json:"evaluationDataNumber"`
	QEEvaluationDataNumber int                `json:"qeEvaluationDataNumber"`
	TCBLevels              int                `json:"tcbLevels"`
	Validities             []validityDocument `json:"validities"`
	Verdict                check.Verdict      `json:"verdict"`
	Findings               check.Report       `json:"findings"`
	// Done is written or kept, and left out when nothing was to be done.
	Done string `json:"done,omitempty"`
}

type validityDocument struct {
	sgx.Validity
	// DaysLeft is in whole days, and below zero when it is over.
	DaysLeft int `json:"daysLeft"`
}

func newCollateralDocument(all []bundle, s sgx.Options) collateralDocument {
	d := collateralDocument{Kind: "confidb.collateral/v1", Simulated: !s.Roots.Intel()}
	var everything check.Report
	for i := range all {
		d.Bundles = append(d.Bundles, newBundleDocument(&all[i], s.Time))
		everything = append(everything, d.Bundles[i].Findings...)
	}
	d.Verdict = everything.Verdict()
	return d
}

func newBundleDocument(b *bundle, now time.Time) bundleDocument {
	c, findings := &b.contents, b.findings()
	d := bundleDocument{
		File: b.file, CA: c.CA, EvaluationDataNumber: c.EvaluationDataNumber, QEEvaluationDataNumber: c.QEEvaluationDataNumber,
		TCBLevels: c.Levels, Validities: []validityDocument{}, Verdict: findings.Verdict(), Findings: findings, Done: b.done,
	}
	if _, known := c.Validity("tcb-info"); known {
		d.FMSPC, d.PCEID = hex.EncodeToString(c.FMSPC[:]), hex.EncodeToString(c.PCEID[:])
	}
	for _, v := range c.Validities {
		d.Validities = append(d.Validities, validityDocument{v, daysLeft(v.Until, now)})
	}
	return d
}

func daysLeft(until, now time.Time) int { return int(math.Floor(until.Sub(now).Hours() / 24)) }

func (d collateralDocument) print(out io.Writer, format string, text func(io.Writer, collateralDocument) error) error {
	if format != "" {
		return printers.Encode(out, format, d)
	}
	return text(out, d)
}

// showBundles prints all findings and dates of each bundle.
func showBundles(out io.Writer, d collateralDocument) error {
	for i, b := range d.Bundles {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if err := printers.Print(out, "", printers.Result{Head: printers.Head{Simulated: d.Simulated}, Subject: b.subject(), Verdict: b.Verdict, Findings: b.Findings}); err != nil {
			return err
		}
		if len(b.Validities) == 0 {
			continue
		}
		rows := [][]string{{"PART", "FROM", "UNTIL", "DAYS LEFT"}}
		for _, v := range b.Validities {
			rows = append(rows, []string{v.Part, day(v.From), day(v.Until), strconv.Itoa(v.DaysLeft)})
		}
		fmt.Fprintln(out)
		if err := printColumns(out, rows); err != nil {
			return err
		}
	}
	return nil
}

func (b bundleDocument) subject() string {
	if b.FMSPC == "" {
		return "collateral " + b.File
	}
	return fmt.Sprintf("collateral %s (FMSPC %s, CA %s, evaluation %d, QE %d)", b.File, b.FMSPC, known(b.CA), b.EvaluationDataNumber, b.QEEvaluationDataNumber)
}

func known(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}

// listBundles prints a line for each bundle.
func listBundles(out io.Writer, d collateralDocument) error {
	if d.Simulated {
		fmt.Fprint(out, "SIMULATED: nothing here rests on Intel's root; no hardware protects anything.\n\n")
	}
	rows := [][]string{{"FMSPC", "CA", "EVALUATION", "NEXT UPDATE", "DAYS LEFT", "DONE", "FILE"}}
	for _, b := range d.Bundles {
		first := b.first()
		rows = append(rows, []string{b.FMSPC, b.CA, strconv.Itoa(b.EvaluationDataNumber), day(first.Until), strconv.Itoa(first.DaysLeft), b.Done, b.File})
	}
	return printColumns(out, rows)
}

// first is the part that must be fetched anew before all others.
func (b bundleDocument) first() validityDocument {
	if len(b.Validities) == 0 {
		return validityDocument{}
	}
	return slices.MinFunc(b.Validities, func(x, y validityDocument) int { return x.Until.Compare(y.Until) })
}
