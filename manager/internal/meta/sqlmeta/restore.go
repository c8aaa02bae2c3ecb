package sqlmeta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"discordcloud/pkg/cloud"
)

const (
	// restoring is the row of commits that a database has until all of an archive
	// is in it.
	restoring = "restore"
	// paramsMost is how many arguments a statement may have: SQLite takes 32,766.
	paramsMost = 30_000
	// rowsTogether are made durable at once.
	rowsTogether = 2000
)

// Restore fills an empty database from an archive, compares the two row by row,
// and brings the tables up to date. archive opens the archive anew each time. A
// Restore that was cut short goes on where it was when it is called again with
// the same archive; until then the database does not open. ErrExists if the
// database is not empty.
func Restore(ctx context.Context, o Options, archive func() (io.ReadCloser, error)) (rows int64, err error) {
	s := newStore(&o)
	o.Shared = false
	if _, err := s.connect(o); err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, s.engine.close()) }()
	for _, step := range []func(context.Context, *archiveReader) error{s.load, s.compare} {
		r, err := archive()
		if err != nil {
			return 0, fmt.Errorf("restore: %w", err)
		}
		a, err := newArchiveReader(r)
		if err == nil {
			err = step(ctx, a)
			rows = a.rows
		}
		if err = errors.Join(err, r.Close()); err != nil {
			return 0, fmt.Errorf("restore: %w", s.classify(ctx, err))
		}
	}
	if err := s.restored(ctx); err != nil {
		return 0, fmt.Errorf("restore: %w", s.classify(ctx, err))
	}
	return rows, nil
}

// load makes the tables as they were when the archive was written, and puts the
// rows in that are not there yet.
func (s *Store) load(ctx context.Context, a *archiveReader) error {
	if err := s.prepare(ctx, a.Schema); err != nil {
		return err
	}
	for {
		t, err := a.table()
		if err != nil || t == nil {
			return err
		}
		if err := s.loadTable(ctx, a, t); err != nil {
			err = s.classify(ctx, err)
			if errors.Is(err, cloud.ErrExists) || errors.Is(err, cloud.ErrNotFound) || errors.Is(err, cloud.ErrInvalid) {
				return fmt.Errorf("table %s: %w: its rows contradict each other: %v", t.Table, cloud.ErrCorrupt, err)
			}
			return fmt.Errorf("table %s: %w", t.Table, err)
		}
	}
}

// prepare makes an empty database, or finds one that a Restore has begun with.
func (s *Store) prepare(ctx context.Context, schema int) error {
	all := migrations()
	if err := s.engine.raise(ctx, true, s.busy); err != nil {
		return err
	}
	if schema > len(all) {
		return cloud.UserErrorf(cloud.ErrInvalid, "the backup has tables of version %d, this program knows them up to version %d: use a newer program", schema, len(all))
	}
	if err := s.engine.inspect(ctx); err != nil {
		return s.damaged(s.classify(ctx, err))
	}
	before, err := schemaVersion(ctx, s.engine, s.read)
	if err != nil {
		return s.damaged(s.classify(ctx, err))
	}
	if before > schema {
		return cloud.UserErrorf(cloud.ErrExists, "%s has newer tables than the backup: choose another, which is empty", s.engine.name())
	}
	if _, _, err := migrate(ctx, s.engine, all[:schema], s.now()); err != nil {
		return s.damaged(s.classify(ctx, err))
	}
	return s.update(ctx, func(tx querier) error {
		begun, err := unfinished(ctx, tx)
		if err != nil || begun {
			return err
		}
		var rows int64
		if err := tx.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM users) + (SELECT COUNT(*) FROM objects) + (SELECT COUNT(*) FROM entries WHERE id > 0)`).Scan(&rows); err != nil {
			return err
		}
		if rows > 0 {
			return cloud.UserErrorf(cloud.ErrExists, "%s is not empty", s.engine.name())
		}
		names, err := s.archived(ctx, tx)
		if err != nil {
			return err
		}
		for i := range names { // what refers to others first
			if err := exec(ctx, tx, `DELETE FROM `+names[len(names)-1-i]); err != nil {
				return err
			}
		}
		return exec(ctx, tx, `INSERT INTO commits (writer, number, at) VALUES (?, 0, ?)`, restoring, s.stamp())
	})
}

// unfinished tells whether a Restore has begun and not ended.
func unfinished(ctx context.Context, q querier) (is bool, err error) {
	err = q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM commits WHERE writer = ?)`, restoring).Scan(&is)
	return is, err
}

// loadTable passes over as many rows as the table has: they were put in by this
// order, some together or not at all.
func (s *Store) loadTable(ctx context.Context, a *archiveReader, t *tableHead) error {
	var there int64
	err := s.query(ctx, func(q querier) error {
		known, _, err := s.engine.columns(ctx, q, t.Table)
		if err != nil {
			return err
		}
		if !sameColumns(namesOfColumns(known), t.Columns) {
			return damagedArchive(fmt.Errorf("table %q has other columns", t.Table))
		}
		return q.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+t.Table).Scan(&there)
	})
	if err != nil {
		return err
	}
	var batch [][]any
	most := min(rowsTogether, paramsMost/len(t.Columns))
	for {
		row, err := a.row()
		if err != nil {
			return err
		}
		if len(batch) == most || row == nil && len(batch) > 0 {
			err := s.update(ctx, func(tx querier) error { return s.engine.insert(ctx, tx, t, batch) })
			if kind := cloud.KindOf(err); kind == cloud.ErrExists || kind == cloud.ErrInvalid {
				return damagedArchive(err) // no database holds such rows; the sum at the end would have told, too
			}
			if err != nil {
				return err
			}
			batch = batch[:0]
		}
		if row == nil {
			break
		}
		if there > 0 {
			there--
			continue
		}
		values, err := t.values(row)
		if err != nil {
			return err
		}
		batch = append(batch, values)
	}
	if t.Last == 0 {
		return nil
	}
	return s.update(ctx, func(tx querier) error { return s.engine.setLastID(ctx, tx, t.Table, t.Last) })
}

// compare is ErrCorrupt unless the database has just what the archive has.
func (s *Store) compare(ctx context.Context, a *archiveReader) error {
	differs := func(table string) error {
		return cloud.UserErrorf(cloud.ErrCorrupt, "table %s differs from the backup: empty %s, and begin anew", table, s.engine.name())
	}
	var now *tableHead
	end := func() error { // of the table in the archive
		if now == nil {
			return nil
		}
		row, err := a.row()
		if err == nil && row != nil {
			err = differs(now.Table)
		}
		return err
	}
	return s.engine.walk(ctx, func(q querier) error {
		err := s.dumpTables(ctx, q, func(t *tableHead) error {
			if err := end(); err != nil {
				return err
			}
			want, err := a.table()
			if err != nil {
				return err
			}
			if now = t; want == nil || want.Table != t.Table || want.Kinds != t.Kinds || want.Last != t.Last || !sameColumns(want.Columns, t.Columns) {
				return differs(t.Table)
			}
			return nil
		}, func(got []byte) error {
			want, err := a.row()
			if err == nil && !bytes.Equal(got, want) {
				err = differs(now.Table)
			}
			return err
		})
		if err == nil {
			err = end()
		}
		if err != nil {
			return err
		}
		if more, err := a.table(); err != nil || more != nil {
			return errors.Join(err, errors.New("the backup has more tables"))
		}
		return nil
	})
}

// restored makes the database one that opens.
func (s *Store) restored(ctx context.Context) error {
	if err := s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM commits WHERE writer = ?`, restoring)
	}); err != nil {
		return err
	}
	if _, _, err := migrate(ctx, s.engine, migrations(), s.now()); err != nil {
		return err
	}
	return s.engine.ready(ctx)
}

// Move copies everything from one database to another, as Restore does it. From is
// held so that no manager changes it meanwhile, where it is SQLite's.
func Move(ctx context.Context, from, to Options) (rows int64, err error) {
	source, err := Open(ctx, from)
	if err != nil {
		return 0, fmt.Errorf("move from: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	return Restore(ctx, to, func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		reading, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.CloseWithError(source.Dump(reading, w))
		}()
		return &pipe{r, func() { stop(); _ = r.Close(); <-done }}, nil
	})
}

// pipe waits for its other end when it is closed.
type pipe struct {
	io.Reader
	end func()
}

func (p *pipe) Close() error {
	p.end()
	return nil
}

func sameColumns(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
