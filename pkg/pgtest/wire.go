//go:build unix

package pgtest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
)

// Fate is what becomes of a COMMIT on a Wire.
type Fate int

// The fates of a COMMIT.
const (
	Pass     Fate = iota
	CutOff        // the connection breaks before the server has it
	Unheard       // the server does it, and the connection breaks before the answer
	LateOnly      // the connection breaks at once, and the server gets it when Release is called
)

// Wire is a connection to a server that breaks when it is told to.
type Wire struct {
	s        *Server
	listener net.Listener
	all      sync.WaitGroup

	mu      sync.Mutex
	next    Fate
	conns   map[net.Conn]bool
	release chan struct{}
}

// Wire listens on a port of its own, and hands on what it hears to the server.
func (s *Server) Wire() *Wire {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	w := &Wire{s: s, listener: l, conns: map[net.Conn]bool{}, release: make(chan struct{})}
	w.all.Go(w.accept)
	s.t.Cleanup(func() {
		_ = l.Close()
		w.Next(Pass)
		w.Release()
		w.Cut()
		w.all.Wait()
	})
	return w
}

// URL is that of a database at the other end.
func (w *Wire) URL(database string) string {
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", Owner, w.listener.Addr(), database)
}

// Next says what becomes of the next COMMIT.
func (w *Wire) Next(f Fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = f
}

// Release lets a COMMIT that is LateOnly reach the server.
func (w *Wire) Release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.release)
	w.release = make(chan struct{})
}

// Cut breaks all connections.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *Wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("unix", w.s.Dir+"/.s.PGSQL.5432")
		if err != nil { // it is away
			_ = client.Close()
			continue
		}
		w.keep(client, server)
		w.all.Go(func() { w.pump(client, server) })
	}
}

func (w *Wire) keep(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		w.conns[c] = true
	}
}

func (w *Wire) drop(conns ...net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(w.conns, c)
	}
}

// fate is that of the COMMIT that is on its way; release is closed by the next
// Release.
func (w *Wire) fate() (f Fate, release chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f, w.next = w.next, Pass
	return f, w.release
}

func (w *Wire) pump(client, server net.Conn) {
	defer w.drop(client, server)
	w.all.Go(func() {
		_, _ = io.Copy(client, server) // until either end breaks
		w.drop(client, server)
	})
	b := make([]byte, 64<<10)
	for {
		n, err := client.Read(b)
		if err != nil {
			return
		}
		if hasCommit(b[:n]) {
			switch fate, release := w.fate(); fate {
			case CutOff:
				return
			case Unheard:
				_ = client.(*net.TCPConn).SetLinger(0)
				_ = client.Close()
				w.finish(server, b[:n])
				return
			case LateOnly:
				_ = client.Close()
				<-release
				w.finish(server, b[:n])
				return
			}
		}
		if _, err := server.Write(b[:n]); err != nil {
			return
		}
	}
}

// hasCommit finds a COMMIT that is sent as a text, or one that was prepared by this
// name and is bound, without a name for its portal. To prepare it is none.
func hasCommit(b []byte) bool {
	const text = "COMMIT\x00"
	return bytes.Contains(b, []byte("\x00\x00\x00\x0b"+text)) || bytes.Contains(b, []byte("\x00"+text))
}

// finish has the server do what is in b before the connection breaks: an orderly
// end comes behind it.
func (w *Wire) finish(server net.Conn, b []byte) {
	if _, err := server.Write(b); err == nil {
		_ = server.(*net.UnixConn).CloseWrite()
	}
	_, _ = io.Copy(io.Discard, server)
}
