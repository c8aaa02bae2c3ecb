package dav

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

const (
	lockDefault = 30 * time.Minute
	lockMost    = 24 * time.Hour
	maxOwner    = 4 << 10
)

// held is 423 unless the request submits, for each locked entry, the token of
// one of its locks, and its user is the one who took that lock: a token that got
// about is worth nothing.
func (q *request) held(locks []meta.Lock) error {
	tokens := q.cond.tokens()
	open := map[cloud.EntryID]bool{}
	for _, l := range locks {
		open[l.Entry] = open[l.Entry] || tokens[l.Token] && l.User == q.who.User
	}
	for _, ok := range open {
		if !ok {
			return &refusal{status: http.StatusLocked, condition: "lock-token-submitted", href: q.href(q.names, false)}
		}
	}
	return nil
}

func (q *request) over(id cloud.EntryID) error {
	locks, err := q.FS.Store.LocksOver(q.ctx(), id, q.Now())
	if err != nil {
		return err
	}
	return q.held(locks)
}

// unlocked tells whether locks let the content of a place be written, or an entry
// be made there.
func (q *request) unlocked(p place) error {
	if p.exists {
		return q.over(p.entry.ID)
	}
	return q.over(p.parent.ID)
}

// removable tells whether locks let an entry go from where it is.
func (q *request) removable(p place) error {
	below, err := q.FS.Store.LocksBelow(q.ctx(), p.entry.ID, false, q.Now())
	if err != nil {
		return err
	}
	if err := q.held(below); err != nil {
		return err
	}
	if err := q.over(p.entry.ID); err != nil || !p.within {
		return err
	}
	return q.over(p.parent.ID)
}

// replaceable tells whether locks let something be put at a place, and gives those
// on what is there, which are to stay.
func (q *request) replaceable(p place) (kept []meta.Lock, err error) {
	if !p.exists {
		return nil, q.unlocked(p)
	}
	below, err := q.FS.Store.LocksBelow(q.ctx(), p.entry.ID, false, q.Now())
	if err != nil {
		return nil, err
	}
	over, err := q.FS.Store.LocksOver(q.ctx(), p.entry.ID, q.Now())
	if err != nil {
		return nil, err
	}
	for _, l := range over {
		if l.Entry == p.entry.ID {
			kept = append(kept, l)
		}
	}
	return kept, errors.Join(q.held(below), q.held(over))
}

// keepLocks puts the locks of an entry that was replaced on what is there now.
func (q *request) keepLocks(locks []meta.Lock, on cloud.EntryID) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.ctx()), 10*time.Second)
	defer cancel()
	for _, l := range locks {
		l.Entry = on
		if _, err := q.FS.Store.CreateLock(ctx, l, q.Now()); err != nil {
			q.log.WarnContext(ctx, "lock of a replaced entry lost", "entry", on, "err", err) // its owner finds out
		}
	}
}

func (q *request) lock() error {
	root, err := q.readXML()
	if err != nil {
		return err
	}
	timeout := parseTimeout(q.r.Header.Get("Timeout"))
	if root == nil {
		return q.refreshLock(timeout)
	}
	l, err := q.parseLock(root, timeout)
	if err != nil {
		return err
	}
	p, err := q.find(q.names)
	if err != nil {
		return err
	}
	if err := errors.Join(q.lockable(p), q.matches(p)); err != nil {
		return err
	}
	created := !p.exists
	if created {
		if p.entry, err = q.makeEmpty(p); err != nil {
			return err
		}
	}
	l.Entry = p.entry.ID
	others, err := q.FS.Store.CreateLock(q.ctx(), l, q.Now())
	if errors.Is(err, cloud.ErrExists) {
		q.log.DebugContext(q.ctx(), "locked already", "entry", l.Entry, "locks", len(others))
		return &refusal{status: http.StatusLocked, condition: "no-conflicting-lock", href: q.href(q.names, p.entry.IsFolder())}
	}
	if err != nil {
		return err
	}
	q.w.Header().Set("Lock-Token", "<"+l.Token+">")
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return q.showLocks(status, p.entry.ID)
}

// lockable tells whether a place may be locked: by who may write what is there,
// since a lock keeps all others from it.
func (q *request) lockable(p place) error {
	switch {
	case !p.exists:
		if err := q.takes(p); err != nil {
			return err
		}
		return q.unlocked(p)
	case p.entry.IsFolder():
		return policy.Check(q.who, policy.DeleteEntry, &p.entry)
	}
	return policy.Check(q.who, policy.ReplaceFile, &p.entry)
}

// makeEmpty makes the empty file that a lock of nothing brings about (RFC 4918
// §7.3).
func (q *request) makeEmpty(p place) (cloud.Entry, error) {
	done, err := q.Put(q.ctx(), q.who, dispatch.PutRequest{
		Folder: q.realFolder(p), Name: p.name(), Conflict: meta.ConflictFail, Type: q.contentType(p.name()), Body: http.NoBody,
	})
	return done.Entry, err
}

func (q *request) parseLock(root *node, timeout time.Duration) (meta.Lock, error) {
	bad := refusef(http.StatusBadRequest, "that is no lockinfo")
	l := meta.Lock{User: q.who.User, Timeout: timeout, ExpiresAt: q.Now().Add(timeout), Token: newToken()}
	scope, kind := root.child(nsDAV, "lockscope"), root.child(nsDAV, "locktype")
	if !root.is(nsDAV, "lockinfo") || scope == nil || kind == nil || kind.child(nsDAV, "write") == nil {
		return l, bad
	}
	switch {
	case scope.child(nsDAV, "exclusive") != nil:
	case scope.child(nsDAV, "shared") != nil:
		l.Shared = true
	default:
		return l, bad
	}
	switch d := q.r.Header.Get("Depth"); {
	case d == "0":
	case d == "" || strings.EqualFold(d, "infinity"):
		l.Deep = true
	default:
		return l, refusef(http.StatusBadRequest, "Depth of a lock is 0 or infinity")
	}
	if owner := root.child(nsDAV, "owner"); owner != nil {
		var b xmlWriter
		b.element(owner)
		if len(b.b) > maxOwner {
			return l, refusef(http.StatusRequestEntityTooLarge, "the owner has more than %d bytes", maxOwner)
		}
		l.Owner = b.b
	}
	return l, nil
}

func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// parseTimeout takes the first time that the client would like, within bounds.
func parseTimeout(header string) time.Duration {
	first, _, _ := strings.Cut(header, ",")
	text, ok := strings.CutPrefix(strings.TrimSpace(first), "Second-")
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || n <= 0 {
		return lockDefault
	}
	return min(time.Duration(min(n, int64(lockMost/time.Second)))*time.Second, lockMost)
}

// refreshLock gives a lock more time. The header names it; it may lie above.
func (q *request) refreshLock(timeout time.Duration) error {
	tokens := q.cond.tokens()
	if len(tokens) == 0 {
		return refusef(http.StatusBadRequest, "neither a lock is asked for nor one named to be refreshed")
	}
	p, err := q.here()
	if err != nil {
		return err
	}
	locks, err := q.FS.Store.LocksOver(q.ctx(), p.entry.ID, q.Now())
	if err != nil {
		return err
	}
	for _, l := range locks {
		if !tokens[l.Token] {
			continue
		}
		if l.User != q.who.User {
			return refusef(http.StatusForbidden, "the lock is somebody else's")
		}
		if _, err := q.FS.Store.RefreshLock(q.ctx(), l.Token, timeout, q.Now()); err != nil {
			return err
		}
		return q.showLocks(http.StatusOK, p.entry.ID)
	}
	return &refusal{status: http.StatusPreconditionFailed, condition: "lock-token-matches-request-uri"}
}

// showLocks answers with the locks that hold for an entry.
func (q *request) showLocks(status int, id cloud.EntryID) error {
	locks, err := q.FS.Store.LocksOver(q.ctx(), id, q.Now())
	if err != nil {
		return err
	}
	var b xmlWriter
	b.text(xmlHead + `<D:prop xmlns:D="DAV:">`)
	if err := q.writeLocks(&b, locks); err != nil {
		return err
	}
	b.text("</D:prop>\n")
	h := q.w.Header()
	h.Set("Content-Type", xmlType)
	h.Set("Content-Length", strconv.Itoa(len(b.b)))
	q.w.WriteHeader(status)
	_, _ = q.w.Write(b.b) // the receiver is gone
	return nil
}

// writeLocks writes the property lockdiscovery. The token of a lock is shown to
// its owner only.
func (q *request) writeLocks(b *xmlWriter, locks []meta.Lock) error {
	b.text("<D:lockdiscovery>")
	for _, l := range locks {
		path, err := q.pathOf(l.Entry)
		if err != nil {
			return err
		}
		scope, depth := "exclusive", "0"
		if l.Shared {
			scope = "shared"
		}
		if l.Deep {
			depth = "infinity"
		}
		b.text("<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:" + scope + "/></D:lockscope><D:depth>" + depth + "</D:depth>")
		b.text(string(l.Owner))
		left := max(1, int64(l.ExpiresAt.Sub(q.Now()).Round(time.Second)/time.Second))
		b.text("<D:timeout>Second-" + strconv.FormatInt(left, 10) + "</D:timeout>")
		if l.User == q.who.User {
			b.text("<D:locktoken><D:href>" + l.Token + "</D:href></D:locktoken>")
		}
		b.text("<D:lockroot><D:href>" + path + "</D:href></D:lockroot></D:activelock>")
	}
	b.text("</D:lockdiscovery>")
	return nil
}

// pathOf is the address of an entry; of one above the subtree it is the top.
func (q *request) pathOf(id cloud.EntryID) (string, error) {
	names, err := q.FS.PathOf(q.ctx(), id)
	if errors.Is(err, cloud.ErrNotFound) {
		return q.href(nil, true), nil // it has just gone
	}
	if err != nil {
		return "", err
	}
	return q.href(names[min(len(q.top), len(names)):], false), nil
}

func (q *request) unlock() error {
	token := strings.TrimSpace(q.r.Header.Get("Lock-Token"))
	if len(token) < 3 || token[0] != '<' || token[len(token)-1] != '>' {
		return refusef(http.StatusBadRequest, "there is no Lock-Token")
	}
	token = token[1 : len(token)-1]
	p, err := q.here()
	if err != nil {
		return err
	}
	locks, err := q.FS.Store.LocksOver(q.ctx(), p.entry.ID, q.Now())
	if err != nil {
		return err
	}
	for _, l := range locks {
		if l.Token != token {
			continue
		}
		if l.User != q.who.User {
			return refusef(http.StatusForbidden, "the lock is somebody else's")
		}
		if err := q.FS.Store.DeleteLock(q.ctx(), token); err != nil && !errors.Is(err, cloud.ErrNotFound) {
			return err
		}
		q.empty(http.StatusNoContent)
		return nil
	}
	return &refusal{status: http.StatusConflict, condition: "lock-token-matches-request-uri"}
}
