package packet

// Thumbnail services.

// ThumbnailServiceConfiguration configures a thumbnail service.
type ThumbnailServiceConfiguration struct {
	DiscordBotToken      Secret `json:"discord_bot_token"`
	MessageEncryptionKey Secret `json:"message_encryption_key,omitempty"`
	ImageQuality         int64  `json:"image_quality"` // 0 to 100
	ImageWidth           int64  `json:"image_width"`   // 1 to 4096
	ImageType            string `json:"image_type"`    // "avif", "jpeg" or "webp"
}

// GenThumbnail asks a thumbnail service for the thumbnail of a file.
type GenThumbnail struct {
	FileID      int64  `json:"file_id"`
	ChannelID   string `json:"channel_id"`
	FirstMsgID  string `json:"first_msg_id"` // of chunk 0
	FileType    string `json:"file_type"`
	IsEncrypted bool   `json:"is_encrypted"`
}

// ThumbnailData brings a thumbnail.
type ThumbnailData struct {
	FileID  int64  `json:"file_id"`
	Success bool   `json:"success"`
	Data    string `json:"data,omitempty"` // base64url
}

// PacketID implements Packet.
func (ThumbnailServiceConfiguration) PacketID() string { return "s2t:thumbnail-service-configuration" }

// PacketID implements Packet.
func (GenThumbnail) PacketID() string { return "s2t:gen-thumbnail" }

// PacketID implements Packet.
func (ThumbnailData) PacketID() string { return "t2s:thumbnail-data" }

var thumbnailPackets = []spec{
	{packet: ThumbnailServiceConfiguration{}, replies: yesOrNo, fields: fields(
		text("discord_bot_token").notEmpty(),
		text("message_encryption_key").notEmpty().optional(),
		count("image_quality").atMost(100),
		integer("image_width").atLeast(1).atMost(4096),
		text("image_type").oneOf("avif", "jpeg", "webp"),
	)},
	{packet: GenThumbnail{}, fields: fields(
		count("file_id"),
		text("channel_id").as(asSnowflake),
		text("first_msg_id").as(asSnowflake),
		text("file_type"),
		flag("is_encrypted"),
	)},
	{packet: ThumbnailData{}, fields: fields(
		count("file_id"),
		flag("success"),
		text("data").optional(),
	)},
}
