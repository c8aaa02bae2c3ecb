package thumbs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"discordcloud/pkg/blob"
	"discordcloud/pkg/blob/bucketblob"
	"discordcloud/pkg/cloud"
)

// Places keeps new blobs in one store, and reads and deletes what lies in any:
// what was kept before the choice was changed stays readable.
type Places struct {
	Folder  blob.Store
	Discord blob.Store
	Bucket  blob.Store // nil if none is set up
	New     blob.Store // one of them
}

var _ blob.Store = Places{}

// of is the store that made ref: those of Discord name a message, those of a
// bucket the bucket.
func (p Places) of(ref cloud.Ref) (blob.Store, error) {
	switch {
	case ref.Message != "":
		return p.Discord, nil
	case !bucketblob.Holds(ref):
		return p.Folder, nil
	case p.Bucket == nil:
		return nil, fmt.Errorf("%w: it lies in a bucket, and none is set up", cloud.ErrUnavailable)
	}
	return p.Bucket, nil
}

// Put implements blob.Store.
func (p Places) Put(ctx context.Context, body blob.Body) (cloud.Ref, error) {
	return p.New.Put(ctx, body)
}

// Get implements blob.Store.
func (p Places) Get(ctx context.Context, ref cloud.Ref, off, n int64) (io.ReadCloser, error) {
	s, err := p.of(ref)
	if err != nil {
		return nil, err
	}
	return s.Get(ctx, ref, off, n)
}

// Delete implements blob.Store.
func (p Places) Delete(ctx context.Context, refs ...cloud.Ref) error {
	var errs []error
	for _, ref := range refs {
		s, err := p.of(ref)
		if err == nil {
			err = s.Delete(ctx, ref)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
