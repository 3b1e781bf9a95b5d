package verify

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/evidence"
	"github.com/confidb/confidb/pkg/topology"
)

// maxStatementAge bounds how far the probe's clock and ours may be apart, and how long a
// probe may wait before it speaks. The nonce proves freshness.
const maxStatementAge = 10 * time.Minute

// judgeStatement asks whether the probe signed a statement for this run. What the
// statement says is judged after it.
func judgeStatement(a *appraisal, l link, _ topology.Session) check.Report {
	predicate, f := a.open(l, a.statement(), a.instance.Probe())
	if predicate != nil {
		a.predicates[a.instance.Name], a.limitations = predicate, predicate.Limitations
	}
	return check.Report{f}
}

// open is the statement that a service of the client session has made, if it counts, and
// whether it does.
func (a *appraisal) open(l link, statement evidence.Fetched[[]byte], service string) (*evidence.Predicate, check.Finding) {
	f := check.Finding{ID: l.ID, Title: l.Title, Outcome: check.Pass}
	predicate, err := a.openStatement(statement, service)
	var forged *forgedError
	var clocks *clocksError
	switch {
	case err == nil:
		return predicate, f
	case errors.As(err, &forged):
		f.Outcome, f.Reason, f.Hint = check.Fail, err.Error(), "Look at what answers in place of the probe: kubectl get pods,events"
	case errors.As(err, &clocks):
		f.Outcome, f.Got, f.Want, f.Reason = check.Skip, clocks.probe.Format(time.RFC3339), fmt.Sprintf("within %s of %s", maxStatementAge, clocks.ours.UTC().Format(time.RFC3339)), err.Error()
		f.Hint = "Set the clock of the node on which the probe ran, or that of this machine; then {verify} again."
	default:
		f.Outcome, f.Reason, f.Hint = check.Skip, err.Error(), statement.Help("{verify} again, and look at the probe's pod if it does not start.")
	}
	return nil, f
}

// forgedError means that there is a statement, and that it is not the probe's of this run.
type forgedError struct{ error }

func (e *forgedError) Unwrap() error { return e.error }

// clocksError means that the probe answered this run, which its nonce shows, by another
// clock than ours: what depends on dates was judged by a time that is not known.
type clocksError struct{ probe, ours time.Time }

func (e *clocksError) Error() string {
	return fmt.Sprintf("the clocks of the probe and of this machine are %s apart", e.ours.Sub(e.probe).Abs().Round(time.Second))
}

func (a *appraisal) openStatement(statement evidence.Fetched[[]byte], service string) (*evidence.Predicate, error) {
	seen := a.seen
	if problem := seen.StatementKey.Why(); problem != "" {
		return nil, errors.New("the public key for the statement is not known: " + problem)
	}
	if problem := statement.Why(); problem != "" {
		return nil, errors.New(problem)
	}
	predicate, err := evidence.VerifyStatement(statement.Value, []byte(seen.StatementKey.Value), seen.Nonce, a.promised.Session(topology.Database).Name)
	if err != nil {
		return nil, &forgedError{err}
	}
	if err := a.asked(predicate, service); err != nil {
		return nil, err
	}
	if seen.At.Sub(predicate.Time).Abs() > maxStatementAge {
		return nil, &clocksError{predicate.Time, seen.At}
	}
	return predicate, nil
}

// asked compares what the probe was told to look at with what the record says.
func (a *appraisal) asked(said *evidence.Predicate, service string) error {
	want, err := a.promised.Target(service)
	if err != nil {
		return err
	}
	for _, c := range []struct{ name, got, want string }{
		{"session", said.Session, want.Session}, {"member", said.Member, want.Member}, {"address", said.Address, want.Address},
		{"server name", said.ServerName, want.ServerName}, {"account", said.Account, want.Account},
	} {
		if c.got != c.want {
			return &forgedError{fmt.Errorf("the statement is about the %s %.200q, want %q", c.name, c.got, c.want)}
		}
	}
	return nil
}

// judgeDatabase takes over what the probe found, and asks for what it left out.
func judgeDatabase(a *appraisal, _ link, _ topology.Session) check.Report {
	report := check.Report{databaseCA(a.predicate(), a.seen.DatabaseCA)}
	return append(append(report, a.predicate().Findings...), a.missing()...)
}

// databaseCA compares the authority that the probe relied on with what the
// attested CAS exports, so that the probe's own view of the CA is not all there is.
func databaseCA(predicate *evidence.Predicate, exported evidence.Fetched[string]) check.Finding {
	const id, title = "statement-ca", "the database's certificate was issued by the CA that the attested CAS exports"
	if problem := exported.Why(); problem != "" {
		return skipped(id, title, problem, exported.Help("{verify} again."))
	}
	if predicate.Server == nil {
		return skipped(id, title, "the probe had no verified TLS connection", "See tls-01.")
	}
	block, _ := pem.Decode([]byte(exported.Value))
	if block == nil {
		return skipped(id, title, "CAS exports no certificate in PEM", "{session get}")
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return skipped(id, title, "reading the certificate that CAS exports: "+err.Error(), "{session get}")
	}
	leaf, err := predicate.Server.Leaf()
	if err != nil {
		return skipped(id, title, err.Error(), "{verify} again.")
	}
	const foreign = "The database shows a certificate of another CA: see tls-01."
	f := compare(id, title, predicate.Server.CASPKISHA256, evidence.SHA256(ca.RawSubjectPublicKeyInfo), foreign)
	if err := leaf.CheckSignatureFrom(ca); err != nil {
		f.Outcome, f.Reason, f.Hint = check.Fail, err.Error(), foreign
	}
	return f
}

// required are the checks that a statement must answer: all that this version's probe asks
// (a test compares the two). An older or a broken probe that leaves one out must not look
// better than one that fails it.
func required() []string {
	return []string{
		"tls-01", "tls-02", "tls-03", "tls-05", "mtls-01", "mtls-02", "mtls-06", "net-01", "mtls-07", "mtls-08", "mtls-09", "acc-05", "mtls-03", "mtls-04",
		"enc-01", "enc-02", "enc-03", "enc-04", "enc-05", "enc-06", "log-01", "acc-01", "acc-02", "acc-03",
		"set-01", "set-02", "obj-01", "obj-02", "obj-03", "acc-04", "boot-01", "file-01", "data-02",
	}
}

// required are the checks that the statement about one database must answer.
func (a *appraisal) required() []string {
	if a.promised.Architecture == topology.Replicated {
		return append(required(), requiredBeside()...)
	}
	return required()
}

// requiredBeside are those that it must answer beside, of a database that is one of several.
func requiredBeside() []string { return []string{"rep-01", "rep-02", "msk-03"} }

// missing are the checks that the statement leaves out, also for one account.
func (a *appraisal) missing() check.Report {
	var absent check.Report
	note := func(id, about, subject string) {
		f := skipped(id, "the probe answers "+id+about, "the statement does not say", "Use a probe of this version.")
		f.Subject = subject
		absent = append(absent, f)
	}
	for _, id := range a.required() {
		if _, ok := a.predicate().Findings.Find(id); !ok {
			note(id, "", "")
		}
	}
	for admitted, guests := range a.promisedGuests() {
		for _, g := range guests {
			for _, account := range g.Accounts {
				for _, kind := range kindsTried(admitted) {
					if askedOf(account, kind[0]) && findingAbout(a.predicate().Findings, kind[0], accountSubject(account)) == nil {
						note(kind[0], " about "+accountSubject(account), accountSubject(account))
					}
				}
			}
		}
	}
	return absent
}
