package thumbs

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Link is the manager's end of a service's socket.
type Link interface {
	// Call sends a request and waits for its reply.
	Call(ctx context.Context, p packet.Packet) (packet.Packet, error)
	// Close ends the connection. It does not wait for that.
	Close(reason string)
}

// Worker is one connection of a thumbnail service.
type Worker struct {
	t        *Thumbs
	link     Link
	capacity int
	lacks    string    // programs, for people
	busy     int       // guarded by t.mu
	rest     time.Time // guarded by t.mu: it is given nothing before
	draining bool      // guarded by t.mu: it is given nothing more
}

// Drain has the service end what it has and take nothing more, or go on.
func (w *Worker) Drain(on bool) {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	w.draining = on
	w.t.nudge()
}

// Busy is how many thumbnails the service is making.
func (w *Worker) Busy() int {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	return w.busy
}

// lease is a job that a service has.
type lease struct {
	job    meta.ThumbnailJob
	worker *Worker
	ticket [32]byte // its SHA-256
	until  time.Time
}

// Join configures a service, which then gets work until Leave. The error says
// why it does not.
func (t *Thumbs) Join(ctx context.Context, link Link, capacity int) (*Worker, error) {
	w := &Worker{t: t, link: link, capacity: min(max(capacity, 1), 16)}
	answer, err := w.ask(ctx, packet.ThumbnailConfigure{
		Sizes: sizes, Quality: sentQuality, ImageLimit: imageLimit, Seconds: max(1, int64((t.Lease-5*time.Second)/time.Second)),
	})
	if err != nil {
		return nil, fmt.Errorf("configure thumbnail service: %w", err)
	}
	if answer.Message != "" {
		t.Log.WarnContext(ctx, "a thumbnail service cannot make everything", "not_installed", answer.Message)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	w.lacks = answer.Message
	t.workers = append(t.workers, w)
	t.nudge()
	return w, nil
}

// ask sends a request, and takes anything but yes for an error.
func (w *Worker) ask(ctx context.Context, p packet.Packet) (packet.Boolean, error) {
	ctx, cancel := context.WithTimeout(ctx, w.t.Answer)
	defer cancel()
	answer, err := w.link.Call(ctx, p)
	if err != nil {
		return packet.Boolean{}, err
	}
	if yes, ok := answer.(packet.Boolean); ok && yes.Success {
		return yes, nil
	}
	return packet.Boolean{}, errRefused
}

var errRefused = errors.New("the service refused")

// Lacks says what the service cannot make for want of programs, "" if that is
// nothing.
func (w *Worker) Lacks() string {
	if w == nil {
		return ""
	}
	return w.lacks
}

// Leave ends what the service had: others go on with it.
func (w *Worker) Leave(ctx context.Context) {
	if w == nil {
		return
	}
	t := w.t
	t.mu.Lock()
	t.workers = slices.DeleteFunc(t.workers, func(x *Worker) bool { return x == w })
	var lost []*lease
	for id, l := range t.leases {
		if l.worker == w {
			delete(t.leases, id)
			lost = append(lost, l)
		}
	}
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, l := range lost {
		// It counts: the job may be what the service died of.
		t.giveBack(ctx, l.job, t.Now(), false)
	}
	t.nudge()
}

func (t *Thumbs) giveBack(ctx context.Context, job meta.ThumbnailJob, after time.Time, uncounted bool) {
	if err := t.Store.ReturnThumbnail(ctx, job.Entry.Object, after, uncounted); err != nil {
		t.Log.WarnContext(ctx, "thumbnail not given back", "file", job.Entry.ID, "err", err) // its lease ends some time
	}
}

// handOut gives every service as much as it takes.
func (t *Thumbs) handOut(ctx context.Context) {
	for ctx.Err() == nil {
		w := t.idle()
		if w == nil {
			return
		}
		now := t.Now()
		job, err := t.Store.LeaseThumbnail(ctx, now, now.Add(t.Lease+5*time.Second), t.Attempts)
		if err != nil {
			t.release(w)
			if !errors.Is(err, cloud.ErrNotFound) && ctx.Err() == nil {
				t.Log.WarnContext(ctx, "no thumbnail leased", "err", err)
			}
			return
		}
		id, ticket := packet.NewUUID(), rand.Text()+rand.Text()
		l := &lease{job: job, worker: w, ticket: sha256.Sum256([]byte(ticket)), until: now.Add(t.Lease)}
		t.mu.Lock()
		t.leases[id] = l
		t.mu.Unlock()
		t.work.Go(func() {
			_, err := w.ask(ctx, packet.ThumbnailJob{
				Job: id, Size: job.Entry.Size, Type: job.Entry.Type, Source: SourcePath(id), Ticket: packet.Secret(ticket),
			})
			if err == nil {
				return
			}
			t.Log.DebugContext(ctx, "thumbnail job not taken", "file", job.Entry.ID, "err", err)
			if _, ok := t.end(id, w); ok {
				t.mu.Lock()
				w.rest = t.Now().Add(2 * time.Second)
				t.mu.Unlock()
				detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
				defer cancel()
				t.giveBack(detached, job, t.Now(), true)
			}
		})
	}
}

// SourcePath is where the object of a job is read.
func SourcePath(job string) string { return "/api/thumbnail-jobs/" + job + "/source" }

// idle takes a place of the service with the most room, nil if there is none.
func (t *Thumbs) idle() *Worker {
	t.mu.Lock()
	defer t.mu.Unlock()
	var best *Worker
	for _, w := range t.workers {
		if w.busy < w.capacity && !w.draining && !t.Now().Before(w.rest) && (best == nil || w.busy*best.capacity < best.busy*w.capacity) {
			best = w
		}
	}
	if best != nil {
		best.busy++
	}
	return best
}

func (t *Thumbs) release(w *Worker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w.busy--
}

// end takes a job away from the service that has it; false if it has not.
func (t *Thumbs) end(id string, w *Worker) (*lease, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.leases[id]
	if l == nil || l.worker != w {
		return nil, false
	}
	delete(t.leases, id)
	w.busy--
	t.nudge()
	return l, true
}

// expire takes jobs away from services that do not end them.
func (t *Thumbs) expire(ctx context.Context) {
	t.mu.Lock()
	var late []string
	now := t.Now()
	for id, l := range t.leases {
		if !now.Before(l.until) {
			late = append(late, id)
		}
	}
	workers := map[string]*Worker{}
	for _, id := range late {
		workers[id] = t.leases[id].worker
	}
	t.mu.Unlock()
	for id, w := range workers {
		if l, ok := t.end(id, w); ok {
			t.Log.WarnContext(ctx, "a thumbnail service has not ended a job", "file", l.job.Entry.ID)
			t.giveBack(ctx, l.job, now, false)
		}
	}
}

// Redeem lets the service that has a job read its object: the principal may read
// the one entry, and what it reads is the content that the job is about.
// ErrUnauthenticated for any other ticket.
func (t *Thumbs) Redeem(job, ticket string) (policy.Principal, cloud.Entry, error) {
	sum := sha256.Sum256([]byte(ticket))
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.leases[job]
	if l == nil || subtle.ConstantTimeCompare(sum[:], l.ticket[:]) != 1 || !t.Now().Before(l.until) {
		return policy.Principal{}, cloud.Entry{}, fmt.Errorf("ticket of a thumbnail job: %w", cloud.ErrUnauthenticated)
	}
	return policy.Principal{Role: policy.ThumbnailService, Entry: l.job.Entry.ID}, l.job.Entry, nil
}

// Done takes what a service has made. The error says that it is not taken: the
// job is not the service's, or this is no thumbnail. What is taken is stored
// after Done has returned.
func (w *Worker) Done(ctx context.Context, p packet.ThumbnailDone) error {
	if w == nil {
		return cloud.UserErrorf(cloud.ErrInvalid, "there is no work for thumbnail services here")
	}
	t := w.t
	l, ok := t.end(p.Job, w)
	if !ok {
		return cloud.UserErrorf(cloud.ErrNotFound, "the service has no such job")
	}
	detached := context.WithoutCancel(ctx)
	if !p.Success {
		switch {
		case p.Transient:
			t.giveBack(detached, l.job, t.Now().Add(time.Duration(l.job.Attempt)*10*time.Second), false)
		default:
			t.fail(detached, l.job, p.Reason)
		}
		return nil
	}
	pictures, err := check(p.Images)
	if err != nil {
		t.mu.Lock()
		t.refused++
		t.mu.Unlock()
		t.Log.WarnContext(ctx, "a thumbnail service sent no thumbnail", "file", l.job.Entry.ID, "err", err)
		t.giveBack(detached, l.job, t.Now(), false) // another service may do better
		return cloud.UserErrorf(cloud.ErrInvalid, "that is no thumbnail")
	}
	facts := ""
	if p.Facts != nil && *p.Facts != (packet.MediaFacts{}) {
		b, err := json.Marshal(p.Facts)
		if err != nil {
			return fmt.Errorf("facts: %w", err)
		}
		facts = string(b)
	}
	t.work.Go(func() {
		t.stores <- struct{}{} // each holder ends by its deadline
		defer func() { <-t.stores }()
		ctx, cancel := context.WithTimeout(detached, time.Minute)
		defer cancel()
		th, plain, err := t.pack(ctx, pictures)
		th.Object, th.State, th.Decoder, th.Facts = l.job.Entry.Object, meta.ThumbnailReady, Decoder, facts
		if err == nil {
			err = t.finish(ctx, th, plain)
		}
		if err != nil {
			t.Log.WarnContext(ctx, "thumbnail not stored", "file", l.job.Entry.ID, "err", err)
			t.giveBack(detached, l.job, t.Now().Add(time.Minute), false)
		}
	})
	return nil
}

// fail remembers why there is no thumbnail.
func (t *Thumbs) fail(ctx context.Context, job meta.ThumbnailJob, reason string) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	t.mu.Lock()
	t.failed++
	t.mu.Unlock()
	t.Log.InfoContext(ctx, "no thumbnail", "file", job.Entry.ID, "reason", reason)
	_, _, err := t.Store.FinishThumbnail(ctx, meta.Thumbnail{Object: job.Entry.Object, State: meta.ThumbnailFailed, Decoder: Decoder, Reason: reason})
	if err != nil && !errors.Is(err, cloud.ErrNotFound) {
		t.Log.WarnContext(ctx, "failed thumbnail not recorded", "file", job.Entry.ID, "err", err)
	}
}

// finish stores a thumbnail, records it, and tells of it.
func (t *Thumbs) finish(ctx context.Context, th meta.Thumbnail, plain []byte) error {
	var err error
	if th.Pack, th.Chunk, err = t.store(ctx, plain); err != nil {
		return err
	}
	entries, old, err := t.Store.FinishThumbnail(ctx, th)
	if err != nil {
		// Nothing refers to what was stored: the file has gone meanwhile.
		err = errors.Join(err, t.discard(ctx, th))
		if errors.Is(err, cloud.ErrNotFound) {
			return nil
		}
		return err
	}
	t.mu.Lock()
	t.made++
	t.mu.Unlock()
	if old != nil {
		if err := t.discard(ctx, *old); err != nil {
			t.Log.WarnContext(ctx, "replaced thumbnail not deleted", "err", err)
		}
	}
	for _, e := range entries {
		change, err := t.change(ctx, e)
		if err != nil { // those who look see it
			t.Log.DebugContext(ctx, "thumbnail not told of", "file", e.ID, "err", err)
			continue
		}
		t.Bus.Publish(change)
	}
	return nil
}

// change is the news of an entry that has a thumbnail now.
func (t *Thumbs) change(ctx context.Context, e cloud.Entry) (*event.Change, error) {
	path, err := t.Store.Path(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(path))
	for _, p := range path[:max(0, len(path)-1)] {
		names = append(names, p.Name)
	}
	shares, err := t.Store.Grants(ctx, e.ID)
	if err != nil {
		return nil, err
	}
	return &event.Change{Action: event.Changed, Entry: e, Path: names, SharedWith: shares}, nil
}
