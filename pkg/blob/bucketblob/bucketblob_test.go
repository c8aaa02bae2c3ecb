package bucketblob_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/blob/bucketblob"
	"discordcloud/pkg/blob/bucketblob/storagetest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/config"
)

// options are of a stand-in, or of the real one that the environment names.
func options(t *testing.T) bucketblob.Options {
	if real := os.Getenv("SUPABASE_TEST_URL"); real != "" {
		return bucketblob.Options{URL: real, Key: config.Secret(os.Getenv("SUPABASE_TEST_KEY")), Bucket: "discord-cloud-test"}
	}
	s := storagetest.New(t)
	return bucketblob.Options{URL: s.URL, Key: config.Secret(s.Key), Bucket: "thumbs"}
}

func TestStore(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blob.Store { return bucketblob.New(options(t)) })
}

func standIn(t *testing.T) (*storagetest.Storage, *bucketblob.Store) {
	s := storagetest.New(t)
	return s, bucketblob.New(bucketblob.Options{URL: s.URL, Key: config.Secret(s.Key), Bucket: "thumbs"})
}

// The bucket that is made is private, and one that is not is refused.
func TestStore_private(t *testing.T) {
	s, store := standIn(t)
	ref, err := store.Put(t.Context(), blobtest.Bytes("sealed"))
	if err != nil {
		t.Fatal(err)
	}
	if public, ok := s.Public["thumbs"]; !ok || public || !bucketblob.Holds(ref) || ref.Channel != "thumbs" {
		t.Errorf("bucket there: %v, public: %v; %+v", ok, public, ref)
	}
	s.Public["open"] = true
	open := bucketblob.New(bucketblob.Options{URL: s.URL, Key: config.Secret(s.Key), Bucket: "open"})
	if _, err := open.Put(t.Context(), blobtest.Bytes("sealed")); !errors.Is(err, cloud.ErrDenied) || !strings.Contains(cloud.TextOf(err), "public") {
		t.Errorf("into a public bucket: %v", err)
	}
	if len(s.Objects) != 1 {
		t.Errorf("%d objects", len(s.Objects))
	}
}

// What goes wrong on the way is tried again, and told by its kind, without the key.
func TestStore_faults(t *testing.T) {
	s, store := standIn(t)
	s.Spoil(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) })
	ref, err := store.Put(t.Context(), blobtest.Bytes("sealed"))
	if err != nil {
		t.Fatal(err)
	}
	// The answer is lost after the object was stored.
	s.Spoil(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		s.Objects[strings.TrimPrefix(r.URL.Path, "/storage/v1/object/")] = b
		panic(http.ErrAbortHandler)
	})
	if _, err := store.Put(t.Context(), blobtest.Bytes("again")); err != nil || len(s.Objects) != 2 {
		t.Errorf("%v, %d objects", err, len(s.Objects))
	}
	s.Spoil(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		storagetest.Says(w, 429, "429", "too_many_requests", "Too many")
	})
	if r, err := store.Get(t.Context(), ref, 1, 3); err != nil {
		t.Error(err)
	} else if b, err := io.ReadAll(r); err != nil || string(b) != "eal" || r.Close() != nil {
		t.Errorf("%q, %v", b, err)
	}
	s.Spoil(func(w http.ResponseWriter, _ *http.Request) { // what some proxies do to ranges
		_, _ = w.Write([]byte("sealed"))
	})
	if _, err := store.Get(t.Context(), ref, 1, 3); !errors.Is(err, cloud.ErrUnavailable) {
		t.Errorf("the whole for a part: %v", err)
	}
	s.Spoil(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-5/6")
		w.Header().Set("Content-Length", "6")
		w.WriteHeader(206)
		_, _ = w.Write([]byte("sea"))
	})
	if r, err := store.Get(t.Context(), ref, 0, -1); err != nil {
		t.Error(err)
	} else if b, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.HasPrefix([]byte("sealed"), b) {
		t.Errorf("cut off: %q, %v", b, err)
	}

	if _, err := store.Put(t.Context(), blobtest.Bytes(make([]byte, s.Largest+1))); !errors.Is(err, cloud.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	wrong := bucketblob.New(bucketblob.Options{URL: s.URL, Key: "another", Bucket: "thumbs"})
	if _, err := wrong.Put(t.Context(), blobtest.Bytes("x")); !errors.Is(err, cloud.ErrDenied) || strings.Contains(err.Error(), "another") {
		t.Errorf("with a wrong key: %v", err)
	}
	nobody := bucketblob.New(bucketblob.Options{URL: "http://127.0.0.1:1", Key: "another", Bucket: "thumbs"})
	if _, err := nobody.Put(t.Context(), blobtest.Bytes("x")); !errors.Is(err, cloud.ErrUnavailable) || strings.Contains(err.Error(), "another") {
		t.Errorf("nobody there: %v", err)
	}
}
