package crypt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
)

// Extension says what a file was called when it was uploaded. It travels, sealed,
// with the first chunk of an object: a rebuild without the database starts from it.
type Extension struct {
	Name    string
	Path    string // of the folder, "/"-separated
	Owner   string // name of the user
	Type    string // MIME type
	Created time.Time
}

// extension is the JSON of it.
type extension struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	Owner   string `json:"owner"`
	Type    string `json:"type"`
	Created string `json:"created"` // RFC 3339, or ""
}

// extStep is what extensions are padded to, so that their length tells little
// of the names in them; extRoom is the most that fits.
const (
	extStep = 512
	extRoom = chunk.ExtMax / extStep * extStep
)

// EncodeExtension is e as JSON, padded with spaces to a multiple of 512 bytes
// and at most chunk.ExtMax long. A path that is too long loses folders at its
// left, which "…" then stands for; if that is not enough, the type and the owner
// go. ErrInvalid if the name alone is too long.
func EncodeExtension(e Extension) ([]byte, error) {
	x := extension{Name: e.Name, Owner: e.Owner, Type: e.Type}
	if !e.Created.IsZero() {
		x.Created = e.Created.UTC().Format(time.RFC3339)
	}
	for _, dropped := range []*string{nil, &x.Type, &x.Owner} {
		if dropped != nil {
			*dropped = ""
		}
		for x.Path = e.Path; ; {
			b, err := x.encode()
			if err != nil {
				return nil, err
			}
			excess := len(b) - extRoom
			if excess <= 0 {
				return append(b, bytes.Repeat([]byte{' '}, -len(b)&(extStep-1))...), nil
			}
			if x.Path == "" {
				break
			}
			// Half of it, since a byte of the path may be several of the JSON.
			x.Path = cutLeft(x.Path, (excess+1)/2)
		}
	}
	return nil, fmt.Errorf("%w: name of %d bytes", cloud.ErrInvalid, len(e.Name))
}

func (x extension) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // nobody shows it as HTML, and it would grow
	if err := enc.Encode(x); err != nil {
		return nil, fmt.Errorf("encode extension: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// cutLeft makes path at least n bytes shorter: whole folders go while one is
// left, and "…" stands for what is gone.
func cutLeft(path string, n int) string {
	const gone = "…"
	n += len(gone)
	for n < len(path) && !utf8.RuneStart(path[n]) {
		n++
	}
	if n >= len(path) {
		return ""
	}
	rest := path[n:]
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		rest = rest[i:]
	}
	return gone + rest
}

// DecodeExtension reads what EncodeExtension wrote; fields that it does not know
// it passes over. It is ErrCorrupt if b is not such JSON.
func DecodeExtension(b []byte) (Extension, error) {
	var x extension
	if err := json.Unmarshal(b, &x); err != nil {
		return Extension{}, fmt.Errorf("%w: extension is not JSON", cloud.ErrCorrupt)
	}
	e := Extension{Name: x.Name, Path: x.Path, Owner: x.Owner, Type: x.Type}
	if x.Created != "" {
		created, err := time.Parse(time.RFC3339, x.Created)
		if err != nil {
			return Extension{}, fmt.Errorf("%w: extension has no time", cloud.ErrCorrupt)
		}
		e.Created = created
	}
	return e, nil
}
