//go:build unix

package sqlmeta

import (
	"bytes"
	"database/sql"
	"errors"
	"reflect"
	"strings"
	"testing"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/pgtest"
)

// TestPipeline talks to a server, and to pgbouncer, where nothing is prepared.
func TestPipeline(t *testing.T) {
	p := pgtest.Start(t)
	for name, url := range map[string]string{"direct": p.Database("direct"), "pooled": ""} {
		t.Run(name, func(t *testing.T) {
			if url == "" {
				p.Database("pooled")
				url = p.Bouncer("pooled")
			}
			s, err := Open(t.Context(), Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			testTogether(t, s)
			testLate(t, s)
			testValues(t, s)
			testLastly(t, s)
		})
	}
}

const makeObject = `INSERT INTO objects (id, state, size, created_at, state_at) VALUES (?, 'uploading', 1, 2, 3)`

func objectNamed(c byte) []byte { return bytes.Repeat([]byte{c}, len(cloud.ObjectID{})) }

// What nobody waits for goes with the next question, which sees what it did.
func testTogether(t *testing.T, s *Store) {
	ctx := t.Context()
	err := s.update(ctx, func(tx querier) error {
		wait := func(want int) {
			t.Helper()
			n := 0
			if err := onPipeline(tx.(translated).querier.(*sql.Conn), func(p *pipeline) error { n = len(p.waiting); return nil }); err != nil || n != want {
				t.Errorf("%d statements wait, %v; want %d", n, err, want)
			}
		}
		wait(4) // the beginning
		id := objectNamed('a')
		if err := exec(ctx, tx, makeObject, id); err != nil {
			return err
		}
		id[0] = 'b' // which is not what was said
		wait(5)
		var size int64
		if err := tx.QueryRowContext(ctx, `SELECT size FROM objects WHERE id = ?`, objectNamed('a')).Scan(&size); err != nil || size != 1 {
			t.Errorf("size %d, %v", size, err)
		}
		wait(0)
		n, err := changed(ctx, tx, `UPDATE objects SET size = ? WHERE id = ?`, 5, objectNamed('a'))
		if err != nil || n != 1 {
			t.Errorf("%d rows, %v", n, err)
		}
		wait(0)
		if err := exec(ctx, tx, `UPDATE objects SET type = ? WHERE id = ?`, strings.Repeat("x", waitingLong), objectNamed('a')); err != nil {
			return err
		}
		wait(0) // it is long
		err = exec(ctx, tx, `UPDATE objects SET size = size + ? WHERE id = ?`, 1, objectNamed('a'))
		wait(1) // for the COMMIT
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	if err := s.query(ctx, func(q querier) error {
		return q.QueryRowContext(ctx, `SELECT size FROM objects WHERE id = ?`, objectNamed('a')).Scan(&size)
	}); err != nil || size != 6 {
		t.Errorf("size %d, %v; want 6", size, err)
	}
}

// A statement that the server refuses when its sender has gone on is refused at its
// place in a second attempt.
func testLate(t *testing.T, s *Store) {
	ctx := t.Context()
	mine := errors.New("what its sender says of it")
	calls := 0
	if err := s.update(ctx, func(tx querier) error {
		calls++
		if err := exec(ctx, tx, makeObject, objectNamed('c')); err != nil {
			return err
		}
		if err := exec(ctx, tx, makeObject, objectNamed('a')); err != nil { // it is there
			return errors.Join(mine, err)
		}
		return nil
	}); !errors.Is(err, mine) || !errors.Is(err, cloud.ErrExists) || calls != 2 {
		t.Errorf("update = %v after %d calls, want %v after 2", err, calls, mine)
	}
	var there bool
	if err := s.query(ctx, func(q querier) error {
		return q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM objects WHERE id = ?)`, objectNamed('c')).Scan(&there)
	}); err != nil || there {
		t.Errorf("it is there: %v, %v", there, err)
	}
}

// Values are the same whichever way they come.
func testValues(t *testing.T, s *Store) {
	ctx := t.Context()
	var first, second []any
	if err := s.snapshot(ctx, func(q querier) error {
		for _, into := range []*[]any{&first, &second} {
			values := make([]any, 9)
			at := make([]any, len(values))
			for i := range values {
				at[i] = &values[i]
			}
			*into = values
			if err := q.QueryRowContext(ctx, `SELECT ?1, 7, CAST(8 AS SMALLINT), ?2, CAST(?3 AS BYTEA), 'text', NULL, CAST(2.5 AS DOUBLE PRECISION), SUM(CAST(9 AS BIGINT))`,
				1<<40, true, []byte{0, 1, 255}).Scan(at...); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []any{int64(1 << 40), int64(7), int64(8), true, []byte{0, 1, 255}, "text", nil, 2.5, "9"}
	if !reflect.DeepEqual(first, want) || !reflect.DeepEqual(second, want) {
		t.Errorf("together %#v,\n alone %#v,\n want %#v", first, second, want)
	}
}

// The last question ends its snapshot.
func testLastly(t *testing.T, s *Store) {
	ctx := t.Context()
	for _, before := range []int{0, 1} {
		if err := s.snapshot(ctx, func(q querier) error {
			var n int
			for range before {
				if err := q.QueryRowContext(ctx, `SELECT 1`).Scan(&n); err != nil {
					return err
				}
			}
			if err := lastly(q).QueryRowContext(ctx, `SELECT 2`).Scan(&n); err != nil || n != 2 {
				t.Errorf("the last question: %d, %v", n, err)
			}
			var in byte
			if err := onPipeline(q.(translated).querier.(*sql.Conn), func(p *pipeline) error { in = p.Conn.Conn().PgConn().TxStatus(); return nil }); err != nil || in != 'I' {
				t.Errorf("the transaction is %c, %v", in, err)
			}
			if err := q.QueryRowContext(ctx, `SELECT 3`).Scan(&n); !errors.Is(err, errEnded) {
				t.Errorf("a question behind it: %v", err)
			}
			return nil
		}); err != nil {
			t.Errorf("snapshot: %v", err)
		}
		// One that fails leaves nothing behind either.
		if err := s.snapshot(ctx, func(q querier) error {
			var n int
			return lastly(q).QueryRowContext(ctx, `SELECT 1 / (SELECT 0)`).Scan(&n)
		}); err == nil {
			t.Error("a question that fails is answered")
		}
	}
}
