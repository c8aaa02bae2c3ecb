package discordblob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
)

// item is one Put.
type item struct {
	body  blob.Body
	tries int
	alone bool          // shares its message with none
	done  chan struct{} // closed when ref and err are known
	ref   cloud.Ref
	err   error

	mu   sync.Mutex
	left bool // nobody waits for it any more, but those who travel with it
	gone bool // Put has returned: the bytes are its caller's again
}

// lane is one channel, as one of the bots posts to it.
type lane struct {
	client  *discord.Client
	channel string
	waiting *send // that will take from the queue when the channel lets it
	busy    int   // messages under way
}

// send is one message, from the wait for the channel to Discord's answer. It
// lives as long as anyone wants a part of it.
type send struct {
	lane   *lane
	cancel context.CancelCauseFunc
	items  []*item // once it has been let go
	want   int     // of them
}

var (
	errGone   = errors.New("its Put was cancelled")
	errNoNeed = errors.New("nothing waits any more")
)

// Put stores body in the channel that can take it first. See blob.Store. When ctx
// ends it returns promptly, and does not read body any more; but for a message that
// is on its way with others in it: that is sent to its end, as it may have to be sent
// again just as it was, and Put returns how it ended.
func (s *Store) Put(ctx context.Context, body blob.Body) (cloud.Ref, error) {
	if ctx.Err() != nil {
		return cloud.Ref{}, fmt.Errorf("put: %w", context.Cause(ctx))
	}
	if size, limit := body.Size(), s.Limit(); size > limit {
		return cloud.Ref{}, fmt.Errorf("put: %w: %d bytes, Discord takes %d", cloud.ErrTooLarge, size, limit)
	}
	it := &item{body: body, done: make(chan struct{})}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return cloud.Ref{}, fmt.Errorf("put: %w", cloud.ErrShutdown)
	}
	s.queue = append(s.queue, it)
	s.tell()
	s.attend(ctx)
	s.mu.Unlock()

	select {
	case <-it.done:
	case <-ctx.Done():
		s.giveUp(it, context.Cause(ctx))
	}
	if it.err != nil {
		return cloud.Ref{}, fmt.Errorf("put: %w", storeError(it.err))
	}
	return it.ref, nil
}

// attend sees to it that somebody will take what is in the queue: a send for
// each message in a channel that is free, and where none is, one in every
// channel, as it is not known which will be first. The caller holds mu.
func (s *Store) attend(ctx context.Context) {
	if s.closed {
		s.drop(cloud.ErrShutdown)
		return
	}
	waiting := 0
	for _, l := range s.lanes {
		if l.waiting != nil {
			waiting++
		}
	}
	for want := s.messages(); waiting < want; waiting++ {
		l, wait, err := s.choose()
		if l == nil {
			if waiting == 0 {
				s.drop(err)
			}
			return
		}
		if wait > 0 {
			want = len(s.lanes)
		}
		x := &send{lane: l}
		l.waiting = x
		// It is not the Put's own: others may come to travel with it.
		var sctx context.Context
		sctx, x.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
		s.sends[x] = struct{}{}
		s.wg.Go(func() { s.run(sctx, x) })
	}
}

// messages is about how many messages the queue needs. The caller holds mu.
func (s *Store) messages() int {
	limits := s.client.Limits()
	var bytes int64
	for _, it := range s.queue {
		bytes += it.Size()
	}
	files := int64(len(s.queue) + limits.Attachments - 1)
	return int(max(files/int64(limits.Attachments), (bytes+limits.Request-1)/limits.Request))
}

// choose finds the lane that is free first, and of several the one with the
// least to do, among those that may be posted to and wait for nothing. The error
// says why there is none. The caller holds mu.
func (s *Store) choose() (best *lane, wait time.Duration, err error) {
	s.turn++
	for i := range s.lanes {
		l := s.lanes[(s.turn+i)%len(s.lanes)]
		if l.waiting != nil {
			continue
		}
		w, werr := l.client.PostWait(l.channel)
		switch {
		case werr != nil:
			err = fmt.Errorf("no channel may be posted to, by no bot: %w", werr)
		case best == nil || w < wait || w == wait && l.busy < best.busy:
			best, wait = l, w
		}
	}
	return best, wait, err
}

// run waits for the channel, posts what has gathered until then, and tells
// those who wait for it.
func (s *Store) run(ctx context.Context, x *send) {
	m, err := x.lane.client.PostLate(ctx, x.lane.channel, func() []blob.Body { return s.gather(ctx, x) })
	var refs []cloud.Ref
	if err == nil {
		refs, err = s.refs(x, m)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	x.cancel(context.Canceled)
	delete(s.sends, x)
	if x.lane.waiting == x { // it was never let go
		x.lane.waiting = nil
		if !ofLane(err) {
			s.drop(err) // what stops one channel here stops all
		}
	}
	if len(x.items) > 0 {
		x.lane.busy--
		s.crowd = len(x.items) > 1
		s.tell()
	}
	for i, it := range x.items {
		if err == nil {
			it.ref = refs[i]
			it.finish(nil)
		} else if s.again(x, it, err) {
			s.queue = append(s.queue, it)
		} else {
			it.finish(err)
		}
	}
	s.attend(ctx)
}

// gather takes from the queue, oldest first, what fits one message.
func (s *Store) gather(ctx context.Context, x *send) []blob.Body {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaitCompany(ctx, x)
	if x.lane.waiting != x {
		return nil // it is not needed any more
	}
	x.lane.waiting = nil
	n, _ := s.load()
	x.items, x.want = slices.Clone(s.queue[:n]), n
	s.queue = slices.Delete(s.queue, 0, n)
	if n > 0 {
		x.lane.busy++
	}
	s.settle()
	s.attend(ctx)
	bodies := make([]blob.Body, n)
	for i, it := range x.items {
		bodies[i] = it
	}
	return bodies
}

// load is how many items of the queue the next message takes, and whether it is
// full then: no other like the last would fit. The caller holds mu.
func (s *Store) load() (n int, full bool) {
	limits := s.client.Limits()
	var bytes, last int64
	for _, it := range s.queue {
		last = it.Size()
		if n > 0 && (it.alone || s.queue[0].alone || !limits.Fits(n+1, bytes+last)) {
			return n, true
		}
		bytes += last
		n++
	}
	return n, n > 0 && (s.queue[0].alone || !limits.Fits(n+1, bytes+last))
}

// longestHold is how long a message that may go waits for company, at most.
const longestHold = 100 * time.Millisecond

// awaitCompany waits for more to travel with what is in the queue, where it looks
// as if more is to come: messages are what is scarce. Who puts one blob at a time
// does not wait. The wait is no longer than the limits have a message of ours wait
// on the average anyway. The caller holds mu, which is free meanwhile.
func (s *Store) awaitCompany(ctx context.Context, x *send) {
	rate := x.lane.client.PostRate(x.lane.channel)
	hold := min(longestHold, rate.Per/time.Duration(rate.Limit*len(s.lanes)))
	if hold < time.Millisecond {
		return
	}
	timer := time.NewTimer(hold)
	defer timer.Stop()
	for x.lane.waiting == x {
		if n, full := s.load(); n == 0 || full || n == 1 && !s.crowd && !s.busy() {
			return
		}
		news := s.news
		s.mu.Unlock()
		over := false
		select {
		case <-news:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			over = true
		}
		s.mu.Lock()
		if over {
			s.crowd = false // it takes more than one who is late to be one
			return
		}
	}
}

// busy tells whether any message is under way. The caller holds mu.
func (s *Store) busy() bool {
	return slices.ContainsFunc(s.lanes, func(l *lane) bool { return l.busy > 0 })
}

// tell wakes those who wait for company. The caller holds mu.
func (s *Store) tell() {
	close(s.news)
	s.news = make(chan struct{})
}

// settle ends the waits that nothing in the queue needs. The caller holds mu.
func (s *Store) settle() {
	if len(s.queue) > 0 {
		return
	}
	for _, l := range s.lanes {
		if l.waiting != nil {
			l.waiting.cancel(errNoNeed)
			l.waiting = nil
		}
	}
}

// drop fails all that is in the queue. The caller holds mu.
func (s *Store) drop(err error) {
	for _, it := range s.queue {
		it.finish(err)
	}
	s.queue = nil
	s.settle()
}

// refs makes the refs of a message's attachments, and keeps their links.
func (s *Store) refs(x *send, m discord.Message) ([]cloud.Ref, error) {
	s.client.Learn(m)
	refs := make([]cloud.Ref, len(x.items))
	for i, a := range m.Attachments {
		path, err := s.client.PathOf(a.URL)
		if err != nil {
			return nil, fmt.Errorf("link of attachment %s: %w", a.ID, err)
		}
		refs[i] = cloud.Ref{Channel: m.Channel, Message: m.ID, Attachment: a.ID, Path: path}
		s.links.learn(a)
	}
	return refs, nil
}

// again says whether an item whose message failed is to go with another. The
// caller holds mu.
func (s *Store) again(x *send, it *item, err error) bool {
	if it.tries++; it.tries > len(s.lanes)+2 || it.isLeft() {
		return false
	}
	switch {
	case ofLane(err):
		return len(s.lanes) > 1 // another may do
	case errors.Is(err, cloud.ErrTooLarge) && len(x.items) > 1:
		it.alone = true // then it shows who is too large
		return true
	}
	return false
}

// ofLane tells that an error is of one channel or one bot only.
func ofLane(err error) bool {
	return errors.Is(err, discord.ErrChannelDown) || errors.Is(err, cloud.ErrLimited) || errors.Is(err, discord.ErrBlocked)
}

// finish tells the Put. The caller holds mu of the store.
func (it *item) finish(err error) {
	select {
	case <-it.done: // given up
	default:
		it.err = err
		close(it.done)
	}
}

func (it *item) isLeft() bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	return it.left
}

// giveUp ends a Put that nobody waits for any more. A message that others are in as
// well is left to go on: with other bytes than before it would be another message,
// beside one whose answer was lost.
func (s *Store) giveUp(it *item, cause error) {
	it.mu.Lock()
	it.left = true
	it.mu.Unlock()

	s.mu.Lock()
	for x := range s.sends {
		if !slices.Contains(x.items, it) {
			continue
		}
		if x.want--; x.want > 0 {
			s.mu.Unlock()
			<-it.done
			return
		}
		x.cancel(cause)
		break
	}
	defer s.mu.Unlock()
	it.finish(cause)
	if i := slices.Index(s.queue, it); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		s.settle()
	}
	it.mu.Lock()
	defer it.mu.Unlock()
	it.gone = true
}

// Size and Open make the item a blob.Body that is readable only while its Put
// waits.
func (it *item) Size() int64 { return it.body.Size() }

func (it *item) Open() io.Reader { return &itemReader{item: it} }

type itemReader struct {
	item *item
	r    io.Reader
}

func (r *itemReader) Read(p []byte) (int, error) {
	r.item.mu.Lock()
	defer r.item.mu.Unlock()
	if r.item.gone {
		return 0, errGone
	}
	if r.r == nil {
		r.r = r.item.body.Open()
	}
	return r.r.Read(p)
}

// Close closes what the body opened, if it can be closed.
func (r *itemReader) Close() error {
	r.item.mu.Lock()
	defer r.item.mu.Unlock()
	if c, ok := r.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
