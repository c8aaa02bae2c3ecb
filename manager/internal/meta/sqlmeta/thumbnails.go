package sqlmeta

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var _ meta.Thumbnails = (*Store)(nil)

const thumbnailColumns = `object_id, state, attempts, decoder, reason, facts, images, pack_id,
	size, sealed_size, salt, header, channel_id, message_id, attachment_id, path`

func scanThumbnail(row scanner) (t meta.Thumbnail, err error) {
	var object, pack, salt, header []byte
	var images string
	err = row.Scan(&object, &t.State, &t.Attempts, &t.Decoder, &t.Reason, &t.Facts, &images, &pack,
		&t.Chunk.Size, &t.Chunk.SealedSize, &salt, &header,
		&t.Chunk.Ref.Channel, &t.Chunk.Ref.Message, &t.Chunk.Ref.Attachment, &t.Chunk.Ref.Path)
	if err != nil {
		return meta.Thumbnail{}, err
	}
	copy(t.Object[:], object)
	copy(t.Pack[:], pack)
	copy(t.Chunk.Salt[:], salt)
	copy(t.Chunk.Header[:], header)
	if images != "" {
		if err := json.Unmarshal([]byte(images), &t.Images); err != nil {
			return meta.Thumbnail{}, fmt.Errorf("%w: images of a thumbnail: %w", cloud.ErrCorrupt, err)
		}
	}
	return t, nil
}

func thumbnail(ctx context.Context, q querier, object cloud.ObjectID) (meta.Thumbnail, error) {
	t, err := scanThumbnail(q.QueryRowContext(ctx, `SELECT `+thumbnailColumns+` FROM thumbnails WHERE object_id = ?`, object[:]))
	return t, notFound(err, "thumbnail of object %s", object)
}

// Thumbnail implements meta.Thumbnails.
func (s *Store) Thumbnail(ctx context.Context, object cloud.ObjectID) (t meta.Thumbnail, err error) {
	err = s.query(ctx, func(q querier) error {
		t, err = thumbnail(ctx, q, object)
		return err
	})
	return t, err
}

// Facts implements meta.Thumbnails. It asks by the entry, so that it may be asked
// together with the entry itself.
func (s *Store) Facts(ctx context.Context, entry cloud.EntryID) (facts string, err error) {
	err = s.query(ctx, func(q querier) error {
		err := q.QueryRowContext(ctx, `SELECT t.facts FROM entries e JOIN thumbnails t ON t.object_id = e.object_id WHERE e.id = ?1`, entry).Scan(&facts)
		if errors.Is(err, sql.ErrNoRows) {
			facts = ""
			return nil
		}
		return err
	})
	return facts, err
}

// QueueThumbnails implements meta.Thumbnails.
func (s *Store) QueueThumbnails(ctx context.Context, objects []cloud.ObjectID, priority, decoder int) error {
	for some := range slices.Chunk(objects, askedTogether) {
		ids := make([][]byte, 0, len(some))
		for _, id := range some {
			ids = append(ids, id[:])
		}
		err := s.update(ctx, func(tx querier) error {
			places, args := idPlaces(4, ids)
			// IS TRUE keeps SQLite from reading all that is stored, off the index of states.
			if err := exec(ctx, tx, `INSERT INTO thumbnails (object_id, state, priority, due_at)
				SELECT o.id, 'queued', ?1, ?2 FROM objects o WHERE o.id IN (`+places+`) AND (o.state = 'stored') IS TRUE
				ON CONFLICT (object_id) DO UPDATE SET state = 'queued', priority = excluded.priority,
					attempts = CASE thumbnails.state WHEN 'queued' THEN thumbnails.attempts ELSE 0 END,
					due_at = CASE thumbnails.state WHEN 'queued' THEN thumbnails.due_at ELSE excluded.due_at END
				WHERE thumbnails.state = 'queued' AND thumbnails.priority < excluded.priority
					OR thumbnails.state = 'failed' AND thumbnails.decoder < ?3`, append([]any{priority, s.stamp(), decoder}, args...)...); err != nil {
				return err
			}
			places, args = idPlaces(1, ids)
			return exec(ctx, tx, `UPDATE entries SET has_thumbnail = TRUE WHERE object_id IN (`+places+`) AND NOT has_thumbnail
				AND EXISTS (SELECT 1 FROM thumbnails t WHERE t.object_id = entries.object_id AND t.state = 'ready')`, args...)
		})
		if err != nil {
			return fmt.Errorf("queue thumbnails: %w", err)
		}
	}
	return nil
}

// LeaseThumbnail implements meta.Thumbnails. Of those of one priority the last comes
// first: somebody looks at it now, and it is the end of an index.
func (s *Store) LeaseThumbnail(ctx context.Context, now, until time.Time, attempts int) (job meta.ThumbnailJob, err error) {
	const due = `state = 'queued' AND due_at <= ?`
	// Most looks find nothing: they need not wait for the writer.
	err = s.query(ctx, func(q querier) error {
		var one int
		err := q.QueryRowContext(ctx, `SELECT 1 FROM thumbnails WHERE `+due+` LIMIT 1`, now.UnixMicro()).Scan(&one)
		return notFound(err, "thumbnail to make")
	})
	if err != nil {
		return meta.ThumbnailJob{}, err
	}
	found := false
	err = s.update(ctx, func(tx querier) error {
		for found = false; ; {
			var object []byte
			var id cloud.EntryID
			err := tx.QueryRowContext(ctx, `SELECT t.object_id, t.attempts + 1, (SELECT MIN(e.id) FROM entries e WHERE e.object_id = t.object_id AND e.trash_id IS NULL)
				FROM thumbnails t WHERE `+due+` AND EXISTS (SELECT 1 FROM entries e WHERE e.object_id = t.object_id AND e.trash_id IS NULL)
				ORDER BY t.priority DESC, t.due_at DESC LIMIT 1`, now.UnixMicro()).Scan(&object, &job.Attempt, &id)
			if errors.Is(err, sql.ErrNoRows) {
				return nil // what was given up stays so
			}
			if err != nil {
				return err
			}
			if job.Attempt > attempts {
				if err := exec(ctx, tx, `UPDATE thumbnails SET state = 'failed', reason = 'no service could make it' WHERE object_id = ?`, object); err != nil {
					return err
				}
				continue
			}
			found = true
			if job.Entry, err = entry(ctx, tx, id, meta.AnyViewer); err != nil {
				return err
			}
			return exec(ctx, tx, `UPDATE thumbnails SET attempts = attempts + 1, due_at = ? WHERE object_id = ?`, until.UnixMicro(), object)
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("thumbnail to make: %w", cloud.ErrNotFound)
	}
	if err != nil {
		return meta.ThumbnailJob{}, fmt.Errorf("lease thumbnail: %w", err)
	}
	return job, nil
}

// ReturnThumbnail implements meta.Thumbnails.
func (s *Store) ReturnThumbnail(ctx context.Context, object cloud.ObjectID, after time.Time, uncounted bool) error {
	return s.update(ctx, func(tx querier) error {
		back := 0
		if uncounted {
			back = 1
		}
		return exec(ctx, tx, `UPDATE thumbnails SET due_at = ?1, attempts = CASE WHEN attempts > ?2 THEN attempts - ?2 ELSE 0 END WHERE object_id = ?3 AND state = 'queued'`,
			after.UnixMicro(), back, object[:])
	})
}

// FinishThumbnail implements meta.Thumbnails.
func (s *Store) FinishThumbnail(ctx context.Context, t meta.Thumbnail) (entries []cloud.Entry, old *meta.Thumbnail, err error) {
	err = s.update(ctx, func(tx querier) error {
		entries, old = nil, nil
		before, err := thumbnail(ctx, tx, t.Object)
		if err != nil {
			return err
		}
		if t.State == meta.ThumbnailFailed {
			// Images of an older decoder are better than none.
			return exec(ctx, tx, `UPDATE thumbnails SET state = CASE WHEN pack_id IS NULL THEN 'failed' ELSE 'ready' END,
				decoder = ?, reason = ?, priority = 0 WHERE object_id = ?`, t.Decoder, t.Reason, t.Object[:])
		}
		images, err := json.Marshal(t.Images)
		if err != nil {
			return err
		}
		c := t.Chunk
		if err := checkLying(ctx, tx, c.Ref.Message); err != nil {
			return err
		}
		n, err := changed(ctx, tx, `UPDATE thumbnails SET state = 'ready', decoder = ?, reason = '', priority = 0, facts = ?, images = ?,
				pack_id = ?, size = ?, sealed_size = ?, salt = ?, header = ?, channel_id = ?, message_id = ?, attachment_id = ?, path = ?
			WHERE object_id = ?13 AND EXISTS (SELECT 1 FROM objects WHERE id = ?13 AND state = 'stored')`,
			t.Decoder, t.Facts, string(images), t.Pack[:], c.Size, c.SealedSize, c.Salt[:], c.Header[:],
			c.Ref.Channel, c.Ref.Message, c.Ref.Attachment, c.Ref.Path, t.Object[:])
		if err == nil && n == 0 {
			err = fmt.Errorf("object %s: %w", t.Object, cloud.ErrNotFound)
		}
		if err != nil {
			return err
		}
		if !before.Pack.IsZero() {
			old = &before
		}
		if err := exec(ctx, tx, `UPDATE objects SET preview = ?1 WHERE id = ?2`, t.Preview, t.Object[:]); err != nil {
			return err
		}
		if err := exec(ctx, tx, `UPDATE entries SET has_thumbnail = TRUE WHERE object_id = ?`, t.Object[:]); err != nil {
			return err
		}
		entries, err = rows(ctx, tx, entryInto().scan,
			selectEntry+`e.object_id = ?1 ORDER BY e.id`, t.Object[:])
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("finish thumbnail: %w", err)
	}
	return entries, old, nil
}

// RequeueThumbnails implements meta.Thumbnails.
func (s *Store) RequeueThumbnails(ctx context.Context) (n int64, err error) {
	err = s.update(ctx, func(tx querier) error {
		n, err = changed(ctx, tx, `UPDATE thumbnails SET state = 'queued', attempts = 0, due_at = ?`, s.stamp())
		return err
	})
	return n, err
}

// RequeueFailedThumbnails implements meta.Thumbnails.
func (s *Store) RequeueFailedThumbnails(ctx context.Context) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `UPDATE thumbnails SET state = 'queued', attempts = 0, due_at = ?1 WHERE state = 'failed'`, s.stamp())
	})
}

// StaleThumbnails implements meta.Thumbnails.
func (s *Store) StaleThumbnails(ctx context.Context, all bool, most int) (stale []meta.Thumbnail, err error) {
	where := `object_id IN (SELECT o.id FROM objects o WHERE o.state = 'garbage')`
	if all {
		where = `NOT EXISTS (SELECT 1 FROM objects o WHERE o.id = object_id AND o.state = 'stored')`
	}
	err = s.query(ctx, func(q querier) error {
		stale, err = rows(ctx, q, scanThumbnail, `SELECT `+thumbnailColumns+` FROM thumbnails WHERE `+where+` LIMIT ?`, most)
		return err
	})
	return stale, err
}

// ForgetThumbnail implements meta.Thumbnails.
func (s *Store) ForgetThumbnail(ctx context.Context, object cloud.ObjectID) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM thumbnails WHERE object_id = ?`, object[:])
	})
}

// CountThumbnails implements meta.Thumbnails.
func (s *Store) CountThumbnails(ctx context.Context) (counts map[meta.ThumbnailState]int64, err error) {
	err = s.query(ctx, func(q querier) error {
		counts = map[meta.ThumbnailState]int64{}
		return each(ctx, q, func(row scanner) error {
			var state meta.ThumbnailState
			var n int64
			if err := row.Scan(&state, &n); err != nil {
				return err
			}
			counts[state] = n
			return nil
		}, `SELECT state, COUNT(*) FROM thumbnails GROUP BY state`)
	})
	return counts, err
}
