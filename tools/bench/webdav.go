package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/tools/internal/rig"
)

// davUser is whom rig.SetUp makes.
const davUser = "admin"

// davSession is a client of WebDAV with an app password.
type davSession struct {
	base     string // of the tree, without a trailing slash
	password string
	http     *http.Client
}

// dav makes an app password for the product that runs at the moment.
func (w *world) dav(ctx context.Context) (*davSession, error) {
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	var made struct{ Password string }
	if err := w.client.Do(ctx, "POST", "/api/app-passwords", map[string]any{"name": "bench"}, &made); err != nil {
		return nil, fmt.Errorf("app password: %w", err)
	}
	return &davSession{w.base + "/dav", made.Password, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}}, nil
}

// ask sends a request whose status has to be the one that is wanted. The caller
// closes the body.
func (s *davSession) ask(ctx context.Context, client *http.Client, want int, method, path string, body []byte, header ...string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.SetBasicAuth(davUser, s.password)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 200)) // what came of it is enough
		return nil, errors.Join(fmt.Errorf("%s %s: status %d: %s", method, path, answer.StatusCode, text), answer.Body.Close())
	}
	return answer, nil
}

func (s *davSession) do(ctx context.Context, want int, method, path string, body []byte, header ...string) error {
	answer, err := s.ask(ctx, s.http, want, method, path, body, header...)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return errors.Join(err, answer.Body.Close())
}

// askAll is the question that rclone asks of a folder.
const askAll = `<?xml version="1.0"?><d:propfind xmlns:d="DAV:" xmlns:oc="http://owncloud.org/ns"><d:prop><d:displayname/><d:getlastmodified/>` +
	`<d:getcontentlength/><d:resourcetype/><d:getcontenttype/><oc:checksums/></d:prop></d:propfind>`

// children makes a folder with so many empty files in it.
func (s *davSession) children(ctx context.Context, folder string, n int) error {
	if err := s.do(ctx, http.StatusCreated, "MKCOL", folder, nil); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error {
			return s.do(ctx, http.StatusCreated, http.MethodPut, fmt.Sprintf("%s/%05d.txt", folder, i), nil)
		})
	}
	return group.Wait()
}

// list lists a folder of n entries, and gives how long the first byte and the last
// took.
func (s *davSession) list(ctx context.Context, folder string, n int) (first, whole time.Duration, err error) {
	start := time.Now()
	answer, err := s.ask(ctx, s.http, http.StatusMultiStatus, "PROPFIND", folder, []byte(askAll), "Depth", "1")
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	var b [1]byte
	if _, err := io.ReadFull(answer.Body, b[:]); err != nil {
		return 0, 0, err
	}
	first = time.Since(start)
	count := counter{of: []byte("</D:response>")}
	if _, err := io.Copy(&count, answer.Body); err != nil {
		return 0, 0, err
	}
	whole = time.Since(start)
	if count.n != n+1 { // and the folder itself
		return 0, 0, fmt.Errorf("%d entries of %d", count.n, n+1)
	}
	return first, whole, nil
}

// counter counts how often some bytes are written to it.
type counter struct {
	of   []byte
	n    int
	tail []byte
}

func (c *counter) Write(p []byte) (int, error) {
	seam := append(c.tail, p[:min(len(p), len(c.of)-1)]...)
	c.n += bytes.Count(seam, c.of) + bytes.Count(p, c.of)
	c.tail = append(c.tail[:0], p[max(0, len(p)-len(c.of)+1):]...)
	return len(p), nil
}

// listings is a folder of many entries: how soon the listing begins, when it is
// whole, and what the product needs for eight of them at once.
func listings(ctx context.Context, w *world) ([]result, error) {
	const atOnce = 8
	s, err := w.dav(ctx)
	if err != nil {
		return nil, err
	}
	folder, entries := "/many", w.files
	if _, err := w.client.Lookup(ctx, folder); err != nil { // the archive of many was not measured
		folder = "/children"
		if err := s.children(ctx, folder, entries); err != nil {
			return nil, err
		}
	}
	var first, whole []sample
	for range w.runs {
		a, b, err := s.list(ctx, folder, entries)
		if err != nil {
			return nil, err
		}
		first, whole = append(first, sample{got: a.Seconds() * 1000}), append(whole, sample{got: b.Seconds() * 1000})
	}
	if err := w.product.freshPeak(); err != nil {
		return nil, err
	}
	before, err := w.product.peak()
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for range atOnce {
		group.Go(func() error {
			_, _, err := s.list(ctx, folder, entries)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	after, err := w.product.peak()
	if err != nil {
		return nil, err
	}
	return []result{
		result{Row: "propfind-first", What: fmt.Sprintf("PROPFIND of %d entries, first byte", entries), Unit: "ms", Reach: 100, AtMost: true}.of(first),
		result{Row: "propfind", What: fmt.Sprintf("PROPFIND of %d entries, all of it", entries), Unit: "ms", Reach: 1000, AtMost: true}.of(whole),
		result{
			Row: "propfind-memory", What: fmt.Sprintf("memory that %d such listings at once add", atOnce), Unit: "MiB", Reach: 32, AtMost: true,
		}.of([]sample{{got: after - before}}),
	}, nil
}

// idle is what a thousand connections need that wait for their next request.
func idle(ctx context.Context, w *world) ([]result, error) {
	const connections = 1000
	s, err := w.dav(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.again(ctx); err != nil {
		return nil, err
	}
	s.base = w.base + "/dav"
	open := make([]*http.Client, connections)
	for i := range open {
		open[i] = &http.Client{Transport: &http.Transport{MaxIdleConns: 1}}
		defer open[i].CloseIdleConnections()
	}
	ask := func(client *http.Client) error {
		answer, err := s.ask(ctx, client, http.StatusMultiStatus, "PROPFIND", "/", nil, "Depth", "0")
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		return errors.Join(err, answer.Body.Close())
	}
	for range connections / 10 { // all that is made once is made
		if err := ask(open[0]); err != nil {
			return nil, err
		}
	}
	if err := w.product.freshPeak(); err != nil {
		return nil, err
	}
	before, err := w.product.peak()
	if err != nil {
		return nil, err
	}
	for _, client := range open[1:] {
		if err := ask(client); err != nil {
			return nil, err
		}
	}
	after, err := w.product.peak()
	if err != nil {
		return nil, err
	}
	return []result{result{
		Row: "idle", What: "1,000 idle connections of WebDAV, memory for each", Unit: "KiB", Reach: 64, AtMost: true,
	}.of([]sample{{got: (after - before) * 1024 / (connections - 1)}})}, nil
}

// davSmall is a thousand small files as a program puts them, eight at a time,
// each with the questions that rclone asks around it, against as many by the page.
func davSmall(ctx context.Context, w *world) ([]result, error) {
	s, err := w.dav(ctx)
	if err != nil {
		return nil, err
	}
	return w.small(ctx, result{
		Row: "dav-small", What: "1,000 files of 4 KiB by WebDAV, 8 at a time",
	}, func(folder string) error {
		if err := s.do(ctx, http.StatusCreated, "MKCOL", folder, nil); err != nil {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(8)
		for i := range smallCount {
			group.Go(func() error {
				path := fmt.Sprintf("%s/%05d", folder, i)
				body, err := io.ReadAll(rig.Content{Seed: uint64(i), Size: smallSize}.Reader(0, smallSize))
				if err != nil {
					return err
				}
				return errors.Join(
					s.do(ctx, http.StatusMethodNotAllowed, "MKCOL", folder, nil), // it makes sure of each file's folder
					s.do(ctx, http.StatusCreated, http.MethodPut, path, body, "X-OC-Mtime", "1500000000"),
					s.do(ctx, http.StatusMultiStatus, "PROPFIND", path, []byte(askAll), "Depth", "0"))
			})
		}
		return group.Wait()
	})
}

const (
	smallCount = 1000
	smallSize  = 4 << 10
)

// small measures put, which stores the small files into a new folder, against the
// page.
func (w *world) small(ctx context.Context, r result, put func(folder string) error) ([]result, error) {
	places, err := w.client.Book(ctx, services*16)
	if err != nil {
		return nil, err
	}
	var samples []sample
	for i := range min(w.runs, 3) {
		var s sample
		start := time.Now()
		if err := uploadMany(ctx, w.client, "/page "+r.Row+strconv.Itoa(i), smallCount, smallSize, places); err != nil {
			return nil, err
		}
		s.base = time.Since(start).Seconds()
		start = time.Now()
		if err := put("/" + r.Row + strconv.Itoa(i)); err != nil {
			return nil, err
		}
		s.got = time.Since(start).Seconds()
		samples = append(samples, s)
	}
	r.Against, r.Unit, r.Reach, r.AtMost = "as many by the page's own way", "s", 1.5, true
	return []result{r.of(samples)}, nil
}
