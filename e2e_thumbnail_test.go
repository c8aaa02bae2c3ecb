package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/image/webp"

	"discordcloud/pkg/blob/bucketblob/storagetest"
	"discordcloud/pkg/packet"
)

// sendBytes uploads a small file of one part.
func (c *client) sendBytes(ctx context.Context, path, name string, data []byte) int64 {
	c.t.Helper()
	r, err := c.begin(ctx, path, name, int64(len(data)), packet.ConflictOverwrite)
	c.must(err)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("id", r.UploadID) // a buffer does not fail
	_ = form.WriteField("chunk", "0")     // likewise
	file, err := form.CreateFormFile("file", "blob")
	c.must(err)
	_, _ = file.Write(data)
	c.must(form.Close())
	answer, err := http.Post(r.UploadAddress, form.FormDataContentType(), &body)
	c.must(err)
	_ = answer.Body.Close()
	if answer.StatusCode != 200 {
		c.t.Fatalf("upload of %s: status %d", name, answer.StatusCode)
	}
	_, err = c.outcome(ctx, r)
	c.must(err)
	e, err := c.lookup(ctx, path+"/"+name)
	c.must(err)
	return e.ID
}

// thumbnail asks for one, as the page does.
func (c *client) thumbnail(ctx context.Context, id int64, query string, header ...string) (*http.Response, []byte) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s/api/entries/%d/thumbnail?%s", c.base, id, query), nil)
	c.must(err)
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	c.must(err)
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	c.must(err)
	return answer, b
}

// shown waits until the socket tells that a file has a thumbnail.
func (c *client) shown(ctx context.Context, id int64) {
	c.t.Helper()
	_, err := c.await(ctx, func(p packet.Packet) bool {
		change, ok := p.(packet.EntryChanged)
		return ok && change.Entry.ID == id && change.Entry.HasThumbnail
	})
	c.must(err)
}

// halves is a picture, red on the left and blue on the right.
func halves(w, h int) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{220, 20, 20, 255}
			if x >= w/2 {
				c = color.NRGBA{20, 20, 220, 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

func TestEndToEnd_thumbnails(t *testing.T) {
	t.Run("discord", func(t *testing.T) { thumbnailsEndToEnd(t, "discord", "jpeg", jpeg.Decode, nil) })
	t.Run("disk", func(t *testing.T) {
		needVips(t)
		thumbnailsEndToEnd(t, "disk", "webp", webp.Decode, nil)
	})
	t.Run("supabase", func(t *testing.T) {
		s := storagetest.New(t)
		kept := func() (n int) {
			s.Look(func() {
				n = len(s.Objects)
				for name, b := range s.Objects {
					if !strings.HasPrefix(name, "thumbnails/") || bytes.Contains(b, []byte("JFIF")) {
						t.Errorf("%s is not sealed", name)
					}
				}
			})
			return n
		}
		thumbnailsEndToEnd(t, "supabase", "jpeg", jpeg.Decode, map[string]string{"SUPABASE_URL": s.URL, "SUPABASE_KEY": s.Key, "DATABASE_URL": "sqlite"}, func() {
			if kept() == 0 {
				t.Error("nothing lies in the bucket")
			}
		})
		if n := kept(); n > 0 {
			t.Errorf("%d objects are left in the bucket", n)
		}
	})
}

// needVips skips a test where the system's library for pictures is missing.
func needVips(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("vipsthumbnail"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func thumbnailsEndToEnd(t *testing.T, where, format string, decode func(io.Reader) (image.Image, error), env map[string]string, there ...func()) {
	// What is replaced or deleted is gone at once: a trash and versions would
	// keep it, and its thumbnails with it.
	with := map[string]string{"THUMBNAIL_STORE": where, "THUMBNAIL_FORMAT": format, "TRASH_DAYS": "0", "VERSIONS": "0"}
	maps.Copy(with, env)
	s := startServe(t, with)
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, 2*time.Minute)
	c.book(ctx, 2)

	var picture bytes.Buffer
	c.must(png.Encode(&picture, halves(1500, 1000)))
	id := c.sendBytes(ctx, "/photos", "halves.png", picture.Bytes())
	c.shown(ctx, id)
	e, err := c.lookup(ctx, "/photos/halves.png")
	c.must(err)
	if len(e.Preview) != 28 {
		t.Errorf("the entry shows %q until it is there", e.Preview)
	}
	for size, width := range map[int]int{256: 256, 1024: 1024, 100: 256, 4000: 1024} {
		answer, b := c.thumbnail(ctx, id, fmt.Sprintf("size=%d&hash=%s", size, e.Hash))
		img, err := decode(bytes.NewReader(b))
		if err != nil || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "image/"+format {
			t.Fatalf("size %d: status %d, %s, %v", size, answer.StatusCode, answer.Header.Get("Content-Type"), err)
		}
		if got := img.Bounds(); got.Dx() != width || got.Dy() != width*2/3 && got.Dy() != width*2/3+1 {
			t.Errorf("size %d: %v", size, got)
		}
		left, _, right, _ := img.At(width/4, width/3).RGBA()
		if _, _, blue, _ := img.At(width*3/4, width/3).RGBA(); left>>8 < 190 || right>>8 > 60 || blue>>8 < 190 {
			t.Errorf("size %d shows something else", size)
		}
		if cache := answer.Header.Get("Cache-Control"); !strings.Contains(cache, "immutable") || !strings.Contains(cache, "private") {
			t.Errorf("asked for by content it is %q", cache)
		}
		if answer, _ := c.thumbnail(ctx, id, fmt.Sprintf("size=%d", size), "If-None-Match", answer.Header.Get("ETag")); answer.StatusCode != 304 || strings.Contains(answer.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("asked for again: status %d, %q", answer.StatusCode, answer.Header.Get("Cache-Control"))
		}
	}
	var detail struct {
		Media packet.MediaFacts
	}
	c.must(c.do(ctx, "GET", fmt.Sprintf("/api/entries/%d", id), nil, &detail))
	if detail.Media.Width != 1500 || detail.Media.Height != 1000 {
		t.Errorf("facts %+v", detail.Media)
	}
	// A ticket for the file shows it, and the packet gives one.
	reply, err := c.call(ctx, packet.ThumbnailRequest{ID: id})
	c.must(err)
	if yes := reply.(packet.Boolean); !yes.Success || len(get(t, yes.Message)) < 100 {
		t.Errorf("the packet is answered by %+v", yes)
	}

	// What is not for others is not for others.
	c.must(c.do(ctx, "PATCH", fmt.Sprintf("/api/entries/%d", id), map[string]any{"public": false}, nil))
	c.must(c.do(ctx, "POST", "/api/users", map[string]any{"username": "bob", "password": "a good password"}, nil))
	bob := signIn(t, s.base, "bob", "a good password")
	if answer, _ := bob.thumbnail(ctx, id, "size=256&hash="+e.Hash); answer.StatusCode != 404 {
		t.Errorf("another user: status %d", answer.StatusCode)
	}
	nobody := &client{t: t, base: s.base}
	if answer, _ := nobody.thumbnail(ctx, id, ""); answer.StatusCode != 401 {
		t.Errorf("nobody: status %d", answer.StatusCode)
	}

	// Bad pictures cost nothing but their thumbnails.
	bad := c.sendBytes(ctx, "/photos", "cut.png", picture.Bytes()[:picture.Len()/2])
	until(t, "the failed thumbnail", 30*time.Second, func() bool { return strings.Contains(s.output(), "it cannot be decoded") })
	if answer, _ := c.thumbnail(ctx, bad, ""); answer.StatusCode != 404 {
		t.Errorf("a picture that is cut off: status %d", answer.StatusCode)
	}
	if _, n, err := c.download(ctx, bad); err != nil || n != int64(picture.Len()/2) {
		t.Errorf("the file itself: %d bytes, %v", n, err)
	}

	// A new content has a new thumbnail.
	picture.Reset()
	c.must(jpeg.Encode(&picture, halves(400, 800), nil))
	c.connect()
	c.book(ctx, 2)
	if again := c.sendBytes(ctx, "/photos", "halves.png", picture.Bytes()); again != id {
		t.Fatalf("the replaced file is %d, was %d", again, id)
	}
	c.shown(ctx, id)
	answer, b := c.thumbnail(ctx, id, "size=256&hash="+e.Hash)
	if img, err := decode(bytes.NewReader(b)); err != nil || img.Bounds().Dy() != 256 || strings.Contains(answer.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("after the change, by the old hash: %v, %q", err, answer.Header.Get("Cache-Control"))
	}

	// It is deleted with the file: what was stored of it goes too.
	for _, f := range there {
		f()
	}
	admin := map[string]string{"DATA_DIR": s.dir}
	until(t, "one thumbnail", 30*time.Second, func() bool {
		out, _ := command(t, admin, "", "admin", "thumbnails")
		return strings.Contains(out, "0 queued, 1 ready, 1 failed")
	})
	stored := func() int { return len(s.messages(t)) }
	before := stored()
	c.must(c.do(ctx, "POST", "/api/delete", map[string]any{"ids": []int64{id, bad}}, nil))
	if answer, _ := c.thumbnail(ctx, id, ""); answer.StatusCode != 404 {
		t.Errorf("after the file has gone: status %d", answer.StatusCode)
	}
	until(t, "the end of the thumbnails", 60*time.Second, func() bool {
		out, _ := command(t, admin, "", "admin", "thumbnails")
		return strings.Contains(out, "0 queued, 0 ready, 0 failed")
	})
	if gone := before - stored(); where == "discord" && gone < 1 {
		t.Errorf("%d messages less in Discord", gone)
	}
}

// A client of version 1 shows AVIF and nothing else, from wherever its page is.
func TestEndToEnd_thumbnailVersion1(t *testing.T) {
	needVips(t)
	s := startServe(t, nil)
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, time.Minute)
	c.book(ctx, 1)
	var picture bytes.Buffer
	c.must(jpeg.Encode(&picture, halves(1500, 1000), nil))
	id := c.sendBytes(ctx, "/photos", "halves.jpg", picture.Bytes())
	c.shown(ctx, id)

	old := &v1{t: t, ctx: ctx, base: s.base}
	var login struct{ Token string }
	c.must(json.Unmarshal(old.get("/login", url.Values{"username": {adminName}, "password": {adminPassword}}, 200), &login))
	ws, _, err := websocket.Dial(ctx, strings.Replace(s.base, "http", "ws", 1)+"/?type=client&key="+login.Token, nil)
	c.must(err)
	old.ws = ws
	defer func() { _ = ws.CloseNow() }()
	f := old.ask("c2s:thumbnail-request", fmt.Sprintf(`{"id":%d}`, id))
	address, _ := f.Data["message"].(string)
	if f.ID != "generic:boolean" || f.Data["success"] != true {
		t.Fatalf("thumbnail-request: %+v", f)
	}
	answer, err := http.Get(address)
	c.must(err)
	b, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "image/avif" || answer.Header.Get("Access-Control-Allow-Origin") != "*" ||
		len(b) < 200 || len(b) > 4096 || string(b[4:12]) != "ftypavif" {
		t.Errorf("status %d, %v, %d bytes, %v", answer.StatusCode, answer.Header, len(b), err)
	}
	if f := old.ask("c2s:thumbnail-request", `{"id":99999}`); f.Data["success"] != false {
		t.Errorf("of a file that is not there: %+v", f)
	}
}

// A service of its own makes them too, and a queue waits for it.
func TestEndToEnd_thumbnailService(t *testing.T) {
	s := startServe(t, map[string]string{"THUMBNAIL_SERVICES": "0"})
	c := setUp(t, s.base)
	c.servicesReady(3)
	c.connect()
	ctx := withTimeout(t, time.Minute)
	c.book(ctx, 1)
	id := c.sendBytes(ctx, "/notes", "notes.txt", []byte(strings.Repeat("Thumbnails of text are small pages.\n", 40)))
	start(t, map[string]string{"PATH": t.TempDir(), "MANAGER_ADDRESS": strings.Replace(s.base, "http", "ws", 1), "SERVICE_PASSWORD": s.setting(t, "SERVICE_PASSWORD")}, "thumbnail-service")
	c.shown(ctx, id)
	if answer, _ := c.thumbnail(ctx, id, "size=1024"); answer.StatusCode != 200 {
		t.Errorf("status %d", answer.StatusCode)
	}
	// It has found no programs, and administrators can see that.
	var listed struct {
		Services []struct{ Type, Lacks string }
	}
	c.must(c.do(ctx, "GET", "/api/services", nil, &listed))
	lacks := ""
	for _, one := range listed.Services {
		if one.Type == packet.ServiceThumbnail {
			lacks = one.Lacks
		}
	}
	for _, program := range []string{"ffmpeg", "vipsthumbnail", "pdftoppm", "rsvg-convert"} {
		if !strings.Contains(lacks, program) {
			t.Errorf("a service without %s says that it lacks %q", program, lacks)
		}
	}
}
