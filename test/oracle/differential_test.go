package oracle

import (
	"bytes"
	"maps"
	"strings"
	"testing"
)

// difference is what both say about a case on which they differ, and why.
type difference struct{ oasis, ours, why string }

// Reasons that several differences have.
const (
	noCRLs    = "oasis-core reads no revocation lists"
	silent    = "oasis-core tells neither status nor advisories when it accepts"
	otherRoot = "oasis-core compares the root certificate, we its public key: Intel has two editions with one key"
	noChain   = "oasis-core takes the PCK chain from the quote only, we from the collateral too"
	debugMode = "oasis-core decides about debug enclaves, we leave that to the policy in pkg/attest"
	anyIssuer = "oasis-core takes every chain under the root, we want the roles and names of Intel's profile"
)

// differences is the table of everything on which oasis-core v0.2601.0 and pkg/sgx
// differ, by the name of the case. The texts are what was seen.
func differences() map[string]difference {
	return map[string]difference{
		"real/automata-quotev3-00606A-2025-eval17": {"accepted", "SWHardeningNeeded, with advisories", silent},
		"real/maa-intel-release-00906ED5-2023":     {"accepted", "SWHardeningNeeded, not proven: no-pck-crl, with advisories", noCRLs},
		"real/mobilecoin-00906ED5-2023-stalecrl":   {"accepted", "SWHardeningNeeded, not proven: pck-crl-expired, with advisories", noCRLs},
		"real/oasis-00606A-2022":                   {"accepted", "SWHardeningNeeded, not proven: no-pck-crl no-root-crl, with advisories", noCRLs},

		"minted/advisories/SWHardeningNeeded":      {"accepted", "SWHardeningNeeded, with advisories", silent},
		"minted/advisories/UpToDate":               {"accepted", "UpToDate, with advisories", silent},
		"minted/status/SWHardeningNeeded+UpToDate": {"accepted", "SWHardeningNeeded", silent},

		"minted/age/next-update-7-of-10-days":  {"accepted", "UpToDate, not proven: qe-identity-expired tcb-info-expired", "oasis-core counts 30 days from the issue date and does not look at nextUpdate"},
		"minted/age/next-update-90-of-60-days": {"refused: QE identity expired", "UpToDate", "oasis-core counts 30 days from the issue date, we only when Options.MaxAge says so"},

		"minted/revoked/pck":        {"accepted", "UpToDate, not proven: pck-revoked", noCRLs},
		"minted/revoked/pck-ca":     {"accepted", "UpToDate, not proven: pck-ca-revoked", noCRLs},
		"minted/revoked/tcb-signer": {"accepted", "UpToDate, not proven: tcb-signer-revoked", noCRLs},
		"minted/crl/no-root":        {"accepted", "UpToDate, not proven: no-root-crl", noCRLs},
		"minted/crl/no-pck":         {"accepted", "UpToDate, not proven: no-pck-crl", noCRLs},
		"minted/crl/stale":          {"accepted", "UpToDate, not proven: pck-crl-expired root-crl-expired", noCRLs},
		"minted/crl/exchanged":      {"accepted", "UpToDate, not proven: pck-crl-foreign root-crl-foreign", noCRLs},
		"minted/crl/forged":         {"accepted", "refused: pck-crl-invalid", noCRLs},

		"minted/chain/other-edition-of-root":         {"refused: unexpected root in certificate chain", "UpToDate", otherRoot},
		"minted/chain/tcb-signers-root-is-other":     {"refused: unexpected root in certificate chain", "UpToDate", otherRoot},
		"minted/chain/pck-ca-not-intels":             {"accepted", "refused: pck-chain-invalid", anyIssuer},
		"minted/chain/pck-issued-by-the-root-itself": {"accepted", "refused: pck-chain-invalid", anyIssuer},
		"minted/chain/tcb-signer-is-pck-ca":          {"accepted", "refused: tcb-signing-chain-invalid", anyIssuer},
		"minted/chain/text-after-root":               {"accepted", "refused: pck-chain-invalid", "oasis-core ignores what follows the last certificate"},

		"minted/level/15-components":            {"accepted", "no status, not proven: tcb-not-supported", "oasis-core takes a missing component for 0, we want all 16"},
		"minted/level/pceid-mismatch":           {"accepted", "no status, not proven: tcb-info-mismatch", "oasis-core compares the FMSPC only, not the PCEID"},
		"minted/documents/additional-member":    {"accepted", "refused: tcb-info-invalid", "oasis-core ignores members beside the signed one"},
		"minted/quote/debug":                    {"refused: disallowed debug/production enclave/mode combination", "UpToDate", debugMode},
		"minted/quote/production-in-debug-mode": {"refused: disallowed debug/production enclave/mode combination", "UpToDate", debugMode},

		"minted/quote/type-1":                       {"refused: no PCK certificate chain in quote", "UpToDate", noChain},
		"minted/quote/type-1-as-in-intels-sample":   {"refused: invalid PPID certification data length", "UpToDate", noChain},
		"minted/quote/type-3":                       {"refused: no PCK certificate chain in quote", "UpToDate", noChain},
		"minted/quote/type-4":                       {"refused: unsupported certification data type: PCK-leaf", "UpToDate", noChain},
		"minted/quote/open-enclave":                 {"refused: unsupported quote version 1", "UpToDate", "oasis-core does not know Open Enclave's header"},
		"minted/quote/bytes-after":                  {"refused: unexpected trailing data", "UpToDate", "we ignore what follows the quote, and say so in a finding"},
		"minted/quote/bytes-within-signature-data":  {"accepted", "refused: quote-unreadable", "oasis-core ignores what follows the certification data"},
		"minted/quote/forged-body-when-out-of-date": {"platform OutOfDate", "refused: quote-signature-invalid", "oasis-core tells a status before it looks at the quote's signature, so that anybody can get one told"},
	}
}

func TestDifferences(t *testing.T) {
	inputs, real := mintedInputs(t), realInputs(t)
	maps.Copy(inputs, real)
	known := differences()
	for name, in := range inputs {
		t.Run(name, func(t *testing.T) { compare(t, known[name], askOasis(t, in), askOurs(t, in)) })
	}
	for name, d := range known {
		if len(real) == 0 && strings.HasPrefix(name, "real/") {
			continue
		}
		if _, ok := inputs[name]; !ok || d.why == "" {
			t.Errorf("%s: the table of differences holds no case of this name (%v), or does not say why (%q)", name, ok, d.why)
		}
	}
}

func compare(t *testing.T, known difference, oracle, ours answer) {
	t.Helper()
	if len(oracle.identity) > 0 && len(ours.identity) > 0 && !bytes.Equal(oracle.identity, ours.identity) {
		t.Errorf("MRENCLAVE, MRSIGNER and report data: oasis-core %x, ours %x", oracle.identity, ours.identity)
	}
	got := difference{oracle.text, ours.text, known.why}
	switch same := agree(oracle, ours); {
	case same && known != difference{}:
		t.Errorf("it is in the table of differences, and no longer one: oasis-core says %q, we %q", got.oasis, got.ours)
	case !same && got != known:
		t.Errorf("oasis-core says %q, we %q; the table of differences has %q and %q", got.oasis, got.ours, known.oasis, known.ours)
	}
}

// One changed bit in each byte of a quote: both refuse it, but for a few bits of
// the certificates' PEM that change nothing decoded, which both accept. One
// Verifier judges them all, so that what it remembers is put to the test as well.
func TestTamperedQuotes(t *testing.T) {
	for name, in := range bestInputs(t) {
		t.Run(name, func(t *testing.T) {
			if !askOasis(t, in).accepted || !askOurs(t, in).accepted {
				t.Fatal("the quote is refused before anything is changed")
			}
			fleet := fleetOf(t, in)
			for i := range in.quote {
				changed := in
				changed.quote = bytes.Clone(in.quote)
				changed.quote[i] ^= 1 << (i % 8)
				oracle, ours := askOasis(t, changed), ourAnswer(fleet.Verify(changed.quote))
				if signed := i < certificationAt(in.quote); oracle.accepted != ours.accepted || signed && ours.accepted {
					t.Errorf("byte %d changed: oasis-core says %q, we %q", i, oracle.text, ours.text)
				}
			}
		})
	}
}

// bestCase is the only real case that has everything both ways: complete and
// current collateral for us, and a status that oasis-core accepts, so that it looks
// at the quote's signature (see forged-body-when-out-of-date).
const bestCase = "real/automata-quotev3-00606A-2025-eval17"
