package sqlmeta

import (
	"context"
	"fmt"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const selectVersion = `SELECT v.id, v.entry_id, v.object_id, v.size, v.type, o.hash, v.modified_at, v.replaced_at, COALESCE(v.user_id, 0)
	FROM versions v JOIN objects o ON o.id = v.object_id WHERE `

func scanVersion(row scanner) (v meta.Version, err error) {
	var object, hash []byte
	var modified, replaced int64
	err = row.Scan(&v.ID, &v.Entry, &object, &v.Size, &v.Type, &hash, &modified, &replaced, &v.ReplacedBy)
	copy(v.Object[:], object)
	copy(v.Hash[:], hash)
	v.ModifiedAt, v.ReplacedAt = fromStamp(modified), fromStamp(replaced)
	return v, err
}

// ListVersions implements meta.Versions.
func (s *Store) ListVersions(ctx context.Context, id cloud.EntryID) (all []meta.Version, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if _, err := entry(ctx, q, id, meta.AnyViewer); err != nil {
			return err
		}
		all, err = rows(ctx, q, scanVersion, selectVersion+`v.entry_id = ?1 ORDER BY v.replaced_at DESC, v.id DESC`, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("versions of entry %d: %w", id, err)
	}
	return all, nil
}

// Version implements meta.Versions.
func (s *Store) Version(ctx context.Context, id cloud.EntryID, version meta.VersionID) (v meta.Version, err error) {
	err = s.snapshot(ctx, func(q querier) error {
		if _, err := entry(ctx, q, id, meta.AnyViewer); err != nil {
			return err
		}
		v, err = versionOf(ctx, q, id, version)
		return err
	})
	return v, err
}

func versionOf(ctx context.Context, q querier, id cloud.EntryID, version meta.VersionID) (meta.Version, error) {
	v, err := scanVersion(q.QueryRowContext(ctx, selectVersion+`v.entry_id = ?1 AND v.id = ?2`, id, version))
	return v, notFound(err, "version %d of entry %d", version, id)
}

// retire sees to the content that file had before: it becomes a version of into,
// if it is worth one, else garbage. The file must not refer to it any more, or
// be about to go.
func (p disposal) retire(ctx context.Context, file cloud.Entry, into cloud.EntryID) error {
	worth, err := p.worthKeeping(ctx, file, into)
	if err != nil {
		return err
	}
	if !worth {
		return discard(ctx, p.tx, file.Object, p.now)
	}
	return p.keepVersion(ctx, file, into)
}

func (p disposal) keepVersion(ctx context.Context, file cloud.Entry, into cloud.EntryID) error {
	if err := exec(ctx, p.tx, `INSERT INTO versions (entry_id, object_id, size, type, modified_at, user_id, replaced_at)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)`,
		into, file.Object[:], file.Size, file.Type, file.ModifiedAt.UnixMicro(), owner(p.by), p.now); err != nil {
		return err
	}
	whose, err := ownerOf(ctx, p.tx, into)
	if err != nil {
		return err
	}
	if err := charge(ctx, p.tx, whose, file.Size, 0); err != nil {
		return err
	}
	return p.trim(ctx, into)
}

// worthKeeping is not what was empty, what is the same as before, and what the
// same user wrote only just after he made the last version.
func (p disposal) worthKeeping(ctx context.Context, file cloud.Entry, into cloud.EntryID) (bool, error) {
	if !p.keep.KeepsVersions() || file.Size == 0 {
		return false, nil
	}
	var not bool
	err := p.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM entries e WHERE e.id = ?1 AND e.object_id = ?2)
		OR EXISTS (SELECT 1 FROM versions v WHERE v.entry_id = ?1 AND v.user_id = ?3 AND v.replaced_at > ?4)`,
		into, file.Object[:], owner(p.by), p.now-meta.Collapse.Microseconds()).Scan(&not)
	return !not, err
}

// trim drops the oldest versions of a file beyond those that are kept.
func (p disposal) trim(ctx context.Context, id cloud.EntryID) error {
	return p.dropVersions(ctx, `entry_id = ?1 AND id NOT IN (
		SELECT v.id FROM versions v WHERE v.entry_id = ?1 ORDER BY v.replaced_at DESC, v.id DESC LIMIT ?2)`, id, p.keep.Versions)
}

// dropVersions removes versions; what nothing refers to then is garbage.
func (p disposal) dropVersions(ctx context.Context, where string, args ...any) error {
	if err := chargeAll(ctx, p.tx, -1, `SELECT COALESCE(e.owner_id, 0), CAST(SUM(v.size) AS BIGINT), 0
		FROM versions v JOIN entries e ON e.id = v.entry_id WHERE v.id IN (SELECT id FROM versions WHERE `+where+`) GROUP BY 1`, args...); err != nil {
		return err
	}
	objects, err := rows(ctx, p.tx, scanObjectID, `DELETE FROM versions WHERE `+where+` RETURNING object_id`, args...)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := discard(ctx, p.tx, object, p.now); err != nil {
			return err
		}
	}
	return nil
}

func scanObjectID(row scanner) (id cloud.ObjectID, err error) {
	var b []byte
	err = row.Scan(&b)
	copy(id[:], b)
	return id, err
}

// supersede lets one file take the place of another of the same owner, which
// goes: its content and its versions become versions of the one that comes.
func (p disposal) supersede(ctx context.Context, old cloud.Entry, by cloud.EntryID) error {
	if err := exec(ctx, p.tx, `UPDATE versions SET entry_id = ?1 WHERE entry_id = ?2`, by, old.ID); err != nil {
		return err
	}
	worth, err := p.worthKeeping(ctx, old, by)
	if err != nil {
		return err
	}
	if worth {
		if err := p.keepVersion(ctx, old, by); err != nil {
			return err
		}
	}
	p.keep.Trash = 0
	_, err = p.remove(ctx, []cloud.EntryID{old.ID}, nil)
	return err
}

// RestoreVersion implements meta.Versions.
func (s *Store) RestoreVersion(ctx context.Context, id cloud.EntryID, version meta.VersionID, allow meta.Allow) (cloud.Entry, error) {
	return s.change(ctx, id, allow, func(tx querier, was cloud.Entry) error {
		p := s.disposal(ctx, tx)
		v, err := versionOf(ctx, tx, id, version)
		if err != nil {
			return err
		}
		if err := reweigh(ctx, tx, id, func() error {
			return exec(ctx, tx, `UPDATE entries SET object_id = ?1, size = ?2, type = ?3, modified_at = ?4, updated_at = ?5,
				has_thumbnail = EXISTS (SELECT 1 FROM thumbnails t WHERE t.object_id = ?1 AND t.pack_id IS NOT NULL) WHERE id = ?6`,
				v.Object[:], v.Size, v.Type, v.ModifiedAt.UnixMicro(), p.now, id)
		}); err != nil {
			return err
		}
		if err := exec(ctx, tx, `DELETE FROM versions WHERE id = ?1`, version); err != nil {
			return err
		}
		if err := charge(ctx, tx, was.Owner, -was.Size, 0); err != nil { // the version's bytes are the file's now
			return err
		}
		if err := tell(ctx, tx, p.by, meta.ActivityChanged, was, "", p.now); err != nil {
			return err
		}
		if was.Object == v.Object || was.Size == 0 || !p.keep.KeepsVersions() {
			return discard(ctx, tx, was.Object, p.now)
		}
		return p.keepVersion(ctx, was, id) // also if the last one is only just there
	})
}

// DeleteVersion implements meta.Versions.
func (s *Store) DeleteVersion(ctx context.Context, id cloud.EntryID, version meta.VersionID, allow meta.Allow) error {
	_, err := s.change(ctx, id, allow, func(tx querier, _ cloud.Entry) error {
		if _, err := versionOf(ctx, tx, id, version); err != nil {
			return err
		}
		return s.disposal(ctx, tx).dropVersions(ctx, `id = ?1`, version)
	})
	return err
}

// ExpireVersions implements meta.Versions.
func (s *Store) ExpireVersions(ctx context.Context, before time.Time, most int) (n int, err error) {
	err = s.update(ctx, func(tx querier) error {
		ids, err := rows(ctx, tx, scanID[meta.VersionID],
			`SELECT id FROM versions WHERE replaced_at < ?1 ORDER BY replaced_at LIMIT ?2`, before.UnixMicro(), most)
		p := s.disposal(ctx, tx)
		for _, id := range ids {
			if err == nil {
				err = p.dropVersions(ctx, `id = ?1`, id)
			}
		}
		n = len(ids)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("expire versions: %w", err)
	}
	return n, nil
}
