// Package web carries the page: what Vite builds into dist, embedded in the
// binary. A clone in which the page was never built embeds an empty folder.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Page is the built page, with index.html at its top.
func Page() fs.FS {
	page, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: dist is not embedded")
	}
	return page
}
