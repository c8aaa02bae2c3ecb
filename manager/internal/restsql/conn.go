package restsql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// DB gives a pool of at most so many calls at once. Beside View and Update, each
// statement is a transaction of its own: one by QueryContext may write and give
// rows, one by ExecContext has been done when it returns.
func (c *Client) DB(most int) *sql.DB { return c.pool(most, 0) }

// Pages gives a pool for queries whose rows are many: they are asked for in pages,
// each of which shows what is there at its time.
func (c *Client) Pages(most, rows int) *sql.DB { return c.pool(most, rows) }

func (c *Client) pool(most, page int) *sql.DB {
	db := sql.OpenDB(connector{c, page})
	db.SetMaxOpenConns(most)
	db.SetMaxIdleConns(most)
	return db
}

type connector struct {
	c    *Client
	page int
}

func (c connector) Connect(context.Context) (driver.Conn, error) {
	return &conn{c: c.c, page: c.page}, nil
}

func (c connector) Driver() driver.Driver { return nothing{} }

// nothing stands where database/sql wants a driver that is opened by name.
type nothing struct{}

func (nothing) Open(string) (driver.Conn, error) { return nil, errors.ErrUnsupported }

// conn has nothing of its own but the transaction that it is used for.
type conn struct {
	c    *Client
	page int // of so many rows, 0 for all at once
	tx   *transaction
}

var (
	_ driver.QueryerContext = (*conn)(nil)
	_ driver.ExecerContext  = (*conn)(nil)

	_ driver.SessionResetter = (*conn)(nil)
)

func (c *conn) Prepare(string) (driver.Stmt, error) { return nil, errors.ErrUnsupported }
func (c *conn) Begin() (driver.Tx, error)           { return nil, errors.ErrUnsupported } // View and Update do
func (c *conn) Close() error                        { return nil }

// ResetSession leaves nothing of a transaction that panicked.
func (c *conn) ResetSession(context.Context) error {
	c.tx = nil
	return nil
}

func (c *conn) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s := statement(text, args)
	if c.page > 0 {
		p := &pages{ctx: ctx, c: c.c, s: s, size: c.page}
		return p, p.turn()
	}
	var (
		answer []byte
		err    error
	)
	if c.tx != nil {
		answer, err = c.tx.query(ctx, s)
	} else {
		answer, err = c.c.single(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	all, err := parseRecords(answer)
	if err != nil {
		return nil, err
	}
	return &rows{all: all}, nil
}

func (c *conn) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s := statement(text, args)
	if c.tx != nil {
		one, err := c.tx.exec(ctx, s)
		if err != nil {
			return nil, err
		}
		return result{ctx, c.tx, one}, nil
	}
	one, err := newStep(s, false)
	if err != nil {
		return nil, err
	}
	r, err := c.c.alone(ctx, one)
	if err != nil {
		return nil, err
	}
	return driver.RowsAffected(r.Replies[0].Count), nil
}

func statement(text string, args []driver.NamedValue) Statement {
	s := Statement{Text: text, Args: make([]driver.Value, len(args))}
	for i, arg := range args {
		s.Args[i] = arg.Value
	}
	return s
}

// single gives the records of a statement that is a transaction of its own.
func (c *Client) single(ctx context.Context, s Statement) ([]byte, error) {
	one, err := newStep(s, true)
	if err != nil {
		return nil, err
	}
	r, err := c.alone(ctx, one)
	if err != nil {
		return nil, err
	}
	if r.Replies[0].Rows == nil {
		return nil, fmt.Errorf("%w: no rows where they were asked for", errAnswer)
	}
	answer, err := base64.StdEncoding.DecodeString(*r.Replies[0].Rows)
	if err == nil && !one.writes && c.o.Memory >= 0 {
		c.memory.learn(key(one), answer)
		c.foreseen.setTypes(one.Text, answer)
	}
	return answer, err
}

func (c *Client) alone(ctx context.Context, one *step) (*reply, error) {
	function, s := look, script{Steps: []*step{one}}
	if one.writes {
		function, s.Lock, s.Keep = run, c.lock(), true
	}
	r, err := c.call(ctx, function, s)
	switch {
	case err != nil:
		return nil, err
	case r.Failure != nil:
		return nil, &Error{Status: http.StatusOK, Code: r.Failure.Code, Message: r.Failure.Message, Rule: r.Failure.Rule}
	case r.Replies[0] == nil:
		return nil, fmt.Errorf("%w: a statement has none", errAnswer)
	}
	return r, nil
}

// result asks for the count when it is looked at: database/sql has no context then.
type result struct {
	ctx context.Context
	tx  *transaction
	one *step
}

func (r result) LastInsertId() (int64, error) { return 0, errors.ErrUnsupported }
func (r result) RowsAffected() (int64, error) { return r.tx.count(r.ctx, r.one) }

// rows are all there already. Their columns have no names.
type rows struct {
	all  [][]driver.Value
	next int
}

func (r *rows) Columns() []string {
	if len(r.all) == 0 {
		return nil
	}
	return make([]string, len(r.all[0]))
}

func (r *rows) Close() error { return nil }

func (r *rows) Next(dest []driver.Value) error {
	if r.next == len(r.all) {
		return io.EOF
	}
	copy(dest, r.all[r.next])
	r.next++
	return nil
}

// pages are rows that are read on while they are looked at.
type pages struct {
	rows
	ctx  context.Context // of the query: database/sql has none when it reads on
	c    *Client
	s    Statement
	size int
	from int
}

// turn reads the next page.
func (p *pages) turn() error {
	s := Statement{Text: fmt.Sprintf("SELECT * FROM (%s) page LIMIT %d OFFSET %d", p.s.Text, p.size, p.from), Args: p.s.Args}
	answer, err := p.c.single(p.ctx, s)
	if err != nil {
		return err
	}
	all, err := parseRecords(answer)
	p.rows = rows{all: all}
	p.from += p.size
	return err
}

func (p *pages) Next(dest []driver.Value) error {
	if p.next == p.size {
		if err := p.turn(); err != nil {
			return err
		}
	}
	return p.rows.Next(dest)
}
