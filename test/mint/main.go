// Command mint writes a quote and its collateral under a throw-away root, for
// those who have no machine with SGX: quote.bin, root.pem and collateral/. The
// platform needs SWHardeningNeeded accepted. It prints the enclave's measurement.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/confidb/confidb/internal/sgxmint"
	"github.com/confidb/confidb/pkg/sgx"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mint FOLDER")
		os.Exit(2)
	}
	if err := mint(os.Args[1], time.Now()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func mint(folder string, now time.Time) error {
	authority, err := sgxmint.NewAuthority(now)
	if err != nil {
		return err
	}
	authority.Status, authority.Advisories = sgx.SWHardeningNeeded, []string{"INTEL-SA-00615"}
	platform, err := sgxmint.NewPlatform(authority, now)
	if err != nil {
		return err
	}
	report := sgx.ReportBody{MRENCLAVE: sgx.Measurement{0xc0, 0xff, 0xee}, Attributes: [16]byte{5}}
	quote, err := platform.Quote(report)
	if err != nil {
		return err
	}
	collateral, err := authority.CollateralFiles(now)
	if err != nil {
		return err
	}
	files := map[string][]byte{"quote.bin": quote, "root.pem": authority.RootPEM()}
	for name, text := range collateral {
		files[filepath.Join("collateral", name)] = text
	}
	if err := write(folder, files); err != nil {
		return err
	}
	_, err = fmt.Println(report.MRENCLAVE)
	return err
}

func write(folder string, files map[string][]byte) error {
	if err := os.MkdirAll(filepath.Join(folder, "collateral"), 0o700); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
