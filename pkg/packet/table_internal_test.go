package packet

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// The tables and the structs name the same fields, of the same types, and a
// struct can say of each field what its rule lets be said.
func TestTables_structs(t *testing.T) {
	for id, s := range specs {
		if reflect.TypeOf(s.packet).Kind() != reflect.Struct {
			t.Errorf("%s is no struct", id)
			continue
		}
		_, name, _ := strings.Cut(id, ":")
		if got, want := s.typ.Name(), camel(name); got != want {
			t.Errorf("%s is %s, want %s", id, got, want)
		}
		matches(t, id, s.typ, shape{fields: s.fields})
	}
	if len(specs) != 47+20 {
		t.Errorf("%d packets, want 47 of version 1 and 20 more: does a table miss in specs?", len(specs))
	}
}

// camel makes UploadRequest of upload-request.
func camel(s string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(s, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func matches(t *testing.T, at string, typ reflect.Type, s shape) {
	t.Helper()
	fields := make(map[string]reflect.StructField)
	for i := range typ.NumField() {
		name, _ := tagOf(typ.Field(i))
		fields[name] = typ.Field(i)
	}
	for _, r := range s.fields {
		f, ok := fields[r.name]
		if !ok {
			t.Errorf("%s.%s: in the table, but not in %v", at, r.name, typ)
			continue
		}
		delete(fields, r.name)
		at := at + "." + r.name
		_, omit := tagOf(f)
		if !omit && !r.required {
			t.Errorf("%s: optional, but without omitempty", at)
		}
		if pointer := f.Type.Kind() == reflect.Pointer; r.required && pointer != (r.nullable > 0) {
			t.Errorf("%s: a pointer: %v, nullable: %v", at, pointer, r.nullable > 0)
		}
		fits(t, at, f.Type, r)
	}
	for name := range fields {
		t.Errorf("%s.%s: in %v, but not in the table", at, name, typ)
	}
}

func fits(t *testing.T, at string, typ reflect.Type, r rule) {
	t.Helper()
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	want := map[kind]reflect.Kind{kindBool: reflect.Bool, kindString: reflect.String, kindNumber: reflect.Int64, kindArray: reflect.Slice, kindRecord: reflect.Struct}[r.kind]
	switch {
	case r.float:
		want = reflect.Float64
	case r.values != nil:
		want = reflect.Map
	case r.pair:
		want = reflect.Array
	}
	if typ.Kind() != want {
		t.Errorf("%s is %v, want %v", at, typ, want)
		return
	}
	switch {
	case r.item != nil:
		fits(t, at+"[]", typ.Elem(), *r.item)
	case r.values != nil:
		fits(t, at+"{}", typ.Elem(), *r.values)
	case r.shape != nil:
		matches(t, at, typ, *r.shape)
	}
	for _, s := range r.shapes { // a shape need not have all fields of the struct
		for _, r := range s.fields {
			found := false
			for i := range typ.NumField() {
				name, _ := tagOf(typ.Field(i))
				found = found || name == r.name
			}
			if !found {
				t.Errorf("%s.%s: in a shape, but not in %v", at, r.name, typ)
			}
		}
	}
}

// row is what PACKETS.md says of a field, in its first three columns.
type row struct{ field, kind, presence string }

// rows describes a packet's fields in the words of PACKETS.md.
func rows(prefix string, fields []rule) []row {
	var all []row
	for _, r := range fields {
		presence := "required"
		if !r.required {
			presence = "optional"
		}
		switch {
		case r.required && r.nullable == V1:
			presence += ", nullable"
		case r.required && r.nullable == V2:
			presence += ", nullable in version 2"
		}
		if r.since == V2 {
			presence += ", version 2"
		}
		name := prefix + r.name
		all = append(all, row{"`" + name + "`", describe(r), presence})
		inner := r
		if r.item != nil && !r.item.pair {
			inner, name = *r.item, name+"[]"
		}
		if inner.shape != nil {
			all = append(all, rows(name+".", inner.shape.fields)...)
		}
	}
	return all
}

func describe(r rule) string {
	switch r.kind {
	case kindBool:
		if r.options != nil {
			return "`" + r.options[0] + "`"
		}
		return "boolean"
	case kindString:
		switch {
		case r.options != nil:
			return "`" + strings.Join(r.options, "` `") + "`"
		case r.format != nil:
			return r.format.name
		case r.filled:
			return "string, not empty"
		case r.most > 0:
			return fmt.Sprintf("string, at most %d", r.most)
		}
		return "string"
	case kindNumber:
		if r.float {
			return "number"
		}
		s := "integer"
		if r.min[0] > -maxInteger {
			s += fmt.Sprintf(" >= %.0f", r.min[0])
		}
		if r.min[0] != r.min[1] {
			s += fmt.Sprintf(" (%.0f in version 2)", r.min[1])
		}
		if r.max[0] < maxInteger {
			s += fmt.Sprintf(", <= %.0f", r.max[0])
		}
		return s
	case kindArray:
		s := "array of "
		switch {
		case r.item.pair:
			s += "[first, last]"
		case r.item.kind == kindRecord:
			s += describe(*r.item) + "s"
		default:
			s += describe(*r.item)
		}
		if r.least > 0 {
			s += fmt.Sprintf(", at least %d", r.least)
		}
		return s
	case kindRecord:
		switch {
		case r.values != nil:
			return "map of " + describe(*r.values)
		case r.shapes != nil:
			return fmt.Sprintf("one of %d records", len(r.shapes))
		case r.shape.open:
			return "open record"
		}
		return "record"
	}
	panic("no words for a rule of " + r.kind.String())
}
