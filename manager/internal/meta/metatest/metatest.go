// Package metatest is the contract of meta.Store as tests. Every implementation
// runs it; what is special to one (files, locks, migrations) it tests itself.
package metatest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// Open opens the store that belongs to dir, an empty one the first time. It
// fails the test itself. The store is closed before dir is opened again.
type Open func(t testing.TB, dir string) meta.Store

// Run holds a store to the contract. After each test the store's own Check must
// find nothing.
func Run(t *testing.T, open Open) {
	for _, group := range []struct {
		name  string
		cases []testcase
	}{
		{"Accounts", accounts}, {"Standing", standings}, {"Tree", tree}, {"List", listings}, {"Search", searches}, {"Star", stars}, {"Move", moves}, {"Delete", deletes},
		{"Share", sharing}, {"Grant", grants}, {"Audit", audits}, {"Quota", quotas}, {"ServiceStanding", serviceStandings}, {"Activity", activities}, {"Copy", copies}, {"Upload", uploads}, {"Finish", finishes}, {"Race", races}, {"Store", stores},
		{"Trash", trashes}, {"Version", versions}, {"Collection", collections}, {"AppPassword", appPasswords}, {"Property", properties}, {"Lock", locks},
		{"Link", links}, {"Factor", factors}, {"Invitation", invitations}, {"Reach", reaches}, {"Peer", peers}, {"Guess", guesses}, {"Ticket", tickets},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) {
					f := newFixture(t, open)
					c.run(f)
					f.sound()
				})
			}
		})
	}
}

type testcase struct {
	name string
	run  func(f *fixture)
}

// fixture is an open store and what tests do with it most.
type fixture struct {
	testing.TB
	meta.Store
	ctx  context.Context
	open Open
	dir  string
	last uint64 // number of the last id made up
}

func newFixture(t testing.TB, open Open) *fixture {
	f := &fixture{TB: t, ctx: t.Context(), open: open, dir: t.TempDir()}
	f.Store = open(t, f.dir)
	t.Cleanup(func() {
		if err := f.Store.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return f
}

// reopen closes the store and opens it again.
func (f *fixture) reopen() {
	f.Helper()
	f.ok(f.Store.Close())
	f.Store = f.open(f, f.dir)
}

// sound fails the test if the store finds faults in itself.
func (f *fixture) sound() {
	f.Helper()
	faults, err := f.Check(f.ctx)
	if err != nil || len(faults) > 0 {
		f.Errorf("Check = %v, %v; want no faults", faults, err)
	}
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatalf("unexpected error: %v", err)
	}
}

// is checks the kind of an error.
func (f *fixture) is(err, kind error) {
	f.Helper()
	if !errors.Is(err, kind) {
		f.Errorf("error is %v, want %v", err, kind)
	}
}

// same compares deeply.
func (f *fixture) same(what string, got, want any) {
	f.Helper()
	if !reflect.DeepEqual(got, want) {
		f.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// must gives the value of a call that may not fail: must(call())(f).
func must[T any](v T, err error) func(*fixture) T {
	return func(f *fixture) T {
		f.Helper()
		f.ok(err)
		return v
	}
}

func (f *fixture) number() uint64 {
	f.last++
	return f.last
}

func (f *fixture) user(name string) cloud.UserID {
	f.Helper()
	return must(f.CreateUser(f.ctx, name, "secret of "+name, false, false))(f).ID
}

// folders makes the folders of a path like "a/b".
func (f *fixture) folders(owner cloud.UserID, path string) cloud.Entry {
	f.Helper()
	last, _, err := f.MakeFolders(f.ctx, cloud.Root, strings.Split(path, "/"), owner)
	f.ok(err)
	return last
}

// file uploads a public file of a path like "a/b.txt", in parts of 100 bytes.
func (f *fixture) file(owner cloud.UserID, path string, size int64) cloud.Entry {
	f.Helper()
	return f.fileOf(owner, path, size, func(*meta.Upload) {})
}

func (f *fixture) fileOf(owner cloud.UserID, path string, size int64, edit func(*meta.Upload)) cloud.Entry {
	f.Helper()
	u := f.upload(owner, path, size)
	u.Public = true
	edit(&u)
	f.begin(u)
	f.fill(u)
	return must(f.FinishUpload(f.ctx, u.ID, finish(meta.ConflictFail)))(f).Entry
}

// private uploads a file that is not public.
func (f *fixture) private(owner cloud.UserID, path string, size int64) cloud.Entry {
	f.Helper()
	return f.fileOf(owner, path, size, func(u *meta.Upload) { u.Public = false })
}

func (f *fixture) share(s cloud.Share) error {
	_, err := f.SetShare(f.ctx, s)
	return err
}

// upload makes up an upload, which is not stored yet.
func (f *fixture) upload(user cloud.UserID, path string, size int64) meta.Upload {
	folder := strings.Split(path, "/")
	name := folder[len(folder)-1]
	if folder = folder[:len(folder)-1]; len(folder) == 0 {
		folder = nil
	}
	n := f.number()
	u := meta.Upload{
		ID: cloud.UploadID(fmt.Sprintf("00000000-0000-4000-8000-%012x", n)), User: user,
		Folder: folder, Name: name, Size: size, PartSize: 100, OnConflict: "ask", Type: "text/plain",
	}
	binary.BigEndian.PutUint64(u.Object[8:], n)
	return u
}

func (f *fixture) begin(u meta.Upload) {
	f.Helper()
	f.ok(f.CreateUpload(f.ctx, u))
}

// fill stores all parts of an upload.
func (f *fixture) fill(u meta.Upload) {
	f.Helper()
	for part := range max(1, u.Parts()) {
		f.ok(f.AddPart(f.ctx, u.ID, part, chunksOf(u, part)))
	}
}

// chunksOf is a part of an upload as one chunk, of fields that tell it from
// every other one.
func chunksOf(u meta.Upload, part int64) []meta.Stored {
	off := part * u.PartSize
	size := min(u.PartSize, u.Size-off)
	return []meta.Stored{chunkAt(u, int(part), off, size)}
}

func chunkAt(u meta.Upload, index int, off, size int64) meta.Stored {
	mark := fmt.Sprintf("%s %d", u.Object, index)
	c := meta.Stored{
		Chunk: cloud.Chunk{
			Index: index, Offset: off, Size: size, SealedSize: size + 160,
			Ref: cloud.Ref{Channel: "1", Message: "2" + mark, Attachment: "3" + mark, Path: "/attachments/" + mark},
		},
		CRC32:  crc32.ChecksumIEEE([]byte(mark)),
		Leaves: []cloud.Sum{{1, byte(index)}, {2, byte(index)}},
	}
	if index == 0 {
		c.Ext, c.SealedSize = 528, c.SealedSize+528
	}
	copy(c.Salt[:], bytes.Repeat([]byte(mark), 2))
	copy(c.Header[:], bytes.Repeat([]byte(mark), 3))
	return c
}

// finish is a Finish with sums.
func finish(on meta.Conflict) meta.Finish {
	return meta.Finish{Conflict: on, Hash: cloud.Sum{7}, SHA256: cloud.Sum{8}, CRC32: 9}
}

// all lists a folder, for everyone's eyes, in order of name.
func (f *fixture) all(parent cloud.EntryID) []cloud.Entry {
	f.Helper()
	return must(f.List(f.ctx, meta.Query{Parent: parent, Viewer: meta.AnyViewer, Limit: 1000}))(f).Entries
}

func names(entries []cloud.Entry) []string {
	var all []string
	for _, e := range entries {
		all = append(all, e.Name)
	}
	return all
}

// at is a moment that a store keeps exactly: whole microseconds, UTC.
func at(hours int) time.Time {
	return time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC).Add(time.Duration(hours) * time.Hour)
}

// long is a text of n bytes.
func long(n int) string { return strings.Repeat("x", n) }

var errVeto = errors.New("metatest: not allowed")

// veto is an Allow that refuses one entry.
func veto(id cloud.EntryID) meta.Allow {
	return func(e cloud.Entry) error {
		if e.ID == id {
			return errVeto
		}
		return nil
	}
}
