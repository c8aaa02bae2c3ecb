package upload

import (
	"bufio"
	"bytes"
	"io"
	"mime/multipart"
	"strings"
	"testing"
	"testing/iotest"
)

type readPart struct{ name, file, content string }

// readAllParts reads a body with our reader.
func readAllParts(r io.Reader, boundary string, size int) (parts []readPart, err error) {
	m := newMultipartReader(bufio.NewReaderSize(r, size), r, boundary)
	for {
		p, err := m.next()
		if err == io.EOF {
			return parts, nil
		}
		if err != nil {
			return parts, err
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return parts, err
		}
		parts = append(parts, readPart{p.name, p.file, string(content)})
	}
}

func TestMultipartReader(t *testing.T) {
	const head = "Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
	const field = "Content-Disposition: form-data; name=n\r\n\r\n"
	for _, c := range []struct {
		name, body string
		want       []readPart
		fails      bool
	}{
		{name: "empty", body: "--b--"},
		{name: "empty, with a line", body: "--b--\r\n"},
		{name: "one", body: "--b\r\n" + head + "x\r\n--b--\r\n", want: []readPart{{"file", "a", "x"}}},
		{name: "no end of line at the end", body: "--b\r\n" + head + "x\r\n--b--", want: []readPart{{"file", "a", "x"}}},
		{name: "two", body: "--b\r\n" + field + "1\r\n--b\r\n" + head + "\r\n--b--\r\n", want: []readPart{{"n", "", "1"}, {"file", "a", ""}}},
		{name: "padding", body: "--b \t\r\n" + field + "1\r\n--b--\r\n", want: []readPart{{"n", "", "1"}}},
		{name: "preamble and epilogue", body: "before\r\n--b\r\n" + field + "1\r\n--b--\r\nafter\r\n--b\r\n", want: []readPart{{"n", "", "1"}}},
		{name: "longer boundary within", body: "--b\r\n" + field + "1\r\n--bb\r\n--b--\r\n", want: []readPart{{"n", "", "1\r\n--bb"}}},
		{name: "fronts of boundaries within", body: "--b\r\n" + field + "\r\r\n\r\n-\r\n--\r\n--\r\n--b--\r\n", want: []readPart{{"n", "", "\r\r\n\r\n-\r\n--\r\n--"}}},
		{name: "boundary without its line", body: "--b\r\n" + field + "1--b--\r\n\r\n--b--\r\n", want: []readPart{{"n", "", "1--b--\r\n"}}},
		{name: "cut in a part", body: "--b\r\n" + field + "1\r\n--", fails: true},
		{name: "cut in a header", body: "--b\r\nContent-Disp", fails: true},
		{name: "cut behind a boundary", body: "--b\r\n" + field + "1\r\n--b", fails: true},
		{name: "nothing", body: "", fails: true},
		{name: "no boundary", body: "hello", fails: true},
		{name: "no header", body: "--b\r\n:::\x00\r\n\r\n\r\n--b--\r\n", fails: true},
		{name: "too many lines", body: "--b\r\n" + strings.Repeat("A: b\r\n", headerLines+1) + "\r\n\r\n--b--\r\n", fails: true},
		{name: "endless line", body: "--b\r\nA: " + strings.Repeat("a", 1<<10) + "\r\n\r\n\r\n--b--\r\n", fails: true},
	} {
		for _, in := range []struct {
			name string
			r    func(io.Reader) io.Reader
		}{
			{"whole", func(r io.Reader) io.Reader { return r }},
			{"byte by byte", iotest.OneByteReader},
			{"the end with the last bytes", iotest.DataErrReader},
		} {
			got, err := readAllParts(in.r(strings.NewReader(c.body)), "b", 128)
			if (err != nil) != c.fails {
				t.Errorf("%s, %s: %v, want an error: %v", c.name, in.name, err, c.fails)
			}
			if err == nil && len(got) != len(c.want) {
				t.Errorf("%s, %s: %q, want %q", c.name, in.name, got, c.want)
				continue
			}
			for i := range got {
				if err == nil && got[i] != c.want[i] {
					t.Errorf("%s, %s: part %d is %q, want %q", c.name, in.name, i, got[i], c.want[i])
				}
			}
		}
	}
	if _, err := readAllParts(io.MultiReader(strings.NewReader("--b\r\n"+field+"1"), iotest.ErrReader(io.ErrClosedPipe)), "b", 128); err != io.ErrClosedPipe {
		t.Errorf("the error of the body comes out as %v", err)
	}
}

// A part of known length is read without a look at what is in it, and the form goes
// on behind it.
func TestMultipartReader_readFull(t *testing.T) {
	const within = "a\r\n--b\r\nz" // its own delimiter
	const body = "--b\r\nContent-Disposition: form-data; name=n\r\n\r\n" + within + "\r\n--b\r\nContent-Disposition: form-data; name=m\r\n\r\n1\r\n--b--"
	for name, r := range map[string]io.Reader{
		"whole":                       strings.NewReader(body),
		"byte by byte":                iotest.OneByteReader(strings.NewReader(body)),
		"the end with the last bytes": iotest.DataErrReader(strings.NewReader(body)),
	} {
		m := newMultipartReader(bufio.NewReaderSize(r, 64), r, "b")
		p, err := m.next()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(within))
		if n, err := p.readFull(got); n != len(within) || err != nil || string(got) != within {
			t.Errorf("%s: readFull = %d, %v: %q", name, n, err, got)
		}
		if !p.holdsEnd(got) {
			t.Errorf("%s: holdsEnd does not see the delimiter", name)
		}
		if rest, err := io.ReadAll(p); len(rest) > 0 || err != nil {
			t.Errorf("%s: %q is left of the part, %v", name, rest, err)
		}
		if p, err = m.next(); err != nil || p.name != "m" {
			t.Fatalf("%s: the next part is %v, %v", name, p, err)
		}
		if n, err := p.readFull(make([]byte, 100)); n != len("1\r\n--b--") || err != io.ErrUnexpectedEOF {
			t.Errorf("%s: readFull beyond the end = %d, %v", name, n, err)
		}
		if _, err := m.next(); err == nil {
			t.Errorf("%s: the form goes on behind its end", name)
		}
	}
}

// What our reader takes, mime/multipart takes too, and in the same way. (It takes
// more: bodies whose lines do not end as they should.)
func FuzzMultipartReader(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\nID\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n0\r\n--bx\r\n--b--"))
	f.Add([]byte("x\r\n--b \r\nA: b\r\n\r\n\r\n--b--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		ours, err := readAllParts(bytes.NewReader(body), "b", 128)
		slow, serr := readAllParts(iotest.OneByteReader(bytes.NewReader(body)), "b", 128)
		if (err == nil) != (serr == nil) || len(ours) != len(slow) {
			t.Fatalf("%q, %v at once, %q, %v byte by byte", ours, err, slow, serr)
		}
		if err != nil || bytes.Contains(bytes.ReplaceAll(body, []byte("\r\n"), nil), []byte("\n")) || bytes.Contains(body, []byte("\r\n ")) || bytes.Contains(body, []byte("\r\n\t")) {
			return
		}
		theirs := multipart.NewReader(bytes.NewReader(body), "b")
		for i, got := range ours {
			p, err := theirs.NextRawPart()
			if err != nil {
				return // a header that we do not look at
			}
			content, err := io.ReadAll(p)
			if err != nil || string(content) != got.content || p.FormName() != got.name {
				t.Fatalf("part %d of %q: %q named %q, theirs %q named %q (%v)", i, body, got.content, got.name, content, p.FormName(), err)
			}
		}
	})
}
