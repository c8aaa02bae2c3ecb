package sqlmeta

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

// cursorMax is the length of the longest cursor, as text.
const cursorMax = 1024

// position is where in a listing a page ended: the last entry's values of the
// columns that it is sorted by.
type position struct {
	kind   cloud.Kind
	text   string // name, or MIME type
	number int64  // size, time, or owner
	id     cloud.EntryID
}

func positionOf(e cloud.Entry, by meta.Sort) position {
	p := position{kind: e.Kind, id: e.ID}
	switch by {
	case meta.SortName:
		p.text = e.Name
	case meta.SortType:
		p.text = e.Type
	case meta.SortSize:
		p.number = e.Size
	case meta.SortUpdated:
		p.number = e.UpdatedAt.UnixMicro()
	case meta.SortOwner:
		p.number = int64(e.Owner)
	}
	return p
}

// cursor is, in base64: 8 bytes of a checksum, 1 for a folder or 0 for a file,
// number, id, text. The checksum binds it to the listing that it was made for.
// It needs no secret, for a cursor opens nothing.
func (p position) cursor(q meta.Query) string {
	b := make([]byte, 8, 32+len(p.text))
	b = append(b, kindByte(p.kind))
	b = binary.BigEndian.AppendUint64(b, uint64(p.number))
	b = binary.BigEndian.AppendUint64(b, uint64(p.id))
	b = append(b, p.text...)
	copy(b, cursorSum(b[8:], q))
	return base64.RawURLEncoding.EncodeToString(b)
}

// parseCursor reads what cursor wrote for a query of the same folder and order,
// and is ErrInvalid for everything else.
func parseCursor(text string, q meta.Query) (position, error) {
	bad := fmt.Errorf("%w: no cursor of this listing", cloud.ErrInvalid)
	if len(text) > cursorMax {
		return position{}, bad
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 25 || string(b[:8]) != string(cursorSum(b[8:], q)) {
		return position{}, bad
	}
	p := position{
		kind:   cloud.KindFile,
		number: int64(binary.BigEndian.Uint64(b[9:])),
		id:     cloud.EntryID(binary.BigEndian.Uint64(b[17:])),
		text:   string(b[25:]),
	}
	if b[8] == kindByte(cloud.KindFolder) {
		p.kind = cloud.KindFolder
	}
	return p, nil
}

func kindByte(k cloud.Kind) byte {
	if k == cloud.KindFolder {
		return 1
	}
	return 0
}

func cursorSum(payload []byte, q meta.Query) []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d %s %s %t ", q.Parent, q.Kind, q.Sort, q.Desc)
	h.Write(payload)
	return h.Sum(nil)[:8]
}
