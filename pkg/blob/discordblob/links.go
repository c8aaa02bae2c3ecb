package discordblob

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/discord"
)

// links remembers the links of attachments until shortly before they expire,
// and gets fresh ones: many at a time, and each once for all who wait.
type links struct {
	client *discord.Pool
	margin time.Duration
	gather time.Duration
	most   int

	mu      sync.Mutex
	known   map[string]*list.Element // by attachment; the values are *known
	recent  *list.List               // most recently used first
	pending []*refresh               // to go with the next call, oldest first
	calls   map[string]*refresh      // all that are not done, by attachment
	running bool
	closed  bool
	ctx     context.Context // of the calls; ends with close
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup
}

type known struct {
	attachment, link string
	until            time.Time
}

// refresh is one attachment's way to a fresh link, shared by all who want it.
type refresh struct {
	ref  cloud.Ref
	done chan struct{} // closed when link and err are known
	link string
	err  error
	want int // who wait; 0 is a link that will be wanted, perhaps
}

// aheadMost is how many links that nobody waits for may be on their way.
const aheadMost = 1000

// unsaid is how long a link is good that does not say.
const unsaid = 5 * time.Minute

func newLinks(opt Options) *links {
	l := &links{
		client: opt.Pool, margin: opt.Margin, gather: opt.Gather, most: opt.Links,
		known: make(map[string]*list.Element), recent: list.New(), calls: make(map[string]*refresh),
	}
	if l.margin == 0 {
		l.margin = 90 * time.Second
	}
	if l.gather == 0 {
		l.gather = 2 * time.Millisecond
	}
	if l.most == 0 {
		l.most = 20_000
	}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// close ends all calls and waits for them.
func (l *links) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel(cloud.ErrShutdown)
	l.wg.Wait()
}

// learn remembers the link of an attachment.
func (l *links) learn(a discord.Attachment) { l.remember(a.ID, a.URL) }

func (l *links) remember(attachment, link string) {
	now := time.Now()
	until := now.Add(unsaid)
	if ex, ok := discord.Expiry(link); ok {
		until = ex.Add(-min(l.margin, ex.Sub(now)/4))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.known[attachment]; ok {
		k := e.Value.(*known)
		k.link, k.until = link, until
		l.recent.MoveToFront(e)
		return
	}
	l.known[attachment] = l.recent.PushFront(&known{attachment, link, until})
	for l.recent.Len() > l.most {
		delete(l.known, l.recent.Remove(l.recent.Back()).(*known).attachment)
	}
}

// forget drops the links of attachments that are deleted.
func (l *links) forget(attachments ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range attachments {
		l.drop(a)
	}
}

func (l *links) drop(attachment string) {
	if e, ok := l.known[attachment]; ok {
		l.recent.Remove(e)
		delete(l.known, attachment)
	}
}

// get is a link that is good: one that is remembered, or a fresh one. bad is
// the link that has just failed, if one has; it is not given again.
func (l *links) get(ctx context.Context, ref cloud.Ref, bad string) (string, error) {
	l.mu.Lock()
	if e, ok := l.known[ref.Attachment]; ok {
		k := e.Value.(*known)
		if k.link != bad && time.Now().Before(k.until) {
			l.recent.MoveToFront(e)
			link := k.link
			l.mu.Unlock()
			return link, nil
		}
		l.drop(ref.Attachment)
	}
	if l.closed {
		l.mu.Unlock()
		return "", cloud.ErrShutdown
	}
	call, ok := l.calls[ref.Attachment]
	if !ok {
		call = l.begin(ref)
	}
	call.want++
	l.mu.Unlock()

	select {
	case <-call.done:
		return call.link, call.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if call.want--; call.want == 0 {
		if i := slices.Index(l.pending, call); i >= 0 { // it has not begun
			l.pending = slices.Delete(l.pending, i, i+1)
			delete(l.calls, ref.Attachment)
		}
	}
	return "", context.Cause(ctx)
}

// ahead begins to refresh the links that will be needed, as far as none is known
// that is good.
func (l *links) ahead(refs []cloud.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for _, ref := range refs {
		if l.closed || len(l.pending) >= aheadMost {
			return
		}
		if e, ok := l.known[ref.Attachment]; ok && now.Before(e.Value.(*known).until) || l.calls[ref.Attachment] != nil || ref.Attachment == "" {
			continue
		}
		l.begin(ref)
	}
}

// begin puts an attachment in line for a fresh link. The caller holds mu.
func (l *links) begin(ref cloud.Ref) *refresh {
	call := &refresh{ref: ref, done: make(chan struct{})}
	l.calls[ref.Attachment] = call
	l.pending = append(l.pending, call)
	if !l.running {
		l.running = true
		l.wg.Go(l.run)
	}
	return call
}

// batch takes what goes with the next call: first what is waited for, then the
// oldest. The caller holds mu.
func (l *links) batch() []*refresh {
	slices.SortStableFunc(l.pending, func(a, b *refresh) int { return min(b.want, 1) - min(a.want, 1) })
	n := min(len(l.pending), discord.RefreshMost)
	batch := slices.Clone(l.pending[:n])
	l.pending = slices.Delete(l.pending, 0, n)
	return batch
}

// run makes calls while anything is pending. What comes in during one goes with
// the next.
func (l *links) run() {
	timer := time.NewTimer(l.gather)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ctx.Done():
	}
	for {
		l.mu.Lock()
		batch := l.batch()
		if len(batch) == 0 {
			l.running = false
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()

		l.refresh(l.ctx, batch)

		l.mu.Lock()
		for _, call := range batch {
			if errors.Is(call.err, errUnwanted) && call.want > 0 { // since a moment ago
				call.err = nil
				l.pending = append(l.pending, call)
				continue
			}
			delete(l.calls, call.ref.Attachment)
			close(call.done)
		}
		l.mu.Unlock()
	}
}

// refresh finds a link for each of the batch: by refreshing, which takes one
// call, and where Discord does not answer for one, by reading its message.
func (l *links) refresh(ctx context.Context, batch []*refresh) {
	bare := make(map[*refresh]string, len(batch))
	for _, call := range batch {
		link, err := l.client.Bare(call.ref.Path)
		if err != nil {
			continue // the message knows
		}
		bare[call] = link
	}
	var fresh map[string]string
	var failed error
	if len(bare) > 0 {
		fresh, failed = l.client.Refresh(ctx, slices.Collect(maps.Values(bare)))
	}
	var left []*refresh
	for _, call := range batch {
		if call.link = fresh[bare[call]]; call.link != "" {
			l.remember(call.ref.Attachment, call.link)
		} else {
			left = append(left, call)
		}
	}
	if len(left) == 0 {
		return
	}
	if ctx.Err() != nil {
		failed = context.Cause(ctx)
	} else if !errors.Is(failed, discord.ErrBlocked) {
		l.read(ctx, l.wanted(left))
		return
	}
	for _, call := range left {
		call.err = failed
	}
}

// errUnwanted is the end of a refresh that was tried ahead of need.
var errUnwanted = errors.New("the link is not waited for")

// wanted are those that somebody waits for: messages are too dear to be read for
// the others, which get errUnwanted.
func (l *links) wanted(batch []*refresh) []*refresh {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(batch, func(call *refresh) bool {
		if call.want == 0 {
			call.err = errUnwanted
		}
		return call.want == 0
	})
}

// read finds links by reading messages. Neighbours come with one page.
func (l *links) read(ctx context.Context, batch []*refresh) {
	found := make(map[string]string)
	read := make(map[string]error) // by message
	var down error
	for i, call := range batch {
		ref := call.ref
		if down != nil && found[ref.Attachment] == "" {
			call.err = down
			continue
		}
		if found[ref.Attachment] == "" {
			err, ok := read[ref.Message]
			if !ok && others(batch[i+1:], ref) {
				// Its errors tell nothing of one message.
				page, _ := l.client.Messages(ctx, ref.Channel, discord.Page{Around: ref.Message, Limit: 100})
				for _, m := range page {
					l.take(m, found)
				}
				ok = found[ref.Attachment] != "" // what a page lacks says nothing
			}
			if !ok {
				err = l.message(ctx, ref, found)
				read[ref.Message] = err
			}
			if errors.Is(err, cloud.ErrUnavailable) && !errors.Is(err, discord.ErrChannelDown) {
				down = err // it has been tried enough; the others fare no better
			}
			if err != nil {
				call.err = err
				continue
			}
		}
		if call.link = found[ref.Attachment]; call.link == "" {
			call.err = fmt.Errorf("%w: message %s has no attachment %s", cloud.ErrNotFound, ref.Message, ref.Attachment)
		}
	}
}

// others tells whether another message of ref's channel is wanted too.
func others(batch []*refresh, ref cloud.Ref) bool {
	return slices.ContainsFunc(batch, func(call *refresh) bool {
		return call.ref.Channel == ref.Channel && call.ref.Message != ref.Message
	})
}

// message reads the one message; ErrNotFound also if its channel is deleted.
func (l *links) message(ctx context.Context, ref cloud.Ref, found map[string]string) error {
	m, err := l.client.Message(ctx, ref.Channel, ref.Message)
	if channelGone(err) {
		return fmt.Errorf("%w: channel %s is deleted", cloud.ErrNotFound, ref.Channel)
	}
	if err != nil {
		return err
	}
	if l.client.Hides(m) {
		return fmt.Errorf("%w: message %s does not show its attachments", cloud.ErrUnavailable, m.ID)
	}
	l.take(m, found)
	return nil
}

// take learns the links of all attachments of a message.
func (l *links) take(m discord.Message, found map[string]string) {
	for _, a := range m.Attachments {
		found[a.ID] = a.URL
		l.learn(a)
	}
}

// reread is what the message itself says of an attachment: the last word on
// whether it exists. ErrNotFound if it does not.
func (l *links) reread(ctx context.Context, ref cloud.Ref) (string, error) {
	found := make(map[string]string)
	if err := l.message(ctx, ref, found); err != nil {
		return "", err
	}
	if found[ref.Attachment] == "" {
		return "", fmt.Errorf("%w: message %s has no attachment %s", cloud.ErrNotFound, ref.Message, ref.Attachment)
	}
	return found[ref.Attachment], nil
}
