package packet

// Listings: the state of a folder and its pages of folders and files.

// FolderStatusRequest asks for the state of a folder.
type FolderStatusRequest struct {
	Path string `json:"path"`
}

// FolderStatus answers FolderStatusRequest. The counts are of direct children.
type FolderStatus struct {
	Path           string `json:"path"` // as asked
	Exists         bool   `json:"exists"`
	FolderID       *int64 `json:"folder_id"` // nil for the root and for missing folders
	FileCount      int64  `json:"file_count"`
	SubfolderCount int64  `json:"subfolder_count"`
	PageSize       int64  `json:"page_size"` // at least 1
}

// ListRequest asks for a page of a folder's files or of its folders.
type ListRequest struct {
	Path          string `json:"path"`
	Type          string `json:"type"` // TypeSubfolders or TypeFiles
	Page          int64  `json:"page"` // from 0
	SortBy        string `json:"sort_by,omitempty"`
	AscendingSort *bool  `json:"ascending_sort,omitempty"` // nil is ascending
}

// What a ListRequest may ask for.
const (
	TypeSubfolders = "subfolders"
	TypeFiles      = "files"
)

// By what a listing may be sorted.
const (
	SortByName      = "name"
	SortByUpdatedAt = "updated_at"
	SortBySize      = "size"
)

// ListFolders answers ListRequest with a page of folders.
type ListFolders struct {
	Path    string         `json:"path"`
	Page    int64          `json:"page"`
	Folders []FolderHandle `json:"folders"`
	Success bool           `json:"success"`
}

// ListFiles answers ListRequest with a page of files.
type ListFiles struct {
	Path    string       `json:"path"`
	Page    int64        `json:"page"`
	Files   []ListedFile `json:"files"`
	Success bool         `json:"success"`
}

// List is a whole folder in one packet. It is superseded by ListFolders and
// ListFiles and never sent.
type List struct {
	Path    string         `json:"path"`
	Files   []ListedFile   `json:"files"`
	Folders []FolderHandle `json:"folders"`
	Success bool           `json:"success"`
}

// FolderSizeRequest asks for the size of all that is in and below a folder.
type FolderSizeRequest struct {
	FolderID *int64 `json:"folder_id"` // nil is the root
}

// FolderSize answers FolderSizeRequest.
type FolderSize struct {
	FolderID  *int64           `json:"folder_id"` // as asked
	TotalSize int64            `json:"total_size"`
	Types     map[string]int64 `json:"types"` // MIME type to bytes
}

// PacketID implements Packet.
func (FolderStatusRequest) PacketID() string { return "c2s:folder-status-request" }

// PacketID implements Packet.
func (FolderStatus) PacketID() string { return "s2c:folder-status" }

// PacketID implements Packet.
func (ListRequest) PacketID() string { return "c2s:list-request" }

// PacketID implements Packet.
func (ListFolders) PacketID() string { return "s2c:list-folders" }

// PacketID implements Packet.
func (ListFiles) PacketID() string { return "s2c:list-files" }

// PacketID implements Packet.
func (List) PacketID() string { return "s2c:list" }

// PacketID implements Packet.
func (FolderSizeRequest) PacketID() string { return "c2s:folder-size-request" }

// PacketID implements Packet.
func (FolderSize) PacketID() string { return "s2c:folder-size" }

var listingPackets = []spec{
	{packet: FolderStatusRequest{}, replies: []Packet{FolderStatus{}}, fields: fields(
		text("path").as(asPath),
	)},
	{packet: FolderStatus{}, fields: fields(
		text("path").as(asPath),
		flag("exists"),
		count("folder_id").orNull(),
		count("file_count"),
		count("subfolder_count"),
		integer("page_size").atLeast(1),
	)},
	{packet: ListRequest{}, replies: []Packet{ListFolders{}, ListFiles{}}, fields: fields(
		text("path").as(asPath),
		text("type").oneOf(TypeSubfolders, TypeFiles),
		count("page"),
		text("sort_by").oneOf(SortByName, SortByUpdatedAt, SortBySize).optional(),
		flag("ascending_sort").optional(),
	)},
	{packet: ListFolders{}, fields: fields(
		text("path").as(asPath),
		count("page"),
		list("folders", folderHandle("").tolerant()),
		flag("success"),
	)},
	{packet: ListFiles{}, fields: fields(
		text("path").as(asPath),
		count("page"),
		list("files", listedFile()),
		flag("success"),
	)},
	{packet: List{}, fields: fields(
		text("path").as(asPath),
		list("files", listedFile()),
		list("folders", folderHandle("").tolerant()),
		flag("success"),
	)},
	{packet: FolderSizeRequest{}, replies: []Packet{FolderSize{}}, fields: fields(
		count("folder_id").orNull(),
	)},
	{packet: FolderSize{}, fields: fields(
		count("folder_id").orNull(),
		count("total_size"),
		table("types", integer("")),
	)},
}
