// Package thumbnail is the thumbnail service: it takes jobs from the manager,
// reads the object of each by ranges from there, has a child process decode it
// (packages jail and decode) and hands the images back. It holds no key, keeps
// nothing, and is told nothing of names and owners. Which thumbnails there are,
// and who may see them, is the manager's business; so is the connection package
// worker's.
package thumbnail

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
	"discordcloud/services/thumbnail/decode"
	"discordcloud/services/thumbnail/jail"
	"discordcloud/services/worker"
)

// Decoder does one job on an object: *jail.Jail.
type Decoder interface {
	Run(ctx context.Context, job decode.Job, object io.ReaderAt) (decode.Result, error)
}

// Config is what a Service stands on.
type Config struct {
	// Worker says where the manager is. Its Type and Handlers are set by New; its
	// Capacity is the number of jobs at once, 2 by default.
	Worker worker.Config
	// Managers are the addresses of several managers on one database, instead of
	// the Worker's. They share the capacity.
	Managers []string
	Decoder  Decoder
	Tools    decode.Tools // that the decoder has, to tell of those that are missing
	Client   *http.Client // to read objects with; one without redirects if nil
	Log      *slog.Logger // nil for none
}

// Service is a thumbnail service. Make it with New.
type Service struct {
	cfg Config
	log *slog.Logger

	jobs sync.WaitGroup

	mu         sync.Mutex
	configured packet.ThumbnailConfigure
	running    map[string]job
}

// job is a job under way.
type job struct {
	conn   *packet.Conn
	cancel context.CancelCauseFunc
}

// New makes a Service. It does nothing until Run is called.
func New(cfg Config) *Service {
	cfg.Worker.Type = packet.ServiceThumbnail
	cfg.Worker.Handlers = 1
	cfg.Worker.Capacity = cmp.Or(cfg.Worker.Capacity, 2)
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	cfg.Worker.Log = cmp.Or(cfg.Worker.Log, cfg.Log)
	if cfg.Client == nil {
		cfg.Client = &http.Client{
			Timeout:       30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Service{cfg: cfg, log: cfg.Log, running: map[string]job{}}
}

// Run serves until ctx ends, and returns when the last child has. Before that it
// returns only if the configuration is unusable: ErrInvalid.
func (s *Service) Run(ctx context.Context) error {
	managers := s.cfg.Managers
	if len(managers) == 0 {
		managers = []string{s.cfg.Worker.ManagerURL}
	}
	bases := map[string]string{}
	for _, manager := range managers {
		u, err := url.Parse(manager)
		if err != nil || u.Host == "" {
			return fmt.Errorf("%w: address of the manager", cloud.ErrInvalid)
		}
		base := url.URL{Scheme: strings.Replace(u.Scheme, "ws", "http", 1), Host: u.Host}
		bases[manager] = base.String()
	}
	if missing := s.missing(); missing != "" {
		s.log.InfoContext(ctx, "not everything can have a thumbnail", "missing", missing)
	}
	err := worker.RunAll(ctx, s.cfg.Worker, managers, func(manager string) worker.Handler { return &link{s, bases[manager]} })
	s.jobs.Wait()
	return err
}

// missing tells which programs are not installed, and what they would do.
func (s *Service) missing() string {
	var all []string
	if s.cfg.Tools.FFmpeg == "" || s.cfg.Tools.FFprobe == "" {
		all = append(all, "ffmpeg (videos, sound)")
	}
	if s.cfg.Tools.Vips == "" {
		all = append(all, "vipsthumbnail (HEIC, AVIF)")
	}
	if s.cfg.Tools.SVG == "" && s.cfg.Tools.Vips == "" {
		all = append(all, "rsvg-convert (SVG)")
	}
	if s.cfg.Tools.PDF == "" {
		all = append(all, "pdftoppm (PDF)")
	}
	return strings.Join(all, ", ")
}

// link is the side of a Service that a manager sees. Its packets come one after the
// other.
type link struct {
	*Service
	base string // of the manager
}

var _ worker.Handler = (*link)(nil)

// Handle does what the manager asks, and says yes or why not.
func (l *link) Handle(ctx context.Context, m packet.Message) {
	s := l.Service
	answer := packet.Boolean{Success: true}
	var err error
	switch p := m.Data.(type) {
	case packet.ThumbnailConfigure:
		s.mu.Lock()
		s.configured = p
		s.mu.Unlock()
		answer.Message = s.missing()
	case packet.ThumbnailJob:
		err = s.take(ctx, m.Conn(), l.base, p)
	default:
		err = cloud.UserErrorf(cloud.ErrInvalid, "no such request to a thumbnail service")
	}
	if err != nil {
		answer = packet.Boolean{Message: cloud.TextOf(err)}
	}
	_ = m.Reply(answer) // a manager that is gone asks again when it is back
}

// Disconnected gives up the jobs of the connection: nobody waits for them.
func (l *link) Disconnected(conn *packet.Conn) {
	s := l.Service
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, j := range s.running {
		if j.conn == conn {
			j.cancel(cloud.ErrUnavailable)
		}
	}
}

// take begins a job.
func (s *Service) take(ctx context.Context, conn *packet.Conn, base string, p packet.ThumbnailJob) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.configured
	_, twice := s.running[p.Job]
	switch {
	case len(c.Sizes) == 0:
		return cloud.UserErrorf(cloud.ErrUnavailable, "the service is not configured")
	case twice || len(s.running) >= s.cfg.Worker.Capacity:
		return cloud.UserErrorf(cloud.ErrUnavailable, "the service has %d jobs already", len(s.running))
	case !strings.HasPrefix(p.Source, "/api/"):
		return cloud.UserErrorf(cloud.ErrInvalid, "a source that is not below /api/")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.running[p.Job] = job{conn, cancel}
	s.jobs.Go(func() {
		defer func() {
			cancel(nil)
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.running, p.Job)
		}()
		done := s.make(ctx, c, base, p)
		if ctx.Err() != nil {
			return
		}
		// Before the manager knows, the place must be free: it may send the next.
		s.mu.Lock()
		delete(s.running, p.Job)
		s.mu.Unlock()
		if _, err := conn.Call(ctx, done); err != nil {
			s.log.DebugContext(ctx, "thumbnail not delivered", "job", p.Job, "err", err)
		}
	})
	return nil
}

// make makes the images of an object.
func (s *Service) make(ctx context.Context, c packet.ThumbnailConfigure, base string, p packet.ThumbnailJob) packet.ThumbnailDone {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(c.Seconds)*time.Second, errLate)
	defer cancel()
	began := time.Now()
	object := &source{ctx: ctx, client: s.cfg.Client, from: base + p.Source, ticket: p.Ticket, size: p.Size, most: mostFetch}
	if strings.HasPrefix(p.Type, "video/") || strings.HasPrefix(p.Type, "audio/") {
		object.most = mostSeek
	}
	j := decode.Job{Size: p.Size, Type: p.Type, Quality: int(c.Quality), Limit: int(c.ImageLimit)}
	for _, size := range c.Sizes {
		j.Sizes = append(j.Sizes, int(size))
	}
	r, err := s.cfg.Decoder.Run(ctx, j, object)
	done := packet.ThumbnailDone{Job: p.Job}
	failure, blamed := errors.AsType[jail.Failure](err)
	switch {
	case blamed:
		done.Reason = string(failure)
	case err != nil:
		done.Reason, done.Transient = "the file could not be read", true
	case r.Reason != "":
		done.Reason, done.Transient = r.Reason, r.Source
	default:
		done.Success = true
		for _, img := range r.Images {
			done.Images = append(done.Images, packet.ThumbnailImage{Size: int64(img.Size), Data: base64.StdEncoding.EncodeToString(img.Data)})
		}
		f := r.Facts
		done.Facts = &packet.MediaFacts{
			Width: f.Width, Height: f.Height, Duration: f.Duration, TakenAt: f.TakenAt, Camera: f.Camera,
			Title: f.Title, Artist: f.Artist, Album: f.Album, Codec: f.Codec, Pages: f.Pages,
		}
	}
	s.log.DebugContext(ctx, "thumbnail job ended", "job", p.Job, "success", done.Success, "reason", done.Reason,
		"bytes", object.fetched, "took", time.Since(began), "err", err)
	return done
}

const errLate = jail.Failure("it takes too long to decode")
