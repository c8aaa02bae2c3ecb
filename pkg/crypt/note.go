package crypt

import (
	"crypto/rand"
	"fmt"
)

// SealNote seals something short that the manager keeps for itself, under the
// key that Derive gives for info: a random nonce of 12 bytes, and what AES-GCM
// makes of plain.
func (r Ring) SealNote(info string, plain []byte) []byte {
	key := r.Derive(info)
	aead := newGCM(key[:])
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(plain)+aead.Overhead())
	_, _ = rand.Read(nonce) // never fails
	return aead.Seal(nonce, nonce, plain, nil)
}

// OpenNote opens a note that was sealed for the same info under any key of the
// ring. ErrNoKey if it was not.
func (r Ring) OpenNote(info string, sealed []byte) ([]byte, error) {
	for i := range r {
		key := r[i:].Derive(info)
		aead := newGCM(key[:])
		if len(sealed) < aead.NonceSize() {
			break
		}
		plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], nil)
		if err == nil {
			return plain, nil
		}
	}
	return nil, fmt.Errorf("open note: %w", ErrNoKey)
}
