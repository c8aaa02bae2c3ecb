package serve_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"discordcloud/manager/internal/serve"
)

func TestParseRange(t *testing.T) {
	type ranges = []serve.Range
	many := func(n int) string {
		var s []string
		for i := range n {
			s = append(s, fmt.Sprintf("%d-%d", 3*i, 3*i))
		}
		return "bytes=" + strings.Join(s, ",")
	}
	whole := ranges(nil)
	for _, c := range []struct {
		header string
		size   int64
		want   ranges
		err    error
	}{
		{"bytes=0-0", 10, ranges{{0, 1}}, nil},
		{"bytes=0-", 10, ranges{{0, 10}}, nil},
		{"bytes=-1", 10, ranges{{9, 1}}, nil},
		{"bytes=-99", 10, ranges{{0, 10}}, nil},
		{"bytes=5-99", 10, ranges{{5, 5}}, nil},
		{"Bytes=5-6", 10, ranges{{5, 2}}, nil},
		{"bytes=9-18446744073709551616", 10, ranges{{9, 1}}, nil},
		{"bytes=9223372036854775807-", 10, nil, serve.ErrUnsatisfiable},
		{"bytes=18446744073709551616-", 10, nil, serve.ErrUnsatisfiable},
		{"bytes=10-", 10, nil, serve.ErrUnsatisfiable},
		{"bytes=-0", 10, nil, serve.ErrUnsatisfiable},
		{"bytes=0-", 0, nil, serve.ErrUnsatisfiable},
		{"bytes=-5", 0, nil, serve.ErrUnsatisfiable},
		{"bytes=0-1, 4-5", 10, ranges{{0, 2}, {4, 2}}, nil},
		{"bytes=4-5,0-1", 10, ranges{{4, 2}, {0, 2}}, nil},
		{"bytes= 0-1 ,\t4-5,,", 10, ranges{{0, 2}, {4, 2}}, nil},
		{"bytes=0-1,20-30", 10, ranges{{0, 2}}, nil},
		{"bytes=0-4,4-5", 10, whole, nil}, // they overlap
		{"bytes=0-4,5-9", 10, whole, nil}, // no less than the whole
		{"bytes=5-2", 10, whole, nil},     // malformed from here on
		{"bytes=", 10, whole, nil},
		{"bytes=,", 10, whole, nil},
		{"bytes=-", 10, whole, nil},
		{"bytes=a-b", 10, whole, nil},
		{"bytes=--1", 10, whole, nil},
		{"bytes=+1-2", 10, whole, nil},
		{"bytes=0-1-2", 10, whole, nil},
		{"bytes=0x1-2", 10, whole, nil},
		{"bytes=0-1,x", 10, whole, nil},
		{"bytes 0-1", 10, whole, nil},
		{"lines=0-1", 10, whole, nil},
		{"", 10, whole, nil},
		{many(16), 100, nil, nil},
		{many(17), 100, whole, nil},
		{many(60_000), 1 << 40, whole, nil},
	} {
		got, err := serve.ParseRange(c.header, c.size)
		if c.header == many(16) {
			if len(got) != 16 {
				t.Errorf("16 ranges: %v, %v", got, err)
			}
			continue
		}
		if !slices.Equal(got, c.want) || !errors.Is(err, c.err) {
			t.Errorf("ParseRange(%.40q, %d) = %v, %v, want %v, %v", c.header, c.size, got, err, c.want, c.err)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-1,5-", "bytes=1-18446744073709551616", "bytes=,,3-4", "lines=1-2"} {
		f.Add(s, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 0 {
			return
		}
		got, err := serve.ParseRange(header, size)
		if err != nil && (!errors.Is(err, serve.ErrUnsatisfiable) || got != nil) {
			t.Fatalf("ParseRange = %v, %v", got, err)
		}
		var sum int64
		for _, r := range got {
			if r.Offset < 0 || r.Length <= 0 || r.Length > size-r.Offset {
				t.Fatalf("range %v of %d", r, size)
			}
			sum += r.Length
		}
		if len(got) > serve.MaxRanges || sum > size {
			t.Fatalf("%d ranges with %d bytes of %d", len(got), sum, size)
		}
	})
}
