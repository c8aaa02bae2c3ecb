package dispatch

import (
	"context"

	"discordcloud/pkg/cloud"
)

// Pause gives the slot of an upload of this connection back, for another one to
// take. What is stored of it is kept, and Resume goes on with it.
func (c *Client) Pause(ctx context.Context, id cloud.UploadID) error {
	d := c.d
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.uploads[id]
	switch {
	case u == nil || u.client != c || u.User != c.Who.User:
		return cloud.UserErrorf(cloud.ErrNotFound, "no such upload is running")
	case u.stage == opening:
		return cloud.UserErrorf(cloud.ErrUnavailable, "the upload is beginning at this moment")
	case u.stage != running:
		return cloud.UserErrorf(cloud.ErrInvalid, "the upload has all its parts")
	}
	d.drop(ctx, u)
	return nil
}
