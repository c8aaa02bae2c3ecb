package packet

// Users, and the end of a user's session.

// UserSearchRequest looks for users whose name contains Query.
type UserSearchRequest struct {
	Query string `json:"query"`
}

// UserSearch answers UserSearchRequest.
type UserSearch struct {
	Success bool `json:"success"`
	// Results is nil on failure and then absent; empty but not nil is sent as [].
	Results []UserResult `json:"results,omitempty"`
}

// UserResult is one user found.
type UserResult struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// SignedOut comes before the manager closes a socket whose session has ended.
// Version 2.
type SignedOut struct {
	Reason string `json:"reason"`
}

// PacketID implements Packet.
func (UserSearchRequest) PacketID() string { return "c2s:user-search-request" }

// PacketID implements Packet.
func (UserSearch) PacketID() string { return "s2c:user-search" }

// PacketID implements Packet.
func (SignedOut) PacketID() string { return "s2c:signed-out" }

var userPackets = []spec{
	{packet: UserSearchRequest{}, replies: []Packet{UserSearch{}}, fields: fields(
		text("query").as(asUsername),
	)},
	{packet: UserSearch{}, fields: fields(
		flag("success"),
		list("results", record("", count("id"), text("name").notEmpty())).optional(),
	)},
	{packet: SignedOut{}, since: V2, fields: fields(
		text("reason"),
	)},
}
