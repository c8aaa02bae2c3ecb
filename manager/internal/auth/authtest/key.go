// Package authtest has an authenticator for tests of passkeys: one of software,
// that does as it is told, also what none of hardware would.
package authtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"
)

var b64 = base64.RawURLEncoding

// Key is an authenticator with one key pair. Its fields may be set between any two
// answers.
type Key struct {
	t        testing.TB
	private  *ecdsa.PrivateKey
	id       []byte
	Handle   []byte // what it knows its user by, from Create
	Origin   string // of the page that asks
	Count    uint32 // told with each answer
	Verified bool   // the user has shown a PIN or a finger
}

// NewKey makes one for a page.
func NewKey(t testing.TB, origin string) *Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id) // never fails
	return &Key{t: t, private: private, id: id, Origin: origin, Verified: true}
}

// question is what both kinds of options have for an authenticator.
type question struct {
	Challenge string `json:"challenge"`
	RPID      string `json:"rpId"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
}

func (k *Key) read(options any) (q question) {
	k.t.Helper()
	b, err := json.Marshal(options)
	if err == nil {
		err = json.Unmarshal(b, &q)
	}
	if err != nil || q.Challenge == "" {
		k.t.Fatalf("not a question to an authenticator: %s, %v", b, err)
	}
	return q
}

// Flags of authenticator data (Web Authentication §6.1).
const (
	present  = 1
	verified = 4
	attested = 0x40
	dataSize = 37 // bytes, without a key
)

func (k *Key) data(rp string, flags byte) []byte {
	sum := sha256.Sum256([]byte(rp))
	if k.Verified {
		flags |= verified
	}
	return binary.BigEndian.AppendUint32(append(sum[:], flags|present), k.Count)
}

func (k *Key) client(kind, challenge string) []byte {
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": k.Origin, "crossOrigin": false})
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

func (k *Key) answer(response map[string]any) json.RawMessage {
	b, err := json.Marshal(map[string]any{
		"id": b64.EncodeToString(k.id), "rawId": b64.EncodeToString(k.id), "type": "public-key",
		"response": response, "clientExtensionResults": map[string]any{},
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return b
}

// Create answers navigator.credentials.create.
func (k *Key) Create(options any) json.RawMessage {
	k.t.Helper()
	q := k.read(options)
	handle, err := b64.DecodeString(q.User.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	k.Handle = handle
	point, err := k.private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		k.t.Fatal(err)
	}
	data := append(k.data(q.RP.ID, attested), make([]byte, 16)...) // of no make
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(k.id))), k.id...)
	// A COSE key (RFC 9053 §7.1): kty EC2, alg ES256, crv P-256, x, y.
	data = append(data, 0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32)
	data = append(append(data, point[1:33]...), 0x22, 0x58, 32)
	data = append(data, point[33:]...)

	// CBOR of {"fmt": "none", "attStmt": {}, "authData": data}.
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"), byte(len(data)))
	return k.answer(map[string]any{
		"clientDataJSON":    b64.EncodeToString(k.client("webauthn.create", q.Challenge)),
		"attestationObject": b64.EncodeToString(append(object, data...)),
		"transports":        []string{"internal"},
	})
}

// Get answers navigator.credentials.get.
func (k *Key) Get(options any) json.RawMessage {
	k.t.Helper()
	q := k.read(options)
	data := k.data(q.RPID, 0)
	client := k.client("webauthn.get", q.Challenge)
	sum := sha256.Sum256(client)
	signed := sha256.Sum256(append(data[:dataSize:dataSize], sum[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, signed[:])
	if err != nil {
		k.t.Fatal(err)
	}
	return k.answer(map[string]any{
		"clientDataJSON":    b64.EncodeToString(client),
		"authenticatorData": b64.EncodeToString(data),
		"signature":         b64.EncodeToString(signature),
		"userHandle":        b64.EncodeToString(k.Handle),
	})
}
