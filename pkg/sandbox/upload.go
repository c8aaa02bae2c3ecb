package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// maxParts bounds the parts of a multipart body, attachments aside.
const maxParts = 64

// upload is the body of a message: its fields, and its files, which are on
// disk but not yet in the database.
type upload struct {
	*form
	files []uploaded
}

type uploaded struct {
	n int // of files[n]
	attachment
}

// upload reads the body of a message in any of its forms. Files go to disk as
// they come. The caller calls drop with what it did not use.
func (c *call) upload() (up *upload, err error) {
	set := c.s.settings()
	limits := set.limits
	if c.r.ContentLength > limits.RequestSize {
		return nil, fail(http.StatusRequestEntityTooLarge, 40005)
	}
	body := http.MaxBytesReader(nil, c.r.Body, limits.RequestSize)
	kind, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil {
		return nil, badContentType()
	}
	up = &upload{}
	defer func() {
		if err != nil {
			c.drop(up.files)
			up = nil
		}
	}()
	switch kind {
	case "application/json":
		b, err := readAll(body, maxJSON)
		if err != nil {
			return up, err
		}
		up.form, err = parseForm(b)
		return up, err
	case "application/x-www-form-urlencoded":
		b, err := readAll(body, maxJSON)
		if err != nil {
			return up, err
		}
		values, err := url.ParseQuery(string(b))
		if err != nil {
			return up, fail(http.StatusBadRequest, 50035)
		}
		fields := map[string]string{}
		for name := range values {
			fields[name] = values.Get(name)
		}
		up.form, err = fieldForm(fields)
		return up, err
	case "multipart/form-data":
		if params["boundary"] == "" {
			return up, badContentType()
		}
		if err := c.readParts(up, multipart.NewReader(body, params["boundary"]), limits); err != nil {
			return up, err
		}
		if _, err := io.Copy(io.Discard, body); err != nil { // what follows the last part is of no interest
			return up, badBody(err)
		}
		return up, nil
	}
	return up, badContentType()
}

func (c *call) readParts(up *upload, mr *multipart.Reader, limits Limits) error {
	limit, err := c.fileLimit(limits)
	if err != nil {
		return err
	}
	fields := map[string]string{}
	left := int64(maxJSON)
	for parts := 0; ; parts++ {
		part, err := mr.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return badBody(err)
		}
		if parts == maxParts {
			return formFail("BASE_TYPE_BAD_LENGTH", fmt.Sprintf("Must be between 0 and %d in length.", maxParts))
		}
		_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		if err != nil {
			return fail(http.StatusBadRequest, 50035)
		}
		name := params["name"]
		filename, isFile := params["filename"]
		n, isNumbered := fileNumber(name)
		if !isNumbered && (!isFile || name == "payload_json") {
			b, err := readAll(part, left)
			if err != nil {
				return err
			}
			left -= int64(len(b))
			fields[name] = string(b)
			continue
		}
		if len(up.files) == limits.Attachments {
			return fail(http.StatusBadRequest, 30015)
		}
		if !isNumbered {
			n = len(up.files)
		}
		if err := c.keep(up, n, filename, part, limit); err != nil {
			return err
		}
	}
	payload, ok := fields["payload_json"]
	if !ok {
		up.form, err = fieldForm(fields)
		return err
	}
	up.form, err = parseForm([]byte(payload))
	return err
}

// fileNumber reads the n of files[n] or file[n].
func fileNumber(name string) (int, bool) {
	rest, ok := strings.CutPrefix(name, "files[")
	if !ok {
		rest, ok = strings.CutPrefix(name, "file[")
	}
	rest, closed := strings.CutSuffix(rest, "]")
	if !ok || !closed || len(rest) > 9 {
		return 0, false
	}
	n, err := strconv.ParseUint(rest, 10, 31)
	return int(n), err == nil
}

// keep writes a part to disk.
func (c *call) keep(up *upload, n int, filename string, part io.Reader, limit int64) error {
	for _, f := range up.files {
		if f.n == n {
			return formFail("BASE_TYPE_CHOICES", "Files must have distinct numbers.", "files", n)
		}
	}
	if filename == "" || len(filename) > 1024 {
		return formFail("BASE_TYPE_BAD_LENGTH", "Must be between 1 and 1024 in length.", "files", n, "filename")
	}
	f := uploaded{n: n}
	f.id = c.s.ids.next()
	f.name, f.title = cleanName(filename)
	if c.fx.rename {
		f.name = "renamed-" + f.name
	}
	if c.fx.full {
		part = io.MultiReader(io.LimitReader(part, 1), full{})
	}
	switch err := c.s.files.put(&f.attachment, part, limit); {
	case errors.Is(err, syscall.ENOSPC):
		return &apiError{status: http.StatusInsufficientStorage, message: "No space left on the sandbox's disk"}
	case errors.Is(err, errTooBig):
		return fail(http.StatusRequestEntityTooLarge, 40005)
	case err != nil:
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, io.ErrUnexpectedEOF) || c.r.Context().Err() != nil {
			return badBody(err)
		}
		return err
	}
	up.files = append(up.files, f)
	return nil
}

// full fails as writing to a full disk does.
type full struct{}

func (full) Read([]byte) (int, error) { return 0, syscall.ENOSPC }

// fileLimit is the size of one attachment, here and now.
func (c *call) fileLimit(limits Limits) (int64, error) {
	if c.fx.fileLimit > 0 {
		return c.fx.fileLimit, nil
	}
	if limits.FileSize > 0 {
		return limits.FileSize, nil
	}
	g, _, err := c.s.loadGuildRow(c.r.Context(), c.s.store.read, c.s.guild)
	return tierFileSize(g.tier), err
}

// drop removes files that did not become attachments.
func (c *call) drop(files []uploaded) {
	for _, f := range files {
		if err := c.s.files.remove(f.id); err != nil {
			c.s.log.Warn("file left behind", "err", err)
		}
	}
}

// fieldForm makes the form of a body that came as single fields.
func fieldForm(fields map[string]string) (*form, error) {
	f := &form{raw: map[string]json.RawMessage{}, errs: &formErrors{}}
	if payload, ok := fields["payload_json"]; ok {
		return parseForm([]byte(payload))
	}
	for name, v := range fields {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		f.raw[name] = text
	}
	return f, nil
}
