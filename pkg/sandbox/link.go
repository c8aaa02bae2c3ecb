package sandbox

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Link is the quality of each connection to the server. The zero value is as
// fast as the machine.
type Link struct {
	// Latency passes between the last byte of a request and the first of its answer.
	Latency time.Duration `json:"latency"` // in JSON: nanoseconds
	// Up and Down are bytes per second to and from the server; 0 is unbounded.
	Up   int64 `json:"up"`
	Down int64 `json:"down"`
}

// linkListener shapes the connections that it accepts.
type linkListener struct {
	net.Listener
	link *atomic.Pointer[Link]
}

func (l linkListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &linkConn{Conn: c, link: l.link, closed: make(chan struct{})}, nil
}

type linkConn struct {
	net.Conn
	link   *atomic.Pointer[Link]
	asked  atomic.Bool // bytes came in since the last write
	once   sync.Once
	closed chan struct{}
}

// slice is how many bytes pass at once at a rate: a twentieth of a second's.
func slice(rate int64, n int) int {
	return int(min(int64(n), max(1, rate/20)))
}

func (c *linkConn) wait(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.closed:
		return net.ErrClosed
	}
}

func (c *linkConn) pass(n int, rate int64) error {
	return c.wait(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
}

func (c *linkConn) Read(p []byte) (int, error) {
	up := c.link.Load().Up
	if up <= 0 || len(p) == 0 {
		n, err := c.Conn.Read(p)
		if n > 0 {
			c.asked.Store(true)
		}
		return n, err
	}
	n, err := c.Conn.Read(p[:slice(up, len(p))])
	if n > 0 {
		c.asked.Store(true)
		if werr := c.pass(n, up); werr != nil {
			return n, werr
		}
	}
	return n, err
}

func (c *linkConn) Write(p []byte) (int, error) {
	l := c.link.Load()
	if l.Latency > 0 && c.asked.Swap(false) {
		if err := c.wait(l.Latency); err != nil {
			return 0, err
		}
	}
	if l.Down <= 0 {
		return c.Conn.Write(p)
	}
	done := 0
	for done < len(p) {
		n := slice(l.Down, len(p)-done)
		if err := c.pass(n, l.Down); err != nil {
			return done, err
		}
		n, err := c.Conn.Write(p[done : done+n])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// ReadFrom keeps the way from a file to a socket short where nothing is shaped.
func (c *linkConn) ReadFrom(r io.Reader) (int64, error) {
	l := c.link.Load()
	if rf, ok := c.Conn.(io.ReaderFrom); ok && l.Latency <= 0 && l.Down <= 0 {
		return rf.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c}, r)
}

func (c *linkConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
