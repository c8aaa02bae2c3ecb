package dav

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
)

// parsePath gives the names of a path, which was decoded once. Clients of macOS
// send names in NFD; they come out in NFC, as all names do.
func (h *Handler) parsePath(path string) ([]string, error) {
	rest, ok := strings.CutPrefix(path, h.Prefix)
	if !ok || rest != "" && rest[0] != '/' {
		return nil, cloud.ErrNotFound
	}
	if rest == "" {
		return nil, nil
	}
	return vfs.ParsePath(rest)
}

// destination gives the names of the Destination header. It must be on this
// host: 502 otherwise (RFC 4918 §9.8.5).
func (q *request) destination() ([]string, error) {
	text := q.r.Header.Get("Destination")
	if text == "" || len(text) > 16<<10 {
		return nil, refusef(http.StatusBadRequest, "there is no Destination")
	}
	return q.parseURL(text)
}

// parseURL gives the names of an address that a header names.
func (q *request) parseURL(text string) ([]string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Path == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, refusef(http.StatusBadRequest, "a header names no address of a file")
	}
	if u.Host != "" && !q.ownHost(u.Host) {
		return nil, refusef(http.StatusBadGateway, "that is on another server")
	}
	names, err := q.parsePath(u.Path)
	if errors.Is(err, cloud.ErrNotFound) {
		return nil, refusef(http.StatusBadGateway, "that is not below %s/", q.Prefix)
	}
	return names, err
}

func (q *request) ownHost(host string) bool {
	if strings.EqualFold(host, q.r.Host) {
		return true
	}
	public, err := url.Parse(q.PublicURL)
	return err == nil && public.Host != "" && strings.EqualFold(host, public.Host)
}

// href is the address of an entry; folders end with a slash.
func (h *Handler) href(names []string, folder bool) string {
	var b strings.Builder
	b.WriteString(h.Prefix)
	for _, name := range names {
		b.WriteByte('/')
		escapePath(&b, name)
	}
	if folder || len(names) == 0 {
		b.WriteByte('/')
	}
	return b.String()
}

// escapePath percent-encodes all but the unreserved characters of RFC 3986, as
// the clients that compare addresses byte by byte do.
func escapePath(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
}

// place is an address: what is there, if anything is, and the folder it is in.
type place struct {
	names  []string
	entry  cloud.Entry
	exists bool
	parent cloud.Entry
	within bool // there is such a folder; the top of the tree has none
}

func (p place) name() string { return p.names[len(p.names)-1] }

// find looks an address up. What who may not see is not there.
func (q *request) find(names []string) (place, error) {
	p := place{names: names}
	var err error
	if len(names) == 0 {
		p.entry, err = q.FS.Lookup(q.ctx(), q.who, nil)
		p.exists = err == nil
		return p, err
	}
	p.parent, err = q.FS.Lookup(q.ctx(), q.who, names[:len(names)-1])
	switch {
	case errors.Is(err, cloud.ErrNotFound):
		return p, nil
	case err != nil:
		return p, err
	case !p.parent.IsFolder():
		return p, nil
	}
	p.within = true
	p.entry, err = q.FS.ChildFound(q.ctx(), q.who, p.parent, p.name())
	if errors.Is(err, cloud.ErrNotFound) {
		return p, nil
	}
	p.exists = err == nil
	return p, err
}

// here is find for what the request is about, which has to be there.
func (q *request) here() (place, error) {
	p, err := q.find(q.names)
	if err == nil && !p.exists {
		err = cloud.ErrNotFound
	}
	return p, err
}

// takes tells whether an entry may be made at an address where there is none.
func (q *request) takes(p place) error {
	if !p.within {
		return refusef(http.StatusConflict, "the folder does not exist")
	}
	if q.refused(p.name()) {
		return refusef(http.StatusForbidden, "files of this name are not taken here")
	}
	return policy.Check(q.who, policy.AddTo, &p.parent)
}
