package packet

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A packet's struct and its tree are bound by the json tags of the struct.
// The struct tells names and Go types only; what is allowed is in the rules,
// so bindings never fail: what does not fit its Go type stays zero.

// load sets v from n. v is zero before.
func load(v reflect.Value, n *node) {
	if n == nil || n.kind == kindNull {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		load(v.Elem(), n)
	case reflect.Bool:
		v.SetBool(n.kind == kindBool && n.flag)
	case reflect.String:
		if n.kind == kindString {
			v.SetString(n.text)
		}
	case reflect.Int64:
		if n.kind == kindNumber {
			i, _ := n.integer()
			v.SetInt(i)
		}
	case reflect.Float64:
		if n.kind == kindNumber {
			f, _ := n.float()
			v.SetFloat(f)
		}
	case reflect.Slice:
		if n.kind == kindArray {
			v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
			for i, item := range n.items {
				load(v.Index(i), item)
			}
		}
	case reflect.Array:
		for i := range min(v.Len(), len(n.items)) {
			load(v.Index(i), n.items[i])
		}
	case reflect.Map:
		v.Set(reflect.MakeMapWithSize(v.Type(), len(n.fields)))
		for _, m := range n.fields {
			value := reflect.New(v.Type().Elem()).Elem()
			load(value, m.value)
			v.SetMapIndex(reflect.ValueOf(m.key), value)
		}
	case reflect.Struct:
		t := v.Type()
		for i := range t.NumField() {
			name, _ := tagOf(t.Field(i))
			load(v.Field(i), n.field(name))
		}
	default:
		panic("packet: no binding for " + v.Type().String())
	}
}

// store makes the tree of v. A nil slice or map is an empty one, a nil pointer
// is null; a zero field with omitempty is absent.
func store(v reflect.Value) *node {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return &node{kind: kindNull}
		}
		return store(v.Elem())
	case reflect.Bool:
		return &node{kind: kindBool, flag: v.Bool()}
	case reflect.String:
		// As encoding/json does: one frame of invalid UTF-8 would end the connection.
		return &node{kind: kindString, text: strings.ToValidUTF8(v.String(), "\uFFFD")}
	case reflect.Int64:
		return &node{kind: kindNumber, text: strconv.FormatInt(v.Int(), 10)}
	case reflect.Float64:
		return &node{kind: kindNumber, text: strconv.FormatFloat(v.Float(), 'g', -1, 64)}
	case reflect.Slice, reflect.Array:
		n := &node{kind: kindArray}
		for i := range v.Len() {
			n.items = append(n.items, store(v.Index(i)))
		}
		return n
	case reflect.Map:
		n := &node{kind: kindRecord}
		for _, key := range v.MapKeys() {
			n.fields = append(n.fields, member{key.String(), store(v.MapIndex(key))})
		}
		slices.SortFunc(n.fields, func(a, b member) int { return strings.Compare(a.key, b.key) })
		return n
	case reflect.Struct:
		n := &node{kind: kindRecord}
		t := v.Type()
		for i := range t.NumField() {
			name, omit := tagOf(t.Field(i))
			if omit && v.Field(i).IsZero() { // an empty slice that is not nil is not zero
				continue
			}
			n.fields = append(n.fields, member{name, store(v.Field(i))})
		}
		return n
	}
	panic("packet: no binding for " + v.Type().String())
}

// tagOf reads a field's json tag.
func tagOf(f reflect.StructField) (name string, omitEmpty bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		panic(fmt.Sprintf("packet: field %s has no json tag", f.Name))
	}
	return name, options == "omitempty"
}
