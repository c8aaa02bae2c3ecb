package jail

import (
	"bytes"
	"context"

	"discordcloud/services/thumbnail/decode"
)

// Encode gives a picture in another format, decode.WebP or decode.AVIF, of at
// most size pixels on its longer side and most bytes: quality, from 1 to 100, is
// lowered until it fits. picture is in a format that vipsthumbnail reads, and of
// our own making; a child of its own does it all the same. A Failure says why
// not.
func (j *Jail) Encode(ctx context.Context, picture []byte, size int, format string, quality, most int) ([]byte, error) {
	job := decode.Job{Size: int64(len(picture)), Encode: format, Sizes: []int{size}, Quality: quality, Limit: most}
	r, err := j.Run(ctx, job, bytes.NewReader(picture))
	switch {
	case err != nil:
		return nil, err
	case r.Reason != "":
		return nil, Failure(r.Reason)
	case len(r.Images) != 1 || len(r.Images[0].Data) > most:
		return nil, errBabble
	}
	return r.Images[0].Data, nil
}
