package upload_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/services/upload"
)

// FuzzUpload sends any body to the endpoint. It may answer what it documents
// only; 200 only for a body that holds the part's very bytes; and it must keep
// no buffer.
func FuzzUpload(f *testing.F) {
	const partSize = leaf
	e := newEnv(f, func(c *upload.Config) { c.Memory = 2 * partSize })
	up := newFile(f, blobtest.Pattern(partSize+10), partSize)
	up.mustOpen(f, e.conn)
	const placeholder = "ID"
	add := func(kind string, fields ...field) {
		contentType, body := form(fields...)
		if kind == "" {
			kind = contentType
		}
		f.Add(kind, bytes.ReplaceAll(body, []byte(up.UploadID), []byte(placeholder)))
	}
	add("", idField(up), chunkField(1), fileField(up.part(1)))
	add("", fileField(up.part(1)), chunkField(1), idField(up))
	add("", chunkField(1), idField(up), fileField(up.part(1)[1:]))
	add("multipart/form-data; boundary=x", idField(up))
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\nID\r\n--b\r\nContent-Disposition: form-data; name=\"chunk\"\r\n\r\n1\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n0123456789\r\n--b--"))
	f.Add("multipart/form-data; boundary=b", []byte("--b\nA:\n\n--b--"))
	f.Add("text/plain", []byte("x"))
	handler := e.service.Handler()
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		body = bytes.ReplaceAll(body, []byte(placeholder), []byte(up.UploadID))
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		switch w.Code {
		case 200:
			var part int
			if _, err := fmt.Sscan(w.Body.String(), &part); err != nil || !bytes.Contains(body, up.part(part)) {
				t.Errorf("200 %q for a body without the part", w.Body)
			}
		case 400, 409, 500:
			if !strings.HasPrefix(w.Body.String(), `{"error":"`) {
				t.Errorf("%d %q", w.Code, w.Body)
			}
		default:
			t.Errorf("status %d", w.Code)
		}
		// Both buffers are there: a part that needs one goes through, twice.
		for range 2 {
			contentType, whole := form(idField(up), chunkField(0), fileField(up.part(0)))
			r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(whole))
			r.Header.Set("Content-Type", contentType)
			w := httptest.NewRecorder()
			if handler.ServeHTTP(w, r); w.Code != 200 {
				t.Fatalf("afterwards: %d %s", w.Code, w.Body)
			}
		}
	})
}
