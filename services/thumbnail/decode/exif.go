package decode

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"
)

// exif is what is used of the data that cameras write into pictures.
type exif struct {
	orientation int // 1 to 8, 0 if it is not told
	takenAt     string
	camera      string
}

const maxEXIF = 256 << 10

// readEXIF finds the data in a picture. What is damaged counts as not there.
func readEXIF(src *source, k kind) exif {
	switch k {
	case kindJPEG:
		head, err := src.head(maxEXIF)
		if err != nil {
			return exif{}
		}
		return parseEXIF(exifOfJPEG(head))
	case kindTIFF:
		head, err := src.head(maxEXIF)
		if err != nil {
			return exif{}
		}
		return parseEXIF(head)
	case kindPNG:
		return parseEXIF(findChunk(src, 8, binary.BigEndian, "eXIf", 4, 4))
	case kindWebP:
		return parseEXIF(bytes.TrimPrefix(findChunk(src, 12, binary.LittleEndian, "EXIF", 0, 0), []byte("Exif\x00\x00")))
	}
	return exif{}
}

// exifOfJPEG finds the segment that holds the data.
func exifOfJPEG(b []byte) []byte {
	for at := 2; at+4 <= len(b) && b[at] == 0xff; {
		marker, n := b[at+1], int(b[at+2])<<8|int(b[at+3])
		if marker == 0xda || n < 2 {
			break
		}
		segment := b[min(at+4, len(b)):min(at+2+n, len(b))]
		if rest, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); marker == 0xe1 && ok {
			return rest
		}
		at += 2 + n
	}
	return nil
}

// findChunk finds a chunk of PNG (its length before its name, a checksum behind
// it) or RIFF (after its name, padded), looking at no more than 64.
func findChunk(src *source, at int64, order binary.ByteOrder, name string, nameAt int, checksum int64) []byte {
	var head [8]byte
	for range 64 {
		if _, err := src.ReadAt(head[:], at); err != nil {
			return nil
		}
		n := int64(order.Uint32(head[4-nameAt:]))
		if string(head[nameAt:nameAt+4]) == name {
			b := make([]byte, min(n, maxEXIF))
			if _, err := src.ReadAt(b, at+8); err != nil {
				return nil
			}
			return b
		}
		at += 8 + n + checksum
		if checksum == 0 {
			at += n & 1
		}
	}
	return nil
}

// The tags that are used.
const (
	tagMake        = 0x010f
	tagModel       = 0x0110
	tagOrientation = 0x0112
	tagDirectory   = 0x8769
	tagTaken       = 0x9003
)

// parseEXIF reads a TIFF structure: the first directory and the one that it
// names. No other is followed, so that a circle ends.
func parseEXIF(b []byte) (x exif) {
	if len(b) < 8 {
		return x
	}
	var order binary.ByteOrder = binary.LittleEndian
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	var brand, model string
	var second uint32
	visit := func(tag, kind uint16, count uint32, value []byte) {
		switch {
		case tag == tagOrientation && kind == 3:
			if o := int(order.Uint16(value)); 1 <= o && o <= 8 {
				x.orientation = o
			}
		case tag == tagDirectory && kind == 4:
			second = order.Uint32(value)
		case tag == tagMake && kind == 2:
			brand = textAt(b, order, count, value)
		case tag == tagModel && kind == 2:
			model = textAt(b, order, count, value)
		case tag == tagTaken && kind == 2:
			if t, err := time.Parse("2006:01:02 15:04:05", textAt(b, order, count, value)); err == nil {
				x.takenAt = t.Format("2006-01-02T15:04:05")
			}
		}
	}
	eachTag(b, order, order.Uint32(b[4:]), visit)
	if second != 0 {
		first := second
		eachTag(b, order, first, visit)
	}
	if strings.HasPrefix(strings.ToLower(model), strings.ToLower(brand)) {
		brand = ""
	}
	x.camera = strings.TrimSpace(brand + " " + model)
	return x
}

func eachTag(b []byte, order binary.ByteOrder, at uint32, visit func(tag, kind uint16, count uint32, value []byte)) {
	if int64(at)+2 > int64(len(b)) {
		return
	}
	n := int(order.Uint16(b[at:]))
	rest := b[at+2:]
	for i := 0; i < n && (i+1)*12 <= len(rest); i++ {
		e := rest[i*12 : i*12+12]
		visit(order.Uint16(e), order.Uint16(e[2:]), order.Uint32(e[4:]), e[8:12])
	}
}

// textAt is a tag's text, which stands in the tag itself if it is short.
func textAt(b []byte, order binary.ByteOrder, count uint32, value []byte) string {
	if count > 256 {
		return ""
	}
	if count > 4 {
		at := int64(order.Uint32(value))
		if at+int64(count) > int64(len(b)) {
			return ""
		}
		value = b[at : at+int64(count)]
	} else {
		value = value[:count]
	}
	return strings.TrimSpace(strings.TrimRight(string(value), "\x00"))
}
