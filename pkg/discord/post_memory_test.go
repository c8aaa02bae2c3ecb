package discord_test

import (
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/discord"
)

// zeros is a body of that many zero bytes, which takes no memory.
type zeros int64

func (z zeros) Size() int64     { return int64(z) }
func (z zeros) Open() io.Reader { return io.LimitReader(zeroReader{}, int64(z)) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// sink is a server that takes posts and keeps nothing.
func sink(t testing.TB) *discord.Client {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil {
			t.Error(err)
		}
		var all []map[string]any
		parts := multipart.NewReader(r.Body, params["boundary"])
		for {
			part, err := parts.NextPart()
			if err != nil {
				break
			}
			n, err := io.Copy(io.Discard, part)
			if err != nil {
				t.Error(err)
			}
			if name := part.FileName(); name != "" {
				all = append(all, map[string]any{"id": "1", "filename": name, "size": n, "url": "http://" + r.Host + "/a"})
			}
		}
		if err := json.NewEncoder(w).Encode(map[string]any{"id": "55", "channel_id": "7", "attachments": all}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	c, err := discord.New(discord.Options{
		Token: token, APIURL: server.URL, CDNURL: server.URL, PerSecond: 1 << 16, Posts: discord.Rate{Limit: 1 << 20, Per: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Posts are streamed: what they allocate does not grow with what they carry.
func TestPost_Memory(t *testing.T) {
	c := sink(t)
	post := func() {
		if _, err := c.Post(t.Context(), "7", []blob.Body{zeros(10 << 20)}); err != nil {
			t.Fatal(err)
		}
	}
	post() // connect
	const n = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range n {
		post()
	}
	runtime.ReadMemStats(&after)
	each := (after.TotalAlloc - before.TotalAlloc) / n // the server's part included
	t.Logf("a post of 10 MiB allocates %d KiB", each>>10)
	if each > 512<<10 {
		t.Errorf("a post of 10 MiB allocates %d bytes, want less than 512 KiB", each)
	}
}

func BenchmarkPost(b *testing.B) {
	for name, files := range map[string][]blob.Body{
		"1x10MiB": {zeros(10 << 20)},
		"10x1MiB": {zeros(1 << 20), zeros(1 << 20), zeros(1 << 20), zeros(1 << 20), zeros(1 << 20), zeros(1 << 20), zeros(1 << 20), zeros(1 << 20), zeros(1 << 20), zeros(1 << 20)},
		"1x4KiB":  {zeros(4 << 10)},
	} {
		b.Run(name, func(b *testing.B) {
			c := sink(b)
			var n int64
			for _, f := range files {
				n += f.Size()
			}
			b.SetBytes(n)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Post(b.Context(), "7", files); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
