//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/packet"
	"discordcloud/pkg/pgtest"
)

// Behind a proxy, people come by a name, from an address that only it sees.
const (
	proxiedName   = "cloud.example.org"
	proxiedPeople = "127.0.0.2"
)

// The proxies of docs/databases.md stand before two managers, as the document sets
// them up. Everything goes through them, also when a manager is killed.
func TestEndToEnd_proxies(t *testing.T) {
	t.Parallel()
	programs := map[string]string{"nginx": systemProgram(t, "nginx"), "Caddy": systemProgram(t, "caddy")}
	p := pgtest.Start(t)
	// No PUBLIC_URL: what the proxies say has to be enough.
	k := startCluster(t, 0, map[string]string{"DATABASE_URL": p.Database("proxies"), "TRUSTED_PROXIES": "127.0.0.1"})
	second := maps.Clone(k.env)
	second["MANAGER_PORT"], second["DATA_DIR"] = freePort(t), t.TempDir()
	bases := [2]string{k.base, "http://127.0.0.1:" + second["MANAGER_PORT"]}
	managers, envs := [2]*process{k.manager, start(t, second, "manager")}, [2]map[string]string{k.env, second}
	managers[1].healthy(bases[1])
	own := freePort(t)
	start(t, map[string]string{
		"MANAGER_ADDRESS": strings.Replace(bases[0]+","+bases[1], "http", "ws", -1), "SERVICE_PASSWORD": k.env["SERVICE_PASSWORD"],
		"PORT": own, "OWN_ADDRESS": "http://127.0.0.1:" + own, "UPLOAD_CAPACITY": "8",
	}, "upload-service")
	c := setUp(t, bases[0])
	c.servicesReady(1)
	signIn(t, bases[1], adminName, adminPassword).servicesReady(1)
	var made struct{ Password string }
	c.must(c.do(t.Context(), "POST", "/api/app-passwords", map[string]any{"name": "proxies"}, &made))
	box := &faults{t, strings.TrimSuffix(k.env["DISCORD_API_URL"], "/api/v10")}

	all := t // managers outlast the subtests
	for _, name := range []string{"nginx", "Caddy"} {
		t.Run(name, func(t *testing.T) {
			box := &faults{t, box.base}
			x := startProxy(t, name, programs[name], strings.TrimPrefix(bases[0], "http://"), strings.TrimPrefix(bases[1], "http://"))
			ctx := withTimeout(t, 2*time.Minute)
			c := &client{t: t, base: "https://" + proxiedName, http: x.http}
			c.signIn(adminName, adminPassword)
			d := &proxied{c, made.Password}
			folder := "/" + name
			throughPackets(t, ctx, c, folder)
			seenThrough(t, ctx, c)
			d.throughDAV(ctx, box, name)

			// The manager behind it dies with a download and an upload under way.
			film := content{seed: 2, size: proxiedFilm}
			r, err := c.begin(ctx, folder, "moved.bin", film.size, packet.ConflictFail)
			c.must(err)
			c.must(post(ctx, r, film, 1))
			e, err := c.lookup(ctx, folder+"/film.bin")
			c.must(err)
			download, err := c.request(ctx, "GET", fmt.Sprintf("/api/entries/%d/content", e.ID), nil)
			c.must(err)
			head := make([]byte, 1<<16)
			if _, err := io.ReadFull(download.Body, head); err != nil {
				t.Fatal(err)
			}
			dead := 0
			if c.manager(ctx) != signIn(t, bases[0], adminName, adminPassword).manager(ctx) {
				dead = 1
			}
			ended := c.ended
			managers[dead].kill()
			began := time.Now()
			c.must(c.do(ctx, "GET", "/api/sessions", nil, &struct{}{})) // the first request already
			d.wants(201, "PUT", name+"/after.txt", strings.NewReader("after"))
			t.Logf("%s goes on with the other manager after %v", name, time.Since(began))
			<-ended
			rest, err := io.Copy(io.Discard, download.Body)
			_ = download.Body.Close()
			if err == nil {
				t.Errorf("a download whose manager died ends well, after %d bytes", rest)
			}
			c.ranges(ctx, e.ID, film, [2]int64{1 << 16, film.size - 1})
			c.connect()
			if again := c.resume(ctx, r, film); len(again.Confirmed) != 1 {
				t.Fatalf("resumed as %+v", again)
			}
			c.verify(ctx, folder+"/moved.bin", film)
			managers[dead] = start(all, envs[dead], "manager")
			managers[dead].healthy(bases[dead])
			there := signIn(t, bases[dead], adminName, adminPassword)
			there.servicesReady(1)
			there.verify(ctx, folder+"/moved.bin", film)
		})
	}
}

// proxiedFilm is more than all buffers between a manager and a client who does not
// read can hold, 4 MiB and the 32 MiB that a kernel gives a proxy's connection.
const proxiedFilm = 60<<20 + 9

// throughPackets does what the page does.
func throughPackets(t *testing.T, ctx context.Context, c *client, folder string) {
	t.Helper()
	c.connect()
	c.book(ctx, 4)
	film := content{seed: 2, size: proxiedFilm}
	if _, err := c.upload(ctx, folder, "film.bin", film, packet.ConflictFail); err != nil {
		t.Fatal(err)
	}
	c.verify(ctx, folder+"/film.bin", film)
	e, err := c.lookup(ctx, folder+"/film.bin")
	c.must(err)
	c.ranges(ctx, e.ID, film, [2]int64{0, 0}, [2]int64{partSize - 100, partSize + 100}, [2]int64{2 * partSize, film.size - 1})
	// Another page's script may not.
	_, answer, err := websocket.Dial(ctx, c.base+"/?type=client&v=2", &websocket.DialOptions{HTTPClient: c.http, HTTPHeader: http.Header{"Origin": {"https://other.example.org"}}})
	if err == nil || answer == nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("a socket for another page: %v, %v", answer, err)
	}
}

// ranges wants parts of a file, from and to bytes that are both meant.
func (c *client) ranges(ctx context.Context, id int64, data content, all ...[2]int64) {
	c.t.Helper()
	for _, want := range all {
		r, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/api/entries/%d/content", c.base, id), nil)
		c.must(err)
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", want[0], want[1]))
		answer, err := c.by().Do(r)
		c.must(err)
		got, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		part := make([]byte, want[1]-want[0]+1)
		if _, err := data.ReadAt(part, want[0]); err != nil {
			c.t.Fatal(err)
		}
		if err != nil || answer.StatusCode != http.StatusPartialContent || !bytes.Equal(got, part) {
			c.t.Errorf("bytes %d to %d: status %d, %d bytes, %v", want[0], want[1], answer.StatusCode, len(got), err)
		}
	}
}

// manager is the id of the one that answers.
func (c *client) manager(ctx context.Context) string {
	c.t.Helper()
	var debug struct{ Managers struct{ ID string } }
	c.must(c.do(ctx, "GET", "/api/debug", nil, &debug))
	return debug.Managers.ID
}

// seenThrough wants managers to know who comes, and how he came.
func seenThrough(t *testing.T, ctx context.Context, c *client) {
	t.Helper()
	// What somebody says of himself counts for nothing.
	r, err := http.NewRequestWithContext(ctx, "POST", c.base+"/api/login", strings.NewReader(fmt.Sprintf(`{"username": %q, "password": %q}`, adminName, adminPassword)))
	c.must(err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("X-Forwarded-Proto", "http")
	r.Header.Set("X-Forwarded-Host", "other.example.org")
	answer, err := c.http.Do(r)
	c.must(err)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("a sign-in: status %d, headers %v; want those of HTTPS", answer.StatusCode, answer.Header)
	}
	var all struct {
		Sessions []struct {
			Address string
			Agent   string
		}
	}
	c.must(c.do(ctx, "GET", "/api/sessions", nil, &all))
	through := 0
	for _, s := range all.Sessions {
		switch s.Address {
		case proxiedPeople:
			through++
		case "127.0.0.1": // not by the proxy
		default:
			t.Errorf("a session from %s", s.Address)
		}
	}
	if through < 2 {
		t.Errorf("%d sessions from %s: %+v", through, proxiedPeople, all.Sessions)
	}
}

// proxied is a client of WebDAV.
type proxied struct {
	*client
	password string
}

func (d *proxied) wants(status int, method, path string, body io.Reader, header ...string) []byte {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.base+"/dav/"+path, body)
	d.must(err)
	r.SetBasicAuth(adminName, d.password)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := d.http.Do(r)
	d.must(err)
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != status {
		d.t.Errorf("%s %s: status %d, want %d: %.200s %v", method, path, answer.StatusCode, status, text, err)
	}
	return text
}

// throughDAV sends a body that is with Discord before all of it has been sent, and
// reads it.
func (d *proxied) throughDAV(ctx context.Context, box *faults, folder string) {
	t := d.t
	t.Helper()
	film := content{seed: 3, size: 2*partSize + 77}
	before := len(box.attachments())
	from, to := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(to, io.NewSectionReader(film, 0, partSize+1))
		sent <- err
	}()
	put := make(chan struct{})
	go func() {
		defer close(put)
		d.wants(201, "PUT", folder+"/put.bin", from)
	}()
	if err := <-sent; err != nil {
		t.Error(err)
	}
	until(t, "the first part of a body that is still being sent", 20*time.Second, func() bool { return len(box.attachments()) > before })
	_, err := io.Copy(to, io.NewSectionReader(film, partSize+1, film.size-partSize-1))
	d.must(err)
	_ = to.Close() // never fails
	<-put
	if got := d.wants(200, "GET", folder+"/put.bin", nil); sha256.Sum256(got) != film.sum(t) {
		t.Errorf("by WebDAV %d bytes come back wrong", len(got))
	}
	d.wants(201, "MOVE", folder+"/put.bin", nil, "Destination", d.base+"/dav/"+folder+"/put%20and%20moved.bin")
	if got := d.wants(207, "PROPFIND", folder+"/", nil, "Depth", "1"); !bytes.Contains(got, []byte("/put%20and%20moved.bin<")) {
		t.Errorf("PROPFIND shows %s", got)
	}
	d.verify(ctx, "/"+folder+"/put and moved.bin", film)
}

// proxy is a program between clients and managers.
type proxy struct {
	dir  string
	as   *syscall.Credential // whom it runs as, nil for the test's user
	http *http.Client        // of who comes through it
}

// startProxy runs a proxy with the example of the document, in which addresses and
// files are replaced, and nothing else.
func startProxy(t *testing.T, name, program string, managers ...string) *proxy {
	t.Helper()
	x := &proxy{}
	x.makeDir(t)
	roots := x.certify(t)
	port := freePort(t)
	text := example(t, name)
	replace := func(old, with string) {
		t.Helper()
		if strings.Count(text, old) != 1 {
			t.Fatalf("the example of %s has %q not once:\n%s", name, old, text)
		}
		text = strings.Replace(text, old, with, 1)
	}
	for i, address := range managers {
		replace(fmt.Sprintf("10.0.0.1%d:8080", i+1), address)
	}
	cert, key, config := x.dir+"/cert", x.dir+"/key", x.dir+"/config"
	var args []string
	switch name {
	case "nginx":
		replace("listen 443 ssl", "listen 127.0.0.1:"+port+" ssl")
		replace("/etc/ssl/"+proxiedName+".pem", cert)
		replace("/etc/ssl/"+proxiedName+".key", key)
		text = fmt.Sprintf(`daemon off; pid %[1]s/pid; events {}
http {
access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s}`, x.dir, text)
		args = []string{"-p", x.dir, "-e", "stderr", "-c", config}
	case "Caddy":
		replace(proxiedName+" {\n", proxiedName+" {\n    tls "+cert+" "+key+"\n")
		text = "{\n    admin off\n    auto_https disable_redirects\n    default_bind 127.0.0.1\n    https_port " + port + "\n}\n" + text
		args = []string{"run", "--adapter", "caddyfile", "--config", config}
	}
	x.write(t, config, []byte(text))
	// It can write no file of more than 32 KiB: no body ever lies on its disk.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `ulimit -f 64 && exec "$@"`, "sh", program}, args...)...)
	cmd.Dir, cmd.Env = x.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + x.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: x.as}
	cmd.WaitDelay = 5 * time.Second // for what it started itself
	p := launch(t, cmd)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it ends its own processes
		select {
		case <-p.done:
		case <-time.After(5 * time.Second): // Caddy waits for connections that it has open
		}
	})
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(proxiedPeople)}}
	through := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, err := from.DialContext(ctx, "tcp", "127.0.0.1:"+port)
			if err != nil {
				return nil, err
			}
			return c, c.(*net.TCPConn).SetReadBuffer(1 << 16) // what is not read is not there
		},
	}
	t.Cleanup(through.CloseIdleConnections)
	x.http = &http.Client{Transport: through}
	until(t, name, 20*time.Second, func() bool {
		select {
		case <-p.done:
			t.Fatalf("%s ended: %v\n%s", name, p.err, p.output())
		default:
		}
		r, err := x.http.Get("https://" + proxiedName + "/health")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusNoContent
	})
	return x
}

// example is what the document says under a name.
func example(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("docs/databases.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\n"+name+":\n\n```\n")
	block, _, closed := strings.Cut(after, "```\n")
	if !found || !closed {
		t.Fatalf("docs/databases.md has no example of %s", name)
	}
	return block
}

// systemProgram finds one that Debian may keep out of PATH.
func systemProgram(t *testing.T, name string) string {
	t.Helper()
	if path := "/usr/sbin/" + name; exec.Command("test", "-x", path).Run() == nil {
		return path
	}
	return needProgram(t, name)
}

// makeDir makes a folder that belongs to whom the proxy runs as.
func (x *proxy) makeDir(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy") // of a folder of the test's own another user would see nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	x.dir = dir
	if os.Getuid() != 0 {
		return
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	x.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (x *proxy) write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if x.as != nil {
		if err := os.Chown(path, int(x.as.Uid), int(x.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// certify makes the certificate of the proxy's name, and gives those who trust it.
func (x *proxy) certify(t *testing.T) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	of := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{proxiedName}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	x.write(t, x.dir+"/cert", public)
	x.write(t, x.dir+"/key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(public)
	return roots
}
