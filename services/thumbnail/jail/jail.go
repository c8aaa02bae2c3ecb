// Package jail runs package decode in a child process that can do nothing but
// decode: it has limits of memory, time and output, an empty environment, no
// open file but two pipes, and, where the system permits, no network, no other
// process in sight and no rights. What the child does to itself costs one
// thumbnail.
package jail

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"discordcloud/services/thumbnail/decode"
)

// Jail starts children. Its fields are set before the first Run; it is safe for
// concurrent use.
type Jail struct {
	// Command is the program and the arguments that make it call decode.Main.
	Command []string
	Tools   decode.Tools
	// Memory is what one child may have, in bytes: 512 MiB.
	Memory int64
	// Time is what one child may take: 10 s.
	Time time.Duration
	Log  *slog.Logger // nil for none

	isolation atomic.Int32 // index in isolations of the best that the system permits
	lacking   sync.Once    // what the system lacks has been told
}

// FindTools looks for the programs of the system that decode what Go does not.
func FindTools() decode.Tools {
	find := func(name string) string {
		path, err := exec.LookPath(name)
		if err != nil {
			return ""
		}
		return path
	}
	return decode.Tools{FFmpeg: find("ffmpeg"), FFprobe: find("ffprobe"), Vips: find("vipsthumbnail"), PDF: find("pdftoppm"), SVG: find("rsvg-convert")}
}

// ErrSource says that the object could not be read.
var ErrSource = errors.New("the object cannot be read")

// Failure says why a child gave nothing, fit to be shown.
type Failure string

func (f Failure) Error() string { return string(f) }

// maxResult is what a child may say, in bytes: some images in base64.
const maxResult = 8 << 20

// Run has a child do a job on an object. A result has images or a reason why
// not. The error is a Failure if the object is to blame, ErrSource if it could
// not be read.
func (j *Jail) Run(ctx context.Context, job decode.Job, object io.ReaderAt) (decode.Result, error) {
	limit := j.Time
	if limit == 0 {
		limit = 10 * time.Second
	}
	job.Tools, job.Memory = j.Tools, j.Memory
	if job.Memory == 0 {
		job.Memory = 512 << 20
	}
	// Reading takes the time of others: the child has a processor for the limit,
	// is silent for no longer, and has four times as long in all.
	job.Seconds = max(1, int(limit/time.Second))
	timed, cancel := context.WithTimeoutCause(ctx, 4*limit, errTooLong)
	defer cancel()
	for {
		isolation := int(j.isolation.Load())
		r, err := j.once(timed, job, object, limit, isolation)
		if _, denied := errors.AsType[*deniedError](err); denied && isolation+1 < len(isolations) {
			j.isolation.CompareAndSwap(int32(isolation), int32(isolation+1))
			continue
		}
		if err != nil && context.Cause(timed) == errTooLong {
			err = errTooLong
		}
		if err == nil {
			j.tell(ctx, r, isolation)
		}
		return r, err
	}
}

// tell says once which bounds children do not have on this system.
func (j *Jail) tell(ctx context.Context, r decode.Result, isolation int) {
	lacks := slices.Clone(r.Lacks)
	if isolations[isolation] == 0 {
		lacks = append(lacks, "namespaces")
	}
	if len(lacks) == 0 || j.Log == nil {
		return
	}
	j.lacking.Do(func() {
		j.Log.WarnContext(ctx, "thumbnails are decoded with less between them and this system than there could be", "lacking", strings.Join(lacks, ","))
	})
}

const (
	errTooLong = Failure("it takes too long to decode")
	errCrashed = Failure("the decoder crashed on it")
	errBabble  = Failure("the decoder spoke nonsense")
)

// deniedError is the system's refusal of a namespace.
type deniedError struct{ err error }

func (e *deniedError) Error() string { return e.err.Error() }

func (j *Jail) once(ctx context.Context, job decode.Job, object io.ReaderAt, limit time.Duration, isolation int) (decode.Result, error) {
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	network := decode.Shared
	if isolations[isolation] != 0 {
		network = decode.Alone
	}
	// The child reads its own program, and those of the system; these may be others.
	for _, program := range []string{job.Tools.FFmpeg, job.Tools.FFprobe, job.Tools.Vips, job.Tools.PDF, job.Tools.SVG} {
		if program != "" && !strings.HasPrefix(program, "/usr/") && !strings.Contains(program, ":") {
			network += ":" + program
		}
	}
	cmd := exec.CommandContext(ctx, j.Command[0], append(slices.Clone(j.Command[1:]), network)...)
	cmd.Env = []string{fmt.Sprintf("GOMEMLIMIT=%d", job.Memory/4*3), "GOTRACEBACK=none"}
	cmd.Dir = "/"
	confine(cmd, isolation)
	cmd.WaitDelay = 2 * time.Second
	in, err := cmd.StdinPipe()
	if err != nil {
		return decode.Result{}, fmt.Errorf("start decoder: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return decode.Result{}, fmt.Errorf("start decoder: %w", err)
	}
	if err := cmd.Start(); err != nil {
		if isolations[isolation] != 0 && isDenied(err) {
			return decode.Result{}, &deniedError{err}
		}
		return decode.Result{}, fmt.Errorf("start decoder: %w", err)
	}
	// The child is silent for no longer than its limit.
	silence := time.AfterFunc(limit, func() { cancel(errTooLong) })
	defer silence.Stop()
	r, failed := converse(in, out, job, object, silence, limit)
	if failed != nil {
		cancel(failed)
	}
	_ = in.Close() // it is gone, or shall go
	killGroup(cmd)
	_ = cmd.Wait() // killed or not, what it said counts
	switch {
	case failed == nil:
		return r, nil // whatever it died of afterwards
	case context.Cause(ctx) == errTooLong:
		return decode.Result{}, errTooLong
	case outer.Err() != nil:
		return decode.Result{}, context.Cause(outer)
	case errors.Is(failed, ErrSource), errors.Is(failed, errBabble):
		return decode.Result{}, failed
	}
	return decode.Result{}, errCrashed
}

// converse tells the child its job and answers what it asks, until it has a
// result.
func converse(in io.Writer, out io.Reader, job decode.Job, object io.ReaderAt, silence *time.Timer, limit time.Duration) (decode.Result, error) {
	text, err := json.Marshal(job)
	if err != nil {
		return decode.Result{}, err
	}
	if err := decode.WriteFrame(in, decode.FrameJob, text); err != nil {
		return decode.Result{}, err
	}
	var source error
	r := bufio.NewReader(out)
	for {
		letter, payload, err := decode.ReadFrame(r, maxResult)
		if err != nil {
			return decode.Result{}, err
		}
		switch letter {
		case decode.FrameRead:
			off, n, err := decode.ParseRead(payload)
			if err != nil || off+int64(n) > job.Size {
				return decode.Result{}, errBabble
			}
			silence.Stop() // now it waits for us
			b := make([]byte, n)
			answer := byte(decode.FrameBytes)
			if _, err := object.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
				answer, b, source = decode.FrameError, nil, fmt.Errorf("%w: %w", ErrSource, err)
			}
			silence.Reset(limit)
			if err := decode.WriteFrame(in, answer, b); err != nil {
				return decode.Result{}, err
			}
		case decode.FrameResult:
			var result decode.Result
			if err := json.Unmarshal(payload, &result); err != nil {
				return decode.Result{}, errBabble
			}
			if source != nil {
				return decode.Result{}, source
			}
			return result, nil
		default:
			return decode.Result{}, errBabble
		}
	}
}
