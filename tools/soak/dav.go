package main

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"discordcloud/tools/internal/rig"
)

// davPath is the path of an entry on WebDAV.
func (w *worker) davPath(p string) string { return (&url.URL{Path: "/dav" + p}).EscapedPath() }

// dav makes a request of WebDAV. What is left of header are names and values; a
// size below zero is not told.
func (w *worker) dav(ctx context.Context, method, p string, body io.Reader, size int64, header ...string) error {
	answer, err := w.davAnswer(ctx, method, p, body, size, header...)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	return err
}

func (w *worker) davAnswer(ctx context.Context, method, p string, body io.Reader, size int64, header ...string) (*http.Response, error) {
	for {
		r, err := http.NewRequestWithContext(ctx, method, w.client.Base+w.davPath(p), body)
		if err != nil {
			return nil, err
		}
		if body != nil {
			r.ContentLength = size
		}
		r.SetBasicAuth(w.account, w.password)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := w.client.HTTP.Do(r)
		if err != nil {
			return nil, err
		}
		if answer.StatusCode < 300 {
			return answer, nil
		}
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<10)) // what came of it is enough
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusTooManyRequests || body != nil {
			return nil, &rig.StatusError{Status: answer.StatusCode, Text: string(text)}
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// put stores something by WebDAV, as one stream whose length is told or not.
func (w *worker) put(ctx context.Context, p string, data *rig.Content, header ...string) error {
	size := data.Size
	if w.random.IntN(2) == 0 {
		size = -1
	}
	return w.dav(ctx, "PUT", p, io.NopCloser(data.Reader(0, data.Size)), size, header...)
}
