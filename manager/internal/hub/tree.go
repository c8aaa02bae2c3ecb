package hub

import (
	"context"
	"fmt"
	"slices"

	"discordcloud/manager/internal/auth"
	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// What clients change in the tree.

func (c *client) createFolder(ctx context.Context, p packet.CreateFolder) error {
	names, err := c.path(ctx, p.Path)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return cloud.UserErrorf(cloud.ErrExists, "the top folder is there")
	}
	_, _, err = c.hub.FS.MakeFolders(ctx, c.who, cloud.Root, names)
	return err
}

func (c *client) renameFolder(ctx context.Context, p packet.RenameFolder) error {
	e, err := c.folder(ctx, p.Path)
	if err != nil {
		return err
	}
	return c.rename(ctx, e, p.TargetName)
}

func (c *client) renameFile(ctx context.Context, p packet.RenameFile) error {
	e, err := c.file(ctx, p.Path, p.Name)
	if err != nil {
		return err
	}
	return c.rename(ctx, e, p.TargetName)
}

// rename gives an entry another name, the next free one if it is taken.
func (c *client) rename(ctx context.Context, e cloud.Entry, name string) error {
	if e.ID == cloud.Root {
		return cloud.UserErrorf(cloud.ErrDenied, "the top folder stays as it is")
	}
	name, err := vfs.CleanName(name)
	if err != nil {
		return err
	}
	if name == e.Name || name == c.shown(e) {
		return nil
	}
	_, err = c.hub.FS.Move(ctx, c.who, e.ID, e.Parent, name, meta.ConflictRename)
	return err
}

func (c *client) deleteFolder(ctx context.Context, p packet.DeleteFolder) error {
	e, err := c.hub.FS.Entry(ctx, c.who, cloud.EntryID(p.FolderID))
	if err != nil {
		return err
	}
	if !e.IsFolder() {
		return cloud.UserErrorf(cloud.ErrNotFound, "that is a file, not a folder")
	}
	_, err = c.hub.FS.Delete(ctx, c.who, e.ID)
	return err
}

func (c *client) deleteFile(ctx context.Context, p packet.DeleteFile) error {
	e, err := c.fileIn(ctx, idOf(p.FolderID), p.Name)
	if err != nil {
		return err
	}
	_, err = c.hub.FS.Delete(ctx, c.who, e.ID)
	return err
}

// moveFiles moves those of the files that can be moved, and is always a success.
func (c *client) moveFiles(ctx context.Context, m packet.Message, p packet.MoveFiles) error {
	source, target := idOf(p.SourceID), idOf(p.TargetID)
	left := 0
	if source != target {
		for _, name := range p.Files {
			e, err := c.fileIn(ctx, source, name)
			if err == nil {
				_, err = c.hub.FS.Move(ctx, c.who, e.ID, target, e.Name, meta.ConflictRename)
			}
			if err != nil {
				left++
				c.note(ctx, m, err)
			}
		}
	}
	answer := packet.Boolean{Success: true}
	if left > 0 {
		answer.Message = "some of the files were not moved"
	}
	c.reply(m, answer)
	return nil
}

func (c *client) shareFile(ctx context.Context, p packet.FileShare) error {
	e, err := c.file(ctx, p.Path, p.Name)
	if err != nil {
		return err
	}
	user := cloud.UserID(p.TargetUser)
	with := vfs.Grantee{User: user}
	if p.IsDeleting {
		was, err := c.hub.FS.Unshare(ctx, c.who, e.ID, with)
		if err == nil && !was {
			return cloud.UserErrorf(cloud.ErrNotFound, "the file is not shared with this user")
		}
		return err
	}
	canWrite := false
	if p.CanWrite != nil {
		canWrite = *p.CanWrite
	} else {
		shares, err := c.hub.FS.Shares(ctx, c.who, e.ID)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(shares, func(s cloud.Share) bool { return s.User == user }) {
			return nil // stays as it is
		}
	}
	_, err = c.hub.FS.Share(ctx, c.who, e.ID, with, canWrite)
	return err
}

func (c *client) transfer(ctx context.Context, p packet.TransferOwnership) error {
	id, to := cloud.EntryID(p.FileID), cloud.UserID(p.TargetUserID)
	e, err := c.hub.FS.Entry(ctx, c.who, id)
	switch {
	case err != nil:
		return err
	case e.IsFolder():
		return cloud.UserErrorf(cloud.ErrNotFound, "that is a folder, not a file")
	case e.Owner == to:
		return cloud.UserErrorf(cloud.ErrInvalid, "the file is this user's already")
	}
	_, err = c.hub.FS.SetOwner(ctx, c.who, id, to,
		meta.Transfer{DropShares: p.DeleteFileShares, Keep: p.CreateShareForCurrentOwner})
	return err
}

func (c *client) signedDownload(ctx context.Context, m packet.Message, p packet.SignedDownloadRequest) error {
	var answer packet.SignedDownload
	e, err := c.hub.FS.Entry(ctx, c.who, cloud.EntryID(p.FileID))
	if err == nil {
		var payload string
		payload, err = c.hub.FS.SignLink(ctx, c.who, e)
		answer.Payload = packet.Secret(payload)
	}
	c.note(ctx, m, err)
	c.reply(m, answer)
	return nil
}

// thumbnail gives the address of a thumbnail. Clients of version 1 show AVIF and
// nothing else, which is made for them.
func (c *client) thumbnail(ctx context.Context, m packet.Message, p packet.ThumbnailRequest) error {
	e, err := c.hub.FS.EntryFor(ctx, c.who, cloud.EntryID(p.ID), policy.ReadContent)
	if err != nil {
		return err
	}
	if !e.HasThumbnail || c.hub.Thumbs == nil {
		c.reply(m, packet.Boolean{Message: "the file has no thumbnail"})
		return nil
	}
	query := "size=256"
	if c.version == packet.V1 {
		query = "format=avif"
		if _, err := c.hub.Thumbs.Small(ctx, e); err != nil {
			c.reply(m, packet.Boolean{Message: cloud.TextOf(err)})
			return nil
		}
	}
	ticket, err := c.hub.Auth.IssueTicket(ctx, c.who, auth.Download, e.ID)
	if err != nil {
		return err
	}
	c.reply(m, packet.Boolean{Success: true, Message: fmt.Sprintf("%s/api/entries/%d/thumbnail?%s&ticket=%s", c.base, e.ID, query, ticket.Text)})
	return nil
}

func (c *client) findUsers(ctx context.Context, m packet.Message, p packet.UserSearchRequest) error {
	users, err := c.hub.Auth.Users(ctx, c.who, p.Query, 100)
	c.note(ctx, m, err)
	if err != nil {
		c.reply(m, packet.UserSearch{})
		return nil
	}
	answer := packet.UserSearch{Success: true, Results: make([]packet.UserResult, len(users))}
	for i, u := range users {
		answer.Results[i] = packet.UserResult{ID: int64(u.ID), Name: u.Name}
	}
	c.reply(m, answer)
	return nil
}
