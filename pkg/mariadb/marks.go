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

// leaveMark reads the marks of the verifier, and leaves a new one.
func (t Target) leaveMark(ctx context.Context, asked mysql.Attempt) witness.Left {
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
		}}.Leave(ctx)
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
