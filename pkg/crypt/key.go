package crypt

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"discordcloud/pkg/cloud"
)

// The purposes that keys are derived for. Each is its own HKDF info, so that no
// key serves two of them.
const (
	infoObject = "discord-cloud/1 object"
	infoChunk  = "discord-cloud/1 chunk"
	infoID     = "discord-cloud/1 key id"
	infoOther  = "discord-cloud/1 derive/"
)

// MasterKey opens all that was sealed under it. It never prints itself.
type MasterKey [32]byte

// Format writes a stand-in, whatever the verb.
func (MasterKey) Format(f fmt.State, _ rune) { writeSecret(f) }

// MarshalText gives a stand-in, so that no encoder writes the key.
func (MasterKey) MarshalText() ([]byte, error) { return []byte(secret), nil }

// ObjectKey opens the chunks of one object. It is what a worker gets. It never
// prints itself; whoever must send it does so by its bytes.
type ObjectKey [32]byte

// Format writes a stand-in, whatever the verb.
func (ObjectKey) Format(f fmt.State, _ rune) { writeSecret(f) }

// MarshalText gives a stand-in, so that no encoder writes the key.
func (ObjectKey) MarshalText() ([]byte, error) { return []byte(secret), nil }

const secret = "[secret]"

func writeSecret(f fmt.State) { _, _ = io.WriteString(f, secret) } // a formatter has nowhere to report to

// Ring is the master keys of a store: the newest, first, seals; all of them
// open. It is never empty.
type Ring []MasterKey

// ParseRing reads master keys as they stand in the configuration: base64 of 32
// bytes each, several separated by commas, the newest first. ErrInvalid says
// which of them is wrong, without its text.
func ParseRing(s string) (Ring, error) {
	var ring Ring
	for i, text := range strings.Split(s, ",") {
		raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("%w: key %d is not base64", cloud.ErrInvalid, i+1)
		}
		if len(raw) != len(MasterKey{}) {
			return nil, fmt.Errorf("%w: key %d has %d bytes, want %d", cloud.ErrInvalid, i+1, len(raw), len(MasterKey{}))
		}
		ring = append(ring, MasterKey(raw))
	}
	return ring, nil
}

// ObjectKey is the key to seal the chunks of an object with, from the newest
// master key.
func (r Ring) ObjectKey(id cloud.ObjectID) ObjectKey { return r[0].objectKey(id) }

// FindKey is the object key that belongs to the commitment of an attachment
// with that object id and salt. ErrNoKey if no master key of the ring fits.
func (r Ring) FindKey(id cloud.ObjectID, salt, commitment [32]byte) (ObjectKey, error) {
	for _, mk := range r {
		key := mk.objectKey(id)
		if ck := key.chunkKeys(salt); subtle.ConstantTimeCompare(ck.commitment[:], commitment[:]) == 1 {
			return key, nil
		}
	}
	return ObjectKey{}, ErrNoKey
}

// FindChunkKey is the object key that opens the sealed header that the
// database keeps of c. ErrNoKey if no master key of the ring fits.
func (r Ring) FindChunkKey(id cloud.ObjectID, c cloud.Chunk) (ObjectKey, error) {
	for _, mk := range r {
		key := mk.objectKey(id)
		ck := key.chunkKeys(c.Salt)
		if _, err := newSealer(id, c.Salt, ck).openHeader(c.Header); err == nil {
			return key, nil
		}
	}
	return ObjectKey{}, ErrNoKey
}

// IDs names each key of the ring, in its order, by text that may be stored and
// shown: it tells whether two keys are the same, and nothing else of them.
func (r Ring) IDs() []string {
	ids := make([]string, len(r))
	for i, mk := range r {
		ids[i] = hex.EncodeToString(derive(mk[:], nil, infoID, 16))
	}
	return ids
}

// Derive is a key for another purpose, named by info, from the newest master
// key. Nothing follows from it about keys of other purposes.
func (r Ring) Derive(info string) [32]byte {
	return [32]byte(derive(r[0][:], nil, infoOther+info, 32))
}

func (mk MasterKey) objectKey(id cloud.ObjectID) ObjectKey {
	return ObjectKey(derive(mk[:], id[:], infoObject, len(ObjectKey{})))
}

// chunkKeys is what one sealing uses: a key, the commitment to it, and what its
// nonces are made from.
type chunkKeys struct {
	key        [32]byte
	commitment [32]byte
	nonce      [nonceSize]byte
}

const nonceSize = 12

func (k ObjectKey) chunkKeys(salt [32]byte) chunkKeys {
	b := derive(k[:], salt[:], infoChunk, 32+32+nonceSize)
	return chunkKeys{key: [32]byte(b[:32]), commitment: [32]byte(b[32:64]), nonce: [nonceSize]byte(b[64:])}
}

func derive(key, salt []byte, info string, n int) []byte {
	b, err := hkdf.Key(sha256.New, key, salt, info, n)
	if err != nil {
		panic("crypt: derive: " + err.Error()) // only for lengths that HKDF does not have
	}
	return b
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("crypt: " + err.Error()) // only for lengths that AES does not have
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("crypt: " + err.Error()) // only for ciphers that are not AES
	}
	return aead
}
