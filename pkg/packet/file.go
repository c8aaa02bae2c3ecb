package packet

// Files: what can be done with one, and the news of it.

// ListedFile is a file in a listing.
type ListedFile struct {
	ID           int64     `json:"id"`
	Name         string    `json:"name"`
	Type         string    `json:"type"` // MIME type
	HasThumbnail bool      `json:"has_thumbnail"`
	CreatedAt    *string   `json:"created_at"` // what JavaScript's Date reads
	UpdatedAt    *string   `json:"updated_at"`
	Size         int64     `json:"size"`
	Ownership    Ownership `json:"ownership"`
}

// FileHandle is a file in FileModify. Its Ownership has no Can, and Share only
// if the status is StatusShared: existing clients drop the packet otherwise.
type FileHandle struct {
	ID           int64     `json:"id"`
	Name         string    `json:"name"`
	Type         string    `json:"type"`
	HasThumbnail bool      `json:"has_thumbnail"`
	CreatedAt    *string   `json:"created_at"`
	UpdatedAt    *string   `json:"updated_at"`
	Size         int64     `json:"size"`
	Ownership    Ownership `json:"ownership"`
	ThumbnailURL string    `json:"thumbnail_url,omitempty"`
}

// Ownership tells what a file is to the user who receives it.
type Ownership struct {
	Status string `json:"status"`          // one of the Status constants
	Can    string `json:"can,omitempty"`   // one of the Can constants
	Share  *Share `json:"share,omitempty"` // for StatusShared
}

// The statuses of a file for a user.
const (
	StatusOwned      = "owned"
	StatusPublic     = "public"
	StatusShared     = "shared"
	StatusRestricted = "restricted"
)

// What a user can do with a file.
const (
	CanReadWrite = "rw"
	CanRead      = "r"
	CanNothing   = "none"
)

// Share is a file's share with one user.
type Share struct {
	File     int64  `json:"file"`
	User     int64  `json:"user"`
	SharedAt string `json:"shared_at"`
	CanWrite bool   `json:"can_write"`
}

// DeleteFile deletes a file.
type DeleteFile struct {
	FolderID *int64 `json:"folder_id"` // nil is the root; version 2 only
	Name     string `json:"name"`
}

// MoveFiles moves files from one folder to another.
type MoveFiles struct {
	SourceID *int64 `json:"source_id,omitempty"` // nil is the root
	TargetID *int64 `json:"target_id,omitempty"`
	// Files are names. On version 1 anything may stand here: what is no valid
	// name is skipped, and what is no string arrives as "".
	Files []string `json:"files"`
}

// RenameFile renames a file in its folder.
type RenameFile struct {
	Path       string `json:"path"` // of the folder
	Name       string `json:"name"`
	TargetName string `json:"target_name"`
}

// EmptyFileUpload makes a file of no bytes.
type EmptyFileUpload struct {
	Path string `json:"path"` // of the folder
	Name string `json:"name"`
}

// FileShare shares a file with a user, changes the share or takes it away.
type FileShare struct {
	Path       string `json:"path"` // of the folder
	Name       string `json:"name"`
	TargetUser int64  `json:"target_user"`
	CanWrite   *bool  `json:"can_write,omitempty"` // nil leaves an existing share as it is
	IsDeleting bool   `json:"is_deleting,omitempty"`
}

// TransferOwnership gives a file to another user.
type TransferOwnership struct {
	FileID                     int64 `json:"file_id"`
	TargetUserID               int64 `json:"target_user_id"`
	DeleteFileShares           bool  `json:"delete_file_shares,omitempty"`
	CreateShareForCurrentOwner bool  `json:"create_share_for_current_owner,omitempty"`
}

// SignedDownloadRequest asks for a payload with which anyone can download the
// file.
type SignedDownloadRequest struct {
	FileID int64 `json:"file_id"`
}

// SignedDownload answers SignedDownloadRequest.
type SignedDownload struct {
	Payload Secret `json:"payload,omitempty"` // base64url; "" if there is none to give
}

// ThumbnailRequest asks for the address of a file's thumbnail, which comes as
// the message of a Boolean.
type ThumbnailRequest struct {
	ID int64 `json:"id"`
}

// FileModify tells every client of version 1 that a file has changed.
type FileModify struct {
	Path   string     `json:"path"`   // of the folder, without a final slash
	Action string     `json:"action"` // FileAdd, FileDelete or FileChange
	Handle FileHandle `json:"handle"`
}

// The actions of FileModify.
const (
	FileAdd    = "add"
	FileDelete = "delete"
	FileChange = "modify"
)

// PacketID implements Packet.
func (DeleteFile) PacketID() string { return "c2s:delete-file" }

// PacketID implements Packet.
func (MoveFiles) PacketID() string { return "c2s:move-files" }

// PacketID implements Packet.
func (RenameFile) PacketID() string { return "c2s:rename-file" }

// PacketID implements Packet.
func (EmptyFileUpload) PacketID() string { return "c2s:empty-file-upload" }

// PacketID implements Packet.
func (FileShare) PacketID() string { return "c2s:file-share" }

// PacketID implements Packet.
func (TransferOwnership) PacketID() string { return "c2s:transfer-ownership" }

// PacketID implements Packet.
func (SignedDownloadRequest) PacketID() string { return "c2s:signed-download-request" }

// PacketID implements Packet.
func (SignedDownload) PacketID() string { return "s2c:signed-download" }

// PacketID implements Packet.
func (ThumbnailRequest) PacketID() string { return "c2s:thumbnail-request" }

// PacketID implements Packet.
func (FileModify) PacketID() string { return "s2c:file-modify" }

var filePackets = []spec{
	{packet: DeleteFile{}, replies: yesOrNo, fields: fields(
		count("folder_id").orNullSince(V2),
		text("name").as(asName),
	)},
	{packet: MoveFiles{}, replies: yesOrNo, fields: fields(
		count("source_id").optional(),
		count("target_id").optional(),
		list("files", text("").as(asName)).anyItemsV1().atLeastItems(1),
	)},
	{packet: RenameFile{}, replies: yesOrNo, fields: fields(
		text("path").as(asPath),
		text("name").as(asName),
		text("target_name").as(asName),
	)},
	{packet: EmptyFileUpload{}, replies: yesOrNo, fields: fields(
		text("path").as(asPath),
		text("name").as(asName),
	)},
	{packet: FileShare{}, replies: yesOrNo, fields: fields(
		text("path").as(asPath),
		text("name").as(asName),
		count("target_user"),
		flag("can_write").optional(),
		flag("is_deleting").optional(),
	)},
	{packet: TransferOwnership{}, replies: yesOrNo, fields: fields(
		count("file_id"),
		count("target_user_id"),
		flag("delete_file_shares").optional(),
		flag("create_share_for_current_owner").optional(),
	)},
	{packet: SignedDownloadRequest{}, replies: []Packet{SignedDownload{}}, fields: fields(
		count("file_id"),
	)},
	{packet: SignedDownload{}, fields: fields(
		text("payload").as(asBase64URL).optional(),
	)},
	{packet: ThumbnailRequest{}, replies: yesOrNo, fields: fields(
		count("id"),
	)},
	{packet: FileModify{}, fields: fields(
		text("path").as(asPath),
		text("action").oneOf(FileAdd, FileDelete, FileChange),
		record("handle", append(fileFields(),
			choice("ownership",
				shape{fields: fields(text("status").oneOf(StatusShared), share())},
				shape{fields: fields(text("status").oneOf(StatusOwned, StatusPublic, StatusRestricted))},
			),
			text("thumbnail_url").optional(),
		)...),
	)},
}

func fileFields() []rule {
	return fields(
		integer("id"),
		text("name").as(asName),
		text("type"),
		flag("has_thumbnail"),
		text("created_at").orNull(),
		text("updated_at").orNull(),
		count("size"),
	)
}

// listedFile tolerates further fields, as the clients do in listings.
func listedFile() rule {
	return record("", append(fileFields(),
		record("ownership",
			text("status").oneOf(StatusOwned, StatusPublic, StatusShared, StatusRestricted),
			text("can").oneOf(CanReadWrite, CanRead, CanNothing),
			share().optional(),
		).tolerant(),
	)...).tolerant()
}

func share() rule {
	return record("share",
		integer("file"),
		integer("user"),
		text("shared_at"),
		flag("can_write"),
	)
}
