package sqlmeta

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// FinishUpload implements meta.Uploads.
func (s *Store) FinishUpload(ctx context.Context, id cloud.UploadID, f meta.Finish) (r meta.Finished, err error) {
	err = s.update(ctx, func(tx querier) error {
		u, err := begunUpload(ctx, tx, id)
		if err != nil {
			return err
		}
		switch {
		case u.State == meta.UploadDone:
			r, err = finishedBefore(ctx, tx, u)
		case !u.open():
			err = fmt.Errorf("%w: it is %s", cloud.ErrNotFound, u.State)
		default:
			r, err = finish(ctx, s.disposal(ctx, tx), u, f)
		}
		return err
	})
	if err != nil {
		return meta.Finished{}, fmt.Errorf("finish upload %s: %w", id, err)
	}
	return r, nil
}

// finishedBefore answers a repeated request from the row that the first left.
func finishedBefore(ctx context.Context, q querier, u upload) (r meta.Finished, err error) {
	if u.Entry == 0 {
		return r, fmt.Errorf("its file: %w", cloud.ErrNotFound)
	}
	r = meta.Finished{Replaced: u.replaced, Renamed: u.renamed, Again: true}
	if r.Entry, err = entry(ctx, q, u.Entry, meta.ViewerOf(ctx)); err != nil {
		return r, err
	}
	r.Folder, err = namesOf(ctx, q, r.Entry.Parent)
	return r, err
}

func finish(ctx context.Context, p disposal, u upload, f meta.Finish) (r meta.Finished, err error) {
	tx, now := p.tx, p.now
	if f.Type == "" {
		f.Type = u.Type
	}
	if err := errors.Join(checkConflict(f.Conflict), checkType(f.Type), checkComplete(ctx, tx, u)); err != nil {
		return r, err
	}
	into, created, err := makeFolders(ctx, tx, u.Base, u.Folder, u.User, now)
	if err != nil {
		return r, err
	}
	r.CreatedFolders = created
	if r.Folder, err = namesOf(ctx, tx, into.ID); err != nil {
		return r, err
	}
	name := u.Name
	taken, err := child(ctx, tx, into.ID, name, meta.ViewerOf(ctx))
	switch {
	case errors.Is(err, cloud.ErrNotFound):
	case err != nil:
		return r, err
	case f.Conflict == meta.ConflictRename:
		if name, err = freeName(ctx, tx, into.ID, name, 0); err != nil {
			return r, err
		}
		r.Renamed = true
	case f.Conflict == meta.ConflictFail, taken.IsFolder():
		return r, nameTaken(taken)
	default:
		r.Replaced = true
	}
	if err = storeObject(ctx, tx, u, f, now); err != nil {
		return r, err
	}
	if r.Replaced {
		err = replace(ctx, p, taken, u, f)
	} else {
		taken, err = insertEntry(ctx, tx, cloud.Entry{
			Parent: into.ID, Name: name, Kind: cloud.KindFile, Owner: u.User, Public: u.Public,
			CreatedAt: fromStamp(now), UpdatedAt: fromStamp(now), ModifiedAt: fromStamp(orStamp(u.ModifiedAt, now)),
			Object: u.Object, Size: u.Size, Type: f.Type,
		})
	}
	if err != nil {
		return r, err
	}
	if !r.Replaced { // all of it is known
		r.Entry = taken
		r.Entry.Hash, r.Entry.SHA256, r.Entry.CRC32, r.Entry.Share = f.Hash, f.SHA256, f.CRC32, into.Share
	} else if r.Entry, err = entry(ctx, tx, taken.ID, meta.ViewerOf(ctx)); err != nil {
		return r, err
	}
	if !r.Replaced || taken.Size < u.Size || p.keep.KeepsVersions() {
		if err := fits(ctx, tx, r.Entry.Owner, u.User, u.ID); err != nil {
			return r, err
		}
	}
	action := meta.ActivityAdded
	if r.Replaced {
		action = meta.ActivityChanged
	}
	if err := tell(ctx, tx, u.User, action, r.Entry, "", now); err != nil {
		return r, err
	}
	return r, exec(ctx, tx, `UPDATE uploads SET state = 'done', reason = '', entry_id = ?, replaced = ?, renamed = ?, ended_at = ?
		WHERE id = ?`, r.Entry.ID, r.Replaced, r.Renamed, now, u.ID)
}

// storeObject makes the upload's object a stored one. Its leaves have served.
func storeObject(ctx context.Context, tx querier, u upload, f meta.Finish, now int64) error {
	if err := exec(ctx, tx, `UPDATE objects SET state = 'stored', state_at = ?1, finished_at = ?1,
		type = ?2, hash = ?3, sha256 = ?4, crc32 = ?5 WHERE id = ?6`,
		now, f.Type, sum(f.Hash), sum(f.SHA256), f.CRC32, u.Object[:]); err != nil {
		return err
	}
	return exec(ctx, tx, `UPDATE chunks SET leaves = NULL WHERE object_id = ?`, u.Object[:])
}

// replace gives a file the upload's content. Only its owner's upload says anew
// whether it is public, so that nobody opens up what another keeps to himself.
func replace(ctx context.Context, p disposal, old cloud.Entry, u upload, f meta.Finish) error {
	if err := permit(f.Allow, old); err != nil {
		return err
	}
	owner, public := old.Owner, old.Public
	if owner == 0 || owner == u.User {
		owner, public = u.User, u.Public
	}
	if err := reweigh(ctx, p.tx, old.ID, func() error {
		return exec(ctx, p.tx, `UPDATE entries SET object_id = ?, size = ?, type = ?, owner_id = ?, public = ?,
			has_thumbnail = FALSE, updated_at = ?, modified_at = ? WHERE id = ?`,
			u.Object[:], u.Size, f.Type, owner, public, p.now, orStamp(u.ModifiedAt, p.now), old.ID)
	}); err != nil {
		return err
	}
	if owner != old.Owner { // with what the file was before
		if err := chargeAll(ctx, p.tx, 1, `SELECT CAST(?1 AS BIGINT), CAST(COALESCE(SUM(v.size), 0) AS BIGINT) + ?2, 1 FROM versions v WHERE v.entry_id = ?3`,
			owner, old.Size, old.ID); err != nil {
			return err
		}
		if err := chargeAll(ctx, p.tx, -1, `SELECT CAST(?1 AS BIGINT), CAST(COALESCE(SUM(v.size), 0) AS BIGINT) + ?2, 1 FROM versions v WHERE v.entry_id = ?3`,
			old.Owner, old.Size, old.ID); err != nil {
			return err
		}
	}
	if err := charge(ctx, p.tx, owner, u.Size-old.Size, 0); err != nil {
		return err
	}
	p.by = u.User
	return p.retire(ctx, old, old.ID)
}
