package dav

import (
	"reflect"
	"testing"
)

// FuzzXML never panics, and what it reads it writes such that it reads as the same.
func FuzzXML(f *testing.F) {
	for _, seed := range []string{
		"", "<a/>", `<D:propfind xmlns:D="DAV:"><D:prop><x:y xmlns:x="u:" x:z="&lt;">t&amp;<![CDATA[<]]></x:y></D:prop></D:propfind>`,
		`<a xmlns=""><b xmlns="u:" xml:lang="de"><c xmlns=""/></b></a>`, "<a><!-- c --><?p i?></a>", "\xef\xbb\xbf<a>\r\n</a>", "<a b='1' b='2'/>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := parseXML(body)
		if err != nil || n == nil {
			return
		}
		var w xmlWriter
		w.element(n)
		again, err := parseXML(w.b)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", body, w.b, err)
		}
		var w2 xmlWriter
		w2.element(again)
		if string(w.b) != string(w2.b) || n.string() != again.string() {
			t.Fatalf("%q is written as %q, then as %q", body, w.b, w2.b)
		}
	})
}

func FuzzIf(f *testing.F) {
	for _, seed := range []string{`(<urn:a> ["x"])`, `<http://h/p> (Not <DAV:no-lock>) (["a"])`, "(", "<>", "(Not)", `([W/"x"])`, "() ()"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := parseIf([]string{header})
		if err != nil {
			return
		}
		if len(c) == 0 || len(c) > maxIfLists {
			t.Fatalf("%q has %d lists", header, len(c))
		}
		for _, list := range c {
			if len(list.terms) == 0 {
				t.Fatalf("%q has an empty list", header)
			}
			for _, term := range list.terms {
				if (term.token == "") == (term.etag == "") && term.etag != "" {
					t.Fatalf("%q has a term of both kinds", header)
				}
			}
		}
	})
}

func TestParseIf(t *testing.T) {
	got, err := parseIf([]string{`(<urn:a> Not ["x"])`, `<http://h/p> (["y"]) (not <urn:b>)`})
	want := condition{
		{terms: []ifTerm{{token: "urn:a"}, {not: true, etag: `"x"`}}},
		{resource: "http://h/p", terms: []ifTerm{{etag: `"y"`}}},
		{resource: "http://h/p", terms: []ifTerm{{not: true, token: "urn:b"}}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"x", "(", "()", "<a>", "(<a)", `(["a)`, "(a)", "<a> x", "(Not)", "(<a>) y"} {
		if got, err := parseIf([]string{bad}); err == nil {
			t.Errorf("%q is read as %+v", bad, got)
		}
	}
}
