package hub_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/hub"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/meta/sqlmeta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/memblob"
	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/object"
	"discordcloud/pkg/packet"
)

// patience is how long a test waits for what has to happen.
const patience = 20 * time.Second

const (
	password = "the password of the services"
	channel  = "100000000000001"
	// limit makes parts of one leaf.
	limit    = chunk.Reserve + 4*chunk.SegmentSealed
	partSize = chunk.Leaf
)

var keys = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// world is a manager with all its parts but HTTP, on a database in a file.
type world struct {
	t        *testing.T
	store    *sqlmeta.Store
	blobs    *snowflakes
	ring     crypt.Ring
	bus      *event.Bus
	auth     *auth.Service
	fs       *vfs.FS
	dispatch *dispatch.Dispatcher
	hub      *hub.Hub
	server   *httptest.Server
	log      *logged
	stop     func()

	configure []func(*dispatch.Options, *hub.Options)
	mu        sync.Mutex
	services  map[string]*service // by the path of their address
	made      int
}

func newWorld(t *testing.T, configure ...func(*dispatch.Options, *hub.Options)) *world {
	t.Helper()
	store, err := sqlmeta.Open(t.Context(), sqlmeta.Options{Path: filepath.Join(t.TempDir(), "meta.db")})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, store: store, blobs: &snowflakes{Store: memblob.New()}, ring: crypt.Ring{{1, 2, 3}},
		configure: configure, services: map[string]*service{}, log: &logged{},
	}
	w.start()
	t.Cleanup(func() {
		w.stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// start begins the manager, again after stop as a fresh process would.
func (w *world) start() {
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.bus = &event.Bus{}
	w.auth = auth.New(auth.Options{Store: w.store, Private: keys(), Public: &keys().PublicKey, Bus: w.bus, Log: log})
	w.fs = &vfs.FS{
		Store: w.store, Bus: w.bus, Ring: w.ring, Log: log,
		Source: &object.Source{Blobs: w.blobs, Chunks: w.store, Key: object.RingKeys(w.ring)},
	}
	d := dispatch.Options{
		Store: w.store, Ring: w.ring, Blobs: w.blobs, Bus: w.bus, Log: log,
		Service: dispatch.ServiceConfig{
			Token: "not-a-token", Channels: []string{channel}, AttachmentLimit: func() int64 { return limit },
		},
	}
	h := hub.Options{
		Auth: w.auth, FS: w.fs, Bus: w.bus, Log: log, ServicePassword: password, LegacyQueryAuth: true,
		Mounts: []string{"/upload/1"},
	}
	for _, f := range w.configure {
		f(&d, &h)
	}
	w.dispatch = dispatch.New(d)
	h.Dispatch = w.dispatch
	w.hub = hub.New(h)
	w.server = httptest.NewUnstartedServer(w.hub)
	w.server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10) // for those that test slow readers
		}
	}
	w.server.Start()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	hub, dispatch := w.hub, w.dispatch
	running.Go(func() { _ = hub.Run(ctx) })
	running.Go(func() { _ = dispatch.Run(ctx) })
	w.stop = sync.OnceFunc(func() {
		stop()
		running.Wait()
		w.server.Close()
	})
}

func (w *world) restart() {
	w.stop()
	w.start()
}

// user is somebody who is signed in.
type user struct {
	cloud.User
	policy.Principal
	token string
}

func (w *world) user(name string) user {
	w.t.Helper()
	u, err := w.store.CreateUser(w.t.Context(), name, "no password", false, false)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.signIn(u)
}

func (w *world) signIn(u cloud.User) user {
	w.t.Helper()
	token, err := w.auth.SignIn(w.t.Context(), u, auth.Peer{})
	if err != nil {
		w.t.Fatal(err)
	}
	who, err := w.auth.Verify(w.t.Context(), token.Text)
	if err != nil {
		w.t.Fatal(err)
	}
	return user{u, who, token.Text}
}

// url is the address of a socket.
func (w *world) url(query string) string {
	return "ws" + strings.TrimPrefix(w.server.URL, "http") + "/any/path?" + query
}

// v1 connects a client of version 1.
func (w *world) v1(u user) *wire { return w.dial(packet.V1, "type=client&key="+u.token, nil) }

// v2 connects a client of version 2.
func (w *world) v2(u user) *wire {
	w.t.Helper()
	ticket, err := w.auth.IssueTicket(w.t.Context(), u.Principal, auth.Socket, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.dial(packet.V2, "type=client&v=2&ticket="+ticket.Text, nil)
}

func (w *world) dial(v packet.Version, query string, header http.Header) *wire {
	w.t.Helper()
	ws, _, err := websocket.Dial(w.t.Context(), w.url(query), &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		w.t.Fatal(err)
	}
	ws.SetReadLimit(16 << 20)
	c := &wire{t: w.t, ws: ws, v: v, came: make(chan struct{}, 1), ignore: map[string]bool{
		"s2c:service-registry": true, "s2c:file-modify": true, "s2c:folder-modify": true, "s2c:entry-changed": true,
	}}
	var reading sync.WaitGroup
	reading.Go(c.read)
	w.t.Cleanup(func() { _ = ws.CloseNow(); reading.Wait() })
	return c
}

// post does what a client and the service do for the parts of a file.
func (w *world) post(r packet.UploadResponse, data []byte, parts ...int64) {
	w.t.Helper()
	if !r.Accepted {
		w.t.Fatalf("upload rejected: %s", r.RejectionReason)
	}
	w.mu.Lock()
	s := w.services[r.UploadAddress]
	w.mu.Unlock()
	if s == nil {
		w.t.Fatalf("no service at %q", r.UploadAddress)
	}
	for _, i := range parts {
		plain := data[i*r.ChunkSize : min((i+1)*r.ChunkSize, int64(len(data)))]
		if err := s.report(s.part(r.UploadID, i, plain)); err != nil {
			w.t.Fatalf("part %d: %v", i, err)
		}
	}
}

// all are the indices of the parts of data.
func all(data []byte) []int64 {
	var is []int64
	for i := int64(0); i*partSize < int64(len(data)); i++ {
		is = append(is, i)
	}
	return is
}

func (w *world) postAll(r packet.UploadResponse, data []byte) {
	w.t.Helper()
	w.post(r, data, all(data)...)
}

// pattern is n bytes of which each tells where it is, and which file's it is.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i%251) ^ seed
	}
	return b
}

// content reads a file by its path.
func (w *world) content(who user, path string) []byte {
	w.t.Helper()
	names, err := vfs.ParsePath(path)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := w.fs.Lookup(w.t.Context(), who.Principal, names)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.fs.Open(w.t.Context(), who.Principal, e)
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := c.OpenRange(w.t.Context(), 0, -1)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) checkContent(who user, path string, want []byte) {
	w.t.Helper()
	if got := w.content(who, path); !bytes.Equal(got, want) {
		w.t.Errorf("%s holds %d other bytes than the %d uploaded", path, len(got), len(want))
	}
}

// eventually waits until something is so.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not so in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond) // polling
	}
}

// state waits until the database says that of an upload.
func (w *world) state(id string, want meta.UploadState) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("upload is %s", want), func() bool {
		u, err := w.store.Upload(w.t.Context(), cloud.UploadID(id))
		return err == nil && u.State == want
	})
}

// debug reads a number of the dispatcher's state.
func (w *world) debug(key string) int {
	return w.dispatch.Debug().(map[string]any)[key].(int)
}

// snowflakes is a store in memory whose references look like Discord's.
type snowflakes struct {
	*memblob.Store
	down atomic.Bool // nothing can be read
}

var _ blob.Store = (*snowflakes)(nil)

const prefix = "10000000000000"

func (s *snowflakes) Put(ctx context.Context, b blob.Body) (cloud.Ref, error) {
	ref, err := s.Store.Put(ctx, b)
	ref.Channel, ref.Message, ref.Attachment = prefix+ref.Channel, prefix+ref.Message, prefix+ref.Attachment
	return ref, err
}

func (s *snowflakes) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	if s.down.Load() {
		return nil, cloud.ErrUnavailable
	}
	ref.Channel = strings.TrimPrefix(ref.Channel, prefix)
	ref.Message = strings.TrimPrefix(ref.Message, prefix)
	ref.Attachment = strings.TrimPrefix(ref.Attachment, prefix)
	return s.Store.Get(ctx, ref, off, n)
}

// logged keeps what was logged.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// largeParts makes parts of some leaves.
func largeParts(leaves int64) func(*dispatch.Options, *hub.Options) {
	return func(d *dispatch.Options, _ *hub.Options) {
		d.Service.AttachmentLimit = func() int64 { return chunk.Reserve + leaves*4*chunk.SegmentSealed }
	}
}

// thumbnails connects a thumbnail service.
func (w *world) thumbnails() *websocket.Conn {
	w.t.Helper()
	ws, _, err := websocket.Dial(w.t.Context(), w.url("type=thumbnail&v=2"),
		&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + password}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}
