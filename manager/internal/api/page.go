package api

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

// page is the built page. Its paths of its own are all answered with index.html,
// and the page finds its way from there.
type page struct {
	files fs.FS
	index []byte // nil if the page was not built
	etag  string
}

func newPage(files fs.FS) *page {
	p := &page{files: files}
	if files == nil {
		return p
	}
	if index, err := fs.ReadFile(files, "index.html"); err == nil {
		p.index = index
		p.etag = fmt.Sprintf(`"%x"`, sha256.Sum256(index))
	}
	return p
}

func (a *api) servePage(w http.ResponseWriter, r *http.Request) {
	a.bound(w, r)
	h := w.Header()
	h.Set("Content-Security-Policy", a.contentSecurity(r))
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		notFound(w)
		return
	}
	switch p := r.URL.Path; {
	case isPlace(p):
		a.page.serveIndex(w, r)
	case isLinkPage(p):
		a.serveLinkPage(w, r)
	case p == "/index.html":
		http.Redirect(w, r, "/", http.StatusMovedPermanently)
	default:
		a.page.serveFile(w, r, strings.TrimPrefix(p, "/"))
	}
}

// isPlace tells whether a path names a view of the page (web/src/lib/state/router.svelte.ts).
func isPlace(p string) bool {
	switch p {
	case "/", "/files", "/recent", "/starred", "/shared-with-me", "/shared-by-me", "/trash", "/admin":
		return true
	}
	return strings.HasPrefix(p, "/files/") || strings.HasPrefix(p, "/by-id/") || strings.HasPrefix(p, "/admin/")
}

func (p *page) serveIndex(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if p.index == nil {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintln(w, "This is discord-cloud. Its page was not built into it.") // the receiver is gone
		return
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("ETag", p.etag)
	if r.Header.Get("If-None-Match") == p.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", fmt.Sprint(len(p.index)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(p.index) // the receiver is gone
	}
}

// serveFile answers a file of the page. Those below assets/ carry a hash of
// their content in their name.
func (p *page) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	if p.files == nil || !fs.ValidPath(name) || strings.HasPrefix(path.Base(name), ".") {
		notFound(w)
		return
	}
	info, err := fs.Stat(p.files, name)
	if err != nil || !info.Mode().IsRegular() {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		notFound(w)
		return
	}
	h := w.Header()
	h.Set("Content-Type", assetType(name))
	if strings.HasPrefix(name, "assets/") {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	if _, err := fs.Stat(p.files, name+".gz"); err == nil {
		h.Add("Vary", "Accept-Encoding")
		if takesGzip(r) {
			h.Set("Content-Encoding", "gzip")
			name += ".gz"
		}
	}
	http.ServeFileFS(w, r, p.files, name)
}

// takesGzip tells whether the answer may be gzip, as all browsers say (RFC 9110
// §12.5.3). Ranges are counted in what is not compressed.
func takesGzip(r *http.Request) bool {
	if r.Header.Get("Range") != "" {
		return false
	}
	for coding := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, ok := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			return !ok || strings.Trim(q, "0.") != ""
		}
	}
	return false
}

// assetType does not leave it to the machine's own table what a script is.
func assetType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".wasm":
		return "application/wasm"
	case ".webmanifest":
		return "application/manifest+json"
	default:
		if t := mime.TypeByExtension(ext); t != "" {
			return t
		}
		return "application/octet-stream"
	}
}

func notFound(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNotFound)
	_, _ = fmt.Fprintln(w, "Not found") // the receiver is gone
}
