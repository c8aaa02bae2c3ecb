package dav

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"discordcloud/manager/internal/meta"
)

// property is a live property: one that the server makes.
type property struct {
	has   func(facts) bool
	write func(*request, *xmlWriter, facts) error
}

var (
	resourceType  = name{nsDAV, "resourcetype"}
	displayName   = name{nsDAV, "displayname"}
	contentLength = name{nsDAV, "getcontentlength"}
	contentType   = name{nsDAV, "getcontenttype"}
	entityTag     = name{nsDAV, "getetag"}
	lastModified  = name{nsDAV, "getlastmodified"}
	creationDate  = name{nsDAV, "creationdate"}
	supportedLock = name{nsDAV, "supportedlock"}
	lockDiscovery = name{nsDAV, "lockdiscovery"}
	quotaFree     = name{nsDAV, "quota-available-bytes"}
	quotaUsed     = name{nsDAV, "quota-used-bytes"}
	ocChecksums   = name{nsOC, "checksums"}

	// liveOrder is all of them, in the order of a listing.
	liveOrder = []name{
		resourceType, displayName, contentLength, contentType, entityTag, lastModified, creationDate,
		supportedLock, lockDiscovery, quotaFree, quotaUsed, ocChecksums,
	}
	// costly ones are told only who names them (RFC 4918 §9.1 leaves that open).
	costly = map[name]bool{quotaFree: true, quotaUsed: true, ocChecksums: true}
)

// free is what is said to be free where nothing bounds it: there are clients that
// do not write where they are told of no space.
const free = 1 << 50

var live = map[name]*property{
	resourceType: {always, func(_ *request, b *xmlWriter, f facts) error {
		if f.e.IsFolder() {
			b.text("<D:resourcetype><D:collection/></D:resourcetype>")
		} else {
			b.text("<D:resourcetype/>")
		}
		return nil
	}},
	displayName:   {always, text("displayname", func(f facts) string { return f.e.Name })},
	contentLength: {ofFiles, text("getcontentlength", func(f facts) string { return strconv.FormatInt(f.e.Size, 10) })},
	contentType: {ofFiles, text("getcontenttype", func(f facts) string {
		if f.e.Type == "" {
			return "application/octet-stream"
		}
		return f.e.Type
	})},
	entityTag:     {ofFiles, text("getetag", func(f facts) string { return etag(f.e) })},
	lastModified:  {always, text("getlastmodified", func(f facts) string { return f.e.ModifiedAt.UTC().Format(http.TimeFormat) })},
	creationDate:  {always, text("creationdate", func(f facts) string { return f.e.CreatedAt.UTC().Format(time.RFC3339) })},
	supportedLock: {always, func(_ *request, b *xmlWriter, _ facts) error { b.text(supported); return nil }},
	lockDiscovery: {always, func(q *request, b *xmlWriter, f facts) error { return q.writeLocks(b, f.locks) }},
	quotaFree: {ofFolders, func(q *request, b *xmlWriter, _ facts) error {
		room, bounded, err := q.FS.Room(q.ctx(), q.who)
		if err != nil {
			return err
		}
		if !bounded {
			room = free
		}
		b.text("<D:quota-available-bytes>" + strconv.FormatInt(room, 10) + "</D:quota-available-bytes>")
		return nil
	}},
	quotaUsed: {func(f facts) bool { return f.used >= 0 }, text("quota-used-bytes", func(f facts) string { return strconv.FormatInt(f.used, 10) })},
	ocChecksums: {func(f facts) bool { return sums(f) != "" }, func(_ *request, b *xmlWriter, f facts) error {
		b.text("<oc:checksums><oc:checksum>" + sums(f) + "</oc:checksum></oc:checksums>")
		return nil
	}},
}

const supported = "<D:supportedlock>" +
	"<D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>" +
	"<D:lockentry><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry></D:supportedlock>"

func always(facts) bool      { return true }
func ofFiles(f facts) bool   { return !f.e.IsFolder() }
func ofFolders(f facts) bool { return f.e.IsFolder() }

// text is a property of DAV: that is a text.
func text(local string, value func(facts) string) func(*request, *xmlWriter, facts) error {
	return func(_ *request, b *xmlWriter, f facts) error {
		b.text("<D:" + local + ">")
		b.escaped(value(f))
		b.text("</D:" + local + ">")
		return nil
	}
}

// sums are the checksums of a file that are known, in the form of OC-Checksum.
func sums(f facts) string {
	if f.e.IsFolder() {
		return ""
	}
	var all []string
	i := slices.IndexFunc(f.props, func(p meta.Property) bool { return p.Space == nsOurs && p.Name == checksums })
	if i >= 0 {
		if kept, ok := strings.CutPrefix(string(f.props[i].Value), f.e.Object.String()+" "); ok {
			all = append(all, kept)
		}
	}
	if !f.e.SHA256.IsZero() {
		all = append(all, "SHA256:"+f.e.SHA256.String())
	}
	return strings.Join(all, " ")
}
