package serve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// File is a file to send.
type File struct {
	Name     string    // for the receiver's disk
	Type     string    // MIME type, as stored
	ETag     string    // strong, with its quotes; the same for the same bytes only
	Modified time.Time // the last time the bytes behind this address changed; zero if not known
	Size     int64     // in bytes
	// Inline lets the receiver show the file in place, if its type is one that
	// cannot do harm.
	Inline bool
	// Open reads n bytes from off; all of them, or it ends with an error.
	Open func(ctx context.Context, off, n int64) (io.ReadCloser, error)
	// Send writes a range; all of it, or it ends with an error. It goes in place of
	// Open.
	Send func(ctx context.Context, w io.Writer, r Range) error
}

// Content answers a GET or HEAD with a file, or the ranges of it that are asked
// for, and 304, 412 and 416 where conditions and ranges want it. It returns an
// error only as long as nothing was sent; then the caller answers. What breaks
// later breaks the connection, by a panic with http.ErrAbortHandler.
func (s *Sender) Content(w http.ResponseWriter, r *http.Request, f File) error {
	h := http.Header{}
	h.Set("Accept-Ranges", "bytes")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	if f.ETag != "" {
		h.Set("ETag", f.ETag)
	}
	if !f.Modified.IsZero() {
		h.Set("Last-Modified", f.Modified.UTC().Format(http.TimeFormat))
	}
	switch evaluate(r, f.ETag, f.Modified) {
	case notModified:
		return s.empty(w, h, http.StatusNotModified)
	case preconditionFailed:
		return s.empty(w, h, http.StatusPreconditionFailed)
	}

	kind, inline := contentType(f.Type)
	disposition := "attachment"
	if inline && f.Inline {
		disposition = "inline"
	}
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", Disposition(disposition, f.Name))

	var ranges []Range
	if header := r.Header.Get("Range"); header != "" && rangeHolds(r, f.ETag, f.Modified) {
		var err error
		ranges, err = ParseRange(header, f.Size)
		if errors.Is(err, ErrUnsatisfiable) {
			h.Del("Content-Type")
			h.Del("Content-Disposition")
			h.Set("Content-Range", fmt.Sprintf("bytes */%d", f.Size))
			return s.empty(w, h, http.StatusRequestedRangeNotSatisfiable)
		}
	}
	switch len(ranges) {
	case 0:
		return s.send(w, r, http.StatusOK, h, f.Size, func(w io.Writer) error {
			return f.copy(r.Context(), w, Range{0, f.Size})
		})
	case 1:
		h.Set("Content-Range", contentRange(ranges[0], f.Size))
		return s.send(w, r, http.StatusPartialContent, h, ranges[0].Length, func(w io.Writer) error {
			return f.copy(r.Context(), w, ranges[0])
		})
	}
	return s.sendParts(w, r, h, kind, f, ranges)
}

func (s *Sender) empty(w http.ResponseWriter, h http.Header, status int) error {
	for k, v := range h {
		w.Header()[k] = v
	}
	if status != http.StatusNotModified {
		w.Header().Set("Content-Length", "0")
	}
	w.WriteHeader(status)
	return nil
}

func (f File) copy(ctx context.Context, w io.Writer, r Range) error {
	if f.Send != nil {
		return f.Send(ctx, w, r)
	}
	src, err := f.Open(ctx, r.Offset, r.Length)
	if err != nil {
		return err
	}
	return copyAll(w, src, r.Length)
}

// sendParts answers several ranges as multipart/byteranges (RFC 9110 §14.6).
func (s *Sender) sendParts(w http.ResponseWriter, r *http.Request, h http.Header, kind string, f File, ranges []Range) error {
	boundary := rand.Text()
	heads := make([]string, len(ranges))
	end := "\r\n--" + boundary + "--\r\n"
	length := int64(len(end))
	for i, part := range ranges {
		heads[i] = fmt.Sprintf("\r\n--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n", boundary, kind, contentRange(part, f.Size))
		length += int64(len(heads[i])) + part.Length
	}
	h.Set("Content-Type", "multipart/byteranges; boundary="+boundary)
	return s.send(w, r, http.StatusPartialContent, h, length, func(w io.Writer) error {
		for i, part := range ranges {
			// Its headers go out with its first bytes: what fails before may still be
			// answered.
			if err := f.copy(r.Context(), &headed{w: w, head: heads[i]}, part); err != nil {
				return err
			}
		}
		_, err := io.WriteString(w, end)
		return err
	})
}

// headed writes head in front of the first bytes.
type headed struct {
	w    io.Writer
	head string
}

func (h *headed) Write(p []byte) (int, error) {
	if h.head != "" {
		if _, err := io.WriteString(h.w, h.head); err != nil {
			return 0, err
		}
		h.head = ""
	}
	return h.w.Write(p)
}

func contentRange(r Range, size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", r.Offset, r.Offset+r.Length-1, size)
}
