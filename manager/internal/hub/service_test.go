package hub_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// service is an upload service that stores into the world's blobs.
type service struct {
	w    *world
	ws   *websocket.Conn
	conn *packet.Conn
	addr string
	done chan error

	// closing answers upload-close; nil is yes at once.
	closing func() packet.Packet
	// opening answers upload-open; nil is yes at once.
	opening func(packet.UploadOpen) packet.Packet

	configured chan packet.Configure
	mu         sync.Mutex
	open       map[string]packet.UploadOpen
	opened     int
}

// service connects an upload service and waits until it counts.
func (w *world) service(capacity int, adjust ...func(*service)) *service {
	w.t.Helper()
	s := w.serviceNow(capacity, adjust...)
	w.eventually("the service counts", func() bool {
		for _, info := range w.dispatch.Services() {
			if info.Address == s.addr {
				return true
			}
		}
		return false
	})
	return s
}

func (w *world) serviceNow(capacity int, adjust ...func(*service)) *service {
	w.t.Helper()
	w.mu.Lock()
	w.made++
	s := &service{
		w: w, addr: fmt.Sprintf("http://service%d.example/up?n=%d", w.made, w.made), done: make(chan error, 1),
		configured: make(chan packet.Configure, 1), open: map[string]packet.UploadOpen{},
	}
	w.services[s.addr] = s
	w.mu.Unlock()
	for _, f := range adjust {
		f(s)
	}
	header := http.Header{"Authorization": {"Bearer " + password}}
	q := fmt.Sprintf("type=upload&v=2&capacity=%d&address=%s", capacity, strings.NewReplacer("?", "%3F", "=", "%3D").Replace(s.addr))
	ws, _, err := websocket.Dial(w.t.Context(), w.url(q), &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		w.t.Fatal(err)
	}
	s.ws = ws
	s.conn = packet.NewConn(ws, packet.Options{From: packet.S2U, Version: packet.V2})
	go func() { s.done <- s.conn.Run(context.Background(), s.handle) }()
	w.t.Cleanup(func() { s.kill(); <-s.done })
	return s
}

func (s *service) handle(_ context.Context, m packet.Message) {
	answer := packet.Packet(packet.Boolean{Success: true})
	switch p := m.Data.(type) {
	case packet.Configure:
		s.configured <- p
	case packet.UploadOpen:
		if s.opening != nil {
			answer = s.opening(p)
		}
		if answer == (packet.Boolean{Success: true}) {
			s.mu.Lock()
			s.open[p.UploadID] = p
			s.opened++
			s.mu.Unlock()
		}
	case packet.UploadClose:
		if s.closing != nil {
			answer = s.closing()
		}
		s.mu.Lock()
		delete(s.open, p.UploadID)
		s.mu.Unlock()
	}
	if answer != nil {
		_ = m.Reply(answer)
	}
}

// holds tells whether the service has the upload open.
func (s *service) holds(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.open[id]
	return ok
}

// kill ends the connection without a word.
func (s *service) kill() { _ = s.ws.CloseNow() }

// part is the report of a part, stored.
func (s *service) part(id string, part int64, plain []byte) packet.PartStored {
	s.w.t.Helper()
	s.mu.Lock()
	p, ok := s.open[id]
	s.mu.Unlock()
	if !ok {
		s.w.t.Fatalf("upload %s is not open on the service", id)
	}
	report, err := s.seal(p, part, plain, part*p.ChunkSize)
	if err != nil {
		s.w.t.Fatal(err)
	}
	return packet.PartStored{UploadID: id, Part: part, Chunks: []packet.StoredChunk{report}, Type: http.DetectContentType(plain)}
}

// seal seals and stores one chunk.
func (s *service) seal(p packet.UploadOpen, index int64, plain []byte, off int64) (packet.StoredChunk, error) {
	id, err := cloud.ParseObjectID(p.Object)
	if err != nil {
		return packet.StoredChunk{}, err
	}
	key, err := base64.StdEncoding.DecodeString(string(p.Key))
	if err != nil {
		return packet.StoredChunk{}, err
	}
	var ext []byte
	if off == 0 {
		if ext, err = base64.StdEncoding.DecodeString(string(p.Extension)); err != nil {
			return packet.StoredChunk{}, err
		}
	}
	sealed, err := crypt.Seal(crypt.ObjectKey(key), id, crypt.Header{
		Index: int(index), Offset: off, ObjectSize: p.Size, Final: off+int64(len(plain)) == p.Size,
	}, ext, plain)
	if err != nil {
		return packet.StoredChunk{}, err
	}
	ref, err := s.w.blobs.Put(context.Background(), sealed)
	if err != nil {
		return packet.StoredChunk{}, err
	}
	c := sealed.Chunk()
	var leaves []byte
	for _, sum := range chunk.Leaves(plain) {
		leaves = append(leaves, sum[:]...)
	}
	return packet.StoredChunk{
		Index: index, Offset: off, Size: c.Size, Ext: int64(c.Ext), SealedSize: c.SealedSize,
		Salt: hex.EncodeToString(c.Salt[:]), Header: hex.EncodeToString(c.Header[:]),
		CRC32: int64(crc32.ChecksumIEEE(plain)), Leaves: base64.StdEncoding.EncodeToString(leaves),
		Channel: ref.Channel, Message: ref.Message, Attachment: ref.Attachment, Path: ref.Path,
	}, nil
}

// report tells the manager of a part.
func (s *service) report(p packet.PartStored) error {
	answer, err := s.conn.Call(context.Background(), p)
	if err != nil {
		return err
	}
	if b := answer.(packet.Boolean); !b.Success {
		return errors.New(b.Message)
	}
	return nil
}
