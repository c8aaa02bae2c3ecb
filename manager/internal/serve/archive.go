package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Member is a file or folder to be put into an archive.
type Member struct {
	Folder   bool
	Size     int64  // of a file
	CRC32    uint32 // of a file
	Modified time.Time
	Open     func(ctx context.Context) (io.ReadCloser, error)
}

// Walk calls visit for each member of an archive, parents before children, with
// the names of its path, which visit does not keep.
type Walk func(ctx context.Context, visit func(names []string, m Member) error) error

var errTreeChanged = errors.New("the folder changed while it was sent")

// Archive answers a GET or HEAD with a zip archive, of stored files only, whose
// length is told in front. It walks three times (to know the length, for the
// files, for the directory at the end) and keeps nothing of it in memory; if the
// walks differ, the connection is broken. Errors are as of Content.
func (s *Sender) Archive(w http.ResponseWriter, r *http.Request, name string, walk Walk) error {
	var size zipSize
	plan, err := survey(r.Context(), walk, func(e zipEntry, _ Member) error {
		size.add(e)
		return nil
	})
	if err != nil {
		return err
	}
	h := http.Header{}
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", Disposition("attachment", name))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Accept-Ranges", "none")
	return s.send(w, r, http.StatusOK, h, size.total(), func(w io.Writer) error {
		q := queue{ctx: r.Context(), w: w}
		defer q.close()
		got, err := survey(r.Context(), walk, q.add)
		if err == nil {
			err = q.writeAll()
		}
		if err != nil {
			return err
		}
		if !bytes.Equal(got, plan) {
			return errTreeChanged
		}
		var offset zipSize
		got, err = survey(r.Context(), walk, func(e zipEntry, _ Member) error {
			_, err := w.Write(e.centralHeader(offset.local + offset.content))
			offset.add(e)
			return err
		})
		if err != nil {
			return err
		}
		if !bytes.Equal(got, plan) {
			return errTreeChanged
		}
		_, err = w.Write(size.end())
		return err
	})
}

// survey walks once and gives a sum over all that shapes the archive.
func survey(ctx context.Context, walk Walk, visit func(zipEntry, Member) error) ([]byte, error) {
	sum := sha256.New()
	err := walk(ctx, func(names []string, m Member) error {
		e := zipEntry{name: memberName(names, m.Folder), folder: m.Folder, modified: m.Modified}
		if !m.Folder {
			e.size, e.crc32 = m.Size, m.CRC32
		}
		e.sumTo(sum)
		return visit(e, m)
	})
	if err != nil {
		return nil, err
	}
	return sum.Sum(nil), nil
}

func (e zipEntry) sumTo(h hash.Hash) {
	fmt.Fprintf(h, "%q %t %d %d %d\n", e.name, e.folder, e.size, e.crc32, e.modified.Unix())
}

const (
	// aheadMembers and aheadBytes bound how many members are opened before their
	// turn: what is open is being fetched, so that many small files do not cost a
	// round trip each.
	aheadMembers = 48
	aheadBytes   = 4 << 20
)

// queue writes members in order, and opens them earlier.
type queue struct {
	ctx   context.Context
	w     io.Writer
	open  []opened
	bytes int64 // of the members in open
}

type opened struct {
	zipEntry
	src io.ReadCloser // nil for a folder
}

// add opens a member, after writing as many as have to be out of its way.
func (q *queue) add(e zipEntry, m Member) error {
	for len(q.open) > 0 && (len(q.open) >= aheadMembers || q.bytes+e.size > aheadBytes) {
		if err := q.write(); err != nil {
			return err
		}
	}
	o := opened{zipEntry: e}
	if !e.folder {
		var err error
		if o.src, err = m.Open(q.ctx); err != nil {
			return err
		}
	}
	q.open = append(q.open, o)
	q.bytes += e.size
	return nil
}

func (q *queue) writeAll() error {
	for len(q.open) > 0 {
		if err := q.write(); err != nil {
			return err
		}
	}
	return nil
}

// write writes the first member.
func (q *queue) write() error {
	o := q.open[0]
	q.open[0] = opened{}
	q.open = q.open[1:]
	q.bytes -= o.size
	if o.src == nil {
		_, err := q.w.Write(o.localHeader())
		return err
	}
	if _, err := q.w.Write(o.localHeader()); err != nil {
		return errors.Join(err, o.src.Close())
	}
	c := newChecked(q.w)
	if err := copyAll(c, o.src, o.size); err != nil {
		return err
	}
	if c.sum.Sum32() != o.crc32 {
		return errChecksum
	}
	return nil
}

// close closes what was opened and not written.
func (q *queue) close() {
	for _, o := range q.open {
		if o.src != nil {
			_ = o.src.Close() // it was only read, and not to the end
		}
	}
}

// memberName is the name of a member in an archive: one that no program and no
// system can take for another place than below the folder it unpacks to.
func memberName(names []string, folder bool) string {
	clean := make([]string, len(names))
	for i, name := range names {
		clean[i] = cleanSegment(name)
	}
	s := strings.Join(clean, "/")
	if folder {
		s += "/"
	}
	return s
}

var (
	// reserved are the devices of Windows, with whatever extension.
	reserved = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)`)
	// marked are names that look as if cleanSegment had changed them.
	marked = regexp.MustCompile(`~[0-9a-f]{12}(\.[^.]*)?$`)
)

const maxSegment = 255 // bytes: what most file systems take

// cleanSegment neutralises a name. What had to be changed carries a mark made of
// the name as it was, so that it stays different from its neighbours; so does a
// name that has such a mark of its own.
func cleanSegment(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, name)
	if trimmed := strings.TrimRight(clean, ". "); trimmed != clean {
		clean = trimmed + "_"
	}
	if clean == "" || reserved.MatchString(clean) {
		clean = "_" + clean
	}
	if clean == name && !marked.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	ext := path.Ext(clean)
	stem := strings.TrimSuffix(clean, ext)
	mark := fmt.Sprintf("~%x", sum[:6])
	if len(ext) > 32 {
		stem, ext = clean, ""
	}
	for len(stem)+len(mark)+len(ext) > maxSegment {
		_, n := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-n]
	}
	return stem + mark + ext
}
