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
