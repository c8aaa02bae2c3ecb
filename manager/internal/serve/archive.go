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

	"discordcloud/pkg/cloud"
)

// Member is a file or folder to be put into an archive.
type Member struct {
	Folder bool
	// ID names the bytes of a file: it is another if they are others.
	ID       string
	Size     int64  // of a file
	CRC32    uint32 // of a file
	Modified time.Time
	// Open reads n bytes from off; all of them, or it ends with an error.
	Open func(ctx context.Context, off, n int64) (io.ReadCloser, error)
}

// Walk calls visit for each member of an archive, parents before children, with
// the names of its path, which visit does not keep.
type Walk func(ctx context.Context, visit func(names []string, m Member) error) error

var errTreeChanged = cloud.UserErrorf(cloud.ErrUnavailable, "the folder changed while it was sent")

// Archive answers a GET or HEAD with a zip archive, of stored files only. Its
// length and a strong entity tag are known in front, so that it is sent as
// Content sends a file: with ranges and conditions. It walks up to three times
// (to know the whole, for the files, for the directory at the end) and keeps
// nothing of it in memory; of a range it opens only the members that lie in it.
// If the walks differ, the connection is broken. Errors are as of Content.
func (s *Sender) Archive(w http.ResponseWriter, r *http.Request, name string, walk Walk) error {
	a := archive{walk: walk}
	var err error
	a.plan, err = survey(r.Context(), walk, func(e zipEntry, _ Member) error {
		a.size.add(e)
		return nil
	})
	if err != nil {
		return err
	}
	return s.Content(w, r, File{
		Name: name, Type: "application/zip", ETag: fmt.Sprintf(`"zip-%x"`, a.plan[:16]), Size: a.size.total(), Send: a.send,
	})
}

// archive is what is known of an archive in front.
type archive struct {
	walk Walk
	plan []byte // sum over all that shapes it
	size zipSize
}

// send writes one range. Its last byte is held back until it is sure that the tree
// is still the one that was surveyed.
func (a *archive) send(ctx context.Context, w io.Writer, r Range) error {
	v := &window{w: w, from: r.Offset, to: r.Offset + r.Length}
	directory := a.size.local + a.size.content
	if v.from < directory {
		q := queue{ctx: ctx, w: v}
		defer q.close()
		if err := a.again(ctx, q.add); err != nil {
			return err
		}
		if err := q.writeAll(); err != nil {
			return err
		}
	}
	v.seek(directory)
	if v.to > directory {
		var at zipSize
		err := a.again(ctx, func(e zipEntry, _ Member) error {
			_, err := v.Write(e.centralHeader(at.local + at.content))
			at.add(e)
			return err
		})
		if err != nil {
			return err
		}
		if _, err := v.Write(a.size.end()); err != nil {
			return err
		}
	}
	_, err := w.Write(v.last[:])
	return err
}

// again walks once more, and fails if it is not the same walk.
func (a *archive) again(ctx context.Context, visit func(zipEntry, Member) error) error {
	got, err := survey(ctx, a.walk, visit)
	if err == nil && !bytes.Equal(got, a.plan) {
		err = errTreeChanged
	}
	return err
}

// window lets through the range [from, to) of what is written to it, but for the
// last byte, which it keeps.
type window struct {
	w        io.Writer
	from, to int64
	pos      int64 // of what is written next
	last     [1]byte
}

// seek goes to pos without writing.
func (v *window) seek(pos int64) { v.pos = pos }

// overlap is the part of n bytes at pos that is wanted.
func (v *window) overlap(pos, n int64) (off, length int64) {
	off = min(max(v.from-pos, 0), n)
	return off, max(min(v.to-pos, n)-off, 0)
}

// Write takes all of p and passes on what is wanted.
func (v *window) Write(p []byte) (int, error) {
	off, n := v.overlap(v.pos, int64(len(p)))
	v.pos += int64(len(p))
	if n == 0 {
		return len(p), nil
	}
	part := p[off : off+n]
	if v.pos >= v.to {
		v.last[0] = part[n-1]
		part = part[:n-1]
	}
	if len(part) > 0 {
		if _, err := v.w.Write(part); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// survey walks once and gives a sum over all that shapes the archive.
func survey(ctx context.Context, walk Walk, visit func(zipEntry, Member) error) ([]byte, error) {
	sum := sha256.New()
	err := walk(ctx, func(names []string, m Member) error {
		e := zipEntry{name: memberName(names, m.Folder), folder: m.Folder, modified: m.Modified}
		if !m.Folder {
			e.size, e.crc32 = m.Size, m.CRC32
		}
		e.sumTo(sum, m.ID)
		return visit(e, m)
	})
	if err != nil {
		return nil, err
	}
	return sum.Sum(nil), nil
}

func (e zipEntry) sumTo(h hash.Hash, id string) {
	fmt.Fprintf(h, "%q %t %d %d %d %q\n", e.name, e.folder, e.size, e.crc32, e.modified.Unix(), id)
}

const (
	// aheadMembers and aheadBytes bound how many members are opened before their
	// turn: what is open is being fetched, so that many small files do not cost a
	// round trip each. They are opened by halves, for what they share: one call
	// refreshes the links of many.
	aheadMembers = 64
	aheadBytes   = 4 << 20
)

// queue writes members in order, and opens them earlier. Of those that are not in
// the window it opens nothing.
type queue struct {
	ctx   context.Context
	w     *window
	pos   int64 // of the member that is added next
	open  []opened
	bytes int64 // of the members in open
}

type opened struct {
	zipEntry
	pos    int64         // of the header
	off, n int64         // of the content, what is wanted
	src    io.ReadCloser // nil if that is nothing
}

// add opens a member, after writing as many as have to be out of its way.
func (q *queue) add(e zipEntry, m Member) error {
	if len(q.open) >= aheadMembers || q.bytes+e.size > aheadBytes {
		for len(q.open) > 0 && (len(q.open) > aheadMembers/2 || q.bytes+e.size > aheadBytes/2) {
			if err := q.write(); err != nil {
				return err
			}
		}
	}
	o := opened{zipEntry: e, pos: q.pos}
	head := int64(sizeLocal + len(e.name))
	q.pos += head + e.size
	if o.off, o.n = q.w.overlap(o.pos+head, e.size); o.n > 0 {
		var err error
		if o.src, err = m.Open(q.ctx, o.off, o.n); err != nil {
			return err
		}
	} else if _, n := q.w.overlap(o.pos, head); n == 0 {
		return nil
	}
	q.open = append(q.open, o)
	q.bytes += o.n
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
	q.bytes -= o.n
	q.w.seek(o.pos)
	_, err := q.w.Write(o.localHeader())
	if o.src == nil {
		return err
	}
	if err != nil {
		return errors.Join(err, o.src.Close())
	}
	q.w.seek(q.w.pos + o.off)
	c := newChecked(q.w)
	if err := copyAll(c, o.src, o.n); err != nil {
		return err
	}
	if o.n == o.size && c.sum.Sum32() != o.crc32 {
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
