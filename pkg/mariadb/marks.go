package mariadb

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/confidb/confidb/pkg/check"
	"github.com/confidb/confidb/pkg/mariadb/ask"
	"github.com/confidb/confidb/pkg/mysql"
	"github.com/confidb/confidb/pkg/witness"
)

// markQuestions are those about the database as one that stays the same.
func markQuestions() []question {
	return []question{
		{"data-02", "each new connection reaches the database in which a mark was left right now",
			"Find out what answers at the address of the database, and who made the table of marks: {explain data-02}.", decideOneDatabase},
	}
}

// leaveMark reads the marks of the verifier, and leaves a new one: not in a database that
// only follows, to which the marks come from the primary.
func (t Target) leaveMark(ctx context.Context, asked mysql.Attempt) witness.Left {
	ledger := t.ledger(asked)
	if t.Promise == nil || t.Promise.Replication == nil {
		return ledger.Leave(ctx)
	}
	switch readOnly, err := t.isReadOnly(ctx, ledger); {
	case err != nil:
		return t.unmarked(fmt.Errorf("asking whether the database is written to: %w", err))
	case readOnly:
		return ledger.Look(ctx, "this database is not the primary, which alone is written to: marks come to it from there")
	}
	return ledger.Leave(ctx)
}

// isReadOnly asks over a connection of its own, as the marks are left beside all questions.
func (t Target) isReadOnly(ctx context.Context, ledger witness.Ledger) (bool, error) {
	conn, err := ledger.Connect(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	rows, err := conn.Ask(ctx, "SELECT @@GLOBAL.read_only")
	if err != nil {
		return false, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 || rows[0][0] != "0" && rows[0][0] != "1" {
		return false, errors.New("want 0 or 1")
	}
	return rows[0][0] == "1", nil
}

// ledger are the verifier's marks in the server that was asked.
func (t Target) ledger(asked mysql.Attempt) witness.Ledger {
	return witness.Ledger{Verifier: t.Verifier, Asked: t.Asked, Random: t.Random, Kept: witness.Kept,
		Connect: func(ctx context.Context) (witness.Connection, error) {
			conn, err := t.connectAgain(ctx, asked)
			if err != nil {
				return nil, err
			}
			if err := ask.Prepare(ctx, conn); err != nil {
				conn.Close()
				return nil, err
			}
			return marker{conn}, nil
		}}
}

// marker is a connection over which marks are left and looked for.
type marker struct{ ask.Connection }

// Ask is Query, with texts for values.
func (m marker) Ask(ctx context.Context, statement string) ([][]string, error) {
	const noSuchTable = 1146 // ER_NO_SUCH_TABLE
	rows, err := m.Query(ctx, statement)
	if refused, ok := errors.AsType[*mysql.ServerError](err); ok && refused.Code == noSuchTable {
		return nil, witness.ErrNoTable
	}
	if err != nil {
		return nil, err
	}
	all := make([][]string, len(rows.Values))
	for i, values := range rows.Values {
		for _, v := range values {
			all[i] = append(all[i], v.Text)
		}
	}
	return all, nil
}

// unmarked is what there is when no question could be put.
func (t Target) unmarked(reason error) witness.Left {
	return witness.Left{Err: reason, Seen: witness.Seen{Verifier: t.Verifier, Asked: t.Asked, Problem: check.Said(reason.Error())}}
}

// decideOneDatabase asks that the mark was found over each new connection.
func decideOneDatabase(o *Observation) conclusion {
	const table = "The session must make the table " + witness.Table + " and let the attested client write it, as our template does: {explain data-02}."
	switch left := o.marks; {
	case o.target.Verifier == "":
		return skipped("the attested client was not told for whom to leave a mark")
	case left.Blind > 0:
		return failed(fmt.Sprintf("%d of %d new connections do not find the mark", left.Blind, witness.Connections), "the mark, over each of them",
			"more than one database answers at this address, or one that forgets what it has committed")
	case errors.Is(left.Err, witness.ErrForeignTable):
		return failed(left.Err.Error(), "the table of our template, without triggers", "reading or writing it could run what somebody has planted, so that was not done")
	case left.Err != nil:
		c := unproven(left.Err)
		if ask.Answered(left.Err) || errors.Is(left.Err, witness.ErrNoTable) {
			c.hint = table
		}
		return c
	case left.Looked && left.Seen.Found:
		return passed(fmt.Sprintf("%d new connections find the mark of the last verification; none was left, as this is not the primary", witness.Connections))
	case left.Looked && left.Seen.Asked == "":
		return conclusion{reason: "you have no earlier mark to look for, and none is left in a database that is not the primary", hint: "{verify} again: the mark that this run leaves at the primary is looked for the next time."}
	case left.Looked:
		return conclusion{reason: "it does not hold the mark of the last verification, so that it could not be looked for over new connections: see data-01", hint: "If it is a replica that is late, {verify} again when it is not."}
	case left.Seen.Written == witness.Mark{}:
		return skipped(cmp.Or(left.Seen.Problem, "no mark was left"))
	}
	reason := fmt.Sprintf("%d new connections", witness.Connections)
	if o.marks.Untidy != nil {
		reason += "; removing old marks: " + o.marks.Untidy.Error()
	}
	return passed(reason)
}

// Witness is what was found of the marks of earlier runs, and left for later ones; nil
// if nobody was named whose marks to look for.
func (o *Observation) Witness() *witness.Seen {
	if o.target.Verifier == "" {
		return nil
	}
	seen := o.marks.Seen
	return &seen
}
