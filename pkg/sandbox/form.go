package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxJSON bounds a JSON body or part, in bytes.
const maxJSON = mib

// form is a JSON object of a request. Its readers collect what is wrong with
// the fields in errs; null is as good as absent.
type form struct {
	raw  map[string]json.RawMessage
	errs *formErrors
	path []any // of the object within the request
}

func (f *form) err() error { return f.errs.err() }

func (f *form) bad(code, message string, path ...any) {
	f.errs.add(code, message, append(append([]any{}, f.path...), path...)...)
}

// has tells whether a field is there, null included.
func (f *form) has(name string) bool {
	_, ok := f.raw[name]
	return ok
}

// get is a field's JSON; false if it is absent or null.
func (f *form) get(name string) (json.RawMessage, bool) {
	v, ok := f.raw[name]
	return v, ok && !bytes.Equal(bytes.TrimSpace(v), []byte("null"))
}

// string reads a text of at most limit characters.
func (f *form) string(name string, limit int) (string, bool) {
	v, ok := f.get(name)
	if !ok {
		return "", false
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		f.bad("BASE_TYPE_BAD_STRING", "Could not interpret as string.", name)
		return "", false
	}
	if utf8.RuneCountInString(s) > limit {
		f.bad("BASE_TYPE_MAX_LENGTH", fmt.Sprintf("Must be %d or fewer in length.", limit), name)
		return "", false
	}
	return s, true
}

func (f *form) bool(name string) bool {
	v, ok := f.get(name)
	if !ok {
		return false
	}
	b, err := strconv.ParseBool(strings.Trim(string(v), `"`))
	if err != nil {
		f.bad("BOOLEAN_TYPE_CONVERT", "Must be either true or false.", name)
	}
	return b
}

// int reads a number of [low, high], written as a number or as a string.
func (f *form) int(name string, low, high int64) (int64, bool) {
	v, ok := f.get(name)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.Trim(string(v), `"`), 10, 64)
	switch {
	case err != nil:
		f.bad("NUMBER_TYPE_COERCE", "Value "+strconv.Quote(clip(string(v)))+" is not int.", name)
	case n < low:
		f.bad("NUMBER_TYPE_MIN", fmt.Sprintf("int value should be greater than or equal to %d.", low), name)
	case n > high:
		f.bad("NUMBER_TYPE_MAX", fmt.Sprintf("int value should be less than or equal to %d.", high), name)
	default:
		return n, true
	}
	return 0, false
}

func (f *form) float(name string) float64 {
	v, ok := f.get(name)
	if !ok {
		return 0
	}
	var n float64
	if json.Unmarshal(v, &n) != nil || math.IsInf(n, 0) {
		f.bad("NUMBER_TYPE_COERCE", "Value "+strconv.Quote(clip(string(v)))+" is not float.", name)
	}
	return n
}

// clip keeps quotations of a client's bytes short.
func clip(s string) string { return s[:min(len(s), 64)] }

// array reads a list of at most high elements.
func (f *form) array(name string, low, high int) ([]json.RawMessage, bool) {
	v, ok := f.get(name)
	if !ok {
		if low > 0 {
			f.bad("BASE_TYPE_REQUIRED", "This field is required", name)
		}
		return nil, false
	}
	var list []json.RawMessage
	if json.Unmarshal(v, &list) != nil {
		f.bad("LIST_TYPE_CONVERT", "Only iterables may be used in a ListType", name)
		return nil, false
	}
	if len(list) < low || len(list) > high {
		f.bad("BASE_TYPE_BAD_LENGTH", fmt.Sprintf("Must be between %d and %d in length.", low, high), name)
		return nil, false
	}
	return list, true
}

// strings reads a list of texts of at most limit bytes each.
func (f *form) strings(name string, low, high, limit int) []string {
	list, _ := f.array(name, low, high)
	out := make([]string, len(list))
	for i, v := range list {
		if json.Unmarshal(v, &out[i]) != nil || len(out[i]) > limit {
			f.bad("BASE_TYPE_BAD_STRING", "Could not interpret as string.", name, i)
		}
	}
	return out
}

// objects reads a list of objects.
func (f *form) objects(name string, high int) ([]*form, bool) {
	list, ok := f.array(name, 0, high)
	out := make([]*form, 0, len(list))
	for i, v := range list {
		kid := &form{errs: f.errs, path: append(append([]any{}, f.path...), name, i)}
		if json.Unmarshal(v, &kid.raw) != nil || kid.raw == nil {
			f.bad("MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType", name, i)
			continue
		}
		out = append(out, kid)
	}
	return out, ok
}

// snowflake reads an id, written as a string or as a number.
func (f *form) snowflake(name string) (id, bool) {
	v, ok := f.get(name)
	if !ok {
		return 0, false
	}
	return f.asID(v, name)
}

func (f *form) asID(v json.RawMessage, path ...any) (id, bool) {
	text := strings.Trim(string(v), `"`)
	i, ok := parseID(text)
	if !ok {
		f.bad("NUMBER_TYPE_COERCE", "Value "+strconv.Quote(clip(text))+" is not snowflake.", path...)
	}
	return i, ok
}

// parseForm reads a JSON object.
func parseForm(b []byte) (*form, error) {
	f := &form{errs: &formErrors{}}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, fail(http.StatusBadRequest, 50109)
	}
	if !json.Valid(b) {
		return nil, fail(http.StatusBadRequest, 50109)
	}
	if json.Unmarshal(b, &f.raw) != nil || f.raw == nil {
		return nil, formFail("MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
	}
	return f, nil
}

// readAll reads at most limit bytes, else the answer is 413.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, badBody(err)
	}
	if int64(len(b)) > limit {
		return nil, fail(http.StatusRequestEntityTooLarge, 40005)
	}
	return b, nil
}

// badBody is the answer to a request whose body cannot be read.
func badBody(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return fail(http.StatusRequestEntityTooLarge, 40005)
	}
	if errors.Is(err, http.ErrAbortHandler) {
		return err
	}
	return fail(http.StatusBadRequest, 50035)
}

// form reads a request's JSON body.
func (c *call) form() (*form, error) {
	kind, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, badContentType()
	}
	b, err := readAll(c.r.Body, maxJSON)
	if err != nil {
		return nil, err
	}
	return parseForm(b)
}

func badContentType() error {
	return formFail("CONTENT_TYPE_INVALID", "Expected \"Content-Type\" header to be one of "+
		"{'application/json', 'application/x-www-form-urlencoded', 'multipart/form-data'}.")
}
