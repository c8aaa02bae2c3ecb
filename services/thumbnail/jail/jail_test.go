package jail_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/services/thumbnail/decode"
	"discordcloud/services/thumbnail/jail"
)

// builtChild is the program in testdata.
var builtChild = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "discord-cloud-child")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "child")
	if out, err := exec.Command("go", "build", "-o", path, "./testdata/child").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := builtChild(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// child is a Jail whose child is what the argument says.
func child(t *testing.T, as string) *jail.Jail {
	t.Helper()
	path, err := builtChild()
	if err != nil {
		t.Fatal(err)
	}
	return &jail.Jail{Command: []string{path, as}, Tools: jail.FindTools(), Time: 20 * time.Second}
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
		img, err := jpeg.Decode(bytes.NewReader(i.Data))
		if err != nil {
			t.Fatal(err)
		}
		if b := img.Bounds(); b.Dx() > i.Size || b.Dy() > i.Size || len(i.Data) > 384<<10 {
			t.Errorf("for %d: %v, %d bytes", i.Size, b, len(i.Data))
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
			if as == "hang" || as == "spin" {
				j.Time = 500 * time.Millisecond
			}
			began := time.Now()
			r, err := show(t, j, []byte("anything"), "")
			if why := reason(r, err); !strings.Contains(why, want) || r.Images != nil {
				t.Errorf("%q, want %q", why, want)
			}
			if took := time.Since(began); took > 19*time.Second {
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
