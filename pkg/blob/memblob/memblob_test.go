package memblob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/memblob"
	"discordcloud/pkg/cloud"
)

func TestStore(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Store { return memblob.New() })
}

func stored(t *testing.T, n int) (*memblob.Store, cloud.Ref) {
	t.Helper()
	s := memblob.New()
	ref, err := s.Put(t.Context(), blobtest.Bytes(blobtest.Pattern(n)))
	if err != nil {
		t.Fatal(err)
	}
	return s, ref
}

func read(t *testing.T, s *memblob.Store, ref cloud.Ref) ([]byte, error) {
	t.Helper()
	r, err := s.Get(t.Context(), ref, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestStore_FailNext(t *testing.T) {
	s, ref := stored(t, 10)
	s.FailNext(memblob.Get, 2, cloud.ErrUnavailable)
	for range 2 {
		if _, err := read(t, s, ref); !errors.Is(err, cloud.ErrUnavailable) {
			t.Errorf("Get = %v, want ErrUnavailable", err)
		}
	}
	if _, err := read(t, s, ref); err != nil {
		t.Errorf("Get behind the faults = %v", err)
	}
	if s.Calls(memblob.Get) != 3 || s.Calls(memblob.Put) != 1 || s.Len() != 1 {
		t.Errorf("%d gets, %d puts, %d blobs", s.Calls(memblob.Get), s.Calls(memblob.Put), s.Len())
	}
}

func TestStore_Faults(t *testing.T) {
	s, ref := stored(t, 10)
	want := blobtest.Pattern(10)
	altered := bytes.Clone(want)
	altered[3] ^= 1

	s.FlipNext(1, 3)
	if got, err := read(t, s, ref); err != nil || !bytes.Equal(got, altered) {
		t.Errorf("FlipNext: %v, %v", got, err)
	}
	s.CutNext(1, 4)
	if got, err := read(t, s, ref); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(got, want[:4]) {
		t.Errorf("CutNext: %v, %v", got, err)
	}
	if got, err := read(t, s, ref); err != nil || !bytes.Equal(got, want) {
		t.Errorf("behind the faults: %v, %v", got, err)
	}
	s.Corrupt(ref, 3)
	if got, err := read(t, s, ref); err != nil || !bytes.Equal(got, altered) {
		t.Errorf("Corrupt: %v, %v", got, err)
	}
	s.Truncate(ref, 2)
	if got, err := read(t, s, ref); err != nil || !bytes.Equal(got, want[:2]) {
		t.Errorf("Truncate: %v, %v", got, err)
	}
}

func TestStore_Delay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ref := stored(t, 10)
		s.Delay(memblob.Get, time.Minute)
		start := time.Now()
		if _, err := read(t, s, ref); err != nil || time.Since(start) != time.Minute {
			t.Errorf("Get = %v after %v, want a minute", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Get(ctx, ref, 0, -1); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 61*time.Second {
			t.Errorf("Get = %v after %v, want the deadline after 61 s", err, time.Since(start))
		}
	})
}

func TestStore_PutWrongSize(t *testing.T) {
	s := memblob.New()
	for _, size := range []int64{9, 11} {
		if _, err := s.Put(t.Context(), lying{blobtest.Pattern(10), size}); err == nil {
			t.Errorf("a body of 10 bytes that says %d was stored", size)
		}
	}
	if s.Len() != 0 {
		t.Errorf("%d blobs", s.Len())
	}
}

type lying struct {
	blobtest.Bytes
	size int64
}

func (l lying) Size() int64 { return l.size }
