package oracle

import (
	"cmp"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	oasis "github.com/oasisprotocol/oasis-core/go/common/sgx"
	"github.com/oasisprotocol/oasis-core/go/common/sgx/pcs"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/sgx"
)

// input is everything that a judgement depends on. Both verifiers get the same.
type input struct {
	quote      []byte
	collateral sgx.Collateral
	// root is the only trusted root, in PEM; empty for Intel's.
	root []byte
	at   time.Time
	// debug puts oasis-core into its debug mode, in which it takes debug enclaves
	// and no others.
	debug bool
	// minimum is the least TCB evaluation data number.
	minimum int
}

// answer is what one verifier says about an input.
type answer struct {
	accepted bool
	// status, qeStatus and advisories are those that the verifier tells its caller:
	// oasis-core tells one status at most, and none when it accepts.
	status, qeStatus string
	advisories       []string
	// identity is MRENCLAVE, MRSIGNER and report data, where they are told.
	identity []byte
	text     string
}

// askOurs lets pkg/sgx judge. It accepts what a policy accepts that names no
// deviation but SWHardeningNeeded, which is the one that oasis-core accepts too.
func askOurs(t testing.TB, in input) answer {
	t.Helper()
	return ourAnswer(sgx.Verify(in.quote, &in.collateral, in.options(t)))
}

// fleetOf is a Verifier for many quotes under the collateral of one input.
func fleetOf(t testing.TB, in input) *sgx.Verifier {
	t.Helper()
	v, err := sgx.NewVerifier(&in.collateral, in.options(t))
	must(t, err)
	return v
}

func (in input) options(t testing.TB) sgx.Options {
	t.Helper()
	roots := sgx.IntelRoot()
	if len(in.root) > 0 {
		var err error
		roots, err = sgx.RootFromPEM(in.root)
		must(t, err)
	}
	return sgx.Options{Time: in.at, Roots: roots, MinEvaluationDataNumber: in.minimum}
}

func ourAnswer(r *sgx.Result, err error) answer {
	if err != nil {
		var refusal *sgx.Refusal
		if !errors.As(err, &refusal) {
			return answer{text: "error without a code: " + err.Error()}
		}
		return answer{text: "refused: " + string(refusal.Code)}
	}
	proven := r.Findings.Verdict() == check.Affirming
	a := answer{
		accepted: proven && (r.Status == sgx.UpToDate || r.Status == sgx.SWHardeningNeeded),
		status:   string(r.PlatformStatus), qeStatus: string(r.QEStatus), advisories: r.Advisories,
		identity: slices.Concat(r.Quote.Report.MRENCLAVE[:], r.Quote.Report.MRSIGNER[:], r.Quote.Report.ReportData[:]),
		text:     cmp.Or(string(r.Status), "no status"),
	}
	if !proven {
		a.text += ", not proven: " + strings.Join(codes(r.Findings), " ")
	}
	if len(a.advisories) > 0 {
		a.text += ", with advisories"
	}
	return a
}

// codes are those of all findings that are not a pass.
func codes(findings check.Report) []string {
	var found []string
	for _, f := range findings {
		if code, _, _ := strings.Cut(f.Reason, ":"); f.Outcome != check.Pass && !slices.Contains(found, code) {
			found = append(found, code)
		}
	}
	slices.Sort(found)
	return found
}

// askOasis lets oasis-core judge with its public interface. What it trusts and
// which enclaves it takes are variables of its package, and are put back.
func askOasis(t testing.TB, in input) answer {
	t.Helper()
	if len(in.root) > 0 {
		defer swapOasisRoot(t, in.root)()
	}
	if in.debug {
		pcs.SetAllowDebugEnclaves()
		defer pcs.UnsetAllowDebugEnclaves()
	}
	verified, err := oasisVerify(in)
	if err != nil {
		return oasisRefusal(err)
	}
	return answer{
		accepted: true, text: "accepted",
		identity: slices.Concat(verified.Identity.MrEnclave[:], verified.Identity.MrSigner[:], verified.ReportData),
	}
}

func swapOasisRoot(t testing.TB, root []byte) (restore func()) {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(root) {
		t.Fatal("the root is not a PEM certificate")
	}
	intel := pcs.IntelTrustRoots
	pcs.IntelTrustRoots = pool
	return func() { pcs.IntelTrustRoots = intel }
}

// oasisVerify is all that a caller of oasis-core does with a quote and the answers
// of Intel's PCS.
func oasisVerify(in input) (*oasis.VerifiedQuote, error) {
	bundle := pcs.QuoteBundle{Quote: in.quote, TCB: pcs.TCBBundle{Certificates: in.collateral.TCBSigningChain}}
	if err := json.Unmarshal(in.collateral.TCBInfo, &bundle.TCB.TCBInfo); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(in.collateral.QEIdentity, &bundle.TCB.QEIdentity); err != nil {
		return nil, err
	}
	const days = 30 // its default, and how long Intel's documents are current
	return bundle.Verify(&pcs.QuotePolicy{TCBValidityPeriod: days, MinTCBEvaluationDataNumber: uint32(in.minimum)}, in.at)
}

func oasisRefusal(err error) answer {
	var level *pcs.TCBOutOfDateError
	if !errors.As(err, &level) {
		return answer{text: "refused: " + lastReason(err)}
	}
	a := answer{advisories: level.AdvisoryIDs, text: level.Kind.String() + " " + level.Status.String()}
	if level.Kind == pcs.TCBKindEnclave {
		a.qeStatus = level.Status.String()
	} else {
		a.status = level.Status.String()
	}
	return a
}

// lastReason cuts off the names of the packages and steps that an error went through.
func lastReason(err error) string {
	text := err.Error()
	for _, step := range []string{"pcs/quote: ", "pcs/tcb: "} {
		if i := strings.LastIndex(text, step); i >= 0 {
			text = text[i+len(step):]
		}
	}
	return strings.TrimRight(text, ": ")
}

// agree reports whether two answers say the same, as far as both say it. One that
// accepts without a word says UpToDate and no advisories: its caller cannot know
// otherwise.
func agree(oracle, ours answer) bool {
	switch {
	case oracle.accepted != ours.accepted:
		return false
	case oracle.accepted:
		return ours.status == string(sgx.UpToDate) && ours.qeStatus == string(sgx.UpToDate) && len(ours.advisories) == 0
	case oracle.status != "":
		return oracle.status == ours.status && slices.Equal(oracle.advisories, ours.advisories)
	case oracle.qeStatus != "":
		return oracle.qeStatus == ours.qeStatus && contains(ours.advisories, oracle.advisories)
	}
	return true
}

func contains(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}
