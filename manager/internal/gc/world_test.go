package gc_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/manager/internal/gc"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/discordblob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/object"
	"discordcloud/pkg/retry"
	"discordcloud/pkg/sandbox"
)

const grace = 24 * time.Hour

// world is a real database and a real store in a sandbox, with a clock that is
// put forward.
type world struct {
	*testing.T
	c       *gc.Collector
	db      *sqlmeta.Store
	blobs   *discordblob.Store
	sandbox *sandbox.Server
	source  *object.Source
	ring    crypt.Ring
	ahead   atomic.Int64 // of the clock
	user    cloud.UserID
}

func open(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, ring: crypt.Ring{{7}}}
	var err error
	if w.sandbox, err = sandbox.Open(sandbox.Config{Dir: t.TempDir(), NoSync: true, Channels: 2, Mode: sandbox.Off}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.sandbox.Close() })
	if _, err := w.sandbox.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	w.blobs = w.store(w.sandbox.Token())
	if w.db, err = sqlmeta.Open(t.Context(), sqlmeta.Options{Path: filepath.Join(t.TempDir(), "world.db"), Now: w.now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if faults, err := w.db.Check(t.Context()); t.Context().Err() == nil && (err != nil || len(faults) > 0) {
			t.Errorf("Check = %v, %v", faults, err)
		}
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.source = &object.Source{Blobs: w.blobs, Chunks: w.db, Key: object.RingKeys(w.ring), Retries: -1}
	w.c = &gc.Collector{
		Store: w.db, Messages: w.blobs, Channels: w.sandbox.Channels(), Grace: grace, Daily: 10_000,
		Now: w.now, Log: slog.New(slog.DiscardHandler),
	}
	u, err := w.db.CreateUser(t.Context(), "ann", "no password", false, false)
	if err != nil {
		t.Fatal(err)
	}
	w.user = u.ID
	return w
}

func (w *world) store(token string) *discordblob.Store {
	w.Helper()
	client, err := discord.New(discord.Options{
		Token: token, APIURL: w.sandbox.URL() + "/api/v10", CDNURL: w.sandbox.URL(), PerSecond: 1000,
		Retry: retry.Policy{Tries: 2, First: time.Millisecond, Most: time.Millisecond, Longest: time.Second},
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(client.Close)
	s, err := discordblob.New(discordblob.Options{Client: client, Channels: w.sandbox.Channels(), Lag: time.Millisecond})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = s.Close() })
	return s
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) }

func (w *world) pass(d time.Duration) { w.ahead.Add(int64(d)) }

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// post puts a sealed chunk into Discord, and nothing into the database.
func (w *world) post(id cloud.ObjectID, plain []byte) cloud.Chunk {
	w.Helper()
	sealed, err := crypt.Seal(w.ring.ObjectKey(id), id, crypt.Header{Final: true, ObjectSize: int64(len(plain))}, nil, plain)
	w.ok(err)
	c := sealed.Chunk()
	c.Ref, err = w.blobs.Put(w.Context(), sealed)
	w.ok(err)
	return c
}

func newObject() (id cloud.ObjectID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// put uploads a file of one chunk, over one that is there.
func (w *world) put(name string, plain []byte) cloud.Entry {
	w.Helper()
	id := newObject()
	return w.record(name, id, w.post(id, plain), plain)
}

// record makes a file of a chunk that lies in Discord.
func (w *world) record(name string, id cloud.ObjectID, c cloud.Chunk, plain []byte) cloud.Entry {
	w.Helper()
	up := meta.Upload{
		ID: cloud.UploadID(fmt.Sprintf("00000000-0000-4000-8000-%x", id[:6])), User: w.user, Object: id, Name: name,
		Size: int64(len(plain)), PartSize: 1 << 20, OnConflict: "replace", Type: "text/plain",
	}
	w.ok(w.db.CreateUpload(w.Context(), up))
	sum := crc32.ChecksumIEEE(plain)
	w.ok(w.db.AddPart(w.Context(), up.ID, 0, []meta.Stored{{Chunk: c, CRC32: sum, Leaves: chunk.Leaves(plain)}}))
	done, err := w.db.FinishUpload(w.Context(), up.ID, meta.Finish{Conflict: meta.ConflictReplace, Hash: chunk.Root(chunk.Leaves(plain)), CRC32: sum})
	w.ok(err)
	return done.Entry
}

func (w *world) delete(all ...cloud.Entry) {
	w.Helper()
	var ids []cloud.EntryID
	for _, e := range all {
		ids = append(ids, e.ID)
	}
	_, err := w.db.Delete(w.Context(), ids, nil)
	w.ok(err)
}

func (w *world) collect() {
	w.Helper()
	w.ok(w.c.Collect(w.Context()))
}

// messages counts what is in the channels, whoever posted it.
func (w *world) messages() int {
	w.Helper()
	all, err := w.sandbox.Attachments()
	w.ok(err)
	seen := map[string]bool{}
	for _, a := range all {
		seen[a.MessageID] = true
	}
	return len(seen)
}

// reads checks that an object is whole.
func (w *world) reads(id cloud.ObjectID, plain []byte) {
	w.Helper()
	r, err := w.source.Open(w.Context(), id, int64(len(plain)), 0, -1)
	w.ok(err)
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, plain) {
		w.Errorf("object %s reads as %d bytes, %v, want %d", id, len(got), err, len(plain))
	}
}

func pattern(n int) []byte { return blobtest.Pattern(n) }
