package dav_test

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"discordcloud/manager/internal/auth"
)

// multistatus is a listing as a client reads it.
type multistatus struct {
	Responses []struct {
		Href  string `xml:"DAV: href"`
		Stats []struct {
			Status string `xml:"DAV: status"`
			Prop   struct {
				All []struct {
					XMLName xml.Name
					Inner   string `xml:",innerxml"`
				} `xml:",any"`
			} `xml:"DAV: prop"`
		} `xml:"DAV: propstat"`
	} `xml:"DAV: response"`
}

func (c *client) list(path, body, depth string) map[string]map[string]string {
	c.w.t.Helper()
	a := c.want(http.StatusMultiStatus, "PROPFIND", path, body, "Depth", depth)
	var m multistatus
	if err := xml.Unmarshal([]byte(a.body), &m); err != nil {
		c.w.t.Fatalf("%v in %s", err, a.body)
	}
	all := map[string]map[string]string{}
	for _, r := range m.Responses {
		all[r.Href] = map[string]string{}
		for _, s := range r.Stats {
			for _, p := range s.Prop.All {
				all[r.Href][p.XMLName.Space+" "+p.XMLName.Local] = strings.Fields(s.Status)[1] + " " + p.Inner
			}
		}
	}
	return all
}

func propnames(names string) string {
	return `<D:propfind xmlns:D="DAV:" xmlns:oc="http://owncloud.org/ns" xmlns:x="urn:x"><D:prop>` + names + `</D:prop></D:propfind>`
}

func TestPropfind(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	c.want(201, "MKCOL", "/d", "")
	c.want(201, "PUT", "/d/a%20&%3Cb%3E%20%25%20%E2%98%83.txt", "12345", "X-OC-Mtime", "1500000000")
	c.want(201, "MKCOL", "/d/sub", "")
	c.want(201, "PUT", "/d/sub/g", "1234567")

	all := c.list("/d/", "", "1")
	file := all["/dav/d/a%20%26%3Cb%3E%20%25%20%E2%98%83.txt"]
	if len(all) != 3 || file == nil || all["/dav/d/"] == nil || all["/dav/d/sub/"] == nil {
		t.Fatalf("listing %v", all)
	}
	for name, want := range map[string]string{
		"DAV: displayname": "200 a &amp;&lt;b&gt; % ☃.txt", "DAV: getcontentlength": "200 5", "DAV: resourcetype": "200 ",
		"DAV: getcontenttype": "200 text/plain", "DAV: getlastmodified": "200 Fri, 14 Jul 2017 02:40:00 GMT",
	} {
		if file[name] != want {
			t.Errorf("%s is %q, want %q", name, file[name], want)
		}
	}
	if d := all["/dav/d/sub/"]; d["DAV: resourcetype"] != "200 <D:collection/>" || d["DAV: getetag"] != "" {
		t.Errorf("a folder is %v", d)
	}
	some := c.list("/d", propnames("<D:quota-used-bytes/><D:quota-available-bytes/><x:none/><D:getetag/>"), "0")["/dav/d/"]
	if some["DAV: quota-used-bytes"] != "200 12" || some["DAV: quota-available-bytes"] != "200 1125899906842624" ||
		some["urn:x none"] != "404 " || some["DAV: getetag"] != "404 " {
		t.Errorf("named: %v", some)
	}
	if names := c.list("/d/sub/g", `<propfind xmlns="DAV:"><propname/></propfind>`, "0")["/dav/d/sub/g"]; names["DAV: getetag"] != "200 " {
		t.Errorf("names: %v", names)
	}
	for _, depth := range []string{"", "infinity", "Infinity"} {
		a := c.do("PROPFIND", "/d", "", "Depth", depth)
		if a.status != 403 || !strings.Contains(a.body, "<D:propfind-finite-depth/>") {
			t.Errorf("Depth %q: %d %s", depth, a.status, a.body)
		}
	}
	c.want(400, "PROPFIND", "/d", "", "Depth", "2")
	c.want(404, "PROPFIND", "/none", "", "Depth", "0")
}

func TestProppatch(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	c.want(201, "PUT", "/f", "x")
	patch := func(inner string) string {
		return `<D:propertyupdate xmlns:D="DAV:" xmlns:x="urn:x" xmlns:w="urn:schemas-microsoft-com:">` + inner + `</D:propertyupdate>`
	}
	c.want(207, "PROPPATCH", "/f", patch(`<D:set xml:lang="de"><D:prop><x:a at="1" x:b="&lt;"><y xmlns="urn:y">t&amp;<x:z/></y></x:a><none xmlns=""/></D:prop></D:set>`))
	got := c.list("/f", propnames(`<x:a/><none xmlns=""/>`), "0")["/dav/f"]
	if !strings.Contains(got["urn:x a"], `<y xmlns="urn:y">t&amp;<z xmlns="urn:x"/></y>`) || got[" none"] != "200 " {
		t.Errorf("properties %q", got)
	}
	if a := c.want(207, "PROPFIND", "/f", "", "Depth", "0"); !strings.Contains(a.body, `at="1" xmlns:ab="urn:x" ab:b="&lt;" xml:lang="de"`) {
		t.Errorf("attributes: %s", a.body)
	}
	// One that is protected fails, and the others with it.
	a := c.want(207, "PROPPATCH", "/f", patch(`<D:set><D:prop><x:c/><D:getetag>x</D:getetag></D:prop></D:set>`))
	if !strings.Contains(a.body, "424 Failed Dependency") || !strings.Contains(a.body, "403 Forbidden") {
		t.Errorf("protected: %s", a.body)
	}
	if got := c.list("/f", propnames(`<x:c/>`), "0")["/dav/f"]; got["urn:x c"] != "404 " {
		t.Errorf("it was set all the same: %v", got)
	}
	// Times, as Windows, HTTP and ownCloud's clients set them.
	for name, want := range map[string]string{
		`<w:Win32LastModifiedTime>Fri, 14 Jul 2017 02:40:00 GMT</w:Win32LastModifiedTime>`: "200 Fri, 14 Jul 2017 02:40:00 GMT",
		`<D:getlastmodified>Sat, 15 Jul 2017 02:40:00 GMT</D:getlastmodified>`:             "200 Sat, 15 Jul 2017 02:40:00 GMT",
		`<D:lastmodified>1500000000</D:lastmodified>`:                                      "200 Fri, 14 Jul 2017 02:40:00 GMT",
	} {
		c.want(207, "PROPPATCH", "/f", patch(`<D:set><D:prop><w:Win32FileAttributes>00000020</w:Win32FileAttributes>`+name+`</D:prop></D:set>`))
		if got := c.list("/f", propnames(`<D:getlastmodified/>`), "0")["/dav/f"]["DAV: getlastmodified"]; got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	c.want(207, "PROPPATCH", "/f", patch(`<D:remove><D:prop><x:a/><x:never/></D:prop></D:remove>`))
	if got := c.list("/f", propnames(`<x:a/>`), "0")["/dav/f"]["urn:x a"]; got != "404 " {
		t.Errorf("removed: %q", got)
	}
	if a := c.want(207, "PROPPATCH", "/f", patch(`<D:set><D:prop><x:big>`+strings.Repeat("x", 300<<10)+`</x:big></D:prop></D:set>`)); !strings.Contains(a.body, "507 Insufficient Storage") {
		t.Errorf("too much: %.300s", a.body)
	}
	c.want(400, "PROPPATCH", "/f", "")
	c.want(400, "PROPPATCH", "/f", patch(""))
}

// Bad XML is refused with few words, whatever it is.
func TestXML_bad(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	bodies := map[string]string{
		"not XML":                "<propfind",
		"two roots":              `<a xmlns="DAV:"/><b/>`,
		"another element":        `<D:propertyupdate xmlns:D="DAV:"/>`,
		"a prefix without one":   `<D:propfind xmlns:D="DAV:"><D:prop><x:y/></D:prop></D:propfind>`,
		"a prefix undeclared":    `<D:propfind xmlns:D="DAV:"><D:prop><x:y xmlns:x=""/></D:prop></D:propfind>`,
		"no namespace":           `<propfind><allprop/></propfind>`,
		"both kinds":             `<propfind xmlns="DAV:"><allprop/><propname/></propfind>`,
		"a document type":        `<!DOCTYPE x [<!ENTITY a "b">]><propfind xmlns="DAV:"><allprop/></propfind>`,
		"billion laughs":         `<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><propfind xmlns="DAV:"><prop><x>&b;</x></prop></propfind>`,
		"an external entity":     `<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><propfind xmlns="DAV:"><prop>&e;</prop></propfind>`,
		"an unknown entity":      `<propfind xmlns="DAV:"><prop>&nbsp;</prop></propfind>`,
		"100,000 levels":         strings.Repeat("<a>", 100000),
		"33 levels":              `<propfind xmlns="DAV:">` + strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40) + "</propfind>",
		"10,000 elements":        `<propfind xmlns="DAV:"><prop>` + strings.Repeat("<a/>", 10000) + "</prop></propfind>",
		"another charset":        `<?xml version="1.0" encoding="utf-16"?><propfind xmlns="DAV:"><allprop/></propfind>`,
		"an attribute twice":     `<propfind xmlns="DAV:"><prop><x a="1" a="2"/></prop></propfind>`,
		"a reserved namespace":   `<propfind xmlns="DAV:"><prop><x xmlns="http://www.w3.org/2000/xmlns/"/></prop></propfind>`,
		"ends that do not match": `<propfind xmlns="DAV:"><allprop></propfind></allprop>`,
	}
	for name, body := range bodies {
		for _, method := range []string{"PROPFIND", "PROPPATCH", "LOCK"} {
			if a := c.do(method, "/", body, "Depth", "0"); a.status != 400 || len(a.body) > 200 {
				t.Errorf("%s by %s: status %d, %.200s", name, method, a.status, a.body)
			}
		}
	}
	c.want(413, "PROPFIND", "/", strings.Repeat(" ", 1<<20), "Depth", "0")
}

// A listing of many entries begins before it is read to its end, and has all of
// them once.
func TestPropfind_large(t *testing.T) {
	const n = 600
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	c.want(201, "MKCOL", "/many", "")
	folder, err := w.fs.Folder(t.Context(), c.user, "/many")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, _, err := w.store.MakeFolders(t.Context(), folder.ID, []string{fmt.Sprintf("%05d", i)}, c.user.User); err != nil {
			t.Fatal(err)
		}
	}
	r := c.request("PROPFIND", "/many", strings.NewReader(propnames("<D:getetag/><D:resourcetype/>")), "Depth", "1")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	if a.ContentLength >= 0 {
		t.Error("the document was in memory as a whole")
	}
	seen := map[string]bool{}
	lines := bufio.NewScanner(a.Body)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), "<D:href>/dav/many/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			if seen[name] {
				t.Errorf("%s comes twice", name)
			}
			seen[name] = true
		}
	}
	if len(seen) != n+1 || lines.Err() != nil { // and the folder itself
		t.Errorf("%d entries, %v", len(seen), lines.Err())
	}
}

// Without its root a listing has what is in the folder alone.
func TestPropfind_noroot(t *testing.T) {
	w := open(t, nil)
	c := w.client("ada", auth.AppPassword{})
	c.want(201, "MKCOL", "/d", "")
	c.want(201, "PUT", "/d/f", "x")
	for _, depth := range []string{"1,noroot", "1, NoRoot"} {
		if all := c.list("/d", "", depth); len(all) != 1 || all["/dav/d/f"] == nil {
			t.Errorf("Depth %q: %v", depth, all)
		}
	}
	if all := c.list("/d/f", "", "1,noroot"); len(all) != 1 {
		t.Errorf("of a file: %v", all)
	}
	c.want(400, "PROPFIND", "/d", "", "Depth", "0,noroot")
	c.want(403, "PROPFIND", "/d", "", "Depth", "infinity,noroot")
}
