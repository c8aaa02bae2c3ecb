package packet

import (
	"fmt"
	"reflect"

	"discordcloud/pkg/cloud"
)

// Malformed is the error of Decode. It wraps cloud.ErrInvalid. Its text names
// fields of the rules, never values.
type Malformed struct {
	Reason Reason
	ID     string // of the packet, if it is one that exists
	UUID   string // of the packet, if it has a well-formed one
	reply  bool   // it answered something
	detail string
}

// Reason is a class of malformed packets, for counting.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	NotJSON     Reason = "json"      // not one JSON record, too deep, or with forbidden or duplicate keys
	NotEnvelope Reason = "envelope"  // no string id or no record data
	Unknown     Reason = "unknown"   // no such packet in this version
	Misdirected Reason = "direction" // not a packet that this peer may send
	NotValid    Reason = "invalid"   // data against the packet's rules
)

func (m *Malformed) Error() string {
	if m.ID == "" {
		return fmt.Sprintf("packet: %s", m.detail)
	}
	return fmt.Sprintf("packet %s: %s", m.ID, m.detail)
}

func (m *Malformed) Unwrap() error { return cloud.ErrInvalid }

// Decode reads one frame that came from a peer which may send packets of the
// namespace from; generic ones it may always send. The error is a *Malformed.
// The Data of the result is a value, not a pointer.
func Decode(raw []byte, from Namespace, v Version) (Envelope, error) {
	n, err := parse(raw, v)
	if err != nil {
		return Envelope{}, &Malformed{Reason: NotJSON, detail: err.Error()}
	}
	if n.kind != kindRecord {
		return Envelope{}, &Malformed{Reason: NotJSON, detail: "not a record"}
	}
	m := &Malformed{}
	e := Envelope{UUID: uuidOf(n.field("uuid")), ReplyUUID: uuidOf(n.field("reply_uuid"))}
	if e.ReplyUUID == e.UUID {
		e.ReplyUUID = ""
	}
	m.UUID, m.reply = e.UUID, e.ReplyUUID != ""

	id, data := n.field("id"), n.field("data")
	if id == nil || id.kind != kindString || data == nil || data.kind != kindRecord {
		m.Reason, m.detail = NotEnvelope, "id is no string or data no record"
		return Envelope{}, m
	}
	s, ok := specs[id.text]
	if !ok || !s.knownTo(v) {
		m.Reason, m.detail = Unknown, "unknown packet"
		return Envelope{}, m
	}
	e.ID, m.ID = id.text, id.text
	if ns := namespace(e.ID); ns != from && ns != Generic {
		m.Reason, m.detail = Misdirected, "not a packet of this peer"
		return Envelope{}, m
	}
	if err := (shape{fields: s.fields}).check(data, v); err != nil {
		m.Reason, m.detail = NotValid, err.Error()
		return Envelope{}, m
	}
	value := reflect.New(s.typ).Elem()
	load(value, data)
	e.Data = value.Interface().(Packet)
	return e, nil
}

func uuidOf(n *node) string {
	if n == nil || n.kind != kindString || !ValidUUID(n.text) {
		return ""
	}
	return n.text
}

// Encode makes the frame of e.Data, which must keep its own rules: ErrInvalid
// otherwise. Fields of version 2 are left out on version 1; nil slices go as
// empty arrays where the field is required. An empty UUID is drawn.
func Encode(e Envelope, v Version) ([]byte, error) {
	if e.Data == nil {
		return nil, fmt.Errorf("%w: envelope without a packet", cloud.ErrInvalid)
	}
	id := e.Data.PacketID()
	s, ok := specs[id]
	if !ok || !s.knownTo(v) || reflect.TypeOf(e.Data) != s.typ {
		return nil, fmt.Errorf("%w: version %d has no packet %s as %T", cloud.ErrInvalid, v, id, e.Data)
	}
	if e.UUID == "" {
		e.UUID = NewUUID()
	}
	if !ValidUUID(e.UUID) || e.ReplyUUID != "" && (!ValidUUID(e.ReplyUUID) || e.ReplyUUID == e.UUID) {
		return nil, fmt.Errorf("%w: uuid of packet %s", cloud.ErrInvalid, id)
	}
	data := store(reflect.ValueOf(e.Data))
	rules := shape{fields: s.fields}
	rules.prune(data, v)
	if err := rules.check(data, v); err != nil {
		return nil, fmt.Errorf("%w: packet %s: %w", cloud.ErrInvalid, id, err)
	}
	b := append(make([]byte, 0, 256), `{"id":`...)
	b = appendString(b, id)
	b = append(b, `,"data":`...)
	b = data.appendTo(b)
	b = append(b, `,"uuid":"`...)
	b = append(b, e.UUID...)
	if e.ReplyUUID != "" {
		b = append(b, `","reply_uuid":"`...)
		b = append(b, e.ReplyUUID...)
	}
	return append(b, `"}`...), nil
}
