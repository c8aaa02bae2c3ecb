package sandbox

import (
	"crypto/md5"
	"errors"
	"hash"
	"hash/crc32"
	"image"
	_ "image/gif"  // for the sizes of pictures
	_ "image/jpeg" // likewise
	_ "image/png"  // likewise
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// files keeps the bytes of attachments, each in a file named by its id.
type files struct {
	dir  string
	sync bool
}

func openFiles(dir string, sync bool) (*files, error) {
	for i := range 16 {
		if err := os.MkdirAll(filepath.Join(dir, strconv.FormatInt(int64(i), 16)), 0o700); err != nil {
			return nil, err
		}
	}
	if sync {
		if err := syncDir(dir); err != nil {
			return nil, err
		}
	}
	return &files{dir, sync}, nil
}

// path spreads the files over 16 folders. An id's low bits count within a
// millisecond and are mostly 0, so all of it decides.
func (f *files) path(i id) string {
	return filepath.Join(f.dir, strconv.FormatUint(uint64(i)*0x9e3779b97f4a7c15>>60, 16), i.String())
}

// errTooBig says that a file exceeds its limit.
var errTooBig = errors.New("attachment too large")

// put stores what r has, at most limit bytes, under a's id and fills in what
// the bytes tell. After an error nothing is left.
func (f *files) put(a *attachment, r io.Reader, limit int64) (err error) {
	path := f.path(a.id)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := file.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			_ = os.Remove(path) // the first error tells more, and sweep finds it
		}
	}()
	sum := digest{md5: md5.New(), crc: crc32.New(castagnoli)}
	buf := make([]byte, 64<<10)
	a.size, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(file, sum.md5, sum.crc)}, struct{ io.Reader }{io.LimitReader(r, limit+1)}, buf)
	if err != nil {
		return err
	}
	if a.size > limit {
		return errTooBig
	}
	a.md5, a.crc = sum.md5.Sum(nil), sum.crc.Sum32()
	if err := look(a, file); err != nil {
		return err
	}
	if !f.sync {
		return nil
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

type digest struct {
	md5 hash.Hash
	crc hash.Hash32
}

// look guesses the content type, by name first, and measures pictures.
func look(a *attachment, file *os.File) error {
	ext := filepath.Ext(a.name)
	switch a.contentType = mime.TypeByExtension(ext); {
	case ext == ".bin":
		a.contentType = "application/octet-stream"
	case a.contentType == "":
		head := make([]byte, 512)
		n, err := file.ReadAt(head, 0)
		if err != nil && err != io.EOF {
			return err
		}
		a.contentType = http.DetectContentType(head[:n])
	}
	if strings.HasPrefix(a.contentType, "image/") {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if cfg, _, err := image.DecodeConfig(file); err == nil {
			a.width, a.height = cfg.Width, cfg.Height
		}
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (f *files) open(i id) (*os.File, error) { return os.Open(f.path(i)) }

// remove deletes files; one that is missing is as good as deleted.
func (f *files) remove(ids ...id) error {
	var errs []error
	for _, i := range ids {
		if err := os.Remove(f.path(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// sweep removes the files that are not known.
func (f *files) sweep(known func(id) (bool, error)) error {
	return filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n, err := strconv.ParseInt(d.Name(), 10, 64)
		if err != nil {
			return nil // not ours
		}
		ok, err := known(id(n))
		if err != nil || ok {
			return err
		}
		return os.Remove(path)
	})
}
