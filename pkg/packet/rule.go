package packet

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf16"
)

// rule says what one field of a record has to be. Rules are made by the
// functions below and refined by methods that return a copy, so that a
// packet's table reads as PACKETS.md does.
type rule struct {
	name     string
	kind     kind
	required bool
	nullable Version // from this version on; 0 for never
	since    Version // before it the field is unknown

	// Of strings:
	format  *format
	filled  bool // not empty
	most    int  // UTF-16 units; 0 for any
	options []string

	// Of numbers; integers unless float:
	float    bool
	min, max [2]float64 // by version

	// Of arrays:
	item  *rule
	least int
	loose bool // version 1 does not look at the items
	pair  bool // first and last of a run

	// Of records:
	shape  *shape  // the record's fields
	shapes []shape // at least one must fit
	values *rule   // of a map
}

// shape is the fields of a record.
type shape struct {
	open   bool // further fields are tolerated
	fields []rule
}

func fields(rules ...rule) []rule { return rules }

func text(name string) rule { return rule{name: name, kind: kindString, required: true} }
func flag(name string) rule { return rule{name: name, kind: kindBool, required: true} }

func integer(name string) rule {
	return rule{
		name: name, kind: kindNumber, required: true,
		min: [2]float64{-maxInteger, -maxInteger}, max: [2]float64{maxInteger, maxInteger},
	}
}

// count is an integer from 0.
func count(name string) rule { return integer(name).atLeast(0) }

// list is an array of items; the item's name does not matter.
func list(name string, item rule) rule {
	return rule{name: name, kind: kindArray, required: true, item: &item}
}

// ranges is an array of Range.
func ranges(name string) rule {
	pair := list("", count(""))
	pair.pair = true
	return list(name, pair)
}

func record(name string, fields ...rule) rule {
	return rule{name: name, kind: kindRecord, required: true, shape: &shape{fields: fields}}
}

// choice is a record that fits at least one of the shapes.
func choice(name string, shapes ...shape) rule {
	return rule{name: name, kind: kindRecord, required: true, shapes: shapes}
}

// table is a record of any keys with values of one rule.
func table(name string, values rule) rule {
	return rule{name: name, kind: kindRecord, required: true, values: &values}
}

func (r rule) optional() rule                   { r.required = false; return r }
func (r rule) orNull() rule                     { r.nullable = V1; return r }
func (r rule) orNullSince(v Version) rule       { r.nullable = v; return r }
func (r rule) v2() rule                         { r.since = V2; return r }
func (r rule) as(f format) rule                 { r.format = &f; return r }
func (r rule) notEmpty() rule                   { r.filled = true; return r }
func (r rule) atMostUnits(n int) rule           { r.most = n; return r }
func (r rule) oneOf(options ...string) rule     { r.options = options; return r }
func (r rule) fraction() rule                   { r.float = true; return r }
func (r rule) atLeast(n float64) rule           { r.min = [2]float64{n, n}; return r }
func (r rule) atLeastV2(n float64) rule         { r.min[1] = n; return r }
func (r rule) atMost(n float64) rule            { r.max = [2]float64{n, n}; return r }
func (r rule) atLeastItems(n int) rule          { r.least = n; return r }
func (r rule) anyItemsV1() rule                 { r.loose = true; return r }
func (r rule) tolerant() rule                   { r.shape = &shape{open: true, fields: r.shape.fields}; return r }
func (r rule) only(value bool) rule             { r.options = []string{fmt.Sprint(value)}; return r }
func (r rule) within(n float64, v Version) bool { return r.min[v-1] <= n && n <= r.max[v-1] }

// check tells why n does not keep the shape. Errors name fields, never values:
// they are logged, and values may be names and keys.
func (s shape) check(n *node, v Version) error {
	known := 0
	for _, r := range s.fields {
		if r.since > v {
			continue // counts as unknown below
		}
		value := n.field(r.name)
		if value != nil {
			known++
		}
		if err := r.check(value, v); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	if known != len(n.fields) && !s.open {
		return errUnknownField
	}
	return nil
}

var (
	errUnknownField = errors.New("unknown field")
	errMissing      = errors.New("missing")
	errNull         = errors.New("null")
)

func (r rule) check(n *node, v Version) error {
	switch {
	case n == nil:
		if r.required {
			return errMissing
		}
		return nil
	case n.kind == kindNull:
		if r.required && (r.nullable == 0 || v < r.nullable) {
			return errNull
		}
		return nil // optional: as if absent
	case n.kind != r.kind:
		return fmt.Errorf("%v, want %v", n.kind, r.kind)
	}
	switch n.kind {
	case kindBool:
		if r.options != nil && !slices.Contains(r.options, fmt.Sprint(n.flag)) {
			return errors.New("not the value allowed")
		}
	case kindNumber:
		return r.checkNumber(n, v)
	case kindString:
		return r.checkText(n.text, v)
	case kindArray:
		return r.checkItems(n, v)
	case kindRecord:
		return r.checkRecord(n, v)
	}
	return nil
}

func (r rule) checkNumber(n *node, v Version) error {
	if r.float {
		if f, ok := n.float(); !ok || math.IsNaN(f) || math.IsInf(f, 0) {
			return errors.New("no number")
		}
		return nil
	}
	i, ok := n.integer()
	if !ok {
		return errors.New("no integer of at most 53 bits")
	}
	if !r.within(float64(i), v) {
		return errors.New("out of range")
	}
	return nil
}

func (r rule) checkText(s string, v Version) error {
	switch {
	case r.filled && s == "":
		return errors.New("empty")
	case r.most > 0 && units(s) > r.most:
		return fmt.Errorf("longer than %d", r.most)
	case r.options != nil && !slices.Contains(r.options, s):
		return errors.New("not one of " + strings.Join(r.options, ", "))
	case r.format != nil && !r.format.match(s, v):
		return fmt.Errorf("no %s", r.format.name)
	}
	return nil
}

// units is the length of s in UTF-16, which is what JavaScript counts.
func units(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}

func (r rule) checkItems(n *node, v Version) error {
	if len(n.items) < r.least {
		return fmt.Errorf("fewer than %d items", r.least)
	}
	if r.pair && len(n.items) != 2 {
		return errors.New("no pair")
	}
	if r.loose && v == V1 {
		return nil
	}
	for i, item := range n.items {
		if err := r.item.check(item, v); err != nil {
			return fmt.Errorf("%d: %w", i, err)
		}
	}
	if r.pair {
		first, _ := n.items[0].integer()
		last, _ := n.items[1].integer()
		if first > last {
			return errors.New("first behind last")
		}
	}
	return nil
}

func (r rule) checkRecord(n *node, v Version) error {
	if r.shape != nil {
		return r.shape.check(n, v)
	}
	if r.values != nil {
		for _, m := range n.fields {
			if err := r.values.check(m.value, v); err != nil {
				return fmt.Errorf("a value: %w", err)
			}
		}
		return nil
	}
	for _, s := range r.shapes {
		if s.check(n, v) == nil {
			return nil
		}
	}
	return errors.New("fits none of its shapes")
}

// prune takes away what the version does not know, so that one struct can be
// sent to sockets of both.
func (s shape) prune(n *node, v Version) {
	for _, r := range s.fields {
		if r.since > v {
			n.fields = slices.DeleteFunc(n.fields, func(m member) bool { return m.key == r.name })
		}
	}
}
