package sqlmeta

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// leavesPage is how many chunks Leaves holds in memory. A chunk of 10 MiB has
// 39 leaves of 32 bytes.
const leavesPage = 128

// AddPart implements meta.Uploads.
func (s *Store) AddPart(ctx context.Context, id cloud.UploadID, part int64, chunks []meta.Stored) error {
	chunks = slices.SortedFunc(slices.Values(chunks), func(a, b meta.Stored) int { return cmp.Compare(a.Offset, b.Offset) })
	err := s.amend(ctx, func(tx querier) error {
		// First, so that who ends the upload waits for this, or this for him.
		if err := exec(ctx, tx, `UPDATE uploads SET touched_at = ? WHERE id = ? AND state = 'running'`, s.stamp(), id); err != nil {
			return err
		}
		u, err := begunUpload(ctx, tx, id)
		if err != nil {
			return err
		}
		if u.State != meta.UploadRunning {
			return fmt.Errorf("%w: it is %s", cloud.ErrNotFound, u.State)
		}
		if err := checkPart(u.Upload, part, chunks); err != nil {
			return err
		}
		var there bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM chunks WHERE object_id = ? AND start = ?)`,
			u.Object[:], part*u.PartSize).Scan(&there); err != nil {
			return err
		}
		if there {
			return cloud.ErrExists
		}
		for _, c := range chunks {
			if err := checkLying(ctx, tx, c.Ref.Message); err != nil {
				return err
			}
			if err := insertChunk(ctx, tx, u.Object, part, c); err != nil {
				return err
			}
		}
		if u.Size < 0 { // which was not counted at its beginning
			return fits(ctx, tx, u.User, u.User, "")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("add part %d to upload %s: %w", part, id, err)
	}
	return nil
}

// checkPart is ErrInvalid unless the chunks, in order, cover just the part.
func checkPart(u meta.Upload, part int64, chunks []meta.Stored) error {
	if part < 0 || part >= max(1, u.Parts()) {
		return fmt.Errorf("%w: the upload has %d parts", cloud.ErrInvalid, u.Parts())
	}
	at := part * u.PartSize
	end := at + u.PartSize
	if u.Size >= 0 {
		end = min(end, u.Size)
	}
	if u.Size == 0 && len(chunks) != 1 {
		return fmt.Errorf("%w: an empty file is one chunk", cloud.ErrInvalid)
	}
	for _, c := range chunks {
		switch {
		case c.Offset != at || c.Size < 0 || c.Size == 0 && u.Size != 0 || c.Size > end-at:
			return fmt.Errorf("%w: a chunk of %d bytes at %d, where %d are missing from %d on",
				cloud.ErrInvalid, c.Size, c.Offset, end-at, at)
		case c.Ref.IsZero() || c.Index < 0 || c.Ext < 0 || c.SealedSize < c.Size:
			return fmt.Errorf("%w: chunk at %d is not stored as a chunk is", cloud.ErrInvalid, c.Offset)
		}
		at = c.End()
	}
	if at != end {
		return fmt.Errorf("%w: %d bytes are missing from %d on", cloud.ErrInvalid, end-at, at)
	}
	return nil
}

// checkLying is ErrNotFound for a message that is to be deleted: nothing may refer
// to it any more.
func checkLying(ctx context.Context, q querier, message string) error {
	var doomed bool
	err := q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM deletions WHERE message_id = ?1)`, message).Scan(&doomed)
	if err == nil && doomed {
		err = fmt.Errorf("message %s is deleted: %w", message, cloud.ErrNotFound)
	}
	return err
}

func insertChunk(ctx context.Context, tx querier, object cloud.ObjectID, part int64, c meta.Stored) error {
	leaves := make([]byte, 0, len(c.Leaves)*len(cloud.Sum{}))
	for _, leaf := range c.Leaves {
		leaves = append(leaves, leaf[:]...)
	}
	return exec(ctx, tx, `INSERT INTO chunks (object_id, start, size, number, part, ext, sealed_size, salt, header, crc32,
			channel_id, message_id, attachment_id, path, leaves)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		object[:], c.Offset, c.Size, c.Index, part, c.Ext, c.SealedSize, c.Salt[:], c.Header[:], c.CRC32,
		c.Ref.Channel, c.Ref.Message, c.Ref.Attachment, c.Ref.Path, leaves)
}

// PartsStored implements meta.Uploads. Of an upload that has ended without a
// file it tells what had been stored.
func (s *Store) PartsStored(ctx context.Context, id cloud.UploadID) (ranges [][2]int64, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		u, err := getUpload(ctx, q, id)
		if err != nil {
			return err
		}
		// In order of start the parts are in order too; each step beyond the
		// next number begins a range.
		ranges, err = rows(ctx, q, func(row scanner) (r [2]int64, err error) {
			err = row.Scan(&r[0], &r[1])
			return r, err
		}, `WITH parts AS (SELECT DISTINCT part FROM chunks WHERE object_id = ?),
			runs AS (SELECT part, part - ROW_NUMBER() OVER (ORDER BY part) AS run FROM parts)
			SELECT MIN(part), MAX(part) FROM runs GROUP BY run ORDER BY run`, u.Object[:])
		return err
	})
	return ranges, err
}

// Leaves implements meta.Uploads. It reads page by page, so visit may take its
// time and may call the store.
func (s *Store) Leaves(ctx context.Context, id cloud.UploadID, visit func(meta.Stored) error) error {
	for after := int64(-1); ; {
		page, err := s.leaves(ctx, id, after)
		if err != nil {
			return fmt.Errorf("leaves of upload %s: %w", id, err)
		}
		for _, c := range page {
			if err := visit(c); err != nil {
				return err
			}
		}
		if len(page) < leavesPage {
			return nil
		}
		after = page[len(page)-1].Offset
	}
}

func (s *Store) leaves(ctx context.Context, id cloud.UploadID, after int64) (page []meta.Stored, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		u, err := getUpload(ctx, q, id)
		if err != nil {
			return err
		}
		if !u.open() {
			return fmt.Errorf("%w: it is %s", cloud.ErrNotFound, u.State)
		}
		page, err = rows(ctx, lastly(q), scanStored, fmt.Sprintf(`SELECT `+chunkColumns+`, c.crc32, c.leaves FROM chunks c
			WHERE c.object_id = (SELECT object_id FROM uploads WHERE id = ?) AND c.start > ? ORDER BY c.start LIMIT %d`, leavesPage), id, after)
		return err
	})
	return page, err
}

func scanStored(row scanner) (c meta.Stored, err error) {
	var leaves []byte
	if c.Chunk, err = scanChunk(row, &c.CRC32, &leaves); err != nil {
		return meta.Stored{}, err
	}
	for leaf := range slices.Chunk(leaves, len(cloud.Sum{})) {
		if len(leaf) < len(cloud.Sum{}) {
			return meta.Stored{}, fmt.Errorf("leaves at %d: %w", c.Offset, cloud.ErrCorrupt)
		}
		c.Leaves = append(c.Leaves, cloud.Sum(leaf))
	}
	return c, nil
}

// checkComplete is ErrInvalid unless the chunks of an upload cover its size, which
// is never so while that is not known.
func checkComplete(ctx context.Context, q querier, u upload) error {
	var complete bool
	if err := q.QueryRowContext(ctx, `SELECT COUNT(*) > 0 AND COUNT(*) FILTER (WHERE start <> before) = 0 AND COALESCE(MAX(start + size), 0) = ?2
		FROM (SELECT start, size, COALESCE(LAG(start + size) OVER (ORDER BY start), 0) AS before FROM chunks WHERE object_id = ?1) placed`,
		u.Object[:], u.Size).Scan(&complete); err != nil {
		return err
	}
	if !complete {
		return fmt.Errorf("%w: parts are missing of %d bytes", cloud.ErrInvalid, u.Size)
	}
	return nil
}
