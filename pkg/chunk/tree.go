package chunk

import (
	"crypto/sha256"
	"hash"

	"discordcloud/pkg/cloud"
)

// The first byte of what is hashed tells leaves from nodes (RFC 6962 §2.1), so
// that no node can pass for a leaf.
var (
	leafByte = []byte{0}
	nodeByte = []byte{1}
)

// LeafSum is the sum of one leaf: at most Leaf bytes of a file, starting at a
// multiple of Leaf.
func LeafSum(p []byte) cloud.Sum {
	if len(p) > Leaf {
		panic("chunk: leaf too long")
	}
	h := sha256.New()
	h.Write(leafByte)
	h.Write(p)
	var sum cloud.Sum
	h.Sum(sum[:0])
	return sum
}

// Leaves are the sums of the leaves of p, which starts at a multiple of Leaf.
// An empty p has one, empty leaf.
func Leaves(p []byte) []cloud.Sum {
	sums := make([]cloud.Sum, 0, max(1, (len(p)+Leaf-1)/Leaf))
	for len(p) > Leaf {
		sums = append(sums, LeafSum(p[:Leaf]))
		p = p[Leaf:]
	}
	return append(sums, LeafSum(p))
}

// Root is the hash of the file with these leaves, in order. Without leaves it
// is that of the empty file.
func Root(leaves []cloud.Sum) cloud.Sum {
	var t Tree
	for _, sum := range leaves {
		t.AddLeaf(sum)
	}
	return t.Root()
}

// Tree makes the hash of a file from its bytes in order (Write), or from the
// sums of its leaves in order (AddLeaf), or from both in turn. It keeps one sum
// for each level of the tree, however long the file is. The zero Tree is
// that of the empty file. It is not safe for concurrent use.
type Tree struct {
	leaves uint64
	// subtrees holds the roots of complete subtrees, the largest first: one for
	// each bit that is set in leaves.
	subtrees []cloud.Sum
	leaf     hash.Hash // of the leaf begun, nil before the first Write
	filled   int       // bytes in it
}

var _ hash.Hash = (*Tree)(nil)

// Write adds p to the file. It never fails.
func (t *Tree) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if t.filled == 0 {
			if t.leaf == nil {
				t.leaf = sha256.New()
			}
			t.leaf.Reset()
			t.leaf.Write(leafByte)
		}
		part := p[:min(len(p), Leaf-t.filled)]
		t.leaf.Write(part)
		t.filled += len(part)
		p = p[len(part):]
		if t.filled == Leaf {
			t.filled = 0
			var sum cloud.Sum
			t.leaf.Sum(sum[:0])
			t.AddLeaf(sum)
		}
	}
	return n, nil
}

// AddLeaf adds the sum of the next leaf. Only the last leaf of a file may be
// shorter than Leaf. It panics in the middle of a leaf that Write has begun.
func (t *Tree) AddLeaf(sum cloud.Sum) {
	if t.filled != 0 {
		panic("chunk: leaf added inside another")
	}
	for n := t.leaves; n&1 == 1; n >>= 1 {
		top := len(t.subtrees) - 1
		sum = node(t.subtrees[top], sum)
		t.subtrees = t.subtrees[:top]
	}
	t.subtrees = append(t.subtrees, sum)
	t.leaves++
}

// Root is the hash of the file so far. More may be added afterwards.
func (t *Tree) Root() cloud.Sum {
	// From the right: each subtree is larger than all that stands behind it,
	// which is where RFC 6962 splits.
	left, root := t.subtrees, cloud.Sum{}
	switch {
	case t.filled > 0:
		t.leaf.Sum(root[:0])
	case len(left) == 0:
		root = LeafSum(nil)
	default:
		left, root = left[:len(left)-1], left[len(left)-1]
	}
	for i := len(left) - 1; i >= 0; i-- {
		root = node(left[i], root)
	}
	return root
}

// Sum appends the root to b. It implements hash.Hash.
func (t *Tree) Sum(b []byte) []byte {
	root := t.Root()
	return append(b, root[:]...)
}

// Reset makes t the tree of the empty file again.
func (t *Tree) Reset() {
	t.leaves, t.filled, t.subtrees = 0, 0, t.subtrees[:0]
}

// Size is the length of a root in bytes.
func (t *Tree) Size() int { return sha256.Size }

// BlockSize is the length that Write likes: a leaf.
func (t *Tree) BlockSize() int { return Leaf }

func node(left, right cloud.Sum) cloud.Sum {
	h := sha256.New()
	h.Write(nodeByte)
	h.Write(left[:])
	h.Write(right[:])
	var sum cloud.Sum
	h.Sum(sum[:0])
	return sum
}
