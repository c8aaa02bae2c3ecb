package restsql

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
)

func TestMemory(t *testing.T) {
	m := newMemory(160)
	add := func(i int) { m.learn(fmt.Sprint(i), []byte("1234")) } // 5 bytes each
	for i := range 10 {
		add(i)
	}
	for i := 10; i < 33; i++ {
		m.lookup("0") // stays, since it is used
		add(i)
	}
	for key, want := range map[string]bool{"0": true, "1": false, "32": true} {
		if _, ok := m.lookup(key); ok != want {
			t.Errorf("%s is there: %v, want %v", key, ok, want)
		}
	}
	m.learn("0", []byte("new"))
	if b, _ := m.lookup("0"); string(b) != "new" {
		t.Errorf("0 answers %q", b)
	}
	m.learn("0", make([]byte, 100)) // too big, and what was known is wrong
	if _, ok := m.lookup("0"); ok || m.used > m.most {
		t.Errorf("0 is there: %v; %d bytes of %d", ok, m.used, m.most)
	}
}

func TestNumber(t *testing.T) {
	for _, n := range []int64{0, -1, 1 << 62} {
		b := numbered(n)
		got, ok := number(b)
		rows, err := parseRecords(b)
		if !ok || got != n || err != nil || len(rows) != 1 || rows[0][0] != driver.Value(n) {
			t.Errorf("%d is %d, %v; %v, %v", n, got, ok, rows, err)
		}
	}
	if _, ok := number(append(numbered(1), numbered(2)...)); ok {
		t.Error("two rows are a number")
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(numbered(7))
	f.Add(bytes.Repeat(numbered(-7), 2))
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x06\xa4\x00\x00\x00\x0a\x00\x01\x00\x00\x00\x00\x00\x02\x00\x01"))
	f.Add([]byte("\x00\x00\x00\x02\x00\x00\x00\x19\x00\x00\x00\x01a\x00\x00\x00\x11\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := parseRecords(b)
		if err != nil && !errors.Is(err, errAnswer) {
			t.Errorf("%v", err)
		}
		for _, row := range all {
			if len(row) != len(all[0]) {
				t.Errorf("rows of %d and %d values", len(row), len(all[0]))
			}
		}
	})
}

func TestRecord(t *testing.T) {
	types := []uint32{typeInt8, typeInt4, typeBool, typeText, typeBytes, typeBytes, typeText}
	row := []driver.Value{int64(-5), int64(7), true, "a", []byte{0, 255}, nil, nil}
	b, ok := record(types, row)
	if !ok || fmt.Sprint(typesOf(b)) != fmt.Sprint(types) {
		t.Fatalf("record = %x, %v; its types are %v", b, ok, typesOf(b))
	}
	if rows, err := parseRecords(b); err != nil || len(rows) != 1 || fmt.Sprint(rows[0]) != fmt.Sprint(row) {
		t.Errorf("it is read as %v, %v", rows, err)
	}
	for _, wrong := range [][]driver.Value{row[1:], {"text", int64(7), true, "a", []byte{}, nil, nil}, {int64(1), int64(1) << 40, true, "a", []byte{}, nil, nil}} {
		if _, ok := record(types, wrong); ok {
			t.Errorf("%v is taken for a row of these types", wrong)
		}
	}
	if _, ok := record(nil, nil); ok {
		t.Error("a row of types that are not known is written")
	}
	for cut := range b {
		if got := typesOf(b[:cut]); len(got) >= len(types) {
			t.Errorf("of %d bytes the types are %v", cut, got)
		}
	}
}
