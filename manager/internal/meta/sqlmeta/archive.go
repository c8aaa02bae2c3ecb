package sqlmeta

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"discordcloud/pkg/cloud"
)

// An archive is a database as text, the same from either engine: gzip around
// lines of JSON. The first is an archiveHead; each table is a tableHead, before
// its rows as arrays; the last is an archiveEnd.
const (
	archiveFormat = "discord-cloud database"
	// lineMost is the length of the longest line. The longest value is a dead
	// property of WebDAV.
	lineMost = 64 << 20
)

type archiveHead struct {
	Format string `json:"format"`
	Schema int    `json:"schema"` // version of the tables
	At     int64  `json:"at"`     // microseconds since 1970 UTC
}

type tableHead struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"` // in order of name
	Kinds   string   `json:"kinds"`   // a letter for each column
	Last    int64    `json:"last"`    // the highest id that was given out, 0 where none are
}

type archiveEnd struct {
	Rows int64  `json:"rows"`
	Sum  string `json:"sum"` // SHA-256 of all lines before, in hex
}

// The kinds of columns. Bytes are base64.
const (
	kindNumber = 'n'
	kindText   = 't'
	kindTruth  = 'b'
	kindBytes  = 'x'
)

// archiveWriter writes lines, and sums them up.
type archiveWriter struct {
	zip  *gzip.Writer
	sum  hash.Hash
	rows int64
}

func newArchiveWriter(w io.Writer) *archiveWriter {
	zip, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		panic("sqlmeta: " + err.Error()) // the level is known
	}
	return &archiveWriter{zip: zip, sum: sha256.New()}
}

// line writes one line, without its end.
func (a *archiveWriter) line(b []byte) error {
	b = append(b, '\n')
	a.sum.Write(b)
	_, err := a.zip.Write(b)
	return err
}

func (a *archiveWriter) head(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return a.line(b)
}

func (a *archiveWriter) row(b []byte) error {
	a.rows++
	return a.line(b)
}

func (a *archiveWriter) close() error {
	if err := a.head(archiveEnd{a.rows, hex.EncodeToString(a.sum.Sum(nil))}); err != nil {
		return err
	}
	return a.zip.Close()
}

// archiveReader reads what archiveWriter wrote; everything else is ErrCorrupt.
type archiveReader struct {
	archiveHead
	lines *bufio.Reader
	sum   hash.Hash
	rows  int64
	next  []byte // line that was read ahead, nil for none
}

func newArchiveReader(r io.Reader) (*archiveReader, error) {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return nil, damagedArchive(err)
	}
	a := &archiveReader{lines: bufio.NewReaderSize(zip, 1<<16), sum: sha256.New()}
	line, err := a.line()
	if err == nil {
		err = json.Unmarshal(line, &a.archiveHead)
	}
	if err != nil || a.Format != archiveFormat || a.Schema < 1 {
		return nil, damagedArchive(errors.Join(err, errors.New("it does not begin as one")))
	}
	a.take(line)
	return a, nil
}

func damagedArchive(err error) error {
	return cloud.UserErrorf(cloud.ErrCorrupt, "this is no whole backup of discord-cloud: %v", err)
}

// line gives the next line without its end, for as long as no other is read.
func (a *archiveReader) line() ([]byte, error) {
	if line := a.next; line != nil {
		a.next = nil
		return line, nil
	}
	var line []byte
	for {
		part, err := a.lines.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > lineMost {
			return nil, damagedArchive(err)
		}
	}
	return bytes.TrimSuffix(line, []byte("\n")), nil
}

// take counts a line in.
func (a *archiveReader) take(line []byte) {
	a.sum.Write(line)
	a.sum.Write([]byte("\n"))
}

// table gives the next table, nil behind the last one, where everything must be
// as it was written.
func (a *archiveReader) table() (*tableHead, error) {
	line, err := a.line()
	if err != nil {
		return nil, err
	}
	var head struct {
		tableHead
		archiveEnd
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return nil, damagedArchive(err)
	}
	if head.Table == "" {
		if _, err := a.lines.ReadByte(); !errors.Is(err, io.EOF) { // gzip has checked its own sum then
			return nil, damagedArchive(errors.New("it goes on behind its end"))
		}
		if head.Rows != a.rows || head.Sum != hex.EncodeToString(a.sum.Sum(nil)) {
			return nil, damagedArchive(errors.New("its sum is another"))
		}
		return nil, nil
	}
	if len(head.Columns) == 0 || len(head.Columns) != len(head.Kinds) || strings.Trim(head.Kinds, "ntbx") != "" {
		return nil, damagedArchive(fmt.Errorf("table %q has no proper columns", head.Table))
	}
	a.take(line)
	return &head.tableHead, nil
}

// row gives the next row of the table as it is written, nil behind its last one.
func (a *archiveReader) row() ([]byte, error) {
	line, err := a.line()
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(line, []byte("[")) {
		a.next = line
		return nil, nil
	}
	a.take(line)
	a.rows++
	return line, nil
}

// values reads a row of the table as arguments of a statement.
func (t *tableHead) values(row []byte) ([]any, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(row, &raw); err != nil {
		return nil, damagedArchive(err)
	}
	if len(raw) != len(t.Kinds) {
		return nil, damagedArchive(fmt.Errorf("a row of table %q has %d columns", t.Table, len(raw)))
	}
	values := make([]any, len(raw))
	for i, kind := range t.Kinds {
		if string(raw[i]) == "null" {
			continue
		}
		var err error
		switch kind {
		case kindNumber:
			values[i], err = decode[int64](raw[i])
		case kindTruth:
			values[i], err = decode[bool](raw[i])
		case kindBytes:
			values[i], err = decode[[]byte](raw[i])
		default:
			values[i], err = decode[string](raw[i])
		}
		if err != nil {
			return nil, damagedArchive(err)
		}
	}
	return values, nil
}

func decode[T any](raw json.RawMessage) (v T, err error) {
	err = json.Unmarshal(raw, &v)
	return v, err
}

// appendRow writes a row of values that a database gave.
func (t *tableHead) appendRow(b []byte, values []any) ([]byte, error) {
	b = append(b, '[')
	for i, kind := range t.Kinds {
		if i > 0 {
			b = append(b, ',')
		}
		if values[i] == nil {
			b = append(b, "null"...)
			continue
		}
		var err error
		if b, err = appendValue(b, byte(kind), values[i]); err != nil {
			return nil, fmt.Errorf("column %s of table %s: %w", t.Columns[i], t.Table, err)
		}
	}
	return append(b, ']'), nil
}

func appendValue(b []byte, kind byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case int64:
		if kind == kindTruth {
			return fmt.Appendf(b, "%t", v != 0), nil
		}
		return fmt.Appendf(b, "%d", v), nil
	case bool:
		return fmt.Appendf(b, "%t", v), nil
	case []byte:
		if kind == kindBytes {
			b = append(b, '"')
			b = base64.StdEncoding.AppendEncode(b, v)
			return append(b, '"'), nil
		}
		return appendText(b, string(v))
	case string:
		return appendText(b, v)
	}
	return nil, fmt.Errorf("%w: a value of type %T", cloud.ErrCorrupt, value)
}

// appendText makes a text what every database takes: SQLite also keeps bytes that
// are no UTF-8, as a client may have sent them for its own name, and NUL.
func appendText(b []byte, text string) ([]byte, error) {
	quoted, err := json.Marshal(strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD"))
	return append(b, quoted...), err
}
