package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/serve"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

var errSessionEnded = errors.New("the session that carried it has ended")

// carried gives q a context that ends with the session that carries it, at once,
// however far the transfer is.
func (a *api) carried(q *call) (done func(), err error) {
	if q.who.Session == "" {
		return func() {}, nil
	}
	ctx, cancel := context.WithCancelCause(q.ctx())
	unsubscribe := a.Bus.Subscribe(func(v any) {
		s, ok := v.(*event.Session)
		if ok && s.User == q.who.User && (len(s.IDs) == 0 || slices.Contains(s.IDs, q.who.Session)) {
			cancel(errSessionEnded)
		}
	})
	done = func() {
		unsubscribe()
		cancel(nil)
	}
	// Only now is it sure that no end is missed.
	if a.Bus.Ends() != q.ends {
		if err := a.Auth.Alive(ctx, q.who); err != nil {
			done()
			return nil, err
		}
	}
	q.r = q.r.WithContext(ctx)
	return done, nil
}

// sendFile sends the bytes of e, inline if that is wished and does no harm.
func (a *api) sendFile(q *call, e cloud.Entry, inline bool) error {
	if q.content != nil {
		return a.send(q, q.content, inline)
	}
	c, err := q.fs.Open(q.ctx(), q.who, e)
	if err != nil {
		return err
	}
	return a.send(q, c, inline)
}

// locate opens the entry, and finds where what is asked for of it lies. What goes
// wrong is told by who reads it.
func (a *api) locate(q *call) {
	h := q.r.Header
	if q.r.Method != http.MethodGet || h.Get("If-None-Match") != "" || h.Get("If-Modified-Since") != "" { // it may be there already
		return
	}
	c, err := q.fs.Open(q.ctx(), q.who, q.entry)
	if err != nil {
		return
	}
	if c.Locate(q.ctx(), serve.Begins(q.r, c.Size)) == nil {
		q.content = c
	}
}

// send sends an open file.
func (a *api) send(q *call, c *vfs.Content, inline bool) error {
	e := c.Entry
	done, err := a.carried(q)
	if err != nil {
		return err
	}
	defer done()
	q.w.Header().Set("Cache-Control", "private, no-cache") // to be asked about each time: rights end
	return a.sender.Content(q.w, q.r, serve.File{
		Name: e.Name, Type: e.Type, ETag: `"` + e.Object.String() + `"`, Modified: e.UpdatedAt, Size: c.Size,
		Inline: inline, Open: c.OpenRange,
	})
}

func (a *api) content(q *call) error {
	if err := a.countRead(q); err != nil {
		return err
	}
	if len(a.origins) > 0 {
		// Those pages show it in media elements, which ask without their origin.
		q.w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	return a.sendFile(q, q.entry, q.r.URL.Query().Get("download") != "1" && !q.who.NoPreviews)
}

// maxZips is how many archives a user, or the holders of a link, may fetch at once.
const maxZips = 4

// maxSelected is how many entries of a folder an archive can be limited to.
const maxSelected = 1000

// selection is what of a folder is wanted; nil is all of it.
type selection map[cloud.EntryID]bool

// parseSelection reads ids with commas in between.
func parseSelection(text string) (selection, error) {
	if text == "" {
		return nil, nil
	}
	only := selection{}
	for id := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil || n <= 0 || len(only) == maxSelected {
			return nil, cloud.UserErrorf(cloud.ErrInvalid, "only is at most %d ids, with commas in between", maxSelected)
		}
		only[cloud.EntryID(n)] = true
	}
	return only, nil
}

// sendFolder sends what q's user sees below a folder, or of it what is selected. use
// counts it, once there is a place for it: what is refused is no use of a link.
func (a *api) sendFolder(q *call, folder cloud.Entry, name string, only selection, use func() error) error {
	if err := policy.Check(q.who, policy.ReadContent, &folder); err != nil {
		return err
	}
	if !folder.IsFolder() {
		return cloud.UserErrorf(cloud.ErrInvalid, "that is not a folder")
	}
	key := strconv.FormatInt(int64(q.who.User), 10)
	if q.who.Within != nil {
		key = q.who.Session // those who came by a link take nothing from its maker
	}
	end, ok := a.zips.begin(key, maxZips)
	if !ok {
		return cloud.UserErrorf(cloud.ErrLimited, "at most %d archives at once", maxZips)
	}
	defer end()
	if err := use(); err != nil {
		return err
	}
	done, err := a.carried(q)
	if err != nil {
		return err
	}
	defer done()
	return a.sender.Archive(q.w, q.r, name, func(ctx context.Context, visit func([]string, serve.Member) error) error {
		chosen := map[string]bool{} // of the names in the folder, which are unique
		err := q.fs.Walk(ctx, q.who, folder.ID, func(names []string, c *vfs.Content) error {
			if len(names) == 1 && only[c.Entry.ID] { // parents come first
				chosen[names[0]] = true
			}
			if only != nil && !chosen[names[0]] {
				return nil
			}
			return visit(names, member(c))
		})
		if err == nil && len(chosen) < len(only) {
			err = fmt.Errorf("archive: %w", cloud.UserErrorf(cloud.ErrNotFound, "not all that is selected is in the folder"))
		}
		return err
	})
}

func member(c *vfs.Content) serve.Member {
	return serve.Member{
		Folder: c.Entry.IsFolder(), ID: c.Entry.Object.String(), Size: c.Size, CRC32: c.Entry.CRC32, Modified: c.Entry.ModifiedAt,
		Open: c.OpenRange,
	}
}

func (a *api) archive(q *call) error {
	name := "bundle.zip"
	if q.entry.ID != cloud.Root {
		name = q.entry.Name + ".zip"
	}
	only, err := parseSelection(q.r.URL.Query().Get("only"))
	if err != nil {
		return err
	}
	return a.sendFolder(q, q.entry, name, only, func() error { return a.countRead(q) })
}

func (a *api) services(q *call) error {
	list := []ServiceInfo{}
	if a.Services != nil {
		list = append(list, a.Services()...)
	}
	return q.answer(map[string]any{"services": list})
}

func (a *api) debug(q *call) error {
	state := map[string]any{"http": map[string]int64{"requests": a.requests.Load(), "panics": a.panics.Load()}}
	for name, f := range a.Debug {
		state[name] = f()
	}
	if err := q.answer(state); err != nil {
		return fmt.Errorf("state of the parts: %w", err)
	}
	return nil
}
