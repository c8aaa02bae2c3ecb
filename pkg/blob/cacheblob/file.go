package cacheblob

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"discordcloud/pkg/cloud"
)

// A block's file: magic, key, length, CRC-32C over all of it but the sum, bytes.
const (
	magic      = "sealed01"
	headerSize = len(magic) + len(key{}) + 4 + 4
	unfinished = ".new"
	// touchEvery is how exact a file's time tells its last use.
	touchEvery = 10 * time.Minute
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func header(k key, data []byte) []byte {
	h := make([]byte, 0, headerSize)
	h = append(h, magic...)
	h = append(h, k[:]...)
	h = binary.LittleEndian.AppendUint32(h, uint32(len(data)))
	return binary.LittleEndian.AppendUint32(h, crc32.Update(crc32.Checksum(h, castagnoli), castagnoli, data))
}

// writeBlock makes the file of a block, under a random name.
func writeBlock(dir string, k key, data []byte) (name string, err error) {
	random := make([]byte, 16)
	_, _ = rand.Read(random) // never fails
	name = hex.EncodeToString(random)
	path := filepath.Join(dir, name)
	f, err := os.OpenFile(path+unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.Write(header(k, data))
	if err == nil {
		_, err = f.Write(data)
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(path+unfinished, path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(path+unfinished))
	}
	return name, nil
}

// readBlock appends the bytes of a block to b: ErrCorrupt if the file is not what
// was written.
func readBlock(path string, k key, length int, b []byte) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	var head [headerSize]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return nil, fmt.Errorf("%w: %w", cloud.ErrCorrupt, err)
	}
	at := len(b)
	b = slices.Grow(b, length)[:at+length]
	if _, err := io.ReadFull(f, b[at:]); err != nil {
		return nil, fmt.Errorf("%w: %w", cloud.ErrCorrupt, err)
	}
	if !bytes.Equal(head[:], header(k, b[at:])) {
		return nil, fmt.Errorf("%w: its sum is another", cloud.ErrCorrupt)
	}
	return b, nil
}

// scan finds the blocks of an earlier run, least recently used first, and removes
// what is none.
func (c *Cache) scan() ([]*block, error) {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	var found []*block
	for _, e := range entries {
		b, err := c.examine(e)
		if err != nil {
			return nil, err
		}
		if b != nil {
			found = append(found, b)
		}
	}
	slices.SortFunc(found, func(a, b *block) int { return a.touched.Compare(b.touched) })
	return found, nil
}

// examine reads the head of a file. The rest is checked when it is used.
func (c *Cache) examine(e os.DirEntry) (*block, error) {
	random, err := hex.DecodeString(strings.TrimSuffix(e.Name(), unfinished))
	if err != nil || len(random) != 16 || !e.Type().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not the cache's, whose directory %s is", cloud.ErrInvalid, e.Name(), c.dir)
	}
	path := filepath.Join(c.dir, e.Name())
	b := &block{name: e.Name()}
	info, err := e.Info()
	if err == nil {
		b.touched = info.ModTime()
		err = b.readHead(path, info.Size())
	}
	if err != nil || strings.HasSuffix(e.Name(), unfinished) {
		return nil, os.Remove(path)
	}
	return b, nil
}

func (b *block) readHead(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	var head [headerSize]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return err
	}
	b.length = int(binary.LittleEndian.Uint32(head[len(magic)+len(key{}):]))
	if string(head[:len(magic)]) != magic || b.length < 1 || b.length > BlockSize || size != b.fileSize() {
		return cloud.ErrCorrupt
	}
	b.key = key(head[len(magic):])
	return nil
}
