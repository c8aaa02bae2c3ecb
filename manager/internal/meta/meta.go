// Package meta is the contract of the manager's database: accounts, the tree,
// objects with their chunks, and uploads under way. It decides nothing about
// who may do what; callers hand in a check where a decision must be made
// inside a transaction.
//
// Order of writing: a file entry refers only to an object whose chunks are all
// stored; every method that returns nil has made its change durable, but below
// Together, which then has when it returns.
package meta

import (
	"context"
	"time"

	"discordcloud/pkg/cloud"
)

// Store is the database. Implementations are safe for concurrent use and pass
// metatest.Run. Errors are wrapped around the kinds of package cloud.
type Store interface {
	Accounts
	Groups
	AppPasswords
	Factors
	Links
	Invitations
	Reach
	Identities
	Tree
	Stars
	Trash
	Versions
	Collection
	Properties
	Locks
	Objects
	Uploads
	Audit
	Quotas
	Standings
	Activities
	Peers
	Guesses
	Tickets

	// Together runs f, and may make one transaction of all calls under the context
	// that f gets, where that is cheaper: then nothing of it is durable before
	// Together has returned nil, nothing is changed if f fails, and f may be called
	// again, so that it must do nothing beside that cannot be done twice; see
	// Afterwards. What the calls tell f is a guess as long as it may be called again.
	// f must not use the context in other goroutines. What those of a kind
	// ask for is alike.
	Together(ctx context.Context, kind string, f func(ctx context.Context) error) error

	// KeyIDs gives the ids of the master keys that the store was opened with
	// first, nil for a store that has never had one.
	KeyIDs(ctx context.Context) ([]string, error)
	// AddKeyIDs remembers that objects may be sealed under these keys.
	AddKeyIDs(ctx context.Context, ids []string) error
	// Check verifies the integrity of the database and of what rows say of each
	// other, and gives one line for each fault found.
	Check(ctx context.Context) ([]string, error)
	// Ping tells whether the database answers.
	Ping(ctx context.Context) error
	Close() error
}

// Credentials are a user with the secrets that belong to the account.
type Credentials struct {
	cloud.User
	Password string // PHC string
}

// Session is one sign-in. Tokens name a session; without its row they are void.
type Session struct {
	ID        string // random, 128 bits or more
	User      cloud.UserID
	CreatedAt time.Time
	UsedAt    time.Time // kept to the minute or so, not exact
	ExpiresAt time.Time
	Agent     string // User-Agent at sign-in, shortened
	Address   string // of the peer at sign-in
}

// Accounts keeps users and their sessions.
type Accounts interface {
	// CreateUser adds a user. ErrExists if the name is taken; names that differ
	// only in case count as the same. With first, it does so only while there
	// are no users at all, else ErrDenied: of two at once, one wins.
	CreateUser(ctx context.Context, name, password string, administrator, first bool) (cloud.User, error)
	User(ctx context.Context, id cloud.UserID) (cloud.User, error)
	// Credentials finds a user by name, exactly as written.
	Credentials(ctx context.Context, name string) (Credentials, error)
	// Users lists those whose name contains query (all for ""), by name.
	Users(ctx context.Context, query string, limit int) ([]cloud.User, error)
	CountUsers(ctx context.Context) (int, error)
	// SetPassword replaces the password and ends all sessions of the user,
	// whose ids it returns. The user's app passwords and single links go with them.
	SetPassword(ctx context.Context, id cloud.UserID, password string) ([]string, error)
	// SetDisabled closes an account, which ends all its sessions, app passwords and single links
	// for good, or opens it again. ErrDenied for the last administrator.
	SetDisabled(ctx context.Context, id cloud.UserID, disabled bool) (cloud.User, error)
	// SetAdministrator gives an account the role or takes it, which ends all its
	// sessions. ErrDenied for the last administrator.
	SetAdministrator(ctx context.Context, id cloud.UserID, administrator bool) (cloud.User, error)
	// DeleteUser removes an account with all that is its own in one transaction:
	// sessions, shares with it, uploads under way. What it owns becomes the heir's,
	// with the shares; with discard it is deleted then, as by Delete, but for folders
	// that hold what others own. ErrDenied for the last administrator, ErrInvalid if
	// the heir is the account, ErrFull if he has no room and nothing is discarded.
	DeleteUser(ctx context.Context, id, heir cloud.UserID, discard bool) (Deleted, error)
	// Rehash replaces the stored form of an unchanged password, if it still is
	// old; sessions stay.
	Rehash(ctx context.Context, id cloud.UserID, old, password string) error

	CreateSession(ctx context.Context, s Session) error
	// Session gives a session that has not expired at now, with its user.
	// ErrNotFound otherwise, also for a disabled user.
	Session(ctx context.Context, id string, now time.Time) (Session, cloud.User, error)
	TouchSession(ctx context.Context, id string, used, expires time.Time) error
	Sessions(ctx context.Context, user cloud.UserID) ([]Session, error)
	// DeleteSession ends one session of the user. ErrNotFound if it has no such.
	DeleteSession(ctx context.Context, user cloud.UserID, id string) error
	// ExpireSessions removes those that expired before now.
	ExpireSessions(ctx context.Context, now time.Time) error
}

// Sort names the order of a listing. Ties are broken by id.
type Sort string

// The orders of a listing. Names sort case-insensitively first, then exactly;
// owners by their names, and what nobody owns before all. Folders have neither
// size nor type: in those orders they come by name.
const (
	SortName    Sort = "name"
	SortSize    Sort = "size"
	SortUpdated Sort = "updated_at"
	SortType    Sort = "type"
	SortOwner   Sort = "owner"
)

// Query asks for entries of one folder.
type Query struct {
	Parent cloud.EntryID
	// Viewer sees public entries, those without owner, his own and those
	// shared with him. AnyViewer sees all.
	Viewer cloud.UserID
	Kind   cloud.Kind // "" for both; folders come first then
	Sort   Sort       // "" is SortName
	Desc   bool
	Limit  int    // 1 and more
	Offset int    // entries to leave out, for clients that page by number
	After  string // cursor of an earlier page; then Offset is 0
}

// AnyViewer is the viewer to whom nothing is hidden.
const AnyViewer cloud.UserID = -1

// Page is one page of a listing. Next is the cursor for the page after it, ""
// if there is none. Entries carry the viewer's Share.
type Page struct {
	Entries []cloud.Entry
	Next    string
	// Files and Folders are how many the viewer sees in the folder that is
	// listed, whatever the query leaves out. A search does not count.
	Files, Folders int
}

// Allow decides about one entry inside a transaction; an error undoes it all
// and is handed on as it is. It must not call the store. It only decides: a
// transaction that begins anew asks it again, and what it has said of an entry that
// has changed meanwhile does not count. The entry carries the
// Share of the user that the context was made for by ForViewer, if there is one.
type Allow func(cloud.Entry) error

type viewerKey struct{}

// ForViewer says on whose behalf a change is made, so that Allow sees the
// entries with this user's Share. Without it they carry none.
func ForViewer(ctx context.Context, user cloud.UserID) context.Context {
	return context.WithValue(ctx, viewerKey{}, user)
}

// ViewerOf is the user given to ForViewer, AnyViewer without one.
func ViewerOf(ctx context.Context) cloud.UserID {
	if user, ok := ctx.Value(viewerKey{}).(cloud.UserID); ok {
		return user
	}
	return AnyViewer
}

// Sizes sums up what lies below a folder.
type Sizes struct {
	Bytes   int64
	Files   int64
	Folders int64
	Types   map[string]int64 // MIME type to bytes, without zeros
}

// Conflict says what happens when a name is taken.
type Conflict string

// The ways to meet a taken name.
const (
	ConflictFail    Conflict = "fail"    // ErrExists
	ConflictReplace Conflict = "replace" // the file there gets the new content, and keeps its id
	ConflictRename  Conflict = "rename"  // the first free "stem (n).ext"
	// ConflictClear is for Move and Copy alone: as ConflictReplace, but a folder
	// that is in the way, or that goes in the way of a file, is deleted first with
	// all that is below it.
	ConflictClear Conflict = "clear"
)

// Tree keeps the entries. cloud.Root always exists.
type Tree interface {
	// Entry gives an entry; with a viewer other than AnyViewer its Share is
	// filled in, with what folders above it give too. It hides nothing.
	Entry(ctx context.Context, id cloud.EntryID, viewer cloud.UserID) (cloud.Entry, error)
	// Child finds a name in a folder, in the same way.
	Child(ctx context.Context, parent cloud.EntryID, name string, viewer cloud.UserID) (cloud.Entry, error)
	// Path gives the entries from the top down to id, without Root.
	Path(ctx context.Context, id cloud.EntryID) ([]cloud.Entry, error)
	// Ancestry gives entries and all that are above them, without Root, in some
	// questions for all of them. It hides nothing, fills in no Share, and leaves out
	// what does not exist.
	Ancestry(ctx context.Context, ids []cloud.EntryID) (map[cloud.EntryID]cloud.Entry, error)
	List(ctx context.Context, q Query) (Page, error)
	// Search finds entries at any depth: those whose name begins with the text
	// first, then by name. What lies in a folder that is hidden from the viewer is
	// left out, unless a share lets him see it.
	Search(ctx context.Context, f Find) (Page, error)
	// Count gives the numbers of direct children that the viewer sees.
	Count(ctx context.Context, parent cloud.EntryID, viewer cloud.UserID) (files, folders int, err error)
	// Sizes sums what the viewer sees below a folder, in one query.
	Sizes(ctx context.Context, id cloud.EntryID, viewer cloud.UserID) (Sizes, error)
	// Walk calls visit for every entry below id that the viewer sees, parents
	// before children, in order of name, reading page by page. names is the
	// path from id (exclusive) to the entry (inclusive); visit must not keep
	// it. What lies below a folder that is hidden is not visited, nor summed by
	// Sizes. visit may call the store; its error ends the walk and is handed on
	// as it is.
	Walk(ctx context.Context, id cloud.EntryID, viewer cloud.UserID, visit func(names []string, e cloud.Entry) error) error

	// MakeFolders creates the missing folders of a path below parent and
	// gives the last one and the created ones, top down. New folders are as
	// public as the folder that they are made in. ErrExists if a file is in the way, ErrInvalid beyond MaxDepth
	// levels.
	MakeFolders(ctx context.Context, parent cloud.EntryID, names []string, owner cloud.UserID) (cloud.Entry, []cloud.Entry, error)
	// Move gives an entry another name, another folder, or both. allow sees
	// the entry, then the folder that receives it (also if it is the one it is
	// in), then the one replaced if there is one. ErrInvalid into itself or
	// below itself, or beyond MaxDepth; ErrExists if the name is taken and on is
	// ConflictFail, or one of the two is a folder and on is ConflictReplace. It
	// returns the entry as it was and as it is, and the file replaced, which is
	// gone: the moved entry keeps its id. Of a file of the same owner, as public as
	// the one that comes, the content becomes a version of that; all else that is
	// replaced goes to the trash.
	Move(ctx context.Context, id, parent cloud.EntryID, name string, on Conflict, allow Allow) (MoveResult, error)
	// Copy makes a copy of an entry that shares its object, with deep also of
	// all below a folder that the viewer of the context sees, in one transaction.
	// The copies are the owner's, as public as what they copy, and have its times of
	// the content and its properties, but no shares and no thumbnail. on is
	// ConflictFail, ConflictRename or ConflictClear: a file that replaces a file keeps the id,
	// owner and shares of the one that was there. allow sees the entry, then the
	// folder, then each that is replaced or deleted. ErrInvalid for a folder into
	// itself, or beyond MaxDepth.
	Copy(ctx context.Context, id, parent cloud.EntryID, name string, owner cloud.UserID, deep bool, on Conflict, allow Allow) (CopyResult, error)
	// CopyAll copies entries with all below them into a folder, each under its own
	// name, in one transaction: all of them, or none. on is ConflictFail or
	// ConflictRename, which also makes a second one beside an entry. Results are in
	// the order of ids.
	CopyAll(ctx context.Context, ids []cloud.EntryID, parent cloud.EntryID, owner cloud.UserID, on Conflict, allow Allow) ([]CopyResult, error)
	// MoveAll moves entries into a folder, each under its own name, in one
	// transaction: all of them, or none. Results are in the order of ids.
	MoveAll(ctx context.Context, ids []cloud.EntryID, parent cloud.EntryID, on Conflict, allow Allow) ([]MoveResult, error)
	// Delete removes entries with all that is below them, in one transaction: into
	// the trash as long as the Retention has one, else for good, and their objects
	// become unreferenced. allow sees each entry that was asked for, and each below
	// them, unless all of those are the viewer's own.
	Delete(ctx context.Context, ids []cloud.EntryID, allow Allow) (Deleted, error)
	// SetShare adds or changes a share with a user or a group; of the two just
	// one is set. It gives the share as it is then: one that was there keeps its
	// date. RemoveShare tells whether there was one.
	SetShare(ctx context.Context, s cloud.Share) (cloud.Share, error)
	RemoveShare(ctx context.Context, entry cloud.EntryID, user cloud.UserID, group cloud.GroupID) (bool, error)
	// Shares lists the shares of the entry itself: users', then groups', by id.
	Shares(ctx context.Context, entry cloud.EntryID) ([]cloud.Share, error)
	// Grants gives what shares give users at the entry: of itself and of all
	// folders above it, of groups to each member, and of folders to who shared
	// them. Nothing is left out because something better is there, too.
	Grants(ctx context.Context, entry cloud.EntryID) ([]cloud.Share, error)
	// SharedWith gives one page of the entries that were shared with a user, or
	// with a group of his, and are not his own; those last shared come first.
	SharedWith(ctx context.Context, user cloud.UserID, limit int, after string) (Page, error)
	// SharedBy gives one page of a user's entries that have shares, the newest
	// entries first.
	SharedBy(ctx context.Context, owner cloud.UserID, limit int, after string) (Page, error)
	// SetOwner transfers an entry, in one transaction with its shares:
	// dropShares removes all, otherwise only the new owner's; with keep the
	// old owner gets a share that can write. With deep all below a folder goes
	// along that has the same owner, with its shares, but keep is for the top.
	SetOwner(ctx context.Context, id cloud.EntryID, owner cloud.UserID, t Transfer, allow Allow) (cloud.Entry, error)
	SetPublic(ctx context.Context, id cloud.EntryID, public bool, allow Allow) (cloud.Entry, error)
	// SetModified sets the time of an entry's content.
	SetModified(ctx context.Context, id cloud.EntryID, modified time.Time) error
}

// Transfer says how an entry gets another owner.
type Transfer struct {
	DropShares bool // of all that is transferred
	Keep       bool // a share that can write for the owner before
	Deep       bool // with what the owner before has below a folder
}

// MaxDepth is the number of levels below Root that a tree may have.
const MaxDepth = 128

// MoveResult tells what Move did.
type MoveResult struct {
	Before, After cloud.Entry
	Replaced      *cloud.Entry
}

// CopyResult tells what Copy did. Replaced is what had the name: a file that got
// the new content, or an entry that is gone.
type CopyResult struct {
	Entry          cloud.Entry
	Replaced       *cloud.Entry
	Files, Folders int64 // made, or given a new content
}

// Deleted tells what Delete did. Top holds the entries asked for, with the
// entries of their folders' paths at the time in Paths (same order).
type Deleted struct {
	Top            []cloud.Entry
	Paths          [][]string // folder path of each
	Files, Folders int64      // all that went
	Bytes          int64
	// Trash names what is in the trash now, for Restore: those of Top that do not
	// lie below another one. It is nil where nothing was kept.
	Trash []cloud.EntryID
}

// Object is an immutable content.
type Object struct {
	ID        cloud.ObjectID
	Size      int64
	Hash      cloud.Sum
	SHA256    cloud.Sum
	CRC32     uint32
	Type      string
	CreatedAt time.Time
}

// Objects gives the finished objects and where their chunks lie.
type Objects interface {
	Object(ctx context.Context, id cloud.ObjectID) (Object, error)
	// Chunks gives at most max chunks in order of Offset, starting with the one
	// that covers off; none from the end of the object on. An unfinished object
	// has none: ErrNotFound. One that was replaced or whose entry was deleted
	// stays readable until its chunks are collected.
	Chunks(ctx context.Context, id cloud.ObjectID, off int64, max int) ([]cloud.Chunk, error)
	// Places sums up where the chunks of an object lie, by channel.
	Places(ctx context.Context, id cloud.ObjectID) ([]Channel, error)
}

// Channel is what a channel holds of an object.
type Channel struct {
	ID          string
	Messages    int64
	Chunks      int64
	SealedBytes int64
}

// UploadState is the stage of an upload.
type UploadState string

// The stages of an upload. A row in the last three is history, kept for a
// while so that a repeated request gets the same answer.
const (
	UploadRunning UploadState = "running" // parts are coming in, or may
	UploadWaiting UploadState = "waiting" // all parts are there, its user is asked about a conflict
	UploadDone    UploadState = "done"
	UploadFailed  UploadState = "failed"
	UploadAborted UploadState = "aborted"
)

// Upload is a resumable transfer of one file.
type Upload struct {
	ID         cloud.UploadID
	User       cloud.UserID
	Object     cloud.ObjectID
	Base       cloud.EntryID // folder that the path begins in: ErrNotFound at the end if it is gone
	Folder     []string      // path of the folder below Base, created at the end if it is missing
	Name       string
	Size       int64 // -1 as long as it is not known
	PartSize   int64 // of each part that the client sends, but the last
	Public     bool
	OnConflict string // ask, fail, replace, rename, skip
	Type       string // MIME type: the client's hint until the first part is in
	ModifiedAt time.Time
	State      UploadState
	Reason     string        // why it failed
	Entry      cloud.EntryID // when done
	CreatedAt  time.Time
	TouchedAt  time.Time // last part stored
	Manager    string    // that works on it, "" for none
	Fleeting   bool      // it ends with that manager: nobody can go on with it
}

// MaxParts is how many parts an upload may have whose size is not known.
const MaxParts = 1 << 24

// Parts is the number of parts of the upload: none for an empty file, MaxParts
// as long as the size is not known.
func (u Upload) Parts() int64 {
	if u.Size < 0 {
		return MaxParts
	}
	if u.Size == 0 {
		return 0
	}
	return (u.Size + u.PartSize - 1) / u.PartSize
}

// Stored is a chunk as its uploader reports it.
type Stored struct {
	cloud.Chunk
	CRC32  uint32
	Leaves []cloud.Sum // of the 256 KiB leaves of its plain bytes
}

// Finish says how an upload becomes an entry.
type Finish struct {
	Conflict Conflict
	Type     string    // MIME type, "" keeps the upload's
	Hash     cloud.Sum // root over the leaves of all chunks
	CRC32    uint32
	SHA256   cloud.Sum
	// Allow sees the entry that would be replaced.
	Allow Allow
}

// Finished tells what FinishUpload did.
type Finished struct {
	Entry          cloud.Entry
	Folder         []string      // path of its folder
	CreatedFolders []cloud.Entry // top down
	Replaced       bool
	Renamed        bool // saved under another name than asked for
	Again          bool // it had been finished before: nothing was done now, CreatedFolders is empty
}

// Uploads keeps transfers under way and what they have stored.
type Uploads interface {
	CreateUpload(ctx context.Context, u Upload) error
	Upload(ctx context.Context, id cloud.UploadID) (Upload, error)
	// UploadsIn lists a user's uploads in a state (any user's for AnyViewer),
	// oldest first.
	UploadsIn(ctx context.Context, user cloud.UserID, states ...UploadState) ([]Upload, error)
	// SetUploadSize gives a running upload the size that was not known. ErrInvalid
	// if it has one, or if a stored part lies beyond it.
	SetUploadSize(ctx context.Context, id cloud.UploadID, size int64) error
	// AddPart records the chunks of one part, durably. Of an upload of unknown
	// size only whole parts are taken. ErrExists if the part is
	// there already: the first wins. ErrInvalid if the chunks do not cover just
	// the part; ErrNotFound if the upload is not running.
	AddPart(ctx context.Context, id cloud.UploadID, part int64, chunks []Stored) error
	// PartsStored gives the stored parts as ranges [first, last], in order.
	PartsStored(ctx context.Context, id cloud.UploadID) ([][2]int64, error)
	// Leaves calls visit for the chunks of a running or waiting upload in
	// order of Offset, so that hash and checksum of the whole can be computed.
	Leaves(ctx context.Context, id cloud.UploadID, visit func(Stored) error) error
	// SetUploadState moves a running or waiting upload on: to waiting (ErrInvalid
	// unless all parts are stored), failed or aborted. The chunks of a failed or
	// aborted one become garbage. An upload that is in the state already stays
	// as it is; ErrNotFound if it has ended otherwise.
	SetUploadState(ctx context.Context, id cloud.UploadID, state UploadState, reason string) error
	// HoldUpload notes which manager works on a running or waiting upload, "" for
	// none. ErrNotFound if it has ended, or is not the given one's before.
	HoldUpload(ctx context.Context, id cloud.UploadID, before, manager string) error
	// FinishUpload turns a running or waiting upload whose parts are all
	// stored into an entry, in one transaction: missing folders, the object,
	// and the entry or the new content of the one that is replaced. ErrExists
	// if the name is taken and the conflict is ConflictFail, or a folder would
	// be replaced; ErrInvalid while parts are missing; the upload stays. A
	// replaced file keeps its id, CreatedAt and owner; one without owner becomes
	// the uploader's. Public is changed by its owner's upload only. Finishing a
	// done upload gives the same answer again, but for CreatedFolders; it is
	// ErrNotFound if the entry has been deleted since.
	FinishUpload(ctx context.Context, id cloud.UploadID, f Finish) (Finished, error)
	// ExpireUploads aborts running and waiting uploads without progress since idle, and
	// fleeting ones whose manager is not self and has gone. It removes history older
	// than history, and gives the aborted ones.
	ExpireUploads(ctx context.Context, idle, history time.Time, self string) ([]Upload, error)
}
