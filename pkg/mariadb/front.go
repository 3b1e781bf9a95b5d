package mariadb

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mysql"
)

// Place is where something answers that stands before several databases.
type Place struct {
	// Name is what findings call it, and Address is host:port.
	Name, Address string
	// ServerName is what the certificate that is seen there must hold.
	ServerName string
}

// Front is what stands before several databases: MaxScales, which end TLS, and ways to them,
// which pass connections on and hold no key.
type Front struct {
	// Target is who asks, as an account that comes through MaxScale. Its address is not used.
	Target
	// MaxScales are all that may be there, and Ways what leads to one of them.
	MaxScales, Ways []Place
	// Databases are the names of the databases by what they call themselves (server_id).
	Databases map[uint64]string
	// Masking is what MaxScales are tried with where they mask; nil where they do not.
	Masking *Masking
}

// FrontObservation is what was seen of a Front.
type FrontObservation struct {
	maxScales, ways []seenPlace
}

// seenPlace is one place, how the asker came in there, and what was tried there.
type seenPlace struct {
	Place
	Observation
	behind behind
	// masking is what came of reading the canary; nil if that was not tried.
	masking *maskingSeen
}

// behind is who answered behind MaxScale.
type behind struct {
	reads  []string
	writes string
	err    error
}

// readsAsked is how often a place is asked who reads: MaxScale spreads reads.
const readsAsked = 6

// ObserveFront tries what must work and what must not, at all places side by side. It always
// returns what it saw; whatever did not work is part of that.
func ObserveFront(ctx context.Context, f Front, impostors Impostors) *FrontObservation {
	seen := &FrontObservation{maxScales: make([]seenPlace, len(f.MaxScales)), ways: make([]seenPlace, len(f.Ways))}
	var asking sync.WaitGroup
	for i, at := range f.MaxScales {
		asking.Go(func() { seen.maxScales[i] = f.look(ctx, at, &impostors) })
	}
	for i, at := range f.Ways {
		asking.Go(func() { seen.ways[i] = f.look(ctx, at, nil) })
	}
	asking.Wait()
	return seen
}

// look comes in at one place and asks who answers there, and tries impostors if there are any.
func (f Front) look(ctx context.Context, at Place, impostors *Impostors) seenPlace {
	t := f.Target
	t.Address, t.ServerName = at.Address, at.ServerName
	seen := seenPlace{Place: at, Observation: Observation{target: t}}
	conn, attempt := mysql.Connect(ctx, t.login(&t.Certificate, tls.VersionTLS12, tls.VersionTLS13))
	seen.login = attempt
	if conn != nil {
		seen.behind = f.who(ctx, conn)
		conn.Close()
	}
	if impostors != nil && attempt.Stage > mysql.Reaching {
		seen.trials = t.try(ctx, t.planFront(*impostors))
		if f.Masking != nil {
			seen.masking = t.tryMasking(ctx, *f.Masking)
		}
	}
	return seen
}

// planFront says what is tried at a MaxScale: what TLS must refuse. Nothing is tried that only
// the login would refuse: after ten of those MaxScale lets nobody of this host in for a minute.
func (t Target) planFront(impostors Impostors) *trials {
	planned := t.plan(impostors)
	planned.guests, planned.stranger = nil, nil
	planned.plain.absent = "it counts as a wrong login"
	for i := range planned.withoutCertificate {
		planned.withoutCertificate[i].login.AwaitAlert = true
	}
	return planned
}

// who asks who answers what only reads, and what may write.
func (f Front) who(ctx context.Context, conn *mysql.Conn) (found behind) {
	for range readsAsked {
		name, err := f.number(ctx, conn)
		if err != nil {
			return behind{err: err}
		}
		found.reads = append(found.reads, name)
	}
	if _, err := conn.Query(ctx, "START TRANSACTION"); err != nil {
		return behind{err: err}
	}
	if found.writes, found.err = f.number(ctx, conn); found.err != nil {
		return behind{err: found.err}
	}
	_, found.err = conn.Query(ctx, "ROLLBACK")
	return found
}

// number asks for the number of a server, and returns the name of that database.
func (f Front) number(ctx context.Context, conn *mysql.Conn) (name string, err error) {
	rows, err := conn.Query(ctx, "SELECT @@server_id")
	if err != nil {
		return "", err
	}
	if len(rows.Values) != 1 || len(rows.Values[0]) != 1 {
		return "", fmt.Errorf("asked for its number, the server gave %d rows", len(rows.Values))
	}
	said := rows.Values[0][0].Text
	id, err := strconv.ParseUint(said, 10, 32)
	if name, known := f.Databases[id]; err == nil && known {
		return name, nil
	}
	return "", &strangerError{said}
}

// strangerError means that something answers that is none of the databases.
type strangerError struct{ number string }

func (e *strangerError) Error() string {
	return fmt.Sprintf("a database answers with the number %.40q, which none of the release has", e.number)
}

// TLS is the state of a connection to the databases as users make them, or nil if none came
// about.
func (o *FrontObservation) TLS() *tls.ConnectionState {
	for _, s := range slices.Concat(o.ways, o.maxScales) {
		if s.login.TLS != nil {
			return s.login.TLS
		}
	}
	return nil
}

// Report decides every check on what was seen; the subject of a finding is the place that it
// is about.
func (o *FrontObservation) Report() check.Report {
	var report check.Report
	note := func(at Place, id, title, hint string, found conclusion) {
		f := finding(id, title, hint, found)
		f.Subject = at.Name
		report = append(report, f)
	}
	for i := range o.maxScales {
		s := &o.maxScales[i]
		for _, q := range frontQuestions() {
			note(s.Place, q.id, q.title, q.hint, q.decide(&s.Observation))
		}
		note(s.Place, "tls-05", "MaxScale ends TLS, and databases of this release answer behind it", "Find out who answers in place of the database: MaxScale's session says whom it asks.", s.decideBehind())
		for _, q := range maskingQuestions() {
			if s.masking != nil {
				note(s.Place, q.id, q.title, q.hint, q.decide(s.masking))
			}
		}
	}
	for _, s := range o.ways {
		note(s.Place, "hap-01", "it passes connections on as they are, and holds no key", "Remove what ends TLS before MaxScale.", o.decideWay(s))
	}
	return report
}

// frontQuestions are those about a MaxScale that are decided by trying.
func frontQuestions() []question {
	const hint = "Compare MaxScale's configuration with its session: ssl_verify_peer_certificate and ssl_ca of the listener."
	return []question{
		{"tls-01", "MaxScale's certificate is of the session's CA, names the release and is valid now", "Let CAS issue MaxScale's certificate for this name.", decideChain},
		{"tls-02", "the CA that verified MaxScale has the public key that CAS gave", "Let CAS issue MaxScale's certificate; something else presented one.", decideCAKey},
		{"tls-03", "MaxScale took no old version of TLS, and no weak cipher, where it was tried", "Set ssl_version and ssl_cipher of the listener as the session has them.", decideOffers},
		{"mtls-01", "certificates of a foreign CA, expired ones and ones for servers are refused by TLS", hint, decideImpostors},
		{"mtls-02", "nobody comes in without a client certificate", hint, decideNobody},
	}
}

// decideNobody judges what TLS must refuse: MaxScale takes nobody without a certificate.
func decideNobody(o *Observation) conclusion { return o.judgeByTLS(o.trials.withoutCertificate) }

// decideOffers says what was tried, and no more: a refusal of a version or cipher comes before
// any key, so whoever is in between can write it. That MaxScale refuses rests on its session.
func decideOffers(o *Observation) conclusion {
	for _, tried := range o.trials.old {
		if tried.TLS != nil {
			return failed(tried.name+" accepted", "a refusal", "")
		}
	}
	if reason := o.withoutControl(); reason != "" {
		return skipped(reason)
	}
	if len(o.trials.old) == 0 {
		return skipped("nothing was tried")
	}
	return passed(fmt.Sprintf("none of %d old offers was accepted; a refusal comes in clear, so that MaxScale refuses them rests on its session", len(o.trials.old)))
}

// decideBehind asks for a verified MaxScale, and for answers of the databases behind it.
func (s *seenPlace) decideBehind() conclusion {
	var stranger *strangerError
	switch {
	case s.login.Stage != mysql.LoggedIn:
		return unproven(s.login.Err)
	case errors.As(s.behind.err, &stranger):
		return failed(s.behind.err.Error(), "the databases of the release", "")
	case s.behind.err != nil:
		return unproven(s.behind.err)
	}
	return passed(s.answered())
}

// answered says which databases answered.
func (s *seenPlace) answered() string {
	return fmt.Sprintf("what reads is answered by %s, and what writes by %s", names(s.behind.reads), s.behind.writes)
}

func names(all []string) string {
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}

// decideWay asks whether what ends TLS behind a way is a MaxScale: it shows the certificate
// that MaxScale shows where it is reached by its own name, and nobody else has the key.
func (o *FrontObservation) decideWay(s seenPlace) conclusion {
	if refused, ok := errors.AsType[*tls.CertificateVerificationError](s.login.Err); ok && len(refused.UnverifiedCertificates) > 0 {
		if slices.ContainsFunc(o.maxScales, func(m seenPlace) bool { return shows(m.login.Err, refused.UnverifiedCertificates[0]) }) {
			return skipped("it passes on the certificate that MaxScale shows, which is not accepted (tls-01)")
		}
		return failed(refused.Err.Error(), "MaxScale's certificate", "something on this way ends TLS")
	}
	if s.login.TLS == nil {
		return unproven(s.login.Err)
	}
	compared := false
	for _, m := range o.maxScales {
		if m.login.TLS == nil {
			continue
		}
		if compared = true; sameLeaf(m.login, s.login) {
			if s.login.Stage != mysql.LoggedIn || s.behind.err != nil {
				return unproven(cmp.Or(s.login.Err, s.behind.err))
			}
			return passed("MaxScale's certificate is seen through it; " + s.answered())
		}
	}
	if !compared {
		return skipped("no MaxScale was reached by its own name, so there is no certificate to compare with")
	}
	return skipped("another certificate of the session's CA is seen through it than where MaxScale is reached by its own name")
}

// shows reports whether a certificate was refused that is this one.
func shows(err error, leaf *x509.Certificate) bool {
	refused, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok && len(refused.UnverifiedCertificates) > 0 && refused.UnverifiedCertificates[0].Equal(leaf)
}
