package dav

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// pageSize is how many entries of a listing are in memory.
const pageSize = 500

// name is the name of a property.
type name struct{ space, local string }

// wish is what a PROPFIND asks for.
type wish struct {
	all   bool   // all that is not costly, and
	named []name // these
	list  bool   // names only
	brief bool   // leave out what is not there
}

func (w wish) wants(n name) bool { return w.all && !costly[n] || w.list || slices.Contains(w.named, n) }

// dead tells whether properties that clients keep are asked for.
func (w wish) dead() bool {
	if w.all || w.list {
		return true
	}
	return slices.ContainsFunc(w.named, func(n name) bool { return n == ocChecksums || live[n] == nil })
}

// lookOutline reads what is asked for, and of it what is needed for the first page.
func (q *request) lookOutline() error {
	// Programs of Microsoft ask for what is in a folder without the folder itself
	// ([MS-WDV] 2.2.2: Depth).
	depth, noroot := strings.CutSuffix(strings.ReplaceAll(strings.ToLower(q.r.Header.Get("Depth")), " ", ""), ",noroot")
	switch {
	case depth == "" || depth == "infinity":
		return &refusal{status: http.StatusForbidden, condition: "propfind-finite-depth"}
	case depth != "0" && depth != "1", noroot && depth == "0":
		return refusef(http.StatusBadRequest, "Depth is 0, 1 or infinity")
	}
	root, err := q.readXML()
	if err != nil {
		return err
	}
	w, err := parseWish(root)
	if err != nil {
		return err
	}
	w.brief = strings.EqualFold(q.r.Header.Get("Brief"), "t") || strings.Contains(strings.ToLower(q.r.Header.Get("Prefer")), "return=minimal")
	if q.place, err = q.here(); err != nil {
		return err
	}
	o := &outline{request: q, wish: w, noroot: noroot, children: depth == "1" && q.place.entry.IsFolder()}
	if err := o.prepare(q.place); err != nil {
		return err
	}
	if o.children {
		if err := o.turn(); err != nil {
			return err
		}
	}
	q.outline = o
	return nil
}

func (q *request) propfind() error {
	h := q.w.Header()
	h.Set("Content-Type", xmlType)
	q.w.WriteHeader(http.StatusMultiStatus)
	if err := q.outline.write(); err != nil {
		q.log.DebugContext(q.ctx(), "listing broken off", "err", err)
		panic(http.ErrAbortHandler) // a part must not be taken for the whole
	}
	return nil
}

func parseWish(root *node) (wish, error) {
	if root == nil {
		return wish{all: true}, nil
	}
	bad := refusef(http.StatusBadRequest, "that is no propfind")
	if !root.is(nsDAV, "propfind") {
		return wish{}, bad
	}
	var w wish
	kinds := 0
	add := func(n *node) {
		for _, c := range n.elements() {
			if one := (name{c.space, c.name}); !slices.Contains(w.named, one) {
				w.named = append(w.named, one)
			}
		}
	}
	for _, c := range root.elements() {
		switch {
		case c.is(nsDAV, "allprop"):
			w.all = true
			kinds++
		case c.is(nsDAV, "propname"):
			w.list = true
			kinds++
		case c.is(nsDAV, "prop"):
			add(c)
			kinds++
		case c.is(nsDAV, "include"):
			add(c)
		}
	}
	if kinds != 1 || len(w.named) > meta.MaxProperties {
		return wish{}, bad
	}
	return w, nil
}

// outline writes a multistatus, a page of the listing at a time.
type outline struct {
	*request
	wish
	noroot   bool // leave the entry itself out
	children bool // list what is in it
	buf      xmlWriter
	locks    map[cloud.EntryID][]meta.Lock // those on children
	above    []meta.Lock                   // deep ones, over all children
	own      []meta.Lock                   // over the entry itself
	props    []meta.Property               // of the entry itself
	used     int64                         // bytes below it; -1 if they are not asked for

	page      meta.Page                         // of the children
	pageProps map[cloud.EntryID][]meta.Property // of those on it
}

// prepare reads what is said of the entry itself and holds for all below it.
func (o *outline) prepare(p place) (err error) {
	store := o.FS.Store
	if o.wants(lockDiscovery) {
		if o.own, err = store.LocksOver(o.ctx(), p.entry.ID, o.Now()); err != nil {
			return err
		}
		direct, err := store.LocksBelow(o.ctx(), p.entry.ID, true, o.Now())
		if err != nil {
			return err
		}
		o.locks = map[cloud.EntryID][]meta.Lock{}
		for _, l := range direct {
			o.locks[l.Entry] = append(o.locks[l.Entry], l)
		}
		for _, l := range o.own {
			if l.Deep {
				o.above = append(o.above, l)
			}
		}
	}
	if o.dead() {
		if o.props, err = store.Properties(o.ctx(), p.entry.ID); err != nil {
			return err
		}
	}
	o.used = -1
	if p.entry.IsFolder() && slices.Contains(o.named, quotaUsed) {
		sizes, err := o.FS.Sizes(o.ctx(), o.who, p.entry.ID)
		if err != nil {
			return err
		}
		o.used = sizes.Bytes
	}
	return nil
}

// turn reads the next page of the children.
func (o *outline) turn() (err error) {
	e := o.place.entry
	if o.page, err = o.FS.List(o.ctx(), o.who, e.ID, meta.Query{Limit: pageSize, After: o.page.Next}); err != nil {
		return err
	}
	if o.pageProps = nil; !o.dead() || len(o.page.Entries) == 0 {
		return nil
	}
	first, last := o.page.Entries[0].ID, o.page.Entries[0].ID
	for _, c := range o.page.Entries {
		first, last = min(first, c.ID), max(last, c.ID)
	}
	o.pageProps, err = o.FS.Store.PropertiesIn(o.ctx(), e.ID, first, last)
	return err
}

// write writes the whole document.
func (o *outline) write() error {
	o.buf.text(xmlHead + `<D:multistatus xmlns:D="DAV:" xmlns:oc="` + nsOC + `">`)
	if !o.noroot || !o.children {
		if err := o.response(o.names, facts{e: o.place.entry, locks: o.own, props: o.props, used: o.used}); err != nil {
			return err
		}
	}
	for len(o.page.Entries) > 0 {
		if err := o.entries(); err != nil {
			return err
		}
		if o.page.Next == "" {
			break
		}
		if err := o.flush(); err != nil {
			return err
		}
		if err := o.turn(); err != nil {
			return err
		}
	}
	o.buf.text("</D:multistatus>\n")
	return o.flush()
}

// entries writes those on the page.
func (o *outline) entries() error {
	names := append(slices.Clone(o.names), "")
	for _, e := range o.page.Entries {
		names[len(names)-1] = e.Name
		f := facts{e: e, props: o.pageProps[e.ID], used: -1}
		if own := o.locks[e.ID]; len(own)+len(o.above) > 0 {
			f.locks = append(slices.Clone(o.above), own...)
		}
		if err := o.response(names, f); err != nil {
			return err
		}
		if len(o.buf.b) > 32<<10 {
			if err := o.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush sends what is written, in the time for one block.
func (o *outline) flush() error {
	rc := http.NewResponseController(o.w)
	if err := rc.SetWriteDeadline(time.Now().Add(o.Stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := o.ctx().Err(); err != nil {
		return err
	}
	_, err := o.w.Write(o.buf.b)
	o.buf.b = o.buf.b[:0]
	if err == nil {
		err = rc.Flush()
	}
	if errors.Is(err, http.ErrNotSupported) {
		err = nil
	}
	return err
}

// facts are what is known of an entry in a listing.
type facts struct {
	e     cloud.Entry
	locks []meta.Lock
	props []meta.Property
	used  int64
}

// response writes what is said of one entry.
func (o *outline) response(names []string, f facts) error {
	b := &o.buf
	b.text("<D:response><D:href>" + o.href(names, f.e.IsFolder()) + "</D:href>")
	b.text("<D:propstat><D:prop>")
	var missing []name
	if o.all || o.list {
		for _, n := range liveOrder {
			if o.wants(n) && live[n].has(f) {
				if err := o.property(n, f); err != nil {
					return err
				}
			}
		}
		for _, p := range f.props {
			switch {
			case p.Space == nsOurs:
			case o.list:
				writeName(b, name{p.Space, p.Name})
			default:
				b.b = append(b.b, p.Value...)
			}
		}
		for _, n := range o.named { // of include
			if live[n] != nil && costly[n] && live[n].has(f) {
				if err := o.property(n, f); err != nil {
					return err
				}
			}
		}
	} else {
		for _, n := range o.named {
			if l := live[n]; l != nil && l.has(f) {
				if err := o.property(n, f); err != nil {
					return err
				}
				continue
			}
			i := slices.IndexFunc(f.props, func(p meta.Property) bool { return p.Space == n.space && p.Name == n.local && p.Space != nsOurs })
			if i < 0 {
				missing = append(missing, n)
				continue
			}
			b.b = append(b.b, f.props[i].Value...)
		}
	}
	b.text("</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>")
	if len(missing) > 0 && !o.brief {
		b.text("<D:propstat><D:prop>")
		for _, n := range missing {
			writeName(b, n)
		}
		b.text("</D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat>")
	}
	b.text("</D:response>\n")
	return nil
}

func (o *outline) property(n name, f facts) error {
	if o.list {
		writeName(&o.buf, n)
		return nil
	}
	return live[n].write(o.request, &o.buf, f)
}

// writeName writes an empty element.
func writeName(b *xmlWriter, n name) {
	if n.space == nsDAV {
		b.text("<D:" + n.local + "/>")
		return
	}
	b.element(&node{space: n.space, name: n.local})
}
