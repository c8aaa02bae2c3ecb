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
		got, err := survey(r.Context(), walk, func(e zipEntry, m Member) error {
			return writeMember(r.Context(), w, e, m)
		})
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

func writeMember(ctx context.Context, w io.Writer, e zipEntry, m Member) error {
	if e.folder {
		_, err := w.Write(e.localHeader())
		return err
	}
	src, err := m.Open(ctx)
	if err != nil {
		return err
	}
	if _, err := w.Write(e.localHeader()); err != nil {
		return errors.Join(err, src.Close())
	}
	c := newChecked(w)
	if err := copyAll(c, src, e.size); err != nil {
		return err
	}
	if c.sum.Sum32() != e.crc32 {
		return errChecksum
	}
	return nil
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
