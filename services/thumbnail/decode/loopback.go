package decode

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// loopback serves the object to programs that have to seek in it, under an
// address that nobody else can guess.
func (d *decoder) loopback() (address string, end func(), err error) {
	listener := d.cell.listener
	if listener == nil { // no cell has bound us
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return "", nil, err
		}
	}
	path := "/" + rand.Text()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(d.src, 0, d.src.size))
	})
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if tcp, ok := c.(*net.TCPConn); ok {
				// What lies in buffers when the program seeks was fetched for nothing.
				_ = tcp.SetWriteBuffer(64 << 10) // a larger one does as well
			}
			return ctx
		},
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // ends by Close
	}()
	return "http://" + listener.Addr().String() + path, func() {
		_ = server.Close() // nobody reads any more
		<-served
	}, nil
}
