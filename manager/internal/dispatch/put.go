package dispatch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// A Put is an upload whose bytes pass through the manager, one after the other:
// of doors that know nothing of services, as WebDAV. To services the manager is
// one client more, with a slot of its own; the bytes go on as they come, part by
// part, and are held by the service alone.
//
// What is not longer than smallFile the manager stores itself: to open and to
// close an upload on a service would cost more than the file, and its chunks
// travel together with those of others.

// PutRequest is a file to be put.
type PutRequest struct {
	Folder     []string // clean; its last levels may be missing
	Name       string   // clean
	Size       int64    // -1 if it is not known
	Public     bool
	Conflict   meta.Conflict
	Type       string    // MIME type, a hint
	ModifiedAt time.Time // zero is now
	Body       io.Reader
	// Stop, if it is set, is called once nobody wants the rest of the body, from
	// any goroutine: a Read under way, and each after it, has to fail soon.
	Stop func()
	Sums Sums // what the content must come to
	// Got, if it is set, gets all sums of the content once it is stored.
	Got *Sums
	// Ready, if it is set, is asked once all bytes are stored, before anything
	// changes, perhaps several times: an error, which is handed on, leaves all as it was.
	Ready func(context.Context) error
	// Allow, if it is set, is asked beside the policy about the file that would be
	// replaced, in the transaction.
	Allow meta.Allow
}

const (
	// smallFile is the length of files that need no service, in bytes.
	smallFile = 64 << 10
	// smallFiles is how many of them are in memory at once.
	smallFiles = 64
	// partsAhead is how many parts of one Put are on their way at once: while one
	// is stored, the next comes in.
	partsAhead = 3
	readBuffer = 64 << 10
)

// ErrBody marks what went wrong in reading the body of a Put.
var ErrBody = errors.New("body")

// Put stores a file. It waits for a free slot, reading nothing meanwhile, and
// takes the bytes at the pace at which they are stored. If it fails, nothing has
// changed but chunks that have become garbage. ErrExists if the name is taken
// and the conflict is ConflictFail, ErrInvalid if a sum is another one than
// asked for, ErrUnavailable, which is worth another try, if no slot became free
// or a service failed. The entry tells whether it was there before by Replaced.
func (d *Dispatcher) Put(ctx context.Context, who policy.Principal, q PutRequest) (meta.Finished, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := d.newPutter(who)
	defer c.Close(context.WithoutCancel(ctx))
	if q.Stop == nil {
		q.Stop = func() {}
	}
	defer context.AfterFunc(ctx, q.Stop)()
	p := &put{request: q, body: newSumReader(q.Body, q.Sums, q.Got != nil), done: make(chan putResult, 1)}
	defer p.body.wait()

	head, whole, err := d.readSmall(ctx, q.Size, p.body)
	if err != nil {
		return meta.Finished{}, err
	}
	if head != nil {
		defer d.small.Release(1)
	}
	size := q.Size
	if whole {
		size = int64(len(head))
	}
	u, err := c.prepare(Request{
		Folder: q.Folder, Name: q.Name, WrittenName: q.Name, Size: size, Public: q.Public, open: true,
		Conflict: wireConflict(q.Conflict), Type: q.Type, ModifiedAt: q.ModifiedAt,
	})
	if err != nil {
		return meta.Finished{}, err
	}
	u.put = p
	if whole {
		return d.putSmall(ctx, c, u, head)
	}
	return d.putParts(ctx, c, u, io.MultiReader(bytes.NewReader(head), p.body))
}

// newPutter is a client that hears of nothing, for one upload. It is one of
// version 1 in this: nobody goes on with its upload when it has gone.
func (d *Dispatcher) newPutter(who policy.Principal) *Client {
	c := &Client{d: d, ClientOptions: ClientOptions{
		Who: who, Version: packet.V1,
		Send:    func(packet.Packet) {}, // it hears of its upload by put.settle
		Address: func(s string) string { return s },
		Shown:   func(e cloud.Entry) string { return e.Name },
	}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.joined++
	c.holder = &holder{joined: d.joined, change: func(int) {}}
	d.clients[c] = struct{}{}
	d.pool.join(c.holder)
	return c
}

func wireConflict(on meta.Conflict) string {
	switch on {
	case meta.ConflictReplace:
		return packet.ConflictOverwrite
	case meta.ConflictRename:
		return packet.ConflictRename
	}
	return packet.ConflictFail
}

// readSmall reads a body that is small, or the front of one that may be. whole
// tells that it has ended. Unless head is nil, there is one place less for small
// files, which the caller gives back.
func (d *Dispatcher) readSmall(ctx context.Context, size int64, body *sumReader) (head []byte, whole bool, err error) {
	if size > smallFile {
		return nil, false, nil
	}
	if err := d.small.Acquire(ctx, 1); err != nil {
		return nil, false, err
	}
	defer func() {
		if head == nil {
			d.small.Release(1)
		}
	}()
	most := size
	if size < 0 {
		most = smallFile + 1
	}
	head = make([]byte, most)
	n, err := io.ReadFull(body, head)
	switch {
	case err == nil && size < 0:
		return head, false, nil
	case err == nil, size < 0 && (err == io.EOF || err == io.ErrUnexpectedEOF && body.ended()):
		return head[:n], true, nil
	}
	return nil, false, fmt.Errorf("%w: %w", ErrBody, unexpected(err))
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// putSmall stores a file in one chunk of the manager's own.
func (d *Dispatcher) putSmall(ctx context.Context, c *Client, u *upload, plain []byte) (meta.Finished, error) {
	u.kind = sniff(plain)
	if err := c.create(ctx, u); err != nil {
		return meta.Finished{}, err
	}
	err := d.storeWhole(ctx, u, plain)
	var f meta.Finish
	if err == nil {
		f, err = d.sum(ctx, u)
	}
	if err == nil {
		// From here on it is done, whether its client waits for it or not.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), concludeTime)
		defer cancel()
		var done finished
		if done, err = d.finish(ctx, c.Who, u, u.OnConflict, f); err == nil {
			d.publish(done)
			return done.Finished, nil
		}
		err = conflictError(u.OnConflict, err)
	}
	d.record(ctx, u.ID, meta.UploadFailed, cloud.TextOf(err))
	return meta.Finished{}, err
}

// putParts sends a file to a service, part by part.
func (d *Dispatcher) putParts(ctx context.Context, c *Client, u *upload, body io.Reader) (meta.Finished, error) {
	r := c.Reserve()
	d.mu.Lock()
	if len(d.pool.slots) > 0 {
		r.wait = d.PutWait
	}
	d.mu.Unlock()
	var address string
	err := c.begin(ctx, r, u, func(p packet.UploadResponse) { address = p.UploadAddress })
	if err != nil {
		return meta.Finished{}, err
	}
	if len(address) > 0 && address[0] == '/' {
		address = d.SelfURL + address
	}
	if err := d.sendParts(ctx, u, address, body); err != nil {
		// What ended the upload says more than what it did to a part.
		select {
		case r := <-u.put.done:
			return r.Finished, r.err
		default:
		}
		if ctx.Err() != nil { // which stopped the body, too
			return meta.Finished{}, context.Cause(ctx)
		}
		return meta.Finished{}, err
	}
	timeout := time.NewTimer(concludeTime + 10*time.Second)
	defer timeout.Stop()
	select {
	case r := <-u.put.done:
		return r.Finished, r.err
	case <-timeout.C:
		return meta.Finished{}, fmt.Errorf("put: %w: no outcome", cloud.ErrUnavailable)
	}
}

// newPartClient is an HTTP client for services. A part takes as long as its
// bytes take to come, so there is no time limit but theirs and the service's.
func newPartClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     time.Minute, // less than any service's
			WriteBufferSize:     readBuffer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (d *Dispatcher) sendParts(ctx context.Context, u *upload, address string, body io.Reader) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(partsAhead)
	src := bufio.NewReaderSize(body, readBuffer)
	size := u.put.size(u)
	for part := int64(0); ; part++ {
		form := newPartForm(u.ID, part, src)
		form.left, form.size = u.PartSize, u.PartSize
		if size >= 0 {
			form.left = min(u.PartSize, size-part*u.PartSize)
			form.size = form.left
			form.known = true
		}
		group.Go(func() error { return d.post(ctx, address, form) })
		select {
		case <-form.read:
		case <-ctx.Done():
			// A part failed, or the client left. Who still reads the body reads what
			// nobody else looks at any more.
			return group.Wait()
		}
		if form.bodyError() != nil || form.last || size >= 0 && (part+1)*u.PartSize >= size {
			return group.Wait()
		}
	}
}

// post sends one part. Errors that the body gave are wrapped around ErrBody.
func (d *Dispatcher) post(ctx context.Context, address string, form *partForm) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, form)
	if err != nil {
		return fmt.Errorf("address of a service: %w: %w", cloud.ErrUnavailable, err)
	}
	r.Header.Set("Content-Type", "multipart/form-data; boundary="+form.boundary)
	r.ContentLength = form.length()
	answer, err := d.HTTP.Do(r)
	if err != nil {
		if err := form.bodyError(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("send part: %w: %w", cloud.ErrUnavailable, err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or does not matter
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	if answer.StatusCode == http.StatusInsufficientStorage {
		return fmt.Errorf("send part: %w", cloud.ErrFull)
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("send part: %w: status %d: %s", cloud.ErrUnavailable, answer.StatusCode, short(string(text)))
	}
	return nil
}

// put is what an upload by Put has beside others.
type put struct {
	request PutRequest
	body    *sumReader
	settled sync.Once
	done    chan putResult // of one
}

type putResult struct {
	meta.Finished
	err error
}

// size is the size of the upload as it was asked for, -1 if it is not known.
func (p *put) size(u *upload) int64 {
	if p.request.Size < 0 {
		return -1
	}
	return u.Size
}

// settle tells how it ended; the first time counts. A part on its way to a service
// that has gone would otherwise wait for the body's next bytes.
func (p *put) settle(done meta.Finished, err error) {
	p.settled.Do(func() {
		p.done <- putResult{done, err}
		if err != nil {
			p.request.Stop()
		}
	})
}

// finish checks the sums, and gives the one that is kept.
func (p *put) finish() (cloud.Sum, error) {
	sums, err := p.body.check(p.request.Sums)
	if err != nil {
		return cloud.Sum{}, err
	}
	if p.request.Got != nil {
		*p.request.Got = sums
	}
	return cloud.Sum(sums.SHA256), nil
}

// ready asks whether the file is still wanted.
func (p *put) ready(ctx context.Context) error {
	if p.request.Ready == nil {
		return nil
	}
	return p.request.Ready(ctx)
}

// allow is the policy's Allow and the request's own.
func (p *put) allow(policy meta.Allow) meta.Allow {
	return func(e cloud.Entry) error {
		if err := policy(e); err != nil || p.request.Allow == nil {
			return err
		}
		return p.request.Allow(e)
	}
}

// sniff is the MIME type of content by its first bytes.
func sniff(plain []byte) string {
	if len(plain) == 0 {
		return ""
	}
	return cleanType(http.DetectContentType(plain))
}
