package sqlmeta

import (
	"database/sql"
	"fmt"
	"time"
)

// These read columns into what an entry has, of which a page has many: database/sql
// finds out by reflection what it is to fill, and writes a number as a text to read
// it again.
type (
	number[T ~int64 | ~uint32] struct{ to *T }
	orZero                     int64     // NULL is 0
	moment                     time.Time // of microseconds
	octets16                   [16]byte  // NULL is zeros, as in the next
	octets32                   [32]byte
)

var _, _, _, _, _ sql.Scanner = number[int64]{}, (*orZero)(nil), (*moment)(nil), (*octets16)(nil), (*octets32)(nil)

func num[T ~int64 | ~uint32](to *T) number[T] { return number[T]{to} }

// Scan implements sql.Scanner.
func (n number[T]) Scan(v any) error {
	i, ok := v.(int64)
	if !ok || int64(T(i)) != i {
		return fmt.Errorf("%v is not such a number", v)
	}
	*n.to = T(i)
	return nil
}

// Scan implements sql.Scanner.
func (n *orZero) Scan(v any) error {
	if v == nil {
		*n = 0
		return nil
	}
	return num((*int64)(n)).Scan(v)
}

// Scan implements sql.Scanner.
func (m *moment) Scan(v any) error {
	var us int64
	err := num(&us).Scan(v)
	*m = moment(fromStamp(us))
	return err
}

// Scan implements sql.Scanner.
func (o *octets16) Scan(v any) error { return octets(o[:], v) }

// Scan implements sql.Scanner.
func (o *octets32) Scan(v any) error { return octets(o[:], v) }

func octets(into []byte, v any) error {
	b, ok := v.([]byte)
	if v != nil && (!ok || len(b) != len(into)) {
		return fmt.Errorf("%T is not %d bytes", v, len(into))
	}
	clear(into)
	copy(into, b)
	return nil
}
