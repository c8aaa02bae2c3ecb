package decode

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The conversation with the child is frames: a letter, the length of what
// follows in 4 bytes, big-endian, and that. The child is told the job, asks for
// ranges, which are answered one by one, and ends with its result.
const (
	FrameJob    = 'J' // to the child: Job as JSON
	FrameRead   = 'R' // from the child: offset in 8 bytes, length in 4
	FrameBytes  = 'B' // to the child: what was asked for
	FrameError  = 'E' // to the child: it cannot be had
	FrameResult = 'D' // from the child: Result as JSON
)

// MaxRead is the longest range that the child asks for, in bytes.
const MaxRead = 1 << 20

// Job tells the child what to do.
type Job struct {
	Size  int64  `json:"size"` // of the object
	Type  string `json:"type"` // a hint
	Sizes []int  `json:"sizes"`
	// Encode is WebP or AVIF for an object that is a picture of the manager's own
	// making: it is not decoded for its own sake but encoded in that format.
	Encode  string `json:"encode,omitempty"`
	Quality int    `json:"quality"`
	Limit   int    `json:"limit"`  // bytes of one image
	Memory  int64  `json:"memory"` // bytes that the process may have
	Seconds int    `json:"seconds"`
	Tools   Tools  `json:"tools"`
}

// Tools are the paths of programs of the system, "" for one that is not there.
type Tools struct {
	FFmpeg, FFprobe, Vips, PDF, SVG string
}

// Result is what the child made.
type Result struct {
	Images []Image `json:"images,omitempty"`
	Facts  Facts   `json:"facts"`
	Reason string  `json:"reason,omitempty"` // why there are none
	// Source tells that the object could not be read.
	Source bool `json:"source,omitempty"`
	// Lacks are bounds of a Cell that the system does not have.
	Lacks []string `json:"lacks,omitempty"`
	// Peak is the most memory that the child has had, in bytes, 0 if it does not
	// know.
	Peak int64 `json:"peak,omitempty"`
}

// Image is one size: a JPEG, or what Job.Encode asked for.
type Image struct {
	Size int    `json:"size"`
	Data []byte `json:"data"`
}

// Facts is what was found on the way.
type Facts struct {
	Width, Height int64
	Duration      int64 // milliseconds
	TakenAt       string
	Camera        string
	Title         string
	Artist        string
	Album         string
	Codec         string
	Pages         int64
}

// WriteFrame writes one frame. Writes of frames must not overlap.
func WriteFrame(w io.Writer, letter byte, payload []byte) error {
	head := make([]byte, 5, 5+len(payload))
	head[0] = letter
	binary.BigEndian.PutUint32(head[1:], uint32(len(payload)))
	_, err := w.Write(append(head, payload...))
	return err
}

// ReadFrame reads one frame of at most the given length.
func ReadFrame(r *bufio.Reader, most int) (letter byte, payload []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if int64(n) > int64(most) {
		return 0, nil, fmt.Errorf("a frame of %d bytes, at most %d", n, most)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head[0], payload, err
}

// ParseRead gives the range that a FrameRead asks for.
func ParseRead(payload []byte) (off int64, n int, err error) {
	if len(payload) != 12 {
		return 0, 0, errors.New("a range of another length")
	}
	off, n = int64(binary.BigEndian.Uint64(payload)), int(binary.BigEndian.Uint32(payload[8:]))
	if off < 0 || n < 1 || n > MaxRead {
		return 0, 0, errors.New("a range that cannot be")
	}
	return off, n, nil
}

// writeResult writes the last frame.
func writeResult(w io.Writer, r Result) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return WriteFrame(w, FrameResult, b)
}
