package thumbs

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"discordcloud/pkg/cloud"
)

// cache is a folder of sealed thumbnails, of bounded size: those used least
// lately go first. It may be deleted at any time. A nil cache holds nothing.
type cache struct {
	dir   string
	limit int64

	mu   sync.Mutex
	size int64 // of all files
}

func openCache(dir string, limit int64) (*cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &cache{dir: dir, limit: limit}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c, c.trim(0)
}

func (c *cache) path(pack cloud.ObjectID) string { return filepath.Join(c.dir, pack.String()) }

// get gives a sealed thumbnail, nil if it is not there.
func (c *cache) get(pack cloud.ObjectID) []byte {
	if c == nil {
		return nil
	}
	b, err := os.ReadFile(c.path(pack))
	if err != nil {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(c.path(pack), now, now) // or it goes sooner
	return b
}

// put keeps a sealed thumbnail. What cannot be kept is not.
func (c *cache) put(pack cloud.ObjectID, b []byte) {
	if c == nil || int64(len(b)) > c.limit/8 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.size+int64(len(b)) > c.limit {
		if err := c.trim(c.limit / 4 * 3); err != nil {
			return
		}
	}
	whole := c.path(pack) + ".new"
	if err := os.WriteFile(whole, b, 0o600); err != nil || os.Rename(whole, c.path(pack)) != nil {
		_ = os.Remove(whole) // trimmed some day
		return
	}
	c.size += int64(len(b))
}

func (c *cache) remove(pack cloud.ObjectID) {
	if c != nil {
		_ = os.Remove(c.path(pack)) // trimmed some day
	}
}

// trim counts the files and, if they have more than most bytes, removes the
// oldest; 0 is the limit. c.mu is held.
func (c *cache) trim(most int64) error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	c.size = 0
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			return err
		}
		files = append(files, info)
		c.size += info.Size()
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if c.size <= cmp.Or(most, c.limit) {
			break
		}
		if err := os.Remove(filepath.Join(c.dir, f.Name())); err != nil {
			return err
		}
		c.size -= f.Size()
	}
	return nil
}
