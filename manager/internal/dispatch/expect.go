package dispatch

import (
	"discordcloud/pkg/cloud"
)

// Expect takes the client's word for the hash of a file that it is uploading.
// If the parts make up another file the upload fails, and what had its name
// stays as it was. It has to come before the last part; the word is kept as long
// as the upload is in memory, so who resumes gives it again.
func (c *Client) Expect(id cloud.UploadID, hash cloud.Sum) error {
	d := c.d
	d.mu.Lock()
	defer d.mu.Unlock()
	u := d.uploads[id]
	if u == nil || u.client != c || u.User != c.Who.User {
		return cloud.UserErrorf(cloud.ErrNotFound, "no such upload is running")
	}
	if u.stage != opening && u.stage != running {
		return cloud.UserErrorf(cloud.ErrInvalid, "the upload has all its parts")
	}
	u.hash = hash
	return nil
}
