package dav_test

import (
	"strings"
	"testing"

	"discordcloud/manager/internal/auth"
)

// What programs ask for that cannot run here, in the order and with the headers
// that are known of them, and the statuses that let them go on.
func TestReplay(t *testing.T) {
	const (
		finderFind   = `<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:getlastmodified/><D:getcontentlength/><D:creationdate/><D:resourcetype/></D:prop></D:propfind>`
		finderLock   = `<?xml version="1.0" encoding="utf-8"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>http://www.apple.com/webdav_fs/</D:href></D:owner></D:lockinfo>`
		explorerLock = `<?xml version="1.0" encoding="utf-8" ?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner><D:href>PC\ada</D:href></D:owner></D:lockinfo>`
		explorerSet  = `<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:set><D:prop><Z:Win32CreationTime>Fri, 14 Jul 2017 02:40:00 GMT</Z:Win32CreationTime><Z:Win32LastAccessTime>Fri, 14 Jul 2017 02:40:00 GMT</Z:Win32LastAccessTime><Z:Win32LastModifiedTime>Fri, 14 Jul 2017 02:40:00 GMT</Z:Win32LastModifiedTime><Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>`
		ownCloudFind = `<?xml version="1.0" ?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><d:resourcetype/><d:getlastmodified/><d:getcontentlength/><d:getetag/><oc:id/><oc:permissions/><oc:checksums/></d:prop></d:propfind>`
		nautilusFind = `<?xml version="1.0" encoding="utf-8" ?> <D:propfind xmlns:D="DAV:"> <D:prop><D:creationdate/><D:displayname/><D:getcontentlength/><D:getcontenttype/><D:getetag/><D:getlastmodified/><D:resourcetype/></D:prop> </D:propfind>`
	)
	const (
		finderDouble = `<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:getlastmodified/><D:getcontentlength/><D:creationdate/><D:resourcetype/><A:appledoubleheader xmlns:A="http://www.apple.com/webdav_fs/props/"/></D:prop></D:propfind>`
		gvfsRoot     = `<?xml version="1.0" encoding="utf-8"?> <D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/></D:prop></D:propfind>`
		gvfsSpace    = `<?xml version="1.0" encoding="utf-8"?> <D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/></D:prop></D:propfind>`
		kioFind      = `<?xml version="1.0" encoding="utf-8" ?><D:propfind xmlns:D="DAV:"><D:prop><D:creationdate/><D:getcontentlength/><D:displayname/><D:source/><D:getcontentlanguage/><D:getcontenttype/><D:getlastmodified/><D:getetag/><D:supportedlock/><D:lockdiscovery/><D:resourcetype/><D:quota-available-bytes/><executable xmlns="http://apache.org/dav/props/"/></D:prop></D:propfind>`
		officeShared = `<?xml version="1.0" encoding="utf-8" ?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:shared/></D:lockscope><D:locktype><D:write/></D:locktype><D:owner>PC\ada</D:owner></D:lockinfo>`
		nextFind     = `<?xml version="1.0" encoding="UTF-8"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:nc="http://nextcloud.org/ns"><d:prop><d:resourcetype/><d:getlastmodified/><d:getcontentlength/><d:getetag/><oc:size/><oc:id/><oc:fileid/><oc:permissions/><oc:checksums/><oc:share-types/><nc:is-encrypted/><nc:lock/></d:prop></d:propfind>`
	)
	type step struct {
		method, path, body string
		status             int
		header             []string // {token} is that of the last lock, {etag} of the last PUT, {sum} that of the body
	}
	for name, steps := range map[string][]step{
		"Finder": {
			{"OPTIONS", "/", "", 200, nil},
			{"PROPFIND", "/", finderFind, 207, []string{"Depth", "0"}},
			{"PROPFIND", "/", `<?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/><D:quota/><D:quotaused/></D:prop></D:propfind>`, 207, []string{"Depth", "0"}},
			{"PROPFIND", "/._.", finderFind, 404, []string{"Depth", "0"}},
			{"PROPFIND", "/Cafe%CC%81.txt", finderFind, 404, []string{"Depth", "0"}}, // NFD
			{"PUT", "/Cafe%CC%81.txt", "", 201, nil},
			{"LOCK", "/Cafe%CC%81.txt", finderLock, 200, []string{"Depth", "0", "Timeout", "Second-600"}},
			{"PUT", "/Cafe%CC%81.txt", "by Finder", 204, []string{"If", "({token})", "X-Expected-Entity-Length", "9"}},
			{"PROPFIND", "/Cafe%CC%81.txt", finderFind, 207, []string{"Depth", "0"}},
			{"UNLOCK", "/Cafe%CC%81.txt", "", 204, []string{"Lock-Token", "{token}"}},
			{"PUT", "/._Caf%C3%A9.txt", "", 201, nil},
			{"LOCK", "/._Caf%C3%A9.txt", finderLock, 200, []string{"Depth", "0", "Timeout", "Second-600"}},
			{"PUT", "/._Caf%C3%A9.txt", "\x00\x05\x16\x07", 204, []string{"If", "({token})"}},
			{"UNLOCK", "/._Caf%C3%A9.txt", "", 204, []string{"Lock-Token", "{token}"}},
			{"PUT", "/.DS_Store", "Bud1", 201, nil},
			{"MKCOL", "/untitled%20folder", "", 201, nil},
			{"MOVE", "/untitled%20folder", "", 201, []string{"Destination", "{url}/Ordner/", "Overwrite", "F"}},
			{"GET", "/Caf%C3%A9.txt", "", 200, nil},
			{"DELETE", "/Ordner/", "", 204, nil},
		},
		"Finder renames, replaces and looks for forks": {
			{"PROPFIND", "/", finderDouble, 207, []string{"Depth", "1"}},
			{"HEAD", "/.metadata_never_index", "", 404, nil},
			{"PROPFIND", "/.hidden", finderFind, 404, []string{"Depth", "0"}},
			{"PUT", "/Fu%CC%88r%20B%26A%20%23%2050%25.txt", "1", 201, nil},
			{"GET", "/F%C3%BCr%20B&A%20%23%2050%25.txt", "", 200, nil},
			{"PUT", "/swap", "2", 201, nil},
			{"LOCK", "/swap", finderLock, 200, []string{"Depth", "0", "Timeout", "Second-600"}},
			{"LOCK", "/swap", "", 200, []string{"Depth", "0", "Timeout", "Second-600", "If", "({token})"}},
			{"MOVE", "/swap", "", 423, []string{"Destination", "{url}/Fu%CC%88r%20B%26A%20%23%2050%25.txt", "Overwrite", "T"}},
			{"MOVE", "/swap", "", 204, []string{"Destination", "{url}/Fu%CC%88r%20B%26A%20%23%2050%25.txt", "Overwrite", "T", "If", "({token})"}},
			{"UNLOCK", "/swap", "", 404, []string{"Lock-Token", "{token}"}},
			{"GET", "/F%C3%BCr%20B&A%20%23%2050%25.txt", "", 206, []string{"Range", "bytes=0-0"}},
			{"DELETE", "/._swap", "", 404, nil},
		},
		"Explorer": {
			{"OPTIONS", "/", "", 200, []string{"Translate", "f"}},
			{"PROPFIND", "/", "", 207, []string{"Depth", "0", "Translate", "f"}},
			{"PROPFIND", "/desktop.ini", "", 404, []string{"Depth", "0"}},
			{"PROPFIND", "/New%20Text%20Document.txt", "", 404, []string{"Depth", "0"}},
			{"PUT", "/New%20Text%20Document.txt", "", 201, nil},
			{"LOCK", "/New%20Text%20Document.txt", explorerLock, 200, []string{"Timeout", "Second-3600"}},
			{"PROPPATCH", "/New%20Text%20Document.txt", explorerSet, 207, []string{"If", "({token})"}},
			{"HEAD", "/New%20Text%20Document.txt", "", 200, []string{"Translate", "f"}},
			{"PUT", "/New%20Text%20Document.txt", "by Explorer", 204, []string{"If", "({token})", "Translate", "f"}},
			{"PROPPATCH", "/New%20Text%20Document.txt", explorerSet, 207, []string{"If", "({token})"}},
			{"UNLOCK", "/New%20Text%20Document.txt", "", 204, []string{"Lock-Token", "{token}"}},
			{"LOCK", "/unmapped.docx", explorerLock, 201, []string{"Timeout", "Second-3600"}}, // Office
			{"LOCK", "/unmapped.docx", "", 200, []string{"If", "({token})", "Timeout", "Second-3600"}},
			{"UNLOCK", "/unmapped.docx", "", 204, []string{"Lock-Token", "{token}"}},
			{"MOVE", "/unmapped.docx", "", 201, []string{"Destination", "{url}/named.docx", "Overwrite", "F"}},
			{"GET", "/named.docx", "", 200, []string{"Translate", "f"}},
		},
		"Office, by way of Explorer": {
			{"OPTIONS", "/", "", 200, []string{"X-MSGETWEBURL", "t", "X-IDCRL_ACCEPTED", "t"}},
			{"PUT", "/plan.docx", "PK1", 201, nil},
			{"PROPFIND", "/", "", 207, []string{"Depth", "1,noroot", "Brief", "t", "Translate", "f"}},
			{"LOCK", "/plan.docx", officeShared, 200, []string{"Timeout", "Second-180", "Depth", "0"}},
			{"UNLOCK", "/plan.docx", "", 204, []string{"Lock-Token", "{token}"}},
			{"LOCK", "/plan.docx", explorerLock, 200, []string{"Timeout", "Second-3600", "Depth", "0"}},
			{"PROPFIND", "/~$plan.docx", "", 404, []string{"Depth", "0"}},
			{"GET", "/plan.docx", "", 200, []string{"Translate", "f", "If-None-Match", `"none"`}},
			{"PUT", "/plan.docx", "PK2", 423, nil},
			{"PUT", "/plan.docx", "PK2", 204, []string{"If", "<{url}/plan.docx> ({token})", "Translate", "f"}},
			{"PROPPATCH", "/plan.docx", explorerSet, 207, []string{"If", "({token})"}},
			{"UNLOCK", "/plan.docx", "", 204, []string{"Lock-Token", "{token}"}},
			{"PROPFIND", "/plan.docx/", "", 207, []string{"Depth", "0"}},
			{"POST", "/_vti_bin/shtml.dll", "method=server+version", 405, nil},
		},
		"GVfs": {
			{"OPTIONS", "/", "", 200, nil},
			{"PROPFIND", "/", gvfsRoot, 207, []string{"Depth", "0"}},
			{"PROPFIND", "/", gvfsSpace, 207, []string{"Depth", "0"}},
			{"HEAD", "/new", "", 404, nil},
			{"PUT", "/new", "1", 201, nil},
			{"HEAD", "/new", "", 412, []string{"If-Match", `"another"`}},
			{"HEAD", "/new", "", 200, []string{"If-Match", "{etag}"}},
			{"PUT", "/new", "2", 204, []string{"If-Match", "{etag}"}},
			{"MKCOL", "/New%20Folder", "", 201, nil},
			{"COPY", "/new", "", 201, []string{"Destination", "{url}/New%20Folder/new", "Overwrite", "F", "Depth", "infinity"}},
			{"COPY", "/new", "", 412, []string{"Destination", "{url}/New%20Folder/new", "Overwrite", "F"}},
			{"PROPFIND", "/New%20Folder", nautilusFind, 207, []string{"Depth", "1"}},
			{"DELETE", "/New%20Folder", "", 204, nil},
		},
		"KIO": {
			{"PROPFIND", "/", kioFind, 207, []string{"Depth", "0"}},
			{"PROPFIND", "/", kioFind, 207, []string{"Depth", "1"}},
			{"PROPFIND", "/notes.txt", kioFind, 404, []string{"Depth", "0"}},
			{"PUT", "/notes.txt.part", "KDE", 201, nil},
			{"MOVE", "/notes.txt.part", "", 201, []string{"Destination", "{url}/notes.txt", "Overwrite", "F", "Depth", "infinity"}},
			{"PUT", "/notes.txt.part", "again", 201, nil},
			{"MOVE", "/notes.txt.part", "", 204, []string{"Destination", "{url}/notes.txt", "Overwrite", "T", "Depth", "infinity"}},
			{"GET", "/notes.txt", "", 206, []string{"Range", "bytes=2-"}},
			{"MKCOL", "/dir", "", 201, nil},
			{"MKCOL", "/dir", "", 405, nil},
			{"COPY", "/notes.txt", "", 201, []string{"Destination", "{url}/dir/notes.txt", "Overwrite", "F", "Depth", "infinity"}},
			{"DELETE", "/dir", "", 204, []string{"Depth", "infinity"}},
		},
		"Nautilus": {
			{"OPTIONS", "/", "", 200, nil},
			{"PROPFIND", "/", nautilusFind, 207, []string{"Depth", "1"}},
			{"PUT", "/.goutputstream-ABC", "by gedit", 201, []string{"If-None-Match", "*"}},
			{"MOVE", "/.goutputstream-ABC", "", 201, []string{"Destination", "{url}/note", "Overwrite", "T"}},
			{"PUT", "/.goutputstream-DEF", "again", 201, nil},
			{"MOVE", "/.goutputstream-DEF", "", 204, []string{"Destination", "{url}/note", "Overwrite", "T"}},
			{"COPY", "/note", "", 201, []string{"Destination", "{url}/note%20(copy)", "Overwrite", "F"}},
			{"GET", "/note", "", 200, nil},
		},
		"ownCloud": {
			{"PROPFIND", "/", ownCloudFind, 207, []string{"Depth", "1"}},
			{"MKCOL", "/Photos", "", 201, nil},
			{"PUT", "/Photos/a.jpg", "\xff\xd8\xff", 201, []string{"OC-Checksum", "SHA1:{sum}", "X-OC-Mtime", "1500000000", "OC-Total-Length", "3"}},
			{"PROPFIND", "/Photos", ownCloudFind, 207, []string{"Depth", "1"}},
			{"GET", "/Photos/a.jpg", "", 200, nil},
			// What was written in parts of version 1 would lie about under their names.
			{"PUT", "/Photos/b.jpg-chunking-4711-2-0", "part", 501, []string{"OC-Chunked", "1", "OC-Total-Length", "8", "OC-Chunk-Size", "4"}},
			{"PROPFIND", "/Photos/b.jpg-chunking-4711-2-0", ownCloudFind, 404, []string{"Depth", "0"}},
		},
		"Nextcloud": {
			{"PROPFIND", "/", nextFind, 207, []string{"Depth", "1"}},
			// There are no folders for parts: clients put the whole then.
			{"MKCOL", "/../remote.php/dav/uploads/ada/4711", "", 400, []string{"Destination", "{url}/c.jpg", "OC-Total-Length", "8"}},
			{"PUT", "/c.jpg", "12345678", 201, []string{"OC-Checksum", "SHA1:{sum}", "X-OC-Mtime", "1500000000", "X-OC-CTime", "1400000000", "OC-Total-Length", "8", "OC-Async", "1", "If-None-Match", "*"}},
			{"PUT", "/c.jpg", "87654321", 204, []string{"OC-Checksum", "SHA1:{sum}", "X-OC-Mtime", "1500000001", "If-Match", "{etag}"}},
			{"PUT", "/c.jpg", "other", 400, []string{"OC-Checksum", "SHA1:{sum}0"}},
			{"PROPFIND", "/c.jpg", nextFind, 207, []string{"Depth", "0"}},
			{"MOVE", "/c.jpg", "", 201, []string{"Destination", "{url}/d.jpg", "Overwrite", "F"}},
			{"DELETE", "/d.jpg", "", 204, nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, nil)
			c := w.client("ada", auth.AppPassword{})
			token, tag := "", ""
			for _, s := range steps {
				header := append([]string(nil), s.header...)
				for i := range header {
					header[i] = strings.NewReplacer("{token}", token, "{etag}", tag, "{sum}", sha1Of(s.body)).Replace(header[i])
				}
				a := c.want(s.status, s.method, s.path, s.body, header...)
				if l := a.header.Get("Lock-Token"); l != "" {
					token = l
				}
				if e := a.header.Get("ETag"); e != "" && s.method == "PUT" {
					tag = e
				}
			}
			w.sound()
		})
	}
}
