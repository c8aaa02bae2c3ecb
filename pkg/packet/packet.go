// Package packet is the wire between clients, the manager and its services:
// one Go struct per packet, the rules each has to keep, and Conn, which sends
// and receives packets over a WebSocket and matches replies with requests.
//
// PACKETS.md describes the same wire for people; a test holds the two together.
// What packets mean, and who may send which, is for the packages that handle
// them. Names are checked for their characters and length here, but not
// brought into NFC.
//
// Why not encoding/json alone: the wire refuses unknown and duplicate keys,
// distinguishes null from absent, takes 1.0 for an integer and nothing beyond
// 2^53-1, and caps depth, none of which struct tags say. So a frame is parsed
// once into a small tree, checked against the packet's table of rules, and
// bound to the struct. Sending goes the same way back, so the same table
// answers for both directions.
package packet

import (
	"github.com/google/uuid"
)

// Version is the version of the protocol that a connection speaks.
type Version int

// The versions. Version 1 is the one that existing clients speak; version 2
// adds packets and optional fields to it.
const (
	V1 Version = 1
	V2 Version = 2
)

// Namespace is the part of a packet's id before the colon: who sends it to whom.
type Namespace string

// The namespaces. Generic packets go in any direction.
const (
	C2S     Namespace = "c2s" // client to manager
	S2C     Namespace = "s2c" // manager to client
	S2U     Namespace = "s2u" // manager to upload service
	U2S     Namespace = "u2s" // upload service to manager
	S2T     Namespace = "s2t" // manager to thumbnail service
	T2S     Namespace = "t2s" // thumbnail service to manager
	Generic Namespace = "generic"
)

// Packet is the data of one packet: a value of one of the structs of this
// package, never a pointer.
type Packet interface {
	// PacketID is the packet's id on the wire, such as "c2s:list-request".
	PacketID() string
}

// Envelope is a packet as it travels.
type Envelope struct {
	ID string // Data.PacketID(); Encode fills it in
	// UUID names this packet. It is empty after Decode if the sender's was
	// missing or malformed, and Encode draws one if it is empty.
	UUID string
	// ReplyUUID is the UUID of the packet that this one answers, or "".
	ReplyUUID string
	Data      Packet
}

// NewUUID draws a random UUID (version 4, lower case).
func NewUUID() string { return uuid.NewString() }
