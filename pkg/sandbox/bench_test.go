package sandbox_test

import (
	"bytes"
	"fmt"
	"testing"

	"discordcloud/pkg/sandbox"
)

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		s, err := sandbox.Open(sandbox.Config{NoSync: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20, 10 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			s := open(b, sandbox.Config{})
			c := dial(b, s)
			path := c.messages()
			body, kind := encode(b, files(pattern(size))...)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if a, err := rawRequest(c.request("POST", path, bytes.NewReader(body), kind)); err != nil || a.status != 200 {
					b.Fatal(a.status, err)
				}
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	s := open(b, sandbox.Config{})
	c := dial(b, s)
	const size = 10 << 20
	link := c.post(files(pattern(size))...).Attachments[0].URL
	b.SetBytes(size)
	for b.Loop() {
		if a := c.get(link); len(a.body) != size {
			b.Fatal(a.status)
		}
	}
}
