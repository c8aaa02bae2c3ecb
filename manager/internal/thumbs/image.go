package thumbs

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
	"discordcloud/pkg/packet"
)

const (
	// imageLimit is what a service may send of one image, and what one is stored
	// in, in bytes.
	imageLimit = 352 << 10
	// sentQuality is JPEG's, as services make it.
	sentQuality = 90
)

// Image is one size of a thumbnail.
type Image struct {
	Type          string // MIME type
	Width, Height int
	Sum           cloud.Sum
	Bytes         []byte
}

// Open gives the image of an entry's content for a size: the smallest that was
// made for as much, else the largest. Whoever asks has been let in. ErrNotFound
// if there is none.
func (t *Thumbs) Open(ctx context.Context, e cloud.Entry, size int) (Image, error) {
	if e.IsFolder() {
		return Image{}, fmt.Errorf("thumbnail of a folder: %w", cloud.ErrNotFound)
	}
	th, err := t.Store.Thumbnail(ctx, e.Object)
	if errors.Is(err, cloud.ErrNotFound) || err == nil && len(th.Images) == 0 {
		t.Want(PriorityOpened, e)
		return Image{}, fmt.Errorf("thumbnail of %d: %w", e.ID, cloud.UserErrorf(cloud.ErrNotFound, "the file has no thumbnail"))
	}
	if err != nil {
		return Image{}, err
	}
	best := th.Images[0]
	for _, i := range th.Images {
		if best.Size < size && i.Size > best.Size || i.Size >= size && i.Size < best.Size {
			best = i
		}
	}
	plain, err := t.open(ctx, th)
	if err != nil {
		return Image{}, fmt.Errorf("thumbnail of %d: %w", e.ID, err)
	}
	if best.Offset < 0 || best.Bytes < 1 || best.Offset+best.Bytes > int64(len(plain)) {
		return Image{}, fmt.Errorf("thumbnail of %d: %w", e.ID, cloud.ErrCorrupt)
	}
	return Image{Type: cmp.Or(best.Type, typeJPEG), Width: best.Width, Height: best.Height, Sum: best.Sum, Bytes: plain[best.Offset : best.Offset+best.Bytes]}, nil
}

// Facts gives what was found out about an entry's content, a JSON record, "" if
// that is nothing.
func (t *Thumbs) Facts(ctx context.Context, e cloud.Entry) (string, error) {
	if e.IsFolder() {
		return "", nil
	}
	return t.Store.Facts(ctx, e.ID)
}

// open reads and opens the chunk of a thumbnail.
func (t *Thumbs) open(ctx context.Context, th meta.Thumbnail) ([]byte, error) {
	sealed := t.cache.get(th.Pack)
	if sealed != nil {
		if plain, err := t.unseal(th, sealed); err == nil {
			return plain, nil
		}
		t.cache.remove(th.Pack) // the disk has damaged it
	}
	r, err := t.Blobs.Get(ctx, th.Chunk.Ref, 0, -1)
	if err != nil {
		return nil, err
	}
	sealed, err = io.ReadAll(io.LimitReader(r, th.Chunk.SealedSize+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	plain, err := t.unseal(th, sealed)
	if err != nil {
		return nil, err
	}
	t.cache.put(th.Pack, sealed)
	return plain, nil
}

func (t *Thumbs) unseal(th meta.Thumbnail, sealed []byte) ([]byte, error) {
	a, r, err := crypt.Open(t.Ring, bytes.NewReader(sealed), int64(len(sealed)))
	if err != nil {
		return nil, err
	}
	if a.Object != th.Pack || a.Header.Kind != crypt.Thumbnail || a.Chunk.Salt != th.Chunk.Salt {
		return nil, fmt.Errorf("%w: another chunk than this thumbnail's", cloud.ErrCorrupt)
	}
	return io.ReadAll(r)
}

// errNoThumbnail is for answers that claim to be thumbnails.
var errNoThumbnail = errors.New("what the service sent is no thumbnail")

// check decodes what a service sent: nothing else of it is kept. The images are
// in the order of sizes.
func check(sent []packet.ThumbnailImage) ([]image.Image, error) {
	if len(sent) != len(sizes) {
		return nil, fmt.Errorf("%w: %d images", errNoThumbnail, len(sent))
	}
	var images []image.Image
	for i, s := range sent {
		raw, err := base64.StdEncoding.DecodeString(s.Data)
		if err != nil || s.Size != sizes[i] || len(raw) > imageLimit {
			return nil, fmt.Errorf("%w: %d bytes for size %d", errNoThumbnail, len(raw), s.Size)
		}
		config, err := jpeg.DecodeConfig(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoThumbnail, err)
		}
		if config.Width < 1 || config.Height < 1 || int64(max(config.Width, config.Height)) > s.Size {
			return nil, fmt.Errorf("%w: %d by %d pixels for size %d", errNoThumbnail, config.Width, config.Height, s.Size)
		}
		img, err := jpeg.Decode(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNoThumbnail, err)
		}
		images = append(images, img)
	}
	return images, nil
}

// pack encodes images as they are kept: what it gives is where they lie in the
// bytes, and the BlurHash of the smallest.
func (t *Thumbs) pack(ctx context.Context, images []image.Image) (th meta.Thumbnail, plain []byte, err error) {
	th.Preview = blurHash(images[0])
	for i, img := range images {
		b, format, err := t.encode(ctx, img)
		if err != nil {
			return th, nil, err
		}
		th.Images = append(th.Images, meta.ThumbnailImage{
			Type: format, Size: int(sizes[i]), Width: img.Bounds().Dx(), Height: img.Bounds().Dy(),
			Offset: int64(len(plain)), Bytes: int64(len(b)), Sum: sha256.Sum256(b),
		})
		plain = append(plain, b...)
	}
	return th, plain, nil
}

// store seals the images and puts them away.
func (t *Thumbs) store(ctx context.Context, plain []byte) (cloud.ObjectID, cloud.Chunk, error) {
	var pack cloud.ObjectID
	_, _ = rand.Read(pack[:]) // never fails
	h := crypt.Header{Kind: crypt.Thumbnail, Final: true, ObjectSize: int64(len(plain)), Time: t.Now()}
	sealed, err := crypt.Seal(t.Ring.ObjectKey(pack), pack, h, nil, plain)
	if err != nil {
		return pack, cloud.Chunk{}, fmt.Errorf("seal thumbnail: %w", err)
	}
	ref, err := t.Blobs.Put(ctx, sealed)
	if err != nil {
		return pack, cloud.Chunk{}, fmt.Errorf("store thumbnail: %w", err)
	}
	c := sealed.Chunk()
	c.Ref = ref
	t.cache.put(pack, sealed.Bytes())
	return pack, c, nil
}
