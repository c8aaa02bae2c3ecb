package packet

import (
	"reflect"
	"strings"
)

// spec is a packet's entry in the tables.
type spec struct {
	packet  Packet
	since   Version  // first version that knows the packet; 0 for all
	until   Version  // last version that knows it; 0 for all
	replies []Packet // what may answer it, apart from Error; nil if nothing is expected
	fields  []rule

	typ   reflect.Type
	reply bool // some other packet has it among its replies
}

// knownTo tells whether the version has the packet.
func (s *spec) knownTo(v Version) bool {
	return v >= s.since && (s.until == 0 || v <= s.until)
}

// answeredBy tells whether p is a reply that the asker expects.
func (s *spec) answeredBy(p Packet) bool {
	for _, reply := range s.replies {
		if reply.PacketID() == p.PacketID() {
			return true
		}
	}
	return s.replies == nil
}

// namespace is the part of a packet's id before the colon.
func namespace(id string) Namespace {
	before, _, _ := strings.Cut(id, ":")
	return Namespace(before)
}

// specs are all packets by their id. It is never changed.
var specs = index(
	listingPackets, folderPackets, filePackets, entryPackets, userPackets,
	bookingPackets, uploadPackets, servicePackets, serviceV1Packets, thumbnailPackets, previewPackets, genericPackets,
)

func index(tables ...[]spec) map[string]*spec {
	m := make(map[string]*spec)
	for _, table := range tables {
		for i := range table {
			s := &table[i]
			s.typ = reflect.TypeOf(s.packet)
			m[s.packet.PacketID()] = s
		}
	}
	for _, s := range m {
		for _, reply := range s.replies {
			m[reply.PacketID()].reply = true
		}
	}
	m[Error{}.PacketID()].reply = true
	return m
}
