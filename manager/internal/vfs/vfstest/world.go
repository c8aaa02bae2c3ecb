// Package vfstest builds a small world to test against: a real database in a
// temporary folder, sealed chunks in memory, and the tree over both.
package vfstest

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/blob/memblob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/object"
)

// World is a tree with all that is below it.
type World struct {
	FS    *vfs.FS
	Store *sqlmeta.Store
	Blobs *memblob.Store
	Bus   *event.Bus
	Ring  crypt.Ring
	// PartSize is how long the chunks of new files are; 256 KiB by default.
	PartSize int64
}

// New opens an empty world, which ends with the test.
func New(t testing.TB) *World {
	t.Helper()
	store, err := sqlmeta.Open(t.Context(), sqlmeta.Options{Path: filepath.Join(t.TempDir(), "world.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &World{Store: store, Blobs: memblob.New(), Bus: &event.Bus{}, Ring: crypt.Ring{{1, 2, 3}}, PartSize: 256 << 10}
	w.FS = &vfs.FS{
		Store: store, Bus: w.Bus, Ring: w.Ring,
		Source: &object.Source{Blobs: w.Blobs, Chunks: store, Key: object.RingKeys(w.Ring)},
	}
	return w
}

// User adds a user who cannot sign in, and gives him as he would ask.
func (w *World) User(t testing.TB, name string) policy.Principal {
	t.Helper()
	u, err := w.Store.CreateUser(t.Context(), name, "no password", false, false)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Principal{Role: policy.User, User: u.ID, Name: u.Name}
}

// Put stores a file at a path, through a real upload. Folders that are missing
// are made; a file that is there is replaced.
func (w *World) Put(t testing.TB, who policy.Principal, path string, content []byte, public bool) cloud.Entry {
	t.Helper()
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	object := newObject()
	up := meta.Upload{
		ID: cloud.UploadID(newUUID()), User: who.User, Object: object,
		Folder: names[:len(names)-1], Name: names[len(names)-1],
		Size: int64(len(content)), PartSize: w.PartSize, Public: public, OnConflict: "replace",
		Type: strings.TrimSuffix(http.DetectContentType(content), "; charset=utf-8"),
	}
	ctx := t.Context()
	if err := w.Store.CreateUpload(ctx, up); err != nil {
		t.Fatal(err)
	}
	parts := max(up.Parts(), 1) // an empty file has one chunk
	for i := range parts {
		plain := content[i*w.PartSize : min((i+1)*w.PartSize, up.Size)]
		sealed, err := crypt.Seal(w.Ring.ObjectKey(object), object, crypt.Header{
			Final: i == parts-1, Index: int(i), Offset: i * w.PartSize, ObjectSize: up.Size,
		}, nil, plain)
		if err != nil {
			t.Fatal(err)
		}
		c := sealed.Chunk()
		if c.Ref, err = w.Blobs.Put(ctx, sealed); err != nil {
			t.Fatal(err)
		}
		stored := meta.Stored{Chunk: c, CRC32: crc32.ChecksumIEEE(plain), Leaves: chunk.Leaves(plain)}
		if err := w.Store.AddPart(ctx, up.ID, i, []meta.Stored{stored}); err != nil {
			t.Fatal(err)
		}
	}
	done, err := w.Store.FinishUpload(ctx, up.ID, meta.Finish{
		Conflict: meta.ConflictReplace, Hash: chunk.Root(chunk.Leaves(content)), CRC32: crc32.ChecksumIEEE(content),
	})
	if err != nil {
		t.Fatal(err)
	}
	return done.Entry
}

// Folder makes a folder at a path, with those above it.
func (w *World) Folder(t testing.TB, who policy.Principal, path string) cloud.Entry {
	t.Helper()
	e, _, err := w.FS.MakeFolders(t.Context(), who, cloud.Root, strings.Split(strings.TrimPrefix(path, "/"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func newObject() (id cloud.ObjectID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
