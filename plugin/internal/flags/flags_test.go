package flags_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/sgx"
	"github.com/confidb/confidb/plugin/internal/cli"
	"github.com/confidb/confidb/plugin/internal/flags"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// parse gives arguments to a group.
func parse(t *testing.T, add func(*pflag.FlagSet), arguments string) {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	add(set)
	if err := set.Parse(strings.Fields(arguments)); err != nil {
		t.Fatal(err)
	}
}

// wantUsage checks that an error is one of the command line, and what it says.
func wantUsage(t *testing.T, err error, want string) {
	t.Helper()
	var usage *cli.UsageError
	if !errors.As(err, &usage) {
		t.Errorf("got %v, want a usage error", err)
		return
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q", err, want)
	}
}

func write(t *testing.T, path string, text []byte) string {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVerification(t *testing.T) {
	a, err := sgxmint.NewAuthority(now)
	if err != nil {
		t.Fatal(err)
	}
	root := write(t, filepath.Join(t.TempDir(), "root.pem"), a.RootPEM())
	roots, err := sgx.RootFromPEM(a.RootPEM())
	if err != nil {
		t.Fatal(err)
	}
	for arguments, want := range map[string]sgx.Options{
		"":                          {Time: now, Roots: sgx.IntelRoot()},
		"--at 2026-12-01T00:00:00Z": {Time: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Roots: sgx.IntelRoot()},
		"--sgx-root-ca " + root:     {Time: now, Roots: roots},
		"--collateral-grace 1h --max-collateral-age 2h --min-tcb-evaluation-number 17": {Time: now, Roots: sgx.IntelRoot(), Grace: time.Hour, MaxAge: 2 * time.Hour, MinEvaluationDataNumber: 17},
	} {
		var v flags.Verification
		parse(t, func(f *pflag.FlagSet) { v.AddFlags(f); v.AddMinimum(f) }, arguments)
		got, err := v.Resolve(now)
		if err != nil {
			t.Errorf("%s: %v", arguments, err)
		}
		if got.Roots.Intel() != want.Roots.Intel() {
			t.Errorf("%s: Intel's root: %v", arguments, got.Roots.Intel())
		}
		got.Roots, want.Roots = sgx.Roots{}, sgx.Roots{}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(sgx.Roots{})); diff != "" {
			t.Errorf("%s: %s", arguments, diff)
		}
	}
	for arguments, want := range map[string]string{
		"--at yesterday":                 "RFC 3339",
		"--collateral-grace -1h":         "want none below zero",
		"--max-collateral-age -1h":       "want none below zero",
		"--min-tcb-evaluation-number -1": "want none below zero",
	} {
		var v flags.Verification
		parse(t, func(f *pflag.FlagSet) { v.AddFlags(f); v.AddMinimum(f) }, arguments)
		_, err := v.Resolve(now)
		wantUsage(t, err, want)
	}
	// nothing is trusted when the root cannot be read
	for _, file := range []string{filepath.Join(t.TempDir(), "none"), write(t, filepath.Join(t.TempDir(), "x"), []byte("x"))} {
		v := flags.Verification{RootCA: file}
		o, err := v.Resolve(now)
		if err == nil || !strings.HasPrefix(err.Error(), "--sgx-root-ca: ") {
			t.Errorf("got %v", err)
		}
		if o.Roots.Intel() {
			t.Error("Intel's root is trusted instead")
		}
	}
}

func TestEnclave(t *testing.T) {
	ones, twos := strings.Repeat("11", 32), strings.Repeat("22", 32)
	measured, err := sgx.ParseMeasurement(ones)
	if err != nil {
		t.Fatal(err)
	}
	for arguments, want := range map[string]attest.Policy{
		"":                    {},
		"--mrenclave " + ones: {ReferenceValues: attest.ReferenceValues{MRENCLAVEs: []sgx.Measurement{measured}}},
		"--mrsigner " + ones + " --isvprodid 0 --min-isvsvn 3": {ReferenceValues: attest.ReferenceValues{Signer: &attest.SignerReference{MRSIGNER: measured, MinISVSVN: 3}}},
		"--accept-tcb OutOfDate,SWHardeningNeeded":             {AcceptTCB: []sgx.TCBStatus{sgx.OutOfDate, sgx.SWHardeningNeeded}},
		"--accept-advisory INTEL-SA-00615,INTEL-DOC-10000":     {AcceptAdvisories: []string{"INTEL-SA-00615", "INTEL-DOC-10000"}},
		"--allow-debug-enclave":                                {AllowDebugEnclave: true},
	} {
		var e flags.Enclave
		parse(t, e.AddFlags, arguments)
		got, err := e.Resolve()
		if err != nil {
			t.Errorf("%s: %v", arguments, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", arguments, diff)
		}
	}
	for arguments, want := range map[string]string{
		"--mrenclave " + ones + "," + twos[1:]:                "--mrenclave: ",
		"--mrsigner " + ones:                                  "want --isvprodid and --min-isvsvn as well",
		"--mrsigner " + ones + " --isvprodid 1":               "want --isvprodid and --min-isvsvn as well",
		"--min-isvsvn 1":                                      "want --mrsigner as well",
		"--isvprodid 1":                                       "want --mrsigner as well",
		"--mrsigner x --isvprodid 1 --min-isvsvn 1":           "--mrsigner: ",
		"--accept-tcb Revoked":                                "never accepted",
		"--accept-tcb Outdated":                               "--accept-tcb: ",
		"--accept-advisory INTEL-SA-*":                        "there are no wildcards",
		"--accept-advisory INTEL-SA-00615,intel-sa-00615":     "there are no wildcards",
		"--accept-tcb OutOfDate --accept-tcb UpToDate,,Other": "--accept-tcb: ",
	} {
		var e flags.Enclave
		parse(t, e.AddFlags, arguments)
		_, err := e.Resolve()
		wantUsage(t, err, want)
	}
}

func TestEvidence(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"a.bin": "1", "b.quote": "2", "c.example.dat": "3", "notes.txt": "4"} {
		write(t, filepath.Join(folder, name), []byte(text))
	}
	q := flags.Quotes{Folder: folder}
	got, err := q.Evidence("d=elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c.example", "d"}, got.Nodes()); diff != "" {
		t.Error(diff)
	}
	for _, c := range []struct{ argument, want string }{
		{"a", "want NODE=FILE"}, {"=x", "want NODE=FILE"}, {"a=", "want NODE=FILE"}, {"A_B=x", "want the name of a node"}, {"a=x", "two files with evidence"},
	} {
		_, err := q.Evidence(c.argument)
		if c.want == "two files with evidence" {
			wantUsage(t, err, "node \"a\" has two files")
			continue
		}
		wantUsage(t, err, c.want)
	}
	_, err = (&flags.Quotes{Folder: t.TempDir()}).Evidence()
	wantUsage(t, err, "got no quote in")
}
