package dav

import (
	"errors"
	"net/http"
	"strings"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/serve"
	"discordcloud/pkg/cloud"
)

// lookFile finds a file, and where what is asked for of it lies.
func (q *request) lookFile() (err error) {
	if q.place, err = q.here(); err != nil {
		return err
	}
	if q.place.entry.IsFolder() {
		q.w.Header().Set("Allow", allowed)
		return refusef(http.StatusMethodNotAllowed, "This is a folder. Open this address with a program that speaks WebDAV.")
	}
	if q.content, err = q.FS.Open(q.ctx(), q.who, q.place.entry); err != nil {
		return err
	}
	if q.r.Method == http.MethodGet && q.r.Header.Get("If-None-Match") == "" { // else it may be there already
		_ = q.content.Locate(q.ctx(), serve.Begins(q.r, q.content.Size)) // who reads it is told what is wrong
	}
	return nil
}

func (q *request) get() error {
	done, err := q.carried()
	if err != nil {
		return err
	}
	defer done()
	// Times are those of the uploader's disk here: they may go back while the
	// content changes, so that only tags say whether it did.
	for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
		q.r.Header.Del(name)
	}
	if v := q.r.Header.Get("If-Range"); v != "" && !strings.HasPrefix(v, `"`) {
		q.r.Header.Del("Range")
	}
	e := q.place.entry
	return q.sender.Content(q.w, q.r, serve.File{
		Name: e.Name, Type: e.Type, ETag: etag(e), Modified: e.ModifiedAt, Size: q.content.Size, Open: q.content.OpenRange,
	})
}

func (q *request) makeFolder() error {
	if q.r.ContentLength != 0 {
		var b [1]byte
		if n, _ := q.r.Body.Read(b[:]); n > 0 {
			return refusef(http.StatusUnsupportedMediaType, "MKCOL takes no body")
		}
	}
	p, err := q.find(q.names)
	if err != nil {
		return err
	}
	if p.exists {
		return refusef(http.StatusMethodNotAllowed, "the name is taken")
	}
	if err := errors.Join(q.takes(p), q.matches(p)); err != nil {
		return err
	}
	if err := q.unlocked(p); err != nil {
		return err
	}
	_, created, err := q.FS.MakeFolders(q.ctx(), q.who, p.parent.ID, []string{p.name()})
	switch {
	case errors.Is(err, cloud.ErrExists), err == nil && len(created) == 0:
		return refusef(http.StatusMethodNotAllowed, "the name is taken")
	case err != nil:
		return err
	}
	q.empty(http.StatusCreated)
	return nil
}

func (q *request) empty(status int) {
	if status != http.StatusNoContent {
		q.w.Header().Set("Content-Length", "0")
	}
	q.w.WriteHeader(status)
}

func (q *request) delete() error {
	p, err := q.here()
	if err != nil {
		return err
	}
	if d := q.r.Header.Get("Depth"); p.entry.IsFolder() && d != "" && !strings.EqualFold(d, "infinity") {
		return refusef(http.StatusBadRequest, "a folder is deleted with all that is in it")
	}
	if err := policy.Check(q.who, policy.DeleteEntry, &p.entry); err != nil {
		return err
	}
	if err := q.matches(p); err != nil {
		return err
	}
	if err := q.removable(p); err != nil {
		return err
	}
	if _, err := q.FS.Delete(q.ctx(), q.who, p.entry.ID); err != nil {
		return err
	}
	q.empty(http.StatusNoContent)
	return nil
}

// target finds and checks where a COPY or MOVE goes.
func (q *request) target(from place) (to place, on meta.Conflict, err error) {
	names, err := q.destination()
	if err != nil {
		return place{}, "", err
	}
	if to, err = q.find(names); err != nil {
		return place{}, "", err
	}
	on = meta.ConflictFail
	switch overwrite := q.r.Header.Get("Overwrite"); {
	case to.exists && to.entry.ID == from.entry.ID:
		return to, on, refusef(http.StatusForbidden, "source and destination are the same")
	case len(names) == 0:
		return to, on, refusef(http.StatusForbidden, "the top folder stays as it is")
	case !to.exists:
		err = q.takes(to)
	case strings.EqualFold(overwrite, "F"):
		return to, on, refusef(http.StatusPreconditionFailed, "the destination exists")
	case overwrite != "" && !strings.EqualFold(overwrite, "T"):
		return to, on, refusef(http.StatusBadRequest, "Overwrite is T or F")
	default:
		on = meta.ConflictClear
		err = policy.Check(q.who, policy.ReplaceFile, &to.entry)
	}
	return to, on, err
}

func (q *request) copy() error {
	from, err := q.here()
	if err != nil {
		return err
	}
	deep := true
	switch d := q.r.Header.Get("Depth"); {
	case d == "0":
		deep = false
	case d != "" && !strings.EqualFold(d, "infinity"):
		return refusef(http.StatusBadRequest, "Depth of a copy is 0 or infinity")
	}
	to, on, err := q.target(from)
	if err != nil {
		return err
	}
	if err := q.matches(from); err != nil {
		return err
	}
	kept, err := q.replaceable(to)
	if err != nil {
		return err
	}
	r, err := q.FS.Copy(q.ctx(), q.who, from.entry.ID, to.parent.ID, to.name(), deep, on)
	if err != nil {
		return changeError(err)
	}
	if r.Replaced == nil || r.Replaced.ID != r.Entry.ID {
		q.keepLocks(kept, r.Entry.ID)
	}
	q.changed(to)
	return nil
}

func (q *request) move() error {
	from, err := q.here()
	if err != nil {
		return err
	}
	if d := q.r.Header.Get("Depth"); from.entry.IsFolder() && d != "" && !strings.EqualFold(d, "infinity") {
		return refusef(http.StatusBadRequest, "a folder is moved with all that is in it")
	}
	if err := policy.Check(q.who, policy.MoveEntry, &from.entry); err != nil {
		return err
	}
	to, on, err := q.target(from)
	if err != nil {
		return err
	}
	if err := q.matches(from); err != nil {
		return err
	}
	if err := q.removable(from); err != nil {
		return err
	}
	kept, err := q.replaceable(to)
	if err != nil {
		return err
	}
	r, err := q.FS.Move(q.ctx(), q.who, from.entry.ID, to.parent.ID, to.name(), on)
	if err != nil {
		return changeError(err)
	}
	if err := q.FS.Store.MoveLocks(q.ctx(), r.After.ID, r.After.ID); err != nil {
		q.log.WarnContext(q.ctx(), "locks of a moved entry not removed", "entry", r.After.ID, "err", err) // they expire
	}
	q.keepLocks(kept, r.After.ID)
	q.changed(to)
	return nil
}

// changeError is the answer for what the store refused of a COPY or MOVE: it came
// after all that could be told before, from somebody who was faster, or is about
// the shape of the tree.
func changeError(err error) error {
	switch {
	case errors.Is(err, cloud.ErrExists):
		return &refusal{status: http.StatusPreconditionFailed, text: cloud.TextOf(err)}
	case errors.Is(err, cloud.ErrInvalid):
		return &refusal{status: http.StatusConflict, text: cloud.TextOf(err)}
	}
	return err
}

// changed answers that something was made, or replaced.
func (q *request) changed(to place) {
	if to.exists {
		q.empty(http.StatusNoContent)
		return
	}
	q.w.Header().Set("Location", q.href(to.names, false))
	q.empty(http.StatusCreated)
}
