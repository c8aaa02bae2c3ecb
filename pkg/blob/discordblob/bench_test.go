package discordblob_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/discord"
	"discordcloud/pkg/sandbox"
)

func fast(b *testing.B) *fixture {
	return start(b, sandbox.Config{Scale: 1}, func(o *discord.Options) {
		none := discord.Rate{Limit: 1 << 20, Per: time.Second}
		o.Log, o.PerSecond = nil, 1<<16
		o.Posts, o.Reads, o.Others = none, none, none
	})
}

const benchSize = 8 << 20

func BenchmarkPut(b *testing.B) {
	f := fast(b)
	body := blobtest.Bytes(blobtest.Pattern(benchSize))
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Put(b.Context(), body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	f := fast(b)
	ref := f.put(blobtest.Pattern(benchSize))
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		r, err := f.Get(b.Context(), ref, 0, -1)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); n != benchSize || err != nil {
			b.Fatal(n, err)
		}
		_ = r.Close() // it was read to its end
	}
}

// BenchmarkGetPlain is what the same bytes cost without this package.
func BenchmarkGetPlain(b *testing.B) {
	f := fast(b)
	ref := f.put(blobtest.Pattern(benchSize))
	m, err := f.client.Message(b.Context(), ref.Channel, ref.Message)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(benchSize)
	b.ReportAllocs()
	for b.Loop() {
		resp, err := http.Get(m.Attachments[0].URL)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); n != benchSize || err != nil {
			b.Fatal(n, err)
		}
		_ = resp.Body.Close() // it was read to its end
	}
}
