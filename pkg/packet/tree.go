package packet

import (
	"math"
	"strconv"
)

// maxInteger is the largest integer that a JavaScript number holds exactly.
const maxInteger = 1<<53 - 1

// node is one JSON value. A nil *node stands for an absent one.
type node struct {
	kind   kind
	flag   bool
	text   string // of a string its value, of a number its literal
	items  []*node
	fields []member // in order of the text, keys unique
}

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindRecord
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "a record"}[k]
}

type member struct {
	key   string
	value *node
}

// field is the value of a record's field, nil if it has none.
func (n *node) field(key string) *node {
	if n != nil {
		for _, m := range n.fields {
			if m.key == key {
				return m.value
			}
		}
	}
	return nil
}

// integer reads a number as JavaScript would: 1.0 and 1e3 are integers.
func (n *node) integer() (int64, bool) {
	if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
		return i, -maxInteger <= i && i <= maxInteger
	}
	f, ok := n.float()
	if !ok || f != math.Trunc(f) || math.Abs(f) > maxInteger {
		return 0, false
	}
	return int64(f), true
}

func (n *node) float() (float64, bool) {
	f, err := strconv.ParseFloat(n.text, 64)
	return f, err == nil // a literal beyond the range of float64 is an error
}

// appendTo appends the value as JSON. HTML's characters are left as they are.
func (n *node) appendTo(b []byte) []byte {
	switch n.kind {
	case kindBool:
		return strconv.AppendBool(b, n.flag)
	case kindNumber:
		return append(b, n.text...)
	case kindString:
		return appendString(b, n.text)
	case kindArray:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.appendTo(b)
		}
		return append(b, ']')
	case kindRecord:
		b = append(b, '{')
		for i, m := range n.fields {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.key), ':')
			b = m.value.appendTo(b)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(append(b, s[start:]...), '"')
}
