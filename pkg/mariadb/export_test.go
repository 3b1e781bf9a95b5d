package mariadb

import (
	"context"
	"crypto/tls"
	"testing"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/promise"
	"github.com/confidb/confidb/pkg/witness"
)

// Ask asks a server what it is, without trying what must be refused.
func Ask(ctx context.Context, t *testing.T, target Target) *Observation {
	t.Helper()
	conn, attempt := mysql.Connect(ctx, target.login(&target.Certificate, tls.VersionTLS12, tls.VersionTLS13))
	if conn == nil {
		t.Fatal(attempt.Err)
	}
	return &Observation{target: target, login: attempt, answers: target.ask(ctx, conn, attempt)}
}

// Conclude decides one check, and returns everything that is wrong.
func (o *Observation) Conclude(id string) (check.Outcome, string, []string) {
	for _, q := range questions() {
		if q.id == id {
			c := q.decide(o)
			return c.outcome, c.got + " " + c.reason, c.all
		}
	}
	return check.Skip, "no such check", nil
}

// Asked are the checks that are decided by what the server says, in their order.
func Asked() []string {
	var ids []string
	for _, q := range settingQuestions() {
		ids = append(ids, q.id)
	}
	return ids
}

// OfVersion is what was seen, of a server that calls itself another version.
func (o *Observation) OfVersion(version string) *Observation {
	other := *o
	other.answers.Session.Value.Version = version
	return &other
}

// Promised is what was seen, under another promise.
func (o *Observation) Promised(p *promise.Promise) *Observation {
	other := *o
	other.target.Promise = p
	return &other
}

// Connect makes a connection as a mark is left and looked for.
func Connect(ctx context.Context, t Target) (witness.Connection, error) {
	conn, attempt := mysql.Connect(ctx, t.login(&t.Certificate, tls.VersionTLS12, tls.VersionTLS13))
	if conn == nil {
		return nil, attempt.Err
	}
	return marker{conn}, ask.Prepare(ctx, conn)
}
