package dav

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// proppatch sets and removes properties, all of them or none.
func (q *request) proppatch() error {
	root, err := q.readXML()
	if err != nil {
		return err
	}
	changes, err := parseChanges(root)
	if err != nil {
		return err
	}
	p, err := q.here()
	if err != nil {
		return err
	}
	if err := policy.Check(q.who, policy.ReplaceFile, &p.entry); err != nil {
		return err
	}
	if err := errors.Join(q.matches(p), q.over(p.entry.ID)); err != nil {
		return err
	}
	statuses := make([]int, len(changes))
	var modified time.Time
	var dead []meta.PropertyChange
	failed := false
	for i := range changes {
		c := &changes[i]
		if c.fate(&modified) {
			statuses[i] = http.StatusForbidden
			failed = true
		} else if c.keep {
			dead = append(dead, meta.PropertyChange{Property: meta.Property{Space: c.space, Name: c.local, Value: c.value}, Remove: c.remove})
		}
	}
	if !failed {
		err := q.FS.Store.SetProperties(q.ctx(), p.entry.ID, dead)
		if err == nil && !modified.IsZero() {
			err = q.FS.SetModified(q.ctx(), q.who, p.entry.ID, modified)
		}
		switch {
		case errors.Is(err, cloud.ErrFull):
			failed = true
			for i := range statuses {
				statuses[i] = http.StatusInsufficientStorage
			}
		case err != nil:
			return err
		}
	}
	q.answerChanges(p, changes, statuses, failed)
	return nil
}

// change is one property of a PROPPATCH.
type change struct {
	name
	value  []byte // the element
	text   string // all text in it
	remove bool
	keep   bool // among the dead ones
}

// The properties that set the time of the content: what HTTP calls it, what
// Windows does, and what clients of ownCloud do.
var (
	winModified = name{nsWin, "Win32LastModifiedTime"}
	ocModified  = name{nsDAV, "lastmodified"}
)

// fate says what becomes of a change, and tells whether it is refused.
func (c *change) fate(modified *time.Time) (refused bool) {
	switch c.name {
	case lastModified, winModified:
		t, err := http.ParseTime(strings.TrimSpace(c.text))
		if c.remove || err != nil {
			return true
		}
		*modified = t
		c.keep = c.name == winModified // Windows reads it back
		return false
	case ocModified:
		n, err := strconv.ParseInt(strings.TrimSpace(c.text), 10, 64)
		if c.remove || err != nil || n < -62135596800 || n > 253402300799 {
			return true
		}
		*modified = time.Unix(n, 0).UTC()
		return false
	}
	if live[c.name] != nil || c.space == nsOurs {
		return true
	}
	c.keep = true
	return false
}

func parseChanges(root *node) ([]change, error) {
	bad := refusef(http.StatusBadRequest, "that is no propertyupdate")
	if root == nil || !root.is(nsDAV, "propertyupdate") {
		return nil, bad
	}
	var all []change
	for _, op := range root.elements() {
		remove := op.is(nsDAV, "remove")
		if !remove && !op.is(nsDAV, "set") {
			continue // RFC 4918 §17: what is not known is passed over
		}
		for _, prop := range op.elements() {
			if !prop.is(nsDAV, "prop") {
				continue
			}
			for _, n := range prop.elements() {
				c := change{name: name{n.space, n.name}, remove: remove, text: n.string()}
				if !remove {
					n.language(prop, op, root)
					var b xmlWriter
					b.element(n)
					c.value = b.b
				}
				all = append(all, c)
			}
		}
	}
	if len(all) == 0 || len(all) > meta.MaxProperties {
		return nil, bad
	}
	return all, nil
}

// answerChanges tells of each property what became of it: when one is refused,
// the others fail with it.
func (q *request) answerChanges(p place, changes []change, statuses []int, failed bool) {
	var b xmlWriter
	b.text(xmlHead + `<D:multistatus xmlns:D="DAV:"><D:response><D:href>` + q.href(q.names, p.entry.IsFolder()) + "</D:href>")
	for i, c := range changes {
		status := statuses[i]
		switch {
		case status != 0:
		case failed:
			status = http.StatusFailedDependency
		default:
			status = http.StatusOK
		}
		b.text("<D:propstat><D:prop>")
		writeName(&b, c.name)
		b.text("</D:prop><D:status>HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "</D:status>")
		if status == http.StatusForbidden {
			b.text("<D:error><D:cannot-modify-protected-property/></D:error>")
		}
		b.text("</D:propstat>")
	}
	b.text("</D:response></D:multistatus>\n")
	h := q.w.Header()
	h.Set("Content-Type", xmlType)
	h.Set("Content-Length", strconv.Itoa(len(b.b)))
	q.w.WriteHeader(http.StatusMultiStatus)
	_, _ = q.w.Write(b.b) // the receiver is gone
}
