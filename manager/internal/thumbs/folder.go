package thumbs

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/cloud"
)

// Folder keeps blobs as files of a folder of this machine, for those who do not
// want thumbnails in Discord.
type Folder struct{ dir string }

var _ blob.Store = Folder{}

// OpenFolder makes the folder if it is missing, for the owner's eyes only.
func OpenFolder(dir string) (Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Folder{}, fmt.Errorf("open folder of thumbnails: %w", err)
	}
	return Folder{dir}, nil
}

// Put implements blob.Store. The blob is on the disk when it returns.
func (f Folder) Put(ctx context.Context, body blob.Body) (cloud.Ref, error) {
	if err := ctx.Err(); err != nil {
		return cloud.Ref{}, fmt.Errorf("store blob: %w", err)
	}
	name := rand.Text()
	dir := filepath.Join(f.dir, name[:2])
	fail := func(err error) (cloud.Ref, error) { return cloud.Ref{}, fmt.Errorf("store blob: %w", err) }
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fail(err)
	}
	path := filepath.Join(dir, name)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fail(err)
	}
	_, err = io.Copy(file, body.Open())
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fail(errors.Join(err, os.Remove(path)))
	}
	return cloud.Ref{Path: name[:2] + "/" + name}, nil
}

func (f Folder) path(ref cloud.Ref) (string, error) {
	if !filepath.IsLocal(ref.Path) || ref.Channel != "" {
		return "", fmt.Errorf("blob: %w", cloud.ErrNotFound) // another store made it
	}
	return filepath.Join(f.dir, filepath.FromSlash(ref.Path)), nil
}

// Get implements blob.Store.
func (f Folder) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	path, err := f.path(ref)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob: %w", cloud.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	size := int64(len(b))
	if n < 0 {
		n = size - off
	}
	if off < 0 || off > size || n > size-off {
		return nil, fmt.Errorf("read %d bytes from %d of a blob with %d: %w", n, off, size, cloud.ErrInvalid)
	}
	return io.NopCloser(bytes.NewReader(b[off : off+n])), nil
}

// Delete implements blob.Store.
func (f Folder) Delete(ctx context.Context, refs ...cloud.Ref) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	for _, ref := range refs {
		path, err := f.path(ref)
		if err != nil {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete blob: %w", err)
		}
	}
	return nil
}
