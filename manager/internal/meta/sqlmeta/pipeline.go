package sqlmeta

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// waitingMost is how many statements wait for company.
	waitingMost = 32
	// waitingLong keeps out those that hand over much, in bytes.
	waitingLong = 64 << 10
)

// commitName is what the server knows COMMIT by on connections that prepare.
const commitName = "COMMIT"

// pipelining connects to PostgreSQL so that each connection is a pipeline.
type pipelining struct{ driver.Connector }

func (p pipelining) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := p.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	own, ok := c.(*stdlib.Conn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqlmeta: a connection of %T", c), c.Close())
	}
	return &pipeline{Conn: own}, nil
}

// pipeline is a connection that saves round trips in transactions. What begins one,
// and statements whose answers nobody waits for, go to the server together with the
// next statement that somebody waits for, or with the COMMIT. It is used by one
// goroutine at a time, as any driver.Conn.
type pipeline struct {
	*stdlib.Conn
	inside  bool // a transaction
	eager   bool // nothing but its beginning waits
	sent    bool // something of it
	ending  bool // the next question is its last
	ended   bool // and was sent
	waiting []*waiter
}

// waiter is a statement that waits to be sent, and then its result.
type waiter struct {
	of      *pipeline
	ctx     context.Context
	text    string
	args    []any
	begins  bool // the transaction
	changed int64
	done    bool
}

var _ driver.Result = (*waiter)(nil)

// errLate is a statement that the server refused when its sender had gone on.
var errLate = errors.New("a statement failed that nobody waited for")

// open begins a transaction. Eagerly, each of its statements is waited for.
func (p *pipeline) open(eager bool, beginning ...*waiter) {
	p.inside, p.eager, p.sent, p.ending, p.ended = true, eager, false, false, false
	for _, w := range beginning {
		w.of, w.begins = p, true
	}
	p.waiting = beginning
}

// waits tells whether a statement may wait for the next one. Those that make tables
// have to be through before others that use them can be prepared.
func (p *pipeline) waits(text string, args []any) bool {
	if p.eager || len(args) > argsCached || strings.Contains(text, ";") {
		return false
	}
	size := len(text)
	for _, arg := range args {
		switch v := arg.(type) {
		case pgx.QueryExecMode:
			return false
		case string:
			size += len(v)
		case []byte:
			size += len(v)
		}
	}
	if size > waitingLong {
		return false
	}
	switch first, _, _ := strings.Cut(text, " "); first {
	case "INSERT", "UPDATE", "DELETE", "SELECT":
		return true
	}
	return false
}

func plainValues(named []driver.NamedValue) []any {
	args := make([]any, len(named))
	for i, n := range named {
		args[i] = n.Value
	}
	return args
}

// ExecContext implements driver.ExecerContext.
func (p *pipeline) ExecContext(ctx context.Context, text string, named []driver.NamedValue) (driver.Result, error) {
	if !p.inside {
		return p.Conn.ExecContext(ctx, text, named)
	}
	if args := plainValues(named); p.waits(text, args) {
		for i, arg := range args {
			if b, ok := arg.([]byte); ok {
				args[i] = bytes.Clone(b) // its owner may go on to use it
			}
		}
		w := &waiter{of: p, ctx: ctx, text: text, args: args}
		if p.waiting = append(p.waiting, w); len(p.waiting) < waitingMost {
			return w, nil
		}
		return w, p.flush(ctx)
	}
	if err := p.flush(ctx); err != nil {
		return nil, err
	}
	p.sent = true
	return p.Conn.ExecContext(ctx, text, named)
}

// lastly is q for the last question of a snapshot: with it goes what ends it.
func lastly(q querier) querier {
	if t, ok := q.(translated); ok {
		if c, ok := t.querier.(*sql.Conn); ok {
			_ = c.Raw(func(is any) error { // where this fails, the question does
				if p, ok := is.(*pipeline); ok {
					p.ending = p.inside
				}
				return nil
			})
		}
	}
	return q
}

var errEnded = errors.New("sqlmeta: a question behind the last one")

// QueryContext implements driver.QueryerContext.
func (p *pipeline) QueryContext(ctx context.Context, text string, named []driver.NamedValue) (driver.Rows, error) {
	args := plainValues(named)
	once := false
	if len(args) > 0 {
		_, once = args[0].(pgx.QueryExecMode)
	}
	if p.inside && p.ended {
		return nil, errEnded
	}
	if !p.inside || len(p.waiting) == 0 && !p.ending || once {
		p.ending = false
		if err := p.flush(ctx); err != nil {
			return nil, err
		}
		p.sent = true
		return p.Conn.QueryContext(ctx, text, named)
	}
	answers, err := p.send(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	rows, err := answers.Query()
	if err == nil {
		r := &pipelineRows{rows: rows, answers: answers, types: p.Conn.Conn().TypeMap()}
		r.more = rows.Next() // or nobody knows yet whether it failed
		if err = rows.Err(); err == nil {
			return r, nil
		}
	}
	rows.Close()
	_ = answers.Close() // says the same
	return nil, err
}

// flush sends what waits.
func (p *pipeline) flush(ctx context.Context) error {
	if len(p.waiting) == 0 {
		return nil
	}
	answers, err := p.send(ctx, "")
	if err != nil {
		return err
	}
	return answers.Close()
}

// send sends what waits, and one more unless that is "", whose answer is the next.
func (p *pipeline) send(ctx context.Context, text string, args ...any) (pgx.BatchResults, error) {
	if p.Conn.Conn().IsClosed() {
		return nil, driver.ErrBadConn
	}
	var b pgx.Batch
	for _, w := range p.waiting {
		b.Queue(w.text, w.args...)
	}
	if text != "" {
		b.Queue(text, args...)
	}
	if p.ending {
		b.Queue(commitName)
		p.ended = true
	}
	waited := p.waiting
	p.waiting, p.sent = nil, true
	answers := p.Conn.Conn().SendBatch(ctx, &b)
	for _, w := range waited {
		tag, err := answers.Exec()
		if err != nil {
			_ = answers.Close() // says the same
			if _, refused := errors.AsType[*pgconn.PgError](err); refused && !w.begins {
				err = fmt.Errorf("%w: %w", errLate, err)
			}
			return nil, err
		}
		w.changed, w.done = tag.RowsAffected(), true
	}
	return answers, nil
}

// commit ends the transaction. Before COMMIT came to its turn, the server may have
// refused a statement that waited: then reached is false, and nothing was done.
func (p *pipeline) commit(ctx context.Context) (tag string, reached bool, err error) {
	if p.ended {
		return "COMMIT", true, nil
	}
	p.ending = false
	answers, err := p.send(ctx, commitName)
	if err != nil {
		_, refused := errors.AsType[*pgconn.PgError](err)
		return "", !refused, err
	}
	t, err := answers.Exec()
	if end := answers.Close(); err == nil {
		err = end
	}
	return t.String(), true, err
}

// rollback undoes the transaction, if the server has heard of it.
func (p *pipeline) rollback(ctx context.Context) error {
	p.waiting = nil
	if !p.sent || p.ended && p.Conn.Conn().PgConn().TxStatus() == 'I' {
		return nil
	}
	_, err := p.Conn.Conn().Exec(ctx, "ROLLBACK")
	return err
}

// close has the connection be as before open.
func (p *pipeline) close() { p.inside, p.ending, p.waiting = false, false, nil }

// RowsAffected implements driver.Result.
func (w *waiter) RowsAffected() (int64, error) {
	if !w.done {
		if err := w.of.flush(w.ctx); err != nil {
			return 0, err
		}
	}
	return w.changed, nil
}

// LastInsertId implements driver.Result: statements here ask for it by RETURNING.
func (w *waiter) LastInsertId() (int64, error) { return 0, errors.ErrUnsupported }

// pipelineRows are those of the last statement of several.
type pipelineRows struct {
	rows    pgx.Rows
	answers pgx.BatchResults
	types   *pgtype.Map
	more    bool // there is a first row
	begun   bool // Next was called
	names   []string
}

var _ typedRows = (*pipelineRows)(nil)

// Columns implements driver.Rows.
func (r *pipelineRows) Columns() []string {
	if r.names == nil {
		for _, f := range r.rows.FieldDescriptions() {
			r.names = append(r.names, f.Name)
		}
	}
	return r.names
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *pipelineRows) ColumnTypeDatabaseTypeName(i int) string {
	if t, ok := r.types.TypeForOID(r.rows.FieldDescriptions()[i].DataTypeOID); ok {
		return strings.ToUpper(t.Name)
	}
	return ""
}

// Close implements driver.Rows.
func (r *pipelineRows) Close() error {
	r.rows.Close()
	return errors.Join(r.rows.Err(), r.answers.Close())
}

// Next implements driver.Rows.
func (r *pipelineRows) Next(into []driver.Value) (err error) {
	more := r.more
	if r.begun {
		more = r.rows.Next()
	}
	r.begun = true
	if !more {
		return cmp.Or(r.rows.Err(), io.EOF)
	}
	raw := r.rows.RawValues()
	for i, f := range r.rows.FieldDescriptions() {
		if into[i], err = r.value(f, raw[i]); err != nil {
			return fmt.Errorf("column %s: %w", f.Name, err)
		}
	}
	return nil
}

// value is one as database/sql knows it. What it gives does not end with the row.
func (r *pipelineRows) value(f pgconn.FieldDescription, raw []byte) (driver.Value, error) {
	if raw == nil {
		return nil, nil
	}
	scan := func(into any) error { return r.types.Scan(f.DataTypeOID, f.Format, raw, into) }
	switch f.DataTypeOID {
	case pgtype.Int8OID:
		if f.Format == pgx.BinaryFormatCode && len(raw) == 8 { // as most are
			return int64(binary.BigEndian.Uint64(raw)), nil
		}
		fallthrough
	case pgtype.Int4OID, pgtype.Int2OID:
		var n int64
		err := scan(&n)
		return n, err
	case pgtype.BoolOID:
		var is bool
		err := scan(&is)
		return is, err
	case pgtype.ByteaOID:
		var b []byte
		err := scan(&b)
		return b, err
	case pgtype.Float8OID, pgtype.Float4OID:
		var x float64
		err := scan(&x)
		return x, err
	case pgtype.TextOID:
		return string(raw), nil
	}
	var text string
	err := scan(&text)
	return text, err
}
