package decode

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// source is the object, read by ranges from whoever started us. It is safe for
// concurrent use: ranges are asked for one after the other.
type source struct {
	size int64

	mu     sync.Mutex
	in     *bufio.Reader
	out    io.Writer
	failed bool // something could not be read
}

var errSource = errors.New("the object cannot be read")

// ReadAt implements io.ReaderAt.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for n < len(p) {
		if off+int64(n) >= s.size {
			return n, io.EOF
		}
		piece := p[n:min(len(p), n+MaxRead)]
		piece = piece[:min(int64(len(piece)), s.size-off-int64(n))]
		if err := s.ask(piece, off+int64(n)); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

func (s *source) ask(p []byte, off int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed {
		return errSource
	}
	var q [12]byte
	binary.BigEndian.PutUint64(q[:], uint64(off))
	binary.BigEndian.PutUint32(q[8:], uint32(len(p)))
	err := WriteFrame(s.out, FrameRead, q[:])
	if err == nil {
		var letter byte
		var b []byte
		letter, b, err = ReadFrame(s.in, MaxRead)
		if err == nil && letter == FrameBytes && len(b) == len(p) {
			copy(p, b)
			return nil
		}
	}
	s.failed = true
	return errSource
}

// reader reads from the beginning, at most the given number of bytes.
func (s *source) reader(most int64) *bufio.Reader {
	return bufio.NewReaderSize(io.NewSectionReader(s, 0, min(s.size, most)), 256<<10)
}

// head is the object's first bytes, fewer if it has fewer.
func (s *source) head(n int) ([]byte, error) {
	b := make([]byte, min(int64(n), s.size))
	_, err := s.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return b, err
}

// whole is all of an object that may not be larger than most.
func (s *source) whole(most int64) (io.Reader, error) {
	if s.size > most {
		return nil, refusalf("the file is larger than %d MiB", most>>20)
	}
	return s.reader(most), nil
}

func (s *source) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}
