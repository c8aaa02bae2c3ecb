package hub_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// storedChunk is what the database keeps of a report of one chunk.
func storedChunk(t *testing.T, p packet.PartStored) cloud.Chunk {
	t.Helper()
	c := p.Chunks[0]
	out := cloud.Chunk{
		Index: int(c.Index), Offset: c.Offset, Size: c.Size, Ext: int(c.Ext), SealedSize: c.SealedSize,
		Ref: cloud.Ref{Channel: c.Channel, Message: c.Message, Attachment: c.Attachment, Path: c.Path},
	}
	if _, err := hex.Decode(out.Salt[:], []byte(c.Salt)); err != nil {
		t.Fatal(err)
	}
	if _, err := hex.Decode(out.Header[:], []byte(c.Header)); err != nil {
		t.Fatal(err)
	}
	return out
}

func leavesOf(t *testing.T, p packet.PartStored) []cloud.Sum {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(p.Chunks[0].Leaves)
	if err != nil {
		t.Fatal(err)
	}
	var sums []cloud.Sum
	for i := 0; i < len(raw); i += 32 {
		sums = append(sums, cloud.Sum(raw[i:i+32]))
	}
	return sums
}

// What a service says is a claim: each that cannot be true is refused, and
// spoils nothing.
func TestPart_Lies(t *testing.T) {
	w := newWorld(t)
	s := w.service(2)
	u := w.user("ada")
	c := w.v1(u)
	data := pattern(2*partSize+100, 1)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data)), IsPublic: true})
	other := begin(c, packet.UploadRequest{Name: "b", Path: "/", Size: int64(len(data))})
	honest := s.part(r.UploadID, 0, data[:partSize])
	second := s.part(r.UploadID, 1, data[partSize:2*partSize])
	foreign := s.part(other.UploadID, 0, data[:partSize])
	s.mu.Lock()
	open := s.open[r.UploadID]
	s.mu.Unlock()
	short, err := s.seal(open, 0, data[:partSize-1], 0)
	if err != nil {
		t.Fatal(err)
	}

	for name, lie := range map[string]func(*packet.PartStored){
		"an upload that there is not": func(p *packet.PartStored) { p.UploadID = packet.NewUUID() },
		"a part beyond the last":      func(p *packet.PartStored) { p.Part = 3 },
		"another part":                func(p *packet.PartStored) { p.Part = 1 },
		"a chunk of another part":     func(p *packet.PartStored) { p.Chunks[0] = second.Chunks[0] },
		"a chunk too many":            func(p *packet.PartStored) { p.Chunks = append(p.Chunks, second.Chunks[0]) },
		"a chunk twice":               func(p *packet.PartStored) { p.Chunks = append(p.Chunks, p.Chunks[0]) },
		"a chunk of another upload":   func(p *packet.PartStored) { p.Chunks[0] = foreign.Chunks[0] },
		"a part that is too short":    func(p *packet.PartStored) { p.Chunks[0] = short },
		"another size":                func(p *packet.PartStored) { p.Chunks[0].Size-- },
		"size 0":                      func(p *packet.PartStored) { p.Chunks[0].Size = 0 },
		"a huge size":                 func(p *packet.PartStored) { p.Chunks[0].Size = 1<<53 - 1 },
		"another offset":              func(p *packet.PartStored) { p.Chunks[0].Offset = chunk.Leaf },
		"a huge offset":               func(p *packet.PartStored) { p.Chunks[0].Offset = 1<<53 - 1 },
		"another sealed size":         func(p *packet.PartStored) { p.Chunks[0].SealedSize++ },
		"no extension":                func(p *packet.PartStored) { p.Chunks[0].Ext = 0 },
		"an extension that is longer": func(p *packet.PartStored) { p.Chunks[0].Ext += 512; p.Chunks[0].SealedSize += 512 },
		"another index":               func(p *packet.PartStored) { p.Chunks[0].Index = 1 },
		"an index behind all parts":   func(p *packet.PartStored) { p.Chunks[0].Index = 7 },
		"an index beyond 32 bits":     func(p *packet.PartStored) { p.Chunks[0].Index = 1 << 32 },
		"a foreign channel":           func(p *packet.PartStored) { p.Chunks[0].Channel = "999999999999999999" },
		"a leaf too few": func(p *packet.PartStored) {
			p.Chunks[0].Leaves = base64.StdEncoding.EncodeToString(make([]byte, 64))
		},
		"another salt":   func(p *packet.PartStored) { p.Chunks[0].Salt = strings.Repeat("ab", 32) },
		"no header":      func(p *packet.PartStored) { p.Chunks[0].Header = strings.Repeat("00", 64) },
		"another header": func(p *packet.PartStored) { p.Chunks[0].Header = second.Chunks[0].Header },
	} {
		p := honest
		p.Chunks = []packet.StoredChunk{honest.Chunks[0]}
		lie(&p)
		if err := s.report(p); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if n := w.dispatch.Debug().(map[string]any)["parts_refused"].(int64); n == 0 {
		t.Error("refusals are not counted")
	}

	// The truth is still taken, twice; other bytes for the same part are not.
	for range 2 {
		if err := s.report(honest); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.report(s.part(r.UploadID, 0, data[:partSize])); err != nil {
		t.Errorf("the same bytes, sealed again: %v", err)
	}
	if err := s.report(s.part(r.UploadID, 0, data[1:partSize+1])); !errors.Is(err, cloud.ErrExists) {
		t.Errorf("other bytes: %v, want ErrExists", err)
	}
	w.post(r, data, 2, 1)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/a", data)
	if err := s.report(honest); err == nil {
		t.Error("a part of a finished upload was taken")
	}
}

// A service that is connected cannot speak for another one's upload.
func TestPart_OtherService(t *testing.T) {
	w := newWorld(t)
	holder := w.service(1)
	c := w.v1(w.user("ada"))
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: 10})
	thief := w.service(1)
	p := holder.part(r.UploadID, 0, pattern(10, 1))
	if err := thief.report(p); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := thief.conn.Send(packet.UploadFailed{UploadID: r.UploadID, Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	if err := thief.report(p); err == nil { // after the word above
		t.Error("taken")
	}
	if err := holder.report(p); err != nil {
		t.Error(err)
	}
	expect[packet.UploadStageFinish](c)
	expect[packet.UploadFinishInfo](c)
}

// After the attachment limit fell, a part comes as several chunks.
func TestPart_Split(t *testing.T) {
	const big = 3
	w := newWorld(t)
	w.configure = append(w.configure, largeParts(big))
	w.restart()
	s := w.service(1)
	u := w.user("ada")
	c := w.v1(u)
	data := pattern(big*chunk.Leaf+700, 5)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data)), IsPublic: true})
	if r.ChunkSize != big*chunk.Leaf {
		t.Fatalf("parts of %d bytes", r.ChunkSize)
	}
	s.mu.Lock()
	open := s.open[r.UploadID]
	s.mu.Unlock()
	split := packet.PartStored{UploadID: r.UploadID}
	for i, index := range []int64{0, 2, 3} {
		off := int64(i) * chunk.Leaf
		piece, err := s.seal(open, index, data[off:off+chunk.Leaf], off)
		if err != nil {
			t.Fatal(err)
		}
		split.Chunks = append(split.Chunks, piece)
	}
	missing := split
	missing.Chunks = []packet.StoredChunk{split.Chunks[0], split.Chunks[2]}
	if err := s.report(missing); err == nil {
		t.Error("a part with a gap was taken")
	}
	uneven, err := s.seal(open, 0, data[:1000], 0)
	if err != nil {
		t.Fatal(err)
	}
	rest, err := s.seal(open, 2, data[1000:big*chunk.Leaf], 1000)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.report(packet.PartStored{UploadID: r.UploadID, Chunks: []packet.StoredChunk{uneven, rest}}); err == nil {
		t.Error("a chunk that ends within a leaf was taken")
	}
	if err := s.report(split); err != nil {
		t.Fatal(err)
	}
	w.post(r, data, 1)
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/a", data)
}

// Parts that are reported at the same moment count once each.
func TestPart_Concurrent(t *testing.T) {
	w := newWorld(t)
	s := w.service(1)
	u := w.user("ada")
	c := w.v1(u)
	data := pattern(6*partSize, 1)
	r := begin(c, packet.UploadRequest{Name: "a", Path: "/", Size: int64(len(data)), IsPublic: true})
	var work sync.WaitGroup
	for _, i := range all(data) {
		p := s.part(r.UploadID, i, data[i*partSize:(i+1)*partSize])
		for range 2 {
			work.Go(func() {
				// The second of the last part may come after the end.
				if err := s.report(p); err != nil && !errors.Is(err, cloud.ErrNotFound) {
					t.Error(err)
				}
			})
		}
	}
	work.Wait()
	expect[packet.UploadStageFinish](c)
	if p := expect[packet.UploadFinishInfo](c); !p.Success {
		t.Errorf("got %+v", p)
	}
	c.quiet()
	w.checkContent(u, "/a", data)
}
