package packet

// Packets that go in any direction.

// Boolean answers yes or no.
type Boolean struct {
	Success bool   `json:"success"`
	Message string `json:"message,omitempty"`
}

// Error answers that a request failed, and how. Version 2.
type Error struct {
	Code    string `json:"code"` // of cloud.CodeOf
	Message string `json:"message"`
}

// Primitives carries plain values. It is never sent.
type Primitives struct {
	BooleanValue *bool    `json:"boolean_value,omitempty"`
	IntegerValue *int64   `json:"integer_value,omitempty"`
	FloatValue   *float64 `json:"float_value,omitempty"`
	StringValue  *string  `json:"string_value,omitempty"`
}

// PacketID implements Packet.
func (Boolean) PacketID() string { return "generic:boolean" }

// PacketID implements Packet.
func (Error) PacketID() string { return "generic:error" }

// PacketID implements Packet.
func (Primitives) PacketID() string { return "generic:primitives" }

var genericPackets = []spec{
	{packet: Boolean{}, fields: fields(
		flag("success"),
		text("message").optional(),
	)},
	{packet: Error{}, since: V2, fields: fields(
		text("code").notEmpty(),
		text("message"),
	)},
	{packet: Primitives{}, fields: fields(
		flag("boolean_value").optional(),
		integer("integer_value").optional(),
		integer("float_value").fraction().optional(),
		text("string_value").optional(),
	)},
}

// yesOrNo is the reply of requests that ask for nothing but success.
var yesOrNo = []Packet{Boolean{}}
