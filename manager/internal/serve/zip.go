package serve

import (
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"time"
)

// The parts of a zip archive that stores only, with sizes and checksums in front
// of the bytes and zip64 fields always (PKWARE APPNOTE 6.3.10). Package
// archive/zip puts sizes behind the bytes, or leaves zip64 out of the headers in
// front; either way some programs refuse archives above 4 GiB.
const (
	sigLocal      = 0x04034b50
	sigCentral    = 0x02014b50
	sigEnd64      = 0x06064b50
	sigEnd64Where = 0x07064b50
	sigEnd        = 0x06054b50

	zipVersion   = 45     // zip64
	zipUnix      = 3 << 8 // made by
	flagUTF8     = 1 << 11
	inZip64      = 1<<32 - 1
	extraZip64   = 0x0001
	extraTime    = 0x5455 // Info-ZIP's: seconds since 1970
	sizeTime     = 4 + 5
	sizeLocal    = 30 + 4 + 16 + sizeTime // and the name
	sizeCentral  = 46 + 4 + 24 + sizeTime // and the name
	sizeEnd      = 56 + 20 + 22
	modeFile     = 0o100644 << 16
	modeFolder   = 0o040755<<16 | 0x10
	maxEntries32 = 1<<16 - 1
)

// zipEntry is one member of an archive.
type zipEntry struct {
	name     string // with "/" between folders, and at the end of a folder
	folder   bool
	size     int64
	crc32    uint32
	modified time.Time
}

// zipSize adds up what an archive will have, without its content.
type zipSize struct {
	entries, local, central, content int64
}

func (s *zipSize) add(e zipEntry) {
	s.entries++
	s.local += int64(sizeLocal + len(e.name))
	s.central += int64(sizeCentral + len(e.name))
	s.content += e.size
}

func (s *zipSize) total() int64 { return s.local + s.content + s.central + sizeEnd }

func zipTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	if t.Year() < 1980 {
		return 1<<5 | 1, 0
	}
	if t.Year() > 2107 {
		t = time.Date(2107, 12, 31, 23, 59, 58, 0, time.UTC)
	}
	return uint16((t.Year()-1980)<<9 | int(t.Month())<<5 | t.Day()), uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
}

// fields are the ones that local and central headers share.
func (e zipEntry) fields(b []byte, extra int) []byte {
	le := binary.LittleEndian
	date, clock := zipTime(e.modified)
	b = le.AppendUint16(b, zipVersion)
	b = le.AppendUint16(b, flagUTF8)
	b = le.AppendUint16(b, 0) // stored
	b = le.AppendUint16(b, clock)
	b = le.AppendUint16(b, date)
	b = le.AppendUint32(b, e.crc32)
	b = le.AppendUint32(b, inZip64)
	b = le.AppendUint32(b, inZip64)
	b = le.AppendUint16(b, uint16(len(e.name)))
	return le.AppendUint16(b, uint16(extra))
}

func (e zipEntry) time(b []byte) []byte {
	le := binary.LittleEndian
	b = le.AppendUint16(b, extraTime)
	b = le.AppendUint16(b, 5)
	b = append(b, 1) // the time of modification only
	return le.AppendUint32(b, uint32(min(max(e.modified.Unix(), 0), 1<<31-1)))
}

func (e zipEntry) localHeader() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(make([]byte, 0, sizeLocal+len(e.name)), sigLocal)
	b = e.fields(b, 20+sizeTime)
	b = append(b, e.name...)
	b = le.AppendUint16(b, extraZip64)
	b = le.AppendUint16(b, 16)
	b = le.AppendUint64(b, uint64(e.size))
	b = le.AppendUint64(b, uint64(e.size))
	return e.time(b)
}

func (e zipEntry) centralHeader(offset int64) []byte {
	le := binary.LittleEndian
	mode := uint32(modeFile)
	if e.folder {
		mode = modeFolder
	}
	b := le.AppendUint32(make([]byte, 0, sizeCentral+len(e.name)), sigCentral)
	b = le.AppendUint16(b, zipUnix|zipVersion)
	b = e.fields(b, 28+sizeTime)
	b = le.AppendUint16(b, 0) // comment
	b = le.AppendUint16(b, 0) // disk
	b = le.AppendUint16(b, 0) // internal attributes
	b = le.AppendUint32(b, mode)
	b = le.AppendUint32(b, inZip64)
	b = append(b, e.name...)
	b = le.AppendUint16(b, extraZip64)
	b = le.AppendUint16(b, 24)
	b = le.AppendUint64(b, uint64(e.size))
	b = le.AppendUint64(b, uint64(e.size))
	b = le.AppendUint64(b, uint64(offset))
	return e.time(b)
}

// end is what closes an archive.
func (s *zipSize) end() []byte {
	le := binary.LittleEndian
	start := s.local + s.content
	b := le.AppendUint32(make([]byte, 0, sizeEnd), sigEnd64)
	b = le.AppendUint64(b, 56-12)
	b = le.AppendUint16(b, zipUnix|zipVersion)
	b = le.AppendUint16(b, zipVersion)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, uint64(s.entries))
	b = le.AppendUint64(b, uint64(s.entries))
	b = le.AppendUint64(b, uint64(s.central))
	b = le.AppendUint64(b, uint64(start))

	b = le.AppendUint32(b, sigEnd64Where)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, uint64(start+s.central))
	b = le.AppendUint32(b, 1)

	n := uint16(min(s.entries, maxEntries32))
	b = le.AppendUint32(b, sigEnd)
	b = le.AppendUint32(b, 0) // disks
	b = le.AppendUint16(b, n)
	b = le.AppendUint16(b, n)
	b = le.AppendUint32(b, uint32(min(s.central, inZip64)))
	b = le.AppendUint32(b, uint32(min(start, inZip64)))
	return le.AppendUint16(b, 0)
}

// checked is a writer that sums up what passes.
type checked struct {
	io.Writer
	sum hash.Hash32
}

var errChecksum = errors.New("the content has another CRC-32 than its row says")

func (c checked) Write(p []byte) (int, error) {
	_, _ = c.sum.Write(p) // never fails
	return c.Writer.Write(p)
}

func newChecked(w io.Writer) checked { return checked{w, crc32.NewIEEE()} }
