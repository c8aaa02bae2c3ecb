package serve_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"discordcloud/manager/internal/serve"
	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
)

// tree is a Walk over paths; one that ends in "/" is a folder.
type tree []treeEntry

type treeEntry struct {
	path  string
	plain []byte
}

func (tr tree) walk(_ context.Context, visit func([]string, serve.Member) error) error {
	for _, e := range tr {
		m := serve.Member{
			Folder: strings.HasSuffix(e.path, "/"), Size: int64(len(e.plain)), CRC32: crc32.ChecksumIEEE(e.plain), Modified: modified,
			ID: fmt.Sprintf("%x", sha256.Sum256(e.plain)),
			Open: func(_ context.Context, off, n int64) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(e.plain[off : off+n])), nil
			},
		}
		if err := visit(strings.Split(strings.TrimSuffix(e.path, "/"), "/"), m); err != nil {
			return err
		}
	}
	return nil
}

func archive(t *testing.T, method string, walk serve.Walk) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := new(serve.Sender).Archive(w, httptest.NewRequest(method, "/", nil), "ä.zip", walk); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestArchive(t *testing.T) {
	tr := tree{
		{"docs/", nil},
		{"docs/empty/", nil},
		{"docs/日本 ä.txt", []byte("hello")},
		{"docs/none", nil},
		{"big.bin", blobtest.Pattern(300_000)},
	}
	w := archive(t, http.MethodGet, tr.walk)
	if got := w.Header().Get("Content-Length"); got != strconv.Itoa(w.Body.Len()) {
		t.Errorf("Content-Length %s, sent %d", got, w.Body.Len())
	}
	if got := w.Header().Get("Content-Disposition"); got != `attachment; filename="_.zip"; filename*=UTF-8''%C3%A4.zip` {
		t.Errorf("Content-Disposition %s", got)
	}
	head := archive(t, http.MethodHead, tr.walk)
	if head.Body.Len() != 0 || head.Header().Get("Content-Length") != w.Header().Get("Content-Length") {
		t.Errorf("HEAD: %d bytes, %v", head.Body.Len(), head.Header())
	}
	z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	if err != nil || len(z.File) != len(tr) {
		t.Fatalf("zip: %v", err)
	}
	for i, f := range z.File {
		if f.Name != tr[i].path || f.Method != zip.Store || f.NonUTF8 || !f.Modified.Equal(modified.Truncate(time.Second)) {
			t.Errorf("member %+v, want %q", f.FileHeader, tr[i].path)
		}
		if f.FileInfo().IsDir() != strings.HasSuffix(tr[i].path, "/") {
			t.Errorf("%s: mode %v", f.Name, f.Mode())
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, tr[i].plain) {
			t.Errorf("%s: %d bytes, %v", f.Name, len(got), err)
		}
		r.Close()
	}
	if again := archive(t, http.MethodGet, tr.walk); !bytes.Equal(again.Body.Bytes(), w.Body.Bytes()) {
		t.Error("the same tree gives another archive")
	}
	otherPrograms(t, w.Body.Bytes())
	otherPrograms(t, archive(t, http.MethodGet, tree{}.walk).Body.Bytes())
}

// Every range of an archive is the same bytes as of the whole, and opens no more
// than lies in it.
func TestArchive_Ranges(t *testing.T) {
	tr := tree{{"docs/", nil}, {"docs/a", []byte("hello")}, {"docs/none", nil}, {"b.bin", blobtest.Pattern(70_000)}, {"c", []byte("!")}}
	whole := archive(t, http.MethodGet, tr.walk)
	all, tag := whole.Body.Bytes(), whole.Header().Get("ETag")
	if tag == "" || whole.Header().Get("Accept-Ranges") != "bytes" {
		t.Fatalf("headers %v", whole.Header())
	}
	opened := int64(0)
	walk := func(ctx context.Context, visit func([]string, serve.Member) error) error {
		return tr.walk(ctx, func(names []string, m serve.Member) error {
			open := m.Open
			m.Open = func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
				opened += n
				return open(ctx, off, n)
			}
			return visit(names, m)
		})
	}
	ask := func(header ...string) *httptest.ResponseRecorder {
		t.Helper()
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		if err := new(serve.Sender).Archive(w, r, "x.zip", walk); err != nil {
			t.Fatal(err)
		}
		return w
	}
	check := func(from, to int) { // closed
		t.Helper()
		opened = 0
		w := ask("Range", fmt.Sprintf("bytes=%d-%d", from, to), "If-Range", tag)
		if w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), all[from:to+1]) || w.Header().Get("ETag") != tag {
			t.Fatalf("%d-%d: %d, %d bytes, ETag %s", from, to, w.Code, w.Body.Len(), w.Header().Get("ETag"))
		}
		if most := int64(to - from + 1); opened > most {
			t.Errorf("%d-%d: opened %d bytes", from, to, opened)
		}
	}
	last := len(all) - 1
	for at := 0; at <= last; at++ {
		if at < 400 || at > last-900 || at%97 == 0 {
			check(at, at)
			check(at, min(at+50, last))
			check(at, last)
			check(0, at)
		}
	}
	if w := ask("Range", fmt.Sprintf("bytes=%d-", len(all))); w.Code != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("behind the end: %d", w.Code)
	}
	if w := ask("If-None-Match", tag); w.Code != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", w.Code)
	}
	if w := ask("Range", "bytes=0-9,100-109"); w.Code != http.StatusPartialContent || !bytes.Contains(w.Body.Bytes(), all[100:110]) {
		t.Errorf("two ranges: %d", w.Code)
	}
	for name, change := range map[string]func(){
		"content": func() { tr[3].plain = append([]byte("x"), tr[3].plain[1:]...) },
		"name":    func() { tr[4].path = "d" },
		"more":    func() { tr = append(tr, treeEntry{"e", nil}) },
	} {
		change()
		w := ask("Range", "bytes=0-9", "If-Range", tag)
		if w.Code != http.StatusOK || w.Header().Get("ETag") == tag {
			t.Errorf("%s: %d with ETag %s: a part of another archive", name, w.Code, w.Header().Get("ETag"))
		}
		tag = w.Header().Get("ETag")
	}
}

// otherPrograms lets what is installed test an archive.
func otherPrograms(t *testing.T, b []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := len(b) < 200
	for _, c := range [][]string{
		{"unzip", "-tqq", path},
		{"python3", "-c", "import sys, zipfile; assert zipfile.ZipFile(sys.argv[1]).testzip() is None", path},
		{"7z", "t", path},
		{"bsdtar", "-tf", path},
	} {
		if _, err := exec.LookPath(c[0]); err != nil || empty && c[0] == "unzip" { // which calls an empty one an error
			continue
		}
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", c[0], err, out)
		}
	}
}

func TestArchive_Empty(t *testing.T) {
	w := archive(t, http.MethodGet, tree{}.walk)
	z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	if err != nil || len(z.File) != 0 {
		t.Errorf("empty archive: %v", err)
	}
}

// TestArchive_Huge reads the headers of an archive above 4 GiB with more members
// than 16 bits count, whose content is never made.
func TestArchive_Huge(t *testing.T) {
	const files, size = 66_000, 5 << 30
	walk := func(_ context.Context, visit func([]string, serve.Member) error) error {
		for i := range files {
			m := serve.Member{Folder: true}
			if i == 0 {
				m = serve.Member{Size: size}
			}
			if err := visit([]string{fmt.Sprintf("%05d", i)}, m); err != nil {
				return err
			}
		}
		return nil
	}
	w := archive(t, http.MethodHead, walk)
	var want int64 = size + 56 + 20 + 22
	for i := range files {
		n := int64(5)
		if i > 0 {
			n++ // the slash
		}
		want += 30 + n + 29 + 46 + n + 37
	}
	if got := w.Header().Get("Content-Length"); got != strconv.FormatInt(want, 10) {
		t.Errorf("Content-Length %s, want %d", got, want)
	}
}

// sparse is a response of which the bytes in [from, to) are zeros and not kept.
type sparse struct {
	header   http.Header
	from, to int64
	size     int64
	rest     []byte
}

func (s *sparse) Header() http.Header { return s.header }
func (s *sparse) WriteHeader(int)     {}
func (s *sparse) Write(p []byte) (int, error) {
	for i := 0; i < len(p); {
		if at := s.size; at >= s.from && at < s.to {
			n := min(int64(len(p)-i), s.to-at)
			s.size += n
			i += int(n)
			continue
		}
		s.rest = append(s.rest, p[i])
		s.size++
		i++
	}
	return len(p), nil
}

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		switch at := off + int64(i); {
		case at >= s.size:
			return i, io.EOF
		case at < s.from:
			p[i] = s.rest[at]
		case at < s.to:
			p[i] = 0
		default:
			p[i] = s.rest[at-(s.to-s.from)]
		}
	}
	return len(p), nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestArchive_Above4GiB writes one, and has Go read its directory.
func TestArchive_Above4GiB(t *testing.T) {
	if testing.Short() {
		t.Skip("sums up 8 GiB of zeros")
	}
	const size = 1<<32 + 5
	sum := crc32.NewIEEE()
	if _, err := io.CopyN(sum, zeros{}, size); err != nil {
		t.Fatal(err)
	}
	walk := func(ctx context.Context, visit func([]string, serve.Member) error) error {
		m := serve.Member{Size: size, CRC32: sum.Sum32(), Open: func(_ context.Context, _, n int64) (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(zeros{}, n)), nil
		}}
		if err := visit([]string{"big"}, m); err != nil {
			return err
		}
		return tree{{"behind", []byte("it")}}.walk(ctx, visit)
	}
	const header = 30 + 3 + 29
	w := &sparse{header: http.Header{}, from: header, to: header + size}
	if err := new(serve.Sender).Archive(w, httptest.NewRequest(http.MethodGet, "/", nil), "x.zip", walk); err != nil {
		t.Fatal(err)
	}
	if got := w.header.Get("Content-Length"); got != strconv.FormatInt(w.size, 10) {
		t.Errorf("Content-Length %s, sent %d", got, w.size)
	}
	z, err := zip.NewReader(w, w.size)
	if err != nil || len(z.File) != 2 || z.File[0].UncompressedSize64 != size {
		t.Fatalf("zip: %v", err)
	}
	r, err := z.File[1].Open()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != "it" {
		t.Errorf("behind 4 GiB: %q, %v", got, err)
	}
}

func TestArchive_Names(t *testing.T) {
	in := []string{
		`..\..\evil.txt`, `C:\evil`, "C:evil", "con", "Con.txt", "con .txt", "nul.tar.gz", "com1", "a.", "a ", "a. .", "...", "a:b", "a*b", "a_b",
		"lpt9.", "x\x01y", "com10", "console", "~0123456789ab.txt", "a|b", strings.Repeat("é", 127) + "?", "-rf", "\uFFFD",
	}
	var tr tree
	for _, name := range in {
		tr = append(tr, treeEntry{name, []byte(name)})
	}
	w := archive(t, http.MethodGet, tr.walk)
	z, err := zip.NewReader(bytes.NewReader(w.Body.Bytes()), int64(w.Body.Len()))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i, f := range z.File {
		names = append(names, f.Name)
		if strings.ContainsAny(f.Name, "\\/:*?\"<>|\x01") || strings.HasSuffix(f.Name, ".") || strings.HasSuffix(f.Name, " ") || len(f.Name) > 255 || !filepath.IsLocal(f.Name) {
			t.Errorf("%q is called %q", in[i], f.Name)
		}
		stem, _, _ := strings.Cut(strings.ToLower(f.Name), ".")
		if slices.Contains([]string{"con", "nul", "com1", "lpt9"}, strings.TrimSpace(stem)) {
			t.Errorf("%q is called %q", in[i], f.Name)
		}
	}
	for _, name := range []string{"a_b", "com10", "console", "-rf"} {
		if !slices.Contains(names, name) {
			t.Errorf("%q was changed", name)
		}
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != len(in) {
		t.Errorf("%d names of %d are left: %q", n, len(in), names)
	}
	otherPrograms(t, w.Body.Bytes())
}

func TestArchive_Changes(t *testing.T) {
	plain := blobtest.Pattern(200_000)
	before := tree{{"a", plain}, {"b", plain}}
	for name, after := range map[string]tree{
		"added":   {{"a", plain}, {"b", plain}, {"c", nil}},
		"removed": {{"a", plain}},
		"renamed": {{"a", plain}, {"c", plain}},
		"content": {{"a", plain}, {"b", plain[1:]}},
	} {
		for change := 2; change <= 3; change++ { // in which walk it shows
			walks := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				err := new(serve.Sender).Archive(w, r, "x.zip", func(ctx context.Context, visit func([]string, serve.Member) error) error {
					if walks++; walks >= change {
						return after.walk(ctx, visit)
					}
					return before.walk(ctx, visit)
				})
				if !errors.Is(err, cloud.ErrUnavailable) { // before the first byte, else it panics
					t.Errorf("%s in walk %d: ended with %v", name, change, err)
				}
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			if err := fetch(srv); err == nil {
				t.Errorf("%s in walk %d: the client took it for whole", name, change)
			}
			srv.Close()
		}
	}
}

func fetch(srv *httptest.Server) error {
	res, err := srv.Client().Get(srv.URL)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	_, err = io.Copy(io.Discard, res.Body)
	return err
}

func TestArchive_WrongChecksum(t *testing.T) {
	walk := func(ctx context.Context, visit func([]string, serve.Member) error) error {
		return tree{{"a", []byte("abc")}}.walk(ctx, func(names []string, m serve.Member) error {
			m.CRC32++
			return visit(names, m)
		})
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = new(serve.Sender).Archive(w, r, "x.zip", walk) // it panics
	}))
	defer srv.Close()
	if err := fetch(srv); err == nil {
		t.Error("the client took it for whole")
	}
}

func TestArchive_FailsAtOnce(t *testing.T) {
	broken := errors.New("broken")
	w := httptest.NewRecorder()
	err := new(serve.Sender).Archive(w, httptest.NewRequest(http.MethodGet, "/", nil), "x.zip",
		func(context.Context, func([]string, serve.Member) error) error { return broken })
	if !errors.Is(err, broken) || len(w.Header()) != 0 {
		t.Errorf("error %v, headers %v", err, w.Header())
	}
}
