package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"time"
)

// A transaction takes in no further change after so many, and so long.
const (
	changesMost = 32
	changesWork = 10 * time.Millisecond
)

// errScattered is the end of a shared transaction that SQLite has undone while
// one of its changes was made: the others are made once more.
var errScattered = errors.New("the transaction was undone with another change")

// line is where those stand who want to change a SQLite file. To wait for the disk
// takes longer than most changes, so who stands in line makes his change in the
// transaction that is open, and one COMMIT, and one fsync, is for all of them.
// Nobody waits for company: who is alone has a transaction of his own.
//
// Each change is made by the goroutine that asked for it, behind a savepoint, and
// sees what those in front of it have made. Nobody is told how it went before all
// that he has seen is durable.
type line struct {
	db       *sql.DB
	failure  func() error  // why there is no writing any more, nil as long as there is
	distrust func(error)   // is told of each error before anybody else writes
	most     int           // changes in a transaction
	work     time.Duration // on it, after which nobody joins
	turn     chan struct{} // holds a token while it is somebody's turn
	waiting  atomic.Int64  // for their turn
	open     *shared       // belongs to whose turn it is; nil without
}

// shared is a transaction. It belongs to whose turn it is until it has ended.
type shared struct {
	line    *line
	tx      *sql.Tx
	begun   time.Time
	changes int
	ended   chan struct{} // closed then
	err     error         // how it ended
}

// update runs f in a transaction. Its change is durable when update has returned
// nil, and undone otherwise. When f has gone well, the end of ctx undoes nothing any
// more. f runs again if its transaction was undone for another one's sake.
func (l *line) update(ctx context.Context, f func(tx querier) error) error {
	for {
		if err := l.take(ctx); err != nil {
			return err
		}
		err := error(nil)
		if l.open == nil {
			err = l.lead(ctx, f)
		} else {
			err = l.join(ctx, l.open, f)
		}
		if !errors.Is(err, errScattered) {
			return err
		}
	}
}

// take waits for the turn; lead and join pass it on.
func (l *line) take(ctx context.Context) error {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := l.failure()
	if err != nil {
		l.pass()
	}
	return err
}

func (l *line) pass() { <-l.turn }

// lead makes the first change of a transaction, and sees to its end.
func (l *line) lead(ctx context.Context, f func(tx querier) error) error {
	s, err := l.begin(ctx, f)
	if err != nil {
		return err
	}
	for !s.full() && l.waiting.Load() > 0 {
		l.pass()
		select {
		case l.turn <- struct{}{}: // behind those who wait
			if l.open != s {
				l.pass()
				return s.err
			}
		case <-s.ended:
			return s.err
		}
	}
	s.end(nil)
	l.pass()
	return s.err
}

// begin gives the transaction with its first change, and passes the turn if there
// is none. Alone it needs no savepoint.
func (l *line) begin(ctx context.Context, f func(tx querier) error) (s *shared, err error) {
	defer func() {
		if s == nil { // f may have panicked
			l.distrust(err)
			l.pass()
		}
	}()
	tx, err := l.db.BeginTx(context.WithoutCancel(ctx), nil) // it may become others', too
	if err != nil {
		return nil, err
	}
	defer func() {
		if s == nil {
			_ = tx.Rollback() // there may be nothing left to undo
		}
	}()
	if err := f(tx); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.open = &shared{line: l, tx: tx, begun: time.Now(), changes: 1, ended: make(chan struct{})}
	return l.open, nil
}

// join makes a further change, and passes the turn.
func (l *line) join(ctx context.Context, s *shared, f func(tx querier) error) error {
	failed, lost := s.change(ctx, f)
	if lost || failed != nil && ctx.Err() != nil {
		return failed
	}
	<-s.ended
	if s.err != nil {
		return s.err
	}
	return failed // for reasons that are durable
}

// change makes one of several changes, or leaves no trace of it. lost tells that
// nothing is left of the others either: SQLite undoes a whole transaction when it
// runs out of space, or is interrupted while it writes.
func (s *shared) change(ctx context.Context, f func(tx querier) error) (err error, lost bool) {
	lost = true // when f panics
	defer func() {
		s.line.distrust(err)
		if lost {
			s.end(errScattered)
		} else if s.full() {
			s.end(nil)
		}
		s.line.pass()
	}()
	whole := context.WithoutCancel(ctx)
	if err := exec(whole, s.tx, `SAVEPOINT change`); err != nil {
		return err, true
	}
	if err = f(s.tx); err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err, exec(whole, s.tx, `ROLLBACK TO change; RELEASE change`) != nil
	}
	if err := exec(whole, s.tx, `RELEASE change`); err != nil {
		return err, true
	}
	s.changes++
	return nil, false
}

func (s *shared) full() bool {
	return s.changes >= s.line.most || time.Since(s.begun) >= s.line.work
}

// end commits a transaction, or undoes it for a reason, and tells all who share it.
func (s *shared) end(undo error) {
	if s.err = undo; undo == nil {
		s.err = s.tx.Commit()
		s.line.distrust(s.err)
	} else {
		_ = s.tx.Rollback() // there may be nothing left to undo
	}
	s.line.open = nil
	close(s.ended)
}
