package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/tools/internal/rig"
)

const gib = 1 << 30

// mibps is a throughput in MiB/s.
func mibps(n int64, d time.Duration) float64 { return float64(n) / (1 << 20) / d.Seconds() }

// download is one stream through the product, against a plain proxy of the same
// attachments.
func download(ctx context.Context, w *world) ([]result, error) {
	f, err := w.large(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.proxied(ctx, f); err != nil {
		return nil, err
	}
	var speed, cpu []sample
	for range w.runs {
		var s, c sample
		if s.base, c.base, err = w.timed(w.proxy, f.data.Size, func() (int64, error) { return w.readProxy(ctx) }); err != nil {
			return nil, fmt.Errorf("plain: %w", err)
		}
		if s.got, c.got, err = w.timed(w.product, f.data.Size, func() (int64, error) { return w.read(ctx, f.entry.Path()) }); err != nil {
			return nil, err
		}
		speed, cpu = append(speed, s), append(cpu, c)
	}
	return []result{
		result{
			Row: "download", What: "download, one stream", Against: "plain streaming proxy of the same attachments", Unit: "MiB/s", Reach: 0.80,
		}.of(speed),
		result{
			Row: "cpu-download", What: "CPU per GiB, download", Against: "the plain proxy", Unit: "s",
		}.of(cpu),
	}, nil
}

// proxied tells the proxy which attachments to copy.
func (w *world) proxied(ctx context.Context, f *stored) error {
	links, err := w.links(ctx, f.attachments)
	if err != nil {
		return err
	}
	l := listing{Links: links}
	for _, a := range f.attachments {
		l.Length += a.Size
	}
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, w.proxy.about.URL, strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	answer, err := w.plain.Do(r)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// readProxy downloads what the proxy was told to copy.
func (w *world) readProxy(ctx context.Context) (int64, error) {
	n, _, _, err := fetch(ctx, func() (*http.Response, error) { return w.get(ctx, w.proxy.about.URL, "") })
	return n, err
}

// read downloads a path of the product.
func (w *world) read(ctx context.Context, path string) (int64, error) {
	n, _, _, err := fetch(ctx, func() (*http.Response, error) { return w.client.Get(ctx, path, "") })
	return n, err
}

// timed runs a transfer of at least size bytes and gives MiB/s, and the seconds of
// processor time that p took for a GiB of it.
func (w *world) timed(p *process, size int64, run func() (int64, error)) (speed, cpu float64, err error) {
	before, err := p.cpu()
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	n, err := run()
	took := time.Since(start)
	if err != nil {
		return 0, 0, err
	}
	if n < size {
		return 0, 0, fmt.Errorf("%d bytes of %d", n, size)
	}
	after, err := p.cpu()
	return mibps(size, took), (after - before) / float64(size) * gib, err
}

// upload is one file through the product, against the same amount posted by a
// plain client through a plain proxy, in messages as the product makes them, as
// many at a time. What either posts is deleted before the other begins: both write
// to the same memory, where pages of fresh memory cost the machine more.
func uploading(ctx context.Context, w *world) ([]result, error) {
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	chunk := rig.Content{Seed: 3, Size: 39 * 256 << 10} // what an attachment of 10 MiB holds
	var speed, cpu []sample
	for i := range w.runs {
		before, err := w.attachments(ctx)
		if err != nil {
			return nil, err
		}
		var s, c sample
		if s.base, c.base, err = w.timed(w.proxy, w.size, func() (int64, error) { return w.size, w.postAll(ctx, chunk) }); err != nil {
			return nil, fmt.Errorf("plain: %w", err)
		}
		if err := w.forgetSince(ctx, before); err != nil {
			return nil, err
		}
		if s.got, c.got, err = w.timed(w.product, w.size, func() (int64, error) {
			return w.size, w.client.Upload(ctx, "/bench", "up", rig.Content{Seed: uint64(10 + i), Size: w.size})
		}); err != nil {
			return nil, err
		}
		speed, cpu = append(speed, s), append(cpu, c)
		if err := w.forgetSince(ctx, before); err != nil {
			return nil, err
		}
	}
	return []result{
		result{
			Row: "upload", What: "upload, one file", Against: "plain client through a plain proxy", Unit: "MiB/s", Reach: 0.70,
		}.of(speed),
		result{
			Row: "cpu-upload", What: "CPU per GiB, upload", Against: "the plain proxy", Unit: "s",
		}.of(cpu),
	}, nil
}

// postAll posts w.size bytes in messages of one chunk, three at a time.
func (w *world) postAll(ctx context.Context, chunk rig.Content) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(3)
	client := &http.Client{Transport: toHeader{w.plain.Transport, ""}}
	for i := int64(0); i*chunk.Size < w.size; i++ {
		channel := w.sandbox.about.Channels[int(i)%len(w.sandbox.about.Channels)]
		to := *client
		to.Transport = toHeader{w.plain.Transport, w.sandbox.about.URL + "/api/v10/channels/" + channel + "/messages"}
		group.Go(func() error {
			n := min(chunk.Size, w.size-i*chunk.Size)
			_, err := rig.Post(ctx, &to, w.proxy.about.URL, "Bot "+w.sandbox.about.Token, nil, "files[%d]", []io.Reader{chunk.Reader(0, n)}, n)
			return err
		})
	}
	return group.Wait()
}

// toHeader tells the proxy where to.
type toHeader struct {
	next http.RoundTripper
	to   string
}

func (t toHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("To", t.to)
	return t.next.RoundTrip(r)
}

const (
	lineLatency = 80 * time.Millisecond
	lineDown    = 8_000_000 // bytes per second of one connection
)

// farAway is a download over a line that is far away: what eight connections
// can carry at the most is the baseline.
func farAway(ctx context.Context, w *world) ([]result, error) {
	f, err := w.large(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := w.read(ctx, f.entry.Path()); err != nil { // so that links are known
		return nil, err
	}
	if err := w.line(ctx, lineLatency, lineDown); err != nil {
		return nil, err
	}
	defer func() { _ = w.line(context.WithoutCancel(ctx), 0, 0) }() // the next row shows if it did not work
	n := min(f.data.Size, 256<<20)
	var samples []sample
	for range w.runs {
		start := time.Now()
		got, _, _, err := fetch(ctx, func() (*http.Response, error) {
			return w.client.Get(ctx, f.entry.Path(), fmt.Sprintf("bytes=0-%d", n-1))
		})
		if err != nil || got != n {
			return nil, fmt.Errorf("%d bytes of %d: %w", got, n, err)
		}
		samples = append(samples, sample{mibps(n, time.Since(start)), 8 * float64(lineDown) / (1 << 20)})
	}
	return []result{result{
		Row: "line", What: "download at 80 ms and 8 MB/s per connection", Against: "eight connections' worth", Unit: "MiB/s", Reach: 0.90,
	}.of(samples)}, nil
}

// firstByte is how long a seek takes, link known, against one raw request.
func firstByte(ctx context.Context, w *world) ([]result, error) {
	f, err := w.large(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := w.read(ctx, f.entry.Path()); err != nil {
		return nil, err
	}
	links, err := w.links(ctx, f.attachments)
	if err != nil {
		return nil, err
	}
	if err := w.line(ctx, lineLatency, 0); err != nil {
		return nil, err
	}
	defer func() { _ = w.line(context.WithoutCancel(ctx), 0, 0) }()
	random := rand.New(rand.NewPCG(1, 2))
	var samples []sample
	for range 4 * w.runs {
		var s sample
		// One segment, as the product will ask for at least.
		at := random.Int64N(f.attachments[0].Size - 70_000)
		_, first, _, err := fetch(ctx, func() (*http.Response, error) {
			return w.get(ctx, links[random.IntN(len(links)-1)], fmt.Sprintf("bytes=%d-%d", at, at+65_551))
		})
		if err != nil {
			return nil, err
		}
		s.base = first.Seconds() * 1000
		at = random.Int64N(f.data.Size - 70_000)
		if _, first, _, err = fetch(ctx, func() (*http.Response, error) {
			return w.client.Get(ctx, f.entry.Path(), fmt.Sprintf("bytes=%d-%d", at, at+65_535))
		}); err != nil {
			return nil, err
		}
		s.got = first.Seconds() * 1000
		samples = append(samples, s)
	}
	return []result{result{
		Row: "first-byte", What: "first byte of a random range, at 80 ms", Against: "one raw range request to the CDN", Unit: "ms", Reach: 1.15, AtMost: true,
	}.of(samples)}, nil
}

// oneByte is how much the CDN sends for a range of one byte.
func oneByte(ctx context.Context, w *world) ([]result, error) {
	f, err := w.large(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := w.read(ctx, f.entry.Path()); err != nil {
		return nil, err
	}
	samples, err := w.oneByte(ctx, f)
	return []result{result{
		Row: "one-byte", What: "fetched from the CDN for one byte", Unit: "bytes", Reach: 65_552, AtMost: true,
	}.of(samples)}, err
}

// oneByteCached is the same with a cache that is empty: what lies in front in the
// same block comes along.
func oneByteCached(ctx context.Context, w *world) ([]result, error) {
	f, err := w.large(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.again(ctx, "CACHE_SIZE=1GiB"); err != nil {
		return nil, err
	}
	// Links are learned, and hardly a block.
	for at := int64(0); at < f.data.Size; at += 8 << 20 {
		if _, _, _, err := fetch(ctx, func() (*http.Response, error) {
			return w.client.Get(ctx, f.entry.Path(), fmt.Sprintf("bytes=%d-%d", at, at))
		}); err != nil {
			return nil, err
		}
	}
	samples, err := w.oneByte(ctx, f)
	return []result{result{
		Row: "one-byte-cached", What: "the same with CACHE_SIZE set, nothing known", Unit: "bytes",
	}.of(samples)}, err
}

// oneByte counts what the CDN sends for single bytes of a file whose links are known.
func (w *world) oneByte(ctx context.Context, f *stored) ([]sample, error) {
	random := rand.New(rand.NewPCG(3, 4))
	var samples []sample
	var counted struct {
		BytesOut int64 `json:"bytes_out"`
	}
	for range w.runs {
		if err := w.ask(ctx, "GET", "/sandbox/stats", nil, &counted); err != nil {
			return nil, err
		}
		// Asking costs bytes, too: as many each time.
		before := counted.BytesOut
		if err := w.ask(ctx, "GET", "/sandbox/stats", nil, &counted); err != nil {
			return nil, err
		}
		asking := counted.BytesOut - before
		before = counted.BytesOut
		at := random.Int64N(f.data.Size)
		n, _, _, err := fetch(ctx, func() (*http.Response, error) {
			return w.client.Get(ctx, f.entry.Path(), fmt.Sprintf("bytes=%d-%d", at, at))
		})
		if err != nil || n != 1 {
			return nil, fmt.Errorf("%d bytes: %w", n, err)
		}
		if err := w.ask(ctx, "GET", "/sandbox/stats", nil, &counted); err != nil {
			return nil, err
		}
		samples = append(samples, sample{got: float64(counted.BytesOut - before - asking)})
	}
	return samples, nil
}
