package hub

import (
	"time"

	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// Entries as packets have them, for the client that receives them.

func (c *client) folderHandle(e cloud.Entry) packet.FolderHandle {
	return packet.FolderHandle{ID: int64(e.ID), Name: c.shown(e), ParentFolder: wireID(e.Parent)}
}

func (c *client) listedFile(e cloud.Entry) packet.ListedFile {
	h := c.fileHandle(e)
	_, can := policy.Access(c.who.User, e)
	h.Ownership.Can = string(can)
	return packet.ListedFile{
		ID: h.ID, Name: h.Name, Type: h.Type, HasThumbnail: h.HasThumbnail,
		CreatedAt: h.CreatedAt, UpdatedAt: h.UpdatedAt, Size: h.Size, Ownership: h.Ownership,
	}
}

// fileHandle is a file as file-modify has it: the strict form, without can.
// e.Share is the client's own share, if there is one.
func (c *client) fileHandle(e cloud.Entry) packet.FileHandle {
	status, _ := policy.Access(c.who.User, e)
	h := packet.FileHandle{
		ID: int64(e.ID), Name: c.shown(e), Type: e.Type, HasThumbnail: e.HasThumbnail,
		CreatedAt: wireTime(e.CreatedAt), UpdatedAt: wireTime(e.UpdatedAt), Size: e.Size,
		Ownership: packet.Ownership{Status: string(status)},
	}
	if status == policy.Shared {
		h.Ownership.Share = &packet.Share{
			File: int64(e.ID), User: int64(c.who.User), SharedAt: e.Share.SharedAt.UTC().Format(time.RFC3339Nano), CanWrite: e.Share.CanWrite,
		}
	}
	return h
}

// wireTime is a time as version 1 has it, null for none.
func wireTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format("2006-01-02T15:04:05.000000-07:00")
	return &s
}

// entry is an entry as version 2 has it. owner is its owner's name.
func (c *client) entry(e cloud.Entry, owner string) packet.Entry {
	status, can := policy.Access(c.who.User, e)
	p := packet.Entry{
		ID: int64(e.ID), Parent: int64(e.Parent), Name: e.Name, Kind: string(e.Kind), Size: e.Size, Type: e.Type,
		Hash: e.Hash.String(), SHA256: e.SHA256.String(), HasThumbnail: e.HasThumbnail,
		CreatedAt: stamp(e.CreatedAt), UpdatedAt: stamp(e.UpdatedAt), ModifiedAt: stamp(e.ModifiedAt),
		Public: e.Public, Access: string(status), Can: string(can),
	}
	if can != policy.Nothing {
		p.Preview = e.Preview
	}
	if e.Owner != 0 {
		p.Owner = &packet.Owner{ID: int64(e.Owner), Name: owner}
	}
	return p
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
