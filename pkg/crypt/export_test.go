package crypt

import "discordcloud/pkg/cloud"

// SealWithSalt is Seal and SealPadded with a given salt: for vectors, and for
// attachments that lie.
func SealWithSalt(key ObjectKey, id cloud.ObjectID, salt [32]byte, h Header, ext, plain []byte, body int64) (*Sealed, error) {
	return seal(key, id, salt, h, ext, plain, body)
}

// ChunkKeys gives the keys of one sealing.
func ChunkKeys(key ObjectKey, salt [32]byte) (ck, cm [32]byte, n [12]byte) {
	k := key.chunkKeys(salt)
	return k.key, k.commitment, k.nonce
}

// EncodeHeader gives the plain header.
func EncodeHeader(h Header, ext int) ([48]byte, error) { return h.encode(ext) }

// Forge is an attachment with any header and any segments, sealed as if they
// were right: last says which segment is sealed as the last one.
func Forge(key ObjectKey, id cloud.ObjectID, salt [32]byte, header [48]byte, ext []byte, segments [][]byte, last int) []byte {
	s := newSealer(id, salt, key.chunkKeys(salt))
	s.sealHeader(header)
	b := append([]byte(nil), s.prefix[:]...)
	if ext != nil {
		b = append(b, s.sealExt(ext)...)
	}
	for i, plain := range segments {
		b = s.sealSegment(b, i, i == last, plain)
	}
	return b
}

// SegmentOpener opens single segments of one attachment, into dst.
func SegmentOpener(key ObjectKey, id cloud.ObjectID, salt [32]byte, header [64]byte) func(dst []byte, i int, last bool, sealed []byte) error {
	s := newSealer(id, salt, key.chunkKeys(salt))
	copy(s.prefix[headerAt:], header[:])
	return func(dst []byte, i int, last bool, sealed []byte) error {
		n := s.counter(uint32(i), last)
		_, err := s.aead.Open(dst, n[:], sealed, s.prefix[:])
		return err
	}
}
