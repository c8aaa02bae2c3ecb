package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"strings"
	"time"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/client"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/tools/internal/rig"
)

// worker is one client with a folder of its own, and what it knows to be in it.
type worker struct {
	soak     *soak
	number   int
	user     int64  // id of its account
	account  string // of its account
	password string // of its programs, for WebDAV
	client   *rig.Client
	program  *client.Client // what others write programs with, the same user
	folder   string
	random   *rand.Rand
	files    tree // acknowledged
	trash    map[int64]trashed
	purged   map[int64]bool // of the trash, for good
	most     int64          // bytes that it may have, 0 for as many as it likes
	doubts   []*doubt
	next     uint64 // seed of the next content
}

const (
	// patience is how long one operation may take under faults.
	patience = 2 * time.Minute
	// filesMost is how many files a client keeps.
	filesMost = 14
)

// work does one thing after the other until it is told to stop. What has begun
// is ended.
func (w *worker) work(ctx context.Context, stop <-chan struct{}) {
	for ctx.Err() == nil {
		select {
		case <-stop:
			return
		default:
		}
		doing, cancel := context.WithTimeout(ctx, patience)
		w.step(doing)
		cancel()
	}
}

func (w *worker) step(ctx context.Context) {
	file := w.someFile()
	if w.files.files() >= filesMost {
		w.remove(ctx, file)
		return
	}
	switch roll := w.random.IntN(100); {
	case file == "", roll < 14:
		if p := w.somewhere(w.someFolder()); p != "" {
			w.write(ctx, "write", p)
		}
	case roll < 24:
		w.write(ctx, "overwrite", file)
	case roll < 26:
		w.collide(ctx, file)
	case roll < 31:
		w.remove(ctx, w.some(func(p string, _ *rig.Content) bool { return p != w.folder && w.free(p) }))
	case roll < 34:
		w.makeFolder(ctx)
	case roll < 41:
		w.move(ctx)
	case roll < 45:
		w.copy(ctx)
	case roll < 49:
		w.restore(ctx)
	case roll < 51:
		w.purge(ctx)
	case roll < 53:
		w.version(ctx, file)
	case roll < 55:
		w.lend(ctx, file)
	case roll < 57:
		w.link(ctx, file)
	case roll < 59:
		w.lock(ctx, file)
	case roll < 64:
		w.meddle(ctx)
	case roll < 68:
		w.fetch(ctx, file)
	case roll < 76:
		w.read(ctx, "read", file, 0, w.files[file].Size)
	default:
		size := w.files[file].Size
		off := w.random.Int64N(size + 1)
		w.read(ctx, "range", file, off, min(size-off, 1+w.random.Int64N(1<<20)))
	}
}

// name is one of some that a client gives to what it makes.
func (w *worker) name() string { return fmt.Sprintf("n %d", w.random.IntN(40)) }

// size draws from the sizes at which something changes, and from those between.
func (w *worker) size() int64 {
	part := chunk.PlainMax(attachmentLimit)
	edges := []int64{0, 1, chunk.Segment, part - 1, part, part + 1, 2 * part, 3*part + 500}
	switch w.random.IntN(3) {
	case 0:
		return edges[w.random.IntN(len(edges))]
	case 1:
		return w.random.Int64N(chunk.Segment)
	}
	return w.random.Int64N(4 * part)
}

func (w *worker) content() *rig.Content {
	w.next++
	return &rig.Content{Seed: w.soak.seed<<32 ^ uint64(w.random.Uint32())<<20 ^ w.next, Size: w.size()}
}

// change does what changes what is at some paths, and learns how it ended. Where
// the product itself is cut off and killed, an answer may be missing: then it is
// looked later which of both is true.
func (w *worker) change(ctx context.Context, d *doubt, do func(context.Context) error) {
	err := do(ctx)
	refused, said := errors.AsType[*rig.StatusError](err)
	_, rejected := errors.AsType[rig.Rejected](err)
	switch {
	case err == nil:
		w.soak.tally.did(d.kind, 0)
		w.end(d, true)
	case full(err):
		w.end(d, false)
		w.refusedRoom(ctx, d)
	case rejected:
		w.missed(d.kind, err)
		w.end(d, false)
	case said && refused.Status < 500:
		w.soak.tally.fail("%s of %s: %v", d.kind, w.folder, err)
		w.end(d, false)
	default:
		w.missed(d.kind, err)
		w.doubts = append(w.doubts, d)
	}
}

// full tells whether something was refused for want of room.
func full(err error) bool {
	rejected, _ := errors.AsType[rig.Rejected](err)
	return refusedWith(err, http.StatusInsufficientStorage) || strings.Contains(string(rejected), "there is no room for it")
}

// refusedRoom wants a refusal for want of room to be right, and makes some.
func (w *worker) refusedRoom(ctx context.Context, d *doubt) {
	w.soak.tally.did("no room", 0)
	space, err := w.space(ctx)
	switch {
	case err != nil:
		w.missed("space", err)
	case space.Quota.Used.Bytes+space.Quota.Reserved.Bytes+d.after.bytes() <= w.most:
		w.soak.tally.fail("%s of %d bytes is refused for want of room, and there is: %+v", d.kind, d.after.bytes(), space)
	}
	if len(w.trash) > 0 {
		w.purge(ctx)
	} else {
		w.remove(ctx, w.someFile())
	}
}

// missed is an operation that did not come to its end: the product's fault, unless
// it is cut off and killed.
func (w *worker) missed(kind string, err error) {
	if w.soak.trouble == nil {
		w.soak.tally.fail("%s: %v", kind, err)
	} else {
		w.soak.tally.missed(kind, err)
	}
}

// connected has the worker have a socket.
func (w *worker) connected(ctx context.Context) error {
	for !w.client.Connected() {
		w.client.Close()
		err := w.client.Connect(ctx)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

// write stores something new at a path: by packets, or by WebDAV.
func (w *worker) write(ctx context.Context, kind, p string) {
	data := w.content()
	d := w.doubted(kind, tree{p: data}, p)
	switch w.random.IntN(4) {
	case 0:
		d.kind += " by WebDAV"
		w.change(ctx, d, func(ctx context.Context) error { return w.put(ctx, p, data) })
	case 1:
		d.kind += " by the command line"
		w.change(ctx, d, func(ctx context.Context) error { return w.send(ctx, p, data) })
	default:
		w.change(ctx, d, func(ctx context.Context) error { return w.upload(ctx, d, p, data) })
	}
}

// send is what the command line does, which goes on by itself.
func (w *worker) send(ctx context.Context, p string, data *rig.Content) error {
	folder, name := path.Split(p)
	_, err := w.program.Upload(ctx, client.File{
		Folder: path.Clean(folder), Name: name, Content: data, Size: data.Size, ModifiedAt: time.Now(), Conflict: client.Overwrite,
	}, func(int64) {})
	if errors.Is(err, cloud.ErrFull) {
		return rig.Rejected(cloud.TextOf(err))
	}
	return err
}

// fetch is what the command line does: all of a file, by its hash, having some of it.
func (w *worker) fetch(ctx context.Context, p string) {
	data := w.files[p]
	had := w.random.Int64N(data.Size + 1)
	e, err := w.program.Lookup(ctx, p)
	if err == nil {
		err = w.program.Download(ctx, e, data.Reader(0, had), data.Check(had), func(int64) {})
	}
	if err != nil && w.excused(err) && !errors.Is(err, cloud.ErrCorrupt) {
		w.missed("get", err)
		return
	}
	w.soak.tally.did("get", data.Size-had)
	if err != nil {
		w.soak.tally.fail("get of %d bytes, of which it has %d: %v", data.Size, had, err)
	}
}

// upload is what a page does: it goes on with what was interrupted, most of the
// time.
func (w *worker) upload(ctx context.Context, d *doubt, p string, data *rig.Content) error {
	if err := w.connected(ctx); err != nil {
		return rig.Rejected(err.Error()) // nothing was asked for
	}
	folder, name := path.Split(p)
	r, err := w.client.Begin(ctx, path.Clean(folder), name, data.Size, packet.ConflictOverwrite)
	if err != nil {
		if data.Size > 0 {
			return rig.Rejected(err.Error()) // nothing of it was sent
		}
		return err
	}
	d.upload, d.data = r.UploadID, *data
	parts := rig.Missing(r, *data)
	if len(parts) > 1 && w.soak.trouble != nil && w.random.IntN(10) == 0 {
		_ = w.client.Send(ctx, r, *data, parts[1:]) // so far, or not so far
		return errors.New("left for later")
	}
	err = w.client.Send(ctx, r, *data, parts)
	if err == nil {
		_, err = w.client.Outcome(ctx, r)
	}
	for range 3 {
		if err == nil || w.soak.trouble == nil || w.random.IntN(4) == 0 {
			break
		}
		err = w.resume(ctx, d)
	}
	if err != nil {
		return fmt.Errorf("%v", err) // also of what was rejected it is not known whether it came to its end before
	}
	return nil
}

// resume goes on with an upload until it ends.
func (w *worker) resume(ctx context.Context, d *doubt) error {
	if err := w.connected(ctx); err != nil {
		return err
	}
	r, err := w.client.Resume(ctx, d.upload)
	if err != nil {
		return err
	}
	w.soak.tally.did("resume", 0)
	if err := w.client.Send(ctx, r, d.data, rig.Missing(r, d.data)); err != nil {
		return err
	}
	_, err = w.client.Outcome(ctx, r)
	return err
}

// collide uploads to a name that is taken, and wants to be refused.
func (w *worker) collide(ctx context.Context, p string) {
	if err := w.connected(ctx); err != nil {
		return
	}
	data := w.content()
	folder, name := path.Split(p)
	r, err := w.client.Begin(ctx, path.Clean(folder), name, data.Size, packet.ConflictFail)
	if err == nil {
		if err = w.client.Send(ctx, r, *data, rig.Missing(r, *data)); err == nil {
			_, err = w.client.Outcome(ctx, r)
		}
	}
	if err == nil {
		w.soak.tally.fail("an upload that was to fail took the place of a file")
		return
	}
	if _, rejected := errors.AsType[rig.Rejected](err); !rejected {
		w.missed("collide", err)
		return
	}
	w.soak.tally.did("collide", 0)
}

// read reads a range and compares it.
func (w *worker) read(ctx context.Context, kind, p string, off, n int64) {
	data := w.files[p]
	got, err := w.compare(ctx, p, *data, off, n)
	if err != nil && w.excused(err) {
		w.missed(kind, err)
		return
	}
	w.soak.tally.did(kind, got)
	if err != nil {
		w.soak.tally.fail("%s of %d bytes from %d of %d: %v", kind, n, off, data.Size, err)
	}
}

// excused tells whether what has failed was cut off: what is refused, or differs,
// is nobody else's fault.
func (w *worker) excused(err error) bool {
	_, differs := errors.AsType[*rig.ErrDiffers](err)
	_, wrong := errors.AsType[*wrongError](err)
	refused, said := errors.AsType[*rig.StatusError](err)
	return w.soak.trouble != nil && !differs && !wrong && !(said && refused.Status < 500)
}

// wrongError is an answer that ends well and is not right.
type wrongError struct{ error }

func wrong(format string, args ...any) error { return &wrongError{fmt.Errorf(format, args...)} }

// compare reads n bytes of a file from off on and holds them to its content; it
// gives how many were right. A response that ends early has not ended cleanly,
// and is an error all the same: what Discord does must not show.
func (w *worker) compare(ctx context.Context, p string, data rig.Content, off, n int64) (int64, error) {
	e, err := w.client.Lookup(ctx, p)
	if err != nil {
		return 0, fmt.Errorf("look up: %w", err)
	}
	if e.Size != data.Size {
		return 0, wrong("it has %d bytes, not %d", e.Size, data.Size)
	}
	return compare(ctx, w.client, e.Path(), data, off, n)
}

func compare(ctx context.Context, c *rig.Client, content string, data rig.Content, off, n int64) (int64, error) {
	ranges := ""
	if off > 0 || n < data.Size {
		if n == 0 {
			return 0, nil // HTTP cannot ask for that
		}
		ranges = fmt.Sprintf("bytes=%d-%d", off, off+n-1)
	}
	answer, err := c.Get(ctx, content, ranges)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	if ranges != "" && answer.StatusCode != http.StatusPartialContent {
		return 0, wrong("status %d to a range", answer.StatusCode)
	}
	got, err := io.Copy(data.Check(off), answer.Body)
	if err == nil && got != n {
		err = wrong("ends cleanly after %d bytes", got)
	}
	return got, err
}
