package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const cdnPattern = "/attachments/{channel}/{attachment}/{file}"

// linkPath is the path of an attachment on the CDN.
func linkPath(a *attachment) string {
	return "/attachments/" + a.channel.String() + "/" + a.id.String() + "/" + a.name
}

// sign is the query of a link to path: its times of expiry and issue, and the
// MAC over them. Issue times are rounded down, so that reads within a step get
// the same link.
func (s *Server) sign(path string, life time.Duration) string {
	step := max(min(time.Minute, life/4).Truncate(time.Second), time.Second)
	is := s.cfg.Now().Unix()
	is -= is % int64(step/time.Second)
	ex := is + int64(life/time.Second)
	return fmt.Sprintf("ex=%x&is=%x&hm=%s&", ex, is, s.mac(path, ex, is))
}

func (s *Server) mac(path string, ex, is int64) string {
	m := hmac.New(sha256.New, s.secret)
	_, _ = fmt.Fprintf(m, "%s\n%x\n%x", path, ex, is) // a hash takes everything
	return hex.EncodeToString(m.Sum(nil))
}

// valid tells whether the query is a link to path that has not expired.
func (s *Server) valid(path string, q url.Values) bool {
	ex, err1 := strconv.ParseInt(q.Get("ex"), 16, 64)
	is, err2 := strconv.ParseInt(q.Get("is"), 16, 64)
	if err1 != nil || err2 != nil || !hmac.Equal([]byte(q.Get("hm")), []byte(s.mac(path, ex, is))) {
		return false
	}
	return s.cfg.Now().Before(time.Unix(ex, 0))
}

// life is how long links live that the call issues.
func (c *call) life() time.Duration {
	if d := c.fx.linkLife; d != nil {
		return *d
	}
	return c.s.settings().lifetime
}

func (c *call) gone() error {
	h := c.w.Header()
	h.Set("Content-Type", "text/plain;charset=UTF-8")
	h.Set("Cache-Control", "no-store")
	c.w.WriteHeader(http.StatusNotFound)
	_, _ = io.WriteString(c.w, "This content is no longer available.") // a client that left needs no answer
	return nil
}

// serveAttachment is the CDN.
func (s *Server) serveAttachment(c *call) error {
	i, _ := parseID(c.r.PathValue("attachment"))
	a, ok, err := one(c.r.Context(), s.store.read, scanAttachment, `SELECT `+attachmentColumns+` FROM attachments WHERE id = ?`, i)
	if err != nil {
		return err
	}
	path := linkPath(&a)
	asked := "/attachments/" + c.r.PathValue("channel") + "/" + c.r.PathValue("attachment") + "/" + c.r.PathValue("file")
	if !ok || asked != path || !s.valid(path, c.r.URL.Query()) || c.fx.linkLife != nil || c.fx.lose || s.lags(a.message) {
		return c.gone()
	}
	content := a
	if c.fx.swap {
		other, found, err := one(c.r.Context(), s.store.read, scanAttachment,
			`SELECT `+attachmentColumns+` FROM attachments WHERE id <> ? ORDER BY size = ? DESC, id LIMIT 1`, a.id, a.size)
		if err != nil {
			return err
		}
		if found {
			content = other
		}
	}
	file, err := s.files.open(content.id)
	if os.IsNotExist(err) { // deleted since the row was read
		return c.gone()
	}
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read

	var crc [4]byte
	binary.BigEndian.PutUint32(crc[:], a.crc)
	h := c.w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Disposition", `attachment; filename="`+a.name+`"`)
	h.Set("Cache-Control", "public, max-age=31536000")
	h.Set("ETag", `"`+hex.EncodeToString(a.md5)+`"`)
	h.Set("X-Goog-Hash", "crc32c="+base64.StdEncoding.EncodeToString(crc[:])+",md5="+base64.StdEncoding.EncodeToString(a.md5))
	h.Set("Accept-Ranges", "bytes")
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case c.fx.ignoreRange:
		c.r.Header.Del("Range")
	case c.fx.wrongRange:
		c.w = &shifted{c.w}
	}
	http.ServeContent(c.w, c.r, "", a.id.time(), file)
	return nil
}

// shifted answers ranges that begin and end a byte later than they say.
type shifted struct{ http.ResponseWriter }

func (w *shifted) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *shifted) WriteHeader(status int) {
	if rest, ok := strings.CutPrefix(w.Header().Get("Content-Range"), "bytes "); ok && status == http.StatusPartialContent {
		var from, to, size int64
		if _, err := fmt.Sscanf(rest, "%d-%d/%d", &from, &to, &size); err == nil {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from+1, to+1, size))
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// refreshURLs signs links anew. They need not be valid, nor of this address.
func (s *Server) refreshURLs(c *call) error {
	f, err := c.form()
	if err != nil {
		return err
	}
	urls := f.strings("attachment_urls", 1, 50, 4096)
	if err := f.err(); err != nil {
		return err
	}
	type pair struct {
		Original  string `json:"original"`
		Refreshed string `json:"refreshed"`
	}
	out := make([]pair, 0, len(urls))
	for i, original := range urls {
		u, err := url.Parse(original)
		steps := []string(nil)
		if err == nil {
			steps = split(u.Path)
		}
		if len(steps) != 4 || steps[0] != "attachments" {
			f.errs.add("URL_TYPE_INVALID_URL", "Not a well formed attachment URL.", "attachment_urls", i)
			continue
		}
		path := "/" + strings.Join(steps, "/")
		query := ""
		for part := range strings.SplitSeq(u.RawQuery, "&") {
			if name, _, _ := strings.Cut(part, "="); part != "" && name != "ex" && name != "is" && name != "hm" {
				query += part + "&"
			}
		}
		out = append(out, pair{original, c.base + (&url.URL{Path: path}).EscapedPath() + "?" + s.sign(path, c.life()) + query})
	}
	if err := f.err(); err != nil {
		return err
	}
	return c.json(http.StatusOK, map[string]any{"refreshed_urls": out})
}
