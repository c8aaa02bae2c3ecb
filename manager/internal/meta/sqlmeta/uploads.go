package sqlmeta

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

const (
	// selectBegun selects what no part changes of uploads.
	selectBegun  = `SELECT ` + begunColumns + ` FROM uploads u WHERE `
	begunColumns = `u.id, u.user_id, u.object_id, u.folder, u.name, u.size, u.part_size, u.public, u.on_conflict, u.type,
		u.modified_at, u.state, u.reason, COALESCE(u.entry_id, 0), u.created_at, u.manager, u.base, u.fleeting, u.replaced, u.renamed`
	selectUpload = `SELECT ` + begunColumns + `, u.touched_at FROM uploads u WHERE `

	// sizeMax is the largest size that a JavaScript number holds. As the size of
	// an upload it stands for one that is not known: columns hold no negative
	// numbers.
	sizeMax = 1<<53 - 1
	// typeMax is the length of the longest MIME type, in bytes.
	typeMax = 255
)

// upload is a row: an Upload, and what Finished says of it later.
type upload struct {
	meta.Upload
	replaced, renamed bool
}

func (u upload) open() bool { return u.State == meta.UploadRunning || u.State == meta.UploadWaiting }

// CreateUpload implements meta.Uploads.
func (s *Store) CreateUpload(ctx context.Context, u meta.Upload) error {
	if err := checkUpload(u); err != nil {
		return fmt.Errorf("create upload: %w", err)
	}
	now := s.stamp()
	created := orStamp(u.CreatedAt, now)
	modified := sql.NullInt64{Int64: orStamp(u.ModifiedAt, 0), Valid: !u.ModifiedAt.IsZero()}
	size := u.Size
	if size < 0 {
		size = sizeMax
	}
	err := s.update(ctx, func(tx querier) error {
		if err := exec(ctx, tx, `INSERT INTO objects (id, state, size, type, created_at, state_at)
			VALUES (?, 'uploading', ?, ?, ?, ?)`, u.Object[:], size, u.Type, created, now); err != nil {
			return err
		}
		if err := exec(ctx, tx, `INSERT INTO uploads (id, user_id, object_id, folder, name, size, part_size, public,
				on_conflict, type, modified_at, state, created_at, touched_at, manager, base, fleeting)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			u.ID, u.User, u.Object[:], strings.Join(u.Folder, "/"), u.Name, size, u.PartSize, u.Public,
			u.OnConflict, u.Type, modified, meta.UploadRunning, created, orStamp(u.TouchedAt, created), u.Manager, u.Base, u.Fleeting); err != nil {
			return err
		}
		return fits(ctx, tx, u.User, u.User, "")
	})
	if err != nil {
		return fmt.Errorf("create upload: %w", err)
	}
	meta.Afterwards(ctx, func() {
		s.foresee(selectBegun+byUpload, []any{u.ID}, u.ID, u.User, u.Object[:], strings.Join(u.Folder, "/"), u.Name, size, u.PartSize, u.Public,
			u.OnConflict, u.Type, modified, meta.UploadRunning, "", 0, created, u.Manager, u.Base, u.Fleeting, false, false)
	})
	return nil
}

func checkUpload(u meta.Upload) error {
	switch {
	case u.ID == "" || u.Object.IsZero() || u.State != "" && u.State != meta.UploadRunning || u.Base < 0:
		return fmt.Errorf("%w: it must be a new one, with ids", cloud.ErrInvalid)
	case u.Size < -1 || u.Size >= sizeMax || u.PartSize < 1 || u.PartSize > sizeMax:
		return cloud.UserErrorf(cloud.ErrInvalid, "a file of %d bytes in parts of %d cannot be", u.Size, u.PartSize)
	}
	if year := u.ModifiedAt.UTC().Year(); year < 1 || year > 9999 {
		return cloud.UserErrorf(cloud.ErrInvalid, "the year %d is out of range", year)
	}
	errs := []error{checkDepth(len(u.Folder) + 1), meta.CheckName(u.Name), checkType(u.Type)}
	for _, name := range u.Folder {
		errs = append(errs, meta.CheckName(name))
	}
	return errors.Join(errs...)
}

func checkType(mime string) error {
	if len(mime) > typeMax || !utf8.ValidString(mime) {
		return cloud.UserErrorf(cloud.ErrInvalid, "a MIME type has at most %d bytes", typeMax)
	}
	return nil
}

// Upload implements meta.Uploads.
func (s *Store) Upload(ctx context.Context, id cloud.UploadID) (meta.Upload, error) {
	var u upload
	err := s.query(ctx, func(q querier) (err error) {
		u, err = getUpload(ctx, q, id)
		return err
	})
	return u.Upload, err
}

// UploadsIn implements meta.Uploads. Without states it lists all.
func (s *Store) UploadsIn(ctx context.Context, user cloud.UserID, states ...meta.UploadState) (all []meta.Upload, err error) {
	where, args := `TRUE`, []any(nil)
	if user != meta.AnyViewer {
		where, args = `u.user_id = ?`, []any{user}
	}
	if len(states) > 0 {
		where += ` AND u.state IN (?` + strings.Repeat(`, ?`, len(states)-1) + `)`
		for _, state := range states {
			args = append(args, state)
		}
	}
	err = s.query(ctx, func(q querier) error {
		all, err = rows(ctx, q, scanUploadOnly, selectUpload+where+` ORDER BY u.created_at, u.id`, args...)
		return err
	})
	return all, err
}

// SetUploadSize implements meta.Uploads.
func (s *Store) SetUploadSize(ctx context.Context, id cloud.UploadID, size int64) error {
	err := s.update(ctx, func(tx querier) error {
		u, err := getUpload(ctx, tx, id)
		if err != nil {
			return err
		}
		if u.State != meta.UploadRunning {
			return fmt.Errorf("%w: it is %s", cloud.ErrNotFound, u.State)
		}
		var end int64
		if err := tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(start + size), 0) FROM chunks WHERE object_id = ?`, u.Object[:]).Scan(&end); err != nil {
			return err
		}
		if u.Size >= 0 || size < end || size >= sizeMax {
			return fmt.Errorf("%w: %d bytes, where %d are stored of %d", cloud.ErrInvalid, size, end, u.Size)
		}
		if err := exec(ctx, tx, `UPDATE objects SET size = ? WHERE id = ?`, size, u.Object[:]); err != nil {
			return err
		}
		if err := exec(ctx, tx, `UPDATE uploads SET size = ? WHERE id = ?`, size, id); err != nil {
			return err
		}
		return fits(ctx, tx, u.User, u.User, "")
	})
	if err != nil {
		return fmt.Errorf("set size of upload %s: %w", id, err)
	}
	return nil
}

// SetUploadState implements meta.Uploads.
func (s *Store) SetUploadState(ctx context.Context, id cloud.UploadID, state meta.UploadState, reason string) error {
	err := s.update(ctx, func(tx querier) error {
		u, err := getUpload(ctx, tx, id)
		if err != nil {
			return err
		}
		switch {
		case state != meta.UploadWaiting && state != meta.UploadFailed && state != meta.UploadAborted:
			return fmt.Errorf("%w: not a state to be set", cloud.ErrInvalid)
		case u.State == state:
			return nil
		case !u.open():
			return fmt.Errorf("%w: it is %s", cloud.ErrNotFound, u.State)
		case state == meta.UploadWaiting:
			if err := checkComplete(ctx, tx, u); err != nil {
				return err
			}
			return exec(ctx, tx, `UPDATE uploads SET state = ?, reason = ? WHERE id = ?`, state, reason, id)
		}
		return end(ctx, tx, u, state, reason, s.stamp())
	})
	if err != nil {
		return fmt.Errorf("set upload %s %s: %w", id, state, err)
	}
	return nil
}

// end fails or aborts an upload.
func end(ctx context.Context, tx querier, u upload, state meta.UploadState, reason string, now int64) error {
	if err := exec(ctx, tx, `UPDATE uploads SET state = ?, reason = ?, ended_at = ? WHERE id = ?`,
		state, reason, now, u.ID); err != nil {
		return err
	}
	return discard(ctx, tx, u.Object, now)
}

// HoldUpload implements meta.Uploads.
func (s *Store) HoldUpload(ctx context.Context, id cloud.UploadID, before, manager string) error {
	err := s.amend(ctx, func(tx querier) error {
		return one(changed(ctx, tx, `UPDATE uploads SET manager = ? WHERE id = ? AND manager = ? AND state IN ('running', 'waiting')`, manager, id, before))
	})
	if err != nil {
		return fmt.Errorf("hold upload %s: %w", id, err)
	}
	return nil
}

// ExpireUploads implements meta.Uploads.
func (s *Store) ExpireUploads(ctx context.Context, idle, history time.Time, self string) (aborted []meta.Upload, err error) {
	err = s.update(ctx, func(tx querier) error {
		if err := exec(ctx, tx, `DELETE FROM uploads WHERE ended_at < ?`, history.UnixMicro()); err != nil {
			return err
		}
		aborted, err = rows(ctx, tx, scanUploadOnly,
			selectUpload+`u.state IN ('running', 'waiting') AND (u.touched_at < ?1
				OR u.fleeting AND u.manager <> ?2 AND NOT EXISTS (SELECT 1 FROM managers m WHERE m.id = u.manager)) ORDER BY u.created_at, u.id`, idle.UnixMicro(), self)
		for i := range aborted {
			if err == nil {
				aborted[i].State, aborted[i].Reason = meta.UploadAborted, "no progress for too long"
				if !aborted[i].TouchedAt.Before(idle) {
					aborted[i].Reason = "its server is gone"
				}
				err = end(ctx, tx, upload{Upload: aborted[i]}, meta.UploadAborted, aborted[i].Reason, s.stamp())
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("expire uploads: %w", err)
	}
	return aborted, nil
}

const byUpload = `u.id = ?`

func getUpload(ctx context.Context, q querier, id cloud.UploadID) (upload, error) {
	u, err := scanUpload(q.QueryRowContext(ctx, selectUpload+byUpload, id))
	return u, notFound(err, "upload %s", id)
}

// begunUpload is getUpload but for when it was touched, which each part changes.
func begunUpload(ctx context.Context, q querier, id cloud.UploadID) (upload, error) {
	u, err := scanBegun(q.QueryRowContext(ctx, selectBegun+byUpload, id))
	return u, notFound(err, "upload %s", id)
}

func scanUpload(row scanner) (upload, error) {
	var touched int64
	u, err := scanBegun(row, &touched)
	u.TouchedAt = fromStamp(touched)
	return u, err
}

// scanBegun reads begunColumns, and further columns into more.
func scanBegun(row scanner, more ...any) (upload, error) {
	var (
		u        upload
		object   []byte
		folder   string
		modified sql.NullInt64
		created  int64
	)
	if err := row.Scan(append([]any{&u.ID, &u.User, &object, &folder, &u.Name, &u.Size, &u.PartSize, &u.Public, &u.OnConflict, &u.Type,
		&modified, &u.State, &u.Reason, &u.Entry, &created, &u.Manager, &u.Base, &u.Fleeting, &u.replaced, &u.renamed}, more...)...); err != nil {
		return upload{}, err
	}
	copy(u.Object[:], object)
	if u.Size == sizeMax {
		u.Size = -1
	}
	if folder != "" {
		u.Folder = strings.Split(folder, "/")
	}
	if modified.Valid {
		u.ModifiedAt = fromStamp(modified.Int64)
	}
	u.CreatedAt = fromStamp(created)
	return u, nil
}

func scanUploadOnly(row scanner) (meta.Upload, error) {
	u, err := scanUpload(row)
	return u.Upload, err
}
