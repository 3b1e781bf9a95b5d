package explain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/explain"
)

// messages are lines that SCONE, Intel's library and curl are known to print, with the
// page that each must bring up first.
func messages() map[string]string {
	return map[string]string{
		"[SCONE|FATAL] src/process/init.c:476:__scone_prepare_secure_config(): Could not initialize enclave state: Attestation failed": "scone-attestation-failed",
		"  Caused by: CAS sent an attestation/configuration error: DCAP quote verification failed":                                     "scone-dcap-verification",
		"  Caused by: Failed to verify DCAP report":                                                                                    "scone-dcap-verification",
		"  Caused by: The program enclave is not trustworthy":                                                                          "scone-enclave-properties",
		"    Caused by: None of the required enclave properties are met by the enclave":                                                "scone-enclave-properties",
		"    Caused by: Not all of the required enclave properties are met by the enclave":                                             "scone-enclave-properties",
		"    Error 1 of 2: Unexpected enclave measurement (MRENCLAVE, 0e62faae) - Expected 5e75ef66":                                   "scone-mrenclave",
		"Note: Connecting to CAS at edge.scone-cas.cf (port 18765) using service ID myPythonApp/pythonapp/python3":                     "scone-connecting",
		"Failed to retrieve service attestation configuration":                                                                         "scone-no-configuration",
		"The given One-time Password is invalid. Please try again.":                                                                    "scone-otp-invalid",
		"A One-time Password was already used within this time-step":                                                                   "scone-otp-used",
		"Caused by: Parsing session from session template file 'session.yaml' failed":                                                  "variable-missing",
		"Caused by: name: Value for variable $SESSION is missing at line 3 column 7":                                                   "variable-missing",
		"curl: (35) error:0DFFF006:asn1 encoding routines:CRYPTO_internal:EVP lib":                                                     "curl-wrong-ca",
		"It looks like port-forwarding already running (please check with ps axx | grep port-forward )":                                "provision-port-forward",
		"No CAS mycas is running in namespace scone-system":                                                                            "provision-no-cas",
		"ERROR: Attestation of CAS mycas failed - exiting":                                                                             "provision-attestation",
		"Provisioning failed - checking if it is already provisioned!":                                                                 "provision-failed",
		"Displayed attestation error messages are not authenticated, and may be forged by a MitM attacker":                             "scone-unauthenticated",

		"Error: Error during attestation of CAS":                                                           "scone-cas-hash",
		"Caused by: Enclave hash does not match expectation:":                                              "scone-cas-hash",
		"CAS 5-10-0.scone-cas.cf at https://5-10-0.scone-cas.cf:8081/ is trustworthy":                      "scone-trustworthy",
		"Error: Creating session failed":                                                                   "scone-session-not-created",
		"Caused by: CAS at 'https://scone-cas.cf:8081/' returned HTTP error status code 400 Bad Request":   "scone-http-400",
		"Caused by: CAS at 'https://scone-cas.cf:8081/' returned HTTP error status code 403 Forbidden":     "scone-http-403",
		"Caused by: CAS at 'https://scone-cas.cf:8081/' returned HTTP error status code 404 Not Found":     "scone-http-404",
		"Caused by: Session already exists, please specify predecessor hash":                               "scone-session-exists",
		"Could not create successor session. Invalid previous session digest: 0badc0de":                    "scone-predecessor",
		"Failed to read value 'example_value' of '/session=example_sessionx' requested by a public client": "scone-value-not-public",
		`{"msg":["Secret does not exist or is not visible for a public client"]}`:                          "scone-value-not-public",
		"platforms: [null]": "scone-platforms-null",

		"scone cas verify-audit-log ended with exit code 20": "audit-log-exit-20",
		"verify-audit-log: exit status 17":                   "audit-log-exit-18",
		"exit-19":                                            "audit-log-exit-19",
		"verify-audit-log-18":                                "audit-log-exit-18",
		"verify-audit-log-16":                                "audit-log-exit-16",
		"verify-audit-log-15":                                "audit-log-exit-15",
		"verify-audit-log-10":                                "audit-log-exit-10",

		"TCB_OUT_OF_DATE":                                       "OutOfDate",
		"STATUS_TCB_SW_HARDENING_NEEDED":                        "SWHardeningNeeded",
		"TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED":             "ConfigurationAndSWHardeningNeeded",
		"TCB_REVOKED":                                           "Revoked",
		"TCB_NOT_SUPPORTED":                                     "tcb-not-supported",
		"SGX_PCK_REVOKED":                                       "pck-revoked",
		"SGX_INTERMEDIATE_CA_REVOKED":                           "pck-ca-revoked",
		"SGX_TCB_SIGNING_CERT_REVOKED":                          "tcb-signer-revoked",
		"verification result: TCB_INFO_MISMATCH (17)":           "tcb-info-mismatch",
		"INVALID_QUOTE_SIGNATURE":                               "quote-signature-invalid",
		"INVALID_QE_REPORT_DATA":                                "attestation-key-unbound",
		"QE_IDENTITY_MISMATCH":                                  "qe-identity-mismatch",
		"sgx_qv_verify_quote: SGX_QL_QV_RESULT_OUT_OF_DATE":     "OutOfDate",
		"INTEL-SA-00615":                                        "INTEL-SA-NNNNN",
		"the policy does not accept INTEL-SA-00615":             "INTEL-SA-NNNNN",
		"INTEL-DOC-10001":                                       "INTEL-DOC-10000",
		"error: no-pck-crl: the list is missing":                "no-pck-crl",
		"cas-tcb-status: got OutOfDate, want UpToDate":          "tcb-status",
		"CAS x is not proven: cas-nonce: got ab01, want cd02":   "cas-nonce",
		"FAIL database-session-access only named keys may read": "session-access",
		"OUTOFDATECONFIGURATIONNEEDED":                          "OutOfDateConfigurationNeeded",
	}
}

func TestLookupFindsMessages(t *testing.T) {
	for text, want := range messages() {
		pages, err := explain.Lookup(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if pages[0].Code != want {
			t.Errorf("%q: got %s, want %s", text, pages[0].Code, want)
		}
	}
}

// A pasted message of many lines, with the colours of a terminal.
func TestLookupFindsAllOfAMessage(t *testing.T) {
	const text = "\x1b[31mError 1 of 2: Unexpected enclave measurement (MRENCLAVE, 0e62) - Expected 5e75\x1b[0m\n\tCaused by: The program\n enclave is NOT  trustworthy"
	pages, err := explain.Lookup(text)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range pages {
		got = append(got, p.Code)
	}
	if want := []string{"scone-enclave-properties", "scone-mrenclave"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatIsWantedIsNotExplained(t *testing.T) {
	pages, err := explain.Lookup("cas-tcb-status: got OutOfDate, want UpToDate")
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(pages, func(p explain.Page) bool { return p.Code == "UpToDate" }) {
		t.Error("got a page for UpToDate, which was wanted and not seen")
	}
}

func TestLookupHints(t *testing.T) {
	for text, near := range map[string]string{
		"cas-nonse":      "cas-nonce",
		"OutOfDat":       "OutOfDate",
		"no-pck-cr":      "no-pck-crl",
		"tsl-01":         "tls-01",
		"exit-6":         "exit-0",
		"cas-tcb-stats":  "cas-tcb-status",
		"qe-identity-x":  "qe-identity",
		"TCB_OUT_OF_DAT": "TCB_OUT_OF_DATE",
	} {
		_, err := explain.Lookup(text)
		var unknown *explain.UnknownError
		if !errors.As(err, &unknown) {
			t.Errorf("%q: got error %v, want an UnknownError", text, err)
			continue
		}
		if !slices.Contains(unknown.Near, near) || !strings.Contains(unknown.Hint(), near) {
			t.Errorf("%q: got %q near, want %s among them and in the hint %q", text, unknown.Near, near, unknown.Hint())
		}
		if slices.Sort(unknown.Near); len(slices.Compact(slices.Clone(unknown.Near))) != len(unknown.Near) {
			t.Errorf("%q: got %q near, with one of them twice", text, unknown.Near)
		}
	}
}

func TestLookupRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"nothing":               {"", explain.ErrEmpty},
		"blanks":                {" \t\r\n", explain.ErrEmpty},
		"control characters":    {"\x00\x07\x1b[2J\x1b[31m", explain.ErrEmpty},
		"too much":              {strings.Repeat("a", explain.MaxText+1), explain.ErrTooLong},
		"too much that matches": {"cas-nonce" + strings.Repeat(" ", explain.MaxText), explain.ErrTooLong},
	} {
		if _, err := explain.Lookup(c.text); !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v, want %v", name, err, c.want)
		}
	}
	for _, text := range []string{"xyzzy", "0123456789abcdef", "—", "want cas-nonce", "XINTEL-SA-00615", strings.Repeat("a ", explain.MaxText/2)} {
		var unknown *explain.UnknownError
		if _, err := explain.Lookup(text); !errors.As(err, &unknown) || unknown.Hint() == "" {
			t.Errorf("%.20q: got error %v, want an UnknownError with a hint", text, err)
		}
	}
}

func TestErrorsAreOneCleanLine(t *testing.T) {
	_, err := explain.Lookup("xyzzy\nhint: rm -rf /\x1b[2K\u202e")
	if err == nil {
		t.Fatal("got no error")
	}
	if i := strings.IndexFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 {
		t.Errorf("got %q, with a character at %d that does not print", err, i)
	}
}

func TestPagesAreComplete(t *testing.T) {
	pages, err := explain.Pages()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		got, err := explain.Lookup(p.Code)
		if err != nil || len(got) != 1 || got[0].Code != p.Code {
			t.Errorf("%s: looking it up gives %d pages and error %v", p.Code, len(got), err)
		}
		for _, name := range p.Also {
			if got, err := explain.Lookup(name); err != nil || got[0].Code != p.Code {
				t.Errorf("%s: looking up its name %s: error %v", p.Code, name, err)
			}
		}
		for _, pattern := range p.Patterns {
			line := "x: " + strings.ReplaceAll(pattern, "…", "'some 0badc0de thing'") + " (y)"
			got, err := explain.Lookup(line)
			if err != nil || !slices.ContainsFunc(got, func(g explain.Page) bool { return g.Code == p.Code }) {
				t.Errorf("%s: %q does not bring it up: error %v", p.Code, line, err)
			}
		}
		if n := len(strings.Split(strings.TrimRight(p.Meaning, "."), ". ")); n > 3 {
			t.Errorf("%s: the meaning has %d sentences, want at most 3", p.Code, n)
		}
	}
}

func TestCodesListsEveryName(t *testing.T) {
	codes := explain.Codes()
	for _, want := range []string{"cas-nonce", "OutOfDate", "TCB_OUT_OF_DATE", "exit-124", "scone-session-exists"} {
		if !slices.Contains(codes, want) {
			t.Errorf("%s is missing among %d codes", want, len(codes))
		}
	}
	seen := map[string]bool{}
	for _, code := range codes {
		if seen[strings.ToLower(code)] {
			t.Errorf("%s is there twice", code)
		}
		seen[strings.ToLower(code)] = true
	}
}

func FuzzLookup(f *testing.F) {
	for text := range messages() {
		f.Add(text)
	}
	for _, text := range []string{"", "\x1b[", "\x1b[31m", "cas-", "CAS-CAS-nonce", "…", "-_-", "\xff\xfe", "want", strings.Repeat("é", 2000)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pages, err := explain.Lookup(text)
		if (err == nil) != (len(pages) > 0) {
			t.Errorf("got %d pages and error %v", len(pages), err)
		}
		if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("the error %q holds characters that do not print", err)
		}
		if clean := check.Printable(text); clean != check.Printable(clean) {
			t.Errorf("cleaning twice changes %q", clean)
		}
	})
}
