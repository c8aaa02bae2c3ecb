package api

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
)

// together runs answer as one transaction of the store, of a kind: perhaps several
// times, of which the last one's answer is sent, once all is durable.
func (a *api) together(w http.ResponseWriter, r *http.Request, kind string, answer func(http.ResponseWriter, *http.Request) error) error {
	body := &kept{from: r.Body}
	var last *held
	err := a.FS.Store.Together(r.Context(), kind, func(ctx context.Context) error {
		last = &held{ResponseWriter: w, header: w.Header().Clone()}
		again := r.WithContext(ctx)
		again.Body = body.again()
		return answer(last, again)
	})
	if err != nil {
		return err
	}
	clear(w.Header())
	maps.Copy(w.Header(), last.header)
	if last.status != 0 {
		w.WriteHeader(last.status)
	}
	_, _ = w.Write(last.body.Bytes()) // the receiver is gone, and knows
	return nil
}

// admitTogether is admit with all that it asks of the store as one transaction, but
// for who comes with what is kept elsewhere.
func (a *api) admitTogether(q *call, rt *route) error {
	r := q.r
	if rt.job {
		return a.admit(q, rt)
	}
	err := a.FS.Store.Together(r.Context(), rt.method+" "+rt.path, func(ctx context.Context) error {
		*q = call{w: q.w, r: r.WithContext(ctx), fs: q.fs, rated: q.rated}
		err := a.admit(q, rt)
		if err == nil && rt.ready != nil {
			rt.ready(q)
		}
		return err
	})
	q.r = r
	return err
}

// held is an answer that is not sent yet.
type held struct {
	http.ResponseWriter
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header { return h.header }

func (h *held) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *held) Write(p []byte) (int, error) { return h.body.Write(p) }

// Unwrap is for http.ResponseController.
func (h *held) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// kept is a body that is read once, and again from what was kept of it.
type kept struct {
	from io.ReadCloser
	read bytes.Buffer
}

func (k *kept) again() io.ReadCloser {
	return io.NopCloser(io.MultiReader(bytes.NewReader(k.read.Bytes()), io.TeeReader(k.from, &k.read)))
}
