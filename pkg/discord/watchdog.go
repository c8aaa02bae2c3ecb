package discord

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// progressStep is the amount of bytes that counts as progress: a peer that
// drips is no better than one that is silent.
const progressStep = 64 << 10

// watchdog ends a transfer that makes no progress.
type watchdog struct {
	stall, answer time.Duration
	cancel        context.CancelCauseFunc
	ctx           context.Context // the one that cancel ends

	mu    sync.Mutex
	timer *time.Timer
	some  int // bytes since the last step
}

// watch returns a context that ends with ErrStalled when stall passes without
// progress, or answer without an answer.
func watch(ctx context.Context, stall, answer time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{stall: stall, answer: answer, cancel: cancel, ctx: ctx}
	w.timer = time.AfterFunc(stall, func() { cancel(ErrStalled) })
	return ctx, w
}

// progress tells that n bytes went.
func (w *watchdog) progress(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.some += n; w.some >= progressStep {
		w.some = 0
		w.timer.Reset(w.stall)
	}
}

// expect gives the next step d.
func (w *watchdog) expect(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.some = 0
	w.timer.Reset(d)
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// err is what to tell of err, where outer is the context of the caller.
func (w *watchdog) err(outer context.Context, err error) error {
	if outer.Err() == nil && errors.Is(context.Cause(w.ctx), ErrStalled) {
		return ErrStalled
	}
	return netError(outer, err)
}

// patience ends a download that gives too little, and counts only the time that
// the reader spends waiting for it: a slow reader is no fault of the sender.
type patience struct {
	src    io.Reader
	stall  time.Duration
	cancel context.CancelCauseFunc
	timer  *time.Timer
	left   time.Duration // until the next step is due
	some   int
}

func newPatience(src io.Reader, stall time.Duration, cancel context.CancelCauseFunc) *patience {
	timer := time.AfterFunc(stall, func() { cancel(ErrStalled) })
	timer.Stop()
	return &patience{src: src, stall: stall, cancel: cancel, timer: timer, left: stall}
}

func (p *patience) Read(b []byte) (int, error) {
	start := time.Now()
	p.timer.Reset(p.left)
	n, err := p.src.Read(b)
	p.timer.Stop()
	if p.some += n; p.some >= progressStep {
		p.some, p.left = 0, p.stall
	} else {
		p.left = max(p.left-time.Since(start), 0)
	}
	return n, err
}
