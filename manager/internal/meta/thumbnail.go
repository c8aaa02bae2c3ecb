package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// ThumbnailState is how far the thumbnail of an object is.
type ThumbnailState string

// The states of a thumbnail. One that is queued again has its old images until
// there are new ones.
const (
	ThumbnailQueued ThumbnailState = "queued"
	ThumbnailReady  ThumbnailState = "ready"
	ThumbnailFailed ThumbnailState = "failed"
)

// Thumbnail is the preview of an object: images of some sizes, sealed together
// in one chunk.
type Thumbnail struct {
	Object   cloud.ObjectID // what it is of
	State    ThumbnailState
	Attempts int
	Decoder  int    // version of the decoder that ended it, 0 before
	Reason   string // why it failed
	Facts    string // what was found on the way, a JSON record, or ""
	Preview  string // for listings, a BlurHash; written only, entries have it

	Images []ThumbnailImage // none before it was made
	Pack   cloud.ObjectID   // under which they are sealed
	Chunk  cloud.Chunk      // where they lie
}

// ThumbnailImage is one image inside a Thumbnail's chunk.
type ThumbnailImage struct {
	Type   string    `json:"type,omitempty"` // MIME type; "" is image/jpeg
	Size   int       `json:"size"`           // that it was made for
	Width  int       `json:"width"`
	Height int       `json:"height"`
	Offset int64     `json:"offset"` // of its first byte in the chunk's plain bytes
	Bytes  int64     `json:"bytes"`
	Sum    cloud.Sum `json:"sum"`
}

// ThumbnailJob is a thumbnail that is to be made.
type ThumbnailJob struct {
	Entry   cloud.Entry // one that has the object
	Attempt int         // from 1
}

// Thumbnails keeps previews and the queue of those to be made. A thumbnail
// belongs to an object, not to an entry: copies share it.
type Thumbnails interface {
	// QueueThumbnails asks for the thumbnails of those objects that are stored. One
	// that is queued keeps the higher priority; one that has failed is queued again
	// for a decoder newer than the one that failed; one that is ready stays, and
	// entries that do not know are told.
	QueueThumbnails(ctx context.Context, objects []cloud.ObjectID, priority, decoder int) error
	// LeaseThumbnail takes the queued thumbnail of the highest priority whose
	// time has come, of several the one whose time came last, and keeps it from
	// others until the given time. One that would be leased too often has failed
	// instead. ErrNotFound if there is none.
	LeaseThumbnail(ctx context.Context, now, until time.Time, attempts int) (ThumbnailJob, error)
	// ReturnThumbnail gives a leased one back, to be leased again after a time;
	// uncounted, the attempt is taken back.
	ReturnThumbnail(ctx context.Context, object cloud.ObjectID, after time.Time, uncounted bool) error
	// FinishThumbnail records t as ready, or as failed where t says so, and gives
	// the entries that have the object, and the pack that t replaces, if there is
	// one. ErrNotFound if the object is not stored any more.
	FinishThumbnail(ctx context.Context, t Thumbnail) (entries []cloud.Entry, old *Thumbnail, err error)
	// Thumbnail gives what is known. ErrNotFound if nobody has asked for it.
	Thumbnail(ctx context.Context, object cloud.ObjectID) (Thumbnail, error)
	// Facts gives what is known of a file beside its bytes, "" if that is nothing.
	Facts(ctx context.Context, entry cloud.EntryID) (string, error)
	// RequeueThumbnails queues all that are there, whatever became of them.
	RequeueThumbnails(ctx context.Context) (int64, error)
	// RequeueFailedThumbnails queues those that have failed.
	RequeueFailedThumbnails(ctx context.Context) error
	// StaleThumbnails gives thumbnails whose objects are garbage. All are also those
	// whose objects were collected before: for them every thumbnail is looked at.
	StaleThumbnails(ctx context.Context, all bool, most int) ([]Thumbnail, error)
	// ForgetThumbnail removes the row of one of those.
	ForgetThumbnail(ctx context.Context, object cloud.ObjectID) error
	// CountThumbnails gives the number of thumbnails in each state.
	CountThumbnails(ctx context.Context) (map[ThumbnailState]int64, error)
}
