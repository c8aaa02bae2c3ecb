package sqlmeta_test

import (
	"path/filepath"
	"testing"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/metatest"
	"discordcloud/manager/internal/meta/sqlmeta"
)

// open opens the database of a folder.
func open(t testing.TB, dir string) meta.Store {
	t.Helper()
	s, err := sqlmeta.Open(t.Context(), sqlmeta.Options{Path: filepath.Join(dir, "meta.db")})
	if err != nil {
		t.Fatalf("Open = %v", err)
	}
	return s
}

func TestStore(t *testing.T) { metatest.Run(t, open) }
