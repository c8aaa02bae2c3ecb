package upload_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/chunk"
)

const benchLimit = 10 << 20 // of an attachment

// BenchmarkUpload sends whole parts through the endpoint, and the same bodies to
// a handler that only reads them, in turns: x-of-plain-copy is how many
// times as long the endpoint takes.
func BenchmarkUpload(b *testing.B) {
	for name, clients := range map[string]int{"one": 1, "four": 4} {
		b.Run("memory/"+name, func(b *testing.B) {
			e := newEnv(b, nil)
			e.store.discard.Store(true)
			benchmark(b, e, clients)
		})
		b.Run("sandbox/"+name, func(b *testing.B) {
			e, _, _ := newDiscord(b, benchLimit, nil)
			benchmark(b, e, clients)
		})
	}
}

func benchmark(b *testing.B, e *env, clients int) {
	partSize := int(chunk.PlainMax(benchLimit))
	content := blobtest.Pattern(partSize)
	f := newFile(b, content, int64(partSize))
	f.Size = int64(partSize) << 20 // never at its end
	f.mustOpen(b, e.conn)
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer plain.Close()

	index := 0
	send := func(to, kind string, body []byte) int {
		resp, err := http.Post(to, kind, bytes.NewReader(body))
		if err != nil {
			return 0
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	all := func(to string, kinds []string, bodies [][]byte) time.Duration {
		start := time.Now()
		answers := make([]<-chan int, len(bodies))
		for i, body := range bodies {
			answers[i] = later(func() int { return send(to, kinds[i], body) })
		}
		for _, c := range answers {
			if status := get(b, c, "the answer"); status != http.StatusOK {
				b.Fatalf("status %d", status)
			}
		}
		return time.Since(start)
	}
	var ours, copies time.Duration
	b.SetBytes(int64(clients * partSize))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		kinds, sent := make([]string, clients), make([][]byte, clients)
		for i := range sent {
			kinds[i], sent[i] = form(idField(f), chunkField(index), fileField(content))
			index++
		}
		copies += all(plain.URL, kinds, sent)
		b.StartTimer()
		ours += all(e.url, kinds, sent)
	}
	b.ReportMetric(float64(ours)/float64(copies), "x-of-plain-copy")
}
