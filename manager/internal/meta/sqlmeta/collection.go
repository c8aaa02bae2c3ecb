package sqlmeta

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// sweep is how far Condemn has come: objects in order of when they became
// garbage, the messages of one in order of their ids.
type sweep struct {
	at      int64
	object  []byte
	message string // the last one that was looked at, "" before the first
}

func parseSweep(text string) (p sweep, err error) {
	if text == "" {
		return sweep{at: -1}, nil
	}
	parts := strings.SplitN(text, ".", 3)
	if len(parts) != 3 {
		return p, fmt.Errorf("%w: no place in a sweep: %q", cloud.ErrInvalid, text)
	}
	var errs [2]error
	p.at, errs[0] = strconv.ParseInt(parts[0], 10, 64)
	p.object, errs[1] = hex.DecodeString(parts[1])
	p.message = parts[2]
	if errors.Join(errs[:]...) != nil {
		return p, fmt.Errorf("%w: no place in a sweep: %q", cloud.ErrInvalid, text)
	}
	return p, nil
}

func (p sweep) String() string { return fmt.Sprintf("%d.%x.%s", p.at, p.object, p.message) }

// Condemn implements meta.Collection. That an object is garbage was found when
// its last reference went; here it is checked a second time.
func (s *Store) Condemn(ctx context.Context, before time.Time, after string, most int, dry bool) (r meta.Condemned, err error) {
	at, err := parseSweep(after)
	if err != nil || most < 1 {
		return r, fmt.Errorf("condemn: %w", errors.Join(err, cloud.ErrInvalid))
	}
	run := s.update
	if dry {
		run = s.snapshot
	}
	err = run(ctx, func(tx querier) error {
		c := condemner{tx: tx, before: before, now: s.stamp(), dry: dry}
		err := c.run(ctx, at, most)
		r = c.found
		return err
	})
	if err != nil {
		return meta.Condemned{}, fmt.Errorf("condemn: %w", err)
	}
	return r, nil
}

// condemner is one Condemn.
type condemner struct {
	tx     querier
	before time.Time
	now    int64
	dry    bool
	found  meta.Condemned
}

func (c *condemner) run(ctx context.Context, at sweep, most int) error {
	for budget := most; ; {
		if budget <= 0 {
			c.found.Next = at.String()
			return nil
		}
		if at.message == "" { // the object is done
			err := c.tx.QueryRowContext(ctx, `SELECT o.state_at, o.id FROM objects o
				WHERE o.state = 'garbage' AND o.state_at < ?1 AND (o.state_at > ?2 OR o.state_at = ?2 AND o.id > ?3)
				AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.object_id = o.id)
				AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.object_id = o.id)
				AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.object_id = o.id AND u.state IN ('running', 'waiting'))
				ORDER BY o.state_at, o.id LIMIT 1`, c.before.UnixMicro(), at.at, append([]byte{}, at.object...)).Scan(&at.at, &at.object)
			if errors.Is(err, sql.ErrNoRows) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		messages, err := rows(ctx, c.tx, func(row scanner) (m [2]string, err error) {
			err = row.Scan(&m[0], &m[1])
			return m, err
		}, `SELECT DISTINCT message_id, channel_id FROM chunks WHERE object_id = ?1 AND message_id > ?2 ORDER BY message_id LIMIT ?3`,
			at.object, at.message, budget)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if err := c.judge(ctx, m[1], m[0]); err != nil {
				return err
			}
			at.message = m[0]
		}
		if len(messages) < budget {
			if err := c.forget(ctx, at.object); err != nil {
				return err
			}
			at.message = ""
		}
		budget -= 1 + len(messages)
	}
}

// judge makes a deletion of a message, unless it holds something of use.
func (c *condemner) judge(ctx context.Context, channel, message string) error {
	d := meta.Deletion{Channel: channel, Message: message, State: meta.DeletionDue, DueAt: fromStamp(c.now)}
	var used bool
	err := c.tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(c.sealed_size), 0),
			COALESCE(MAX(CASE WHEN o.state = 'garbage' AND o.state_at < ?2
				AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.object_id = o.id)
				AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.object_id = o.id) THEN 0 ELSE 1 END), 0) = 1
			OR EXISTS (SELECT 1 FROM thumbnails t WHERE t.message_id = ?1)
		FROM chunks c JOIN objects o ON o.id = c.object_id WHERE c.message_id = ?1`, message, c.before.UnixMicro()).
		Scan(&d.Attachments, &d.Bytes, &used)
	if err != nil {
		return err
	}
	if used {
		c.found.Kept++
		var dead int64
		err := c.tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(c.sealed_size), 0) FROM chunks c JOIN objects o ON o.id = c.object_id
			WHERE c.message_id = ?1 AND o.state = 'garbage' AND o.state_at < ?2`, message, c.before.UnixMicro()).Scan(&dead)
		c.found.KeptBytes += dead
		return err
	}
	if d.Attachments == 0 || !postedBefore(message, c.before) {
		return nil // gone with an object before, or a row may still be on its way
	}
	c.found.Messages = append(c.found.Messages, d)
	if c.dry {
		return nil
	}
	if err := exec(ctx, c.tx, `INSERT INTO deletions (message_id, channel_id, state, attachments, size, due_at)
		VALUES (?1, ?2, 'due', ?3, ?4, ?5)`, message, channel, d.Attachments, d.Bytes, c.now); err != nil {
		return err
	}
	return exec(ctx, c.tx, `DELETE FROM chunks WHERE message_id = ?1`, message)
}

// forget removes an object without chunks.
func (c *condemner) forget(ctx context.Context, object []byte) error {
	if c.dry {
		return nil
	}
	n, err := changed(ctx, c.tx, `DELETE FROM objects WHERE id = ?1 AND state = 'garbage'
		AND NOT EXISTS (SELECT 1 FROM chunks c WHERE c.object_id = ?1)
		AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.object_id = ?1)
		AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.object_id = ?1)`, object)
	c.found.Objects += n
	return err
}

// postedBefore tells by a message's id when it was posted (Discord's reference,
// "Snowflakes": milliseconds since 2015 above 22 bits). Discord has no ids that
// are no numbers.
func postedBefore(message string, t time.Time) bool {
	id, err := strconv.ParseUint(message, 10, 64)
	return err != nil || time.UnixMilli(int64(id>>22)+1420070400000).Before(t)
}

const selectDeletion = `SELECT message_id, channel_id, state, reason, orphan, attachments, size, tries, due_at, COALESCE(ended_at, 0) FROM deletions `

func scanDeletion(row scanner) (d meta.Deletion, err error) {
	var due, ended int64
	err = row.Scan(&d.Message, &d.Channel, &d.State, &d.Reason, &d.Orphan, &d.Attachments, &d.Bytes, &d.Tries, &due, &ended)
	if d.DueAt = fromStamp(due); ended != 0 {
		d.EndedAt = fromStamp(ended)
	}
	return d, err
}

// DueDeletions implements meta.Collection.
func (s *Store) DueDeletions(ctx context.Context, now time.Time, most int) (all []meta.Deletion, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanDeletion, selectDeletion+`WHERE state = 'due' AND due_at <= ?1
			ORDER BY channel_id, message_id LIMIT ?2`, now.UnixMicro(), most)
		return err
	})
	return all, err
}

// Deletions implements meta.Collection.
func (s *Store) Deletions(ctx context.Context, state meta.DeletionState, most int) (all []meta.Deletion, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanDeletion, selectDeletion+`WHERE state = ?1 ORDER BY COALESCE(ended_at, due_at) DESC, message_id LIMIT ?2`, state, most)
		return err
	})
	return all, err
}

// EndDeletions implements meta.Collection.
func (s *Store) EndDeletions(ctx context.Context, all []meta.Deletion) error {
	err := s.update(ctx, func(tx querier) error {
		now := s.stamp()
		for _, d := range all {
			ended := sql.NullInt64{Int64: now, Valid: d.State != meta.DeletionDue}
			if err := exec(ctx, tx, `UPDATE deletions SET state = ?2, reason = ?3, due_at = ?4, ended_at = ?5, tries = tries + 1
				WHERE message_id = ?1 AND state = 'due'`, d.Message, d.State, d.Reason, orStamp(d.DueAt, now), ended); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end %d deletions: %w", len(all), err)
	}
	return nil
}

// RetryDeletions implements meta.Collection.
func (s *Store) RetryDeletions(ctx context.Context) (n int64, err error) {
	err = s.update(ctx, func(tx querier) error {
		n, err = changed(ctx, tx, `UPDATE deletions SET state = 'due', due_at = ?1, ended_at = NULL WHERE state = 'skipped'`, s.stamp())
		return err
	})
	return n, err
}

// DeletedSince implements meta.Collection.
func (s *Store) DeletedSince(ctx context.Context, since time.Time) (n int64, err error) {
	err = s.query(ctx, func(q querier) error {
		return q.QueryRowContext(ctx, `SELECT COUNT(*) FROM deletions WHERE state = 'deleted' AND ended_at >= ?1`, since.UnixMicro()).Scan(&n)
	})
	return n, err
}

// ForgetDeletions implements meta.Collection.
func (s *Store) ForgetDeletions(ctx context.Context, before time.Time) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `DELETE FROM deletions WHERE state IN ('deleted', 'missing') AND ended_at < ?1`, before.UnixMicro())
	})
}

// named tells whether anything names message ?1, be it to delete it.
const named = `(EXISTS (SELECT 1 FROM chunks c WHERE c.message_id = ?1)
	OR EXISTS (SELECT 1 FROM thumbnails t WHERE t.message_id = ?1)
	OR EXISTS (SELECT 1 FROM deletions d WHERE d.message_id = ?1))`

// NoteOrphans implements meta.Collection.
func (s *Store) NoteOrphans(ctx context.Context, all []meta.Posted) (n int64, err error) {
	err = s.update(ctx, func(tx querier) error {
		n = 0
		for _, p := range all {
			if err := exec(ctx, tx, `DELETE FROM orphans WHERE message_id = ?1 AND `+named, p.Message); err != nil {
				return err
			}
			var known bool
			if err := tx.QueryRowContext(ctx, `SELECT `+named, p.Message).Scan(&known); err != nil {
				return err
			}
			if known {
				continue
			}
			n++
			if err := exec(ctx, tx, `INSERT INTO orphans (message_id, channel_id, attachments, size, found_at) VALUES (?1, ?2, ?3, ?4, ?5)
				ON CONFLICT DO NOTHING`, p.Message, p.Channel, p.Attachments, p.Bytes, s.stamp()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("note orphans: %w", err)
	}
	return n, nil
}

// CondemnOrphans implements meta.Collection.
func (s *Store) CondemnOrphans(ctx context.Context, before time.Time, most int) (n int64, err error) {
	err = s.update(ctx, func(tx querier) error {
		n = 0
		ids, err := rows(ctx, tx, scanID[string], `SELECT message_id FROM orphans WHERE found_at < ?1 ORDER BY found_at LIMIT ?2`,
			before.UnixMicro(), most)
		if err != nil {
			return err
		}
		for _, id := range ids {
			more, err := changed(ctx, tx, `INSERT INTO deletions (message_id, channel_id, state, orphan, attachments, size, due_at)
				SELECT message_id, channel_id, 'due', TRUE, attachments, size, ?2 FROM orphans WHERE message_id = ?1 AND NOT `+named, id, s.stamp())
			if err == nil {
				err = exec(ctx, tx, `DELETE FROM orphans WHERE message_id = ?1`, id)
			}
			if err != nil {
				return err
			}
			n += more
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("condemn orphans: %w", err)
	}
	return n, nil
}

// CountDeletions implements meta.Collection.
func (s *Store) CountDeletions(ctx context.Context) (t meta.Tally, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		t = meta.Tally{}
		if err := each(ctx, q, func(row scanner) error {
			var state meta.DeletionState
			var n, bytes int64
			if err := row.Scan(&state, &n, &bytes); err != nil {
				return err
			}
			switch state {
			case meta.DeletionDue:
				t.Due, t.DueBytes = n, bytes
			case meta.DeletionDone:
				t.Deleted, t.DeletedBytes = n, bytes
			case meta.DeletionMissing:
				t.Missing = n
			case meta.DeletionSkipped:
				t.Skipped = n
			}
			return nil
		}, `SELECT state, COUNT(*), COALESCE(SUM(size), 0) FROM deletions GROUP BY state`); err != nil {
			return err
		}
		if err := q.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(size), 0) FROM orphans`).Scan(&t.Orphans, &t.OrphanBytes); err != nil {
			return err
		}
		if err := q.QueryRowContext(ctx, `SELECT COUNT(*) FROM objects WHERE state = 'garbage'`).Scan(&t.Garbage); err != nil {
			return err
		}
		return each(ctx, q, func(row scanner) error {
			var c meta.ChannelTally
			if err := row.Scan(&c.Channel, &c.Messages, &c.Attachments, &c.Bytes, &c.GarbageBytes); err != nil {
				return err
			}
			t.Channels = append(t.Channels, c)
			t.Messages, t.MessagesBytes, t.GarbageBytes = t.Messages+c.Messages, t.MessagesBytes+c.Bytes, t.GarbageBytes+c.GarbageBytes
			return nil
		}, `SELECT channel_id, COUNT(DISTINCT message_id), COUNT(*), SUM(size), SUM(dead) FROM (
				SELECT c.channel_id, c.message_id, c.sealed_size AS size, CASE o.state WHEN 'garbage' THEN c.sealed_size ELSE 0 END AS dead
				FROM chunks c JOIN objects o ON o.id = c.object_id
				UNION ALL
				SELECT t.channel_id, t.message_id, t.sealed_size, 0 FROM thumbnails t WHERE t.message_id <> '') AS lying
			GROUP BY channel_id ORDER BY channel_id`)
	})
	if err != nil {
		return meta.Tally{}, fmt.Errorf("count deletions: %w", err)
	}
	return t, nil
}

// Job implements meta.Collection.
func (s *Store) Job(ctx context.Context, name string) (j meta.Job, err error) {
	err = s.query(ctx, func(q querier) error {
		j = meta.Job{Name: name}
		var at int64
		err := q.QueryRowContext(ctx, `SELECT paused, state, updated_at FROM jobs WHERE name = ?1`, name).Scan(&j.Paused, &j.State, &at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		j.UpdatedAt = fromStamp(at)
		return err
	})
	return j, err
}

// SetJobState implements meta.Collection.
func (s *Store) SetJobState(ctx context.Context, name, state string) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `INSERT INTO jobs (name, state, updated_at) VALUES (?1, ?2, ?3)
			ON CONFLICT (name) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at`, name, state, s.stamp())
	})
}

// PauseJob implements meta.Collection.
func (s *Store) PauseJob(ctx context.Context, name string, paused bool) error {
	return s.update(ctx, func(tx querier) error {
		return exec(ctx, tx, `INSERT INTO jobs (name, paused, updated_at) VALUES (?1, ?2, ?3)
			ON CONFLICT (name) DO UPDATE SET paused = excluded.paused, updated_at = excluded.updated_at`, name, paused, s.stamp())
	})
}
