package jail_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"discordcloud/services/thumbnail/decode"
	"discordcloud/services/thumbnail/jail"
)

// The children are this test binary, told by its first argument what to be.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "decode":
			os.Exit(decode.Main(os.Stdin, os.Stdout))
		case "hang":
			select {}
		case "spin":
			for i := 0; ; i++ {
				spun.Store(int64(i))
			}
		case "crash":
			panic("as libraries do")
		case "nothing":
			os.Exit(0)
		case "babble":
			fmt.Println("<html><body>no thumbnail</body></html>")
			os.Exit(0)
		case "flood":
			for {
				if _, err := os.Stdout.Write(append([]byte{decode.FrameResult, 0xff, 0xff, 0xff, 0xff}, make([]byte, 1<<20)...)); err != nil {
					os.Exit(0)
				}
			}
		case "outside": // asks for what is not in the object
			_, _, _ = decode.ReadFrame(bufio.NewReader(os.Stdin), 1<<20)
			_ = decode.WriteFrame(os.Stdout, decode.FrameRead, []byte{0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0})
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}
	}
	os.Exit(m.Run())
}

var spun atomic.Int64

// child is a Jail whose child is what the argument says.
func child(t *testing.T, as string) *jail.Jail {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &jail.Jail{Command: []string{self, as}, Tools: jail.FindTools(), Time: 20 * time.Second}
}

// job is a job as managers give it.
func job(size int64, kind string) decode.Job {
	return decode.Job{Size: size, Type: kind, Sizes: []int{256, 1024}, Quality: 90, Limit: 384 << 10}
}

// show makes the thumbnails of b.
func show(t *testing.T, j *jail.Jail, b []byte, kind string) (decode.Result, error) {
	t.Helper()
	return j.Run(t.Context(), job(int64(len(b)), kind), bytes.NewReader(b))
}

// reason is why there is no thumbnail.
func reason(r decode.Result, err error) string {
	failure, ok := errors.AsType[jail.Failure](err)
	switch {
	case ok:
		return string(failure)
	case err != nil:
		return "error: " + err.Error()
	}
	return r.Reason
}

// images decodes the images of a result, and wants them to be as asked for.
func images(t *testing.T, r decode.Result, err error) map[int]image.Image {
	t.Helper()
	if why := reason(r, err); why != "" {
		t.Fatalf("no thumbnail: %s", why)
	}
	all := map[int]image.Image{}
	for _, i := range r.Images {
		img, err := jpeg.Decode(bytes.NewReader(i.JPEG))
		if err != nil {
			t.Fatal(err)
		}
		if b := img.Bounds(); b.Dx() > i.Size || b.Dy() > i.Size || len(i.JPEG) > 384<<10 {
			t.Errorf("for %d: %v, %d bytes", i.Size, b, len(i.JPEG))
		}
		all[i.Size] = img
	}
	if all[256] == nil || all[1024] == nil {
		t.Fatalf("sizes missing: %d images", len(all))
	}
	return all
}

func TestRun_children(t *testing.T) {
	for as, want := range map[string]string{
		"hang":    "too long",
		"spin":    "too long",
		"crash":   "crashed",
		"nothing": "crashed",
		"babble":  "crashed", // the letters of a frame that never comes
		"flood":   "crashed",
		"outside": "nonsense",
	} {
		t.Run(as, func(t *testing.T) {
			j := child(t, as)
			j.Time = 500 * time.Millisecond
			if as == "crash" || as == "nothing" {
				j.Time = 20 * time.Second
			}
			began := time.Now()
			r, err := show(t, j, []byte("anything"), "")
			if why := reason(r, err); !strings.Contains(why, want) || r.Images != nil {
				t.Errorf("%q, want %q", why, want)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// An object that cannot be read is nobody's fault but the reader's.
func TestRun_source(t *testing.T) {
	broken := errors.New("no such luck")
	_, err := child(t, "decode").Run(t.Context(), job(1000, "image/png"), readerAt(func([]byte, int64) (int, error) { return 0, broken }))
	if !errors.Is(err, jail.ErrSource) || !errors.Is(err, broken) {
		t.Errorf("an object that cannot be read gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = child(t, "decode").Run(ctx, job(1000, "image/png"), readerAt(func([]byte, int64) (int, error) {
		cancel()
		return 0, broken
	}))
	if err == nil {
		t.Error("a cancelled job has a result")
	}
}

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }
