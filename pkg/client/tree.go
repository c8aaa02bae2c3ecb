package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"discordcloud/pkg/packet"
)

// pageSize is how many entries one request lists.
const pageSize = 1000

// Entry is a file or a folder as the user sees it. The top folder has the ID 0.
type Entry = packet.Entry

// Found is an entry of a search, with where it is.
type Found struct {
	Entry
	Path string `json:"path"` // of its folder
}

// Lookup finds what has a path; "/" is the top.
func (c *Client) Lookup(ctx context.Context, path string) (Entry, error) {
	path = "/" + strings.Trim(path, "/")
	if path == "/" {
		return Entry{Kind: packet.KindFolder}, nil
	}
	var found struct{ Entry Entry }
	err := c.do(ctx, http.MethodGet, "/api/lookup?"+url.Values{"path": {path}}.Encode(), nil, &found)
	return found.Entry, err
}

// Children are the entries of a folder by name, folders first. It holds one
// page of them.
func (c *Client) Children(ctx context.Context, folder int64) iter.Seq2[Entry, error] {
	return pages[Entry](ctx, c, at(folder, "/children"), url.Values{}, "entries")
}

// Search finds by a part of names, in the whole tree.
func (c *Client) Search(ctx context.Context, text string) iter.Seq2[Found, error] {
	return pages[Found](ctx, c, "/api/search", url.Values{"q": {text}}, "entries")
}

// Trashed is an entry that was deleted and can be restored.
type Trashed struct {
	Entry     Entry     `json:"entry"`
	Path      string    `json:"path"` // of the folder that it was in
	DeletedAt time.Time `json:"deleted_at"`
	ExpiresAt time.Time `json:"expires_at"` // zero: it does not
	Bytes     int64     `json:"bytes"`
}

// Trash is what the user may restore, deleted last first.
func (c *Client) Trash(ctx context.Context) iter.Seq2[Trashed, error] {
	return pages[Trashed](ctx, c, "/api/trash", url.Values{}, "items")
}

// pages asks for page after page of a listing.
func pages[T any](ctx context.Context, c *Client, path string, query url.Values, field string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		query.Set("limit", strconv.Itoa(pageSize))
		for {
			var page map[string]json.RawMessage
			if err := c.do(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
				yield(none, err)
				return
			}
			var items []T
			var next string
			if err := json.Unmarshal(page[field], &items); err != nil {
				yield(none, err)
				return
			}
			if err := json.Unmarshal(page["next"], &next); err != nil {
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			query.Set("after", next)
		}
	}
}

// MakeFolder makes a folder and those above it, as far as they are missing: like
// the folder that they are in they are public or not, those at the top as public
// tells. It tells whether the folder itself was missing.
func (c *Client) MakeFolder(ctx context.Context, path string, public bool) (folder Entry, created bool, err error) {
	path = strings.Trim(path, "/")
	if path == "" {
		return Entry{Kind: packet.KindFolder}, false, nil
	}
	var made struct {
		Entry   Entry
		Created []Entry
	}
	if err := c.do(ctx, http.MethodPost, at(0, "/folders"), map[string]string{"path": path}, &made); err != nil {
		return Entry{}, false, err
	}
	if len(made.Created) > 0 && made.Created[0].Parent == 0 && made.Created[0].Public != public {
		for _, e := range made.Created {
			if err := c.do(ctx, http.MethodPatch, at(e.ID, ""), map[string]bool{"public": public}, nil); err != nil {
				return Entry{}, false, err
			}
		}
	}
	return made.Entry, len(made.Created) > 0, nil
}

// Size is how many bytes and files there are below a folder, as far as the user
// sees them.
func (c *Client) Size(ctx context.Context, folder int64) (bytes, files int64, err error) {
	var size struct{ Bytes, Files int64 }
	err = c.do(ctx, http.MethodGet, at(folder, "/sizes"), nil, &size)
	return size.Bytes, size.Files, err
}

// What is done about a name that is taken, by changes of the tree and uploads.
const (
	Fail      = packet.ConflictFail
	Overwrite = packet.ConflictOverwrite
	Rename    = packet.ConflictRename
	Skip      = packet.ConflictSkip // by uploads only
)

// onConflict is the word of the HTTP API, which is another one for overwriting.
func onConflict(conflict string) string {
	if conflict == Overwrite {
		return "replace"
	}
	return conflict
}

// Move moves entries into a folder: all of them, or none.
func (c *Client) Move(ctx context.Context, ids []int64, folder int64, conflict string) error {
	return c.do(ctx, http.MethodPost, "/api/move", map[string]any{"ids": ids, "parent": folder, "on_conflict": onConflict(conflict)}, nil)
}

// Rename gives an entry another name, and may move it at the same time.
func (c *Client) Rename(ctx context.Context, id, folder int64, name, conflict string) error {
	return c.do(ctx, http.MethodPatch, at(id, ""), map[string]any{"name": name, "parent": folder, "on_conflict": onConflict(conflict)}, nil)
}

// Copy copies entries into a folder: all of them, or none. Conflict is Fail or
// Rename.
func (c *Client) Copy(ctx context.Context, ids []int64, folder int64, conflict string) error {
	return c.do(ctx, http.MethodPost, "/api/copy", map[string]any{"ids": ids, "parent": folder, "on_conflict": onConflict(conflict)}, nil)
}

// Deleted is what Delete did.
type Deleted struct {
	Files   int64   `json:"files"`
	Folders int64   `json:"folders"`
	Bytes   int64   `json:"bytes"`
	Trash   []int64 `json:"trash"` // what Restore takes; empty where there is no trash
}

// Delete puts entries into the trash: all of them, or none.
func (c *Client) Delete(ctx context.Context, ids []int64) (Deleted, error) {
	var deleted Deleted
	err := c.do(ctx, http.MethodPost, "/api/delete", map[string]any{"ids": ids}, &deleted)
	return deleted, err
}

// Restore takes entries out of the trash, to where they were.
func (c *Client) Restore(ctx context.Context, ids []int64) ([]Entry, error) {
	var restored struct{ Entries []Entry }
	err := c.do(ctx, http.MethodPost, "/api/trash/restore", map[string]any{"ids": ids}, &restored)
	return restored.Entries, err
}

// Link is what a link is to be.
type Link struct {
	Mode      string    `json:"mode"` // view, download or upload
	Name      string    `json:"name,omitempty"`
	Password  string    `json:"password,omitempty"`
	MostUses  int64     `json:"most_uses,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// MakeLink makes a link to an entry and gives its address.
func (c *Client) MakeLink(ctx context.Context, id int64, l Link) (string, error) {
	var made struct{ Link struct{ Path, URL string } }
	if err := c.do(ctx, http.MethodPost, at(id, "/links"), l, &made); err != nil {
		return "", err
	}
	if made.Link.URL != made.Link.Path { // the server knows where others reach it
		return made.Link.URL, nil
	}
	return c.server + made.Link.Path, nil
}

func at(id int64, rest string) string { return fmt.Sprintf("/api/entries/%d%s", id, rest) }
