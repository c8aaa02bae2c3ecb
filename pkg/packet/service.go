package packet

// Services as clients see them, and upload services as version 2 speaks with
// them.

// ServiceRegistry tells clients of a service that is there, came or went.
type ServiceRegistry struct {
	ServiceType string `json:"service_type"` // ServiceUpload or ServiceThumbnail
	Action      string `json:"action"`       // RegistryList, RegistryAdded or RegistryRemoved
	ServiceUUID string `json:"service_uuid"`
	Address     string `json:"address,omitempty"` // of upload services, not when removed

	// Of version 2:
	Busy     *bool  `json:"busy,omitempty"`
	Capacity *int64 `json:"capacity,omitempty"` // uploads at once
}

// The types of service.
const (
	ServiceUpload    = "upload"
	ServiceThumbnail = "thumbnail"
)

// The actions of ServiceRegistry.
const (
	RegistryList    = "list"
	RegistryAdded   = "added"
	RegistryRemoved = "removed"
)

// PingServices asks the manager to wake sleeping services.
type PingServices struct{}

// Configure tells an upload service how to reach Discord. It is the first
// packet a service gets. Version 2.
type Configure struct {
	DiscordBotToken   Secret   `json:"discord_bot_token"`             // several are separated by commas
	DiscordChannelIDs []string `json:"discord_channel_ids"`           // at least one
	DiscordAPIURL     string   `json:"discord_api_url,omitempty"`     // "" is Discord's own
	DiscordCDNHosts   []string `json:"discord_cdn_hosts,omitempty"`   // nil are Discord's own
	AttachmentLimit   int64    `json:"attachment_limit"`              // sealed bytes of one attachment
	StallSeconds      *int64   `json:"stall_seconds,omitempty"`       // how long an upload may make no progress
	RequestsPerSecond *int64   `json:"requests_per_second,omitempty"` // of each token, that the service may make
}

// UploadOpen makes an upload service take an upload's chunks. Version 2.
type UploadOpen struct {
	UploadID  string  `json:"upload_id"`
	Object    string  `json:"object"`         // 32 hex digits
	Key       Secret  `json:"key"`            // of the object alone: base64 of 32 bytes
	Size      int64   `json:"size,omitempty"` // 0 is not known: the last part says that it is
	ChunkSize int64   `json:"chunk_size"`
	Extension Secret  `json:"extension,omitempty"` // base64 of the plain extension of chunk 0: it holds the file's name
	Confirmed []Range `json:"confirmed,omitempty"` // parts that are stored already
}

// PartStored tells the manager where the chunks of one part lie. The service
// tells the client that the part is stored only after the manager said yes.
// Version 2.
type PartStored struct {
	UploadID string        `json:"upload_id"`
	Part     int64         `json:"part"`           // from 0
	Type     string        `json:"type,omitempty"` // MIME type by content, with part 0
	Last     bool          `json:"last,omitempty"` // it ends a file whose size was not known
	Chunks   []StoredChunk `json:"chunks"`         // at least one
	// AttachmentLimit is what Discord takes, in bytes, where that has turned out to be
	// less than the service was configured with.
	AttachmentLimit int64 `json:"attachment_limit,omitempty"`
}

// StoredChunk is one sealed chunk that lies in Discord.
type StoredChunk struct {
	Index      int64  `json:"index"`       // as sealed
	Offset     int64  `json:"offset"`      // of its first plain byte in the file
	Size       int64  `json:"size"`        // of its plain bytes
	Ext        int64  `json:"ext"`         // length of the sealed extension
	SealedSize int64  `json:"sealed_size"` // of the attachment
	Salt       string `json:"salt"`        // 64 hex digits
	Header     string `json:"header"`      // 128 hex digits: the sealed header
	CRC32      int64  `json:"crc32"`       // IEEE, of the plain bytes
	Leaves     string `json:"leaves"`      // base64 of the leaves of the tree hash, 32 bytes each
	Channel    string `json:"channel"`     // snowflakes
	Message    string `json:"message"`
	Attachment string `json:"attachment"`
	Path       string `json:"path"` // of the attachment on the CDN, without host and query
}

// UploadClose makes an upload service forget an upload. Version 2.
type UploadClose struct {
	UploadID string `json:"upload_id"`
}

// UploadFailed tells that a service gives an upload up. Version 2.
type UploadFailed struct {
	UploadID string `json:"upload_id"`
	Reason   string `json:"reason"`
}

// UploadElsewhere tells a manager how many of a service's places others use at
// the moment. Version 2.
type UploadElsewhere struct {
	Amount int64 `json:"amount"`
}

// PacketID implements Packet.
func (ServiceRegistry) PacketID() string { return "s2c:service-registry" }

// PacketID implements Packet.
func (PingServices) PacketID() string { return "c2s:ping-services" }

// PacketID implements Packet.
func (Configure) PacketID() string { return "s2u:configure" }

// PacketID implements Packet.
func (UploadOpen) PacketID() string { return "s2u:upload-open" }

// PacketID implements Packet.
func (PartStored) PacketID() string { return "u2s:part-stored" }

// PacketID implements Packet.
func (UploadClose) PacketID() string { return "s2u:upload-close" }

// PacketID implements Packet.
func (UploadFailed) PacketID() string { return "u2s:upload-failed" }

// PacketID implements Packet.
func (UploadElsewhere) PacketID() string { return "u2s:upload-elsewhere" }

var servicePackets = []spec{
	{packet: ServiceRegistry{}, fields: fields(
		text("service_type").oneOf(ServiceUpload, ServiceThumbnail),
		text("action").oneOf(RegistryList, RegistryAdded, RegistryRemoved),
		text("service_uuid").as(asUUID),
		text("address").optional(),
		flag("busy").optional().v2(),
		count("capacity").optional().v2(),
	)},
	{packet: PingServices{}},
	{packet: Configure{}, since: V2, replies: yesOrNo, fields: fields(
		text("discord_bot_token").notEmpty(),
		list("discord_channel_ids", text("").as(asSnowflake)).atLeastItems(1),
		text("discord_api_url").optional(),
		list("discord_cdn_hosts", text("").notEmpty()).optional(),
		integer("attachment_limit").atLeast(1),
		integer("stall_seconds").atLeast(1).optional(),
		integer("requests_per_second").atLeast(1).optional(),
	)},
	{packet: UploadOpen{}, since: V2, replies: yesOrNo, fields: fields(
		text("upload_id").as(asUUID),
		text("object").as(asObject),
		text("key").as(asKey),
		integer("size").atLeast(1).optional(),
		integer("chunk_size").atLeast(1),
		text("extension").as(asBase64).optional(),
		ranges("confirmed").optional(),
	)},
	{packet: PartStored{}, since: V2, replies: yesOrNo, fields: fields(
		text("upload_id").as(asUUID),
		count("part"),
		text("type").atMostUnits(255).optional(),
		flag("last").optional(),
		integer("attachment_limit").atLeast(1).optional(),
		list("chunks", record("",
			count("index"),
			count("offset"),
			count("size"),
			count("ext"),
			count("sealed_size"),
			text("salt").as(asSalt),
			text("header").as(asHeader),
			count("crc32").atMost(1<<32-1),
			text("leaves").as(asLeaves),
			text("channel").as(asSnowflake),
			text("message").as(asSnowflake),
			text("attachment").as(asSnowflake),
			text("path").notEmpty(),
		)).atLeastItems(1),
	)},
	{packet: UploadClose{}, since: V2, replies: yesOrNo, fields: fields(
		text("upload_id").as(asUUID),
	)},
	{packet: UploadFailed{}, since: V2, fields: fields(
		text("upload_id").as(asUUID),
		text("reason"),
	)},
	{packet: UploadElsewhere{}, since: V2, fields: fields(
		count("amount"),
	)},
}
