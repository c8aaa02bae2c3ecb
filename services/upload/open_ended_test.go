package upload_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"discordcloud/pkg/blob/blobtest"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// openEnded is an upload whose size the service is not told.
func openEnded(t *testing.T, size int, partSize int64) *file {
	f := newFile(t, blobtest.Pattern(size), partSize)
	f.Size = 0
	return f
}

// sealed reads a chunk from the store.
func sealed(t *testing.T, e *env, c packet.StoredChunk) io.Reader {
	t.Helper()
	r, err := e.store.Get(t.Context(), cloud.Ref{Channel: c.Channel, Message: c.Message, Attachment: c.Attachment, Path: c.Path}, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() }) // it was read
	return r
}

// The part that ends the file says so; it alone may be short, and is marked as
// the end in its header. The size is in none of them.
func TestUpload_openEnded(t *testing.T) {
	const c = 2 * leaf
	e := newEnv(t, nil)
	last := field{name: "last", value: []byte("1")}
	for _, size := range []int{1, c - 1, c, c + 1, 2 * c} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			f := openEnded(t, size, c)
			var reports []packet.PartStored
			e.m.respond(func(_ *packet.Conn, p packet.PartStored) packet.Packet {
				reports = append(reports, p)
				return packet.Boolean{Success: true}
			})
			defer e.m.respond(nil)
			f.mustOpen(t, e.conn)
			for i := range f.parts() {
				fields := []field{idField(f), chunkField(i), fileField(f.part(i))}
				if i == f.parts()-1 {
					fields = append(fields, last)
				}
				if r := e.post(fields...); r.status != http.StatusOK {
					t.Fatalf("part %d: %v", i, r)
				}
			}
			object, err := cloud.ParseObjectID(f.Object)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range reports {
				ends := i == f.parts()-1
				if p.Last != ends {
					t.Errorf("part %d: last is %t", p.Part, p.Last)
				}
				a, _, err := crypt.Open(f.ring, sealed(t, e, p.Chunks[0]), p.Chunks[0].SealedSize)
				if err != nil {
					t.Fatal(err)
				}
				if a.Header.Final != ends || a.Header.ObjectSize != -1 || a.Object != object {
					t.Errorf("part %d: header %+v", p.Part, a.Header)
				}
			}
			closeUpload(t, e.conn, f)
		})
	}
	f := openEnded(t, 2*c, c)
	f.mustOpen(t, e.conn)
	for name, fields := range map[string][]field{
		"a short part that is not the last": {idField(f), chunkField(0), fileField(f.content[:c-1])},
		"an empty part":                     {idField(f), chunkField(0), fileField(nil), last},
		"a part that is too long":           {idField(f), chunkField(0), fileField(f.content[:c+1]), last},
		"a part beyond all numbers":         {idField(f), chunkField(1 << 24), fileField(f.content[:c])},
	} {
		if r := e.post(fields...); r.status != http.StatusBadRequest {
			t.Errorf("%s: %v", name, r)
		}
	}
	closeUpload(t, e.conn, f)
}
