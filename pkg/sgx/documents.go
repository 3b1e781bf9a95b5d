package sgx

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/confidb/confidb/pkg/check"
)

// documents are the TCB info and the QE identity with whoever signed them. A
// document is nil when it is missing or cannot be verified.
type documents struct {
	signer     *x509.Certificate
	key        *ecdsa.PublicKey
	tcbInfo    *tcbInfo
	qeIdentity *qeIdentity
	findings   check.Report
	validities []Validity
}

// openDocuments verifies the documents. What is missing or out of date is a
// finding; what is forged or unreadable is an error.
func openDocuments(c *Collateral, o Options) (*documents, error) {
	d := &documents{findings: c.formFinding()}
	if len(c.TCBSigningChain) == 0 {
		d.findings = append(d.findings, missing("tcb-signing-chain-validity", "the TCB signing chain is valid at the time of verification", NoTCBSigningChain, "the TCB signing chain is missing, so neither the TCB info nor the QE identity can be verified"))
		return d, nil
	}
	for _, step := range []func(*Collateral, Options) error{d.openChain, d.openTCBInfo, d.openQEIdentity} {
		if err := step(c, o); err != nil {
			return d, err
		}
	}
	if o.MinEvaluationDataNumber > 0 && d.tcbInfo != nil && d.qeIdentity != nil {
		d.findings = append(d.findings, evaluationNumber(d.tcbInfo.TCBEvaluationDataNumber, d.qeIdentity.TCBEvaluationDataNumber, o.MinEvaluationDataNumber))
	}
	return d, nil
}

func (d *documents) openChain(c *Collateral, o Options) error {
	chain, err := parseChain(c.TCBSigningChain)
	if err != nil {
		return refuse(TCBSigningChainInvalid, "%w", err)
	}
	if len(chain) != 2 || chain[0].Subject.CommonName != tcbSigningSubject {
		return refuse(TCBSigningChainInvalid, "want the TCB signing certificate and the root, in this order; got %d certificates, the first is %q", len(chain), chain[0].Subject.CommonName)
	}
	if err := o.Roots.checkChain(chain, false, TCBSigningChainInvalid); err != nil {
		return err
	}
	key, ok := chain[0].PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return refuse(TCBSigningChainInvalid, "TCB signing certificate: want a P-256 key")
	}
	d.signer, d.key = chain[0], key
	validity, finding := o.chainValidity("tcb-signing-chain", "the TCB signing chain is valid at the time of verification", chain, TCBSigningChainExpired, TCBSigningChainNotYetValid)
	d.validities, d.findings = append(d.validities, validity), append(d.findings, finding)
	return nil
}

func (d *documents) openTCBInfo(c *Collateral, o Options) error {
	if len(c.TCBInfo) == 0 {
		return nil
	}
	info := &tcbInfo{}
	if err := openSigned(c.TCBInfo, "tcbInfo", d.key, info); err != nil {
		return refuse(TCBInfoInvalid, "%w", err)
	}
	if info.Version != 3 && info.Version != 2 {
		return refuse(TCBInfoInvalid, "got version %d, want 3: fetch it from API v4", info.Version)
	}
	if slices.ContainsFunc(info.Levels, func(l platformLevel) bool { return l.Status == "" }) {
		return refuse(TCBInfoInvalid, "a level has no tcbStatus")
	}
	d.tcbInfo = info
	if info.Version == 2 {
		d.findings = append(d.findings, missing("tcb-info-version", "the TCB info has the form of API v4 (version 3)", TCBInfoVersion2, "it is version 2, of an API that Intel has ended: fetch it from API v4"))
	}
	d.document("tcb-info", "the TCB info is current at the time of verification", info.signed, o, TCBInfoExpired, TCBInfoNotYetValid, TCBInfoTooOld)
	return nil
}

func (d *documents) openQEIdentity(c *Collateral, o Options) error {
	if len(c.QEIdentity) == 0 {
		return nil
	}
	identity := &qeIdentity{}
	if err := openSigned(c.QEIdentity, "enclaveIdentity", d.key, identity); err != nil {
		return refuse(QEIdentityInvalid, "%w", err)
	}
	if slices.ContainsFunc(identity.Levels, func(l qeLevel) bool { return l.Status == "" }) {
		return refuse(QEIdentityInvalid, "a level has no tcbStatus")
	}
	d.qeIdentity = identity
	d.document("qe-identity", "the QE identity is current at the time of verification", identity.signed, o, QEIdentityExpired, QEIdentityNotYetValid, QEIdentityTooOld)
	return nil
}

// document records when a signed document is current, and whether that is now.
func (d *documents) document(part, title string, s signed, o Options, late, early, old Code) {
	validity := Validity{part, s.IssueDate, s.NextUpdate}
	finding := o.current(validity, part+"-validity", title, late, early)
	if age := o.Time.Sub(s.IssueDate); finding.Outcome == check.Pass && o.MaxAge > 0 && age > o.MaxAge {
		finding = failed(finding.ID, title, old, fmt.Sprintf("it was issued on %s, %s ago, and at most %s is accepted", stamp(s.IssueDate), days(age), days(o.MaxAge)))
	}
	d.validities, d.findings = append(d.validities, validity), append(d.findings, finding)
}

// judgePlatform finds the level of a platform and writes it into the result.
func (d *documents) judgePlatform(r *Result) check.Report {
	const id, title = "tcb-info", "Intel says which TCB level this platform has"
	info, p := d.tcbInfo, r.Platform
	switch {
	case info == nil && d.signer == nil:
		return check.Report{missing(id, title, NoTCBSigningChain, "without the TCB signing chain the TCB info cannot be verified")}
	case info == nil:
		return check.Report{missing(id, title, NoTCBInfo, "the TCB info is missing")}
	case info.Version == 3 && info.ID != "SGX" || info.Version == 2 && info.ID != "":
		return check.Report{failed(id, title, TCBInfoMismatch, fmt.Sprintf("it is about %.20q, want SGX", info.ID))}
	case !info.isFor(p):
		return check.Report{failed(id, title, TCBInfoMismatch, fmt.Sprintf("it is for FMSPC %x and PCEID %x, the platform has %x and %x", []byte(info.FMSPC), []byte(info.PCEID), p.FMSPC, p.PCEID))}
	}
	r.EvaluationDataNumber = info.TCBEvaluationDataNumber
	l, ok := info.match(p)
	if !ok {
		return check.Report{failed(id, title, TCBNotSupported, "no level matches this platform: Intel does not support it")}
	}
	r.PlatformStatus, r.TCBDate = l.Status, l.Date
	r.addAdvisories(l)
	return check.Report{{ID: id, Title: title, Outcome: check.Pass}}
}

// judgeQE compares the quoting enclave with its identity, and merges both statuses.
// A quoting enclave that is not Intel's is an error: anybody may have made the
// attestation key.
func (d *documents) judgeQE(r *Result) error {
	const id, title = "qe-identity", "Intel says which TCB level the quoting enclave has"
	finding := check.Finding{ID: id, Title: title, Outcome: check.Pass}
	switch identity := d.qeIdentity; {
	case identity == nil && d.signer == nil:
		finding = missing(id, title, NoTCBSigningChain, "without the TCB signing chain the QE identity cannot be verified")
	case identity == nil:
		finding = missing(id, title, NoQEIdentity, "the QE identity is missing, so it is not known whether Intel made the quoting enclave")
	case identity.Version != 2 || identity.ID != "QE":
		finding = failed(id, title, QEIdentityForeign, fmt.Sprintf("got id %.20q version %d, want QE version 2", identity.ID, identity.Version))
	default:
		if err := identity.describes(&r.Quote.QEReport); err != nil {
			return err
		}
		r.QEEvaluationDataNumber = identity.TCBEvaluationDataNumber
		l, ok := identity.match(r.Quote.QEReport.ISVSVN)
		if !ok {
			finding = failed(id, title, QENotSupported, "no level matches the quoting enclave: Intel does not support it")
			break
		}
		r.QEStatus = l.Status
		r.Advisories = slices.Clone(r.Advisories) // that of the platform is shared
		r.addAdvisories(l)
		r.Status = mergeStatus(r.PlatformStatus, r.QEStatus)
	}
	r.Findings = append(r.Findings, finding)
	return nil
}

func (r *Result) addAdvisories(l level) {
	for _, a := range l.Advisories {
		if !slices.Contains(r.Advisories, a) {
			r.Advisories = append(r.Advisories, a)
		}
	}
}

func evaluationNumber(tcb, qe, least int) check.Finding {
	const id, title = "tcb-evaluation-number", "Intel's evaluation is not older than one that was seen or asked for"
	got := min(tcb, qe)
	f := check.Finding{ID: id, Title: title, Outcome: check.Pass}
	if got < least {
		f = failed(id, title, EvaluationNumberTooLow, "somebody gives an older evaluation of Intel's, under which a platform may look better")
	}
	f.Got, f.Want = fmt.Sprint(got), fmt.Sprintf("at least %d", least)
	return f
}

// chainValidity says when all certificates of a chain are valid, and whether now.
func (o Options) chainValidity(part, title string, chain []*x509.Certificate, late, early Code) (Validity, check.Finding) {
	v := Validity{part, chain[0].NotBefore, chain[0].NotAfter}
	for _, c := range chain[1:] {
		if c.NotBefore.After(v.From) {
			v.From = c.NotBefore
		}
		if c.NotAfter.Before(v.Until) {
			v.Until = c.NotAfter
		}
	}
	o.Grace = 0 // nobody vouches for a certificate after its end
	return v, o.current(v, part+"-validity", title, late, early)
}

// current says whether the time of verification is within a validity.
func (o Options) current(v Validity, id, title string, late, early Code) check.Finding {
	switch {
	case o.Time.Before(v.From):
		f := missing(id, title, early, "it is valid from "+stamp(v.From)+", and by the clock it is "+stamp(o.Time)+": nothing can be judged by that clock")
		f.Hint = "Set the clock of this machine; if it is right, fetch the collateral of today with {collateral fetch}."
		return f
	case !o.Time.After(v.Until):
		return check.Finding{ID: id, Title: title, Outcome: check.Pass}
	case o.Time.Sub(v.Until) <= o.Grace:
		return check.Finding{ID: id, Title: title, Outcome: check.Warn, Reason: string(late) + ": it was valid until " + stamp(v.Until) + "; the policy gives a grace of " + days(o.Grace)}
	}
	return failed(id, title, late, "it was valid until "+stamp(v.Until)+", and the time is "+stamp(o.Time))
}

// fetchHint is the next step for collateral that is not as it should be.
const fetchHint = "Fetch current collateral with {collateral fetch}."

// missing is what could not be asked.
func missing(id, title string, code Code, reason string) check.Finding {
	return check.Finding{ID: id, Title: title, Outcome: check.Skip, Reason: string(code) + ": " + reason, Hint: fetchHint}
}

func failed(id, title string, code Code, reason string) check.Finding {
	return check.Finding{ID: id, Title: title, Outcome: check.Fail, Reason: string(code) + ": " + reason, Hint: fetchHint}
}

// revoked is the worst that a list can say, whatever it said before.
func revoked(f check.Finding, code Code, c *x509.Certificate) check.Finding {
	f = failed(f.ID, f.Title, code, fmt.Sprintf("%s with serial number %x is revoked", c.Subject.CommonName, c.SerialNumber))
	f.Hint = "Do not use this platform, or ask Intel why."
	return f
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// days writes a duration in whole days when it is long.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return d.Round(time.Minute).String()
	}
	return plural(int(d/day), "day")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
