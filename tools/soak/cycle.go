package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"discordcloud/tools/internal/rig"
)

// What is here begins and ends something that others are to notice at once, also
// by another manager than the one that was asked.

// refusedWith tells whether an error is an answer of that status.
func refusedWith(err error, status int) bool {
	refused, ok := errors.AsType[*rig.StatusError](err)
	return ok && refused.Status == status
}

// cycled counts a cycle, or why it did not come to its end.
func (w *worker) cycled(kind string, err error) {
	switch {
	case err == nil:
		w.soak.tally.did(kind, 0)
	case w.excused(err):
		w.soak.tally.missed(kind, err)
	default:
		w.soak.tally.fail("%s: %v", kind, err)
	}
}

// lend shares a file with the next client, who reads it, and takes that back.
func (w *worker) lend(ctx context.Context, p string) {
	other := w.soak.clients[(w.number+1)%len(w.soak.clients)]
	w.cycled("share", func() error {
		e, err := w.client.Lookup(ctx, p)
		if err != nil {
			return err
		}
		share := fmt.Sprintf("/api/entries/%d/shares/users/%d", e.ID, other.user)
		if err := w.client.Do(ctx, "PUT", share, map[string]any{"can_write": false}, nil); err != nil {
			return err
		}
		data := *w.files[p]
		if _, err := compare(ctx, other.client, e.Path(), data, 0, data.Size); err != nil {
			return fmt.Errorf("read what is shared: %w", err)
		}
		if err := w.client.Do(ctx, "DELETE", share, nil, nil); err != nil {
			return err
		}
		return gone(other.client.Get(ctx, e.Path(), ""))
	}())
}

// gone wants an answer of 404.
func gone(answer *http.Response, err error) error {
	if err == nil {
		_ = answer.Body.Close()
		return wrong("it is read after that was taken back")
	}
	if refusedWith(err, http.StatusNotFound) || refusedWith(err, http.StatusUnauthorized) {
		return nil
	}
	return err
}

// link makes a link to a file, reads by it, and ends it.
func (w *worker) link(ctx context.Context, p string) {
	w.cycled("link", func() error {
		e, err := w.client.Lookup(ctx, p)
		if err != nil {
			return err
		}
		var made struct {
			Link struct {
				ID   int64
				Path string
			}
		}
		if err := w.client.Do(ctx, "POST", fmt.Sprintf("/api/entries/%d/links", e.ID), map[string]any{"mode": "download"}, &made); err != nil {
			return err
		}
		anybody := &rig.Client{Base: w.client.Base, HTTP: w.client.HTTP}
		content, data := made.Link.Path+"/download", *w.files[p]
		if _, err := compare(ctx, anybody, content, data, 0, data.Size); err != nil {
			return fmt.Errorf("read by a link: %w", err)
		}
		if err := w.client.Do(ctx, "DELETE", fmt.Sprintf("/api/links/%d", made.Link.ID), nil, nil); err != nil {
			return err
		}
		return gone(anybody.Get(ctx, content, ""))
	}())
}

// lockTime is how long a lock lasts that nobody ends.
const lockTime = 15 * time.Second

// lock locks a file by WebDAV, and replaces it.
func (w *worker) lock(ctx context.Context, p string) {
	const body = `<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>`
	data, began := w.content(), time.Now()
	d := w.doubted("replace what is locked", tree{p: data}, p)
	d.until = began.Add(lockTime + time.Second)
	w.change(ctx, d, func(ctx context.Context) error {
		answer, err := w.davAnswer(ctx, "LOCK", p, strings.NewReader(body), int64(len(body)), "Timeout", fmt.Sprintf("Second-%.0f", lockTime.Seconds()))
		if err != nil {
			return err
		}
		_ = answer.Body.Close()
		token := answer.Header.Get("Lock-Token")
		err = w.put(ctx, p, w.content())
		if err == nil && time.Since(began) < lockTime/2 {
			w.soak.tally.fail("a file that is locked was replaced without the token")
		}
		if full(err) {
			return errors.Join(w.dav(ctx, "UNLOCK", p, nil, 0, "Lock-Token", token), err)
		}
		if err == nil || !refusedWith(err, http.StatusLocked) {
			return fmt.Errorf("replace what is locked: %v", err) // whatever it was, it is not known what is there now
		}
		put := w.put(ctx, p, data, "If", "("+token+")")
		err = w.dav(ctx, "UNLOCK", p, nil, 0, "Lock-Token", token)
		if full(put) && err == nil {
			return put
		}
		if err = errors.Join(put, err); err != nil {
			return fmt.Errorf("replace it with the token: %v", err) // likewise
		}
		return nil
	})
}
