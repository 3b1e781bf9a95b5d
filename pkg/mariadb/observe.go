package mariadb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/witness"
)

// Observation is everything that was seen of a server at one time.
type Observation struct {
	target  Target
	login   mysql.Attempt // the login over which the server was asked
	trials  trials
	answers ask.Answers
	marks   witness.Left
}

// Observe tries what must work and what must not, and asks the server what it is.
// It always returns what it saw; whatever did not work is part of that.
func Observe(ctx context.Context, target Target, impostors Impostors) *Observation {
	seen := &Observation{target: target}
	conn, attempt := mysql.Connect(ctx, target.login(&target.Certificate, tls.VersionTLS12, tls.VersionTLS13))
	seen.login = attempt
	var trying sync.WaitGroup
	if attempt.Stage > mysql.Reaching {
		trying.Go(func() { seen.trials = target.try(ctx, target.plan(impostors)) })
	}
	if conn == nil {
		reason := fmt.Errorf("the attested client is not logged in: %w", attempt.Err)
		seen.answers, seen.marks = ask.Unanswered(reason), target.unmarked(reason)
	} else {
		if target.Verifier != "" {
			trying.Go(func() { seen.marks = target.leaveMark(ctx, attempt) })
		}
		seen.answers = target.ask(ctx, conn, attempt)
	}
	trying.Wait()
	return seen
}

// ask asks everything, first over the connection that is there. One that takes its place
// is secured in the same way.
func (t Target) ask(ctx context.Context, first ask.Connection, asked mysql.Attempt) ask.Answers {
	server := &ask.Asker{Connect: func(ctx context.Context) (ask.Connection, error) {
		if conn := first; conn != nil {
			first = nil
			return conn, nil
		}
		return t.connectAgain(ctx, asked)
	}}
	defer server.Close()
	return ask.Collect(ctx, server, t.Promise)
}

// connectAgain makes a further connection to the server that was asked.
func (t Target) connectAgain(ctx context.Context, asked mysql.Attempt) (ask.Connection, error) {
	conn, attempt := mysql.Connect(ctx, t.login(&t.Certificate, tls.VersionTLS12, tls.VersionTLS13))
	if conn == nil {
		return nil, fmt.Errorf("the attested client is not logged in again: %w", attempt.Err)
	}
	if !sameLeaf(asked, attempt) {
		conn.Close()
		return nil, errors.New("over a further connection, another certificate of the server answered")
	}
	return conn, nil
}

// TLS is the state of the connection over which the server was asked, or nil if
// none came about. The server's chain in it is verified against Target.CA.
func (o *Observation) TLS() *tls.ConnectionState { return o.login.TLS }

// ServerVersion is what the server calls itself: over the verified connection if
// it answered there, else in its greeting, else empty.
func (o *Observation) ServerVersion() string {
	if o.answers.Session.Err == nil {
		return o.answers.Session.Value.Version
	}
	if o.login.Greeting != nil {
		return o.login.Greeting.Version
	}
	return ""
}

// ConnectionIDs are the number of the connection in the greeting and the one that
// the server names over TLS. 0 means that it was not said.
func (o *Observation) ConnectionIDs() (greeting, session uint64) {
	if o.login.Greeting != nil {
		greeting = uint64(o.login.Greeting.ConnectionID)
	}
	return greeting, o.answers.Session.Value.ConnectionID
}

// Report decides every check on what was seen, in an order that depends on the promise
// only. What the server said stands in findings on one printable line each.
func (o *Observation) Report() check.Report {
	guests, rest := o.guestFindings(), o.findings(slices.Concat(settingQuestions(), o.replicationQuestions(), markQuestions()))
	onceEach(guests)
	onceEach(rest)
	return slices.Concat(o.findings(connectionQuestions()), guests, rest)
}

// findings are what was found for questions.
func (o *Observation) findings(questions []question) check.Report {
	var report check.Report
	for _, q := range questions {
		report = append(report, finding(q.id, q.title, q.hint, q.decide(o)))
	}
	return report
}

// finding is how a question ended; hint is for when it failed.
func finding(id, title, hint string, found conclusion) check.Finding {
	finding := check.Finding{ID: id, Title: title, Outcome: found.outcome,
		Got: check.Said(found.got), Want: check.Said(found.want), Reason: check.Said(found.reason)}
	switch found.outcome {
	case check.Fail:
		finding.Hint = hint
	case check.Skip:
		finding.Hint = cmp.Or(found.hint, "Repeat the verification when the database answers; its log says more.")
	}
	return finding
}

// onceEach says a reason for which several questions have no answer once.
func onceEach(report check.Report) {
	first := map[string]string{}
	for i, f := range report {
		if f.Outcome != check.Skip {
			continue
		}
		if id, said := first[f.Reason]; said {
			report[i].Reason = "for the reason of " + id
		} else {
			first[f.Reason] = f.ID
		}
	}
}

// conclusion is how one question ended. The zero value is a skip.
type conclusion struct {
	outcome           check.Outcome
	got, want, reason string
	// all is everything that was found wrong, of which got names some.
	all []string
	// hint says what to do about a skip, where that is not to ask again.
	hint string
}

func skipped(reason string) conclusion { return conclusion{reason: reason} }

func passed(reason string) conclusion { return conclusion{outcome: check.Pass, reason: reason} }

func failed(got, want, reason string) conclusion {
	return conclusion{outcome: check.Fail, got: got, want: want, reason: reason}
}

// unproven skips because the server did not answer. The error may hold the peer's text.
func unproven(err error) conclusion { return skipped(err.Error()) }

// noneOf passes if nothing was found, and else fails with what was found.
func noneOf(found []string, want, reason string) conclusion {
	if len(found) > 0 {
		return conclusion{outcome: check.Fail, got: briefly(found), want: want, all: found}
	}
	return passed(reason)
}

// question is one check: hint says what to do when it fails.
type question struct {
	id, title, hint string
	decide          func(*Observation) conclusion
}

// Checks are the IDs of the checks that a Report of a single database answers, in its order.
func Checks() []string {
	var ids []string
	for _, q := range connectionQuestions() {
		ids = append(ids, q.id)
	}
	for _, q := range guestQuestions() {
		ids = append(ids, q.id)
	}
	for _, q := range slices.Concat(settingQuestions(), markQuestions()) {
		ids = append(ids, q.id)
	}
	return ids
}

// ReplicationChecks are the IDs of those that a Report answers beside them where the
// database is promised to be one of several.
func ReplicationChecks() []string {
	var ids []string
	for _, q := range replicationQuestions() {
		ids = append(ids, q.id)
	}
	return ids
}

func questions() []question {
	return slices.Concat(connectionQuestions(), settingQuestions(), replicationQuestions(), markQuestions())
}
