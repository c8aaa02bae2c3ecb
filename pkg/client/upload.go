package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"path"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/pkg/retry"
)

// partsAtOnce is how many parts of one file are sent at once.
const partsAtOnce = 3

// File is what Upload sends.
type File struct {
	Folder     string // its path on the server; made if it is missing
	Name       string
	Content    io.ReaderAt // read by several goroutines, and once more for its hash
	Size       int64       // in bytes
	ModifiedAt time.Time
	Public     bool   // every user of the server may read it
	Conflict   string // Fail, Overwrite, Rename or Skip
	// Resume is the id of an unfinished upload of the same name and size that it
	// goes on with, "" for none. If that was another file, it begins anew.
	Resume string
}

// Upload stores a file, and returns when the server has acknowledged it, with
// the name it was stored under. moved is told how many bytes more have been
// sent, or fewer if they have to be sent again; by several goroutines.
// ErrExists if the name is taken, with Skip as well as with Fail.
//
// When it ends early, what was stored is kept for a day, and is one of Unfinished.
func (c *Client) Upload(ctx context.Context, f File, moved func(int64)) (string, error) {
	defer c.use()()
	u := &upload{c: c, f: f, id: f.Resume, inherited: f.Resume != "", moved: moved, hashed: make(chan struct{})}
	hashing, cancel := context.WithCancel(ctx)
	go u.hash(hashing)
	defer func() { cancel(); <-u.hashed }()
	var name string
	err := c.persist(ctx, func() (bool, error) {
		before := u.confirmed.Load()
		var err error
		name, err = u.try(ctx)
		if err != nil {
			err = u.afresh(err)
		}
		return u.confirmed.Load() > before, err
	})
	if err != nil {
		u.leave(err)
		u.show(0)
		return "", err
	}
	u.show(f.Size) // the server may have been quicker than the answer to a part
	return name, nil
}

// upload is a file on its way.
type upload struct {
	c         *Client
	f         File
	id        string  // "" before the server has given it one, and after it has told the end
	last      *socket // that it was on
	inherited bool    // of an earlier run, of which the name and the size are known alone
	moved     func(int64)
	shown     atomic.Int64 // bytes of which moved was told
	confirmed atomic.Int64 // parts, in all attempts

	hashed chan struct{} // closed when sum and broken are set
	sum    cloud.Sum
	broken error
}

// hash reads the whole file.
func (u *upload) hash(ctx context.Context) {
	defer close(u.hashed)
	var tree chunk.Tree
	n, err := io.CopyBuffer(&tree, &untilDone{ctx, io.NewSectionReader(u.f.Content, 0, u.f.Size)}, make([]byte, chunk.Leaf))
	if err == nil && n != u.f.Size {
		err = errChanged
	}
	u.sum, u.broken = tree.Root(), err
}

// errChanged is a file that is not any more what it was.
var errChanged = cloud.UserErrorf(cloud.ErrInvalid, "the file was changed while it was being sent")

// untilDone is a reader that ends with a context.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (r *untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// afresh gives up the upload on the server where another one may do better: it is
// gone there, or an earlier run has begun it with another file.
func (u *upload) afresh(err error) error {
	gone, ok := errors.AsType[*goneError](err)
	other := u.inherited && errors.Is(err, cloud.ErrCorrupt)
	if !ok && !other {
		return err
	}
	if ok {
		err = gone.err
	}
	if u.inherited = false; other || u.id != "" {
		u.id = ""
		return fmt.Errorf("%w: %w", cloud.ErrUnavailable, err)
	}
	return err
}

// leave gives the server its place back: what is stored waits for another run,
// unless that could not do better.
func (u *upload) leave(err error) {
	if u.id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var ask packet.Packet = packet.UploadAbortRequest{UploadID: u.id}
	if retry.Worth(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		ask = packet.UploadPause{UploadID: u.id}
	}
	_, _ = u.last.conn.Call(ctx, ask) // without an answer the server gives it up by itself
}

// goneError is of an upload that the server has given up.
type goneError struct{ err error }

func (e *goneError) Error() string { return e.err.Error() }
func (e *goneError) Unwrap() error { return e.err }

// show tells how many bytes of the file are there now.
func (u *upload) show(now int64) { u.moved(now - u.shown.Swap(now)) }

func (u *upload) move(by int64) {
	u.shown.Add(by)
	u.moved(by)
}

// try is one attempt on one socket: the whole way, or until something breaks.
func (u *upload) try(ctx context.Context) (string, error) {
	s, err := u.place(ctx)
	if err != nil {
		return "", err
	}
	u.last = s
	if u.f.Size > 0 {
		defer u.c.places.give()
	}
	r, err := u.begin(ctx, s)
	if err != nil {
		return "", err
	}
	news := s.of(r.UploadID)
	defer s.done(r.UploadID)
	sending, cancel := context.WithCancel(ctx)
	sent := make(chan error, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		sent <- u.send(sending, s, r)
	}()
	defer func() { cancel(); <-over }()
	for {
		select {
		case p := <-news:
			return u.outcome(p)
		case err := <-sent:
			if err == nil {
				continue // what becomes of it is told
			}
			select { // by the server, if it knows better
			case p := <-news:
				return u.outcome(p)
			default:
			}
			if _, ok := errors.AsType[*refusedError](err); ok {
				err = fmt.Errorf("%w: %w", cloud.ErrUnavailable, err)
			}
			return "", err
		case <-s.ended:
			return "", fmt.Errorf("%w: the connection to the server was lost", cloud.ErrUnavailable)
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// place is the socket, with room on the server for the file.
func (u *upload) place(ctx context.Context) (*socket, error) {
	for {
		s, err := u.c.connected(ctx)
		if err != nil || u.f.Size == 0 { // which the manager stores by itself
			return s, err
		}
		if ok, err := u.c.places.take(ctx, s.ended); ok || err != nil {
			return s, err
		}
	}
}

// begin asks for the upload, or to go on with it.
func (u *upload) begin(ctx context.Context, s *socket) (packet.UploadResponse, error) {
	var ask packet.Packet = packet.UploadResume{UploadID: u.id}
	if u.id == "" {
		at := u.f.ModifiedAt.UnixMilli()
		ask = packet.UploadRequest{
			Name: u.f.Name, Path: u.f.Folder, Size: u.f.Size, IsPublic: u.f.Public,
			Conflict: u.f.Conflict, ModifiedAt: &at, Type: mime.TypeByExtension(path.Ext(u.f.Name)),
		}
	}
	reply, err := s.conn.Call(ctx, ask)
	if err != nil {
		return packet.UploadResponse{}, err
	}
	r, ok := reply.(packet.UploadResponse)
	if !ok {
		return r, fmt.Errorf("%w: answered by %s", cloud.ErrInvalid, reply.PacketID())
	}
	if !r.Accepted {
		err := packet.Error{Code: r.RejectionCode, Message: r.RejectionReason}.Err()
		if u.id != "" && (errors.Is(err, cloud.ErrNotFound) || errors.Is(err, cloud.ErrInvalid)) {
			err = &goneError{err}
		}
		return r, err
	}
	u.id = r.UploadID
	return r, nil
}

// outcome is what the server told.
func (u *upload) outcome(p packet.Packet) (string, error) {
	switch p := p.(type) {
	case packet.UploadFinishInfo:
		switch {
		case p.Success && p.RenameTarget != "":
			return p.RenameTarget, nil
		case p.Success:
			return u.f.Name, nil
		}
		u.id = ""
		return "", packet.Error{Code: p.Code, Message: p.Reason}.Err()
	case packet.UploadInterrupted:
		if p.Code == cloud.CodeOf(cloud.ErrFull) {
			return "", cloud.UserErrorf(cloud.ErrFull, "%s", p.Reason)
		}
		return "", cloud.UserErrorf(cloud.ErrUnavailable, "%s", p.Reason)
	}
	return "", fmt.Errorf("%w: told by %s", cloud.ErrInvalid, p.PacketID())
}

// send sends the parts that are missing. The server is told the hash of the
// whole before the last of them.
func (u *upload) send(ctx context.Context, s *socket, r packet.UploadResponse) error {
	parts := missing(partCount(u.f.Size, r.ChunkSize), r.Confirmed)
	open := int64(0)
	for _, i := range parts {
		open += min(r.ChunkSize, u.f.Size-i*r.ChunkSize)
	}
	u.show(u.f.Size - open)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for n, i := range parts {
		if n == len(parts)-1 {
			if err := u.vouch(ctx, s); err != nil {
				return errors.Join(group.Wait(), err)
			}
		}
		group.Go(func() error {
			select {
			case u.c.parts <- struct{}{}:
				defer func() { <-u.c.parts }()
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			err := u.sendPart(ctx, r, i)
			if err == nil {
				u.confirmed.Add(1)
			}
			return err
		})
	}
	return group.Wait()
}

// vouch tells the server what the parts have to make up.
func (u *upload) vouch(ctx context.Context, s *socket) error {
	select {
	case <-u.hashed:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if u.broken != nil {
		return u.broken
	}
	_, err := s.conn.Call(ctx, packet.UploadHash{UploadID: u.id, Hash: u.sum.String()})
	if errors.Is(err, cloud.ErrNotFound) {
		return fmt.Errorf("%w: %w", cloud.ErrUnavailable, err) // it was interrupted this moment
	}
	return err
}

func partCount(size, part int64) int64 { return (size + part - 1) / part }

// missing are the parts of n that are in none of the ranges.
func missing(n int64, confirmed []packet.Range) []int64 {
	has := make(map[int64]bool)
	for _, r := range confirmed {
		for i := max(r[0], 0); i <= min(r[1], n-1); i++ {
			has[i] = true
		}
	}
	var parts []int64
	for i := range n {
		if !has[i] {
			parts = append(parts, i)
		}
	}
	return parts
}
