package hub

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// shared gives a page of what is shared with the client's user.
func (c *client) shared(ctx context.Context, m packet.Message, p packet.SharedRequest) error {
	page, err := c.hub.FS.SharedWithMe(ctx, c.who, pageSize, p.After)
	if err != nil {
		return err
	}
	answer := packet.Shared{Entries: make([]packet.Entry, len(page.Entries)), Next: page.Next}
	owners := map[cloud.UserID]string{0: ""} // of the page: there are few
	for i, e := range page.Entries {
		name, known := owners[e.Owner]
		if !known {
			u, err := c.hub.FS.Store.User(ctx, e.Owner)
			if err != nil && !errors.Is(err, cloud.ErrNotFound) {
				return fmt.Errorf("owner of %d: %w", e.ID, err)
			}
			if name = u.Name; name == "" {
				name = "?" // gone; the wire wants a name
			}
			owners[e.Owner] = name
		}
		answer.Entries[i] = c.entry(e, name)
	}
	c.reply(m, answer)
	return nil
}
