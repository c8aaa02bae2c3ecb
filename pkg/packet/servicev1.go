package packet

// Upload services as version 1 speaks with them. The manager does not: they
// would need the master key.

// UploadServiceConfiguration configures an upload service of version 1.
type UploadServiceConfiguration struct {
	Crypto           Crypto `json:"crypto"`
	DiscordBotToken  Secret `json:"discord_bot_token"`
	DiscordChannelID string `json:"discord_channel_id"`
}

// Crypto tells an upload service of version 1 how to seal.
type Crypto struct {
	Enabled bool   `json:"enabled"`
	Key     Secret `json:"key,omitempty"` // base64 of 32 bytes, if Enabled
}

// UploadStart makes a service of version 1 take an upload.
type UploadStart struct {
	Name      string `json:"name"`
	Path      string `json:"path"`
	Size      int64  `json:"size"`
	Client    string `json:"client"` // a UUID of the client's connection
	UploadID  string `json:"upload_id"`
	ChunkSize int64  `json:"chunk_size"`
}

// UploadAbort makes a service of version 1 forget its upload.
type UploadAbort struct{}

// UploadFinish tells how the upload of a service of version 1 ended.
type UploadFinish struct {
	Success     bool     `json:"success"`
	Messages    []string `json:"messages,omitempty"` // in chunk order
	Hash        string   `json:"hash,omitempty"`
	IsEncrypted *bool    `json:"is_encrypted,omitempty"`
	Type        string   `json:"type,omitempty"`
	Channel     string   `json:"channel,omitempty"`
	Reason      string   `json:"reason,omitempty"`
}

// PacketID implements Packet.
func (UploadServiceConfiguration) PacketID() string { return "s2u:upload-service-configuration" }

// PacketID implements Packet.
func (UploadStart) PacketID() string { return "s2u:upload-start" }

// PacketID implements Packet.
func (UploadAbort) PacketID() string { return "s2u:upload-abort" }

// PacketID implements Packet.
func (UploadFinish) PacketID() string { return "u2s:upload-finish" }

var serviceV1Packets = []spec{
	{packet: UploadServiceConfiguration{}, until: V1, replies: yesOrNo, fields: fields(
		choice("crypto",
			shape{fields: fields(flag("enabled").only(false))},
			shape{fields: fields(flag("enabled").only(true), text("key").notEmpty())},
		),
		text("discord_bot_token").notEmpty(),
		text("discord_channel_id").as(asSnowflake),
	)},
	{packet: UploadStart{}, until: V1, replies: yesOrNo, fields: fields(
		text("name").as(asName),
		text("path").as(asPath),
		count("size"),
		text("client").as(asUUID),
		text("upload_id").as(asUUID),
		integer("chunk_size").atLeast(1),
	)},
	{packet: UploadAbort{}, until: V1, replies: yesOrNo},
	{packet: UploadFinish{}, until: V1, fields: fields(
		flag("success"),
		list("messages", text("")).anyItemsV1().optional(),
		text("hash").as(asHash).optional(),
		flag("is_encrypted").optional(),
		text("type").optional(),
		text("channel").as(asSnowflake).optional(),
		text("reason").optional(),
	)},
}
