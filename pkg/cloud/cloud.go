// Package cloud holds the words of the domain that every other package shares:
// entries of the tree, objects and their chunks, and the kinds of error. It
// knows no transport, no database and no cipher, and imports the standard
// library only.
package cloud

import (
	"encoding/hex"
	"fmt"
	"time"
)

// UserID names a user. 0 is nobody.
type UserID int64

// GroupID names a group of users. 0 is none.
type GroupID int64

// EntryID names a file or a folder; both share one space of numbers. It fits a
// JavaScript number (at most 2^53-1).
type EntryID int64

// Root is the folder that holds the tree. On the wire of version 1 it is null.
const Root EntryID = 0

// UploadID names an upload: a lower-case UUID.
type UploadID string

// ObjectID names an object, the immutable content of one file.
type ObjectID [16]byte

// String is the id as 32 lower-case hex digits.
func (id ObjectID) String() string { return hex.EncodeToString(id[:]) }

// IsZero tells the object id of an entry that has none: a folder.
func (id ObjectID) IsZero() bool { return id == ObjectID{} }

// ParseObjectID reads what String writes; ErrInvalid otherwise.
func ParseObjectID(s string) (ObjectID, error) {
	var id ObjectID
	if err := parseHex(id[:], s); err != nil {
		return ObjectID{}, fmt.Errorf("object id: %w", err)
	}
	return id, nil
}

// Sum is a SHA-256 sum, or the root of a tree of them. The zero Sum stands for
// "not known".
type Sum [32]byte

// String is the sum as 64 lower-case hex digits, or "" if it is not known.
func (s Sum) String() string {
	if s.IsZero() {
		return ""
	}
	return hex.EncodeToString(s[:])
}

// IsZero tells that the sum is not known.
func (s Sum) IsZero() bool { return s == Sum{} }

// ParseSum reads 64 hex digits, or "" as the unknown sum; ErrInvalid otherwise.
func ParseSum(s string) (Sum, error) {
	var sum Sum
	if s == "" {
		return sum, nil
	}
	if err := parseHex(sum[:], s); err != nil {
		return Sum{}, fmt.Errorf("sum: %w", err)
	}
	return sum, nil
}

func parseHex(dst []byte, s string) error {
	if len(s) != 2*len(dst) {
		return fmt.Errorf("%w: %d hex digits, want %d", ErrInvalid, len(s), 2*len(dst))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("%w: not hex digits", ErrInvalid)
	}
	return nil
}

// Kind tells files from folders.
type Kind string

// The kinds of entry.
const (
	KindFile   Kind = "file"
	KindFolder Kind = "folder"
)

// Entry is a file or a folder in the tree. Names are unique in a folder, over
// both kinds.
type Entry struct {
	ID     EntryID
	Parent EntryID // Root for entries at the top; Root's own Parent is Root
	Name   string  // valid UTF-8 in NFC; "" for Root
	Kind   Kind
	Owner  UserID // 0 if nobody owns it
	// Public entries are readable by every user.
	Public bool
	// Share is the best that shares give the user whom the entry was read for: of
	// the entry itself, or of a folder above it; nil if there is none.
	Share *Share

	CreatedAt  time.Time
	UpdatedAt  time.Time // of the row: content, name or place
	ModifiedAt time.Time // of the content, as the uploader's disk had it

	// Of files only:
	Object       ObjectID
	Size         int64  // plain, in bytes
	Type         string // MIME type
	Hash         Sum    // root of the tree over 256 KiB leaves
	SHA256       Sum    // of the plain content; zero where it is not known
	CRC32        uint32 // IEEE, of the plain content
	HasThumbnail bool
	// Preview is the content as a BlurHash, "" where none was made. It shows as
	// little as the thumbnail does to those who may not read the file: nothing.
	Preview string
}

// IsFolder tells a folder from a file.
func (e Entry) IsFolder() bool { return e.Kind == KindFolder }

// Share gives a user, or the members of a group, access to an entry and, of a
// folder, to all that is below it, whoever owns that. Who shares a folder has
// himself what the best of its shares gives.
type Share struct {
	Entry    EntryID // where it was given: as read with an entry, that or a folder above it
	User     UserID  // 0 in a group's share, unless it was read for a member
	Group    GroupID // 0 in a user's share
	CanWrite bool
	SharedAt time.Time
}

// Ref tells where a sealed chunk lies. Only the blob.Store that made it looks
// inside.
type Ref struct {
	Channel, Message, Attachment string // snowflakes, as decimal text
	// Path is the attachment's address on the CDN without host and query: the
	// part that neither expires nor carries a signature.
	Path string
}

// IsZero tells that nothing has been stored.
func (r Ref) IsZero() bool { return r == Ref{} }

// Chunk is one sealed piece of an object. Ordered by Offset, the chunks of an
// object cover its plain bytes from 0 with no gap and no overlap; an empty
// object has one chunk of Size 0.
type Chunk struct {
	Index      int   // as sealed in its header; usually the position in the object
	Offset     int64 // of its first plain byte in the object
	Size       int64 // of its plain bytes
	Ext        int   // length of the sealed extension; 0 if there is none
	SealedSize int64 // of the attachment
	Salt       [32]byte
	Header     [64]byte // the sealed header: attachment bytes 80 to 143
	Ref        Ref
}

// End is the offset behind the chunk's last plain byte.
func (c Chunk) End() int64 { return c.Offset + c.Size }

// Group is some users who get shares together.
type Group struct {
	ID        GroupID
	Name      string
	CreatedAt time.Time
}

// User is an account, without its secrets.
type User struct {
	ID            UserID
	Name          string
	Administrator bool
	Disabled      bool
	CreatedAt     time.Time
}
