package dav

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// put stores a file. Its bytes go to an upload service as they come; until all
// are stored, and all conditions hold then too, the file that was there stays.
func (q *request) put() error {
	p := q.place
	if q.r.Header.Get("Content-Range") != "" { // RFC 9110 §14.5: it must not be taken for the whole
		return refusef(http.StatusBadRequest, "parts of a file cannot be put")
	}
	if q.r.Header.Get("OC-Chunked") != "" { // a part under a name of its own, which nobody would put together
		return refusef(http.StatusNotImplemented, "files are put whole here")
	}
	modified, told, err := modifiedTime(q.r.Header.Get("X-OC-Mtime"))
	if err != nil {
		return err
	}
	sums, announced, err := parseChecksums(q.r.Header.Values("OC-Checksum"))
	if err != nil {
		return err
	}
	done, err := q.carried()
	if err != nil {
		return err
	}
	defer done()
	body := &pacedBody{r: q.r.Body, rc: http.NewResponseController(q.w), stall: q.Stall}
	var got *dispatch.Sums
	if announced {
		got = new(dispatch.Sums)
	}
	finished, err := q.Put(q.ctx(), q.who, dispatch.PutRequest{
		Folder: q.realFolder(p), Name: p.name(), Size: q.r.ContentLength,
		Conflict: q.onTaken(), Type: q.contentType(p.name()), ModifiedAt: modified,
		Body: body, Stop: body.stop, Sums: sums, Got: got, Ready: q.stillPuttable, Allow: q.stillMatches,
	})
	body.done()
	if err != nil {
		return putError(err)
	}
	if announced {
		q.keepChecksums(finished.Entry, fmt.Sprintf("SHA1:%x MD5:%x", got.SHA1, got.MD5))
	}
	h := q.w.Header()
	h.Set("ETag", etag(finished.Entry))
	h.Set("OC-ETag", etag(finished.Entry))
	h.Set("Last-Modified", finished.Entry.ModifiedAt.UTC().Format(http.TimeFormat))
	if told {
		h.Set("X-OC-Mtime", "accepted")
	}
	if finished.Replaced {
		q.empty(http.StatusNoContent)
		return nil
	}
	q.empty(http.StatusCreated)
	return nil
}

// lookPut finds the place for a file, and tells whether one may be put there.
func (q *request) lookPut() (err error) {
	if q.place, err = q.find(q.names); err != nil {
		return err
	}
	return q.puttable(q.place)
}

// puttable tells whether a file may be put at a place, before its bytes come.
func (q *request) puttable(p place) error {
	switch {
	case len(p.names) == 0, p.exists && p.entry.IsFolder():
		q.w.Header().Set("Allow", allowed)
		return refusef(http.StatusMethodNotAllowed, "that is a folder")
	case !p.exists:
		if err := q.takes(p); err != nil {
			return err
		}
	default:
		if err := policy.Check(q.who, policy.ReplaceFile, &p.entry); err != nil {
			return err
		}
	}
	if err := policy.Check(q.who, policy.Upload, nil); err != nil {
		return err
	}
	if err := q.matches(p); err != nil {
		return err
	}
	return q.unlocked(p)
}

// stillPuttable is all of it again, when the bytes are stored: locks and tags may
// have changed meanwhile.
func (q *request) stillPuttable(ctx context.Context) error {
	late := *q
	late.r = q.r.WithContext(ctx)
	p, err := late.find(q.names)
	if err != nil {
		return err
	}
	if err := late.evaluate(); err != nil {
		return err
	}
	return late.puttable(p)
}

// stillMatches holds If-Match against the file that is about to be replaced.
func (q *request) stillMatches(e cloud.Entry) error {
	return q.matches(place{entry: e, exists: true})
}

// onTaken says what a taken name means: by If-None-Match: * that it fails.
func (q *request) onTaken() meta.Conflict {
	for _, v := range q.r.Header.Values("If-None-Match") {
		if strings.TrimSpace(v) == "*" {
			return meta.ConflictFail
		}
	}
	return meta.ConflictReplace
}

func putError(err error) error {
	switch {
	case errors.Is(err, dispatch.ErrBody) && errors.Is(err, os.ErrDeadlineExceeded):
		return refusef(http.StatusRequestTimeout, "the body came too slowly")
	case errors.Is(err, dispatch.ErrBody):
		return refusef(http.StatusBadRequest, "the body did not come whole")
	case errors.Is(err, cloud.ErrExists):
		return &refusal{status: http.StatusPreconditionFailed, text: cloud.TextOf(err)}
	}
	return err
}

// realFolder is the path of a place's folder from the top of the tree.
func (q *request) realFolder(p place) []string {
	return append(append([]string(nil), q.top...), p.names[:len(p.names)-1]...)
}

// contentType is what the client says, if it says anything, or else what the
// name says.
func (q *request) contentType(name string) string {
	t, _, err := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	switch {
	case err != nil, t == "application/octet-stream", t == "application/x-www-form-urlencoded": // curl's habit
		t, _, _ = mime.ParseMediaType(mime.TypeByExtension(path.Ext(name)))
	}
	return t
}

// modifiedTime reads X-OC-Mtime: seconds since 1970, maybe with a fraction.
func modifiedTime(text string) (t time.Time, told bool, err error) {
	if text = strings.TrimSpace(text); text == "" {
		return time.Time{}, false, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(seconds) || seconds < -62135596800 || seconds > 253402300799 {
		return time.Time{}, false, refusef(http.StatusBadRequest, "X-OC-Mtime is not a number of seconds")
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), true, nil
}

// parseChecksums reads OC-Checksum: "SHA1:hex", also several. Sums that we cannot
// compute are passed over.
func parseChecksums(lines []string) (sums dispatch.Sums, announced bool, err error) {
	bad := refusef(http.StatusBadRequest, "OC-Checksum cannot be read")
	for _, one := range strings.FieldsFunc(strings.Join(lines, " "), func(r rune) bool { return r == ' ' || r == ',' }) {
		name, text, ok := strings.Cut(one, ":")
		if !ok {
			return sums, false, bad
		}
		var into *[]byte
		size := 0
		switch name = strings.ToUpper(name); name {
		case "MD5":
			into, size = &sums.MD5, 16
		case "SHA1":
			into, size = &sums.SHA1, 20
		case "SHA256":
			into, size = &sums.SHA256, 32
		default:
			continue
		}
		if *into, err = hex.DecodeString(text); err != nil || len(*into) != size {
			return sums, false, bad
		}
		announced = true
	}
	return sums, announced, nil
}

// checksums is where the sums of a file are kept whose client works with them, all
// that clients know: they ask for another one than they send. With them goes the
// object that they are of: they are void when the file has got another.
const checksums = "checksums"

func (q *request) keepChecksums(e cloud.Entry, all string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(q.ctx()), 10*time.Second)
	defer cancel()
	err := q.FS.Store.SetProperties(ctx, e.ID, []meta.PropertyChange{{
		Property: meta.Property{Space: nsOurs, Name: checksums, Value: []byte(e.Object.String() + " " + all)},
	}})
	if err != nil {
		q.log.WarnContext(ctx, "checksums not kept", "file", e.ID, "err", err) // clients do without
	}
}

// pacedBody reads a body whose next bytes always have to come in time.
type pacedBody struct {
	r     io.Reader
	rc    *http.ResponseController
	stall time.Duration

	mu      sync.Mutex
	reading bool
	ended   bool
}

func (b *pacedBody) Read(p []byte) (int, error) {
	if !b.begin() {
		return 0, os.ErrDeadlineExceeded
	}
	defer b.rest()
	return b.r.Read(p)
}

// begin sets how long the next bytes may take, unless nobody wants them any more.
func (b *pacedBody) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reading = !b.ended; b.reading {
		_ = b.rc.SetReadDeadline(time.Now().Add(b.stall)) // of what is no connection: it does not hang either
	}
	return b.reading
}

func (b *pacedBody) rest() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
}

// stop ends a Read under way, and all after it. Behind the end of a body the server
// itself reads, to hear when a client goes: to end that would end the connection.
func (b *pacedBody) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended = true; b.reading {
		_ = b.rc.SetReadDeadline(time.Unix(1, 0)) // likewise
	}
}

// done lifts the deadline, when nothing reads any more.
func (b *pacedBody) done() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	_ = b.rc.SetReadDeadline(time.Time{}) // likewise
}
