package sqlmeta

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

func openTest(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "meta.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return s
}

func TestMigrate(t *testing.T) {
	db, err := connect(filepath.Join(t.TempDir(), "meta.db"), 1, writePragmas, "_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx, now, e := t.Context(), time.Now(), &sqliteEngine{write: db, read: db}
	steps := []migration{
		{1, `CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)`},
		{2, `CREATE TABLE b (x INTEGER); INSERT INTO b SELECT x FROM a; INSERT INTO nowhere VALUES (1)`},
	}
	check := func(what string, from, to, wantFrom, wantTo int, tables ...string) {
		t.Helper()
		if from != wantFrom || to != wantTo {
			t.Errorf("%s: migrated from %d to %d, want from %d to %d", what, from, to, wantFrom, wantTo)
		}
		got, err := rows(ctx, db, scanID[string], `SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
		if err != nil || !slices.Equal(got, tables) {
			t.Errorf("%s: tables %v, %v; want %v", what, got, err, tables)
		}
	}
	from, to, err := migrate(ctx, e, steps, now)
	if err == nil {
		t.Error("a migration with a mistake went well")
	}
	check("with a mistake", from, to, 0, 1, "a", "schema_version") // nothing of the second is left
	steps[1].sql = `CREATE TABLE b (x INTEGER); INSERT INTO b SELECT x FROM a`
	from, to, err = migrate(ctx, e, steps, now)
	if err != nil {
		t.Error(err)
	}
	check("mended", from, to, 1, 2, "a", "b", "schema_version")
	from, to, err = migrate(ctx, e, steps, now)
	if err != nil {
		t.Error(err)
	}
	check("once more", from, to, 2, 2, "a", "b", "schema_version")
	if _, _, err = migrate(ctx, e, steps[:1], now); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("by an older program: %v, want %v", err, cloud.ErrInvalid)
	}
}

// A full disk, played by a limit on the file's pages.
func TestStore_full(t *testing.T) {
	s := openTest(t)
	ctx := t.Context()
	if err := exec(ctx, s.write, `PRAGMA max_page_count = 1`); err != nil { // SQLite takes the present size
		t.Fatal(err)
	}
	var err error
	made := 0
	for ; err == nil && made < 10_000; made++ {
		_, _, err = s.MakeFolders(ctx, cloud.Root, []string{strings.Repeat("x", 100+made/100) + string(rune('0'+made%100))}, 0)
	}
	if !errors.Is(err, cloud.ErrFull) {
		t.Fatalf("after %d folders: %v, want %v", made, err, cloud.ErrFull)
	}
	if _, folders, err := s.Count(ctx, cloud.Root, meta.AnyViewer); err != nil || folders != made-1 {
		t.Errorf("%d folders, %v; want %d", folders, err, made-1)
	}
	if err := exec(ctx, s.write, `PRAGMA max_page_count = 1000000`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.MakeFolders(ctx, cloud.Root, []string{"space again"}, 0); err != nil {
		t.Errorf("with space again: %v", err)
	}
	if faults, err := s.Check(ctx); err != nil || len(faults) > 0 {
		t.Errorf("Check = %v, %v", faults, err)
	}
}

func TestStore_disabledUser(t *testing.T) {
	s := openTest(t)
	ctx, now := t.Context(), time.Now()
	user, err := s.CreateUser(ctx, "ann", "", false, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateSession(ctx, meta.Session{ID: "s", User: user.ID, ExpiresAt: now.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Session(ctx, "s", now); err != nil {
		t.Errorf("Session = %v", err)
	}
	if err := exec(ctx, s.write, `UPDATE users SET disabled = TRUE`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Session(ctx, "s", now); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("Session of a disabled user = %v, want %v", err, cloud.ErrNotFound)
	}
	if c, err := s.Credentials(ctx, "ann"); err != nil || !c.Disabled {
		t.Errorf("Credentials = %+v, %v; want disabled", c, err)
	}
}

func TestStore_Check(t *testing.T) {
	for damage, want := range map[string]string{
		`UPDATE objects SET state = 'garbage' WHERE size = 5`:                    "file 2 has no stored object",
		`DELETE FROM objects WHERE size = 5`:                                     "rows of entries name a row of objects that is missing",
		`UPDATE entries SET size = 6 WHERE id = 2`:                               "file 2 has 6 bytes, its object 5",
		`DELETE FROM entries WHERE id = 2`:                                       "is stored, but no file has it",
		`UPDATE chunks SET size = 4`:                                             "of 5 bytes has 1 chunks with 0 gaps that reach to 4",
		`UPDATE chunks SET start = 1, size = 4`:                                  "of 5 bytes has 1 chunks with 1 gaps that reach to 5",
		`DELETE FROM chunks`:                                                     "of 5 bytes has 0 chunks",
		`UPDATE uploads SET state = 'running'`:                                   "is running, but its object is not",
		`UPDATE entries SET parent_id = 2 WHERE id = 4`:                          "entry 4 is in entry 2, which is no folder",
		`UPDATE entries SET parent_id = 4 WHERE id = 3`:                          "entry 3 does not hang on the root",
		`UPDATE entries SET parent_id = 999 WHERE id = 3`:                        "entry 4 does not hang on the root",
		`DELETE FROM entries WHERE id = 0`:                                       "the root is missing",
		`UPDATE entries SET owner_id = 77 WHERE id = 3`:                          "1 rows of entries name a row of users that is missing",
		`UPDATE totals SET bytes = 6 WHERE files = 1`:                            "folder 1 has 1 files, 0 folders and 5 bytes of one sort below it",
		`DELETE FROM totals WHERE folder_id = 3`:                                 "folder 3 has 0 files, 1 folders and 0 bytes of one sort below it",
		`INSERT INTO totals VALUES (3, 1, 'a/b', 1, 0, 5, 1, 0)`:                 "folder 3 has totals of what is not below it",
		`INSERT INTO shares (entry_id, user_id, shared_at) VALUES (3, 1, 0)`:     "entry 3 is shared, and does not say so",
		`PRAGMA ignore_check_constraints = 1; UPDATE objects SET state = 'lost'`: "CHECK constraint failed in objects",
	} {
		t.Run(want, func(t *testing.T) {
			s := openTest(t)
			ctx := t.Context()
			fill(t, s)
			if faults, err := s.Check(ctx); err != nil || len(faults) > 0 {
				t.Fatalf("before: %v, %v", faults, err)
			}
			if err := exec(ctx, s.write, `PRAGMA foreign_keys = 0;`+damage); err != nil {
				t.Fatal(err)
			}
			faults, err := s.Check(ctx)
			if err != nil || !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, want) }) {
				t.Errorf("Check = %q, %v", faults, err)
			}
			// What is damaged may be missing, but nothing runs for ever.
			for _, id := range []cloud.EntryID{cloud.Root, 3, 4} {
				ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
				_, pathErr := s.Path(ctx, id)
				_, sizesErr := s.Sizes(ctx, id, meta.AnyViewer)
				if errors.Is(errors.Join(pathErr, sizesErr), context.DeadlineExceeded) {
					t.Errorf("entry %d: %v, %v", id, pathErr, sizesErr)
				}
				cancel()
			}
		})
	}
}

// fill makes folder 1 with file 2 of 5 bytes, and folder 3 with folder 4.
func fill(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	user, err := s.CreateUser(ctx, "ann", "", false, false)
	if err != nil {
		t.Fatal(err)
	}
	u := meta.Upload{ID: "u", User: user.ID, Object: cloud.ObjectID{1}, Folder: []string{"a"}, Name: "b", Size: 5, PartSize: 5}
	chunk := meta.Stored{Chunk: cloud.Chunk{Size: 5, SealedSize: 165, Ref: cloud.Ref{Message: "1"}}}
	if err := errors.Join(s.CreateUpload(ctx, u), s.AddPart(ctx, u.ID, 0, []meta.Stored{chunk})); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FinishUpload(ctx, u.ID, meta.Finish{Conflict: meta.ConflictFail}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.MakeFolders(ctx, cloud.Root, []string{"c", "d"}, user.ID); err != nil {
		t.Fatal(err)
	}
}
