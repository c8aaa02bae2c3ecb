package packet

// Folders: making, renaming and deleting them, and the news of it.

// FolderHandle is a folder in a packet. The root has none.
type FolderHandle struct {
	ID           int64  `json:"id"`
	Name         string `json:"name"`
	ParentFolder *int64 `json:"parent_folder"` // nil is the root
}

// CreateFolder makes a folder and its missing parents.
type CreateFolder struct {
	Path string `json:"path"`
}

// RenameFolder renames a folder in its place.
type RenameFolder struct {
	Path       string `json:"path"`
	TargetName string `json:"target_name"`
}

// DeleteFolder deletes a folder.
type DeleteFolder struct {
	FolderID int64 `json:"folder_id"`
}

// FolderModify tells every client of version 1 that a folder has changed.
type FolderModify struct {
	Path   string       `json:"path"` // of the folder itself, after the change
	Handle FolderHandle `json:"handle"`
	Action string       `json:"action"` // FolderAdd, FolderDelete, FolderRename or FolderMove
	// RenameOrigin is the old name, for FolderRename.
	RenameOrigin string `json:"rename_origin,omitempty"`
	// ParentFolderOrigin is the old parent, for FolderMove.
	ParentFolderOrigin *int64 `json:"parent_folder_origin,omitempty"`
}

// The actions of FolderModify.
const (
	FolderAdd    = "add"
	FolderDelete = "delete"
	FolderRename = "rename"
	FolderMove   = "move"
)

// PacketID implements Packet.
func (CreateFolder) PacketID() string { return "c2s:create-folder" }

// PacketID implements Packet.
func (RenameFolder) PacketID() string { return "c2s:rename-folder" }

// PacketID implements Packet.
func (DeleteFolder) PacketID() string { return "c2s:delete-folder" }

// PacketID implements Packet.
func (FolderModify) PacketID() string { return "s2c:folder-modify" }

var folderPackets = []spec{
	{packet: CreateFolder{}, replies: yesOrNo, fields: fields(
		text("path").as(asPath),
	)},
	{packet: RenameFolder{}, replies: yesOrNo, fields: fields(
		text("path").as(asPath),
		text("target_name").as(asName),
	)},
	{packet: DeleteFolder{}, replies: yesOrNo, fields: fields(
		count("folder_id"),
	)},
	{packet: FolderModify{}, fields: fields(
		text("path").as(asPath),
		folderHandle("handle"),
		text("action").oneOf(FolderAdd, FolderDelete, FolderRename, FolderMove),
		text("rename_origin").optional(),
		count("parent_folder_origin").optional(),
	)},
}

func folderHandle(name string) rule {
	return record(name,
		count("id"),
		text("name").as(asName),
		count("parent_folder").orNull(),
	)
}
