package verbs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// CollateralResult is what the verbs about collateral share: when it must verify, under
// which root, and how the result is printed.
type CollateralResult struct {
	// Output is one of printers.Formats, or empty.
	Output string
	// AcceptSimulated makes a simulated result a success.
	AcceptSimulated bool
	// Now is the clock.
	Now func() time.Time

	rootCA, at    string
	grace, maxAge time.Duration
}

func (o *CollateralResult) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.rootCA, "sgx-root-ca", "", "PEM root certificate to use instead of Intel's; the result is then simulated")
	AddResultFlags(flags, &o.Output, &o.AcceptSimulated)
}

// addTimeFlags registers the flags of verbs that look at collateral as of another day.
func (o *CollateralResult) addTimeFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.at, "at", "", "time of the verification, RFC 3339 (default now)")
	flags.DurationVar(&o.grace, "collateral-grace", 0, "how long collateral is used after its next update was due; the verdict is then a warning")
	flags.DurationVar(&o.maxAge, "max-collateral-age", 0, "refuse a TCB info or QE identity that was issued longer ago (default: their own dates count)")
}

// options are the same as those of a quote, without the quote.
func (o *CollateralResult) options() (sgx.Options, error) {
	one := AttestQuote{Now: o.Now, rootCA: o.rootCA, at: o.at, grace: o.grace, maxAge: o.maxAge}
	return one.options()
}

// conclude prints all bundles and returns the exit code of the worst.
func (o *CollateralResult) conclude(out io.Writer, all []bundle, s sgx.Options, text func(io.Writer, collateralDocument) error) error {
	d := newCollateralDocument(all, s)
	if err := d.print(out, o.Output, text); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return cli.Conclude(d.Verdict, d.Simulated, o.AcceptSimulated)
}

// bundle is collateral, and what it says.
type bundle struct {
	file       string
	collateral *sgx.Collateral
	contents   sgx.Contents
	// err is a *sgx.Refusal when it is forged or unreadable; nothing in it counts then.
	err error
	// done says what was done with it: written, kept or nothing.
	done string
}

// open verifies the collateral.
func (b *bundle) open(s sgx.Options) {
	if b.err != nil {
		return
	}
	v, err := sgx.NewVerifier(b.collateral, s)
	if err != nil {
		b.err = err
		return
	}
	b.contents, b.err = v.Contents()
}

// findings are those of the collateral; that it is forged or unreadable is one as well.
func (b *bundle) findings() check.Report {
	if b.err == nil {
		return b.contents.Findings
	}
	code := sgx.CollateralUnreadable
	var refusal *sgx.Refusal
	if errors.As(b.err, &refusal) {
		code = refusal.Code
	}
	return check.Report{{
		ID: string(code), Title: "everything in the collateral is readable, and signed under the trusted root",
		Outcome: check.Fail, Reason: b.err.Error(), Hint: "throw it away, and fetch it anew: kubectl confidb collateral fetch",
	}}
}

// problems are the findings that are neither a pass nor accepted, in one line.
func (b *bundle) problems() error {
	if b.err != nil {
		return b.err
	}
	if b.contents.Findings.Verdict().Accepted() {
		return nil
	}
	var all []string
	for _, f := range b.contents.Findings {
		if f.Outcome == check.Fail || f.Outcome == check.Skip {
			all = append(all, f.Reason)
		}
	}
	return errors.New(strings.Join(all, "; "))
}

// readBundles reads the bundles in a folder one by one, or one bundle, and verifies
// them. The files of Intel's sample form are one bundle with the name of the folder.
func readBundles(path string, s sgx.Options) ([]bundle, error) {
	files, err := readCollateralFiles(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var all []bundle
	sample := map[string][]byte{}
	for name, text := range files {
		switch {
		case !info.IsDir():
			all = append(all, parseBundle(path, text, s))
		case slices.Contains(sgx.CollateralFileNames(), name):
			sample[name] = text
		default:
			all = append(all, parseBundle(filepath.Join(path, name), text, s))
		}
	}
	if len(sample) > 0 || len(all) == 0 { // none at all is an error that names what there could be
		all = append(all, sampleBundle(path, sample, s))
	}
	slices.SortFunc(all, func(a, b bundle) int { return strings.Compare(a.file, b.file) })
	return all, nil
}

func parseBundle(file string, text []byte, s sgx.Options) bundle {
	b := bundle{file: file}
	b.collateral, b.err = sgx.ParseBundle(text)
	b.open(s)
	return b
}

func sampleBundle(folder string, files map[string][]byte, s sgx.Options) bundle {
	b := bundle{file: folder}
	set, err := sgx.CollateralFromFiles(files)
	if err != nil {
		b.err = err
		return b
	}
	b.collateral = set[0]
	b.open(s)
	return b
}

// CollateralShow are the options of saying what is in collateral.
type CollateralShow struct{ CollateralResult }

// AddFlags registers the flags.
func (o *CollateralShow) AddFlags(flags *pflag.FlagSet) {
	o.addFlags(flags)
	o.addTimeFlags(flags)
}

// Run verifies the collateral in a folder or a bundle, and says what it is for.
func (o *CollateralShow) Run(path string, streams genericiooptions.IOStreams) error {
	s, err := o.options()
	if err != nil {
		return err
	}
	all, err := readBundles(path, s)
	if err != nil {
		return fmt.Errorf("reading the collateral: %w", err)
	}
	return o.conclude(streams.Out, all, s, showBundles)
}

// CollateralExport are the options of writing collateral in another form.
type CollateralExport struct {
	CollateralResult
	to string
}

// AddFlags registers the flags.
func (o *CollateralExport) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.to, "to", "", "what to write: FILE.json becomes a bundle, any other name a folder of single files")
	o.addFlags(flags)
	o.addTimeFlags(flags)
}

// Run writes one bundle as a folder of single files, or the other way round.
func (o *CollateralExport) Run(path string, streams genericiooptions.IOStreams) error {
	if o.to == "" {
		return cli.NewUsageError("no target given: want --to FILE.json or --to DIR")
	}
	s, err := o.options()
	if err != nil {
		return err
	}
	all, err := readBundles(path, s)
	if err != nil {
		return fmt.Errorf("reading the collateral: %w", err)
	}
	if len(all) != 1 {
		return cli.NewUsageError("%s: got %d bundles, want one of them: %s", path, len(all), strings.Join(fileNames(all), " "))
	}
	b := &all[0]
	if b.err != nil || b.contents.Findings.Verdict() == check.Contraindicated {
		return &CollateralError{path, fmt.Errorf("it is not exported: %w", b.problems()), "fetch current collateral: kubectl confidb collateral fetch; for another day than today give --at, or name a --collateral-grace"}
	}
	if err := export(o.to, b.collateral); err != nil {
		return fmt.Errorf("exporting to %s: %w", o.to, err)
	}
	b.file, b.done = o.to, "written"
	return o.conclude(streams.Out, all, s, listBundles)
}

func fileNames(all []bundle) []string {
	var names []string
	for _, b := range all {
		names = append(names, b.file)
	}
	return names
}

// export writes what is not there yet. The certificate of one machine is left out:
// it is personal data, and collateral is for all of its family.
func export(to string, c *sgx.Collateral) error {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return errors.New("want a name that is free, so that nothing old stays between the new")
	}
	if filepath.Ext(to) == ".json" {
		text, err := c.Bundle()
		if err != nil {
			return err
		}
		return replaceFile(to, text)
	}
	shared := *c
	shared.PCKCertificate = nil
	return writeFolder(to, shared.Files())
}

// writeFolder makes a folder that has all files from the first moment on.
func writeFolder(to string, files map[string][]byte) error {
	parent := filepath.Dir(filepath.Clean(to))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	part, err := os.MkdirTemp(parent, ".new-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(part) // it is gone after the rename
	for name, text := range files {
		if err := replaceFile(filepath.Join(part, name), text); err != nil {
			return err
		}
	}
	if err := os.Chmod(part, 0o755); err != nil {
		return err
	}
	return os.Rename(part, to)
}

// replaceFile replaces path as a whole: after a crash it holds the old text or the
// new. Everybody may read it: Intel publishes it. A file that a crash leaves over has
// a name that nobody reads.
func replaceFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	_, err = f.Write(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// CollateralError says why collateral is not used.
type CollateralError struct {
	// File is the bundle that would be written, or that was read.
	File string
	err  error
	hint string
}

func (e *CollateralError) Error() string { return e.File + ": " + e.err.Error() }

// Unwrap returns the error inside.
func (e *CollateralError) Unwrap() error { return e.err }

// Hint says what to do.
func (e *CollateralError) Hint() string { return e.hint }
