package chunk

import "hash/crc32"

// CombineCRC32 is the IEEE CRC-32 of a followed by b, from the CRC-32 of each
// and the length of b in bytes. Chunks can thus be summed in any order.
//
// Appending n bytes to a message multiplies its remainder by x^8n; the
// remainders are polynomials over GF(2) modulo the CRC's own, in the bit order
// of crc32.IEEE (as in zlib's crc32_combine).
func CombineCRC32(a, b uint32, lenB int64) uint32 {
	if lenB < 0 {
		panic("chunk: negative length")
	}
	const one, xTo8 = 1 << 31, 1 << 23 // the highest bit is the coefficient of x^0
	shift := uint32(one)
	for square, n := uint32(xTo8), lenB; n > 0; n >>= 1 {
		if n&1 == 1 {
			shift = multiply(shift, square)
		}
		square = multiply(square, square)
	}
	return multiply(a, shift) ^ b
}

// multiply is a times b modulo the polynomial.
func multiply(a, b uint32) uint32 {
	var product uint32
	for bit := uint32(1 << 31); bit != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= crc32.IEEE
		}
	}
	return product
}
