package sqlmeta_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/pkg/cloud"
)

// refused checks that a database does not open, with an error of the kind that
// has a text fit to be shown.
func refused(t *testing.T, path string, kind error) {
	t.Helper()
	s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{Path: path})
	if err == nil {
		s.Close()
	}
	if _, ok := errors.AsType[*cloud.UserError](err); !ok || !errors.Is(err, kind) {
		t.Errorf("Open = %v, want %v with a text for people", err, kind)
	}
}

// raw runs statements on a closed database.
func raw(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// filled makes a database with enough rows for some pages, and closes it.
func filled(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	names := make([]string, 100)
	for i := range names {
		names[i] = string(rune('a'+i%26)) + "-folder-with-a-name-of-some-length"
	}
	if _, _, err := s.MakeFolders(t.Context(), cloud.Root, names, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "meta.db")
}

func TestOpen_private(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b", "50% of it?#")
	s := open(t, dir)
	defer s.Close()
	if _, err := s.CreateUser(t.Context(), "ann", "", false, false); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 4 { // the database, its WAL and shared memory, the lock
		t.Errorf("%d files, want 4: %v", len(files), files)
	}
	for _, path := range append([]string{dir}, names(dir, files)...) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
}

func names(dir string, files []os.DirEntry) (all []string) {
	for _, f := range files {
		all = append(all, filepath.Join(dir, f.Name()))
	}
	return all
}

func TestOpen_madePrivate(t *testing.T) {
	path := filled(t)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Dir(path)).Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
}

func TestOpen_twice(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	refused(t, filepath.Join(dir, "meta.db"), cloud.ErrUnavailable)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("the first one after that: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir).Close()
}

// A command line works beside the manager that holds the lock.
func TestOpen_shared(t *testing.T) {
	path := filled(t)
	s := open(t, filepath.Dir(path))
	defer s.Close()
	beside, err := sqlmeta.Open(t.Context(), sqlmeta.Options{Path: path, Shared: true})
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	user, err := beside.CreateUser(t.Context(), "ann", "", false, false)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.User(t.Context(), user.ID); err != nil || got != user {
		t.Errorf("the manager sees %+v, %v; want %+v", got, err, user)
	}
	if err := beside.Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, path, cloud.ErrUnavailable) // the lock is still the manager's

	raw(t, path, `INSERT INTO schema_version VALUES (9999, 0)`)
	if _, err := sqlmeta.Open(t.Context(), sqlmeta.Options{Path: path, Shared: true}); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("Open of other tables = %v, want %v", err, cloud.ErrInvalid)
	}
}

func TestOpen_newerSchema(t *testing.T) {
	path := filled(t)
	raw(t, path, `INSERT INTO schema_version VALUES (9999, 0)`)
	refused(t, path, cloud.ErrInvalid)
	raw(t, path, `DELETE FROM schema_version WHERE version = 9999`)
	open(t, filepath.Dir(path)).Close()
}

func TestOpen_notOurs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	raw(t, path, `CREATE TABLE notes (text TEXT)`)
	refused(t, path, cloud.ErrCorrupt)
	raw(t, path, `SELECT * FROM notes`) // nothing was done to it
}

func TestOpen_damaged(t *testing.T) {
	for name, damage := range map[string]func(f *os.File, size int64) error{
		"no database": func(f *os.File, _ int64) error {
			_, err := f.WriteAt([]byte("Dear diary, today I was no database"), 0)
			return err
		},
		"page of zeros": func(f *os.File, size int64) error {
			_, err := f.WriteAt(make([]byte, 4096), size-4096)
			return err
		},
		"page of noise": func(f *os.File, size int64) error {
			noise := make([]byte, 4096)
			for i := range noise {
				noise[i] = byte(i*7 + i>>8)
			}
			_, err := f.WriteAt(noise, 4096)
			return err
		},
		"cut in half":       func(f *os.File, size int64) error { return f.Truncate(size / 2 / 4096 * 4096) },
		"cut within a page": func(f *os.File, size int64) error { return f.Truncate(size - 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filled(t)
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(damage(f, info.Size()), f.Close()); err != nil {
				t.Fatal(err)
			}
			refused(t, path, cloud.ErrCorrupt)
		})
	}
}

// Another program keeps the file locked: for a while, then for too long.
func TestStore_busy(t *testing.T) {
	path := filled(t)
	s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{Path: path, Busy: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other, err := sql.Open("sqlite", path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("reading while another writes: %v", err)
	}
	if _, err := s.CreateUser(t.Context(), "ann", "", false, false); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("CreateUser = %v, want %v", err, cloud.ErrUnavailable)
	}
	written := make(chan error)
	go func() {
		_, err := s.CreateUser(t.Context(), "bob", "", false, false)
		written <- err
	}()
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Errorf("CreateUser once the lock is gone: %v", err)
	}
}
