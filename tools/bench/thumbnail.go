package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"discordcloud/pkg/packet"
	"discordcloud/services/thumbnail/decode"
	"discordcloud/services/thumbnail/jail"
)

// program gives the path of the program, and builds it if it is not given.
func (w *world) program(ctx context.Context) (string, error) {
	if w.binary == "" {
		path := filepath.Join(w.dir, "discord-cloud")
		if err := build(ctx, path); err != nil {
			return "", err
		}
		w.binary = path
	}
	return w.binary, nil
}

// photo is a JPEG of soft shapes and the noise of a sensor.
func photo(width, height int, noise float64, quality int) ([]byte, error) {
	img := image.NewYCbCr(image.Rect(0, 0, width, height), image.YCbCrSubsampleRatio420)
	r := rand.New(rand.NewPCG(1, 2))
	rough := make([]float64, 1<<16)
	for i := range rough {
		rough[i] = noise * r.NormFloat64()
	}
	waves := make([]float64, width+height)
	for i := range waves {
		waves[i] = 45*math.Sin(float64(i)/190) + 25*math.Sin(float64(i)/23)
	}
	for y := range height {
		for x := range width {
			img.Y[y*img.YStride+x] = uint8(min(max(120+waves[x]+waves[y+x/2]/2+rough[(x*31+y*1777)&0xffff], 0), 255))
		}
	}
	for i := range img.Cb {
		y, x := i/img.CStride, i%img.CStride
		img.Cb[i], img.Cr[i] = uint8(128+40*math.Sin(float64(x)/300)), uint8(128+40*math.Cos(float64(y)/200))
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, img, &jpeg.Options{Quality: quality})
	return b.Bytes(), err
}

// thumbPhoto is a photo of 24 megapixels made small, with a child process as the
// product starts it, against the system's program on the same file.
func thumbPhoto(ctx context.Context, w *world) ([]result, error) {
	program, err := w.program(ctx)
	if err != nil {
		return nil, err
	}
	b, err := photo(6000, 4000, 9, 90)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(w.memory, "photo.jpg")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file) }() // the folder goes at the end
	tools := jail.FindTools()
	ours := func(with decode.Tools) (seconds float64, peak float64, err error) {
		j := &jail.Jail{Command: []string{program, "thumbnail-decode"}, Tools: with}
		began := time.Now()
		r, err := j.Run(ctx, decode.Job{Size: int64(len(b)), Type: "image/jpeg", Sizes: []int{256}, Quality: 90, Limit: 352 << 10}, bytes.NewReader(b))
		if err == nil && len(r.Images) != 1 {
			err = errors.New("no thumbnail: " + r.Reason)
		}
		return time.Since(began).Seconds(), float64(r.Peak) / (1 << 20), err
	}
	var best, alone, peaks []sample
	for range w.runs {
		var base float64
		if tools.Vips != "" {
			began := time.Now()
			if out, err := exec.CommandContext(ctx, tools.Vips, file, "--size", "256", "--output", filepath.Join(w.memory, "small.jpg")).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("vipsthumbnail: %w: %s", err, out)
			}
			base = time.Since(began).Seconds()
			took, _, err := ours(tools)
			if err != nil {
				return nil, err
			}
			best = append(best, sample{took, base})
		}
		took, peak, err := ours(decode.Tools{})
		if err != nil {
			return nil, err
		}
		alone, peaks = append(alone, sample{took, base}), append(peaks, sample{got: peak})
	}
	about := fmt.Sprintf("a photo of 24 megapixels, %.0f MB", float64(len(b))/1e6)
	goAlone := result{Row: "thumb-go", What: about + ", to 256 px, by Go alone", Against: "vipsthumbnail", Unit: "s", AtMost: true}
	if tools.Vips != "" {
		goAlone.Reach = 5
	}
	rows := []result{goAlone.of(alone), result{Row: "thumb-go", What: about + ", by Go alone, peak memory", Unit: "MiB", Reach: 286, AtMost: true}.of(peaks)}
	if len(best) > 0 {
		rows = append([]result{result{Row: "thumb-photo", What: about + ", to 256 px", Against: "vipsthumbnail", Unit: "s", Reach: 1.5, AtMost: true}.of(best)}, rows...)
	}
	return rows, nil
}

// thumbMany is a service that makes the thumbnails of many photos.
func thumbMany(ctx context.Context, w *world) ([]result, error) {
	b, err := photo(4000, 3000, 5.8, 88)
	if err != nil {
		return nil, err
	}
	m, err := w.thumbnails(ctx)
	if err != nil {
		return nil, err
	}
	defer m.close()
	peak := make(chan float64, 1)
	watching, stop := context.WithCancel(ctx)
	go func() { peak <- m.service.peakOfAll(watching) }()
	began := time.Now()
	err = m.make(ctx, w.photos, "image/jpeg", int64(len(b)), bytes.NewReader(b))
	took := time.Since(began).Seconds()
	stop()
	most := <-peak
	if err != nil {
		return nil, err
	}
	about := fmt.Sprintf("%d photos of %.1f MB", w.photos, float64(len(b))/1e6)
	return []result{
		result{Row: "thumb-many", What: about + ", both sizes", Unit: "photos/s"}.of([]sample{{got: float64(w.photos) / took}}),
		result{Row: "thumb-many", What: about + ", peak memory of the service and its children", Unit: "MiB", Reach: 400, AtMost: true}.of([]sample{{got: most}}),
	}, nil
}

// thumbFilm is how much of a long film is fetched for its thumbnail.
func thumbFilm(ctx context.Context, w *world) ([]result, error) {
	tools := jail.FindTools()
	if tools.FFmpeg == "" || tools.FFprobe == "" {
		return nil, nil // nothing makes thumbnails of films here
	}
	m, err := w.thumbnails(ctx)
	if err != nil {
		return nil, err
	}
	defer m.close()
	dir, err := os.MkdirTemp(w.dir, "film")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // it goes with w.dir
	var rows []result
	for _, where := range []struct {
		what  string
		flags []string
	}{{"at its end", nil}, {"at its beginning", []string{"-movflags", "+faststart"}}} {
		size, file, err := film(ctx, tools.FFmpeg, dir, where.flags, w.film)
		if err != nil {
			return nil, err
		}
		m.fetched.Store(0)
		err = m.make(ctx, 1, "video/mp4", size, file)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
		rows = append(rows, result{
			Row: "thumb-film", What: fmt.Sprintf("bytes fetched of an mp4 of %d MiB, its index %s", size>>20, where.what), Unit: "MiB", Reach: 8, AtMost: true,
		}.of([]sample{{got: float64(m.fetched.Load()) / (1 << 20)}}))
	}
	return rows, nil
}

// film makes an mp4 of at least so many bytes: some seconds of noise again and
// again.
func film(ctx context.Context, ffmpeg, dir string, flags []string, size int64) (int64, *os.File, error) {
	run := func(args ...string) error {
		out, err := exec.CommandContext(ctx, ffmpeg, append([]string{"-v", "error", "-y"}, args...)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ffmpeg: %w: %s", err, out)
		}
		return nil
	}
	clip, whole := filepath.Join(dir, "clip.mp4"), filepath.Join(dir, "film.mp4")
	err := run("-f", "lavfi", "-i", "testsrc=s=640x360:d=4:r=25,noise=alls=100:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-b:v", "8M", "-pix_fmt", "yuv420p", clip)
	if err != nil {
		return 0, nil, err
	}
	info, err := os.Stat(clip)
	if err != nil {
		return 0, nil, err
	}
	args := append([]string{"-stream_loop", strconv.FormatInt(size/info.Size(), 10), "-i", clip, "-c", "copy"}, flags...)
	if err := run(append(args, whole)...); err != nil {
		return 0, nil, err
	}
	if info, err = os.Stat(whole); err != nil {
		return 0, nil, err
	}
	f, err := os.Open(whole)
	return info.Size(), f, err
}

// thumbnailManager is a manager that does nothing but to give a thumbnail
// service jobs on one object.
type thumbnailManager struct {
	server  *http.Server
	service *process
	conn    *packet.Conn
	conns   chan *packet.Conn
	done    chan packet.ThumbnailDone
	object  atomic.Pointer[io.SectionReader]
	fetched atomic.Int64 // bytes of it
}

// thumbnails starts a service of the product, and the manager that it needs.
func (w *world) thumbnails(ctx context.Context) (*thumbnailManager, error) {
	program, err := w.program(ctx)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &thumbnailManager{conns: make(chan *packet.Conn, 1), done: make(chan packet.ThumbnailDone, 16)}
	m.server = &http.Server{Handler: m, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = m.server.Serve(listener) }() // ends by close
	m.service, err = launch(program, []string{"MANAGER_ADDRESS=ws://" + listener.Addr().String(), "SERVICE_PASSWORD=bench"}, false, "thumbnail-service")
	if err != nil {
		_ = m.server.Close()
		return nil, err
	}
	starting, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	select {
	case m.conn = <-m.conns:
	case <-m.service.done:
	case <-starting.Done():
	}
	if m.conn == nil {
		m.close()
		return nil, fmt.Errorf("the thumbnail service does not connect: %s", m.service.output())
	}
	_, err = m.conn.Call(starting, packet.ThumbnailConfigure{Sizes: []int64{256, 1024}, Quality: 90, ImageLimit: 352 << 10, Seconds: 55})
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *thumbnailManager) close() {
	m.service.stop()
	_ = m.server.Close() // nobody is left
}

func (m *thumbnailManager) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		o := m.object.Load()
		out := &counted{ResponseWriter: rw, n: &m.fetched}
		http.ServeContent(out, r, "", time.Time{}, io.NewSectionReader(o, 0, o.Size()))
		return
	}
	ws, err := websocket.Accept(rw, r, nil)
	if err != nil {
		return
	}
	conn := packet.NewConn(ws, packet.Options{From: packet.T2S, Version: packet.V2})
	select {
	case m.conns <- conn:
	default: // it has come back: the bench fails by its calls
	}
	_ = conn.Run(r.Context(), func(_ context.Context, msg packet.Message) {
		if p, ok := msg.Data.(packet.ThumbnailDone); ok {
			m.done <- p
			_ = msg.Reply(packet.Boolean{Success: true}) // fails only with the connection
		}
	})
}

// counted counts what is sent.
type counted struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// make has the thumbnails of so many files made, which are all the same: as many
// at a time as the service takes.
func (m *thumbnailManager) make(ctx context.Context, files int, kind string, size int64, object io.ReaderAt) error {
	const capacity = 2 // a service's default
	m.object.Store(io.NewSectionReader(object, 0, size))
	give := func() error {
		id := packet.NewUUID()
		answer, err := m.conn.Call(ctx, packet.ThumbnailJob{Job: id, Size: size, Type: kind, Source: "/api/thumbnail-jobs/" + id + "/source", Ticket: "bench"})
		if err != nil {
			return err
		}
		if yes, ok := answer.(packet.Boolean); !ok || !yes.Success {
			return fmt.Errorf("the service takes no job: %+v", answer)
		}
		return nil
	}
	given := 0
	for ; given < min(files, capacity); given++ {
		if err := give(); err != nil {
			return err
		}
	}
	for range files {
		select {
		case done := <-m.done:
			if !done.Success {
				return errors.New("no thumbnail: " + done.Reason)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-m.service.done:
			return m.service.ended()
		}
		if given < files {
			given++
			if err := give(); err != nil {
				return err
			}
		}
	}
	return nil
}

// peakOfAll watches the resident size of a process with all that it has started
// until ctx ends, and gives the most that it saw, in MiB. What they share counts
// for each.
func (p *process) peakOfAll(ctx context.Context) float64 {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	most := 0.0
	for {
		most = max(most, residentOf(p.cmd.Process.Pid))
		select {
		case <-ctx.Done():
			return most
		case <-tick.C:
		}
	}
}

// residentOf is the resident size of a process and its descendants, in MiB, as
// far as it can be read.
func residentOf(root int) float64 {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	parent, resident := map[int]int{}, map[int]float64{}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		pid, err1 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if len(fields) < 22 || err1 != nil {
			continue
		}
		above, _ := strconv.Atoi(fields[1]) // 0 for what is no number
		pages, _ := strconv.ParseFloat(fields[21], 64)
		parent[pid], resident[pid] = above, pages*float64(os.Getpagesize())/(1<<20)
	}
	sum := 0.0
	for pid, size := range resident {
		for at := pid; at > 1; at = parent[at] {
			if at == root {
				sum += size
				break
			}
		}
	}
	return sum
}
