package api

import (
	"discordcloud/pkg/cloud"
)

// channelRecord is what a channel of Discord holds of a file.
type channelRecord struct {
	ID          string `json:"id"`
	Messages    int64  `json:"messages"`
	Chunks      int64  `json:"chunks"`
	SealedBytes int64  `json:"sealed_bytes"`
}

// storage tells where the content of a file lies.
func (a *api) storage(q *call) error {
	if q.entry.IsFolder() {
		return cloud.UserErrorf(cloud.ErrInvalid, "a folder has no content of its own")
	}
	places, err := a.FS.Store.Places(q.ctx(), q.entry.Object)
	if err != nil {
		return err
	}
	channels := make([]channelRecord, 0, len(places))
	for _, c := range places {
		channels = append(channels, channelRecord(c))
	}
	return q.answer(map[string]any{"channels": channels})
}
