// Package storagetest stands in for Supabase Storage in tests.
package storagetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// Storage answers as Supabase Storage does, on the routes that a bucket needs:
// its statuses, which are 400 for much that the body calls otherwise, and its
// error bodies.
type Storage struct {
	URL, Key string

	mu      sync.Mutex
	Public  map[string]bool   // buckets
	Objects map[string][]byte // by bucket and path
	Largest int               // bytes of an object
	spoil   func(w http.ResponseWriter, r *http.Request)
}

// New starts one, with no buckets, until the test ends.
func New(t *testing.T) *Storage {
	s := &Storage{Key: "a.service.key", Public: map[string]bool{}, Objects: map[string][]byte{}, Largest: 1 << 20}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /storage/v1/bucket/{bucket}", s.bucket)
	mux.HandleFunc("POST /storage/v1/bucket", s.makeBucket)
	mux.HandleFunc("POST /storage/v1/object/{bucket}/{path...}", s.put)
	mux.HandleFunc("GET /storage/v1/object/authenticated/{bucket}/{path...}", s.get)
	mux.HandleFunc("DELETE /storage/v1/object/{bucket}", s.remove)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if spoil := s.spoil; spoil != nil {
			s.spoil = nil
			spoil(w, r)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+s.Key || r.Header.Get("apikey") != s.Key {
			Says(w, 400, "403", "Unauthorized", "Invalid Compact JWS")
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Look has the state to itself while f runs.
func (s *Storage) Look(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// Spoil has f answer the next request.
func (s *Storage) Spoil(f func(w http.ResponseWriter, r *http.Request)) {
	s.Look(func() { s.spoil = f })
}

// Says answers with an error as Storage does.
func Says(w http.ResponseWriter, status int, code, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"statusCode": code, "error": kind, "message": message})
}

func (s *Storage) bucket(w http.ResponseWriter, r *http.Request) {
	public, ok := s.Public[r.PathValue("bucket")]
	if !ok {
		Says(w, 400, "404", "Bucket not found", "Bucket not found")
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"id": r.PathValue("bucket"), "public": public})
}

func (s *Storage) makeBucket(w http.ResponseWriter, r *http.Request) {
	var b struct {
		ID, Name string
		Public   bool
	}
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil || b.ID == "" {
		Says(w, 400, "400", "Error", "body must have required property 'name'")
		return
	}
	if _, ok := s.Public[b.ID]; ok {
		Says(w, 400, "409", "Duplicate", "The resource already exists")
		return
	}
	s.Public[b.ID] = b.Public
	_ = json.NewEncoder(w).Encode(map[string]string{"name": b.Name})
}

func (s *Storage) put(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.Public[r.PathValue("bucket")]; !ok {
		Says(w, 400, "404", "Bucket not found", "Bucket not found")
		return
	}
	name := r.PathValue("bucket") + "/" + r.PathValue("path")
	if _, ok := s.Objects[name]; ok && r.Header.Get("x-upsert") != "true" {
		Says(w, 400, "409", "Duplicate", "The resource already exists")
		return
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if len(b) > s.Largest {
		Says(w, 400, "413", "Payload too large", "The object exceeded the maximum allowed size")
		return
	}
	s.Objects[name] = b
	_ = json.NewEncoder(w).Encode(map[string]string{"Key": name})
}

func (s *Storage) get(w http.ResponseWriter, r *http.Request) {
	b, ok := s.Objects[r.PathValue("bucket")+"/"+r.PathValue("path")]
	if !ok {
		Says(w, 400, "404", "not_found", "Object not found")
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

func (s *Storage) remove(w http.ResponseWriter, r *http.Request) {
	var b struct{ Prefixes []string }
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil || len(b.Prefixes) == 0 {
		Says(w, 400, "400", "Error", "body/prefixes must NOT have fewer than 1 items")
		return
	}
	gone := []map[string]string{}
	for _, p := range b.Prefixes {
		name := r.PathValue("bucket") + "/" + strings.TrimPrefix(p, "/")
		if _, ok := s.Objects[name]; ok {
			delete(s.Objects, name)
			gone = append(gone, map[string]string{"name": p})
		}
	}
	_ = json.NewEncoder(w).Encode(gone)
}
