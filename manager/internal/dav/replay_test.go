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
	type step struct {
		method, path, body string
		status             int
		header             []string // {token} is that of the last lock, {sum} that of the body
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
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, nil)
			c := w.client("ada", auth.AppPassword{})
			token := ""
			for _, s := range steps {
				header := append([]string(nil), s.header...)
				for i := range header {
					header[i] = strings.NewReplacer("{token}", token, "{sum}", sha1Of(s.body)).Replace(header[i])
				}
				a := c.want(s.status, s.method, s.path, s.body, header...)
				if l := a.header.Get("Lock-Token"); l != "" {
					token = l
				}
			}
			w.sound()
		})
	}
}
