package dav_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"discordcloud/manager/internal/api"
	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/dav"
	"discordcloud/manager/internal/dispatch"
	"discordcloud/manager/internal/event"
	"discordcloud/manager/internal/hub"
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
	"discordcloud/services/upload"
	"discordcloud/services/worker"
)

const (
	servicePassword = "the password of the services"
	partSize        = chunk.Leaf
	prefix          = "10000000000000" // makes snowflakes of memblob's names
)

// snowflakes is a store in memory whose references look like Discord's.
type snowflakes struct {
	*memblob.Store
	fault *atomic.Pointer[error] // of every Put and Get, if there is one
}

func (s snowflakes) Put(ctx context.Context, b blob.Body) (cloud.Ref, error) {
	if err := s.fault.Load(); err != nil {
		return cloud.Ref{}, *err
	}
	ref, err := s.Store.Put(ctx, b)
	ref.Channel, ref.Message, ref.Attachment = prefix+ref.Channel, prefix+ref.Message, prefix+ref.Attachment
	return ref, err
}

func (s snowflakes) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	if err := s.fault.Load(); err != nil {
		return nil, *err
	}
	ref.Channel = strings.TrimPrefix(ref.Channel, prefix)
	ref.Message = strings.TrimPrefix(ref.Message, prefix)
	ref.Attachment = strings.TrimPrefix(ref.Attachment, prefix)
	return s.Store.Get(ctx, ref, off, n)
}

// Limit lets a part be one leaf.
func (s snowflakes) Limit() int64 { return chunk.Reserve + 4*chunk.SegmentSealed }

// world is a manager with an upload service, on a port.
type world struct {
	t        *testing.T
	store    *sqlmeta.Store
	blobs    snowflakes
	auth     *auth.Service
	fs       *vfs.FS
	bus      *event.Bus
	dispatch *dispatch.Dispatcher
	url      string // without a slash
}

var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

type settings struct {
	services int // slots
	dispatch dispatch.Options
	dav      dav.Options
	api      api.Options
}

func open(t *testing.T, change func(*settings)) *world {
	t.Helper()
	o := settings{services: 2}
	if change != nil {
		change(&o)
	}
	store, err := sqlmeta.Open(t.Context(), sqlmeta.Options{Path: filepath.Join(t.TempDir(), "dav.db")})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, blobs: snowflakes{memblob.New(), &atomic.Pointer[error]{}}, bus: &event.Bus{}}
	blobs, ring, log := w.blobs, crypt.Ring{{1, 2, 3}}, slog.New(slog.DiscardHandler)
	server := httptest.NewUnstartedServer(nil)
	w.url = "http://" + server.Listener.Addr().String()
	w.auth = auth.New(auth.Options{
		Store: store, Bus: w.bus, Private: signingKey(), Public: &signingKey().PublicKey,
		Hash: auth.HashParams{Memory: 8, Passes: 1, Threads: 1},
	})
	w.fs = &vfs.FS{Store: store, Bus: w.bus, Ring: ring, Source: &object.Source{Blobs: blobs, Chunks: store, Key: object.RingKeys(ring)}}
	o.dispatch.Store, o.dispatch.Ring, o.dispatch.Blobs, o.dispatch.Bus, o.dispatch.Log = store, ring, blobs, w.bus, log
	o.dispatch.SelfURL = w.url
	o.dispatch.Service = dispatch.ServiceConfig{Token: "not-a-token", Channels: []string{prefix + "1"}, AttachmentLimit: blobs.Limit}
	w.dispatch = dispatch.New(o.dispatch)
	sockets := hub.New(hub.Options{
		Auth: w.auth, FS: w.fs, Bus: w.bus, Dispatch: w.dispatch, Log: log, ServicePassword: servicePassword, Mounts: []string{"/upload/1"},
	})
	service := upload.New(upload.Config{
		Worker: worker.Config{
			ManagerURL: "ws" + strings.TrimPrefix(w.url, "http"), Password: servicePassword, Address: "/upload/1", Capacity: o.services, Log: log,
		},
		OpenStore: func(packet.Configure) (upload.Store, error) { return blobs, nil },
		Log:       log,
	})
	o.dav.FS, o.dav.Put, o.dav.Bus, o.dav.Alive = w.fs, w.dispatch.Put, w.bus, w.auth.Alive
	o.api.Auth, o.api.FS, o.api.Bus, o.api.Sockets = w.auth, w.fs, w.bus, sockets
	o.api.Mounts = map[string]http.Handler{"/upload/1": service.Handler()}
	o.api.DAV = dav.New(o.dav).Serve
	server.Config.Handler = api.New(o.api)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.Start()

	serving, stopServices := context.WithCancel(context.WithoutCancel(t.Context()))
	running, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var group, services errgroup.Group
	group.Go(func() error { return w.dispatch.Run(running) })
	group.Go(func() error { return sockets.Run(running) })
	if o.services > 0 {
		services.Go(func() error { return service.Run(serving) })
	}
	t.Cleanup(func() {
		server.CloseClientConnections()
		stopServices()
		_ = services.Wait() // it says that it was stopped
		stop()
		_ = group.Wait()
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	if o.services > 0 {
		w.eventually("a service", func() bool { return len(w.dispatch.Services()) == 1 })
	}
	return w
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: not within 10 s", what)
		}
	}
}

// client is somebody with an app password.
type client struct {
	w              *world
	user           policy.Principal // who made the password
	id             int64
	name, password string
}

func (w *world) user(name string) policy.Principal {
	w.t.Helper()
	c, err := w.store.Credentials(w.t.Context(), name)
	if err != nil {
		u, err := w.store.CreateUser(w.t.Context(), name, "no password", false, false)
		if err != nil {
			w.t.Fatal(err)
		}
		c.User = u
	}
	return policy.Principal{Role: policy.User, User: c.ID, Name: name}
}

func (w *world) client(name string, p auth.AppPassword) *client {
	w.t.Helper()
	who := w.user(name)
	row, text, err := w.auth.MakeAppPassword(w.t.Context(), who, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return &client{w: w, user: who, id: row.ID, name: name, password: text}
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (c *client) request(method, path string, body io.Reader, header ...string) *http.Request {
	c.w.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = c.w.url + "/dav" + path
	}
	r, err := http.NewRequestWithContext(c.w.t.Context(), method, path, body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	r.SetBasicAuth(c.name, c.password)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], strings.ReplaceAll(header[i+1], "{url}", c.w.url+"/dav"))
	}
	return r
}

func (c *client) send(r *http.Request) (answer, error) {
	r2, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = r2.Body.Close() }()
	b, err := io.ReadAll(r2.Body)
	return answer{r2.StatusCode, r2.Header, string(b)}, err
}

// do sends a request; headers are pairs, in which {url} is the address of the
// tree.
func (c *client) do(method, path, body string, header ...string) answer {
	c.w.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	a, err := c.send(c.request(method, path, in, header...))
	if err != nil {
		c.w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// want is do with the status that has to come.
func (c *client) want(status int, method, path, body string, header ...string) answer {
	c.w.t.Helper()
	a := c.do(method, path, body, header...)
	if a.status != status {
		c.w.t.Errorf("%s %s %v: status %d, want %d: %.300s", method, path, header, a.status, status, a.body)
	}
	return a
}

// reads checks the content of a file.
func (c *client) reads(path string, want []byte) {
	c.w.t.Helper()
	if a := c.do("GET", path, ""); a.status != 200 || a.body != string(want) {
		c.w.t.Errorf("GET %s: status %d, %d bytes %.50q; want %d bytes", path, a.status, len(a.body), a.body, len(want))
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// unsized hides how long a reader is.
func unsized(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }
