package packet

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep records and arrays may nest in a frame. No packet needs
// more than six.
const maxDepth = 32

// maxValues is how many values a frame may have. They take more memory as
// nodes than as text: a frame of the size limit could have half a million.
const maxValues = 1 << 16

var (
	errNotJSON    = errors.New("not JSON")
	errDepth      = errors.New("nested too deep")
	errValues     = errors.New("too many values")
	errForbidden  = errors.New("forbidden key")
	errDuplicate  = errors.New("duplicate key")
	errSurrogates = errors.New("unpaired surrogate in a string")
)

// parse reads one JSON text. Version 2 refuses duplicate keys and unpaired
// surrogates; on version 1 the last of the duplicates counts, as for its
// clients' own parsers.
func parse(raw []byte, v Version) (*node, error) {
	// Once the grammar is known to hold, the parser below needs no other checks.
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return nil, errNotJSON
	}
	p := parser{raw: raw, strict: v >= V2}
	return p.value(0)
}

type parser struct {
	raw    []byte // valid JSON
	at     int
	values int // so far
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
	if p.values++; p.values > maxValues {
		return nil, errValues
	}
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
