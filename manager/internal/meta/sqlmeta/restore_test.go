//go:build unix

package sqlmeta_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/pgtest"
)

// furnish puts something into most tables, with values that are hard to carry.
func furnish(t *testing.T, s *sqlmeta.Store) {
	t.Helper()
	ctx, now := t.Context(), time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ann, err := s.CreateUser(ctx, "Änn \U0001f600", "$argon2id$…", true, true)
	must(err)
	bob, err := s.CreateUser(ctx, "bob", "", false, false)
	must(err)
	must(s.CreateSession(ctx, meta.Session{ID: "s", User: ann.ID, ExpiresAt: now, Agent: "\xff\xfe Agent\u2028 <&>", Address: "::1"}))
	_, err = s.CreateAppPassword(ctx, meta.AppPassword{User: bob.ID, Name: "rclone"}, cloud.Sum{1, 2, 3})
	must(err)
	keys := []string{"z", "a"}
	for i := range 5000 { // more than are made durable at once
		keys = append(keys, fmt.Sprint(i))
	}
	must(s.AddKeyIDs(ctx, keys))
	low, _, err := s.MakeFolders(ctx, cloud.Root, []string{"low", "inner"}, ann.ID)
	must(err)
	high, _, err := s.MakeFolders(ctx, cloud.Root, []string{"high"}, bob.ID)
	must(err)
	// A folder whose number is lower than that of the one it lies in.
	_, err = s.Move(ctx, low.Parent, high.ID, "low", meta.ConflictFail, nil)
	must(err)
	for i := range 10 {
		_, err := upload(ctx, s, ann.ID, fmt.Sprintf("file %d", i))
		must(err)
	}
	gone, err := s.Child(ctx, cloud.Root, "file 9", meta.AnyViewer)
	must(err)
	_, err = s.Delete(ctx, []cloud.EntryID{gone.ID}, nil)
	must(err)
	_, err = s.SetShare(ctx, cloud.Share{Entry: high.ID, User: ann.ID, CanWrite: true, SharedAt: now})
	must(err)
	value := make([]byte, 1000)
	for i := range value {
		value[i] = byte(i)
	}
	must(s.SetProperties(ctx, high.ID, []meta.PropertyChange{{Property: meta.Property{Space: "DAV:", Name: "x", Value: value}}}))
	running := meta.Upload{ID: "running", User: bob.ID, Object: cloud.ObjectID{9}, Folder: []string{"a", "b"}, Name: "n", Size: -1, PartSize: 100}
	must(s.CreateUpload(ctx, running))
	must(s.AddPart(ctx, running.ID, 1, []meta.Stored{{
		Chunk:  cloud.Chunk{Index: 1, Offset: 100, Size: 100, SealedSize: 300, Ref: cloud.Ref{Message: "9"}},
		Leaves: []cloud.Sum{{1}, {2}},
	}}))
}

// archived gives the archive of a database, without its first line, which tells
// the time.
func archived(t *testing.T, s *sqlmeta.Store) (archive []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := s.Dump(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func opened(archive []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }
}

// at is a clock that stands still: two archives of the same rows are the same.
func at() time.Time { return time.UnixMicro(1).UTC() }

func sqliteIn(dir string) sqlmeta.Options {
	return sqlmeta.Options{Path: filepath.Join(dir, "meta.db"), Now: at}
}

func opens(t *testing.T, o sqlmeta.Options) *sqlmeta.Store {
	t.Helper()
	s, err := sqlmeta.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// What goes from SQLite to PostgreSQL and back is the same at each station.
func testMove(t *testing.T, p *pgtest.Server) {
	moves(t, sqlmeta.Options{URL: p.Database("move_a"), Now: at}, sqlmeta.Options{URL: p.Database("move_b"), Now: at}, sqliteIn(t.TempDir()), sqliteIn(t.TempDir()))
}

func moves(t *testing.T, stations ...sqlmeta.Options) {
	first := sqliteIn(t.TempDir())
	s := opens(t, first)
	furnish(t, s)
	want := archived(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	from := first
	for _, to := range stations {
		n, err := sqlmeta.Move(t.Context(), from, to)
		if err != nil || n < 5000 {
			t.Fatalf("Move = %d rows, %v", n, err)
		}
		s := opens(t, to)
		if got := archived(t, s); !bytes.Equal(got, want) {
			t.Errorf("the archive of %s%s differs", to.URL, to.Path)
		}
		if faults, err := s.Check(t.Context()); err != nil || len(faults) > 0 {
			t.Errorf("Check = %v, %v", faults, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := sqlmeta.Move(t.Context(), from, to); !errors.Is(err, cloud.ErrExists) {
			t.Errorf("Move into a database that is not empty = %v, want %v", err, cloud.ErrExists)
		}
		from = to
	}
	// Numbers go on behind those that were given out before.
	s = opens(t, from)
	e, _, err := s.MakeFolders(t.Context(), cloud.Root, []string{"new"}, 0)
	if err != nil || e.ID != 14 {
		t.Errorf("a new folder has number %d, %v", e.ID, err)
	}
	if u, err := s.CreateUser(t.Context(), "eve", "", false, false); err != nil || u.ID != 3 {
		t.Errorf("a new user has number %d, %v; want 3", u.ID, err)
	}
}

// A restore that is cut short leaves a database that does not open, and goes on
// when it is done again.
func testCutShort(t *testing.T, p *pgtest.Server) {
	s := opens(t, sqliteIn(t.TempDir()))
	furnish(t, s)
	archive := archived(t, s)
	for name, to := range map[string]sqlmeta.Options{"SQLite": sqliteIn(t.TempDir()), "PostgreSQL": {URL: p.Database("cut_short"), Now: at}} {
		t.Run(name, func(t *testing.T) {
			for _, part := range []int{2, 4} {
				if _, err := sqlmeta.Restore(t.Context(), to, opened(archive[:len(archive)*(part-1)/part])); !errors.Is(err, cloud.ErrCorrupt) {
					t.Fatalf("Restore of a part = %v, want %v", err, cloud.ErrCorrupt)
				}
				for _, shared := range []bool{false, true} { // a backup of a half would pass for a whole one
					half := to
					half.Shared = shared
					if _, err := sqlmeta.Open(t.Context(), half); !errors.Is(err, cloud.ErrInvalid) {
						t.Errorf("Open with Shared %t = %v, want %v", shared, err, cloud.ErrInvalid)
					}
				}
			}
			if _, err := sqlmeta.Restore(t.Context(), to, opened(archive)); err != nil {
				t.Fatal(err)
			}
			if got := archived(t, opens(t, to)); !bytes.Equal(got, archive) {
				t.Error("it differs from the archive")
			}
		})
	}
}

func TestRestore_damaged(t *testing.T) {
	s := opens(t, sqliteIn(t.TempDir()))
	furnish(t, s)
	archive := archived(t, s)
	if n, err := sqlmeta.ReadArchive(bytes.NewReader(archive)); err != nil || n < 5000 {
		t.Fatalf("ReadArchive = %d, %v", n, err)
	}
	flipped := bytes.Clone(archive)
	flipped[len(flipped)/2] ^= 0x10
	for name, damaged := range map[string][]byte{
		"nothing": nil, "text": []byte("Dear diary"), "a half": archive[:len(archive)/2], "all but the end": archive[:len(archive)-1],
		"a flipped bit": flipped, "twice": append(bytes.Clone(archive), archive...),
	} {
		if _, err := sqlmeta.ReadArchive(bytes.NewReader(damaged)); !errors.Is(err, cloud.ErrCorrupt) {
			t.Errorf("%s: ReadArchive = %v, want %v", name, err, cloud.ErrCorrupt)
		}
		if _, err := sqlmeta.Restore(t.Context(), sqliteIn(t.TempDir()), opened(damaged)); !errors.Is(err, cloud.ErrCorrupt) {
			t.Errorf("%s: Restore = %v, want %v", name, err, cloud.ErrCorrupt)
		}
	}
}

// A database that was changed in the middle of a restore is found out.
func TestRestore_compared(t *testing.T) {
	s := opens(t, sqliteIn(t.TempDir()))
	furnish(t, s)
	archive := archived(t, s)
	to := sqliteIn(t.TempDir())
	again := 0
	_, err := sqlmeta.Restore(t.Context(), to, func() (io.ReadCloser, error) {
		if again++; again == 2 {
			raw(t, to.Path, `UPDATE entries SET name = 'other' WHERE name = 'file 3'`)
		}
		return opened(archive)()
	})
	if !errors.Is(err, cloud.ErrCorrupt) || !strings.Contains(said(err), "table entries differs") {
		t.Errorf("Restore = %v, want %v of entries", err, cloud.ErrCorrupt)
	}
}

// said is what people are told of an error.
func said(err error) string {
	if e, ok := errors.AsType[*cloud.UserError](err); ok {
		return e.Text
	}
	return ""
}
