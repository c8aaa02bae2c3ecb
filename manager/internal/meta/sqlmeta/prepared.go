package sqlmeta

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
)

const (
	// preparedMost is how many statements a connection of SQLite keeps: those of
	// a page, of an upload and of the services' work, of some kilobytes each.
	preparedMost = 128
	// preparedLength keeps out those that are made for one use, which are long.
	preparedLength = 4096
)

// preparing connects to SQLite so that each connection keeps the statements that
// it has parsed: for most of ours to parse takes longer than to run. database/sql
// could keep them, too, but would wait for a second connection to prepare one
// while a transaction has the only one that writes.
type preparing struct{ driver.Connector }

func (p preparing) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	able, ok := c.(sqliteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlmeta: a connection of %T cannot prepare", c), c.Close())
	}
	return &preparedConn{sqliteConn: able, idle: map[string]preparedStmt{}}, nil
}

// sqliteConn is what the driver's connections do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type preparedStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// preparedConn is used by one goroutine at a time, as any driver.Conn.
type preparedConn struct {
	sqliteConn
	idle map[string]preparedStmt // those that no rows are read from
}

// take gives a statement to one user; give takes it back.
func (c *preparedConn) take(ctx context.Context, text string) (preparedStmt, error) {
	if s, ok := c.idle[text]; ok {
		delete(c.idle, text)
		return s, nil
	}
	s, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	able, ok := s.(preparedStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlmeta: a statement of %T takes no context", s), s.Close())
	}
	return able, nil
}

// give keeps a statement that was reset, as its use leaves it. When there are too
// many, any goes: those in use at the time are not among them, and come back.
func (c *preparedConn) give(text string, s preparedStmt) error {
	if len(text) > preparedLength {
		return s.Close()
	}
	var errs []error
	if same, ok := c.idle[text]; ok { // two of them were in use at once
		errs = append(errs, same.Close())
	}
	c.idle[text] = s
	for other, o := range c.idle {
		if len(c.idle) <= preparedMost {
			break
		}
		delete(c.idle, other)
		errs = append(errs, o.Close())
	}
	return errors.Join(errs...)
}

func (c *preparedConn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	result, err := s.ExecContext(ctx, args)
	if err != nil { // it may have been interrupted in any state
		return nil, errors.Join(err, s.Close())
	}
	return result, c.give(text, s)
}

func (c *preparedConn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	typed, ok := rows.(typedRows)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlmeta: rows of %T have no types", rows), rows.Close(), s.Close())
	}
	return &preparedRows{typedRows: typed, done: func() error { return c.give(text, s) }, drop: s.Close}, nil
}

func (c *preparedConn) Close() error {
	var errs []error
	for _, s := range c.idle {
		errs = append(errs, s.Close())
	}
	clear(c.idle)
	return errors.Join(append(errs, c.sqliteConn.Close())...)
}

// typedRows are the driver's rows, as far as they are asked for.
type typedRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
}

// preparedRows give their statement back when they are closed, once.
type preparedRows struct {
	typedRows
	done, drop func() error
}

func (r *preparedRows) Close() error {
	done, drop := r.done, r.drop
	if r.done, r.drop = nil, nil; done == nil {
		return nil
	}
	if err := r.typedRows.Close(); err != nil {
		return errors.Join(err, drop())
	}
	return done()
}
