package packet

// Bookings: how many uploads a client may have under way at once.

// UploadBookingRequest asks for a number of upload services in total.
type UploadBookingRequest struct {
	DesiredAmount int64 `json:"desired_amount"` // at least 1
}

// UploadBooking answers UploadBookingRequest.
type UploadBooking struct {
	Amount int64 `json:"amount"` // what the client has now, in total
}

// UploadBookingModify tells a client that it has one service more or less.
type UploadBookingModify struct {
	EffectiveChange int64 `json:"effective_change"` // 1 or -1
}

// UploadBookingClear gives all services back.
type UploadBookingClear struct{}

// PacketID implements Packet.
func (UploadBookingRequest) PacketID() string { return "c2s:upload-booking-request" }

// PacketID implements Packet.
func (UploadBooking) PacketID() string { return "s2c:upload-booking" }

// PacketID implements Packet.
func (UploadBookingModify) PacketID() string { return "s2c:upload-booking-modify" }

// PacketID implements Packet.
func (UploadBookingClear) PacketID() string { return "c2s:upload-booking-clear" }

var bookingPackets = []spec{
	{packet: UploadBookingRequest{}, replies: []Packet{UploadBooking{}}, fields: fields(
		integer("desired_amount").atLeast(1),
	)},
	{packet: UploadBooking{}, fields: fields(
		count("amount"),
	)},
	{packet: UploadBookingModify{}, fields: fields(
		integer("effective_change"),
	)},
	{packet: UploadBookingClear{}, replies: yesOrNo},
}
