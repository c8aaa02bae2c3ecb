package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errCut is a transaction whose COMMIT got no answer and that is known not to
// have happened.
var errCut = errors.New("the connection to the database was cut")

// update has a COMMIT that gets no answer found out about. Each transaction
// writes its number into a row of the table commits that is its writer's; of two
// transactions of a writer the later one waits for the earlier to end. So, when the
// row can be written once more, it tells whether the number was committed, and it
// will not be any more if it was not.
//
// Why not pg_xact_status: after a crash a transaction that never reached the disk
// may share its id with one that did.
func (e *postgresEngine) update(ctx context.Context, alone bool, f func(tx querier) error) error {
	writer, number, done, err := e.turns.take(ctx, alone)
	if err != nil {
		return err
	}
	done = sync.OnceFunc(done)
	defer done()
	cut, err := e.attempt(ctx, writer, number, alone, false, f)
	if errors.Is(err, errLate) { // who sent it may have something to say of it
		cut, err = e.attempt(ctx, writer, number, alone, true, f)
	}
	if !cut {
		return err
	}
	e.turns.forsake(writer)
	done() // the server may be away for long, and others are to be told soon
	committed, lost := e.committed(ctx, writer, number)
	switch {
	case lost != nil:
		return fmt.Errorf("whether a change was made is not known: %w", errors.Join(err, lost))
	case committed:
		return nil
	}
	return fmt.Errorf("%w: %w", errCut, err)
}

// attempt runs f in a transaction, in which statements are waited for if it is an
// eager one. cut tells that its COMMIT got no answer.
func (e *postgresEngine) attempt(ctx context.Context, writer string, number int64, alone, eager bool, f func(tx querier) error) (cut bool, err error) {
	begin := []*waiter{
		{text: `BEGIN`},
		{text: fmt.Sprintf(`SELECT set_config('lock_timeout', '%d', true), set_config('statement_timeout', '%d', true),
			set_config('idle_in_transaction_session_timeout', '%d', true)`,
			lockTimeout.Milliseconds(), statementTimeout.Milliseconds(), idleTimeout.Milliseconds())},
		// The transaction's number, in its writer's row.
		{text: `INSERT INTO commits (writer, number, at) VALUES ($1, $2, $3)
			ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at`, args: []any{writer, number, e.now().UnixMicro()}},
	}
	if alone {
		begin = append(begin, &waiter{text: fmt.Sprintf(`SELECT pg_advisory_xact_lock(%d)`, aloneKey)})
	}
	err = e.transaction(ctx, e.write, eager, begin, func(c *sql.Conn) error {
		if err := f(e.speak(c)); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		defer cancel()
		tag, reached, err := commit(end, c)
		if err == nil && tag != "COMMIT" {
			return fmt.Errorf("a statement failed, and nobody said so: %s", tag)
		}
		cut = err != nil && reached && !undone(err)
		return err
	})
	return cut, err
}

// undone tells whether a COMMIT that failed has undone its transaction: the
// server said so, and it was not about to go down.
func undone(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(refused.Code, "40") || strings.HasPrefix(refused.Code, "23"))
}

// committed waits for a transaction to end, for as long as a session of the
// server may go on after its client has left, and tells how it did.
func (e *postgresEngine) committed(ctx context.Context, writer string, number int64) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), idleTimeout+lockTimeout)
	defer cancel()
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		var last int64
		err := e.write.QueryRowContext(ctx, `INSERT INTO commits (writer, number, at) VALUES ($1, 0, $2)
			ON CONFLICT (writer) DO UPDATE SET at = excluded.at RETURNING number`,
			writer, e.now().UnixMicro()).Scan(&last)
		if err == nil {
			return last == number, nil
		}
		if !e.passing(err) {
			return false, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false, errors.Join(err, ctx.Err())
		}
	}
}
