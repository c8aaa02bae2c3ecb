package discord

import (
	"context"
	"io"
	"net"
	"sync"
)

// bulkSize is how much of a body goes to the system in one write: four sealed
// segments. net/http would take 32 KiB, of which no segment fits half.
const bulkSize = 4 * (64<<10 + 16)

// bulk makes connections that send bodies in large pieces.
type bulk struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	buffers sync.Pool // of *[bulkSize]byte
}

func newBulk(dialer *net.Dialer) *bulk {
	return &bulk{dial: dialer.DialContext, buffers: sync.Pool{New: func() any { return new([bulkSize]byte) }}}
}

func (b *bulk) dialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := b.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &bulkConn{Conn: conn, from: b}, nil
}

// bulkConn is what net/http copies a body to, where there is no TLS in between.
type bulkConn struct {
	net.Conn
	from *bulk
}

var _ io.ReaderFrom = (*bulkConn)(nil)

// ReadFrom implements io.ReaderFrom.
func (c *bulkConn) ReadFrom(r io.Reader) (int64, error) {
	buf := c.from.buffers.Get().(*[bulkSize]byte)
	defer c.from.buffers.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c.Conn}, struct{ io.Reader }{r}, buf[:])
}
