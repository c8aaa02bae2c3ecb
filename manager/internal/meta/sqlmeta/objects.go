package sqlmeta

import (
	"context"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const chunkColumns = `c.number, c.start, c.size, c.ext, c.sealed_size, c.salt, c.header,
	c.channel_id, c.message_id, c.attachment_id, c.path`

// Object implements meta.Objects.
func (s *Store) Object(ctx context.Context, id cloud.ObjectID) (o meta.Object, err error) {
	err = s.query(ctx, func(q querier) error {
		var (
			hash, sha []byte
			created   int64
		)
		o = meta.Object{ID: id}
		err := q.QueryRowContext(ctx, `SELECT size, hash, sha256, crc32, type, created_at
			FROM objects WHERE id = ? AND finished_at IS NOT NULL`, id[:]).Scan(&o.Size, &hash, &sha, &o.CRC32, &o.Type, &created)
		copy(o.Hash[:], hash)
		copy(o.SHA256[:], sha)
		o.CreatedAt = fromStamp(created)
		return notFound(err, "object %s", id)
	})
	if err != nil {
		return meta.Object{}, err
	}
	return o, nil
}

// Chunks implements meta.Objects.
func (s *Store) Chunks(ctx context.Context, id cloud.ObjectID, off int64, max int) (chunks []cloud.Chunk, err error) {
	if off < 0 || max < 1 {
		return nil, fmt.Errorf("chunks of object %s: %w: %d of them from %d", id, cloud.ErrInvalid, max, off)
	}
	err = s.snapshot(ctx, func(q querier) error {
		var size int64
		err := q.QueryRowContext(ctx, `SELECT size FROM objects WHERE id = ? AND finished_at IS NOT NULL`, id[:]).Scan(&size)
		if err != nil {
			return notFound(err, "object %s", id)
		}
		if chunks = nil; off >= size && off > 0 {
			return nil
		}
		chunks, err = rows(ctx, q, func(row scanner) (cloud.Chunk, error) { return scanChunk(row) },
			`SELECT `+chunkColumns+` FROM chunks c WHERE c.object_id = ?1 AND c.start >=
				(SELECT MAX(b.start) FROM chunks b WHERE b.object_id = ?1 AND b.start <= ?2)
			ORDER BY c.start LIMIT ?3`, id[:], off, max)
		return err
	})
	return chunks, err
}

// Places implements meta.Objects.
func (s *Store) Places(ctx context.Context, id cloud.ObjectID) (all []meta.Channel, err error) {
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, func(row scanner) (c meta.Channel, err error) {
			err = row.Scan(&c.ID, &c.Messages, &c.Chunks, &c.SealedBytes)
			return c, err
		}, `SELECT channel_id, COUNT(DISTINCT message_id), COUNT(*), SUM(sealed_size)
			FROM chunks WHERE object_id = ?1 GROUP BY channel_id ORDER BY channel_id`, id[:])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("places of object %s: %w", id, err)
	}
	return all, nil
}

// scanChunk reads chunkColumns, and further columns into more.
func scanChunk(row scanner, more ...any) (c cloud.Chunk, err error) {
	var salt, header []byte
	if err := row.Scan(append([]any{&c.Index, &c.Offset, &c.Size, &c.Ext, &c.SealedSize, &salt, &header,
		&c.Ref.Channel, &c.Ref.Message, &c.Ref.Attachment, &c.Ref.Path}, more...)...); err != nil {
		return cloud.Chunk{}, err
	}
	copy(c.Salt[:], salt)
	copy(c.Header[:], header)
	return c, nil
}

// discard turns an object that nothing points to any more into garbage.
func discard(ctx context.Context, tx querier, id cloud.ObjectID, now int64) error {
	return exec(ctx, tx, `UPDATE objects SET state = 'garbage', state_at = ?2
		WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.object_id = ?1)
		AND NOT EXISTS (SELECT 1 FROM versions v WHERE v.object_id = ?1)`, id[:], now)
}

// KeyIDs implements meta.Store.
func (s *Store) KeyIDs(ctx context.Context) (ids []string, err error) {
	err = s.query(ctx, func(q querier) error {
		ids, err = rows(ctx, q, scanID[string], `SELECT id FROM keys ORDER BY number`)
		return err
	})
	return ids, err
}

// AddKeyIDs implements meta.Store.
func (s *Store) AddKeyIDs(ctx context.Context, ids []string) error {
	return s.update(ctx, func(tx querier) error {
		for _, id := range ids {
			if err := exec(ctx, tx, `INSERT INTO keys (id, added_at) VALUES (?, ?) ON CONFLICT DO NOTHING`, id, s.stamp()); err != nil {
				return err
			}
		}
		return nil
	})
}
