package flags

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/confidb/confidb/pkg/attest"
	"github.com/confidb/confidb/pkg/contact"
	"github.com/confidb/confidb/pkg/files"
	"github.com/confidb/confidb/plugin/internal/cli"
)

// CASEvidence are the flags by which the user chooses how a CAS is attested.
type CASEvidence struct {
	backend, report, nonce, chain, program string
	given                                  func(flag string) bool
}

// AddFlags registers the flags.
func (e *CASEvidence) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&e.backend, "evidence", string(attest.BackendReport), "where the evidence comes from: "+backendNames())
	flags.StringVar(&e.report, "report", "", "saved attestation report (--evidence file)")
	flags.StringVar(&e.nonce, "nonce", "", "nonce that was sent for --report, 32 hexadecimal digits")
	flags.StringVar(&e.chain, "cas-ca", "", "PEM certificates of the CAS (--evidence pinned-ca)")
	flags.StringVar(&e.program, "scone-cli", "scone", "program that is run as SCONE's command line client (--evidence scone-cli)")
	e.given = flags.Changed
}

func backendNames() string {
	var names []string
	for _, b := range attest.Backends() {
		names = append(names, string(b))
	}
	return strings.Join(names, ", ")
}

func (e *CASEvidence) check() error {
	if !slices.Contains(attest.Backends(), attest.Backend(e.backend)) {
		return cli.NewUsageError("--evidence: got %q, want one of %s", e.backend, backendNames())
	}
	for flag, backend := range map[string]attest.Backend{"report": attest.BackendFile, "nonce": attest.BackendFile, "cas-ca": attest.BackendPinned, "scone-cli": attest.BackendCLI} {
		mine := attest.Backend(e.backend) == backend
		switch {
		case e.given(flag) && !mine:
			return cli.NewUsageError("--%s: want --evidence %s with it, got --evidence %s", flag, backend, e.backend)
		case mine && !e.given(flag) && flag != "scone-cli":
			return cli.NewUsageError("--evidence %s: want --%s as well", backend, flag)
		}
	}
	return nil
}

// NoQuote reports whether no quote is verified here.
func (e *CASEvidence) NoQuote() bool {
	return slices.Contains([]attest.Backend{attest.BackendCLI, attest.BackendPinned}, attest.Backend(e.backend))
}

// Resolve refuses flags that do not belong together, and reads the files that they name.
// Who is asked for what is not in them is up to the caller.
func (e *CASEvidence) Resolve() (resolved contact.Evidence, err error) {
	if err := e.check(); err != nil {
		return resolved, err
	}
	resolved = contact.Evidence{Backend: attest.Backend(e.backend), Program: e.program}
	switch resolved.Backend {
	case attest.BackendFile:
		if resolved.Nonce, err = attest.ParseNonce(e.nonce); err != nil {
			return resolved, cli.NewUsageError("--nonce: %w", err)
		}
		resolved.Report, err = files.Read(e.report)
	case attest.BackendPinned:
		resolved.Report, err = files.Read(e.chain)
	}
	return resolved, err
}
