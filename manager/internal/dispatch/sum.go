package dispatch

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"io"
	"sync"

	"discordcloud/pkg/cloud"
)

// Sums are sums of a content; nil where one is not known.
type Sums struct{ MD5, SHA1, SHA256 []byte }

// sumBlock is how much of a body is summed at a time.
const sumBlock = 64 << 10

// sumReader computes the sums of what is read through it, each on its own, while
// the next block comes in and this one goes on its way: one after the other they
// would take longer than all the rest of an upload.
type sumReader struct {
	r io.Reader

	mu                sync.Mutex
	sha256, sha1, md5 hash.Hash // sha1 and md5 are nil if they are not asked for
	block             []byte    // being summed, while busy
	busy              sync.WaitGroup
	eof               bool
}

// newSumReader computes SHA-256, and the others if want has them, or all is set.
func newSumReader(r io.Reader, want Sums, all bool) *sumReader {
	s := &sumReader{r: r, sha256: sha256.New()}
	if want.SHA1 != nil || all {
		s.sha1 = sha1.New()
	}
	if want.MD5 != nil || all {
		s.md5 = md5.New()
	}
	return s
}

func (s *sumReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), sumBlock)])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy.Wait()
	s.eof = s.eof || err == io.EOF
	if n == 0 {
		return n, err
	}
	s.block = append(s.block[:0], p[:n]...)
	for _, h := range []hash.Hash{s.sha256, s.sha1, s.md5} {
		if h != nil {
			s.busy.Go(func() { _, _ = h.Write(s.block) }) // never fails
		}
	}
	return n, err
}

// wait waits until what was read is summed. Nobody reads meanwhile.
func (s *sumReader) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy.Wait()
}

// ended tells whether the body has come to its end.
func (s *sumReader) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.eof
}

// check gives the sums of all that was read, if they are the ones that are wanted.
func (s *sumReader) check(want Sums) (Sums, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy.Wait()
	var got Sums
	for _, c := range []struct {
		name string
		h    hash.Hash
		want []byte
		got  *[]byte
	}{{"SHA-256", s.sha256, want.SHA256, &got.SHA256}, {"SHA-1", s.sha1, want.SHA1, &got.SHA1}, {"MD5", s.md5, want.MD5, &got.MD5}} {
		if c.h == nil {
			continue
		}
		*c.got = c.h.Sum(nil)
		if c.want != nil && !bytes.Equal(*c.got, c.want) {
			return Sums{}, cloud.UserErrorf(cloud.ErrInvalid, "the content has another %s than was announced", c.name)
		}
	}
	return got, nil
}
