package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"

	"discordcloud/pkg/cloud"
)

// Lengths of a password, in bytes. Clients of version 1 are held to 8 to 256
// characters besides.
const (
	MinPassword = 8
	MaxPassword = 1024
)

// HashParams are the costs of Argon2id (RFC 9106).
type HashParams struct {
	Memory  uint32 // KiB
	Passes  uint32
	Threads uint8
}

var defaultHash = HashParams{Memory: 64 << 10, Passes: 3, Threads: 1}

// The most that a stored hash may ask for: one from a damaged database must not
// eat the machine.
var maxHash = HashParams{Memory: 1 << 20, Passes: 64, Threads: 64}

const (
	saltSize  = 16
	hashSize  = 32
	maxQueued = 128 // password checks that may wait for their turn
)

var b64 = base64.RawStdEncoding

// hasher makes and checks PHC strings. As many work at once as there are cores:
// each takes the memory that its parameters say.
type hasher struct {
	params HashParams
	pepper []byte
	keyID  string // names the pepper in the PHC string; "" without one
	slots  *semaphore.Weighted
	queue  *semaphore.Weighted
}

func newHasher(p HashParams, pepper []byte, parallel int) *hasher {
	if p == (HashParams{}) {
		p = defaultHash
	}
	h := &hasher{params: p, slots: semaphore.NewWeighted(int64(parallel)), queue: semaphore.NewWeighted(maxQueued)}
	if len(pepper) > 0 {
		h.pepper = pepper
		sum := sha256.Sum256(append([]byte("discord-cloud/1 pepper id\x00"), pepper...))
		h.keyID = hex.EncodeToString(sum[:4])
	}
	return h
}

// phc is a parsed PHC string: $argon2id$v=19$m=65536,t=3,p=1[,keyid=…]$salt$hash
type phc struct {
	HashParams
	keyID      string
	salt, hash []byte
}

func (p phc) String() string {
	keyID := ""
	if p.keyID != "" {
		keyID = ",keyid=" + p.keyID
	}
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d%s$%s$%s", argon2.Version,
		p.Memory, p.Passes, p.Threads, keyID, b64.EncodeToString(p.salt), b64.EncodeToString(p.hash))
}

func parsePHC(s string) (phc, error) {
	bad := func(what string) (phc, error) {
		return phc{}, fmt.Errorf("stored password: %w: %s", cloud.ErrCorrupt, what)
	}
	f := strings.Split(s, "$")
	if len(f) != 6 || f[0] != "" || f[1] != "argon2id" || f[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return bad("not Argon2id, version 19")
	}
	var p phc
	costs, keyID, _ := strings.Cut(f[3], ",keyid=")
	p.keyID = keyID
	if _, err := fmt.Sscanf(costs, "m=%d,t=%d,p=%d", &p.Memory, &p.Passes, &p.Threads); err != nil {
		return bad("parameters")
	}
	if p.Memory < 8 || p.Passes < 1 || p.Threads < 1 ||
		p.Memory > maxHash.Memory || p.Passes > maxHash.Passes || p.Threads > maxHash.Threads {
		return bad("parameters out of range")
	}
	var err error
	if p.salt, err = b64.Strict().DecodeString(f[4]); err != nil || len(p.salt) < 8 {
		return bad("salt")
	}
	if p.hash, err = b64.Strict().DecodeString(f[5]); err != nil || len(p.hash) < 16 {
		return bad("hash")
	}
	return p, nil
}

// hash makes the stored form of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	p := phc{HashParams: h.params, keyID: h.keyID, salt: randomBytes(saltSize)}
	var err error
	p.hash, err = h.derive(ctx, p, hashSize, password)
	if err != nil {
		return "", err
	}
	return p.String(), nil
}

// verify tells whether the password is the stored one, and whether it should be
// hashed anew because the parameters have changed.
func (h *hasher) verify(ctx context.Context, stored, password string) (ok, stale bool, err error) {
	p, err := parsePHC(stored)
	if err != nil {
		return false, false, err
	}
	got, err := h.derive(ctx, p, len(p.hash), password)
	if err != nil {
		return false, false, err
	}
	ok = subtle.ConstantTimeCompare(got, p.hash) == 1
	return ok, p.HashParams != h.params || p.keyID != h.keyID, nil
}

// dummy is a stored form that no password has. Checking against it takes as
// long as against a real one.
func (h *hasher) dummy() string {
	return phc{HashParams: h.params, keyID: h.keyID, salt: randomBytes(saltSize), hash: randomBytes(hashSize)}.String()
}

func (h *hasher) derive(ctx context.Context, p phc, size int, password string) ([]byte, error) {
	if len(password) > MaxPassword {
		return nil, fmt.Errorf("password: %w", cloud.ErrTooLarge)
	}
	in := []byte(password)
	if p.keyID != "" { // one from before there was a pepper still verifies
		mac := hmac.New(sha256.New, h.pepper)
		mac.Write(in)
		in = mac.Sum(nil)
	}
	if !h.queue.TryAcquire(1) {
		return nil, cloud.UserErrorf(cloud.ErrUnavailable, "too many sign-ins at the moment; try again in a few seconds")
	}
	defer h.queue.Release(1)
	if err := h.slots.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer h.slots.Release(1)
	out := argon2.IDKey(in, p.salt, p.Passes, p.Memory, p.Threads, uint32(size))
	if p.Memory >= 16<<10 {
		debug.FreeOSMemory() // or the process keeps these 64 MiB for minutes
	}
	return out, nil
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// checkPassword refuses passwords that may not be set.
func checkPassword(name, password string) error {
	switch {
	case len(password) < MinPassword:
		return cloud.UserErrorf(cloud.ErrInvalid, "a password has at least %d characters", MinPassword)
	case len(password) > MaxPassword:
		return cloud.UserErrorf(cloud.ErrInvalid, "a password has at most %d bytes", MaxPassword)
	case strings.EqualFold(name, password):
		return cloud.UserErrorf(cloud.ErrInvalid, "the password must not be the name")
	}
	return checkWorst(password)
}

// checkUserName refuses names that nobody may have: 1 to 64 of letters, digits,
// ".", "_" and "-", of ASCII.
func checkUserName(name string) error {
	ok := name != "" && len(name) <= 64
	for i := 0; ok && i < len(name); i++ {
		c := name[i]
		ok = 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-", c) >= 0
	}
	if !ok {
		return cloud.UserErrorf(cloud.ErrInvalid, "a user name is 1 to 64 letters, digits, full stops, underscores and hyphens")
	}
	return nil
}
