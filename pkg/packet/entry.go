package packet

// Entries: the news of the tree as version 2 tells it.

// Entry is a file or a folder as its receiver sees it. Times are RFC 3339.
type Entry struct {
	ID           int64  `json:"id"`
	Parent       int64  `json:"parent"` // 0 is the root
	Name         string `json:"name"`
	Kind         string `json:"kind"` // KindFile or KindFolder
	Size         int64  `json:"size"`
	Type         string `json:"type"`             // MIME type; "" for folders
	Hash         string `json:"hash,omitempty"`   // 64 hex digits: the root of the tree hash
	SHA256       string `json:"sha256,omitempty"` // 64 hex digits, where it is known
	HasThumbnail bool   `json:"has_thumbnail"`
	Preview      string `json:"preview,omitempty"` // a BlurHash, for those who may read the file
	CreatedAt    string `json:"created_at"`
	UpdatedAt    string `json:"updated_at"`
	ModifiedAt   string `json:"modified_at"`
	Owner        *Owner `json:"owner"` // nil if nobody owns it
	Public       bool   `json:"public"`
	Access       string `json:"access"` // one of the Status constants
	Can          string `json:"can"`    // one of the Can constants
}

// The kinds of Entry.
const (
	KindFile   = "file"
	KindFolder = "folder"
)

// Owner is the user who owns an Entry.
type Owner struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// EntryChanged tells a client of version 2 that an entry it may see has
// changed; it replaces FileModify and FolderModify there.
type EntryChanged struct {
	Action string `json:"action"` // EntryAdded, EntryModified, EntryMoved or EntryRemoved
	Path   string `json:"path"`   // of the entry's folder, after the change
	Entry  Entry  `json:"entry"`  // as it is, or as it was for EntryRemoved
	// Where the entry was before, if it was elsewhere or had another name.
	OldPath   string `json:"old_path,omitempty"`
	OldName   string `json:"old_name,omitempty"`
	OldParent *int64 `json:"old_parent,omitempty"`
}

// The actions of EntryChanged.
const (
	EntryAdded    = "added"
	EntryModified = "changed"
	EntryMoved    = "moved"
	EntryRemoved  = "removed"
)

// SharedRequest asks for a page of what is shared with the user. Version 2.
type SharedRequest struct {
	After string `json:"after,omitempty"` // Next of the page before
}

// Shared answers SharedRequest: what was shared last comes first. Version 2.
type Shared struct {
	Entries []Entry `json:"entries"`
	Next    string  `json:"next,omitempty"` // "" for the last page
}

// PacketID implements Packet.
func (SharedRequest) PacketID() string { return "c2s:shared-request" }

// PacketID implements Packet.
func (Shared) PacketID() string { return "s2c:shared" }

// PacketID implements Packet.
func (EntryChanged) PacketID() string { return "s2c:entry-changed" }

// entryRules are the fields of an Entry.
var entryRules = fields(
	count("id"),
	count("parent"),
	text("name").as(asName),
	text("kind").oneOf(KindFile, KindFolder),
	count("size"),
	text("type"),
	text("hash").as(asHash).optional(),
	text("sha256").as(asHash).optional(),
	flag("has_thumbnail"),
	text("preview").atMostUnits(40).optional(),
	text("created_at").as(asTime),
	text("updated_at").as(asTime),
	text("modified_at").as(asTime),
	record("owner", count("id"), text("name").notEmpty()).orNull(),
	flag("public"),
	text("access").oneOf(StatusOwned, StatusPublic, StatusShared, StatusRestricted),
	text("can").oneOf(CanReadWrite, CanRead, CanNothing),
)

var entryPackets = []spec{
	{packet: SharedRequest{}, since: V2, replies: []Packet{Shared{}}, fields: fields(
		text("after").atMostUnits(100).optional(),
	)},
	{packet: Shared{}, since: V2, fields: fields(
		list("entries", record("", entryRules...)),
		text("next").optional(),
	)},
	{packet: EntryChanged{}, since: V2, fields: fields(
		text("action").oneOf(EntryAdded, EntryModified, EntryMoved, EntryRemoved),
		text("path").as(asPath),
		record("entry", entryRules...),
		text("old_path").as(asPath).optional(),
		text("old_name").as(asName).optional(),
		count("old_parent").optional(),
	)},
}
