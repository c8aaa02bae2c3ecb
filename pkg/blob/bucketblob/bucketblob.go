// Package bucketblob keeps blobs as objects of a private bucket of Supabase
// Storage. It speaks the few routes that it needs itself: the released Go clients
// know neither contexts nor deadlines, and race when two goroutines store at once.
//
// Source: Supabase Storage's HTTP API, https://supabase.github.io/storage/.
package bucketblob

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
	"discordcloud/pkg/retry"
)

const (
	tries       = 3
	answerMost  = 64 << 10 // of an answer that is not a blob
	deleteMost  = 100      // names in one request
	askDeadline = 30 * time.Second
)

// Options say which bucket.
type Options struct {
	URL    string        // of the project, as https://abc.supabase.co
	Key    config.Secret // of the service role: it goes to that host only, in headers
	Bucket string
	HTTP   *http.Client // nil: one of its own, that follows no redirects
}

// Store is a bucket. It is made, private, when the first blob is stored and it is
// missing.
type Store struct {
	o    Options
	base string

	mu   sync.Mutex
	made bool
}

var _ blob.Store = (*Store)(nil)

// New gives a store; it asks nobody yet.
func New(o Options) *Store {
	if o.HTTP == nil {
		o.HTTP = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return &Store{o: o, base: strings.TrimSuffix(o.URL, "/") + "/storage/v1"}
}

// Holds tells whether a blob was stored by a Store of any bucket: it has a bucket
// for a channel, and no message.
func Holds(ref cloud.Ref) bool { return ref.Channel != "" && ref.Message == "" }

// Put implements blob.Store. The blob is stored under a random name.
func (s *Store) Put(ctx context.Context, body blob.Body) (cloud.Ref, error) {
	fail := func(err error) (cloud.Ref, error) { return cloud.Ref{}, fmt.Errorf("store blob in bucket: %w", err) }
	if err := s.ensure(ctx); err != nil {
		return fail(err)
	}
	name := rand.Text()
	ref := cloud.Ref{Channel: s.o.Bucket, Path: name[:2] + "/" + name}
	err := retry.Do(ctx, tries, func(ctx context.Context) error {
		// An answer may have been lost: the same bytes under the same name again.
		answer, err := s.ask(ctx, http.MethodPost, s.object("", ref), body.Open(), body.Size(), "Content-Type", "application/octet-stream", "x-upsert", "true")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
	if err != nil {
		return fail(err)
	}
	return ref, nil
}

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	if !Holds(ref) {
		return nil, fmt.Errorf("blob: %w", cloud.ErrNotFound) // another store made it
	}
	if off < 0 {
		return nil, fmt.Errorf("read blob from %d: %w", off, cloud.ErrInvalid)
	}
	span := fmt.Sprintf("bytes=%d-", off)
	if n >= 0 { // no range is empty: of nothing, the first byte is asked for and not read
		span += strconv.FormatInt(off+max(n, 1)-1, 10)
	}
	var answer *http.Response
	err := retry.Do(ctx, tries, func(ctx context.Context) (err error) {
		answer, err = s.ask(ctx, http.MethodGet, s.object("/authenticated", ref), nil, 0, "Range", span)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read blob of bucket: %w", err)
	}
	first, _, total, ok := contentRange(answer)
	switch {
	case !ok || first != off:
		return nil, errors.Join(fmt.Errorf("read blob of bucket: %w: a range was asked for, and it is not what came", cloud.ErrUnavailable), answer.Body.Close())
	case n < 0:
		n = total - off
	case n > total-off:
		return nil, errors.Join(fmt.Errorf("read %d bytes from %d of a blob with %d: %w", n, off, total, cloud.ErrInvalid), answer.Body.Close())
	}
	return &reader{answer.Body, n}, nil
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, refs ...cloud.Ref) error {
	byBucket := map[string][]string{}
	for _, ref := range refs {
		if Holds(ref) {
			byBucket[ref.Channel] = append(byBucket[ref.Channel], ref.Path)
		}
	}
	for bucket, names := range byBucket {
		for len(names) > 0 {
			some := names[:min(len(names), deleteMost)]
			names = names[len(some):]
			err := s.say(ctx, http.MethodDelete, "/object/"+url.PathEscape(bucket), map[string][]string{"prefixes": some})
			if err != nil && !errors.Is(err, cloud.ErrNotFound) {
				return fmt.Errorf("delete blobs of bucket: %w", err)
			}
		}
	}
	return ctx.Err()
}

// ensure makes the bucket, once.
func (s *Store) ensure(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return nil
	}
	bucket := "/bucket/" + url.PathEscape(s.o.Bucket)
	var is struct{ Public bool }
	err := s.get(ctx, bucket, &is)
	if errors.Is(err, cloud.ErrNotFound) {
		err = s.say(ctx, http.MethodPost, "/bucket", map[string]any{"id": s.o.Bucket, "name": s.o.Bucket, "public": false})
		if errors.Is(err, cloud.ErrExists) { // made by another manager since
			err = s.get(ctx, bucket, &is)
		}
	}
	if err != nil {
		return err
	}
	if is.Public {
		return cloud.UserErrorf(cloud.ErrDenied, "The bucket %q of Supabase Storage is public. Make it private, or choose another.", s.o.Bucket)
	}
	s.made = true
	return nil
}

func (s *Store) get(ctx context.Context, path string, into any) error {
	return retry.Do(ctx, tries, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, askDeadline)
		defer cancel()
		answer, err := s.ask(ctx, http.MethodGet, path, nil, 0)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if err := json.NewDecoder(io.LimitReader(answer.Body, answerMost)).Decode(into); err != nil {
			return fmt.Errorf("%w: an answer that cannot be read", cloud.ErrUnavailable)
		}
		return nil
	})
}

func (s *Store) say(ctx context.Context, method, path string, what any) error {
	b, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return retry.Do(ctx, tries, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, askDeadline)
		defer cancel()
		answer, err := s.ask(ctx, method, path, bytes.NewReader(b), int64(len(b)), "Content-Type", "application/json")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
}

func (s *Store) object(how string, ref cloud.Ref) string {
	dir, name, _ := strings.Cut(ref.Path, "/")
	return "/object" + how + "/" + url.PathEscape(ref.Channel) + "/" + url.PathEscape(dir) + "/" + url.PathEscape(name)
}

// ask makes one request. Its answer is one of success, with a body to close.
func (s *Store) ask(ctx context.Context, method, path string, body io.Reader, size int64, header ...string) (*http.Response, error) {
	rq, err := http.NewRequestWithContext(ctx, method, s.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", cloud.ErrInvalid, err)
	}
	rq.ContentLength = size
	rq.Header.Set("Authorization", "Bearer "+s.o.Key.Reveal())
	rq.Header.Set("apikey", s.o.Key.Reveal())
	for i := 0; i < len(header); i += 2 {
		rq.Header.Set(header[i], header[i+1])
	}
	answer, err := s.o.HTTP.Do(rq)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var u *url.Error
		if errors.As(err, &u) { // whose text has the address
			err = u.Err
		}
		return nil, fmt.Errorf("%w: Supabase Storage: %w", cloud.ErrUnavailable, err)
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	return nil, errors.Join(refusal(answer), answer.Body.Close())
}

// refusal is what an answer says is wrong. Storage says 400 for much of it, and
// the status that it means in the body.
func refusal(answer *http.Response) error {
	var says struct {
		StatusCode     any
		Error, Message string
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, answerMost))
	if err != nil {
		return fmt.Errorf("%w: Supabase Storage: status %d", cloud.ErrUnavailable, answer.StatusCode)
	}
	status := answer.StatusCode
	if json.Unmarshal(b, &says) == nil && status == http.StatusBadRequest {
		if meant, err := strconv.Atoi(fmt.Sprint(says.StatusCode)); err == nil {
			status = meant
		}
	}
	kind := cloud.ErrInvalid
	switch {
	case status == http.StatusNotFound:
		kind = cloud.ErrNotFound
	case status == http.StatusConflict:
		kind = cloud.ErrExists
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		kind = cloud.ErrDenied
	case status == http.StatusRequestEntityTooLarge:
		kind = cloud.ErrTooLarge
	case status == http.StatusTooManyRequests, status >= 500, status/100 == 3:
		kind = cloud.ErrUnavailable
	}
	err = fmt.Errorf("%w: Supabase Storage: status %d: %.100q", kind, status, says.Message)
	if wait, bad := strconv.Atoi(answer.Header.Get("Retry-After")); bad == nil && kind == cloud.ErrUnavailable {
		return retry.After(err, time.Duration(wait)*time.Second)
	}
	return err
}

// contentRange reads "bytes first-last/total".
func contentRange(answer *http.Response) (first, last, total int64, ok bool) {
	if answer.StatusCode != http.StatusPartialContent {
		return 0, 0, 0, false
	}
	_, err := fmt.Sscanf(answer.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &total)
	return first, last, total, err == nil && first <= last && last < total
}

// reader gives left bytes, or ends with io.ErrUnexpectedEOF.
type reader struct {
	io.ReadCloser
	left int64
}

func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.ReadCloser.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	switch {
	case err == io.EOF && r.left > 0:
		err = io.ErrUnexpectedEOF
	case err != nil && err != io.EOF && r.left > 0:
		err = fmt.Errorf("%w: Supabase Storage: %w", cloud.ErrUnavailable, err)
	case r.left == 0:
		err = nil // the next Read ends it
	}
	return n, err
}
