package crypt_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"discordcloud/pkg/cloud"
	"discordcloud/pkg/crypt"
)

// The fixed inputs of the vectors: no other test draws its own.
func fixed() (ring crypt.Ring, id cloud.ObjectID, salt [32]byte) {
	var mk crypt.MasterKey
	for i := range mk {
		mk[i] = byte(i)
	}
	for i := range id {
		id[i] = 0x40 + byte(i)
	}
	for i := range salt {
		salt[i] = 0x80 + byte(i)
	}
	return crypt.Ring{mk}, id, salt
}

// body is the first n bytes of SHAKE-128("body").
func body(n int) []byte {
	h := sha3.NewSHAKE128()
	_, _ = h.Write([]byte("body"))
	p := make([]byte, n)
	_, _ = h.Read(p)
	return p
}

type vector struct {
	name     string
	payload  int
	padding  int64
	ext      string
	header   crypt.Header
	millis   int64
	wantSize int64
	wantSum  string
}

var vectors = []vector{
	{"empty", 0, 0, "", crypt.Header{Final: true}, 0, 160,
		"5946d066b52e031f489bb68b96c20cd4a33dfe69230cc270db2a126852978ea5"},
	{"three bytes", 3, 0, "", crypt.Header{Final: true, ObjectSize: 3}, 1700000000000, 163,
		"ff0d2d39dbfc916319ec2301e9589d06a0b30d1661cce332b7c72b21da467d0a"},
	{"one segment", 65536, 0, "", crypt.Header{Final: true, ObjectSize: 65536}, 1700000000000, 65696,
		"812381fed192b9117240ccfff8ea5e505da2c94ba693e70fa8b9c78dc5a30453"},
	{"a byte more", 65537, 0, "", crypt.Header{Final: true, Index: 7, Offset: 71565312, ObjectSize: 71630849}, 1700000000000, 65713,
		"9218ff534ee98ff0144e54bc3732a6e71382ed9e3a65ab5903c9ae936aceaf05"},
	{"padding and extension", 1000, 24, `{"n":"a.txt"}`, crypt.Header{Final: true, Padded: true, ObjectSize: 1000}, 1700000000000, 1213,
		"b83d0a99d171f85497499f55537eff2930af20de48e4aa37a983e3a348136f82"},
	{"size unknown", 600000, 0, "", crypt.Header{Index: 1, Offset: 10223616, ObjectSize: -1}, 1700000000000, 600304,
		"981722ba6061d447dfd87fb05ba7ed347b93de8b014af5245ac4a2fb8e038e9f"},
}

func (v vector) seal(t testing.TB) *crypt.Sealed {
	t.Helper()
	ring, id, salt := fixed()
	h := v.header
	h.Time = time.UnixMilli(v.millis)
	s, err := crypt.SealWithSalt(ring.ObjectKey(id), id, salt, h, []byte(v.ext), body(v.payload), int64(v.payload)+v.padding)
	if err != nil {
		t.Fatalf("seal: %v", err)
	}
	return s
}

func TestVectors_Keys(t *testing.T) {
	ring, id, salt := fixed()
	ok := ring.ObjectKey(id)
	ck, cm, n := crypt.ChunkKeys(ok, salt)
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"OK", ok[:], "cf62024b7d2cf4d65a5f2281e7ad560e3ed342be738a65bc07a6ffb91e2587a9"},
		{"CK", ck[:], "80212b422d45ac007a7a23c729029d02853691b0bbe8f7ce2f4bec4e54c56bee"},
		{"CM", cm[:], "71cb3d60cb73ee9cdca4708a18437c9940729b81f7f9a3f70e8b1a5ff1c6dcf6"},
		{"N", n[:], "e330f6cfacd2e2a8d00a3cb6"},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s = %s, want %s", c.name, got, c.want)
		}
	}
}

func TestVectors_Whole(t *testing.T) {
	const want = "404142434445464748494a4b4c4d4e4f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f71cb3d60cb73ee9cdca4708a18437c99" +
		"40729b81f7f9a3f70e8b1a5ff1c6dcf610ae35c155a7c5c049267b1a59466a929050efab820e4690a7638dbbf5401c4595477c30739845df68aa9a65acc4c7d9" +
		"4f5afb7df682079f54462d0c23d042800bc63942fef88863ba5319e44cae68ab5908eb"
	if got := hex.EncodeToString(vectors[1].seal(t).Bytes()); got != want {
		t.Errorf("sealed = %s\nwant %s", got, want)
	}
	h := vectors[1].header
	h.Size, h.Time = 3, time.UnixMilli(vectors[1].millis)
	head, err := crypt.EncodeHeader(h, 0)
	if err != nil {
		t.Fatal(err)
	}
	const wantHead = "01010001000000000000000000000003000000000000000000000000000000030000018bcfe568000000000000000000"
	if got := hex.EncodeToString(head[:]); got != wantHead {
		t.Errorf("header = %s, want %s", got, wantHead)
	}
}

func TestVectors(t *testing.T) {
	ring, id, salt := fixed()
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			s := v.seal(t)
			sealed := s.Bytes()
			if s.Size() != v.wantSize || int64(len(sealed)) != v.wantSize {
				t.Errorf("size = %d, %d bytes, want %d", s.Size(), len(sealed), v.wantSize)
			}
			sum := sha256.Sum256(sealed)
			if got := hex.EncodeToString(sum[:]); got != v.wantSum {
				t.Errorf("sum = %s, want %s", got, v.wantSum)
			}
			if err := iotest.TestReader(s.Open(), sealed); err != nil {
				t.Errorf("reader: %v", err)
			}

			a, payload, err := crypt.Open(ring, iotest.HalfReader(bytes.NewReader(sealed)), int64(len(sealed)))
			if err != nil {
				t.Fatalf("open: %v", err)
			}
			want := v.header
			want.Size, want.Time = int64(v.payload), time.UnixMilli(v.millis).UTC()
			if a.Header != want {
				t.Errorf("header = %+v, want %+v", a.Header, want)
			}
			if a.Object != id || string(a.Ext) != v.ext || a.Key != ring.ObjectKey(id) {
				t.Errorf("object %s, extension %q", a.Object, a.Ext)
			}
			if a.Chunk != s.Chunk() || a.Chunk.Salt != salt || [64]byte(sealed[80:144]) != a.Chunk.Header {
				t.Errorf("chunk = %+v, sealed as %+v", a.Chunk, s.Chunk())
			}
			if err := iotest.TestReader(payload, body(v.payload)); err != nil {
				t.Errorf("payload: %v", err)
			}
		})
	}
}

// Every way to read an attachment gives the same bytes.
func TestSealed_Open(t *testing.T) {
	s := vectors[5].seal(t)
	want := s.Bytes()
	for _, size := range []int{1000, 65535, 65536, 65552, 65553, 1 << 20} {
		got := new(bytes.Buffer)
		if _, err := io.CopyBuffer(struct{ io.Writer }{got}, struct{ io.Reader }{s.Open()}, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("read %d at a time: other bytes", size)
		}
	}
	r := s.Open()
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	rest := new(bytes.Buffer)
	if n, err := r.(io.WriterTo).WriteTo(rest); err != nil || n != int64(len(want)-100) || !bytes.Equal(rest.Bytes(), want[100:]) {
		t.Errorf("WriteTo = %d, %v", n, err)
	}
}

func TestSeal_FreshSalt(t *testing.T) {
	ring, id, _ := fixed()
	seen := map[[32]byte]bool{}
	for range 100 {
		s, err := crypt.Seal(ring.ObjectKey(id), id, crypt.Header{ObjectSize: -1}, nil, []byte("the same"))
		if err != nil {
			t.Fatal(err)
		}
		if seen[s.Salt()] {
			t.Fatal("a salt came twice")
		}
		seen[s.Salt()] = true
		if a, b := s.Bytes(), s.Bytes(); !bytes.Equal(a, b) {
			t.Fatal("one sealing gave two texts")
		}
	}
}

func TestSeal_Invalid(t *testing.T) {
	ring, id, _ := fixed()
	key := ring.ObjectKey(id)
	plain := []byte("abc")
	for name, h := range map[string]crypt.Header{
		"kind":            {Kind: 7, ObjectSize: -1},
		"negative index":  {Index: -1, ObjectSize: -1},
		"index too large": {Index: 1 << 32, ObjectSize: -1},
		"other size":      {Size: 4, ObjectSize: -1},
		"negative offset": {Offset: -1, ObjectSize: -1},
		"offset overflow": {Offset: 1<<63 - 3, ObjectSize: -1},
		"past the object": {Offset: 1, ObjectSize: 3},
		"object size":     {ObjectSize: -2},
		"padded":          {Padded: true, ObjectSize: -1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := crypt.Seal(key, id, h, nil, plain); !isInvalid(err) {
				t.Errorf("Seal = %v, want ErrInvalid", err)
			}
		})
	}
	ok := crypt.Header{ObjectSize: -1}
	if _, err := crypt.Seal(key, id, ok, make([]byte, 3937), plain); !isInvalid(err) {
		t.Errorf("long extension: %v, want ErrInvalid", err)
	}
	if _, err := crypt.SealPadded(key, id, ok, nil, plain, 2); !isInvalid(err) {
		t.Errorf("body shorter than payload: %v, want ErrInvalid", err)
	}
}

func TestSealPadded(t *testing.T) {
	ring, id, _ := fixed()
	for _, c := range []struct{ size, body int }{{0, 0}, {0, 1}, {0, 70000}, {10, 10}, {65536, 65537}, {65530, 200000}, {70000, 131072}} {
		s, err := crypt.SealPadded(ring.ObjectKey(id), id, crypt.Header{ObjectSize: -1}, nil, body(c.size), int64(c.body))
		if err != nil {
			t.Fatal(err)
		}
		a, r, err := crypt.Open(ring, s.Open(), s.Size())
		if err != nil {
			t.Fatalf("%d in %d: %v", c.size, c.body, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, body(c.size)) || !a.Header.Padded || a.Header.Size != int64(c.size) {
			t.Errorf("%d in %d: %d bytes, %+v, %v", c.size, c.body, len(got), a.Header, err)
		}
	}
}

func TestParseRing(t *testing.T) {
	ring, id, salt := fixed()
	const one = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	const two = "//79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA="
	got, err := crypt.ParseRing(two + ", " + one)
	if err != nil || len(got) != 2 || got[1] != ring[0] {
		t.Fatalf("ParseRing = %d keys, %v", len(got), err)
	}
	if ids := got.IDs(); ids[1] != ring.IDs()[0] || ids[0] == ids[1] {
		t.Errorf("ids = %q, want the second as %q", ids, ring.IDs())
	}
	if got.ObjectKey(id) == ring.ObjectKey(id) {
		t.Error("the older key seals")
	}
	_, cm, _ := crypt.ChunkKeys(ring.ObjectKey(id), salt)
	if key, err := got.FindKey(id, salt, cm); err != nil || key != ring.ObjectKey(id) {
		t.Errorf("FindKey did not find the older key: %v", err)
	}
	chunk := vectors[1].seal(t).Chunk()
	if key, err := got.FindChunkKey(id, chunk); err != nil || key != ring.ObjectKey(id) {
		t.Errorf("FindChunkKey did not find the older key: %v", err)
	}
	if _, err := got[:1].FindChunkKey(id, chunk); err != crypt.ErrNoKey {
		t.Errorf("FindChunkKey = %v, want ErrNoKey", err)
	}
	if ring.Derive("a") == ring.Derive("b") || ring.Derive("a") == got.Derive("a") {
		t.Error("derived keys of two purposes, or of two masters, are the same")
	}
	for _, bad := range []string{"", "x", one[:40], one + "," + one[4:], one + ",", strings.Replace(one, "8=", "9=", 1)} {
		if _, err := crypt.ParseRing(bad); !isInvalid(err) {
			t.Errorf("ParseRing(%q) = %v, want ErrInvalid", bad, err)
		} else if strings.Contains(err.Error(), "AAEC") {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}
