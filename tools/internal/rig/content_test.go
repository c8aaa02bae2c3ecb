package rig_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"discordcloud/tools/internal/rig"
)

func TestContent(t *testing.T) {
	c := rig.Content{Seed: 7, Size: 3<<20 + 11}
	whole, err := io.ReadAll(c.Reader(0, c.Size))
	if err != nil || int64(len(whole)) != c.Size {
		t.Fatalf("%d bytes, %v", len(whole), err)
	}
	if err := iotest.TestReader(c.Reader(5000, 20_000), whole[5000:25_000]); err != nil {
		t.Error(err)
	}
	for _, off := range []int64{0, 1, 15, 16, 4095, 4096, 4111, 1 << 20, c.Size - 1} {
		check := c.Check(off)
		if _, err := check.Write(whole[off:]); err != nil {
			t.Errorf("from %d: %v", off, err)
		}
		if _, err := check.Write([]byte{0}); err == nil {
			t.Errorf("from %d: a byte beyond the end passes", off)
		}
	}
	for name, b := range map[string][]byte{
		"another place": whole[4096 : 4096*2],
		"another file":  read(t, rig.Content{Seed: 8, Size: 4096}),
		"a bit flipped": flipped(whole[:4096], 3000),
	} {
		_, err := c.Check(0).Write(b)
		if d, ok := errors.AsType[*rig.ErrDiffers](err); !ok || name == "a bit flipped" && d.At != 3000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func read(t *testing.T, c rig.Content) []byte {
	t.Helper()
	b, err := io.ReadAll(c.Reader(0, c.Size))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}
