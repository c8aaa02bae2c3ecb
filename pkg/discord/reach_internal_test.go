package discord

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/retry"
)

// shortDial bounds what is waited for here; TestTransport_bounds has the real bounds.
const shortDial = 400 * time.Millisecond

// names is a resolver that asks a server of the test's, which answers each query by
// what respond makes of it; nil is silence.
func names(t *testing.T, respond func(query []byte, kind uint16) []byte) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return // the test's end
			}
			// Behind the header of 12 bytes: the name, type and class (RFC 1035 §4.1.2).
			end := 12
			for end < n && buf[end] != 0 {
				end += 1 + int(buf[end])
			}
			if end+5 > n {
				continue
			}
			query := buf[:end+5]
			if answer := respond(query, binary.BigEndian.Uint16(query[end+1:])); answer != nil {
				_, _ = server.WriteTo(answer, from) // a lost answer is asked for again
			}
		}
	}()
	t.Cleanup(func() { _ = server.Close(); <-served })
	dialer := new(net.Dialer)
	dialer.Timeout = shortDial
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// answerWith makes an answer with a code and addresses of one query.
func answerWith(query []byte, code byte, kind uint16, addresses ...net.IP) []byte {
	a := append([]byte(nil), query...)
	a[2], a[3] = 0x81, 0x80|code // an answer, recursive
	binary.BigEndian.PutUint16(a[6:], uint16(len(addresses)))
	binary.BigEndian.PutUint32(a[8:], 0)
	for _, ip := range addresses {
		a = append(a, 0xc0, 12) // the name of the query
		a = binary.BigEndian.AppendUint16(a, kind)
		a = append(a, 0, 1, 0, 0, 0, 0)
		a = binary.BigEndian.AppendUint16(a, uint16(len(ip)))
		a = append(a, ip...)
	}
	return a
}

const (
	typeA    = 1
	typeAAAA = 28
)

// reach asks an API at an address for a message, with two tries.
func reach(t *testing.T, api string, transport *http.Transport) (time.Duration, error) {
	t.Helper()
	defer transport.CloseIdleConnections()
	c, err := New(Options{
		Token: "not-a-token", APIURL: api, CDNURL: api, Transport: transport,
		Retry: retry.Policy{Tries: 2, First: time.Millisecond, Most: time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	_, err = c.Message(t.Context(), "100000000000000001", "100000000000000002")
	return time.Since(start), err
}

// answers is a handler that knows one message, and counts who asks.
func answers(asked *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = fmt.Fprint(w, `{"id":"100000000000000002","channel_id":"100000000000000001","attachments":[]}`)
	})
}

// No fault of names, lines and certificates is waited for without end, the error
// says what it was, and nobody is told a token who has not shown who he is.
func TestReach(t *testing.T) {
	t.Parallel()
	dialer := func(t *testing.T, respond func([]byte, uint16) []byte) *net.Dialer {
		d := newDialer()
		d.Timeout, d.Resolver = shortDial, names(t, respond)
		return d
	}
	var asked atomic.Int64
	secure := httptest.NewTLSServer(answers(&asked))
	defer secure.Close()
	_, securePort, err := net.SplitHostPort(secure.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	plain := httptest.NewServer(answers(&asked))
	defer plain.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // whose kernel accepts, and nobody speaks
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	trusting := func(tr *http.Transport) *http.Transport {
		pool := x509.NewCertPool()
		pool.AddCert(secure.Certificate())
		tr.TLSClientConfig = &tls.Config{RootCAs: pool}
		return tr
	}
	home := func(query []byte, kind uint16) []byte {
		if kind == typeA {
			return answerWith(query, 0, kind, net.IPv4(127, 0, 0, 1).To4())
		}
		return answerWith(query, 0, kind)
	}
	for _, c := range []struct {
		name, api, says string
		transport       *http.Transport
	}{
		{"no such name", "https://api.test", "no such host", newTransport(dialer(t, func(q []byte, kind uint16) []byte { return answerWith(q, 3, kind) }))},
		{"names fail", "https://api.test", "lookup api.test", newTransport(dialer(t, func(q []byte, kind uint16) []byte { return answerWith(q, 2, kind) }))},
		{"names are silent", "https://api.test", "lookup api.test", newTransport(dialer(t, func([]byte, uint16) []byte { return nil }))},
		{"nobody listens", "https://" + closedPort(t), "connection refused", newTransport(newDialer())},
		{"no TLS", strings.Replace(plain.URL, "http", "https", 1), "server gave HTTP response to HTTPS client", newTransport(newDialer())},
		{"TLS without an answer", "https://" + silent.Addr().String(), "TLS handshake timeout", func() *http.Transport {
			tr := newTransport(newDialer())
			tr.TLSHandshakeTimeout = shortDial
			return tr
		}()},
		{"an unknown authority", secure.URL, "certificate signed by unknown authority", newTransport(newDialer())},
		{"another's certificate", "https://api.test:" + securePort, "not api.test", trusting(newTransport(dialer(t, home)))},
	} {
		t.Run(c.name, func(t *testing.T) {
			took, err := reach(t, c.api, c.transport)
			if !errors.Is(err, cloud.ErrUnavailable) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("error %v, want it unavailable and to say %q", err, c.says)
			}
			if took > 10*shortDial {
				t.Errorf("it took %v", took)
			}
		})
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests came through", n)
	}

	t.Run("the right certificate", func(t *testing.T) {
		if _, err := reach(t, secure.URL, trusting(newTransport(newDialer()))); err != nil {
			t.Error(err)
		}
	})
	t.Run("addresses that lead nowhere", func(t *testing.T) {
		port := blackHole(t)
		l, err := net.Listen("tcp4", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(answers(&asked))
		_ = server.Listener.Close() // another is put in its place
		server.Listener = l
		server.Start()
		defer server.Close()
		d := newDialer() // as it is, but for the names
		d.Resolver = names(t, func(q []byte, kind uint16) []byte {
			if kind == typeAAAA {
				return answerWith(q, 0, kind, net.IPv6loopback)
			}
			return home(q, kind)
		})
		took, err := reach(t, "http://api.test:"+port, newTransport(d))
		if err != nil {
			t.Fatal(err)
		}
		if took < 200*time.Millisecond || took > 5*time.Second {
			t.Errorf("it took %v: want the other kind of address to be tried after 300 ms", took)
		}
	})
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// blackHole is a port of [::1] that does not answer: the kernel drops what comes,
// for its queue is full and nobody accepts.
func blackHole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1); err != nil {
		t.Fatal(err)
	}
	loopback := &syscall.SockaddrInet6{}
	copy(loopback.Addr[:], net.IPv6loopback)
	if err := syscall.Bind(fd, loopback); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(name.(*syscall.SockaddrInet6).Port)
	for range 16 {
		conn, err := net.DialTimeout("tcp6", "[::1]:"+port, 100*time.Millisecond)
		if err != nil {
			return port
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue does not fill")
	return ""
}

// What is waited for in the product, and that certificates are looked at.
func TestTransport_bounds(t *testing.T) {
	d := newDialer()
	tr := newTransport(d)
	if d.Timeout <= 0 || d.Timeout > 15*time.Second || d.FallbackDelay < 0 {
		t.Errorf("the dialer waits %v, and %v for the other kind of address", d.Timeout, d.FallbackDelay)
	}
	if tr.TLSHandshakeTimeout <= 0 || tr.TLSHandshakeTimeout > 15*time.Second {
		t.Errorf("a handshake is waited for %v", tr.TLSHandshakeTimeout)
	}
	if c := tr.TLSClientConfig; c != nil && (c.InsecureSkipVerify || c.RootCAs != nil) {
		t.Error("certificates are not held to the system's authorities")
	}
}
