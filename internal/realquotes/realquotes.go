// Package realquotes gives tests quotes of real machines, with what Intel's
// library says of each. They are third-party data and no part of this repository.
//
// They are looked for in the folder that CONFIDB_REAL_QUOTES names. Whoever sets
// it requires every case of IDs. Without it they are looked for beside the
// checkout; if that folder does not exist, their tests are skipped. Everything
// that they show is also shown by quotes of internal/sgxmint.
package realquotes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Variable is the environment variable that names the folder. A relative path
// starts at the root of the checkout.
const Variable = "CONFIDB_REAL_QUOTES"

// besideCheckout is the folder without the variable.
const besideCheckout = "../shared/testdata/sgx-quotes"

// OwnRoot is the ID of the only case that does not chain to Intel's root.
const OwnRoot = "intel-sample-ownroot"

// IDs are the cases that the tests know. A folder that lacks one is an error.
func IDs() []string {
	return []string{
		"automata-quotev3-00606A-2025-eval17",
		"automata-quotev3-00606A-2025-eval18",
		"automata-solana-debug-00A067-2025",
		"dcapqvl-00A067-2025",
		OwnRoot,
		"maa-intel-release-00906ED5-2023",
		"mobilecoin-00906ED5-2023-stalecrl",
		"oasis-00606A-2022",
		"oasis-00606A-2025",
		"ratls-gramine-q0-debug-00606A-2022",
		"teepot-sw-hardening-tcbv2",
	}
}

// Case is one quote with its collateral.
type Case struct {
	ID string
	// Folder holds quote.bin, the collateral under the names that
	// sgx.CollateralFromFiles takes, and trustedRootCaCert.pem.
	Folder string
	// Time is when the quote is to be verified.
	Time     time.Time
	Expected Expected
}

// Expected is what Intel's library says of a case. Identities are in lower-case
// hexadecimal.
type Expected struct {
	// RejectReasons are codes of package sgx: what keeps a strict verifier from
	// accepting the quote, whatever its status.
	RejectReasons      []string `json:"strict_reject_reasons"`
	Status             string   `json:"tcb_status"`
	PlatformStatus     string   `json:"platform_status"`
	QEStatus           string   `json:"qe_status"`
	Advisories         []string `json:"advisories"`
	TCBDate            string   `json:"tcb_date"` // RFC 3339
	TCBInfoVersion     int      `json:"tcb_info_version"`
	EvaluationNumber   int      `json:"tcb_evaluation_data_number"`
	Debug              bool     `json:"debug"`
	MRENCLAVE          string   `json:"mrenclave"`
	MRSIGNER           string   `json:"mrsigner"`
	ISVProdID          int      `json:"isvprodid"`
	ISVSVN             int      `json:"isvsvn"`
	Attributes         string   `json:"attributes"`
	ReportData         string   `json:"report_data"`
	FMSPC              string   `json:"fmspc"`
	PPID               string   `json:"ppid"`
	PCEID              string   `json:"pceid"`
	PlatformInstanceID string   `json:"platform_instance_id"`
	SGXType            int      `json:"sgx_type"`
	QEID               string   `json:"qe_id"`
}

// All returns the cases by ID. It skips the test where there are none, and fails
// it if they are required or some are missing.
func All(t testing.TB) map[string]Case {
	t.Helper()
	cases := IfThere(t)
	if cases == nil {
		t.Skip(Absent())
	}
	return cases
}

// IfThere is All for tests that go on without real quotes: it returns nil instead
// of skipping.
func IfThere(t testing.TB) map[string]Case {
	t.Helper()
	cases, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// Named returns one case, and else is like All.
func Named(t testing.TB, id string) Case {
	t.Helper()
	c, ok := All(t)[id]
	if !ok {
		t.Fatalf("real quotes: no case %s", id)
	}
	return c
}

// File is the path of one of the case's files.
func (c Case) File(name string) string { return filepath.Join(c.Folder, name) }

// At is Time in RFC 3339, as flags take it.
func (c Case) At() string { return c.Time.UTC().Format(time.RFC3339) }

// Read returns one of the case's files.
func (c Case) Read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(c.File(name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Files returns the case's files by name.
func (c Case) Files(t testing.TB) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(c.Folder)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		files[e.Name()] = c.Read(t, e.Name())
	}
	return files
}

// Absent says in one line what does not run without real quotes.
func Absent() string {
	return fmt.Sprintf("%d cases of real quotes did not run; put them into %s beside the checkout, or name their folder in %s", len(IDs()), besideCheckout, Variable)
}

// Find returns the cases by ID, and nil without an error if nothing requires them
// and there are none.
func Find() (map[string]Case, error) {
	folder, required, err := place()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) && !required {
		return nil, nil
	}
	cases, err := read(folder)
	if err != nil {
		return nil, fmt.Errorf("real quotes: %w", err)
	}
	for _, id := range IDs() {
		if _, ok := cases[id]; !ok {
			return nil, fmt.Errorf("real quotes: %s has no case %s", folder, id)
		}
	}
	return cases, nil
}

// place is the folder, and whether somebody named it.
func place() (folder string, required bool, err error) {
	root, err := checkout()
	if err != nil {
		return "", false, fmt.Errorf("real quotes: %w", err)
	}
	named := os.Getenv(Variable)
	switch {
	case named == "":
		return filepath.Join(root, besideCheckout), false, nil
	case filepath.IsAbs(named):
		return named, true, nil
	}
	return filepath.Join(root, named), true, nil
}

// checkout is the root of the repository, which the working directory is in. Other
// modules of the repository are below it.
func checkout() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module github.com/confidb/confidb\n") {
			return folder, nil
		}
		above := filepath.Dir(folder)
		if above == folder {
			return "", errors.New("the working directory is in no checkout of this repository")
		}
		folder = above
	}
}

// read reads cases.json and looks for each case's quote.
func read(folder string) (map[string]Case, error) {
	text, err := os.ReadFile(filepath.Join(folder, "cases.json"))
	if err != nil {
		return nil, err
	}
	var listed []struct {
		ID, Dir  string
		Time     int64 `json:"verification_time"`
		Expected Expected
	}
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, fmt.Errorf("cases.json: %w", err)
	}
	cases := map[string]Case{}
	for _, l := range listed {
		c := Case{l.ID, filepath.Join(folder, l.Dir), time.Unix(l.Time, 0), l.Expected}
		if _, err := os.Stat(c.File("quote.bin")); err != nil {
			return nil, fmt.Errorf("case %s: %w", c.ID, err)
		}
		cases[c.ID] = c
	}
	return cases, nil
}
