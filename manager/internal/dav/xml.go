package dav

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	xmlType = "application/xml; charset=utf-8"
	xmlHead = `<?xml version="1.0" encoding="utf-8"?>` + "\n"

	maxXML   = 512 << 10 // bytes of a body
	maxDepth = 32        // elements in each other
	maxNodes = 8192
	maxAttrs = 64

	nsDAV  = "DAV:"
	nsXML  = "http://www.w3.org/XML/1998/namespace"
	nsNS   = "http://www.w3.org/2000/xmlns/"
	nsOC   = "http://owncloud.org/ns"
	nsWin  = "urn:schemas-microsoft-com:"
	nsOurs = "urn:discord-cloud:" // never told
)

// node is an element, with namespaces resolved, or a text.
type node struct {
	space, name string // "" and "" for a text
	attrs       []xml.Attr
	children    []*node
	content     string
}

func (n *node) is(space, name string) bool { return n.space == space && n.name == name }

// child is the first child element of that name, nil without one.
func (n *node) child(space, name string) *node {
	for _, c := range n.children {
		if c.is(space, name) {
			return c
		}
	}
	return nil
}

// elements are the children that are elements.
func (n *node) elements() (all []*node) {
	for _, c := range n.children {
		if c.name != "" {
			all = append(all, c)
		}
	}
	return all
}

// string is all text in n.
func (n *node) string() string {
	var b strings.Builder
	var add func(*node)
	add = func(n *node) {
		b.WriteString(n.content)
		for _, c := range n.children {
			add(c)
		}
	}
	add(n)
	return b.String()
}

var errXML = refusef(http.StatusBadRequest, "the body is not the XML that is expected")

// readXML reads the body, nil if there is none. Entities beyond the five of XML,
// document types and namespaces that are not declared are refused; size, depth
// and number of elements are bounded.
func (q *request) readXML() (*node, error) {
	body, err := q.body()
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, refusef(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", maxXML)
		}
		return nil, refusef(http.StatusBadRequest, "the body did not come whole")
	}
	return parseXML(body)
}

func parseXML(body []byte) (*node, error) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	p := &xmlParser{d: xml.NewDecoder(bytes.NewReader(body))}
	p.d.Strict = true
	p.d.Entity = map[string]string{}
	p.d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) { return nil, errXML }
	root, err := p.document()
	if err != nil {
		return nil, errXML
	}
	return root, nil
}

type xmlParser struct {
	d      *xml.Decoder
	scopes []map[string]string // prefix to namespace
	nodes  int
}

func (p *xmlParser) document() (*node, error) {
	var root *node
	for {
		t, err := p.d.RawToken()
		if err == io.EOF && root != nil {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if root != nil {
				return nil, errXML
			}
			if root, err = p.element(t, 0); err != nil {
				return nil, err
			}
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, errXML
			}
		case xml.Directive, xml.EndElement:
			return nil, errXML
		}
	}
}

func (p *xmlParser) element(start xml.StartElement, depth int) (*node, error) {
	if p.nodes++; depth > maxDepth || p.nodes > maxNodes || len(start.Attr) > maxAttrs {
		return nil, errXML
	}
	scope := map[string]string{}
	n := &node{}
	for _, a := range start.Attr {
		switch {
		case a.Value == nsNS && (a.Name.Space == "xmlns" || a.Name.Local == "xmlns"):
			return nil, errXML
		case a.Name.Space == "xmlns":
			if a.Value == "" || a.Name.Local == "xmlns" || a.Value == nsXML != (a.Name.Local == "xml") {
				return nil, errXML // Namespaces in XML 1.0 §3: no prefix can be undeclared
			}
			scope[a.Name.Local] = a.Value
		case a.Name.Space == "" && a.Name.Local == "xmlns":
			if a.Value == nsXML {
				return nil, errXML
			}
			scope[""] = a.Value
		}
	}
	p.scopes = append(p.scopes, scope)
	defer func() { p.scopes = p.scopes[:len(p.scopes)-1] }()
	var ok bool
	n.name = start.Name.Local
	if n.space, ok = p.resolve(start.Name.Space); !ok || n.name == "" || strings.Contains(n.name, ":") {
		return nil, errXML
	}
	for _, a := range start.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		if a.Name.Space != "" {
			if a.Name.Space, ok = p.resolve(a.Name.Space); !ok {
				return nil, errXML
			}
		}
		if strings.Contains(a.Name.Local, ":") || slices.ContainsFunc(n.attrs, func(b xml.Attr) bool { return b.Name == a.Name }) {
			return nil, errXML // what is stored must be well-formed where it is shown
		}
		n.attrs = append(n.attrs, a)
	}
	for {
		t, err := p.d.RawToken()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			c, err := p.element(t, depth+1)
			if err != nil {
				return nil, err
			}
			n.children = append(n.children, c)
		case xml.EndElement:
			if t.Name != start.Name {
				return nil, errXML
			}
			return n, nil
		case xml.CharData:
			n.children = append(n.children, &node{content: string(t)})
			if p.nodes++; p.nodes > maxNodes || !utf8.Valid(t) {
				return nil, errXML
			}
		case xml.Directive:
			return nil, errXML
		}
	}
}

func (p *xmlParser) resolve(prefix string) (string, bool) {
	for i := len(p.scopes) - 1; i >= 0; i-- {
		if space, ok := p.scopes[i][prefix]; ok {
			return space, true
		}
	}
	if prefix == "xml" {
		return nsXML, true
	}
	return "", prefix == ""
}

// language gives n the xml:lang of an element around it, unless it has one.
func (n *node) language(around ...*node) {
	for _, m := range append([]*node{n}, around...) {
		for _, a := range m.attrs {
			if a.Name.Space == nsXML && a.Name.Local == "lang" {
				if m != n {
					n.attrs = append(n.attrs, a)
				}
				return
			}
		}
	}
}

// xmlWriter gathers XML.
type xmlWriter struct{ b []byte }

func (w *xmlWriter) text(s string) { w.b = append(w.b, s...) }

func (w *xmlWriter) escaped(s string) {
	for i := range len(s) {
		switch c := s[i]; c {
		case '&':
			w.text("&amp;")
		case '<':
			w.text("&lt;")
		case '>':
			w.text("&gt;")
		case '"':
			w.text("&quot;")
		case '\r':
			w.text("&#13;")
		default:
			w.b = append(w.b, c)
		}
	}
}

// element writes n such that it means the same wherever it stands.
func (w *xmlWriter) element(n *node) { w.node(n, "\x00") }

// node writes n where space is the namespace of names without a prefix.
func (w *xmlWriter) node(n *node, space string) {
	if n.name == "" {
		w.escaped(n.content)
		return
	}
	w.text("<" + n.name)
	if n.space != space {
		w.text(` xmlns="`)
		w.escaped(n.space)
		w.text(`"`)
	}
	for i, a := range n.attrs {
		name := a.Name.Local
		switch a.Name.Space {
		case "":
		case nsXML:
			name = "xml:" + name
		default:
			prefix := "a" + string(rune('a'+i%26)) + strings.Repeat("_", i/26)
			w.text(" xmlns:" + prefix + `="`)
			w.escaped(a.Name.Space)
			w.text(`"`)
			name = prefix + ":" + name
		}
		w.text(" " + name + `="`)
		w.escaped(a.Value)
		w.text(`"`)
	}
	if len(n.children) == 0 {
		w.text("/>")
		return
	}
	w.text(">")
	for _, c := range n.children {
		w.node(c, n.space)
	}
	w.text("</" + n.name + ">")
}
