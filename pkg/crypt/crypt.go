// Package crypt seals chunks and opens them again: bytes in, bytes out. Where
// the bytes lie, who may read them and where keys come from is known elsewhere;
// the arithmetic of sizes is in pkg/chunk.
//
// A chunk is sealed under keys that serve this one sealing, derived from the
// object's key and a fresh salt. Its body is a row of segments under
// AES-256-GCM; the counter and a last-segment bit are in the nonce, and the
// object id, the salt, the commitment to the key and the sealed header are
// authenticated with each of them. So nothing can be altered, swapped, dropped,
// doubled or cut off unnoticed, and a range opens by itself.
//
// # Why
//
// A fixed key with counted nonces would break at the first retry that seals
// other bytes. One master key with random nonces meets the limit of NIST SP
// 800-38D at 256 TiB. AES-GCM alone does not commit to its key, so the
// attachment states a commitment, which also tells which key of a ring opens it.
// The construction of the segments is STREAM (Hoang, Reyhanitabar, Rogaway and
// Vizár, 2015).
package crypt
