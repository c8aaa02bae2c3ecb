package sqlmeta

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// bigEngine is one for which every file is too big to be checked before.
func bigEngine(t *testing.T, path string) *sqliteEngine {
	t.Helper()
	e, _, err := openSQLite(Options{Path: path, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.close() })
	e.whole = 0
	return e
}

// A big file is checked beside the work, and what is damaged takes no writes.
func TestSQLite_checkedBeside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meta.db")
	s, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	// The last page is of rows that nobody reads before they are checked.
	if err := s.AppendAudit(t.Context(), make([]meta.AuditRecord, 300)...); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound := bigEngine(t, path)
	if err := sound.inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	sound.checking.Wait()
	if err := errors.Join(sound.failure(), sound.close()); err != nil {
		t.Errorf("a sound file: %v", err)
	}

	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 4096), info.Size()-4096); err != nil {
		t.Fatal(err)
	}
	damaged := bigEngine(t, path)
	if err := damaged.inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	damaged.checking.Wait()
	if err := damaged.failure(); !errors.Is(err, cloud.ErrUnavailable) || !errors.Is(err, cloud.ErrCorrupt) {
		t.Errorf("failure = %v, want %v since it is %v", err, cloud.ErrUnavailable, cloud.ErrCorrupt)
	}
	if err := damaged.close(); err != nil {
		t.Fatal(err)
	}

	if err := f.Truncate(info.Size() - 4096); err != nil {
		t.Fatal(err)
	}
	short := bigEngine(t, path)
	if err := short.inspect(t.Context()); !errors.Is(err, cloud.ErrCorrupt) {
		// SQLite itself may notice, and says it in its own way.
		if kind, own := short.kindOf(err); !own || !errors.Is(kind, cloud.ErrCorrupt) {
			t.Errorf("a short file: %v, want %v", err, cloud.ErrCorrupt)
		}
	}
}
