package chunk_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha3"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"discordcloud/pkg/chunk"
	"discordcloud/pkg/cloud"
)

// body is the first n bytes of SHAKE-128("body").
func body(n int) []byte {
	h := sha3.NewSHAKE128()
	_, _ = h.Write([]byte("body"))
	p := make([]byte, n)
	_, _ = h.Read(p)
	return p
}

func TestTree_Vectors(t *testing.T) {
	for _, c := range []struct {
		n    int
		want string
	}{
		{0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{1, "1e3ecb32659377fbd1dfcf173c903f8bd855ad4af0de82a2942b047a50beb9c2"},
		{262_143, "869466f692af978ba831bdec2911b486344491ea298a3c320dad1471e7fc72b4"},
		{262_144, "4399a3857d34d3cdfb175dbd052346d5b7a333f31a121042e3ec3b0d74348de2"},
		{262_145, "d44a6fdb094a2d2b5fed907c104b06ea0bd40a65d19465511b59f851485ab11b"},
		{786_432, "dd00372c4d8739db7b92fc4a01cdbfda2598c6f820cb15952b867776217c5137"},
		{10_223_616, "680b7aa0ca4df6693baa2c3c2ba5a5536e5b1a766941996bdbb3949feab7decf"},
	} {
		p := body(c.n)
		if got := chunk.Root(chunk.Leaves(p)).String(); got != c.want {
			t.Errorf("Root of %d bytes = %s, want %s", c.n, got, c.want)
		}
		for _, step := range []int{1000, chunk.Leaf - 1, chunk.Leaf, 1 << 24} {
			var tree chunk.Tree
			for rest := p; len(rest) > 0; rest = rest[min(step, len(rest)):] {
				_, _ = tree.Write(rest[:min(step, len(rest))])
			}
			if got := fmt.Sprintf("%x", tree.Sum(nil)); got != c.want {
				t.Errorf("tree of %d bytes, %d at a time = %s, want %s", c.n, step, got, c.want)
			}
		}
	}
}

// reference is the definition in RFC 6962 §2.1, word for word.
func reference(leaves []cloud.Sum) cloud.Sum {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	left, right := reference(leaves[:k]), reference(leaves[k:])
	return sha256.Sum256(bytes.Join([][]byte{{1}, left[:], right[:]}, nil))
}

func TestTree_Shape(t *testing.T) {
	var tree chunk.Tree
	var leaves []cloud.Sum
	for i := range 200 {
		leaves = append(leaves, chunk.LeafSum([]byte{byte(i)}))
		tree.AddLeaf(leaves[i])
		if got, want := tree.Root(), reference(leaves); got != want || chunk.Root(leaves) != want {
			t.Fatalf("%d leaves: %s, want %s", i+1, got, want)
		}
	}
	tree.Reset()
	if got, want := tree.Root(), chunk.LeafSum(nil); got != want || chunk.Root(nil) != want {
		t.Errorf("no leaves: %s, want %s", got, want)
	}
}

// A root may be asked for at any time, and leaves and bytes may take turns.
func TestTree_Mixed(t *testing.T) {
	p := body(5*chunk.Leaf + 100)
	var tree chunk.Tree
	_, _ = tree.Write(p[:chunk.Leaf])
	for _, sum := range chunk.Leaves(p[chunk.Leaf : 3*chunk.Leaf]) {
		tree.AddLeaf(sum)
	}
	for n := 3 * chunk.Leaf; n < len(p); n += 50_000 {
		if got, want := tree.Root(), chunk.Root(chunk.Leaves(p[:n])); got != want {
			t.Fatalf("%d bytes: %s, want %s", n, got, want)
		}
		_, _ = tree.Write(p[n:min(n+50_000, len(p))])
	}
	if got, want := tree.Root(), chunk.Root(chunk.Leaves(p)); got != want {
		t.Errorf("all: %s, want %s", got, want)
	}
	defer func() {
		if recover() == nil {
			t.Error("a leaf was added inside another")
		}
	}()
	tree.AddLeaf(cloud.Sum{})
}

func TestCombineCRC32(t *testing.T) {
	p := body(300_000)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		n := rng.IntN(len(p) + 1)
		cut := rng.IntN(n + 1)
		a, b := crc32.ChecksumIEEE(p[:cut]), crc32.ChecksumIEEE(p[cut:n])
		if got, want := chunk.CombineCRC32(a, b, int64(n-cut)), crc32.ChecksumIEEE(p[:n]); got != want {
			t.Fatalf("%d + %d bytes: %08x, want %08x", cut, n-cut, got, want)
		}
	}
	if crc := crc32.ChecksumIEEE(p); chunk.CombineCRC32(crc, 0, 0) != crc || chunk.CombineCRC32(0, crc, int64(len(p))) != crc {
		t.Error("nothing added changes the sum")
	}
	// Lengths that only arithmetic reaches: 2^40 zeros, from one byte and from
	// 2^20 of them, doubled.
	double := func(n int64) uint32 {
		crc := crc32.ChecksumIEEE(make([]byte, n))
		for ; n < 1<<40; n *= 2 {
			crc = chunk.CombineCRC32(crc, crc, n)
		}
		return crc
	}
	if a, b := double(1), double(1<<20); a != b {
		t.Errorf("2^40 zeros: %08x and %08x", a, b)
	}
}

func BenchmarkTree(b *testing.B) {
	p := body(10 << 20)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		var tree chunk.Tree
		_, _ = tree.Write(p)
		tree.Root()
	}
}

func BenchmarkCombineCRC32(b *testing.B) {
	for b.Loop() {
		chunk.CombineCRC32(1, 2, 10<<20)
	}
}
