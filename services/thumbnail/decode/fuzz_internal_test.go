package decode

import (
	"bufio"
	"bytes"
	"testing"
)

// FuzzHead looks at beginnings of files as the decoder does before any limit of
// a child helps: it must neither panic nor go on for ever, and say nothing that
// a packet does not bear.
func FuzzHead(f *testing.F) {
	for _, seed := range []string{
		"", "\xff\xd8\xff\xe1\x00\x10Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x69\x87\x04\x00\x01\x00\x00\x00\x08\x00\x00\x00",
		"\x89PNG\r\n\x1a\n\x00\x00\x00\x00eXIf", "RIFF\x00\x00\x00\x00WEBPVP8X\xff\xff\xff\xff",
		"II*\x00\xff\xff\xff\xff", "MM\x00*\x00\x00\x00\x08\xff\xff\x01\x0f\x00\x02\x00\x00\x01\x00\xff\xff\xff\xff",
		"\x00\x00\x00\x1cftypheic\x00\x00\x00\x00ispe\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", "<?xml version='1.0'?><svg/>", "text\n\ttext",
	} {
		f.Add([]byte(seed), "image/jpeg")
	}
	f.Fuzz(func(t *testing.T, b []byte, hint string) {
		kind := sniff(b, hint)
		heifSize(b)
		lines(string(b))
		for _, x := range []exif{parseEXIF(b), parseEXIF(exifOfJPEG(b)), readEXIF(answered(b), kind), readEXIF(answered(b), kindPNG), readEXIF(answered(b), kindWebP)} {
			if x.orientation < 0 || x.orientation > 8 || len(x.takenAt) > 40 {
				t.Errorf("%+v", x)
			}
			facts := Facts{Camera: x.camera, Title: string(b), Codec: hint, Width: -1}.clean()
			if len([]rune(facts.Camera)) > 100 || len([]rune(facts.Title)) > 200 || len([]rune(facts.Codec)) > 40 || facts.Width != 0 {
				t.Errorf("%+v", facts)
			}
		}
		if _, payload, err := ReadFrame(bufio.NewReader(bytes.NewReader(b)), 1000); err == nil && len(payload) > 1000 {
			t.Error("a frame longer than it may be")
		}
	})
}

// answered is a source of b whose ranges are answered in advance: each is asked
// of a pipe that has the whole of them.
func answered(b []byte) *source {
	p := &answers{b: b}
	return &source{size: int64(len(b)), in: bufio.NewReader(p), out: p}
}

// answers gives to each range that is written what there is to read.
type answers struct {
	b    []byte
	next bytes.Buffer
}

func (a *answers) Write(frame []byte) (int, error) {
	off, n, err := ParseRead(frame[5:])
	if err != nil {
		return 0, err
	}
	return len(frame), WriteFrame(&a.next, FrameBytes, a.b[off:off+int64(n)])
}

func (a *answers) Read(p []byte) (int, error) { return a.next.Read(p) }
