package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep records and arrays may nest in a frame. No packet needs
// more than six.
const maxDepth = 32

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

var (
	errNotJSON    = errors.New("not JSON")
	errDepth      = errors.New("nested too deep")
	errForbidden  = errors.New("forbidden key")
	errDuplicate  = errors.New("duplicate key")
	errSurrogates = errors.New("unpaired surrogate in a string")
)

// parse reads one JSON text. Version 2 refuses duplicate keys and unpaired
// surrogates; on version 1 the last of the duplicates counts, as for its
// clients' own parsers.
func parse(raw []byte, v Version) (*node, error) {
	// Once the grammar is known to hold, the parser below needs no other checks.
	if !json.Valid(raw) {
		return nil, errNotJSON
	}
	p := parser{raw: raw, strict: v >= V2}
	return p.value(0)
}

type parser struct {
	raw    []byte // valid JSON
	at     int
	strict bool
}

// next skips white space and the separators between values.
func (p *parser) next() byte {
	for {
		switch c := p.raw[p.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			p.at++
		default:
			return c
		}
	}
}

func (p *parser) value(depth int) (*node, error) {
	switch c := p.next(); c {
	case '{':
		return p.record(depth + 1)
	case '[':
		return p.array(depth + 1)
	case '"':
		s, err := p.str()
		return &node{kind: kindString, text: s}, err
	case 't', 'f':
		p.at += len("true")
		if c == 'f' {
			p.at++
		}
		return &node{kind: kindBool, flag: c == 't'}, nil
	case 'n':
		p.at += len("null")
		return &node{kind: kindNull}, nil
	default:
		start := p.at
		for p.at < len(p.raw) && strings.IndexByte("+-.0123456789Ee", p.raw[p.at]) >= 0 {
			p.at++
		}
		return &node{kind: kindNumber, text: string(p.raw[start:p.at])}, nil
	}
}

func (p *parser) record(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	n := &node{kind: kindRecord}
	var seen map[string]int // only for records with many keys: a flood of keys must not cost their square
	for p.at++; p.next() != '}'; {
		key, err := p.str()
		if err != nil {
			return nil, err
		}
		// A JavaScript peer could be led to change its own objects' prototypes.
		if key == "__proto__" || key == "constructor" {
			return nil, errForbidden
		}
		value, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		if len(n.fields) == 16 {
			seen = make(map[string]int)
			for i, m := range n.fields {
				seen[m.key] = i
			}
		}
		i := -1
		if seen != nil {
			if j, ok := seen[key]; ok {
				i = j
			} else {
				seen[key] = len(n.fields)
			}
		} else {
			for j, m := range n.fields {
				if m.key == key {
					i = j
				}
			}
		}
		switch {
		case i < 0:
			n.fields = append(n.fields, member{key, value})
		case p.strict:
			return nil, errDuplicate
		default:
			n.fields[i].value = value
		}
	}
	p.at++
	return n, nil
}

func (p *parser) array(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	n := &node{kind: kindArray}
	for p.at++; p.next() != ']'; {
		item, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	p.at++
	return n, nil
}

func (p *parser) str() (string, error) {
	start := p.at
	escaped := false
	for p.at++; p.raw[p.at] != '"'; p.at++ {
		if p.raw[p.at] == '\\' {
			escaped = true
			p.at++
		}
	}
	p.at++
	quoted := p.raw[start:p.at]
	if !escaped {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	if p.strict && unpaired(quoted) {
		return "", errSurrogates
	}
	var s string
	err := json.Unmarshal(quoted, &s)
	return s, err
}

// unpaired tells whether a quoted string has a \u escape of half a surrogate
// pair, which no UTF-8 can hold.
func unpaired(quoted []byte) bool {
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++
		if quoted[i] != 'u' {
			continue
		}
		r := unhex(quoted[i+1:])
		i += 4
		if !utf16.IsSurrogate(r) {
			continue
		}
		rest := quoted[i+1:]
		if !bytes.HasPrefix(rest, []byte(`\u`)) || utf16.DecodeRune(r, unhex(rest[2:])) == utf8.RuneError {
			return true
		}
		i += 6
	}
	return false
}

func unhex(b []byte) rune {
	r, _ := strconv.ParseUint(string(b[:4]), 16, 32) // json.Valid has seen to the four digits
	return rune(r)
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
