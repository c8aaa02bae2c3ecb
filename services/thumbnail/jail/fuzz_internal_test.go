package jail

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"discordcloud/services/thumbnail/decode"
)

// FuzzConverse is a child that says anything: whoever started it does not break,
// reads nothing outside of the object and takes no more than it may.
func FuzzConverse(f *testing.F) {
	frame := func(letter byte, payload []byte) []byte {
		return append(binary.BigEndian.AppendUint32([]byte{letter}, uint32(len(payload))), payload...)
	}
	ask := func(off uint64, n uint32) []byte {
		return frame(decode.FrameRead, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, off), n))
	}
	result := frame(decode.FrameResult, []byte(`{"images":[{"size":256,"data":"AAAA"}],"facts":{},"reason":"","lacks":["files"]}`))
	for _, seed := range [][]byte{
		nil, result, append(ask(0, 10), result...), ask(1<<63, 1), ask(99, 2), ask(0, 1<<31), frame(decode.FrameResult, []byte("null")),
		frame(decode.FrameResult, []byte(`{"images":[{"size":-1}]}`)), []byte("D\xff\xff\xff\xff"), []byte("<html>"), frame(decode.FrameJob, []byte("{}")),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		const size = 100
		silence := time.AfterFunc(time.Hour, func() {})
		defer silence.Stop()
		object := readerAt(func(p []byte, off int64) (int, error) {
			if off < 0 || off+int64(len(p)) > size {
				t.Errorf("%d bytes from %d of %d are read", len(p), off, size)
			}
			return len(p), nil
		})
		r, err := converse(io.Discard, bytes.NewReader(said), decode.Job{Size: size}, object, silence, time.Hour)
		if err == nil && len(r.Images) > len(said) {
			t.Errorf("%d images of %d bytes", len(r.Images), len(said))
		}
	})
}

type readerAt func(p []byte, off int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }
