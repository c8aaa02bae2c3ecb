package restsql

import (
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Types by their numbers in pg_type, which never change.
const (
	typeBool    = 16
	typeBytes   = 17
	typeChar    = 18
	typeName    = 19
	typeInt8    = 20
	typeInt2    = 21
	typeInt4    = 23
	typeText    = 25
	typeOID     = 26
	typeFloat8  = 701
	typeVarchar = 1043
	typeNumeric = 1700
)

// parseRecords reads rows one after another, each as record_send writes it: the
// number of its values, then of each its type, its length, -1 for NULL, and what
// the type sends. A numeric becomes its text, as database/sql reads it into numbers.
func parseRecords(b []byte) (all [][]driver.Value, err error) {
	for len(b) > 0 {
		var row []driver.Value
		if row, b, err = parseRecord(b); err != nil {
			return nil, err
		}
		if len(all) > 0 && len(all[0]) != len(row) {
			return nil, fmt.Errorf("%w: rows of %d and of %d values", errAnswer, len(all[0]), len(row))
		}
		all = append(all, row)
	}
	return all, nil
}

func parseRecord(b []byte) (row []driver.Value, rest []byte, err error) {
	n, b, ok := uint32Of(b)
	if !ok || int64(n)*8 > int64(len(b)) {
		return nil, nil, fmt.Errorf("%w: a row is cut", errAnswer)
	}
	row = make([]driver.Value, n)
	for i := range row {
		kind, after, _ := uint32Of(b) // both were counted
		size, after, ok := uint32Of(after)
		if b = after; !ok {
			return nil, nil, fmt.Errorf("%w: a row is cut", errAnswer)
		}
		if int32(size) == -1 {
			continue
		}
		if int64(size) > int64(len(b)) {
			return nil, nil, fmt.Errorf("%w: a value is cut", errAnswer)
		}
		if row[i], err = parseValue(kind, b[:size]); err != nil {
			return nil, nil, err
		}
		b = b[size:]
	}
	return row, b, nil
}

// typesOf are those of the values of the first row, as far as they can be read.
func typesOf(answer []byte) (types []uint32) {
	n, b, ok := uint32Of(answer)
	for ; ok && n > 0; n-- {
		var kind, size uint32
		kind, b, _ = uint32Of(b)
		if size, b, ok = uint32Of(b); !ok {
			return nil
		}
		if size = uint32(max(int32(size), 0)); int64(size) > int64(len(b)) {
			return nil
		}
		b = b[size:]
		types = append(types, kind)
	}
	return types
}

// record writes a row as parseRecord reads it. It is not ok for values that are not
// of these types.
func record(types []uint32, row []driver.Value) (b []byte, ok bool) {
	if len(types) == 0 || len(types) != len(row) {
		return nil, false
	}
	b = binary.BigEndian.AppendUint32(nil, uint32(len(types)))
	for i, kind := range types {
		b = binary.BigEndian.AppendUint32(b, kind)
		var value []byte
		switch v := row[i].(type) {
		case nil:
			b = binary.BigEndian.AppendUint32(b, math.MaxUint32)
			continue
		case int64:
			value, ok = binary.BigEndian.AppendUint64(nil, uint64(v)), kind == typeInt8
			if kind == typeInt4 && v == int64(int32(v)) {
				value, ok = binary.BigEndian.AppendUint32(nil, uint32(v)), true
			}
		case bool:
			value, ok = []byte{0}, kind == typeBool
			if v {
				value[0] = 1
			}
		case string:
			value, ok = []byte(v), kind == typeText || kind == typeVarchar
		case []byte:
			if v == nil {
				b = binary.BigEndian.AppendUint32(b, math.MaxUint32)
				continue
			}
			value, ok = v, kind == typeBytes
		default:
			ok = false
		}
		if !ok {
			return nil, false
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
		b = append(b, value...)
	}
	return b, true
}

func uint32Of(b []byte) (n uint32, rest []byte, ok bool) {
	if len(b) < 4 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint32(b), b[4:], true
}

// sizes of values that have always the same.
var fixed = map[uint32]int{typeBool: 1, typeInt8: 8, typeInt2: 2, typeInt4: 4, typeOID: 4, typeFloat8: 8}

func parseValue(kind uint32, b []byte) (driver.Value, error) {
	if size, ok := fixed[kind]; ok && size != len(b) {
		return nil, fmt.Errorf("%w: a value of type %d has %d bytes", errAnswer, kind, len(b))
	}
	switch kind {
	case typeBool:
		return b[0] != 0, nil
	case typeInt2:
		return int64(int16(binary.BigEndian.Uint16(b))), nil
	case typeInt4:
		return int64(int32(binary.BigEndian.Uint32(b))), nil
	case typeInt8:
		return int64(binary.BigEndian.Uint64(b)), nil
	case typeOID:
		return int64(binary.BigEndian.Uint32(b)), nil
	case typeFloat8:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case typeText, typeVarchar, typeName, typeChar:
		if !utf8.Valid(b) {
			return nil, fmt.Errorf("%w: a text is not UTF-8", errAnswer)
		}
		return string(b), nil
	case typeBytes:
		return append([]byte{}, b...), nil
	case typeNumeric:
		return parseNumeric(b)
	}
	return nil, fmt.Errorf("%w: a value has type %d, which is not known", errAnswer, kind)
}

// parseNumeric reads digits of base 10,000: their number, the power of the first,
// the sign, how many decimals are shown, and the digits.
func parseNumeric(b []byte) (string, error) {
	const positive, negative = 0x0000, 0x4000
	if len(b) < 8 {
		return "", fmt.Errorf("%w: a number is cut", errAnswer)
	}
	n, weight := int(binary.BigEndian.Uint16(b)), int(int16(binary.BigEndian.Uint16(b[2:])))
	sign, shown := binary.BigEndian.Uint16(b[4:]), int(binary.BigEndian.Uint16(b[6:]))
	if b = b[8:]; len(b) != 2*n || sign != positive && sign != negative {
		return "", fmt.Errorf("%w: no number that is known", errAnswer)
	}
	digit := func(power int) int { // of 10,000
		if i := weight - power; i >= 0 && i < n {
			return int(binary.BigEndian.Uint16(b[2*i:]))
		}
		return 0
	}
	var text strings.Builder
	if sign == negative {
		text.WriteByte('-')
	}
	fmt.Fprintf(&text, "%d", digit(max(weight, 0)))
	for power := weight - 1; power >= 0; power-- {
		fmt.Fprintf(&text, "%04d", digit(power))
	}
	if shown > 0 {
		var decimals strings.Builder
		for power := -1; decimals.Len() < shown; power-- {
			fmt.Fprintf(&decimals, "%04d", digit(power))
		}
		text.WriteByte('.')
		text.WriteString(decimals.String()[:shown])
	}
	return text.String(), nil
}
