package upload_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/memblob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

func get[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// shelf is a store in memory with a limit, whose Puts can be held up. Its Refs
// have the shape of Discord's.
type shelf struct {
	*memblob.Store
	limit   atomic.Int64
	silent  atomic.Bool // Limit does not tell of what Put refuses
	discard atomic.Bool // nothing is kept
	closed  atomic.Bool
	inPut   atomic.Int64
	most    atomic.Int64 // Puts at once
	dropped atomic.Int64

	mu   sync.Mutex
	gate chan struct{} // while it is there and open, Put waits
	came chan struct{} // gets a value for each Put
}

func newShelf() *shelf {
	s := &shelf{Store: memblob.New(), came: make(chan struct{}, 10000)}
	s.limit.Store(10 << 20)
	return s
}

// hold makes Puts wait until release is called.
func (s *shelf) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

func (s *shelf) Limit() int64 {
	if s.silent.Load() {
		return 10 << 20
	}
	return s.limit.Load()
}

func (s *shelf) Close() error {
	s.closed.Store(true)
	return nil
}

const snowflakes = "10000000000000" // in front of memblob's numbers

func (s *shelf) Put(ctx context.Context, body blob.Body) (cloud.Ref, error) {
	s.most.Store(max(s.most.Load(), s.inPut.Add(1)))
	defer s.inPut.Add(-1)
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	s.came <- struct{}{}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return cloud.Ref{}, context.Cause(ctx)
		}
	}
	if body.Size() > s.limit.Load() {
		return cloud.Ref{}, cloud.ErrTooLarge
	}
	if s.discard.Load() {
		_, err := io.Copy(io.Discard, body.Open())
		n := fmt.Sprintf("%s%d", snowflakes, 10+s.dropped.Add(1))
		return cloud.Ref{Channel: n, Message: n, Attachment: n, Path: "/gone"}, err
	}
	ref, err := s.Store.Put(ctx, body)
	ref.Channel, ref.Message, ref.Attachment = snowflakes+ref.Channel, snowflakes+ref.Message, snowflakes+ref.Attachment
	return ref, err
}

func (s *shelf) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	ref.Channel = strings.TrimPrefix(ref.Channel, snowflakes)
	ref.Message = strings.TrimPrefix(ref.Message, snowflakes)
	ref.Attachment = strings.TrimPrefix(ref.Attachment, snowflakes)
	return s.Store.Get(ctx, ref, off, n)
}

// manager is the far end of the service's connection.
type manager struct {
	t      testing.TB
	addr   string
	config packet.Configure

	conns  chan *packet.Conn // configured ones
	failed chan packet.UploadFailed

	mu     sync.Mutex
	answer func(conn *packet.Conn, p packet.PartStored) packet.Packet // nil to say yes; nil packet for silence
	parts  map[string]map[int64][]packet.StoredChunk
	types  map[string]string
	told   int64 // attachment limit
	stop   func()
}

func newManager(t testing.TB, config packet.Configure) *manager {
	m := &manager{
		t: t, config: config,
		conns: make(chan *packet.Conn, 100), failed: make(chan packet.UploadFailed, 100),
		parts: map[string]map[int64][]packet.StoredChunk{}, types: map[string]string{},
	}
	m.start("127.0.0.1:0")
	return m
}

// start listens; stop ends the listener and all connections.
func (m *manager) start(addr string) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		m.t.Fatalf("listen: %v", err)
	}
	m.addr = ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // the test's end
		}
		conns.Add(1)
		defer conns.Done()
		m.serve(ctx, packet.NewConn(ws, packet.Options{From: packet.U2S, Version: packet.V2}))
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	m.stop = sync.OnceFunc(func() {
		_ = srv.Close()
		cancel()
		<-done
		conns.Wait()
	})
	m.t.Cleanup(m.stop)
}

func (m *manager) serve(ctx context.Context, conn *packet.Conn) {
	var configuring sync.WaitGroup
	configuring.Go(func() {
		if answer, err := conn.Call(ctx, m.config); err == nil && answer.(packet.Boolean).Success {
			m.conns <- conn
		}
	})
	_ = conn.Run(ctx, func(_ context.Context, msg packet.Message) {
		switch p := msg.Data.(type) {
		case packet.PartStored:
			if answer := m.record(conn, p); answer != nil {
				_ = msg.Reply(answer)
			}
		case packet.UploadFailed:
			m.failed <- p
		}
	})
	configuring.Wait()
}

func (m *manager) record(conn *packet.Conn, p packet.PartStored) packet.Packet {
	m.mu.Lock()
	answer := m.answer
	m.mu.Unlock()
	if answer != nil {
		if a := answer(conn, p); a != (packet.Boolean{Success: true}) {
			return a
		}
	}
	m.keep(p)
	return packet.Boolean{Success: true}
}

func (m *manager) keep(p packet.PartStored) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.parts[p.UploadID] == nil {
		m.parts[p.UploadID] = map[int64][]packet.StoredChunk{}
	}
	if m.parts[p.UploadID][p.Part] != nil {
		m.t.Errorf("part %d reported twice", p.Part)
	}
	m.parts[p.UploadID][p.Part] = p.Chunks
	m.told = p.AttachmentLimit
	if p.Part == 0 {
		m.types[p.UploadID] = p.Type
	}
}

// respond sets what reports are answered with.
func (m *manager) respond(f func(*packet.Conn, packet.PartStored) packet.Packet) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer = f
}

// limit is the last attachment limit that a report told of, 0 for none.
func (m *manager) limit() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.told
}

// partsOf gives how many parts the manager knows.
func (m *manager) partsOf(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.parts[id])
}

// file is an upload as its client and its manager know it.
type file struct {
	packet.UploadOpen
	content []byte
	ring    crypt.Ring
	ext     []byte
}

// These are in every extension, and must be in no log.
const (
	secretName  = "top-secret-plans.txt"
	secretOwner = "mallory"
)

// memblobPut is the call that stores.
const memblobPut = memblob.Put

func newFile(t testing.TB, content []byte, partSize int64) *file {
	t.Helper()
	f := &file{content: content, ring: crypt.Ring{{1, 2, 3}}}
	id, err := cloud.ParseObjectID(strings.ReplaceAll(packet.NewUUID(), "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	f.ext, err = crypt.EncodeExtension(crypt.Extension{Name: secretName, Path: "/", Owner: secretOwner, Type: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	key := f.ring.ObjectKey(id)
	f.UploadOpen = packet.UploadOpen{
		UploadID: packet.NewUUID(), Object: id.String(),
		Key:  packet.Secret(base64.StdEncoding.EncodeToString(key[:])),
		Size: int64(len(content)), ChunkSize: partSize,
		Extension: packet.Secret(base64.StdEncoding.EncodeToString(f.ext)),
	}
	return f
}

func (f *file) parts() int { return (len(f.content)-1)/int(f.ChunkSize) + 1 }

func (f *file) part(i int) []byte {
	begin := i * int(f.ChunkSize)
	return f.content[begin:min(begin+int(f.ChunkSize), len(f.content))]
}

// open asks the service to take the upload.
func (f *file) open(t testing.TB, conn *packet.Conn) packet.Boolean {
	t.Helper()
	answer, err := conn.Call(t.Context(), f.UploadOpen)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return answer.(packet.Boolean)
}

func (f *file) mustOpen(t testing.TB, conn *packet.Conn) {
	t.Helper()
	if a := f.open(t, conn); !a.Success {
		t.Fatalf("open refused: %s", a.Message)
	}
}

// verify reads everything back from the store as the manager was told of it.
func (f *file) verify(t testing.TB, m *manager, store blob.Store) {
	t.Helper()
	m.mu.Lock()
	parts := m.parts[f.UploadID]
	m.mu.Unlock()
	if len(parts) != f.parts() {
		t.Fatalf("%d parts recorded, want %d", len(parts), f.parts())
	}
	var (
		got     []byte
		tree    chunk.Tree
		indexes = map[int64]bool{}
	)
	for i := range int64(f.parts()) {
		for n, c := range parts[i] {
			if c.Offset != int64(len(got)) {
				t.Fatalf("part %d chunk %d at %d, want %d", i, n, c.Offset, len(got))
			}
			if n == 0 && c.Index != i || n > 0 && c.Index < int64(f.parts()) || indexes[c.Index] {
				t.Errorf("part %d chunk %d has index %d", i, n, c.Index)
			}
			indexes[c.Index] = true
			plain := f.openChunk(t, store, c)
			leaves, _ := base64.StdEncoding.DecodeString(c.Leaves)
			for len(leaves) > 0 {
				tree.AddLeaf(cloud.Sum(leaves[:32]))
				leaves = leaves[32:]
			}
			got = append(got, plain...)
		}
	}
	if !bytes.Equal(got, f.content) {
		t.Errorf("%d bytes read back differ from %d sent", len(got), len(f.content))
	}
	if want := chunk.Root(chunk.Leaves(f.content)); tree.Root() != want {
		t.Errorf("tree hash %v, want %v", tree.Root(), want)
	}
}

func (f *file) openChunk(t testing.TB, store blob.Store, c packet.StoredChunk) []byte {
	t.Helper()
	r, err := store.Get(t.Context(), cloud.Ref{Channel: c.Channel, Message: c.Message, Attachment: c.Attachment, Path: c.Path}, 0, -1)
	if err != nil {
		t.Fatalf("get chunk: %v", err)
	}
	defer func() { _ = r.Close() }()
	a, payload, err := crypt.Open(f.ring, r, c.SealedSize)
	if err != nil {
		t.Fatalf("open chunk %d: %v", c.Index, err)
	}
	plain, err := io.ReadAll(payload)
	if err != nil {
		t.Fatalf("read chunk %d: %v", c.Index, err)
	}
	h := a.Header
	if a.Object.String() != f.Object || h.Kind != crypt.Data || int64(h.Index) != c.Index || h.Offset != c.Offset ||
		h.Size != c.Size || h.ObjectSize != f.Size || h.Final != (c.Offset+c.Size == f.Size) || h.Time.IsZero() {
		t.Errorf("chunk %d has header %+v", c.Index, h)
	}
	if hex.EncodeToString(a.Chunk.Salt[:]) != c.Salt || hex.EncodeToString(a.Chunk.Header[:]) != c.Header || int64(a.Chunk.Ext) != c.Ext {
		t.Errorf("chunk %d is not as reported", c.Index)
	}
	if wantExt := c.Offset == 0; wantExt != bytes.Equal(a.Ext, f.ext) {
		t.Errorf("chunk %d has an extension of %d bytes", c.Index, len(a.Ext))
	}
	if sum := crcOf(plain); sum != c.CRC32 {
		t.Errorf("chunk %d has CRC-32 %08x, want %08x", c.Index, c.CRC32, sum)
	}
	return plain
}

// confirm lists the parts that the manager has, as it does on reopening.
func (f *file) confirm(parts ...int64) {
	f.Confirmed = nil
	for _, p := range parts {
		f.Confirmed = append(f.Confirmed, packet.Range{p, p})
	}
}

func (f *file) String() string { return fmt.Sprintf("%d bytes in %d parts", f.Size, f.parts()) }
