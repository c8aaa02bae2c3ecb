package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
)

// Backup writes all of the database into a new file, for its owner's eyes, reads
// it again to its end, and gives the number of rows in it. The database may be in
// use. ErrExists if there is a file.
func (a *Admin) Backup(ctx context.Context, path string) (rows int64, err error) {
	if _, err := os.Lstat(path); err == nil {
		return 0, cloud.UserErrorf(cloud.ErrExists, "%s exists already", path)
	}
	// It has its name only when it is whole.
	f, err := os.CreateTemp(filepath.Dir(path), ".discord-cloud-backup-*") // with mode 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(a.store.Dump(ctx, f), f.Sync()); err != nil {
		return 0, errors.Join(err, f.Close())
	}
	_, err = f.Seek(0, io.SeekStart)
	if err == nil {
		rows, err = sqlmeta.ReadArchive(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("read the backup again: %w", err)
	}
	return rows, os.Rename(f.Name(), path)
}

// Restore fills the empty database of a data folder, or another one, from a backup,
// and compares the two. No manager may run on it. It gives the number of rows.
func Restore(ctx context.Context, dataDir string, d Database, path string, log *slog.Logger) (rows int64, err error) {
	rows, err = sqlmeta.Restore(ctx, database(dataDir, d, log), func() (io.ReadCloser, error) { return os.Open(path) })
	if errors.Is(err, os.ErrNotExist) {
		err = cloud.UserErrorf(cloud.ErrNotFound, "there is no file %s", path)
	}
	return rows, err
}

// MoveDatabase copies everything from one database into another, which is empty,
// and compares the two. Each is the URL of a PostgreSQL, the path of an SQLite
// file, or the URL of a Supabase project with that key. No manager may run on them. It gives the number of rows.
func MoveDatabase(ctx context.Context, from, to string, key config.Secret, log *slog.Logger) (rows int64, err error) {
	source, target := databaseAt(from, key, log), databaseAt(to, key, log)
	if source.URL == "" {
		if err := thereIs(source.Path); err != nil {
			return 0, err
		}
	}
	return sqlmeta.Move(ctx, source, target)
}

func databaseAt(place string, key config.Secret, log *slog.Logger) sqlmeta.Options {
	o := sqlmeta.Options{Log: part(log, "database")}
	switch {
	case IsDatabaseURL(place):
		o.URL = place
	case strings.HasPrefix(place, "https://"), strings.HasPrefix(place, "http://"):
		o.URL, o.Key = place, key
	default:
		o.Path = place
	}
	return o
}
