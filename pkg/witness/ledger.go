package witness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/confidb/confidb/pkg/check"
)

// Table is where marks are, and the only table that the attested client writes. The
// session makes it.
const Table = "confidb_verify.marks"

const (
	// Kept is how many marks of one verifier are kept.
	Kept = 64
	// Connections is over how many new connections a mark is looked for. Of two databases
	// behind one address that take turns by chance, one is missed once in 256 times.
	Connections = 8

	readMost = 10_000 // bounds how many marks of one verifier are read
)

// definition is the table as MariaDB shows it, but for the next number.
const definition = "CREATE TABLE `marks` (\n" +
	"  `id` bigint(20) unsigned NOT NULL AUTO_INCREMENT,\n" +
	"  `verifier` char(32) NOT NULL,\n" +
	"  `mark` char(64) NOT NULL,\n" +
	"  PRIMARY KEY (`id`),\n" +
	"  KEY `verifier` (`verifier`)\n" +
	") ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin"

var (
	// ErrNoTable is what a Connection says if there is no such table, and the client may
	// know that.
	ErrNoTable = errors.New("there is no table " + Table)
	// ErrForeignTable means that something else stands where the table should be. It is
	// neither read nor written: that could run what somebody has planted.
	ErrForeignTable = errors.New(Table + " is not as the session makes it")
)

// Connection is one with the database, whose session is set up.
type Connection interface {
	// Ask runs one statement, and returns the rows of its result.
	Ask(ctx context.Context, statement string) ([][]string, error)
	Close() error
}

// Ledger are the marks of one verifier in one database. Every field but Asked is needed.
type Ledger struct {
	// Connect makes a new connection to the database each time.
	Connect func(context.Context) (Connection, error)
	// Verifier and Asked are as in Seen.
	Verifier, Asked string
	// Random is where marks come from.
	Random io.Reader
	// Kept is how many marks are kept.
	Kept int
}

// Left is what became of it.
type Left struct {
	// Seen is what the attested client says.
	Seen Seen
	// Blind is how many of the new connections did not find the mark.
	Blind int
	// Err is why marks were not read, or none was left.
	Err error
	// Untidy is why old marks were not removed: the next run does it.
	Untidy error
	// Looked means that none was to be left: Look was asked, and Blind is about the mark that
	// was asked for.
	Looked bool
}

// Leave reads the marks of the verifier, leaves a new one, and looks for it over new
// connections. What was not read or written to its end is not said.
func (l Ledger) Leave(ctx context.Context) Left {
	left := Left{Seen: Seen{Verifier: l.Verifier, Asked: l.Asked}}
	left.Err = l.leave(ctx, &left)
	switch {
	case left.Err != nil:
		left.Seen.Problem = check.Said(left.Err.Error())
	case left.Blind > 0:
		left.Seen.Problem = "the new mark is not in every database that answers"
	default:
		return left
	}
	left.Seen.Written = Mark{}
	return left
}

// Look reads the marks of the verifier, and looks for the one that was asked for over new
// connections. It leaves none: why says why there is none to be left.
func (l Ledger) Look(ctx context.Context, why string) Left {
	left := Left{Seen: Seen{Verifier: l.Verifier, Asked: l.Asked, Problem: why}, Looked: true}
	if left.Err = l.look(ctx, &left); left.Err != nil {
		left.Seen.Problem = check.Said(left.Err.Error())
	} else if left.Blind > 0 {
		left.Seen.Problem = "the mark that was asked for is not in every database that answers"
	}
	return left
}

func (l Ledger) look(ctx context.Context, left *Left) error {
	conn, err := l.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := l.read(ctx, conn, &left.Seen); err != nil {
		return fmt.Errorf("reading the marks: %w", err)
	}
	if !left.Seen.Found {
		return nil
	}
	statement := fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE verifier = '%s' AND SHA2(mark, 256) = '%s'", Table, l.Verifier, l.Asked)
	if left.Blind, err = l.lookAgain(ctx, statement); err != nil {
		return fmt.Errorf("looking for the mark that was asked for: %w", err)
	}
	return nil
}

func (l Ledger) leave(ctx context.Context, left *Left) error {
	conn, err := l.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	own, err := l.read(ctx, conn, &left.Seen)
	if err != nil {
		return fmt.Errorf("reading the marks: %w", err)
	}
	mark, number, err := l.write(ctx, conn)
	if err != nil {
		return fmt.Errorf("leaving a mark: %w", err)
	}
	left.Seen.Written = Mark{Number: number, Digest: digest(mark)}
	statement := fmt.Sprintf("SELECT COUNT(*) FROM %s WHERE id = %d AND verifier = '%s' AND mark = '%s'", Table, number, l.Verifier, mark)
	if left.Blind, err = l.lookAgain(ctx, statement); err != nil {
		return fmt.Errorf("looking for the new mark: %w", err)
	}
	if l.Asked != "" && !left.Seen.Found || left.Blind > 0 {
		return nil // what is amiss stays as it is
	}
	left.Untidy = l.tidy(ctx, conn, own)
	return nil
}

// read reads the marks of the verifier, the oldest first. Without the table there are none.
func (l Ledger) read(ctx context.Context, conn Connection, seen *Seen) ([]Mark, error) {
	if err := judgeTable(ctx, conn); err != nil {
		seen.Read = errors.Is(err, ErrNoTable)
		return nil, err
	}
	rows, err := conn.Ask(ctx, fmt.Sprintf("SELECT id, mark FROM %s WHERE verifier = '%s' ORDER BY id LIMIT %d", Table, l.Verifier, readMost+1))
	if err != nil {
		return nil, err
	}
	own, err := readMarks(rows)
	if err != nil {
		return nil, err
	}
	if len(own) > 0 {
		seen.Oldest = own[0].Number
	}
	seen.Read, seen.Full = true, len(own) >= l.Kept
	seen.Found = l.Asked != "" && slices.ContainsFunc(own, l.isAsked)
	return own, nil
}

func (l Ledger) isAsked(m Mark) bool { return m.Digest == l.Asked }

// judgeTable asks that the table is what the session makes, and that nothing runs when it
// is written. Neither question opens what a view or a trigger would run.
func judgeTable(ctx context.Context, conn Connection) error {
	rows, err := conn.Ask(ctx, "SHOW CREATE TABLE "+Table)
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) != 2 || regexp.MustCompile(`\) ENGINE=InnoDB AUTO_INCREMENT=[0-9]+ `).ReplaceAllString(rows[0][1], ") ENGINE=InnoDB ") != definition {
		return ErrForeignTable
	}
	triggers, err := askNumber(ctx, conn, "SELECT COUNT(*) FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = 'confidb_verify'")
	if err == nil && triggers > 0 {
		err = fmt.Errorf("%w: it has triggers", ErrForeignTable)
	}
	return err
}

func readMarks(rows [][]string) ([]Mark, error) {
	if len(rows) > readMost {
		return nil, fmt.Errorf("got more than %d marks of one verifier", readMost)
	}
	var own []Mark
	for _, r := range rows {
		if len(r) != 2 {
			return nil, errors.New("got a mark that has not two columns")
		}
		number, err := strconv.ParseUint(r[0], 10, 64)
		if err != nil {
			return nil, errors.New("got a mark without a number")
		}
		own = append(own, Mark{number, digest(r[1])})
	}
	return own, nil
}

// askNumber asks for one number.
func askNumber(ctx context.Context, conn Connection, statement string) (uint64, error) {
	rows, err := conn.Ask(ctx, statement)
	if err != nil {
		return 0, err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return 0, errors.New("got no number")
	}
	number, err := strconv.ParseUint(rows[0][0], 10, 64)
	if err != nil {
		return 0, errors.New("got no number")
	}
	return number, nil
}

// write leaves a new mark, and returns it with its number.
func (l Ledger) write(ctx context.Context, conn Connection) (mark string, number uint64, err error) {
	random := make([]byte, sha256.Size)
	if _, err := io.ReadFull(l.Random, random); err != nil {
		return "", 0, err
	}
	mark = hex.EncodeToString(random)
	if _, err := conn.Ask(ctx, fmt.Sprintf("INSERT INTO %s (verifier, mark) VALUES ('%s', '%s')", Table, l.Verifier, mark)); err != nil {
		return "", 0, err
	}
	number, err = askNumber(ctx, conn, "SELECT LAST_INSERT_ID()")
	if err == nil && number == 0 {
		err = errors.New("the server gave it no number")
	}
	return mark, number, err
}

// lookAgain counts a mark over new connections, and returns how many do not find it.
func (l Ledger) lookAgain(ctx context.Context, statement string) (blind int, err error) {
	for range Connections {
		conn, err := l.Connect(ctx)
		if err != nil {
			return blind, err
		}
		found, err := askNumber(ctx, conn, statement)
		conn.Close()
		switch {
		case errors.Is(err, ErrNoTable):
			blind++
		case err != nil:
			return blind, err
		case found != 1:
			blind++
		}
	}
	return blind, nil
}

// tidy removes the oldest of the marks that were read. The one that was asked for stays:
// it is demanded until a newer one is recorded.
func (l Ledger) tidy(ctx context.Context, conn Connection, own []Mark) error {
	var old []string
	for _, m := range own[:max(0, len(own)+1-l.Kept)] {
		if !l.isAsked(m) {
			old = append(old, strconv.FormatUint(m.Number, 10))
		}
	}
	if len(old) == 0 {
		return nil
	}
	_, err := conn.Ask(ctx, fmt.Sprintf("DELETE FROM %s WHERE id IN (%s)", Table, strings.Join(old, ",")))
	return err
}

func digest(mark string) string {
	sum := sha256.Sum256([]byte(mark))
	return hex.EncodeToString(sum[:])
}
