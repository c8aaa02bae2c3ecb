package hub

import (
	"context"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// pageSize is the number of entries on a page.
const pageSize = 100

func (c *client) folderStatus(ctx context.Context, m packet.Message, p packet.FolderStatusRequest) error {
	status := packet.FolderStatus{Path: p.Path, PageSize: pageSize}
	e, err := c.folder(ctx, p.Path)
	if err == nil {
		var files, folders int
		if files, folders, err = c.hub.FS.Count(ctx, c.who, e.ID); err == nil {
			status.Exists, status.FolderID = true, wireID(e.ID)
			status.FileCount, status.SubfolderCount = int64(files), int64(folders)
		}
	}
	c.note(ctx, m, err)
	c.reply(m, status)
	return nil
}

// note logs an error that the reply has no room for.
func (c *client) note(ctx context.Context, m packet.Message, err error) {
	if err != nil && cloud.KindOf(err) == nil && ctx.Err() == nil {
		c.hub.Log.ErrorContext(ctx, "packet not handled", "packet", m.ID, "user", c.who.User, "err", err)
	}
}

func (c *client) list(ctx context.Context, m packet.Message, p packet.ListRequest) error {
	q := meta.Query{Kind: cloud.KindFile, Sort: meta.SortName, Limit: pageSize, Offset: int(p.Page) * pageSize}
	switch p.SortBy {
	case packet.SortBySize:
		q.Sort = meta.SortSize
	case packet.SortByUpdatedAt:
		q.Sort = meta.SortUpdated
	}
	q.Desc = p.AscendingSort != nil && !*p.AscendingSort
	if p.Type == packet.TypeSubfolders {
		q.Kind, q.Sort = cloud.KindFolder, meta.SortName
		q.Desc = q.Desc && p.SortBy == packet.SortByName
	}
	var page meta.Page
	folder, err := c.folder(ctx, p.Path)
	if err == nil {
		page, err = c.hub.FS.List(ctx, c.who, folder.ID, q)
	}
	c.note(ctx, m, err)
	if p.Type == packet.TypeSubfolders {
		answer := packet.ListFolders{Path: p.Path, Page: p.Page, Success: err == nil}
		for _, e := range page.Entries {
			answer.Folders = append(answer.Folders, c.folderHandle(e))
		}
		c.reply(m, answer)
		return nil
	}
	answer := packet.ListFiles{Path: p.Path, Page: p.Page, Success: err == nil}
	for _, e := range page.Entries {
		answer.Files = append(answer.Files, c.listedFile(e))
	}
	c.reply(m, answer)
	return nil
}

func (c *client) folderSize(ctx context.Context, m packet.Message, p packet.FolderSizeRequest) error {
	s, err := c.hub.FS.Sizes(ctx, c.who, idOf(p.FolderID))
	c.note(ctx, m, err)
	c.reply(m, packet.FolderSize{FolderID: p.FolderID, TotalSize: s.Bytes, Types: s.Types}) // zeros for what is not there
	return nil
}
